"""Log-mel pictures for the eye: low tones below, loud parts bright."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

DARK, BRIGHT = np.array([18, 22, 38]), np.array([255, 214, 120])


def paint_log_mel(
    log_mel: NDArray[np.float32], size: tuple[int, int], limits: tuple[float, float] | None = None
) -> NDArray[np.uint8]:
    """(L, M) log-mel over L moments and M bands as a picture (H, W, 3) of `size` (H, W).

    `limits` are the values that are all dark and all bright; by default the lowest and the highest there is.
    """
    low, high = limits or (float(log_mel.min()), float(log_mel.max()))
    share = np.clip((log_mel - low) / max(high - low, 1e-6), 0, 1)
    grey = Image.fromarray((255 * share.T[::-1]).astype(np.uint8)).resize(size[::-1], Image.Resampling.BILINEAR)
    mix = np.asarray(grey)[..., None] / 255.0
    picture: NDArray[np.uint8] = (DARK + mix * (BRIGHT - DARK)).astype(np.uint8)
    return picture
