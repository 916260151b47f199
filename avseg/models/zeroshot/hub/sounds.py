"""Windows of sound on their way into a tagger."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from torch import Tensor


def sounds(windows: Tensor, rate: int, least: int, most: int | None = None) -> list[npt.NDArray[np.float32]]:
    """(N, S) windows of sound as N arrays (S,).

    Args:
        windows: of one channel.
        rate: Hz, for the sentence.
        least: samples of the shortest window.
        most: samples of the longest; None for any.

    Raises:
        ValueError: another shape, no window, or windows that are too short or too long.
    """
    samples = windows.shape[1] if windows.ndim == 2 and len(windows) else -1
    if not least <= samples <= (samples if most is None else most):
        wanted = f"S >= {least}" if most is None else f"{least} <= S <= {most}"
        raise ValueError(
            f"the tagger got windows of sound of shape {tuple(windows.shape)}, wanted (N, S) with {wanted} at {rate} "
            "Hz; mix channels into one before, and give the config a window of sound that fits (audio=hearing(SECONDS))"
        )
    return list(windows.detach().float().cpu().numpy())
