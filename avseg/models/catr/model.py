"""CATR as a model: clips in, masks out (Li et al., ACM MM 2023)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from avseg.config import ModelConfig
from avseg.host import on_host, picked, places, sent
from avseg.models.catr.config import CATRConfig
from avseg.models.catr.criterion import ClipQueries, terms
from avseg.models.catr.network import CATRNetwork
from avseg.models.catr.output import CATROutput as CATROutput
from avseg.models.catr.output import choose
from avseg.models.class_rows import ClassRows, sounding_rows
from avseg.models.dense import DenseModel, DenseTruth, annotated_frames
from avseg.models.hearing import HearingModel
from avseg.models.seams import DEFAULT_SEAMS, Runner, Seam, Tensors
from avseg.nn.frames import normalised, sized_frames
from avseg.nn.groups import Groups
from avseg.types import Batch, Task


def _traced(network: Callable[..., Any], images: Tensor, audio: Tensor) -> Tensors:
    """(N, 3, H, W) and (N, D) -> masks (N, 1, Q, h, w) and scores (N, 1, Q, 2) of the decoder's last layer."""
    masks, scores = network(images, audio)
    return masks[:, -1:], scores[:, -1:]


def _answered(run: Runner, images: Tensor, audio: Tensor, wanted: None = None) -> tuple[Tensor, Tensor]:
    masks, scores = run(images, audio)
    return masks, scores


class CATR(HearingModel[CATROutput], DenseModel[CATROutput]):
    """Combinatorial-dependence audio-queried transformer, for binary masks (S4, MS3)."""

    Config: ClassVar[type[ModelConfig]] = CATRConfig
    tasks: ClassVar[frozenset[str]] = frozenset({"binary"})
    seams: ClassVar[Mapping[str, Seam]] = {
        **DEFAULT_SEAMS,
        "network": Seam(_traced, _answered, ("masks", "scores"), ("images", "audio")),
    }
    config: CATRConfig
    network: CATRNetwork

    def __init__(self, config: CATRConfig, task: Task) -> None:
        super().__init__(config, task)
        self.network = CATRNetwork(config)
        self.listen()

    def forward(self, batch: Batch) -> CATROutput:
        """See `CATROutput`; sound and pictures are made ready here, on the batch's device."""
        embeddings = self.features(batch)  # (B, T, D)
        groups = Groups(batch.valid, self.config.group)
        images = normalised(groups.take(sized_frames(batch, self.config.input)))  # (N, 3, h, w)
        if self.config.enlarge > 1:
            images = F.interpolate(images, scale_factor=float(self.config.enlarge), mode="bilinear")
        wanted = self._wanted(batch, groups)
        masks, scores = self.network(images, groups.take(embeddings), wanted)
        if wanted is not None:
            masks, scores = (x.new_zeros(len(images), *x.shape[1:]).index_copy(0, wanted, x) for x in (masks, scores))
        chosen = choose(scores[:, -1], self.config.group if self.config.choose == "clip" else None)
        return CATROutput(
            query_masks=groups.give_back(masks),
            query_scores=groups.give_back(scores),
            chosen=groups.give_back(chosen),
            embeddings=embeddings,
            sounding_logits=self.sounding_logits(embeddings),
        )

    def _wanted(self, batch: Batch, groups: Groups) -> Tensor | None:
        """(M,) the network's frames whose answers are wanted: in training those with labels; None: all.

        Queries and masks of a frame are its own, so that those of the others change neither losses nor gradients.
        """
        if not self.training or batch.targets is None:
            return None
        annotated = on_host(annotated_frames(batch)).flatten()[on_host(groups.source)]  # (N,)
        if not bool(annotated.any()) or bool(annotated.all()):
            return None
        return sent(annotated.nonzero()[:, 0], batch.valid.device)

    def losses(self, output: CATROutput, batch: Batch) -> dict[str, Tensor]:
        """`score`, `dice`, `focal` and `bce`, each summed over the decoder's layers, and by config `sounding`."""
        truth = DenseTruth.of(batch)
        seen = truth.annotated
        said = ClipQueries(
            picked(output.query_masks, seen),
            picked(output.query_scores, seen),
            places(seen)[0],
            picked(truth.labels, seen),
        )
        with torch.autocast(seen.device.type, enabled=False):
            named = terms(said, len(batch), self.config.criterion, self.training)
            return named | self.sounding_terms(output.sounding_logits, truth.targets, seen)

    def class_rows(self) -> dict[str, ClassRows]:
        """The layer that predicts sounding classes; no other layer has rows of classes."""
        return {"sounding": sounding_rows}
