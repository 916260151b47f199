"""The published formulation of TPAVI, transcribed plainly from its equations (Zhou et al. 2022): the other side.

It borrows the weights of our network and computes as published: pictures channels first, four dilated convolutions
summed, and the affinity of all pixels of five frames with all others as one matrix.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from avseg.models.tpavi.network import ResidualUnit, TPAVINetwork
from avseg.nn.attention import AudioVisualAttention


class PublishedBlock(nn.Module):
    """theta^T phi / N g, then projection, batch norm, residual and layer norm."""

    def __init__(self, block: AudioVisualAttention) -> None:
        super().__init__()
        self.align, self.layer_norm, norm = block.align, block.layer_norm, block.batch_norm
        self.theta, self.phi, self.g = (pointwise(linear) for linear in (block.query, block.key, block.value))
        self.project = pointwise(block.project)
        self.batch_norm = nn.BatchNorm3d(norm.num_features)
        self.batch_norm.load_state_dict(norm.state_dict())

    def forward(self, x: Tensor, audio: Tensor | None, group: int) -> Tensor:
        """(N, C, H, W) and (N, D) -> (N, C, H, W)."""
        n, c, h, w = x.shape
        maps = x.reshape(n // group, group, c, h, w).transpose(1, 2)  # (G, C, T, H, W)
        keyed = maps
        if audio is not None:
            aligned = self.align(audio).reshape(n // group, group, c).transpose(1, 2)  # (G, C, T)
            keyed = aligned[..., None, None].expand_as(maps)
        theta, phi, g = self.theta(maps).flatten(2), self.phi(keyed).flatten(2), self.g(maps).flatten(2)  # (G, I, THW)
        affinity = theta.transpose(1, 2) @ phi  # (G, THW, THW)
        affinity = affinity / affinity.shape[-1]
        y = (affinity @ g.transpose(1, 2)).transpose(1, 2).reshape(n // group, -1, group, h, w)
        z = self.batch_norm(self.project(y)) + maps
        out = self.layer_norm(z.permute(0, 2, 3, 4, 1))  # (G, T, H, W, C)
        return out.permute(0, 1, 4, 2, 3).reshape(n, c, h, w)


def pointwise(linear: nn.Linear) -> nn.Conv3d:
    conv = nn.Conv3d(linear.in_features, linear.out_features, 1)
    conv.load_state_dict({"weight": linear.weight[..., None, None, None], "bias": linear.bias})
    return conv


class PublishedNetwork(nn.Module):
    """The whole network, channels first."""

    def __init__(self, network: TPAVINetwork) -> None:
        super().__init__()
        network = copy.deepcopy(network).to(memory_format=torch.contiguous_format)
        self.backbone, self.neck = network.backbone, network.neck
        self.decoder, self.head, self.group = network.decoder, network.head, network.group
        self.attention = nn.ModuleDict({stage: PublishedBlock(block) for stage, block in network.attention.items()})

    def forward(self, images: Tensor, audio: Tensor) -> Tensor:
        """(N, 3, H, W) and (N, D) -> (N, C, H, W) logits."""
        maps = []
        for stage, feature in enumerate(self.backbone(images)):
            x = sum(branch(feature) for branch in self.neck[stage].branches)
            maps.append(self.attention[str(stage)](x, audio, self.group))
        out = self.up(self.unit(self.decoder[3].refine, maps[3]))
        for stage in (2, 1, 0):
            fusion = self.decoder[stage]
            out = self.up(self.unit(fusion.refine, out + self.unit(fusion.enter, maps[stage])))
        x = F.interpolate(self.head.first(out), scale_factor=2, mode="bilinear", align_corners=False)
        return self.head.classify(F.relu(self.head.second(x)))

    @staticmethod
    def unit(unit: ResidualUnit, x: Tensor) -> Tensor:
        x = F.relu(x)
        return unit.second(F.relu(unit.first(x))) + x

    @staticmethod
    def up(x: Tensor) -> Tensor:
        return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)
