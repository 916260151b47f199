"""Colours of HD and smaller pictures, told in the file and as players take them; names of files that are written."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import Colorspace

from avseg.io.colour import rgb_of
from avseg.io.media import MediaError
from avseg.io.video import iter_frames, probe, write_video

RED = (200, 40, 60)


def plain(height: int) -> np.ndarray:
    return np.broadcast_to(np.array(RED, np.uint8), (height, 96, 3)).copy()


@pytest.mark.parametrize(("height", "number"), [(64, 6), (718, 6), (719, 1), (720, 1), (1080, 1)])
def test_written_video_tells_its_colours(tmp_path: Path, height: int, number: int) -> None:
    """BT.709 (1) from 720 lines on, the smaller ones BT.601 (6); an odd height is made even before."""
    path = write_video(tmp_path / "a.mp4", [plain(height)] * 2, 10)
    with av.open(str(path)) as held:
        frame = next(held.decode(video=0))
        assert (frame.colorspace, frame.color_primaries, frame.color_trc, frame.color_range) == (number,) * 3 + (1,)
        matrix = Colorspace.ITU709 if number == 1 else Colorspace.ITU601
        shown = frame.to_ndarray(format="rgb24", src_colorspace=matrix)  # as a player that reads the tags
    assert np.abs(shown[10, 10].astype(int) - RED).max() <= 4
    assert np.abs(next(iter_frames(path))[1][10, 10].astype(int) - RED).max() <= 4


@pytest.mark.parametrize(("height", "matrix"), [(720, Colorspace.ITU709), (576, Colorspace.ITU601)])
def test_video_that_tells_nothing_is_read_as_players_do(tmp_path: Path, height: int, matrix: Colorspace) -> None:
    path = tmp_path / "untold.mp4"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=10)
        stream.height, stream.width, stream.pix_fmt = height, 96, "yuv420p"
        frame = av.VideoFrame.from_ndarray(plain(height), format="rgb24")
        out.mux([*stream.encode(frame.reformat(format="yuv420p", dst_colorspace=matrix)), *stream.encode(None)])
    assert np.abs(next(iter_frames(path))[1][10, 10].astype(int) - RED).max() <= 4


def test_pictures_stored_as_rgb_are_left_as_they_are(tmp_path: Path) -> None:
    frame = av.VideoFrame.from_ndarray(plain(720), format="rgb24")
    assert rgb_of(frame, (720, 96))[10, 10].tolist() == list(RED)


def told(path: Path, number: int, *, matrix: Colorspace) -> Path:
    """One picture coded by `matrix`, of a file that tells number `number` of ITU-T H.273."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=10)
        stream.height, stream.width, stream.pix_fmt, stream.codec_context.colorspace = 64, 96, "yuv420p", number
        frame = av.VideoFrame.from_ndarray(plain(64), format="rgb24")
        out.mux([*stream.encode(frame.reformat(format="yuv420p", dst_colorspace=matrix)), *stream.encode(None)])
    return path


def test_bt2020_of_constant_luminance_is_read_as_bt2020(tmp_path: Path) -> None:
    path = told(tmp_path / "a.mp4", 10, matrix=Colorspace.BT2020)
    assert np.abs(next(iter_frames(path))[1][10, 10].astype(int) - RED).max() <= 4


def test_a_matrix_that_cannot_be_turned_to_rgb_is_refused_in_one_sentence(tmp_path: Path) -> None:
    path = told(tmp_path / "a.mp4", 14, matrix=Colorspace.BT2020)
    with pytest.raises(MediaError, match=r"a.mp4 has pictures \(yuv420p, matrix 14 of .*\) that FFmpeg cannot"):
        next(iter_frames(path))


def test_names_with_a_colon_are_files_and_no_protocols(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("12:30.mp4", "http:x.mp4", "pipe:1.mp4", "a:b/c.mp4", "%d.mp4", "-.mp4"):
        write_video(name, [plain(64)] * 2, 10)
        assert probe(name).codec == "h264" and Path(name).is_file()
