"""CATR as a model: clips in, masks out (Li et al., ACM MM 2023)."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from avseg.config import ModelConfig
from avseg.models.base import Model, plain_name
from avseg.models.catr.config import CATRConfig
from avseg.models.catr.criterion import ClipQueries, terms
from avseg.models.catr.network import CATRNetwork
from avseg.models.catr.output import CATROutput as CATROutput
from avseg.models.catr.output import choose
from avseg.models.class_rows import ClassRows, sounding_rows
from avseg.models.dense import dense_predictions, dense_targets, sounding_truth
from avseg.models.encoder import AudioEncoder
from avseg.models.slots import WeightSlot, backbone_slot, whole
from avseg.nn.frames import normalised, sized_frames
from avseg.nn.groups import Groups
from avseg.types import Batch, Prediction, Task


class CATR(Model[CATROutput]):
    """Combinatorial-dependence audio-queried transformer, for binary masks (S4, MS3)."""

    Config: ClassVar[type[ModelConfig]] = CATRConfig
    tasks: ClassVar[frozenset[str]] = frozenset({"binary"})
    config: CATRConfig
    network: CATRNetwork

    def __init__(self, config: CATRConfig, task: Task) -> None:
        super().__init__(config, task)
        self.network = CATRNetwork(config)
        self.hearing = AudioEncoder.of(config)
        self.audio_network = self.hearing.network()
        self.sounding = self.hearing.sounding_head(len(task.classes) or config.sounding_classes)

    def forward(self, batch: Batch) -> CATROutput:
        """See `CATROutput`; sound and pictures are made ready here, on the batch's device."""
        embeddings = self.features(batch)  # (B, T, D)
        groups = Groups(batch.valid, self.config.group)
        images = normalised(groups.take(sized_frames(batch, self.config.input)))  # (N, 3, h, w)
        if self.config.enlarge > 1:
            images = F.interpolate(images, scale_factor=float(self.config.enlarge), mode="bilinear")
        masks, scores = self.network(images, groups.take(embeddings), self.config.group)
        chosen = choose(scores[:, -1], self.config.group if self.config.choose == "clip" else None)
        return CATROutput(
            query_masks=groups.give_back(masks),
            query_scores=groups.give_back(scores),
            chosen=groups.give_back(chosen),
            embeddings=embeddings,
            sounding_logits=None if self.sounding is None else self.sounding(embeddings),
        )

    def features(self, batch: Batch) -> Tensor:
        """(B, T, D) embeddings of every frame's sound."""
        return self.hearing.vectors(batch, self.audio_network)

    def losses(self, output: CATROutput, batch: Batch) -> dict[str, Tensor]:
        """`score`, `dice`, `focal` and `bce`, each summed over the decoder's layers, and by config `sounding`."""
        targets = dense_targets(batch)
        annotated = torch.stack([target.annotated for target in targets]) & batch.valid  # (B, T)
        labels = torch.stack([target.labels for target in targets])  # (B, T, H, W)
        said = ClipQueries(
            output.query_masks[annotated], output.query_scores[annotated], annotated.nonzero()[:, 0], labels[annotated]
        )
        with torch.autocast(labels.device.type, enabled=False):
            named = terms(said, len(batch), self.config.criterion, self.training)
            if output.sounding_logits is not None:
                truth = sounding_truth(targets, output.sounding_logits.shape[-1])  # (B, T, K)
                named["sounding"] = self.hearing.sounding_term(output.sounding_logits, truth, annotated)
        return named

    def postprocess(self, output: CATROutput, batch: Batch) -> list[Prediction]:
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
        """What tells the classes that sound; no other layer has rows of classes."""
        return {"sounding": sounding_rows}

    def param_groups(self) -> dict[str, list[nn.Parameter]]:
        """`backbone`, `decoder` (the rest of the network) and, where it learns, `audio`."""
        parts: dict[str, list[nn.Parameter]] = {"backbone": [], "decoder": [], "audio": []}
        for full, parameter in self.named_parameters():
            name = plain_name(full)
            if parameter.requires_grad:
                part = "backbone" if name.startswith("network.backbone.") else "decoder"
                parts["audio" if not name.startswith("network.") else part].append(parameter)
        return {name: parameters for name, parameters in parts.items() if parameters}
