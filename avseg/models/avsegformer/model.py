"""AVSegFormer as a model: clips in, masks out (Gao et al. 2024)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from avseg.config import ModelConfig
from avseg.host import on_host, sent
from avseg.losses.dense import at_least_float32, binary_loss, semantic_loss, squared_dice_loss
from avseg.models.avsegformer.config import AVSegFormerConfig
from avseg.models.avsegformer.network import AVSegFormerNetwork, NetworkOutput
from avseg.models.class_rows import ClassRows, logit_rows, sounding_rows
from avseg.models.dense import DenseModel, DenseTruth, annotated_frames
from avseg.models.hearing import HearingModel
from avseg.models.seams import DEFAULT_SEAMS, Runner, Seam
from avseg.nn.frames import gathered, normalised, sized_frames, spread
from avseg.types import Batch, Task


@dataclass(frozen=True, eq=False)
class AVSegFormerOutput:
    """The output of the network for a batch. Padding frames hold zeros; in training, those without labels too."""

    logits: Tensor
    """(B, T, C, h, w) before any activation, at the size the network saw."""
    mix_logits: Tensor
    """(B, T, 1, h / 4, w / 4) of the auxiliary mask: the mean of the mask feature over its channels, never negative."""
    layer_logits: tuple[Tensor, ...] = ()
    """Masks of each layer of the decoder (B, T, C, h, w): in training, if the config has `layer_weight`."""
    sounding_logits: Tensor | None = None
    """(B, T, K) which classes sound, where the auxiliary loss is on."""


def _answered(
    run: Runner, images: Tensor, sound: Tensor, valid: Tensor | None = None, freeze: str = "", wanted: None = None
) -> NetworkOutput:
    """Logits; the mask feature, which training alone wants, is left empty."""
    (logits,) = run(images, sound) if valid is None else run(images, sound, valid)
    return logits, logits.new_zeros(logits.shape[0], 1, 1, 1), []


class AVSegFormer(HearingModel[AVSegFormerOutput], DenseModel[AVSegFormerOutput]):
    """Queries made of sound, for binary (S4, MS3) and semantic (AVSS) masks."""

    Config: ClassVar[type[ModelConfig]] = AVSegFormerConfig
    tasks: ClassVar[frozenset[str]] = frozenset({"binary", "semantic"})
    seams: ClassVar[Mapping[str, Seam]] = {**DEFAULT_SEAMS, "network": Seam(answer=_answered, outputs=("logits",))}
    config: AVSegFormerConfig
    network: AVSegFormerNetwork

    def __init__(self, config: AVSegFormerConfig, task: Task) -> None:
        super().__init__(config, task)
        self.network = AVSegFormerNetwork(task.channels, config)
        self.listen()

    def forward(self, batch: Batch) -> AVSegFormerOutput:
        """See `AVSegFormerOutput`; sound and pictures are made ready here, on the batch's device."""
        embeddings = self.features(batch)  # (B, T, W)
        pads = self.config.valid_mask and self.training
        every = torch.ones(batch.valid.shape, dtype=torch.bool)
        seen = sent(every, batch.valid.device) if pads else batch.valid
        images = normalised(gathered(sized_frames(batch, self.config.input), seen))  # (N, 3, h, w)
        valid = None
        if pads:
            valid = batch.valid.flatten().to(images.dtype)  # (N,)
            images = images * valid[:, None, None, None]
        told = self._told(batch, seen)
        wanted = None if told is seen else sent(on_host(told)[on_host(seen)].nonzero()[:, 0], images.device)  # (M,)
        logits, feature, layers = self.network(images, gathered(embeddings, seen), valid, self._freeze(batch), wanted)
        return AVSegFormerOutput(
            logits=spread(logits, told),
            mix_logits=spread(feature.mean(1, keepdim=True), told),
            layer_logits=tuple(spread(layer, told) for layer in layers),
            sounding_logits=self.sounding_logits(embeddings),
        )

    def _told(self, batch: Batch, seen: Tensor) -> Tensor:
        """(B, T) bool, the frames whose answers are wanted of those that are seen: in training the ones with labels.

        No frame sees another one after the backbone, so that the others change neither losses nor gradients.
        """
        if not self.training or batch.targets is None:
            return seen
        annotated = annotated_frames(batch)
        known = on_host(annotated)
        return annotated if bool(known.any()) and not torch.equal(known, on_host(seen)) else seen

    def _freeze(self, batch: Batch) -> str:
        """How the backbone is frozen in this step of a training; empty: it is not."""
        frozen = self.training and batch.draw is not None and batch.draw.epoch < self.config.freeze_backbone_epochs
        return self.config.frozen_backbone if frozen else ""

    def losses(self, output: AVSegFormerOutput, batch: Batch) -> dict[str, Tensor]:
        """`segmentation`, and by config `mix` (the auxiliary mask), `sounding` and, in training, `layers` (the masks of
        the decoder's layers)."""
        config, truth = self.config, DenseTruth.of(batch)
        terms = {"segmentation": self._segmentation(output.logits, truth)}
        if config.mix_weight:
            terms["mix"] = config.mix_weight * self._mix(output.mix_logits, truth)
        if output.layer_logits:
            found = [self._segmentation(logits, truth) for logits in output.layer_logits]
            terms["layers"] = config.layer_weight * torch.stack(found).sum()
        return terms | self.sounding_terms(output.sounding_logits, truth.targets, truth.annotated)

    def _segmentation(self, logits: Tensor, truth: DenseTruth) -> Tensor:
        """The loss of masks (B, T, C, h, w)."""
        if self.task.kind == "semantic":
            weight = self.config.foreground_weight
            return semantic_loss(truth.at_size(logits), truth.labels, truth.annotated, weight)
        if self.config.binary_loss == "bce":
            return binary_loss(truth.at_size(logits), truth.labels, truth.annotated, "probability")
        return self._dice(at_least_float32(truth.at_size(logits)).sigmoid(), truth)

    def _mix(self, logits: Tensor, truth: DenseTruth) -> Tensor:
        """The foreground's loss of the auxiliary mask; of semantic tasks always Dice."""
        published, logits = self.config.mix_probability == "published", truth.at_size(logits)
        if self.config.binary_loss == "bce" and self.task.kind == "binary" and published:
            return binary_loss(logits, truth.labels, truth.annotated, "probability")
        precise = at_least_float32(logits)
        return self._dice(precise.sigmoid() if published else (precise / 2).tanh(), truth)

    def _dice(self, probabilities: Tensor, truth: DenseTruth) -> Tensor:
        smooth = float(self.config.dice == "smoothed")
        return squared_dice_loss(probabilities, truth.labels, truth.annotated, smooth=smooth)

    def class_rows(self) -> dict[str, ClassRows]:
        """The classifiers, and what tells the classes that sound."""
        heads = dict.fromkeys(("network.head.classify", "network.layer_masks.classify"), logit_rows)
        return {**heads, "sounding": sounding_rows}
