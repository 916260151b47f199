"""What models share that hear vectors, some for each second: shipped with clips, or made by a network of their own."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from avseg.config import AudioWindow
from avseg.nn.audio import log_mel_windows
from avseg.nn.small_audio import SmallAudioNet
from avseg.nn.vggish import VGGish
from avseg.types import Batch


def make_audio_network(kind: str, width: int) -> nn.Module | None:
    """`vggish`, which does not learn, `small`, which does, or none."""
    if kind == "vggish":
        return VGGish().requires_grad_(False)
    return SmallAudioNet(width) if kind == "small" else None


def heard_vectors(
    batch: Batch, kind: str, network: nn.Module | None, window: AudioWindow, width: int, *, parts: bool = False
) -> Tensor:
    """(B, T, W) what is heard in the second of each frame: as it came with the clips, or made of their sound.

    Args:
        batch: clips with features (T, W), or with sound.
        kind: as for `make_audio_network`; a network that learns makes vectors of its own whatever came.
        network: what that function made.
        window: of the sound.
        width: W.
        parts: features (T, S, W), of S parts of each second, are taken too: (B, T, S, W) then.

    Raises:
        ValueError: features of another width, or no network and clips without features.
    """
    shipped = batch.audio_features
    if shipped is not None and shipped.ndim in ((3, 4) if parts else (3,)) and kind != "small":
        if shipped.shape[-1] != width:
            raise ValueError(f"audio features have {shipped.shape[-1]} channels, and this model hears {width}")
        return shipped.float()
    if network is None:
        got = "no audio features" if shipped is None else f"features of shape {tuple(shipped.shape)}"
        raise ValueError(
            f"the clips have {got}, and this model hears vectors of {width} channels; read them with data.audio "
            "features, or give the model an audio network (config.audio_network; converted ones by --vggish)"
        )
    log_mel = log_mel_windows(batch, window)  # (B, T, 1, L, 64)
    with torch.set_grad_enabled(torch.is_grad_enabled() and kind != "vggish"):
        heard: Tensor = network(log_mel.flatten(0, 1))
    return torch.unflatten(heard, 0, log_mel.shape[:2])
