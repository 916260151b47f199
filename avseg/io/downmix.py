"""Mixing sound of any speaker layout to one or two channels, never louder than the loudest speaker."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def laid_out(
    sound: NDArray[np.float32], names: list[str], channels: int | None, usual: list[str]
) -> NDArray[np.float32]:
    """(A, n) of the speakers `names` as 1 or 2 channels, or, where `channels` is None, as the speakers `usual`.

    Sound whose layout changes keeps its loudness: mono is spread to left and right, left and right average to mono.
    Among more speakers those of the same name are meant; a layout of other names is mixed to left and right.

    Raises:
        ValueError: another number of channels.
    """
    if channels is not None:
        return mixed(sound, names, channels)
    if names == usual:
        return sound
    if len(usual) <= 2:
        return mixed(sound, names, len(usual))
    laid = np.zeros((len(usual), sound.shape[1]), np.float32)
    if not set(names) <= set(usual) or len(set(names)) < len(names):
        sound, names = mixed(sound, names, 2), ["FL", "FR"]
    places = {name: place for place, name in enumerate(usual)}
    for number, name in enumerate(names):
        laid[places.get(name, number)] = sound[number]
    return laid


def mixed(sound: NDArray[np.float32], names: list[str], channels: int | None) -> NDArray[np.float32]:
    """(A, n) of named speakers mixed down to 1 or 2 channels, never louder than the loudest speaker.

    Two channels: each side averages its own speakers (names that end in L or R) at weight 1 and the middle ones at
    0.7071; the low-frequency channel is left out. Mono is spread to both. One channel: the mean of the two sides
    where there are sides, the mean of all channels otherwise. None leaves the sound as it is.

    Raises:
        ValueError: another number of channels.
    """
    if channels is None or channels == sound.shape[0]:
        return sound
    if channels not in (1, 2):
        raise ValueError(f"sound can be mixed to 1 or 2 channels, got {channels}")
    gains = np.array([_gain(name) for name in names]).T
    if len(names) != sound.shape[0] or not gains.any(1).all():
        gains = np.ones((2, sound.shape[0]))
    gains = gains / gains.sum(1, keepdims=True)
    if channels == 1:
        gains = gains.mean(0, keepdims=True)
    down: NDArray[np.float32] = (gains @ sound).astype(np.float32)
    return down


def _gain(name: str) -> tuple[float, float]:
    """Weights of a speaker on the left and on the right side."""
    if name.startswith("LFE"):
        return 0.0, 0.0
    if name.endswith("L"):
        return 1.0, 0.0
    if name.endswith("R"):
        return 0.0, 1.0
    return 0.7071, 0.7071
