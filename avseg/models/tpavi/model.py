"""TPAVI as a model: clips in, masks out (Zhou et al. 2022 and 2024)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from avseg.config import ModelConfig
from avseg.losses.audio_visual import avm_loss
from avseg.losses.dense import binary_loss, semantic_loss
from avseg.models.class_rows import ClassRows, logit_rows, sounding_rows
from avseg.models.dense import DenseModel, DenseTruth
from avseg.models.hearing import HearingModel
from avseg.models.seams import DEFAULT_SEAMS, Runner, Seam
from avseg.models.tpavi.config import TPAVIConfig
from avseg.models.tpavi.network import NetworkOutput, TPAVINetwork
from avseg.nn.attention import AudioVisualAttention
from avseg.nn.frames import normalised, sized_frames
from avseg.nn.groups import Groups
from avseg.types import Batch, Task


@dataclass(frozen=True, eq=False)
class TPAVIOutput:
    """The output of the network for a batch. Frames of a group without any valid frame hold zeros."""

    logits: Tensor
    """(B, T, C, h, w) before any activation, at the size the network saw."""
    feature_maps: tuple[Tensor, ...]
    """By stage (B, T, width, h / s, w / s), s = 4, 8, 16, 32: what the decoder saw, rectified."""
    audio_features: tuple[Tensor | None, ...]
    """By stage the aligned sound (B, T, width), None where nothing is heard."""
    embeddings: Tensor
    """(B, T, audio_width) of the audio network."""
    sounding_logits: Tensor | None = None
    """(B, T, K) which classes sound, where the auxiliary loss is on."""


def _answered(run: Runner, images: Tensor, audio: Tensor, valid: Tensor | None = None) -> NetworkOutput:
    """Logits alone, which predictions are made of."""
    given = (images, audio) if valid is None else (images, audio, valid)
    return run(*given)[0], [], []


class TPAVI(HearingModel[TPAVIOutput], DenseModel[TPAVIOutput]):
    """Temporal pixel-wise audio-visual interaction for binary (S4, MS3) and semantic (AVSS) masks."""

    Config: ClassVar[type[ModelConfig]] = TPAVIConfig
    tasks: ClassVar[frozenset[str]] = frozenset({"binary", "semantic"})
    seams: ClassVar[Mapping[str, Seam]] = {**DEFAULT_SEAMS, "network": Seam(answer=_answered, outputs=("logits",))}
    config: TPAVIConfig
    network: TPAVINetwork

    def __init__(self, config: TPAVIConfig, task: Task) -> None:
        super().__init__(config, task)
        if config.avm is not None and (config.avm.variant == "cosine") and task.kind != "binary":
            raise ValueError("the cosine matching term is for binary tasks; semantic ones take variant 'av' or 'vv'")
        self.network = _network(config, task.channels)
        self.listen()

    def forward(self, batch: Batch) -> TPAVIOutput:
        """See `TPAVIOutput`; sound and pictures are made ready here, on the batch's device."""
        embeddings = self.features(batch)  # (B, T, D)
        groups = Groups(batch.valid, self.config.group, fill=not self.config.valid_mask)
        images = normalised(groups.take(sized_frames(batch, self.config.input)))  # (N, 3, h, w)
        heard = groups.take(embeddings)  # (N, D)
        valid = None
        if self.config.valid_mask:
            valid = groups.exists.to(images.dtype)  # (N,)
            images, heard = images * valid[:, None, None, None], heard * valid[:, None]
        logits, maps, aligned = self.network(images, heard, valid)
        return TPAVIOutput(
            logits=groups.give_back(logits),
            feature_maps=tuple(groups.give_back(m) for m in maps),
            audio_features=tuple(None if a is None else groups.give_back(a.flatten(0, 1)) for a in aligned),
            embeddings=embeddings,
            sounding_logits=self.sounding_logits(embeddings),
        )

    def losses(self, output: TPAVIOutput, batch: Batch) -> dict[str, Tensor]:
        """`segmentation`, and by config `matching` (the audio-visual term) and `sounding`."""
        truth = DenseTruth.of(batch)
        logits = truth.at_size(output.logits)  # (B, T, C, H, W)
        binary = self.task.kind == "binary"
        if binary:
            terms = {"segmentation": binary_loss(logits, truth.labels, truth.annotated, self.config.binary_space)}
        else:
            term = semantic_loss(logits, truth.labels, truth.annotated, self.config.foreground_weight)
            terms = {"segmentation": term}
        if self.config.avm is not None:
            counts = batch.valid if binary else truth.annotated
            terms["matching"] = avm_loss(
                output.logits, output.feature_maps, output.audio_features, counts, self.config.avm
            )
        return terms | self.sounding_terms(output.sounding_logits, truth.targets, truth.annotated)

    def class_rows(self) -> dict[str, ClassRows]:
        """The classifier, and what tells the classes that sound."""
        return {"network.head.classify": logit_rows, "sounding": sounding_rows}


def _network(config: TPAVIConfig, channels: int) -> TPAVINetwork:
    def block() -> AudioVisualAttention:
        return AudioVisualAttention(config.width, config.inner, config.audio_width, config.align_bias)

    return TPAVINetwork(
        channels,
        config.backbone,
        config.backbone_options,
        width=config.width,
        dilations=config.dilations,
        head_widths=config.head_widths,
        attention={stage: block() for stage in config.stages},
        ways=["seen"] * config.self_attention + ["heard"] * config.audio_attention,
        group=config.group,
    )
