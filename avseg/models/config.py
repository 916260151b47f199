"""Shared parts of the configurations of families. Imports no torch."""

from __future__ import annotations

from avseg.config import InputSpec, ModelConfig, Temporal

Option = bool | int | float | str
"""Return the arguments for timm."""
VGGISH_WIDTH = 128
PICTURES = InputSpec(multiple_of=32)
"""For backbones that halve a picture five times."""
FIVE_SECONDS, TEN_SECONDS = (Temporal("block", seconds, spacing=1.0, shown_after=0.9375) for seconds in (5, 10))
"""A frame of each second, taken near its end: the clips on which most published models were trained."""


def check_hearing(config: ModelConfig) -> None:
    """Check a config with the fields `audio_network`, `audio_width` and `sounding_weight`.

    Raises:
        ValueError: fields that contradict each other.
    """
    values = vars(config)
    if values["audio_network"] == "vggish" and values["audio_width"] != VGGISH_WIDTH:
        raise ValueError(f"VGGish embeddings have {VGGISH_WIDTH} channels, audio_width is {values['audio_width']}")
    if values["sounding_weight"] < 0:
        raise ValueError(f"sounding_weight {values['sounding_weight']} is negative; 0 leaves the loss out")


def check_least(config: ModelConfig, *names: str, least: int = 1) -> None:
    """
    Raises:
        ValueError: one of the fields `names` is less than `least`.
    """
    for name in names:
        if getattr(config, name) < least:
            raise ValueError(f"{name} {getattr(config, name)}, wanted {least} or more")


def check_dropout(config: ModelConfig) -> None:
    """
    Raises:
        ValueError: `dropout` is no share below 1.
    """
    if not 0 <= vars(config)["dropout"] < 1:
        raise ValueError(f"dropout {vars(config)['dropout']}, wanted a share from 0 to below 1")


def check_foreground_weight(config: ModelConfig) -> None:
    """
    Raises:
        ValueError: `foreground_weight` is not positive.
    """
    weight = vars(config)["foreground_weight"]
    if weight <= 0:
        raise ValueError(f"foreground_weight {weight}, wanted more than 0; 1 is the published form")
