"""The published formulation of CAVP, transcribed plainly from its equations (Chen et al. 2024): the other side.

DeepLabV3+ on ResNet-50, as it is computed there: pictures channels first; pixel features concatenated with a copy for
the shuffled sounds before projector and attention; queries, keys and values of every token; a second attention, of the
sound to the pixels, whose result is thrown away; logits of both halves at the size of the picture. Modules have the
names of published checkpoints, so that weights go to our network through its converter.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import resnet18


class Bottleneck(nn.Module):
    def __init__(self, entering: int, inner: int, stride: int, dilation: int) -> None:
        super().__init__()
        leaving = 4 * inner
        self.conv1, self.bn1 = nn.Conv2d(entering, inner, 1, bias=False), nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride, padding=dilation, dilation=dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3, self.bn3 = nn.Conv2d(inner, leaving, 1, bias=False), nn.BatchNorm2d(leaving)
        self.relu, self.downsample = nn.ReLU(inplace=True), None
        if stride > 1 or entering != leaving:
            shortcut = nn.Conv2d(entering, leaving, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(leaving))

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        out = out + (x if self.downsample is None else self.downsample(x))
        result: Tensor = self.relu(out)
        return result


class DeepResNet50(nn.Module):
    """A stem of three 3x3 convolutions; the last stage, or the last two, dilated in place of strides."""

    def __init__(self, output_stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(
            nn.Conv2d(3, 64, 3, 2, 1, bias=False),
            nn.BatchNorm2d(64),
            nn.ReLU(inplace=True),
            nn.Conv2d(64, 64, 3, 1, 1, bias=False),
            nn.BatchNorm2d(64),
            nn.ReLU(inplace=True),
            nn.Conv2d(64, 128, 3, 1, 1, bias=False),
        )
        self.bn1, self.relu, self.maxpool = nn.BatchNorm2d(128), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)
        dilated = output_stride == 8
        self.layer1 = stage(128, 64, 1, (1, 1, 1))
        self.layer2 = stage(256, 128, 2, (1, 1, 1, 1))
        self.layer3 = stage(512, 256, 1 if dilated else 2, (1,) + 5 * (2 if dilated else 1,))
        self.layer4 = stage(1024, 512, 1, (2, 4, 8))

    def forward(self, images: Tensor) -> list[Tensor]:
        maps = [self.maxpool(self.relu(self.bn1(self.conv1(images))))]
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            maps.append(layer(maps[-1]))
        return maps[1:]


def stage(entering: int, inner: int, stride: int, dilations: tuple[int, ...]) -> nn.Sequential:
    first = Bottleneck(entering, inner, stride, dilations[0])
    return nn.Sequential(first, *(Bottleneck(4 * inner, inner, 1, dilation) for dilation in dilations[1:]))


class PyramidPooling(nn.Module):
    def __init__(self, entering: int = 2048, inner: int = 256, leaving: int = 256) -> None:
        super().__init__()
        wide = [nn.Conv2d(entering, inner, 3, padding=rate, dilation=rate, bias=False) for rate in (6, 12, 18)]
        self.map_convs = nn.ModuleList([nn.Conv2d(entering, inner, 1, bias=False), *wide])
        self.map_bn = nn.BatchNorm2d(4 * inner)
        self.global_pooling_conv = nn.Conv2d(entering, inner, 1, bias=False)
        self.global_pooling_bn = nn.BatchNorm2d(inner)
        self.red_conv = nn.Conv2d(4 * inner, leaving, 1, bias=False)
        self.pool_red_conv = nn.Conv2d(inner, leaving, 1, bias=False)
        self.red_bn = nn.BatchNorm2d(leaving)

    def forward(self, x: Tensor) -> Tensor:
        maps = torch.cat([convolution(x) for convolution in self.map_convs], 1)
        reduced = self.red_conv(F.leaky_relu(self.map_bn(maps), 0.01))
        pooled = self.global_pooling_conv(x.mean((2, 3), keepdim=True))
        pooled = self.pool_red_conv(F.leaky_relu(self.global_pooling_bn(pooled), 0.01))
        return F.leaky_relu(self.red_bn(reduced + pooled.expand_as(reduced)), 0.01)


class Segment(nn.Module):
    """The pyramid and the detail map beside it, then two convolutions and the classifier."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.aspp = PyramidPooling()
        self.reduce = nn.Sequential(nn.Conv2d(256, 48, 1, bias=False), nn.BatchNorm2d(48), nn.ReLU())
        convolutions = nn.Sequential(
            nn.Conv2d(304, 256, 3, padding=1, bias=False),
            nn.BatchNorm2d(256),
            nn.ReLU(),
            nn.Conv2d(256, 256, 3, padding=1, bias=False),
            nn.BatchNorm2d(256),
            nn.ReLU(),
        )
        self.upsample = nn.ModuleDict({"last_conv": convolutions, "classifier": nn.Conv2d(256, classes, 1)})

    def features(self, maps: list[Tensor]) -> Tensor:
        coarse = F.interpolate(self.aspp(maps[-1]), maps[0].shape[-2:], mode="bilinear", align_corners=True)
        return torch.cat([coarse, self.reduce(maps[0])], 1)

    def logits(self, embeddings: Tensor) -> Tensor:
        logits: Tensor = self.upsample["classifier"](self.upsample["last_conv"](embeddings))
        return logits


class Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v = (nn.Linear(width, width, bias=False) for _ in range(3))
        self.proj = nn.Linear(width, width)

    def forward(self, asking: Tensor, asked: Tensor) -> Tensor:
        """(M, P, D) and (M, Q, D) -> (M, P, D)."""
        query, key, value = (self.by_head(x) for x in (self.q(asking), self.k(asked), self.v(asked)))
        weights = torch.sigmoid(query @ key.transpose(-2, -1) * query.shape[-1] ** -0.5)  # (M, heads, P, Q)
        out: Tensor = self.proj((weights @ value).transpose(1, 2).flatten(2))
        return out

    def by_head(self, x: Tensor) -> Tensor:
        """(M, P, D) -> (M, heads, P, d)."""
        return x.reshape(*x.shape[:2], self.heads, -1).transpose(1, 2)


class Perceptron(nn.Module):
    """The two-layer network of the fusion, and the projector."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, inner), nn.Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc2(F.gelu(self.fc1(x)))
        return out


class Block(nn.Module):
    """Pixels ask the sound; then the sound asks the pixels, with the same weights."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn, self.mlp = Attention(width, heads), Perceptron(width, 4 * width)

    def forward(self, pixels: Tensor, sound: Tensor) -> tuple[Tensor, Tensor]:
        pixels, sound = self.norm1(pixels), self.norm1(sound)
        pixels = self.half(pixels, sound)
        return pixels, self.half(sound, pixels)

    def half(self, asking: Tensor, asked: Tensor) -> Tensor:
        x = asking + self.attn(asking, asked)
        out: Tensor = x + self.mlp(self.norm2(x))
        return out


class Embedding(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.proj(x)
        return out


class CrossAttention(nn.Module):
    def __init__(self, width: int, heads: int = 4) -> None:
        super().__init__()
        self.patch_embed_v, self.patch_embed_a = Embedding(width), Embedding(width)
        self.blocks = nn.ModuleList([Block(width, heads)])
        self.norm = nn.LayerNorm(width)

    def forward(self, pixels: Tensor, sound: Tensor) -> Tensor:
        """(M, P, D) and (M, D) -> (M, P, D)."""
        x, y = self.patch_embed_v(pixels), self.patch_embed_a(sound[:, None])
        for block in self.blocks:
            x, y = block(x, y)
        out: Tensor = self.norm(x)
        return out


class PublishedVGGish(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        entering = 1
        for group in ((64,), (128,), (256, 256), (512, 512)):
            for leaving in group:
                layers += [nn.Conv2d(entering, leaving, 3, padding=1), nn.ReLU(inplace=True)]
                entering = leaving
            layers.append(nn.MaxPool2d(2, 2))
        self.features = nn.Sequential(*layers)
        linear = [[nn.Linear(a, b), nn.ReLU()] for a, b in ((12288, 4096), (4096, 4096), (4096, width))]
        self.embeddings = nn.Sequential(*(layer for pair in linear for layer in pair))

    def forward(self, log_mel: Tensor) -> Tensor:
        embedding: Tensor = self.embeddings(self.features(log_mel).permute(0, 2, 3, 1).flatten(1))
        return embedding


def published_resnet18(width: int, channels: int) -> nn.Module:
    net = resnet18(num_classes=width)
    net.conv1 = nn.Conv2d(channels, 64, 7, 2, 3, bias=False)
    net.avgpool = nn.AdaptiveMaxPool2d(1)
    return net


class PublishedNetwork(nn.Module):
    """The whole network of a published setting; the sounds may be twice as many as the pictures."""

    def __init__(self, classes: int, output_stride: int, audio: str, channels: int = 1, width: int = 304) -> None:
        super().__init__()
        heard = PublishedVGGish(width) if audio == "vgg" else published_resnet18(width, channels)
        self.backbone = nn.ModuleDict({"backbone": DeepResNet50(output_stride)})
        self.segment = Segment(classes)
        self.cross_att = CrossAttention(width)
        self.visual_projector = Perceptron(width, 256)
        self.audio_backbone = nn.ModuleDict({"backbone": heard})
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
            if isinstance(module, Bottleneck):
                nn.init.constant_(module.bn3.weight, 0.5)  # or sixteen blocks double what they pass on

    def forward(self, images: Tensor, log_mel: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3, H, W) and (R * N, A, L, 64), R = 1 or 2 -> logits (R * N, K, H, W), embeddings (R * N, D, h, w)."""
        heard = self.audio_backbone["backbone"](log_mel)
        seen = self.segment.features(self.backbone["backbone"](images))
        if len(heard) > len(seen):
            seen = torch.cat([seen, seen])
        projected = self.visual_projector(seen.flatten(2).transpose(1, 2))
        embeddings = self.cross_att(projected, heard).transpose(1, 2).reshape(seen.shape)
        logits = self.segment.logits(embeddings)
        return F.interpolate(logits, images.shape[-2:], mode="bilinear", align_corners=False), embeddings


def published_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Of the first half; the second enters times zero."""
    half = len(labels)
    return F.cross_entropy(logits[:half], labels, ignore_index=255) + 0.0 * logits[half:].sum()
