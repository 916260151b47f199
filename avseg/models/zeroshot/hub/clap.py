"""CLAP as tagger: any words (Wu et al. 2023, arXiv 2211.06687)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import AutoTokenizer, ClapFeatureExtractor, ClapModel

from avseg.models.zeroshot.catalogue import CLAP as SPEC
from avseg.models.zeroshot.config import Part, ZeroShotConfig
from avseg.models.zeroshot.hub.sounds import sounds
from avseg.models.zeroshot.hub.whole import loaded, whole

TEMPLATES = ("the sound of a {}", "{}")
"""A word's embedding is the mean over these, brought back to length 1."""
DISTRACTORS = (
    "silence",
    "background noise",
    "wind",
    "music playing in the background",
    "reverberation",
    "traffic in the distance",
)
"""Alternative descriptions of the sound, chosen by us; without them a single word would always have probability 1."""
FEWEST_DISTRACTORS = 4


class CLAP:
    """Probability of each word against all others and the distractors: a softmax at the model's own scale."""

    def __init__(self, part: Part, config: ZeroShotConfig, device: torch.device) -> None:
        """
        Raises:
            ValueError: no words, words that leave too few distractors, a word that is too long, or weights of another
                model.
        """
        self.labels = config.vocabulary
        others = distractors(self.labels)
        self._extractor = loaded(ClapFeatureExtractor, part)
        tokenizer = loaded(AutoTokenizer, part)
        self._model, self._device = whole(ClapModel, part).to(device), device
        words = torch.stack([self._embedded(tokenizer, [t.format(w) for w in self.labels]) for t in TEMPLATES])
        texts = torch.cat([F.normalize(words.mean(0), dim=-1), self._embedded(tokenizer, others)])
        self._texts: Tensor = texts * self._model.logit_scale_a.detach().exp()  # (K + D, width)
        del self._model.text_model, self._model.text_projection

    @torch.inference_mode()
    def _embedded(self, tokenizer: Any, texts: Sequence[str]) -> Tensor:
        """(n, width) of length 1."""
        config = self._model.config.text_config
        most = min(tokenizer.model_max_length, config.max_position_embeddings - config.pad_token_id - 1)
        tokens = tokenizer(list(texts), padding=True, return_tensors="pt")
        lengths = tokens["attention_mask"].sum(1)
        longest = int(lengths.argmax())
        if lengths[longest] > most:
            raise ValueError(
                f"{texts[longest][:40]!r} ... has {int(lengths[longest])} tokens, the text model of CLAP takes {most}; "
                "give a short noun"
            )
        found: Tensor = self._model.get_text_features(
            input_ids=tokens["input_ids"].to(self._device), attention_mask=tokens["attention_mask"].to(self._device)
        ).pooler_output
        return found

    @torch.inference_mode()
    def tags(self, windows: Tensor) -> Tensor:
        """See `avseg.models.zeroshot.parts.Tagger`. Windows shorter than the model's 10 s are repeated.

        Raises:
            ValueError: windows of more than 10 s, of which the extractor would draw a piece by chance, or of several
                channels.
        """
        heard = sounds(windows, SPEC.rate, 1, self._extractor.nb_max_samples)
        inputs = self._extractor(heard, sampling_rate=SPEC.rate, return_tensors="pt")
        features = inputs["input_features"].to(self._device, torch.float32)
        # The extractor of a model with fusion calls one of the windows, drawn by chance, longer than 10 s.
        longer = torch.zeros(len(features), 1, dtype=torch.bool, device=self._device)
        embedded: Tensor = self._model.get_audio_features(input_features=features, is_longer=longer).pooler_output
        return (embedded @ self._texts.T).softmax(-1)[:, : len(self.labels)].cpu()


def distractors(words: Sequence[str]) -> list[str]:
    """Alternatives that are not among the words.

    Raises:
        ValueError: no words, or fewer than four distractors are left.
    """
    if not words:
        raise ValueError('the CLAP tagger has no words to listen for; give a vocabulary (--vocabulary "dog,guitar")')
    left = [text for text in DISTRACTORS if text not in words]
    if len(left) < FEWEST_DISTRACTORS:
        raise ValueError(
            f"the vocabulary names {len(DISTRACTORS) - len(left)} of the sounds that the others are told from "
            f"({', '.join(DISTRACTORS)}); leave all but {len(DISTRACTORS) - FEWEST_DISTRACTORS} of them out"
        )
    return left
