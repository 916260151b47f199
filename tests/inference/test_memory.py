"""Memory does not grow with the length of a video."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from avseg.io.video import write_video
from inference.media import tone
from peaks import peaks

PICTURE_MIB = 640 * 360 * 3 / 2**20


def film(seconds: int) -> Iterator[np.ndarray]:
    """One 640x360 picture a second: a bright square that moves."""
    for i in range(seconds):
        picture = np.full((360, 640, 3), 30, np.uint8)
        left = 8 * (i % 60)
        picture[100:200, left : left + 120] = 220
        yield picture


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
def test_four_minutes_need_no_more_memory_than_one(tmp_path: Path) -> None:
    videos = []
    for minutes in (1, 4):
        path = tmp_path / f"{minutes}.mp4"
        write_video(path, film(60 * minutes), 1, tone(60 * minutes, 16000, 2), 16000)
        videos.append(str(path))
    script = Path(__file__).with_name("peak.py")
    one, four = peaks(script, str(tmp_path / "out"), *videos)
    held_pictures = (240 - 60) * PICTURE_MIB
    assert four < 1.1 * one, (one, four)
    assert four - one < 0.25 * held_pictures, (one, four)  # as if a quarter of the pictures had been kept


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
def test_tracking_a_long_clip_needs_no_more_memory_than_a_short_one() -> None:
    script = Path(__file__).with_name("peak_tracks.py")
    short, long = peaks(script, "40", "160")
    held_maps = (160 - 40) * 256 * 48 * 80 * 4 / 2**20  # MiB, had the maps of all frames been kept
    assert long - short < 0.15 * held_maps, (short, long)
