"""Video Swin (Liu et al. 2022): windows over time and picture. The parts, their names and weights are torchvision's.

One frame a patch, where the published network takes two, so that every frame has maps of its own, as in models that
mark the pixels of every frame. Windows are 8 frames of 7 x 7 pixels, shrunk to what there is, as published.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torchvision.models.video.swin_transformer import SwinTransformer3d

TINY: dict[str, Any] = {"embed_dim": 96, "depths": [2, 2, 6, 2], "num_heads": [3, 6, 12, 24], "window_size": [8, 7, 7]}


class VideoSwin(nn.Module):
    """Four maps a frame at strides 4, 8, 16, 32, each normalised; the tiny one by default, of 27,847,206 parameters.

    Keys are torchvision's (`patch_embed`, `features.{i}`), and `norms.{i}` for the norms of the maps.
    """

    clips: ClassVar[bool] = True
    """Frames of a clip see each other, so it wants to know which frames make a clip."""

    def __init__(self, options: Mapping[str, Any] | None = None) -> None:
        """
        Args:
            options: of torchvision's `SwinTransformer3d`, in place of the tiny network's.

        Raises:
            ValueError: another size of patches.
        """
        super().__init__()
        if "patch_size" in (options or {}):
            raise ValueError("video_swin_tiny got the option patch_size; its patches are one frame of 4 x 4 pixels")
        network = SwinTransformer3d(**{**TINY, **(options or {}), "patch_size": [1, 4, 4], "num_classes": 1})
        self.patch_embed = network.patch_embed
        self.pos_drop = network.pos_drop
        self.features = network.features
        first = int(self.patch_embed.proj.out_channels)
        self.channels = tuple(first * 2**stage for stage in range((len(self.features) + 1) // 2))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for width in self.channels)

    def forward(self, images: Tensor, lengths: Sequence[int] | None = None) -> list[Tensor]:
        """
        Args:
            images: (M, 3, H, W) normalised pictures, clip after clip.
            lengths: frames of each clip; None: each picture is a clip of its own.

        Returns:
            Maps (M, C_i, H_i, W_i), sides halved and rounded up from H / 4 on. Clips are on their own.

        Raises:
            ValueError: lengths that do not sum up to M, or one below 1.
        """
        frames = [1] * len(images) if lengths is None else list(lengths)
        if sum(frames) != len(images) or min(frames, default=1) < 1:
            raise ValueError(
                f"{len(images)} pictures came as clips of {frames} frames, wanted clips that are all of them"
            )
        patches = self.pos_drop(self.patch_embed(images.transpose(0, 1)[None]))[0]  # (M, h, w, C)
        if len(set(frames)) == 1:
            return self._stages(patches, frames[0])
        clips = torch.split(torch.arange(len(images), device=images.device), frames)
        parts, order = [], []
        for length in sorted(set(frames)):
            same = torch.cat([clip for clip in clips if len(clip) == length])
            parts.append(self._stages(patches[same], length))
            order.append(same)
        back = torch.cat(order).argsort()
        return [torch.cat(maps)[back] for maps in zip(*parts, strict=True)]

    def _stages(self, patches: Tensor, length: int) -> list[Tensor]:
        """(M, h, w, C) patches of clips of one length -> the maps."""
        x = torch.unflatten(patches, 0, (-1, length))  # (clips, frames, h, w, C)
        maps = []
        for index, part in enumerate(self.features):
            x = part(x)
            if index % 2 == 0:  # stages and what halves their maps take turns
                maps.append(self.norms[index // 2](x).flatten(0, 1).permute(0, 3, 1, 2))
        return maps


def one_frame_patches(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of torchvision's `swin3d_t` as those of `VideoSwin`: what it makes of clips whose frames come twice.

    The patch embedding is summed over its two frames; the norm after the last stage becomes that stage's; the
    classifier is left out. There are none for the norms of the other stages.
    """
    adapted = {}
    for name, value in state.items():
        if name == "patch_embed.proj.weight":
            adapted[name] = value.sum(2, keepdim=True)
        elif name.startswith("norm."):
            adapted[name.replace("norm.", "norms.3.", 1)] = value
        elif not name.startswith("head."):
            adapted[name] = value
    return adapted
