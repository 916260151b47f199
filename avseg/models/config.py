"""What configs of families have in common. Imports no torch."""

from __future__ import annotations

from avseg.config import ModelConfig

Option = bool | int | float | str
"""What is passed to timm."""
VGGISH_WIDTH = 128


def check_hearing(config: ModelConfig) -> None:
    """Of a config with the fields `audio_network`, `audio_width` and `sounding_weight`.

    Raises:
        ValueError: fields that contradict each other.
    """
    values = vars(config)
    if values["audio_network"] == "vggish" and values["audio_width"] != VGGISH_WIDTH:
        raise ValueError(f"VGGish embeddings have {VGGISH_WIDTH} channels, audio_width is {values['audio_width']}")
    if values["sounding_weight"] < 0:
        raise ValueError(f"sounding_weight {values['sounding_weight']} is negative; 0 leaves the loss out")
