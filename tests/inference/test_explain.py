"""The page that says why: self-contained, escaped, on one axis of time, and of bounded size."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from avseg.inference import Segmenter, predict_folder
from avseg.inference.export.explain import SILENT
from avseg.inference.export.explain_rows import MOST_CELLS, heard_rows, noun_rows
from avseg.inference.export.thumbnails import MOST_PICTURES
from avseg.io.video import write_video
from avseg.models.avism.session import AVISMSession
from avseg.nn.mel import LogMel
from avseg.render.spectrum import log_mel_columns
from avseg.render.timescale import TimeCell, TimeChart, clock, stretch
from avseg.types import Clip
from inference.fake import fake
from inference.media import tone
from inference.test_tracks import FPS, RATE, scene, sound
from inference.tracker import tracker

EVIL = '<script>alert("x")</script> & a name that is longer than any row has room for'
WHY: dict[str, Any] = {
    "parts": {"finder": {"kind": "boxes", "checkpoint": EVIL, "revision": "1a2b"}},
    "seconds": [
        {"second": 0, "decibels": -12.3, "tags": [["Drum", 0.91], [EVIL, 0.2]], "nouns": [["drum", 0.91]]},
        {"second": 1, "decibels": -60.0, "tags": [["Drum", 0.5]], "nouns": [["drum", 0.5]]},
        {"second": 2, "decibels": None, "tags": [], "nouns": []},
        {"second": 3, "decibels": -20.0, "tags": [["Flute", 0.6]], "nouns": [[EVIL, 0.6], ["drum", 0.4]]},
    ],
    "tracks": [
        {
            "id": 1,
            "noun": "drum",
            "class": EVIL,
            "score": 0.41,
            "probability": 0.9,
            "finds": [{"time": 1.4, "score": 0.53, "box": [16, 8, 80, 48]}],
            "begin": 0.0,
            "end": 4.0,
        }
    ],
}
VOID = {"meta", "img", "br", "path", "rect", "image"}


class Parsed(HTMLParser):
    """Tags, texts and attributes of a page, in which every tag that is opened is closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.texts: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def page_of(folder: Path) -> Parsed:
    parsed = Parsed((folder / "explain.html").read_text(encoding="utf-8"))
    assert parsed.open == []
    outside = [(t, n, v) for t, n, v in parsed.attributes if n in ("src", "href") and not v.startswith("data:image/")]
    assert outside == [] and not {"script", "link", "iframe"} & set(parsed.tags)
    return parsed


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("v") / "two.mp4"
    return write_video(path, scene(4), FPS, sound(4, (0, 2), (2, 4)), RATE)


def test_the_page_shows_what_the_model_tells(video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AVISMSession, "notes", lambda self: WHY)
    predict_folder(Segmenter(tracker(), fps=1), [video], tmp_path, save=["explain"])
    page = page_of(tmp_path / "two")
    text = "\n".join(page.texts)
    assert SILENT not in text and EVIL in text
    for words in ("Drum", "Flute", "loudness, dBFS", "drum, at best 0.91", "1 drum 0.84", "2 flute 0.7", "1a2b"):
        assert words in text
    assert "1.5 s: 1 drum 0.84\nbox at 1.4 s: drum (<script>" in text
    assert page.tags["image"] == 1 + 4  # the spectrogram and a picture for each mask
    source = (tmp_path / "two" / "explain.html").read_text(encoding="utf-8")
    # As the finder gave it, in a picture that is not made smaller.
    assert source.count('<rect x="16.0" y="8.0" width="64.0" height="40.0" fill="none" stroke="#') == 1


def test_a_model_without_words_gets_the_rest(tmp_path: Path) -> None:
    film = [np.full((360, 640, 3), 200, np.uint8)] * 4
    path = write_video(tmp_path / "a.mp4", film, 1, tone(4, RATE), RATE)
    predict_folder(Segmenter(fake(), fps=1), [path], tmp_path / "out", save=["explain"])
    page = page_of(tmp_path / "out" / "a")
    text = "\n".join(page.texts)
    assert SILENT in text and "sound, 125 to 7500 Hz" in text and "Heard" not in text and "sounding" in text
    assert ("svg", "viewbox", "0 0 320 180") in page.attributes
    mute = write_video(tmp_path / "mute.mp4", film, 1)
    predict_folder(Segmenter(fake(), fps=1), [mute], tmp_path / "out", save=["explain"])
    text = "\n".join(page_of(tmp_path / "out" / "mute").texts)
    assert "There is no sound." in text and "Nothing was marked." in text


def test_pictures_of_many_masks_are_few_and_evenly_spaced(tmp_path: Path) -> None:
    film = (np.full((32, 48, 3), 200, np.uint8) for _ in range(103))
    path = write_video(tmp_path / "a.mp4", film, 10, tone(10.3, RATE), RATE)
    predict_folder(Segmenter(fake(), fps=10), [path], tmp_path / "out", save=["explain"])
    text = "\n".join(page_of(tmp_path / "out" / "a").texts)
    shown = [float(time) for time in re.findall(r"^([\d.]+) s: sounding", text, re.MULTILINE)]
    assert len(shown) == 13 <= MOST_PICTURES
    assert shown == pytest.approx([0.0375 + 0.8 * k for k in range(13)], abs=0.06)


def test_a_clip_has_a_page_as_well(tmp_path: Path) -> None:
    clip = Clip(
        id="c",
        frames=torch.full((3, 3, 48, 64), 200, dtype=torch.uint8),
        times=torch.arange(3, dtype=torch.float64),
        audio=torch.from_numpy(tone(3, 8000)),
        sample_rate=8000,
    )
    Segmenter(fake()).predict(clip).save(tmp_path / "r", save=["explain"])
    assert page_of(tmp_path / "r").tags["image"] == 4


def test_a_long_spectrogram_is_the_mean_of_its_frames() -> None:
    wave = np.random.default_rng(0).normal(0, 0.1, 16000 * 9 + 77).astype(np.float32)
    whole = LogMel()(torch.from_numpy(wave)[None])[0, 0].numpy()
    pieces = np.array_split(wave, 41)
    fine, step = log_mel_columns(pieces, most=2000)
    assert step == 0.01 and np.allclose(fine, whole, atol=1e-5)
    rough, step = log_mel_columns(pieces, most=100)
    assert step == 0.16 and 50 < len(rough) <= 100
    assert np.allclose(rough, whole[: 16 * len(rough)].reshape(-1, 16, 64).mean(1), atol=1e-4)
    assert len(log_mel_columns([wave[:399]])[0]) == 0 == len(log_mel_columns([])[0])


def test_rows_hold_the_strongest_of_many_seconds_and_join_neighbours() -> None:
    seconds = [
        {"second": s, "decibels": -30, "tags": [["Dog", 0.1 + 0.8 * (s == 701)]], "nouns": [["dog", 0.5]] * (s != 500)}
        for s in range(1000)
    ]
    rows = dict(heard_rows(seconds, 1000.0))
    assert len(rows["Dog"]) == 200 <= MOST_CELLS and len(rows["loudness, dBFS"]) == 200
    (strong,) = [cell for cell in rows["Dog"] if cell.share > 0.5]
    assert (strong.begin, strong.end) == (700, 705) and strong.title == "Dog 0.90 at 11:41"
    assert rows["loudness, dBFS"][0].share == pytest.approx(0.5)
    assert [(cell.begin, cell.end) for cell in dict(noun_rows(seconds))["dog"]] == [(0, 500), (501, 1000)]


def test_bars_stand_where_their_time_is() -> None:
    chart = TimeChart(10.0)
    chart.bars("a", [TimeCell(2.5, 5.0), TimeCell(9.0, 99.0), TimeCell(3, 3)], "red")
    bars = re.findall(r'<rect x="([\d.]+)" y="[\d.]+" width="([\d.]+)"', chart.svg("test"))
    assert [(float(x), float(w)) for x, w in bars] == [(398.5, 207.5), (940.6, 82.4)]
    assert [clock(s, tenths=True) for s in (3.25, 71.24, 3723.96)] == ["3.2 s", "1:11.2", "1:02:04.0"]
    spans = [(3.2, 4), (71.2, 71.4), (59.5, 64.2), (63, 100.3)]
    told = ["3.2 s to 4 s", "1:11.2 to 1:11.4", "59.5 s to 1:04.2", "1:03 to 1:40"]
    assert [stretch(begin, end) for begin, end in spans] == told
    assert [clock(s) for s in (0, 3.25, 59.9, 63, 3723)] == ["0 s", "3.2 s", "59.9 s", "1:03", "1:02:03"]
