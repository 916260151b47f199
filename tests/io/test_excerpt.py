"""Parts of videos, other sound, and pictures with sound."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from avseg.io.excerpt import Excerpt, excerpt
from avseg.io.media import MediaError
from avseg.io.part import part_of, seconds_of
from avseg.io.video import iter_audio, iter_frames
from inference.media import counting, make, number_of, tone

RATE = 16000


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds, ten pictures a second whose grey counts; the sound is louder from second to second."""
    sound = tone(3, RATE) * np.repeat([0.25, 0.5, 1.0], RATE).astype(np.float32)
    path = tmp_path_factory.mktemp("v") / "count.mkv"
    return make(path, counting(30), sound=sound, audio=("flac", "mono", RATE))


def shown(path: Any, fps: float | None = None) -> tuple[list[tuple[float, int]], float, int]:
    """(time, number) of the pictures, their end, how many were decoded."""
    pictures = iter_frames(path, fps)
    found = [(round(time, 6), number_of(picture)) for time, picture in pictures]
    return found, round(pictures.end, 6), pictures.count


def heard(path: Any, rate: int = RATE) -> np.ndarray:
    pieces = list(iter_audio(path, rate, 1))
    ends = [time + piece.shape[1] / rate for time, piece, _ in pieces]
    assert [time for time, _, _ in pieces] == pytest.approx([0.0, *ends[:-1]])
    return np.concatenate([piece[0] for _, piece, _ in pieces])


@pytest.mark.parametrize(
    ("text", "seconds"), [("62.5", 62.5), ("1:02.5", 62.5), ("1:00:02", 3602), (".5", 0.5), (2, 2)]
)
def test_times_are_seconds_or_a_clock(text: Any, seconds: float) -> None:
    assert seconds_of(text, "start") == seconds


@pytest.mark.parametrize("text", ["", "a", "-1", "1:60", "1:60:00", "1:2:3:4", "nan", "inf", -1, math.nan, "1:"])
def test_other_times_are_refused(text: Any) -> None:
    with pytest.raises(
        ValueError, match=rf"^end is {re.escape(repr(text))}, wanted seconds from the beginning, such as"
    ):
        part_of(None, text)


@pytest.mark.parametrize(
    ("start", "end", "first", "last", "offset"),
    [
        (1, 2, 10, 19, 0),
        (1.05, 1.25, 10, 12, 0.05),
        (None, "0:00.3", 0, 2, 0),
        (2.8, None, 28, 29, 0),
        (1.01, 1.09, 10, 10, 0.01),
    ],
)
def test_a_part_begins_with_the_picture_that_is_shown_then(
    video: Path, start: Any, end: Any, first: int, last: int, offset: float
) -> None:
    begin, stop = (0.0 if start is None else start), (3.0 if end is None else 0.3 if end == "0:00.3" else end)
    found, length, count = shown(excerpt(video, start, end))
    times = [0.0, *(k / 10 - begin for k in range(first + 1, last + 1))]
    assert [number for _, number in found] == list(range(first, last + 1)) and count == last - first + 1
    assert [time for time, _ in found] == pytest.approx(times, abs=2e-3) and length == pytest.approx(
        stop - begin, abs=2e-3
    )
    whole = heard(video)
    assert (heard(excerpt(video, start, end)) == whole[round(begin * RATE) : round(stop * RATE)]).all()


def test_a_grid_lies_in_the_part(video: Path) -> None:
    assert shown(excerpt(video, 1.05, 2.0), 2)[0] == [(0.0, 10), (0.5, 15)]
    assert shown(excerpt(video, 1, 20), 1)[:2] == ([(0.0, 10), (1.0, 20)], 2.0)


def test_facts_are_of_the_part(video: Path) -> None:
    info = excerpt(video, 1, 2.5)
    assert info.part == (1, 2.5) and info.duration == pytest.approx(1.5) and not info.as_it_is
    assert excerpt(video).as_it_is and excerpt(video).part is None


def test_a_part_behind_the_end_is_refused(video: Path) -> None:
    with pytest.raises(MediaError, match=r"count\.mkv ends at 3\.00 s, before the part that begins at 3\.00 s"):
        list(iter_frames(excerpt(video, 3)))
    with pytest.raises(ValueError, match="end 1 s is not after start 2 s; give an end after the start"):
        excerpt(video, 2, 1)


def test_another_sound_begins_with_the_first_picture(video: Path, tmp_path: Path) -> None:
    other = make(tmp_path / "o.mp3", sound=tone(5, 44100, 2), audio=("mp3", "stereo", 44100))
    info = excerpt(video, audio=other)
    assert info.sound is not None and (info.sound.codec, info.sound.channels) == ("mp3float", 2)
    assert shown(info) == shown(video) and (heard(info) == heard(other)).all()
    part = excerpt(video, 1, 2, other)
    assert (heard(part) == heard(other)[RATE : 2 * RATE]).all() and shown(part)[0][0] == (0.0, 10)


def test_a_picture_is_shown_as_long_as_its_sound(tmp_path: Path) -> None:
    sound = make(tmp_path / "s.wav", sound=tone(1.24, RATE), audio=("pcm_s16le", "mono", RATE))
    picture = np.zeros((40, 60, 3), np.uint8)
    picture[:20] = (250, 0, 0)
    turned = Image.Exif()
    turned[0x0112] = 6  # a quarter turn
    Image.fromarray(picture).save(tmp_path / "p.png", exif=turned)
    info = excerpt(tmp_path / "p.png", audio=sound)
    assert (info.width, info.height, info.still, info.duration) == (40, 60, 1.24, 1.24)
    given = list(iter_frames(info))
    assert [time for time, _ in given] == pytest.approx([k / 10 for k in range(13)])
    assert all((picture == given[0][1]).all() for _, picture in given) and given[0][1][0, 39].tolist() == [250, 0, 0]
    on_grid = iter_frames(info, 25)
    assert len(list(on_grid)) == 31 and on_grid.end == 1.24
    part = iter_frames(excerpt(tmp_path / "p.png", 0.5, 5, sound), 5)
    assert [time for time, _ in part] == pytest.approx([0, 0.2, 0.4, 0.6]) and part.end == pytest.approx(0.74)


def test_bad_sources_are_refused_in_one_sentence(video: Path, tmp_path: Path) -> None:
    silent = make(tmp_path / "silent.mp4", counting(3))
    (tmp_path / "text.wav").write_text("no sound")
    Image.new("RGB", (8, 8)).save(tmp_path / "p.jpg")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n")
    sound = make(tmp_path / "s.wav", sound=tone(1, RATE), audio=("pcm_s16le", "mono", RATE))
    wrong: list[tuple[tuple[Any, ...], str]] = [
        ((video, None, None, silent), r"silent\.mp4 has no sound that can be decoded; give a sound file"),
        ((video, None, None, tmp_path / "text.wav"), r"text\.wav cannot be opened for its sound .* or no sound$"),
        ((video, None, None, tmp_path / "none.wav"), r"none\.wav is not a file"),
        ((tmp_path / "p.jpg",), r"p\.jpg is a picture; give a sound for it \(--audio FILE\), or use a video"),
        ((tmp_path / "broken.png", None, None, sound), r"broken\.png is not a complete picture"),
        ((tmp_path / "none.png", None, None, sound), r"none\.png is not a file; give the path of a picture"),
        ((tmp_path / "p.jpg", 1, None, sound), r"s\.wav ends at 1\.00 s, before the part that begins at 1\.00 s"),
    ]
    for given, sentence in wrong:
        with pytest.raises(MediaError, match=sentence) as error:
            excerpt(*given)
        assert "\n" not in str(error.value)


def test_a_sound_that_is_not_there_is_asked_for_as_a_sound(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"no\.wav is not a file; give the path of a sound file"):
        Excerpt.wanted(audio=tmp_path / "no.wav")
