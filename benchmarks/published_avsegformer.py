"""The published form of AVSegFormer, transcribed plainly from its description (Gao et al. 2024): the other side.

It borrows the weights of our network and computes as told: pictures channels first, torch's multi-head attention with
the affinities it returns, samples of deformable attention stacked before they are summed, keys and values of the mixer
at all pixels, the maps of 300 queries, and 128 channels at the size of the picture.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from avseg.models.avsegformer.network import AVSegFormerNetwork
from avseg.models.avsegformer.queries import GeneratorLayer
from avseg.nn.deform import DeformableAttention, Size, centres
from avseg.nn.deform_encoder import DeformableEncoder, DeformableLayer
from avseg.nn.transformer import FeedForward, TokenDecoderLayer


def attention(ours: nn.Module, heads: int, bias: bool, dropout: float = 0.0) -> nn.MultiheadAttention:
    theirs = nn.MultiheadAttention(ours.in_proj_weight.shape[1], heads, dropout, bias, batch_first=True)
    theirs.load_state_dict(ours.state_dict())
    return theirs


class PublishedFeedForward(nn.Module):
    def __init__(self, ours: FeedForward) -> None:
        super().__init__()
        self.linear1, self.linear2, self.norm = ours.linear1, ours.linear2, ours.norm
        self.inner, self.outer = (nn.Dropout(ours.dropout.p) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x + self.outer(self.linear2(self.inner(F.gelu(self.linear1(x))))))


class PublishedGeneratorLayer(nn.Module):
    def __init__(self, ours: GeneratorLayer) -> None:
        super().__init__()
        heads = ours.self_attention.heads
        self.self_attn = attention(ours.self_attention, heads, bias=False)
        self.cross_attn = attention(ours.sound_attention, heads, bias=False)
        self.norm1, self.norm2 = ours.self_norm, ours.sound_norm
        self.feed_forward = PublishedFeedForward(ours.feed_forward)

    def forward(self, queries: Tensor, sound: Tensor) -> Tensor:
        """(N, Q, D) and (N, 1, D) -> (N, Q, D)."""
        queries = self.norm1(queries + self.self_attn(queries, queries, queries)[0])
        queries = self.norm2(queries + self.cross_attn(queries, sound, sound)[0])
        return self.feed_forward(queries)


class PublishedDeformable(nn.Module):
    def __init__(self, ours: DeformableAttention) -> None:
        super().__init__()
        self.heads, self.levels, self.points = ours.heads, ours.levels, ours.points
        self.sampling_offsets, self.attention_weights = ours.sampling_offsets, ours.attention_weights
        self.value_proj, self.output_proj = ours.value_proj, ours.output_proj

    def forward(self, query: Tensor, places: Tensor, tokens: Tensor, sizes: list[Size]) -> Tensor:
        n, q, _ = query.shape
        value = self.value_proj(tokens).reshape(n, tokens.shape[1], self.heads, -1)
        offsets = self.sampling_offsets(query).reshape(n, q, self.heads, self.levels, self.points, 2)
        weights = self.attention_weights(query).reshape(n, q, self.heads, -1).softmax(-1)
        scale = torch.tensor([[w, h] for h, w in sizes], dtype=query.dtype)
        locations = places[None, :, None, None, None] + offsets / scale[None, None, None, :, None]
        grids, found, start = 2 * locations - 1, [], 0
        for level, (height, width) in enumerate(sizes):
            rows = value[:, start : start + height * width].flatten(2).transpose(1, 2)
            picture = rows.reshape(n * self.heads, -1, height, width)
            grid = grids[:, :, :, level].transpose(1, 2).flatten(0, 1)  # (N * heads, Q, points, 2)
            found.append(F.grid_sample(picture, grid, mode="bilinear", padding_mode="zeros", align_corners=False))
            start += height * width
        samples = torch.stack(found, -2).flatten(-2)  # (N * heads, d, Q, levels * points)
        shares = weights.transpose(1, 2).reshape(n * self.heads, 1, q, -1)
        summed = (samples * shares).sum(-1).reshape(n, -1, q).transpose(1, 2)
        return self.output_proj(summed.contiguous())


class PublishedEncoderLayer(nn.Module):
    def __init__(self, ours: DeformableLayer) -> None:
        super().__init__()
        self.attention, self.norm = PublishedDeformable(ours.attention), ours.norm
        self.dropout, self.feed_forward = nn.Dropout(ours.dropout.p), PublishedFeedForward(ours.feed_forward)

    def forward(self, x: Tensor, position: Tensor, places: Tensor, sizes: list[Size]) -> Tensor:
        x = self.norm(x + self.dropout(self.attention(x + position, places, x, sizes)))
        return self.feed_forward(x)


class PublishedDecoderLayer(nn.Module):
    def __init__(self, ours: TokenDecoderLayer) -> None:
        super().__init__()
        own, other = ours.self_attention, ours.cross_attention
        heads, dropout = own.attention.heads, own.attention.dropout
        self.self_attn, self.cross_attn = (attention(x.attention, heads, True, dropout) for x in (own, other))
        self.norm1, self.norm2 = own.norm, other.norm
        self.dropout1, self.dropout2 = nn.Dropout(dropout), nn.Dropout(dropout)
        self.feed_forward = PublishedFeedForward(ours.feed_forward)

    def forward(self, queries: Tensor, memory: Tensor) -> Tensor:
        queries = self.norm1(queries + self.dropout1(self.self_attn(queries, queries, queries)[0]))
        queries = self.norm2(queries + self.dropout2(self.cross_attn(queries, memory, memory)[0]))
        return self.feed_forward(queries)


class PublishedHead(nn.Module):
    """Mixer, maps of the queries, three 1x1 convolutions, and the head at the size of the picture."""

    def __init__(self, ours: AVSegFormerNetwork) -> None:
        super().__init__()
        mixer, head = ours.mixer, ours.head
        self.heads, self.q_proj, self.kv_proj, self.proj = mixer.heads, mixer.query, mixer.key_value, mixer.project
        self.mlp = nn.ModuleList(pointwise(linear) for linear in (head.enter, head.mix, head.leave))
        second = nn.Conv2d(head.second.weight.shape[1], head.second.weight.shape[0], 3, padding=1)
        second.load_state_dict(head.second.state_dict())
        enlarge = nn.Upsample(scale_factor=4, mode="bilinear", align_corners=False)
        self.fc = nn.Sequential(head.first, enlarge, second, nn.ReLU(), head.classify)

    def forward(self, feature: Tensor, queries: Tensor, sound: Tensor) -> tuple[Tensor, Tensor]:
        n, width, h, w = feature.shape
        rows = feature.flatten(2).transpose(1, 2)  # (N, P, D)
        kv = self.kv_proj(rows).reshape(n, h * w, 2, self.heads, -1).permute(2, 0, 3, 1, 4)
        q = self.q_proj(sound).reshape(n, 1, self.heads, -1).transpose(1, 2)
        affinity = (q @ kv[0].transpose(-2, -1) * q.shape[-1] ** -0.5).softmax(-1)
        gate = torch.sigmoid(self.proj((affinity @ kv[1]).transpose(1, 2).reshape(n, width)))
        feature = torch.einsum("nchw,nc->nchw", feature, gate)
        x = torch.einsum("nqc,nchw->nqhw", queries, feature)
        for index, layer in enumerate(self.mlp):
            x = layer(x) if index == 2 else F.relu(layer(x))
        return self.fc(feature + x), feature


class PublishedNetwork(nn.Module):
    """The whole network, channels first."""

    def __init__(self, network: AVSegFormerNetwork) -> None:
        super().__init__()
        ours = copy.deepcopy(network).to(memory_format=torch.contiguous_format)
        self.backbone, self.audio_proj, self.in_proj = ours.backbone, ours.audio_projection, ours.projections
        self.query, self.learnable_query = ours.generator.table, ours.table
        self.generator = nn.ModuleList(PublishedGeneratorLayer(layer) for layer in ours.generator.layers)
        self.places: DeformableEncoder = ours.encoder
        self.encoder = nn.ModuleList(PublishedEncoderLayer(layer) for layer in ours.encoder.layers)
        self.decoder = nn.ModuleList(PublishedDecoderLayer(layer) for layer in ours.decoder)
        self.lateral, self.smooth, self.head = ours.lateral, ours.smooth, PublishedHead(ours)

    def forward(self, images: Tensor, sound: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3, H, W) and (N, W) -> logits (N, C, H, W) and the mask feature."""
        maps = [project(x) for project, x in zip(self.in_proj, self.backbone(images), strict=True)]
        heard = self.audio_proj(sound)[:, None]  # (N, 1, D)
        sizes: list[Size] = [(x.shape[2], x.shape[3]) for x in maps[1:]]
        memory = torch.cat([x.flatten(2).transpose(1, 2) for x in maps[1:]], 1)
        position, places = self.places.positions(memory, sizes), centres(sizes)
        for layer in self.encoder:
            memory = layer(memory, position, places, sizes)
        queries = self.query[None].repeat(len(images), 1, 1)
        for layer in self.generator:
            queries = layer(queries, heard)
        queries = queries + self.learnable_query
        for layer in self.decoder:
            queries = layer(queries, memory)
        (h, w), _, _ = sizes
        seen = memory[:, : h * w].transpose(1, 2).reshape(len(images), -1, h, w)
        lateral = self.lateral(maps[0])
        lateral = lateral + F.interpolate(seen, lateral.shape[-2:], mode="bilinear", align_corners=False)
        return self.head(F.relu(self.smooth(lateral)), queries, heard)


def pointwise(linear: nn.Linear) -> nn.Conv2d:
    conv = nn.Conv2d(linear.in_features, linear.out_features, 1)
    conv.load_state_dict({"weight": linear.weight[..., None, None], "bias": linear.bias})
    return conv
