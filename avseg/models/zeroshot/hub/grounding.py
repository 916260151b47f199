"""GroundingDINO and MM-GroundingDINO as finders.

Source: Liu et al., "Grounding DINO: Marrying DINO with Grounded Pre-Training for Open-Set Object Detection", 2023,
arXiv:2303.05499; Zhao et al., "An Open and Comprehensive Pipeline for Unified Object Grounding and Detection", 2024,
arXiv:2401.02361; weights and code of `transformers`. The scores of nouns are ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForZeroShotObjectDetection, GroundingDinoProcessor

from avseg.models.zeroshot.config import Part, ZeroShotConfig
from avseg.models.zeroshot.hub.checks import check_kind, check_lengths
from avseg.models.zeroshot.hub.objects import best_first, corners, objects
from avseg.models.zeroshot.hub.whole import loaded, whole
from avseg.models.zeroshot.parts import Found

LONGER = 1333 / 800
"""Longer side of a picture at most, by its shorter one: the sizes of training."""
ENDS = str.maketrans(".?", "  ")
"""Token that ends a noun for the model."""


class GroundingDINO:
    """See `avseg.models.zeroshot.parts.Finder`.

    Nouns with more tokens than the model reads at once are asked for in several texts. A box has the noun with the
    highest score; the score of a noun is the mean over its own tokens, so that the start, the dots and the end of the
    text, which have scores too, name nothing.
    """

    def __init__(self, part: Part, config: ZeroShotConfig, device: torch.device) -> None:
        """
        Raises:
            ValueError: weights of another model, or not all of them.
        """
        side = config.find.side
        self.device = device
        self.box = config.find.box
        self.size = {"shortest_edge": side, "longest_edge": round(side * LONGER)}
        check_kind(part, "grounding-dino", "mm-grounding-dino")
        self.processor: Any = loaded(GroundingDinoProcessor, part)
        self.model: Any = whole(AutoModelForZeroShotObjectDetection, part).to(device)

    @torch.inference_mode()
    def find(self, frames: Tensor, nouns: Sequence[str]) -> list[list[Found]]:
        """
        Raises:
            ValueError: a noun without a letter or digit, or with more tokens than the model reads.
        """
        texts = list(self._texts(nouns))
        found = []
        for frame in frames:
            pixels = self.processor.image_processor(
                images=frame, size=self.size, device=self.device, return_tensors="pt"
            )
            found.append(best_first([one for text in texts for one in self._look(frame, pixels, text)]))
        return found

    def _texts(self, nouns: Sequence[str]) -> Iterator[_Text]:
        """As few texts as hold the nouns, in their order."""
        if not nouns:
            return
        phrases = [phrase(noun) for noun in nouns]
        lengths = [len(tokens) for tokens in self.processor.tokenizer(phrases, add_special_tokens=False)["input_ids"]]
        most = self.model.config.max_text_len - 3  # the start, the end, and the dot of the last phrase
        check_lengths(nouns, lengths, most)
        first = used = 0
        for place, length in enumerate(lengths):
            if used + length > most:
                yield self._text(phrases[first:place], first)
                first, used = place, 0
            used += length + 1
        yield self._text(phrases[first:], first)

    def _text(self, phrases: Sequence[str], first: int) -> _Text:
        read = self.processor.tokenizer(". ".join(phrases) + ".", return_tensors="pt", return_offsets_mapping=True)
        places = read.pop("offset_mapping")[0].tolist()
        tokens, begin = [], 0
        for text in phrases:
            end = begin + len(text)
            tokens.append([at for at, (left, right) in enumerate(places) if begin <= left < right <= end])
            begin = end + len(". ")
        return _Text(read.to(self.device), tokens, first)

    def _look(self, frame: Tensor, pixels: Any, text: _Text) -> list[Found]:
        """Objects in a (3, H, W) picture, which the model sees as `pixels`."""
        high, wide = frame.shape[1:]
        seen = self.model(**pixels, **text.read)
        chances = seen.logits[0].sigmoid().cpu()  # (Q, tokens), 0 beyond the text
        scores, nouns = torch.stack([chances[:, own].mean(1) for own in text.tokens], dim=1).max(1)
        keep = scores >= self.box
        boxes = corners(seen.pred_boxes[0]).cpu()[keep] * torch.tensor([wide, high, wide, high])
        return objects(scores[keep], nouns[keep] + text.first, boxes, (high, wide))


@dataclass(frozen=True)
class _Text:
    """Nouns that are asked for at once."""

    read: Any
    """Return the model's inputs."""
    tokens: list[list[int]]
    """Token positions of each noun in the text."""
    first: int
    """Place of the first among all nouns."""


def phrase(noun: str) -> str:
    """A noun as the model was trained to read it: in lower case, without what ends one."""
    return " ".join(noun.lower().translate(ENDS).split())
