"""The segmentation network: backbone, queries of the sound, deformable encoder, decoder, masks (Gao et al. 2024)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from avseg.models.avsegformer.config import GROUPS, AVSegFormerConfig
from avseg.models.avsegformer.layer_masks import LayerMasks, laid
from avseg.models.avsegformer.masks import LikenessHead, SoundMixer
from avseg.models.avsegformer.queries import QueryGenerator, Repeated
from avseg.models.base import in_evaluation
from avseg.nn.backbones import staged_backbone
from avseg.nn.deform import Size
from avseg.nn.deform_encoder import DeformableEncoder, as_maps, flattened
from avseg.nn.transformer import TokenDecoderLayer

LEVELS = 3
"""Maps of the encoder: those at strides 8, 16, 32."""
NetworkOutput = tuple[Tensor, Tensor, list[Tensor]]
"""Logits, the mask feature, and logits of each layer of the decoder."""


class AVSegFormerNetwork(nn.Module):
    """Pictures and audio embeddings of N frames in; logits and the mask feature out. No frame sees another one."""

    def __init__(self, channels: int, config: AVSegFormerConfig) -> None:
        """
        Args:
            channels: of the logits.
            config: what it is made of.
        """
        super().__init__()
        width, heads = config.width, config.heads
        self.backbone = staged_backbone(config.backbone, config.backbone_options)
        self.audio_projection = nn.Linear(config.audio_width, width)
        self.projections = nn.ModuleList(_normed(inputs, width, 1) for inputs in self.backbone.channels)
        self.generator = (
            Repeated(config.queries)
            if config.generator == "repeat"
            else QueryGenerator(config.queries, width, heads, config.generator_inner, config.generator_layers)
        )
        self.table = nn.Parameter(torch.empty(config.queries, width)) if config.learnable_queries else None
        self.encoder = DeformableEncoder(
            width,
            heads,
            config.inner,
            config.encoder_layers,
            levels=LEVELS,
            points=config.points,
            dropout=config.dropout,
            activation="gelu",
            normalised=False,
        )
        self.decoder = nn.ModuleList(
            TokenDecoderLayer(width, heads, config.inner, config.dropout, "gelu") for _ in range(config.decoder_layers)
        )
        self.lateral = _normed(width, width, 1)
        self.smooth = _normed(width, width, 3)
        self.mixer = SoundMixer(width, heads)
        self.head = LikenessHead(channels, config.queries, width, config.mlp_width, config.head_widths)
        self.layer_masks = LayerMasks(channels, width, config.head_widths) if config.layer_weight else None
        self._begin()
        self.to(memory_format=torch.channels_last)

    def _begin(self) -> None:
        """First weights as published, of what does not begin so by itself."""
        if self.table is not None:
            nn.init.xavier_uniform_(self.table)
        for part in (*self.projections, self.lateral, self.smooth):
            nn.init.xavier_uniform_(part[0].weight)

    def forward(
        self,
        images: Tensor,
        sound: Tensor,
        valid: Tensor | None = None,
        freeze: str = "",
        wanted: Tensor | None = None,
    ) -> NetworkOutput:
        """
        Args:
            images: (N, 3, H, W) normalised, H and W multiples of 32.
            sound: (N, W) embeddings.
            valid: (N,) 1 where a frame exists; the backbone's maps and both answers of other frames are multiplied by 0
                (AVSS).
            freeze: `published` and `still` leave the backbone without gradient (`AVSegFormerConfig.frozen_backbone`).
            wanted: (M,) int64, the frames whose answers are wanted; None: all. Batch norms of the backbone see the
                others too, where they learn.

        Returns:
            Logits (M, C, H, W); the mask feature (M, width, H / 4, W / 4); and in training, where the config has
            `layer_weight`, logits (M, C, H, W) of each layer of the decoder, else none.
        """
        if wanted is not None:
            sound, valid = sound[wanted], None if valid is None else valid[wanted]
        if wanted is None or self._sees_together(freeze):
            maps = self._looked(images, freeze)
            maps = maps if wanted is None else [x[wanted] for x in maps]
        else:
            maps = self._looked(images[wanted], freeze)
        keep = None if valid is None else valid.to(images.dtype)[:, None, None, None]
        maps = [_masked(x, keep) for x in maps]
        heard = self.audio_projection(sound)  # (M, D)
        fine, *coarse = (project(x) for project, x in zip(self.projections, maps, strict=True))
        tokens, sizes = flattened(coarse)
        memory = self.encoder(tokens, sizes)  # (N, P, D)
        feature = self._feature(fine, as_maps(memory, sizes)[0], heard)
        queries, layers = self._decoded(heard, memory, sizes)
        return _masked(self.head(feature, queries), keep), _masked(feature, keep), layers

    def _looked(self, images: Tensor, freeze: str) -> list[Tensor]:
        """The four maps of the backbone."""
        images = images.contiguous(memory_format=torch.channels_last)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not freeze), self._state(freeze):
            maps: list[Tensor] = self.backbone(images)
        return maps

    def _sees_together(self, freeze: str) -> bool:
        """Whether the backbone has batch norms whose statistics are over all pictures."""
        learns = self.training and freeze != "still"
        return learns and any(isinstance(part, _BatchNorm) for part in self.backbone.modules())

    def _state(self, freeze: str) -> AbstractContextManager[None]:
        return in_evaluation(self.backbone) if freeze == "still" else nullcontext()

    def _decoded(self, heard: Tensor, memory: Tensor, sizes: Sequence[Size]) -> tuple[Tensor, list[Tensor]]:
        """(N, D) and (N, P, D) -> queries (N, Q, D) that have seen the picture, and logits of each layer."""
        queries: Tensor = self.generator(heard)
        queries = queries if self.table is None else queries + self.table
        masks, layers = self.layer_masks if self.training else None, []
        for layer in self.decoder:
            if masks is None:
                queries = layer(queries, memory)
            else:
                assert isinstance(layer, TokenDecoderLayer)
                queries, seen = laid(layer, queries, memory)
                layers.append(masks(seen, sizes))
        return queries, layers

    def _feature(self, fine: Tensor, seen: Tensor, heard: Tensor) -> Tensor:
        """The projected map at stride 4 and the encoder's at stride 8 -> the mask feature (N, D, H / 4, W / 4)."""
        lateral = self.lateral(fine)
        lateral = lateral + F.interpolate(seen, lateral.shape[-2:], mode="bilinear", align_corners=False)
        smooth = F.relu(self.smooth(lateral), inplace=True)
        gate: Tensor = self.mixer(smooth.flatten(2).transpose(1, 2), heard)  # (N, D)
        return smooth * gate[:, :, None, None]


def _normed(entering: int, leaving: int, side: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(entering, leaving, side, padding=side // 2), nn.GroupNorm(GROUPS, leaving))


def _masked(x: Tensor, keep: Tensor | None) -> Tensor:
    return x if keep is None else x * keep
