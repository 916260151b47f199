"""One frame per second of a raw video, by the published rule of AVSBench."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F


def published_indices(fps: float, seconds: int) -> list[int]:
    """Return the frame number for each second: the last of 16 positions in it.

    The published extraction takes frame int(l * fps + (15 / 16) * fps) for second l, fps rounded to a whole number.
    """
    rate = max(round(fps), 1)
    return [int(second * rate + 15 / 16 * rate) for second in range(seconds)]


def extract_frames(video: Path, seconds: int) -> list[NDArray[np.uint8]]:
    """Return the frames of `published_indices`, (H, W, 3) RGB at the video's size; past the end the last frame is
    repeated.

    Raises:
        MediaError: a file without pictures.
    """
    from avseg.io.video import iter_frames, probe

    wanted = published_indices(probe(video).fps, seconds)
    taken: list[NDArray[np.uint8]] = []
    picture = None
    for number, (_, picture) in enumerate(iter_frames(video)):
        while len(taken) < seconds and wanted[len(taken)] == number:
            taken.append(picture)
        if len(taken) == seconds:
            break
    if picture is None:
        raise ValueError(f"{video} has no frames")
    return taken + [picture] * (seconds - len(taken))


def stretch(picture: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Resize (H, W, 3) to `size` (H, W), bilinear without antialiasing, as in the published files."""
    if picture.shape[:2] == size:
        return picture
    tensor = torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None].float()
    sized = F.interpolate(tensor, size=size, mode="bilinear", align_corners=False)
    return sized.round().clamp(0, 255).to(torch.uint8)[0].permute(1, 2, 0).contiguous().numpy()
