"""The segmentation network: a decoder's features of the picture, one vector of sound, their fusion, a classifier."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from avseg.models.cavp.config import CAVPConfig
from avseg.models.cavp.deeplab import DecoderOutput, DeepLabDecoder
from avseg.models.cavp.fusion import AudioFusion, VisualProjector
from avseg.models.cavp.hrnet import HRNetDecoder
from avseg.models.cavp.ocr import OCRDecoder
from avseg.nn.audio_resnet import AudioResNet18
from avseg.nn.backbones import DEEP_RESNETS, make_backbone
from avseg.nn.small_audio import SmallAudioNet
from avseg.nn.vggish import VGGish

Decoder = DeepLabDecoder | HRNetDecoder | OCRDecoder


class CAVPNetwork(nn.Module):
    """Normalised pictures and log-mel pictures in; logits and fused embeddings at a quarter of the size out.

    A training step sees and hears separately, since the features of B pictures meet 2B sounds, and the norms of each
    part must see what the published ones do: those of `see` B pictures, those of `classify` all 2B embeddings.
    """

    def __init__(self, classes: int, config: CAVPConfig) -> None:
        """
        Args:
            classes: channels of the logits, background included; 2 for binary tasks.
            config: the family's config.

        Raises:
            ValueError: an unknown backbone, widths that the heads do not divide.
        """
        super().__init__()
        stride = config.output_stride if config.backbone in DEEP_RESNETS else 32
        self.backbone = make_backbone(config.backbone, config.backbone_options, stride)
        self.decoder: Decoder = _decoder(self.backbone.channels, classes, config)
        self.width = self.decoder.width
        self.projector = VisualProjector(self.width)
        self.fusion = AudioFusion(self.width, config.heads, config.coordinates)
        self.audio = _audio_network(self.width, config)
        self.to(memory_format=torch.channels_last)

    def see(self, images: Tensor) -> DecoderOutput:
        """(N, 3, H, W) normalised -> features (N, D, H / 4, W / 4), and with OCR auxiliary logits."""
        seen: DecoderOutput = self.decoder(self.backbone(images.contiguous(memory_format=torch.channels_last)))
        return seen

    def hear(self, log_mel: Tensor) -> Tensor:
        """(M, A, L, 64) -> (M, D)."""
        heard: Tensor = self.audio(log_mel)
        return heard

    def fuse(self, seen: Tensor, heard: Tensor) -> Tensor:
        """Embeddings of pictures with sounds.

        Args:
            seen: (N, D, h, w), the features of `see`.
            heard: (R * N, D), R sounds for every picture: first one for each, then another for each.

        Returns:
            (R * N, D, h, w). What depends on the picture alone is computed once.

        Raises:
            ValueError: a number of sounds that is no multiple of that of pictures.
        """
        sounds, pictures = heard.shape[0], seen.shape[0]
        if pictures == 0 or sounds % pictures or sounds == 0:
            raise ValueError(f"{sounds} sounds for {pictures} pictures; wanted as many, or a multiple")
        fused: Tensor = self.fusion(self.fusion.tokens(seen, self.projector), heard)
        return _map(fused, seen)

    def attend(self, seen: Tensor, heard: Tensor) -> Tensor:
        """The attention, to look at: (N, D, h, w) and (R * N, D) -> (R * N, heads, h, w) in (0, 1)."""
        alpha = self.fusion.attention(self.fusion.tokens(seen, self.projector), heard)
        return _map(alpha, seen)

    def classify(self, embeddings: Tensor, keep: int | None = None) -> Tensor:
        """Logits of the first `keep` embeddings: (M, D, h, w) -> (keep, classes, h, w).

        In training the batch norms on the way see all M.
        """
        return self.decoder.classify(embeddings, embeddings.shape[0] if keep is None else keep)

    def forward(self, images: Tensor, log_mel: Tensor) -> tuple[Tensor, Tensor]:
        """
        Args:
            images: (N, 3, H, W) normalised.
            log_mel: (R * N, A, L, 64), see `fuse`.

        Returns:
            Logits (R * N, classes, H / 4, W / 4) and embeddings (R * N, D, H / 4, W / 4).
        """
        embeddings = self.fuse(self.see(images).features, self.hear(log_mel))
        return self.classify(embeddings), embeddings


def _map(rows: Tensor, like: Tensor) -> Tensor:
    """(M, h * w, C) -> (M, C, h, w) of the size of `like`."""
    return torch.unflatten(rows.transpose(1, 2), 2, like.shape[-2:])


def _decoder(channels: Sequence[int], classes: int, config: CAVPConfig) -> Decoder:
    if config.decoder == "hrnet":
        return HRNetDecoder(channels, classes)
    if config.decoder == "ocr":
        return OCRDecoder(channels, classes, 2 * config.head_width)
    return DeepLabDecoder(channels, classes, config.aspp_width, config.detail_width, config.head_width)


def _audio_network(width: int, config: CAVPConfig) -> nn.Module:
    if config.audio_network == "vgg":
        return VGGish(width)
    if config.audio_network == "small":
        return SmallAudioNet(width, in_channels=config.audio_channels)
    return AudioResNet18(width, config.audio_channels)
