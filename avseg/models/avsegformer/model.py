"""AVSegFormer as a model: clips in, masks out (Gao et al. 2024)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from avseg.config import ModelConfig
from avseg.losses.dense import at_least_float32, binary_loss, semantic_loss, squared_dice_loss
from avseg.models.avsegformer.config import AVSegFormerConfig
from avseg.models.avsegformer.network import AVSegFormerNetwork
from avseg.models.base import Model, plain_name
from avseg.models.class_rows import ClassRows, logit_rows, sounding_rows
from avseg.models.dense import dense_predictions, dense_targets, sized, sounding_truth
from avseg.models.encoder import AudioEncoder
from avseg.models.seams import DEFAULT_SEAMS, Runner, Seam
from avseg.models.slots import WeightSlot, backbone_slot, whole
from avseg.nn.frames import gathered, normalised, sized_frames, spread
from avseg.types import Batch, DenseTarget, Prediction, Task


@dataclass(frozen=True, eq=False)
class AVSegFormerOutput:
    """What the network says of a batch. Frames that only pad hold zeros."""

    logits: Tensor
    """(B, T, C, h, w) before any activation, at the size the network saw."""
    mix_logits: Tensor
    """(B, T, 1, h / 4, w / 4) of the auxiliary mask: the mean of the mask feature over its channels, never negative."""
    sounding_logits: Tensor | None = None
    """(B, T, K) which classes sound, where the auxiliary loss is on."""


def _answered(
    run: Runner, images: Tensor, sound: Tensor, valid: Tensor | None = None, freeze: str = ""
) -> tuple[Tensor, Tensor]:
    """Logits; the mask feature, which training alone wants, is left empty."""
    (logits,) = run(images, sound) if valid is None else run(images, sound, valid)
    return logits, logits.new_zeros(logits.shape[0], 1, 1, 1)


class AVSegFormer(Model[AVSegFormerOutput]):
    """Queries made of sound, for binary (S4, MS3) and semantic (AVSS) masks."""

    Config: ClassVar[type[ModelConfig]] = AVSegFormerConfig
    tasks: ClassVar[frozenset[str]] = frozenset({"binary", "semantic"})
    seams: ClassVar[Mapping[str, Seam]] = {**DEFAULT_SEAMS, "network": Seam(answer=_answered, outputs=("logits",))}
    config: AVSegFormerConfig
    network: AVSegFormerNetwork

    def __init__(self, config: AVSegFormerConfig, task: Task) -> None:
        super().__init__(config, task)
        self.network = AVSegFormerNetwork(task.channels, config)
        self.hearing = AudioEncoder.of(config)
        self.audio_network = self.hearing.network()
        self.sounding = self.hearing.sounding_head(len(task.classes) or config.sounding_classes)

    def forward(self, batch: Batch) -> AVSegFormerOutput:
        """See `AVSegFormerOutput`; sound and pictures are made ready here, on the batch's device."""
        embeddings = self.hearing.vectors(batch, self.audio_network)  # (B, T, W)
        pads = self.config.valid_mask and self.training
        seen = torch.ones_like(batch.valid) if pads else batch.valid
        images = normalised(gathered(sized_frames(batch, self.config.input), seen))  # (N, 3, h, w)
        valid = None
        if pads:
            valid = batch.valid.flatten().to(images.dtype)  # (N,)
            images = images * valid[:, None, None, None]
        logits, feature = self.network(images, gathered(embeddings, seen), valid, self._freeze(batch))
        return AVSegFormerOutput(
            logits=spread(logits, seen),
            mix_logits=spread(feature.mean(1, keepdim=True), seen),
            sounding_logits=None if self.sounding is None else self.sounding(embeddings),
        )

    def _freeze(self, batch: Batch) -> str:
        """How the backbone is frozen in this step of a training; empty: it is not."""
        frozen = self.training and batch.draw is not None and batch.draw.epoch < self.config.freeze_backbone_epochs
        return self.config.frozen_backbone if frozen else ""

    def losses(self, output: AVSegFormerOutput, batch: Batch) -> dict[str, Tensor]:
        """`segmentation`, and by config `mix` (the auxiliary mask) and `sounding`."""
        targets = dense_targets(batch)
        labels = torch.stack([target.labels for target in targets])  # (B, T, H, W)
        annotated = torch.stack([target.annotated for target in targets]) & batch.valid  # (B, T)
        logits = _at(output.logits, labels)
        if self.task.kind == "binary":
            terms = {"segmentation": self._binary(logits, labels, annotated)}
        else:
            terms = {"segmentation": semantic_loss(logits, labels, annotated, self.config.foreground_weight)}
        if self.config.mix_weight:
            mix = self._mix(_at(output.mix_logits, labels), labels, annotated)
            terms["mix"] = self.config.mix_weight * mix
        return {**terms, **self._sounding(output, targets, annotated)}

    def _binary(self, logits: Tensor, labels: Tensor, annotated: Tensor) -> Tensor:
        if self.config.binary_loss == "bce":
            return binary_loss(logits, labels, annotated, "probability")
        return self._dice(at_least_float32(logits).sigmoid(), labels, annotated)

    def _mix(self, logits: Tensor, labels: Tensor, annotated: Tensor) -> Tensor:
        """The foreground's loss of the auxiliary mask; of semantic tasks always Dice."""
        published = self.config.mix_probability == "published"
        if self.config.binary_loss == "bce" and self.task.kind == "binary" and published:
            return binary_loss(logits, labels, annotated, "probability")
        precise = at_least_float32(logits)
        probabilities = precise.sigmoid() if published else (precise / 2).tanh()
        return self._dice(probabilities, labels, annotated)

    def _dice(self, probabilities: Tensor, labels: Tensor, annotated: Tensor) -> Tensor:
        return squared_dice_loss(probabilities, labels, annotated, smooth=float(self.config.dice == "smoothed"))

    def _sounding(self, output: AVSegFormerOutput, targets: list[DenseTarget], judged: Tensor) -> dict[str, Tensor]:
        if output.sounding_logits is None:
            return {}
        truth = sounding_truth(targets, output.sounding_logits.shape[-1])  # (B, T, K)
        return {"sounding": self.hearing.sounding_term(output.sounding_logits, truth, judged)}

    def postprocess(self, output: AVSegFormerOutput, batch: Batch) -> list[Prediction]:
        """The valid frames of every clip, as float32 logits."""
        return dense_predictions(output.logits, batch)

    def weight_slots(self) -> dict[str, WeightSlot]:
        """`backbone` and `vggish`."""
        audio = self.audio_network if self.config.audio_network == "vggish" else None
        return {
            "backbone": backbone_slot(self.network, self.config.backbone),
            "vggish": WeightSlot(audio, whole, "audio_network='vggish' gives it one"),
        }

    def class_rows(self) -> dict[str, ClassRows]:
        """The classifier, and what tells the classes that sound."""
        return {"network.head.classify": logit_rows, "sounding": sounding_rows}

    def param_groups(self) -> dict[str, list[nn.Parameter]]:
        """`backbone`, `decoder` (all that comes after it) and, where it learns, `audio`."""
        parts: dict[str, list[nn.Parameter]] = {"backbone": [], "decoder": [], "audio": []}
        for full, parameter in self.named_parameters():
            name = plain_name(full)
            if parameter.requires_grad:
                part = "backbone" if name.startswith("network.backbone.") else "decoder"
                parts["audio" if name.startswith("audio_network.") else part].append(parameter)
        return {name: parameters for name, parameters in parts.items() if parameters}


def _at(logits: Tensor, labels: Tensor) -> Tensor:
    """(B, T, C, h, w) at the size of the labels (B, T, H, W)."""
    whole = sized(logits.flatten(0, 1), (labels.shape[-2], labels.shape[-1]))
    return torch.unflatten(whole, 0, labels.shape[:2])
