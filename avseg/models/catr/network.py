"""The network: backbone, dilated neck, two encoders of pixels and sound, object queries of each frame, masks."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from avseg.models.catr.config import CATRConfig
from avseg.models.catr.mask_decoder import MaskFeatures
from avseg.models.catr.temporal import EncoderLayer, TemporalEncoder
from avseg.nn.backbones import staged_backbone
from avseg.nn.dilated import DilatedSum
from avseg.nn.position import sine_positions
from avseg.nn.transformer import TokenDecoderLayer


class SoundProjection(nn.Module):
    """A token of the network's width from each embedding."""

    def __init__(self, inputs: int, width: int, dropout: float) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, width)
        self.norm = nn.LayerNorm(width, eps=1e-12)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(..., inputs) -> (..., width)."""
        out: Tensor = self.dropout(self.norm(self.linear(x)))
        return out


class QueryDecoder(nn.Module):
    """Object queries look at the tokens of their frame; every layer's answer passes one norm."""

    def __init__(self, layers: int, width: int, heads: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(TokenDecoderLayer(width, heads, inner, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, queries: Tensor, memory: Tensor, position: Tensor) -> Tensor:
        """Queries (Q, C) and memory (N, S, C) with positions (S, C) -> (N, layers, Q, C)."""
        x, said = queries.new_zeros(memory.shape[0], *queries.shape), []
        for layer in self.layers:
            x = layer(x, memory, position=queries, memory_position=position)
            said.append(self.norm(x))
        return torch.stack(said, 1)


class CATRNetwork(nn.Module):
    """Pictures and audio embeddings in; masks and scores of the object queries of each frame out."""

    def __init__(self, config: CATRConfig) -> None:
        """
        Raises:
            ValueError: an unknown backbone.
        """
        super().__init__()
        width, heads, dropout = config.width, config.heads, config.dropout
        self.group = config.group
        self.backbone = staged_backbone(config.backbone, config.backbone_options)
        # The finest map is not read: the published neck of stride 4 has no effect on anything.
        self.neck = nn.ModuleList(DilatedSum(i, width, config.dilations) for i in self.backbone.channels[1:])
        self.to_tokens = nn.Linear(width, width)
        self.sound = SoundProjection(config.audio_width, width, dropout)
        self.queries = nn.Parameter(torch.randn(config.queries, width))
        self.spatial_encoder = nn.ModuleList(
            EncoderLayer(width, heads, config.inner, dropout) for _ in range(config.encoder_layers)
        )
        self.temporal_encoder = TemporalEncoder(
            width,
            heads,
            config.temporal_inner,
            dropout,
            product=config.product,
            audio_frame=config.audio_frame,
            second_gate=config.second_gate,
        )
        self.decoder = QueryDecoder(config.decoder_layers, width, heads, config.inner, dropout)
        self.mask_features = MaskFeatures(width, config.mask_width, config.reduce)
        self.kernels = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, config.mask_width))
        self.score = nn.Linear(width, 2)
        self.to(memory_format=torch.channels_last)

    def forward(self, images: Tensor, audio: Tensor, wanted: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """
        Args:
            images: (N, 3, H, W) normalised, group after group of frames that see each other, H and W multiples of 32.
            audio: (N, D) embeddings.
            wanted: (M,) int64, the frames whose answers are wanted; None: all. The others are seen by what sees all of
                a group, and by batch norms.

        Returns:
            By layer of the decoder, the last one last, logits of masks (M, L, Q, H / 16, W / 16), and logits (M, L, Q,
            2) of whether a query is the sounding object, or not.
        """
        fine, *coarser = self.backbone(images.contiguous(memory_format=torch.channels_last))[1:]
        fine = self.neck[0](fine)
        coarser = coarser if wanted is None else [x[wanted] for x in coarser]
        middle, coarse = (reduce(x) for reduce, x in zip(self.neck[1:], coarser, strict=True))
        del coarser
        size = (fine.shape[-2], fine.shape[-1])
        tokens = self._tokens(fine, audio)
        position = F.pad(sine_positions(*size, fine.shape[1], fine.device, fine.dtype), (0, 0, 0, self.group))  # (S, C)
        own = tokens if wanted is None else tokens[wanted]
        said = self.decoder(self.queries, self._remembered(own, position), position)
        fused = self.temporal_encoder(tokens, position, size, self.group)
        fused = fused if wanted is None else fused[wanted]
        features = self.mask_features(fused, middle, coarse)
        return torch.einsum("nlqm,nmhw->nlqhw", self.kernels(said), features), self.score(said)

    def _tokens(self, fine: Tensor, audio: Tensor) -> Tensor:
        """(N, h * w + group, C): pixels row by row, then the sound of every frame of the group."""
        group = self.group
        pixels = self.to_tokens(fine.permute(0, 2, 3, 1).flatten(1, 2))
        sound = torch.unflatten(self.sound(audio), 0, (-1, group)).repeat_interleave(group, 0)  # (N, group, C)
        return torch.cat([pixels, sound], 1)

    def _remembered(self, tokens: Tensor, position: Tensor) -> Tensor:
        """Run the spatial encoder on the tokens: (N, S, C)."""
        for layer in self.spatial_encoder:
            tokens = layer(tokens, position)
        return tokens
