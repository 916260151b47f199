"""The published formulation of CAVP, transcribed plainly from its equations (Chen et al. 2024): the other side.

It borrows the weights of our network and computes as published: pictures channels first; features copied for the
shuffled half, so that everything after the decoder works on both; queries, keys and values as matrices; the sound's own
attention to the pixels, whose result is thrown away; logits of both halves.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from avseg.models.cavp.deeplab import DeepLabDecoder
from avseg.models.cavp.fusion import AudioFusion
from avseg.models.cavp.network import CAVPNetwork


class PublishedFusion(nn.Module):
    """Tokens of picture and sound, each attending to the other."""

    def __init__(self, fusion: AudioFusion) -> None:
        super().__init__()
        self.parts = fusion

    def forward(self, projected: Tensor, heard: Tensor) -> Tensor:
        """(M, P, D) and (M, D) -> (M, P, D)."""
        parts = self.parts
        pixels = parts.norm(parts.embed_visual(projected))
        sound = parts.norm(parts.embed_audio(heard[:, None]))
        pixels = self.block(pixels, sound)
        parts.out_norm(self.block(sound, pixels))
        fused: Tensor = parts.out_norm(pixels)
        return fused

    def block(self, asking: Tensor, asked: Tensor) -> Tensor:
        parts = self.parts
        query, key, value = (self.by_head(x) for x in (parts.query(asking), parts.key(asked), parts.value(asked)))
        weights = torch.sigmoid(query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5)  # (M, heads, P, 1)
        x = asking + parts.project((weights @ value).transpose(1, 2).flatten(2))
        out: Tensor = x + parts.mlp(parts.mlp_norm(x))
        return out

    def by_head(self, x: Tensor) -> Tensor:
        """(M, P, D) -> (M, heads, P, d)."""
        return x.reshape(*x.shape[:2], self.parts.heads, -1).transpose(1, 2)


class PublishedNetwork(nn.Module):
    """The whole network with DeepLabV3+, channels first."""

    def __init__(self, network: CAVPNetwork) -> None:
        super().__init__()
        network = copy.deepcopy(network).to(memory_format=torch.contiguous_format)
        assert isinstance(network.decoder, DeepLabDecoder)
        self.backbone, self.decoder, self.projector = network.backbone, network.decoder, network.projector
        self.fusion, self.audio = PublishedFusion(network.fusion), network.audio

    def forward(self, images: Tensor, log_mel: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3, H, W) and (R * N, A, L, 64) -> logits and embeddings (R * N, ..., H / 4, W / 4)."""
        maps = self.backbone(images)
        decoder = self.decoder
        coarse = F.interpolate(self.pyramid(maps[-1]), maps[0].shape[-2:], mode="bilinear", align_corners=True)
        seen = torch.cat([coarse, F.relu(decoder.detail_norm(decoder.detail(maps[0])))], 1)
        heard = self.audio(log_mel)
        seen = seen.repeat(len(heard) // len(seen), 1, 1, 1)
        fused = self.fusion(self.projector(seen.flatten(2).transpose(1, 2)), heard)
        embeddings = fused.transpose(1, 2).reshape(seen.shape)
        x = F.relu(decoder.first_norm(decoder.first(embeddings)))
        x = F.relu(decoder.second_norm(decoder.second(x)))
        return decoder.classifier(x), embeddings

    def pyramid(self, x: Tensor) -> Tensor:
        aspp = self.decoder.aspp
        maps = torch.cat([branch(x) for branch in aspp.branches], 1)
        reduced = aspp.reduce(F.leaky_relu(aspp.branch_norm(maps), 0.01))
        pooled = aspp.pool(x.mean((2, 3), keepdim=True))
        pooled = aspp.pool_reduce(F.leaky_relu(aspp.pool_norm(pooled), 0.01))
        return F.leaky_relu(aspp.norm(reduced + pooled), 0.01)
