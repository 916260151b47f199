"""How models hear a vector each second: shipped with clips, or made by a network of their own; and a head on it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from avseg.config import AudioWindow, ModelConfig
from avseg.losses.dense import sounding_loss
from avseg.nn.audio import log_mel_windows
from avseg.nn.small_audio import SmallAudioNet
from avseg.nn.vggish import VGGish
from avseg.types import Batch


class FrozenVGGish(VGGish):
    """VGGish that does not learn: without gradients, and always in evaluation mode."""

    def __init__(self) -> None:
        super().__init__()
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> FrozenVGGish:
        super().train(False)
        return self

    @torch.no_grad()
    def forward(self, log_mel: Tensor) -> Tensor:
        """(N, 1, 96, 64) -> (N, 128)."""
        return super().forward(log_mel)


@dataclass(frozen=True)
class AudioEncoder:
    """The hearing of a model. It holds no module: models have them as `audio_network` and `sounding`, which state dicts
    name."""

    kind: str
    """`vggish`, which does not learn; `small`, which does; `none`: vectors come with the clips."""
    width: int
    """W, of a vector."""
    window: AudioWindow
    parts: bool = False
    """Features (T, S, W), of S parts of each second, are taken too."""
    sounding_weight: float = 0.0
    """The factor of the loss that asks the sound of every second alone which classes it is of."""

    @classmethod
    def of(cls, config: ModelConfig, parts: bool = False) -> AudioEncoder:
        """That of a config with the fields `audio_network`, `audio_width` and `sounding_weight`."""
        values = vars(config)
        return cls(
            values["audio_network"], values["audio_width"], config.audio, parts, values.get("sounding_weight", 0.0)
        )

    def network(self) -> nn.Module | None:
        """(N, 1, L, 64) -> (N, W); None where vectors come with the clips."""
        if self.kind == "vggish":
            return FrozenVGGish()
        return SmallAudioNet(self.width) if self.kind == "small" else None

    def sounding_head(self, classes: int | None) -> nn.Linear | None:
        """(..., W) -> (..., K) logits of the sounding classes; None where the loss is off.

        Args:
            classes: K; None or 0: the task has no classes, and the config names none.

        Raises:
            ValueError: the loss is on and there are no classes.
        """
        if not self.sounding_weight:
            return None
        if not classes:
            raise ValueError(
                "sounding_weight is on and the task is binary: give sounding_classes, the classes of the data set"
            )
        return nn.Linear(self.width, classes)

    def vectors(self, batch: Batch, network: nn.Module | None) -> Tensor:
        """(B, T, W), or (B, T, S, W) of parts: what is heard in the second of each frame.

        Args:
            batch: clips with features (T, W), or with sound. A network that learns makes vectors of its own whatever
                came.
            network: what `network` made.

        Raises:
            ValueError: features of another width, or no network and clips without features.
        """
        shipped = batch.audio_features
        if shipped is not None and shipped.ndim in ((3, 4) if self.parts else (3,)) and self.kind != "small":
            if shipped.shape[-1] != self.width:
                raise ValueError(f"audio features have {shipped.shape[-1]} channels, and this model hears {self.width}")
            return shipped.float()
        if network is None:
            got = "no audio features" if shipped is None else f"features of shape {tuple(shipped.shape)}"
            raise ValueError(
                f"the clips have {got}, and this model hears vectors of {self.width} channels; read them with "
                "data.audio features, or give the model an audio network (config.audio_network; converted ones by "
                "--vggish)"
            )
        log_mel = log_mel_windows(batch, self.window)  # (B, T, 1, L, 64)
        heard: Tensor = network(log_mel.flatten(0, 1))
        return torch.unflatten(heard, 0, log_mel.shape[:2])

    def sounding_term(self, logits: Tensor, sounding: Tensor, judged: Tensor) -> Tensor:
        """The weighted loss: (B, T, K) logits and truth over the (B, T) seconds that are judged."""
        return self.sounding_weight * sounding_loss(logits, sounding, judged)
