"""The published formulation of CATR, transcribed plainly from its equations (Li et al. 2023): the other side.

It borrows the weights of our network and computes as published: all four maps of the neck, attention that forms every
affinity and their mean over the heads, fusions that project every pixel, and a fused map that is normed whole before
most of it is thrown away.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from avseg.models.catr.network import CATRNetwork
from avseg.models.catr.temporal import EncoderLayer, TemporalLayer
from avseg.nn.dilated import DilatedSum
from avseg.nn.position import sine_positions
from avseg.nn.transformer import Attention, TokenDecoderLayer


def full(attention: Attention, dropout: float) -> nn.MultiheadAttention:
    """torch's own, whose default also gives the affinities, as the published code calls it."""
    width = attention.out_proj.in_features
    whole = nn.MultiheadAttention(width, attention.heads, dropout=dropout)
    whole.load_state_dict(attention.state_dict())
    return whole


class PublishedEncoderLayer(nn.Module):
    """(S, N, C) tokens look at each other."""

    def __init__(self, layer: EncoderLayer) -> None:
        super().__init__()
        attend, self.feed_forward = layer.self_attention, layer.feed_forward
        self.attention, self.norm, self.dropout = full(attend.attention, attend.dropout.p), attend.norm, attend.dropout

    def forward(self, x: Tensor, position: Tensor) -> Tensor:
        placed = x + position
        return self.feed_forward(self.norm(x + self.dropout(self.attention(placed, placed, x)[0])))


class PublishedTemporalLayer(nn.Module):
    """The same, then pixels of all frames look at the sound beside the first frame, and it looks at them."""

    def __init__(self, layer: TemporalLayer) -> None:
        super().__init__()
        self.encode = PublishedEncoderLayer(layer.encode)
        self.seen = full(layer.seen, 0.0)
        # The published last layer has one too, whose answer nothing reads.
        self.heard = full(layer.seen if layer.heard is None else layer.heard, 0.0)

    def forward(self, x: Tensor, position: Tensor, frames: int) -> tuple[Tensor, Tensor]:
        """(S, T * B, C) -> (S, T * B, C) and the pixels (hw, T * B, C)."""
        x = self.encode(x, position)
        clips, count = x.shape[1] // frames, len(x) - frames
        pixels = x[:count].unflatten(1, (frames, clips)).transpose(0, 1).flatten(0, 1)  # (T * hw, B, C)
        sound = x[count:, :clips]  # (T, B, C)
        found = self.seen(pixels, sound, sound)[0]
        pixels = pixels * found * found
        heard = self.heard(sound, pixels + position[:count, :clips].repeat(frames, 1, 1), pixels)[0]
        sound = sound * heard * heard
        pixels = pixels.unflatten(0, (frames, count)).transpose(0, 1).flatten(1, 2)  # (hw, T * B, C)
        return torch.cat([pixels, sound.repeat(1, frames, 1)]), pixels


class PublishedDecoderLayer(nn.Module):
    """(Q, N, C) queries look at each other, then at the memory (S, N, C)."""

    def __init__(self, layer: TokenDecoderLayer) -> None:
        super().__init__()
        own, across = layer.self_attention, layer.cross_attention
        self.own, self.own_norm, self.dropout = full(own.attention, own.dropout.p), own.norm, own.dropout
        self.across, self.across_norm = full(across.attention, across.dropout.p), across.norm
        self.feed_forward = layer.feed_forward

    def forward(self, x: Tensor, memory: Tensor, position: Tensor, memory_position: Tensor) -> Tensor:
        placed = x + position
        x = self.own_norm(x + self.dropout(self.own(placed, placed, x)[0]))
        found = self.across(x + position, memory + memory_position, memory)[0]
        return self.feed_forward(self.across_norm(x + self.dropout(found)))


class PublishedNetwork(nn.Module):
    """The whole network, channels first; pictures frame after frame, (t b)."""

    def __init__(self, network: CATRNetwork) -> None:
        super().__init__()
        network = copy.deepcopy(network).to(memory_format=torch.contiguous_format)
        self.backbone, self.sound, self.queries = network.backbone, network.sound, network.queries
        unread = DilatedSum(self.backbone.channels[0], self.queries.shape[1], network.neck[0].dilations)
        self.neck = nn.ModuleList([unread, *network.neck])
        self.to_tokens, self.kernels, self.score = network.to_tokens, network.kernels, network.score
        self.spatial = nn.ModuleList(PublishedEncoderLayer(layer) for layer in network.spatial_encoder)
        encoder = network.temporal_encoder
        self.temporal = nn.ModuleList(PublishedTemporalLayer(layer) for layer in encoder.layers)
        self.gate, self.first, self.second = encoder.gate, encoder.first, encoder.second
        self.decoder = nn.ModuleList(PublishedDecoderLayer(layer) for layer in network.decoder.layers)
        self.norm, self.masks = network.decoder.norm, network.mask_features

    def forward(self, images: Tensor, audio: Tensor, frames: int) -> tuple[Tensor, Tensor]:
        """(T * B, 3, H, W) and (T, B, D) -> masks (L, T * B, Q, h, w) and scores (L, T * B, Q, 2)."""
        features = self.backbone(images)
        maps = [sum(b(x) for b in part.branches) for part, x in zip(self.neck, features, strict=True)]
        size = maps[1].shape[-2:]
        pixels = self.to_tokens(maps[1].permute(2, 3, 0, 1).flatten(0, 1))  # (hw, T * B, C)
        tokens = torch.cat([pixels, self.sound(audio).repeat(1, frames, 1)])
        position = sine_positions(*size, pixels.shape[2], pixels.device, pixels.dtype)[:, None]
        position = torch.cat([position, position.new_zeros(frames, 1, pixels.shape[2])]).repeat(1, len(images), 1)
        memory = tokens
        for layer in self.spatial:
            memory = layer(memory, position)
        fused = self._fused(tokens, position, size, frames)
        x, said = pixels.new_zeros(len(self.queries), *pixels.shape[1:]), []
        placed = self.queries[:, None].repeat(1, len(images), 1)
        for layer in self.decoder:
            x = layer(x, memory, placed, position)
            said.append(self.norm(x))
        answers = torch.stack(said).transpose(1, 2)  # (L, T * B, Q, C)
        masks = torch.einsum("lnqm,nmhw->lnqhw", self.kernels(answers), self._features(fused, maps[2], maps[3]))
        return masks, self.score(answers)

    def _fused(self, x: Tensor, position: Tensor, size: tuple[int, int], frames: int) -> Tensor:
        maps = []
        for layer in self.temporal:
            x, pixels = layer(x, position, frames)
            maps.append(pixels.permute(1, 2, 0).unflatten(2, size))
        first = F.adaptive_avg_pool2d(self.gate(torch.cat(maps[:2], 1)).sigmoid(), 1)
        joined = self.first(first[:, :1] * maps[1])
        self.gate(torch.cat(maps[1:], 1))  # nothing reads it
        second = F.adaptive_avg_pool3d(first.sigmoid(), 1)
        return self.second(joined + second * maps[2])

    def _features(self, fused: Tensor, middle: Tensor, coarse: Tensor) -> Tensor:
        own = self.masks
        x = F.relu(own.norms[0](own.layers[0](fused)))
        x = F.relu(own.norms[1](own.layers[1](x)))
        x = own.adapters[0](coarse) + F.interpolate(x, coarse.shape[-2:], mode="nearest")
        x = F.relu(own.norms[2](own.layers[2](x)))
        x = own.adapters[1](middle) + F.interpolate(x, middle.shape[-2:], mode="nearest")
        return own.out(F.relu(own.norms[3](own.layers[3](x))))
