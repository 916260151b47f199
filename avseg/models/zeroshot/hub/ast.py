"""Audio Spectrogram Transformer as tagger: AudioSet's 527 sounds (Gong et al. 2021, arXiv 2104.01778)."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor
from transformers import ASTFeatureExtractor, ASTForAudioClassification

from avseg.models.zeroshot.catalogue import AST as SPEC
from avseg.models.zeroshot.config import Part, ZeroShotConfig
from avseg.models.zeroshot.hub.sounds import sounds
from avseg.models.zeroshot.hub.whole import loaded, whole

FRAME, HOP = 400, 160
"""Samples of a row of the log-mel picture, and from one row to the next."""


class AST:
    """Probability of each sound by itself; several may sound at once.

    A call costs the same for windows of any length, since shorter ones are filled up with rows. The extractor does
    that before it normalises; silence behind the waveform would be something that the network never saw.
    """

    def __init__(self, part: Part, config: ZeroShotConfig, device: torch.device) -> None:
        """
        Raises:
            ValueError: weights of another model, or an extractor that makes other pictures than the model takes.
        """
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "At least one mel filter")  # so it is, in the weights' training too
            self._extractor = loaded(ASTFeatureExtractor, part)
        model = whole(ASTForAudioClassification, part)
        made = (self._extractor.max_length, self._extractor.num_mel_bins)
        self._rows, bands = model.config.max_length, model.config.num_mel_bins
        if made != (self._rows, bands):
            raise ValueError(
                f"the extractor of {part.checkpoint} makes log-mel pictures of {made} and its model takes "
                f"{(self._rows, bands)} (rows, bands); give a checkpoint whose preprocessor_config.json fits"
            )
        self.labels = tuple(str(model.config.id2label[k]) for k in range(model.config.num_labels))
        self._model, self._device = model.to(device), device

    @torch.inference_mode()
    def tags(self, windows: Tensor) -> Tensor:
        """See `avseg.models.zeroshot.parts.Tagger`.

        Raises:
            ValueError: windows of less than 400 samples, of more rows than the model has, or of several channels.
        """
        most = FRAME + HOP * self._rows - 1  # the extractor cuts longer ones and says nothing
        heard = sounds(windows, SPEC.rate, FRAME, most)
        pictures = self._extractor(heard, sampling_rate=SPEC.rate, return_tensors="pt")["input_values"]
        logits: Tensor = self._model(pictures.to(self._device)).logits
        return logits.sigmoid().cpu()
