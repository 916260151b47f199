"""Cut-outs, the contact sheet, and the page with a player."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from avseg.inference.export import report
from avseg.inference.export.cutouts import file_name
from avseg.inference.export.thumbnails import MOST_PICTURES, Thumbnails
from avseg.inference.export.writer import FramePictures, Subject
from inference.known import COUNT, FPS, NAMES, SIZE, SOUNDS, clip_result, mask, pictures, result, score
from inference.test_explain import Parsed


def test_each_object_is_cut_out_of_its_best_picture(tmp_path: Path) -> None:
    folder = result(tmp_path).save(tmp_path / "out", save=["cutouts"])
    names = [path.name for path in sorted((folder / "cutouts").iterdir())]
    assert names == ["001-dog-cat.png", "002-flute.png"]
    for number, name in enumerate(names, start=1):
        cut = np.array(Image.open(folder / "cutouts" / name))
        best = max(SOUNDS[number], key=lambda index: score(number, index) * mask(number, index).sum())
        inside = mask(number, best)
        rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
        place = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        assert (cut[..., 3] == 255 * inside[place]).all()
        shown = pictures()[int((best + 0.5) / FPS * 10 + 1e-6)][place]
        assert np.abs(cut[..., :3].astype(float) - shown).mean() < 4


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("acoustic guitar", "007-acoustic-guitar.png"),
        ("../ / a:b?", "007-a-b.png"),
        ("Kröte", "007-kröte.png"),
        ("?", "007.png"),
    ],
)
def test_names_of_files_are_harmless(name: str, wanted: str) -> None:
    assert file_name(7, name) == wanted


def test_a_sheet_shows_every_kept_picture(tmp_path: Path) -> None:
    folder = clip_result().save(tmp_path / "out", save=["sheet"])
    sheet = np.array(Image.open(folder / "sheet.jpg"))
    height, width = SIZE
    rows, columns = -(-COUNT // 4), 4
    assert sheet.shape[1] == columns * (width + 6) - 6 and sheet.shape[0] > rows * height
    first = sheet[:height, :width].astype(float)
    assert np.abs(first - pictures()[0])[~mask(1, 0)].mean() < 12 < np.abs(first - pictures()[0])[mask(1, 0)].mean()


def test_a_long_video_keeps_a_bounded_number_of_pictures() -> None:
    known = clip_result()
    assert not isinstance(known.source, str)
    kept = Thumbnails(Subject("x", Path(), known.source, known.task, FramePictures(known.source, FPS)))  # type: ignore[arg-type]
    frame = known.frames[0]
    kept._pictures.of = lambda _: pictures()[0]  # type: ignore[method-assign]
    for index in range(500):
        kept.add(replace(frame, index=index, time=float(index)))
        assert len(kept.kept) <= MOST_PICTURES
    times = np.array([one.time for one in kept.kept])
    assert len(times) > MOST_PICTURES // 2 and len(set(np.diff(times))) == 1 and 500 - times[-1] <= times[1]


def copy_in(page: str, folder: Path) -> list[float]:
    """Times of the pictures of the video inside a page."""
    (found,) = re.findall(r'<script type="text/plain" id="copy">(.*?)</script>', page)
    (folder / "copy.mp4").write_bytes(base64.b64decode(found, validate=True))
    with av.open(str(folder / "copy.mp4")) as media:
        assert media.streams.audio
        return [frame.time for frame in media.decode(video=0)]


@pytest.mark.parametrize("kind", ["semantic", "instance"])
def test_the_report_holds_the_video_and_jumps(kind: str, tmp_path: Path) -> None:
    folder = result(tmp_path, kind).save(tmp_path / "out", save=["report"])
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        ["report.html", "result.json", *(["tracks.json"] if kind == "instance" else [])]
    )
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert np.allclose(copy_in(text, tmp_path), np.arange(30) / 10, atol=2e-3)
    page = Parsed(text)
    assert not page.open and page.tags["video"] == 1 and page.tags["img"] == COUNT
    assert not [
        value for tag, name, value in page.attributes if name in ("src", "href") and not value.startswith("data:")
    ]
    jumps = [(tag, float(value)) for tag, name, value in page.attributes if name == "data-time"]
    assert [time for tag, time in jumps if tag == "img"] == [(index + 0.5) / FPS for index in range(COUNT)]
    assert [time for tag, time in jumps if tag == "button"] == [0.0, 0.5, 2.0]
    assert ("svg", "data-seconds", "3.000") in page.attributes
    assert NAMES[0] + (" 1" if kind == "instance" else "") in page.texts


def test_the_report_of_a_very_long_video_plays_the_overlay_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "MOST_BYTES", 10)
    folder = clip_result().save(tmp_path / "out", save=["overlay", "report"])
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert 'src="overlay.mp4"' in text and 'id="copy"></script>' in text


def test_the_copy_in_a_report_is_small(tmp_path: Path) -> None:
    class Same:
        def on(self, picture: np.ndarray) -> np.ndarray:
            return picture

    wide = report.Smaller(Same()).on(np.zeros((720, 1281, 3), np.uint8))
    assert wide.shape == (360, 640, 3)
    small = np.zeros((48, 64, 3), np.uint8)
    assert report.Smaller(Same()).on(small) is small
