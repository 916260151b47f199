"""A late part of a video: the same frames, bit for bit, as without passing over what comes before it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from avseg.io import pictures
from avseg.io.excerpt import excerpt
from avseg.io.late import DoubtError, Passed, late_frames
from avseg.io.media import Media
from avseg.io.video import iter_frames
from inference.recordings import record, restamped

COUNT = 110
CLOSED = "keyint=20:b-adapt=0:bframes=3"
OPEN = f"{CLOSED}:open-gop=1:b-pyramid=normal"
PARTS = ((0.5, 0.7), (2.5, 3.1), (3.2, 3.3), (4.39, None))


def even(number: int) -> int:
    return 40 * number


def uneven(number: int) -> int:
    """Steps of 40 and 73 ms, and a still of 2.5 s."""
    return 40 * number + 33 * (number // 7) + 2500 * (number // 50)


def film(path: Path, params: str, when: Callable[[int], int] = even, codec: str = "libx264") -> Path:
    """A pattern that moves, shown at `when(number)` ms."""
    ground = np.random.default_rng(0).integers(0, 255, (8, 8, 3), np.uint8)
    with av.open(str(path), "w") as out:
        kind = {"libx264": "x264-params", "libx265": "x265-params"}.get(codec)
        stream = out.add_stream(codec, rate=25, options={kind: params} if kind else {})
        stream.height, stream.width, stream.pix_fmt = 64, 96, "yuv420p"
        stream.codec_context.time_base, stream.codec_context.gop_size = Fraction(1, 1000), 20
        if kind:
            stream.codec_context.max_b_frames = 0 if "intra-refresh" in params else 3
        for number in range(COUNT):
            picture = np.kron(np.roll(ground, number // 3, 0), np.ones((8, 12, 1), np.uint8))
            frame = av.VideoFrame.from_ndarray(np.roll(picture, 2 * number, 1), format="rgb24")
            frame.pts, frame.time_base = when(number), Fraction(1, 1000)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def given(path: Path, part: tuple[float, float | None], fps: float | None = None) -> Any:
    """Times and bytes of the frames of a part, where it ends, and how many frames it has."""
    frames = iter_frames(excerpt(path, *part), fps)
    return [(time, picture.tobytes()) for time, picture in frames], frames.end, frames.count


def compare(path: Path, monkeypatch: pytest.MonkeyPatch, fps: float | None = None) -> list[int | str]:
    """Parts as they are and with everything decoded; gives the number of frames passed over, or why there was doubt."""
    told: list[int | str] = []

    def counted(media: Media, begin: float) -> Iterator[Any]:
        told.append(0)
        try:
            for frame in late_frames(media, begin):
                told[-1] += isinstance(frame, Passed)
                yield frame
        except DoubtError as doubt:
            told[-1] = str(doubt)
            raise

    for part in PARTS:
        monkeypatch.setattr(pictures, "late_frames", counted)
        found = given(path, part, fps)
        monkeypatch.setattr(pictures, "late_frames", lambda media, begin: media.frames(media.seen()))
        assert found == given(path, part, fps), part
        assert found[0]
    return told


@pytest.mark.parametrize(
    ("name", "params", "when", "codec"),
    [
        ("closed.mp4", CLOSED, even, "libx264"),
        ("open.mp4", OPEN, even, "libx264"),
        ("open.ts", OPEN, even, "libx264"),
        ("open.mkv", OPEN, even, "libx264"),
        ("uneven.mkv", OPEN, uneven, "libx264"),
        ("uneven.mp4", CLOSED, uneven, "libx264"),
        ("open.hevc.ts", "keyint=20:open-gop=1:log-level=none", even, "libx265"),
        ("simple.mkv", "", even, "mpeg4"),
    ],
)
def test_a_late_part_has_the_same_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, params: str, when: Callable[[int], int], codec: str
) -> None:
    told = compare(film(tmp_path / name, params, when, codec), monkeypatch)
    assert told[0] == 0 and all(isinstance(one, int) and one > 10 for one in (told[1], told[-1])), told
    assert when is uneven or told[-1] > 70, told


def test_pictures_of_a_grid_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert compare(film(tmp_path / "a.mkv", OPEN, uneven), monkeypatch, 4)[-1] > 10


def test_keyframes_that_are_refreshed_bit_by_bit_are_not_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = compare(film(tmp_path / "a.ts", "keyint=20:intra-refresh=1"), monkeypatch)
    assert told == [0, *["a keyframe that does not stand for itself"] * 3]


@pytest.mark.parametrize(
    ("change", "doubt"),
    [(0.0, "stamps start anew"), (0.04, "stamps that repeat")],
)
def test_stamps_that_start_anew_or_repeat_are_not_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: float, doubt: str
) -> None:
    path = record(tmp_path / "a.ts", 4.5, [1.0], b_frames=0)
    if change:
        restamped(path, 0xE0, lambda time, number: time - (change if number == 60 else 0))
    else:
        restamped(path, 0xE0, lambda time, number: time + (60 if number > 50 else 0))
        restamped(path, 0xC0, lambda time, _: time + (60 if time > 3.4 else 0))
    told = compare(path, monkeypatch)
    assert doubt in str(told[-1]), told


def test_containers_that_say_when_a_frame_is_decoded_are_read_from_the_beginning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert compare(record(tmp_path / "a.avi", 4.5, b_frames=3), monkeypatch) == [0, 0, 0, 0]
