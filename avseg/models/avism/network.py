"""The network: pictures and their seconds' sound to frame queries, the queries of a whole clip to tracks."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from avseg.models.avism.config import AVISMConfig
from avseg.models.avism.detector import FrameDecoder
from avseg.models.avism.detector import FramePrediction as FramePrediction
from avseg.models.avism.video import ClipDecoder, VideoModule, WindowEncoder
from avseg.models.avism.video import ClipPrediction as ClipPrediction
from avseg.models.avism.video import Watched as Watched
from avseg.nn.backbones import make_backbone
from avseg.nn.pixel_decoder import PixelDecoder


@dataclass(frozen=True, eq=False)
class FrameOutput:
    """The output of the frame stage for N pictures."""

    queries: Tensor
    """(L, N, Q, D), normalised, after the last L layers of the frame decoder, earliest first."""
    clip_features: Tensor
    """(N, D, h, w) at a quarter of the size; their products with a clip query's embedding are its mask logits."""
    predictions: list[FramePrediction]
    """While training those before the first layer and after each; otherwise that after the last, or none."""


class AVISMNetwork(nn.Module):
    """Two stages: `look` at pictures, as many or as few at once as memory allows, then `watch` the clip they make."""

    def __init__(self, classes: int, config: AVISMConfig) -> None:
        """
        Args:
            classes: foreground classes K.
            config: the family's config.

        Raises:
            ValueError: an unknown backbone, a width that the heads or the norms' groups do not divide.
        """
        super().__init__()
        width, heads, inner = config.width, config.heads, config.feedforward
        self.backbone = make_backbone(config.backbone, config.backbone_options, frozen_norms=config.freeze_norms)
        self.pixel_decoder = PixelDecoder(
            self.backbone.channels, width, heads, config.pixel_layers, config.pixel_feedforward
        )
        self.detector = FrameDecoder(
            classes, width, heads, inner, config.frame_queries, config.frame_layers, config.audio_width
        )
        self.video = VideoModule(
            WindowEncoder(width, heads, inner, config.object_layers, config.window, config.audio_width),
            ClipDecoder(classes, width, heads, inner, config.frame_queries, config.clip_queries, config.clip_layers),
            width,
            nn.Linear(config.audio_width, width) if config.heard_masks else None,
        )
        self.to(memory_format=torch.channels_last)

    def look(self, images: Tensor, audio: Tensor, layers: int = 1, predict: bool = True) -> FrameOutput:
        """The frame stage; every picture is on its own.

        Args:
            images: (N, 3, H, W) normalised, sides padded to multiples of 32.
            audio: (N, audio_width), the sound of each picture's second.
            layers: last layers L of the frame decoder whose queries are wanted.
            predict: False: no predictions of single frames, which tracks do not need; training makes them anyway.

        Raises:
            ValueError: pictures and sounds of different numbers.
        """
        if images.shape[0] != audio.shape[0]:
            raise ValueError(f"{images.shape[0]} pictures came with {audio.shape[0]} sounds, wanted one sound for each")
        maps = self.pixel_decoder(self.backbone(images.contiguous(memory_format=torch.channels_last)))
        queries, predictions = self.detector(maps.coarse, maps.masks, audio, layers, predict)
        return FrameOutput(queries, self.video.features(maps.fine, audio), predictions)

    def watch(self, queries: Tensor, audio: Tensor) -> Watched:
        """The clip stage: (L, B, T, Q, D) frame queries and (B, T, audio_width) sounds of whole clips.

        Raises:
            ValueError: sounds of other clips or frames than the queries'.
        """
        watched: Watched = self.video(queries, audio)
        return watched
