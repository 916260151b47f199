"""QDFormer as a model: clips in, masks out (Li et al., CVPR 2024)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor

from avseg.config import ModelConfig
from avseg.losses.matching import over_workers
from avseg.models.class_rows import ClassRows, foreground_rows, sounding_rows
from avseg.models.dense import dense_targets
from avseg.models.hearing import HearingModel
from avseg.models.qdformer.assembly import binary_logits, semantic_logits
from avseg.models.qdformer.config import QDFormerConfig
from avseg.models.qdformer.criterion import QueryCriterion, distillation, quantiser_terms
from avseg.models.qdformer.network import QDFormerNetwork
from avseg.models.qdformer.output import QDFormerOutput as QDFormerOutput
from avseg.models.qdformer.seams import SEAMS
from avseg.models.qdformer.truth import truth_of
from avseg.models.seams import Seam
from avseg.nn.frames import gathered, normalised, sized_frames
from avseg.types import Batch, DensePrediction, Prediction, Task

_PARTS = {
    "backbone": "backbone",
    "quantizer": "sound",
    "resizer": "sound",
    "decomposition": "sound",
    "calibration": "sound",
}
"""Children of the network that do not belong to the decoder."""


class QDFormer(HearingModel[QDFormerOutput]):
    """Sound decomposed into quantised tokens, each of which asks the picture for its source; binary and semantic."""

    Config: ClassVar[type[ModelConfig]] = QDFormerConfig
    tasks: ClassVar[frozenset[str]] = frozenset({"binary", "semantic"})
    seams: ClassVar[Mapping[str, Seam]] = SEAMS
    parts: ClassVar[tuple[str, ...]] = ("backbone", "codebook", "sound", "decoder", "audio")
    """`sound` is what resizes, decomposes and calibrates sound, and maps to codes and back; `decoder` the rest of the
    network; `audio` has what tells classes."""
    # Between them the network asks which frames exist.
    compiles: ClassVar[tuple[str, ...]] = tuple(
        f"network.{part}"
        for part in ("backbone", "projections", "encoder", "pixel_decoder.dual.block", "decoder", "masks")
    )
    config: QDFormerConfig
    network: QDFormerNetwork

    def __init__(self, config: QDFormerConfig, task: Task) -> None:
        super().__init__(config, task)
        self.network = QDFormerNetwork(max(len(task.classes), 1), config)
        self.listen(several=True)

    def forward(self, batch: Batch) -> QDFormerOutput:
        """See `QDFormerOutput`. Frames that do not exist change nothing."""
        audio = self.features(batch)  # (B, T, S, W)
        images = gathered(normalised(sized_frames(batch, self.config.input)), batch.valid)  # (M, 3, H, W)
        output: QDFormerOutput = self.network(images, audio, batch.valid)
        if self.sounding is None:
            return output
        return replace(output, sounding_logits=self.sounding(audio.mean(2)))

    def features(self, batch: Batch) -> Tensor:
        """(B, T, S, W) what is heard in the second of each frame, in S parts: as it came with the clips, (T, W) or
        (T, S, W) of each, or made of their sound, S = 1.

        Raises:
            ValueError: features of another width, or a model that hears features and clips that have none.
        """
        heard = super().features(batch)
        return heard if heard.ndim == 4 else heard[:, :, None]

    def losses(self, output: QDFormerOutput, batch: Batch) -> dict[str, Tensor]:
        """`mask`, `dice` and by config `class`, `box` and `giou`, each summed over the layers; `codebook`,
        `commitment`, `distill` and `sounding` once, where there are such (docs/reference/losses.md)."""
        config = self.config
        with torch.autocast(output.valid.device.type, enabled=False):
            grid = (output.mask_logits.shape[-2], output.mask_logits.shape[-1])
            truth = truth_of(batch, output.sizes, grid, len(self.task.classes) or None)
            criterion = QueryCriterion(config.criterion, truth)
            count = over_workers(criterion.count(), self.training)
            named = criterion.terms(output.layers, criterion.match(output.layers), count)
            named |= quantiser_terms(output.clip_tokens, output.frame_tokens, config.quantiser_weight)
            if config.local.distill_weight and config.decompose and output.frame_tokens is not None:
                term = distillation(output.clip_tokens, output.frame_tokens, truth)
                named["distill"] = config.local.distill_weight * term
            return named | self.sounding_terms(output.sounding_logits, dense_targets(batch), truth.labelled)

    def postprocess(self, output: QDFormerOutput, batch: Batch) -> list[Prediction]:
        """The valid frames of every clip, as float32 logits at the size of the pictures."""
        assemble = binary_logits if self.task.kind == "binary" else semantic_logits
        predictions: list[Prediction] = []
        for clip, (name, valid) in enumerate(zip(batch.ids, output.valid, strict=True)):
            classes, masks = output.class_logits[clip][valid].detach(), output.mask_logits[clip][valid].detach()
            logits = assemble(classes, masks, output.sizes, self.config.assembly)
            predictions.append(DensePrediction(name, logits, batch.output_sizes[clip]))
        return predictions

    @torch.no_grad()
    def measures(self, output: QDFormerOutput) -> dict[str, Tensor]:
        """`global_codes` and `local_codes`: how often the tokens of clips, and those of frames that exist, took each
        row of the codebook; nothing where tokens are not quantised."""
        quantizer = self.network.quantizer
        if quantizer is None:
            return {}
        rows = len(quantizer.codebook)
        counted = {"global_codes": (output.clip_tokens, output.valid.any(1))}
        if output.frame_tokens is not None:
            counted["local_codes"] = (output.frame_tokens, output.valid)
        return {
            name: _taken(tokens.codes, there, rows)
            for name, (tokens, there) in counted.items()
            if tokens.codes is not None
        }

    def class_rows(self) -> dict[str, ClassRows]:
        """The classifiers of the object queries, and what tells the classes that sound."""
        heads = {f"network.classes.{index}.last": foreground_rows for index in range(len(self.network.classes))}
        return {**heads, "sounding": sounding_rows}

    def part_of(self, name: str) -> str:
        """The one of `parts` that a parameter belongs to."""
        if not name.startswith("network."):
            return "audio"
        return "codebook" if name == "network.quantizer.codebook" else _PARTS.get(name.split(".")[1], "decoder")


def _taken(codes: Tensor, there: Tensor, rows: int) -> Tensor:
    """(rows,) how often each row is among codes (..., N) of the clips or frames (...) that are `there`."""
    weights = there[..., None].expand(codes.shape).flatten().float()
    return weights.new_zeros(rows).index_add_(0, codes.flatten(), weights)
