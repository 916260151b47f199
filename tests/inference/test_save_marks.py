"""Who sounds when, read back by readers nobody here wrote: FFmpeg for subtitles, pympi for ELAN, csv for tables."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import av
import pytest

from avseg.inference.export.marks import Span, cues_of, spans_of, srt, vtt
from avseg.inference.export.writer import Told
from avseg.types import Task
from extras import needs
from inference.known import COUNT, FPS, NAMES, SIZE, SOUNDS, clip_result, mask, result, score

CUES = [(0, 500, ["dog & <cat>"]), (500, 1500, ["dog & <cat>", "flute"]), (2000, 2500, ["flute"])]


def spoken(path: Path) -> list[tuple[int, int, str]]:
    """Begin and end in ms and the text of every subtitle, as FFmpeg decodes them."""
    found = []
    with av.open(str(path)) as media:
        (stream,) = media.streams.subtitles
        for packet in media.demux(stream):
            if not packet.size:
                continue
            begin, length = packet.pts * packet.time_base, packet.duration * packet.time_base
            texts = [line.dialogue.decode() for line in packet.decode()]
            found.append((round(begin * 1000), round((begin + length) * 1000), "\n".join(texts)))
    return found


@pytest.mark.parametrize("kind", ["srt", "vtt"])
def test_ffmpeg_reads_the_subtitles(kind: str, tmp_path: Path) -> None:
    known = result(tmp_path)
    folder = known.save(tmp_path / "out", save=[kind])
    cues = spoken(folder / f"sounding.{kind}")
    assert [(begin, end) for begin, end, _ in cues] == [(begin, end) for begin, end, _ in CUES]
    wanted = [[n.replace("<cat>", "‹cat›") if kind == "srt" else n for n in names] for *_, names in CUES]
    assert [text.replace("\\N", "\n").split("\n") for *_, text in cues] == wanted
    told = known.sounding
    assert spans_of(told)[0] == Span(0, 1500, 1, "dog & <cat>") and cues_of(spans_of(told)) == CUES


def test_subtitles_of_odd_names_and_long_videos() -> None:
    sounding = [
        {"id": 1, "class_id": 1, "class": "a\n--> b", "score": 0.5, "intervals": [[3599.9996, 3725.25]]},
        {"id": 2, "class_id": 1, "class": "a", "score": 0.5, "intervals": [[1.0, 1.0]]},
    ]
    told: Any = Told(4000.0, sounding, {})
    assert srt(told, None) == "1\n01:00:00,000 --> 01:02:05,250\na -› b 1\n"  # type: ignore[arg-type]
    assert vtt(told, None) == "WEBVTT\n\n01:00:00.000 --> 01:02:05.250\na -&gt; b 1\n"  # type: ignore[arg-type]
    nothing = Told(4.0, [], {})
    assert srt(nothing, None) == "" and vtt(nothing, None) == "WEBVTT\n"  # type: ignore[arg-type]


ODD = ("bell\x07 null\x00\x1b[31m", " \n ", "{b}\\an8", "two\nlines\n\nblank", "]]>&amp;<copy>", "ünï \u202e\ud800")


@pytest.mark.parametrize("kind", ["semantic", "instance"])
def test_any_name_of_a_class_gives_whole_files(kind: str, tmp_path: Path) -> None:
    known = result(tmp_path, kind)
    named = [replace(frame, objects=tuple(replace(o, name=ODD[0]) for o in frame.objects)) for frame in known.frames]
    task = Task(known.task.kind, ODD[:5])
    odd = replace(known, frames=tuple(named), task=task)
    folder = odd.save(tmp_path / "out", None, save=("srt", "vtt", "eaf", "cvat", "label_studio", "audacity"))
    assert ElementTree.parse(folder / "sounding.eaf").getroot().tag == "ANNOTATION_DOCUMENT"
    labels = [one.text for one in ElementTree.parse(folder / "cvat.xml").getroot().iter("name")][1:]
    assert labels == ["bell null [31m", "class 2", "{b}\\an8", "two lines blank", "]]>&amp;<copy>"]
    config = ElementTree.parse(folder / "label_studio" / "config.xml").getroot()
    assert [one.get("value") for one in config.iter("Label")] == labels
    sounding = [
        {"id": n, "class_id": n, "class": name, "score": 0.5, "intervals": [[0.0, 1.0]]}
        for n, name in enumerate(ODD, 1)
    ]
    told: Any = Told(1.0, sounding, {})
    lines = srt(told, None).splitlines()[2:]  # type: ignore[arg-type]
    assert lines == [
        "bell null [31m 1",
        "class 2 2",
        "(b)\\an8 3",
        "two lines blank 4",
        "]]›&amp;‹copy› 5",
        "ünï \u202e 6",
    ]
    assert len((folder / "labels.txt").read_text(encoding="utf-8").splitlines()) == 3


def test_audacity_has_a_line_for_each_span(tmp_path: Path) -> None:
    folder = result(tmp_path, "instance").save(tmp_path / "out", save=["audacity"])
    lines = [line.split("\t") for line in (folder / "labels.txt").read_text(encoding="utf-8").splitlines()]
    assert [(float(begin), float(end), name) for begin, end, name in lines] == [
        (0.0, 1.5, "dog & <cat> 1"),
        (0.5, 1.5, "flute 2"),
        (2.0, 2.5, "flute 2"),
    ]


def test_the_table_has_a_row_for_each_second_and_object(tmp_path: Path) -> None:
    folder = clip_result().save(tmp_path / "out", save=["csv"])
    with (folder / "seconds.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["time"], row["object"], row["class"]) for row in rows] == [
        (str(second), str(number), NAMES[number - 1]) for second in range(3) for number in SOUNDS
    ]
    assert [float(row["sounds"]) for row in rows] == [1.0, 0.5, 0.5, 0.5, 0.0, 0.5]
    for row in rows:
        number, second = int(row["object"]), int(row["time"])
        there = [index for index in SOUNDS[number] if int(index / FPS) == second]
        assert (row["score"] == "") == (not there)
        if there:
            pixels = sum(int(mask(number, index).sum()) for index in there)
            assert float(row["area_share"]) == pytest.approx(pixels / FPS / (SIZE[0] * SIZE[1]), abs=1e-5)
            assert float(row["score"]) == pytest.approx(max(score(number, index) for index in there), abs=1e-4)
    assert COUNT / FPS == 3.0


@pytest.mark.extra
@pytest.mark.parametrize("kind", ["semantic", "instance"])
def test_pympi_reads_a_tier_for_each_object(kind: str, tmp_path: Path) -> None:
    needs("pympi")
    elan = import_module("pympi.Elan")
    folder = result(tmp_path, kind).save(tmp_path / "out", save=["eaf"])
    read = elan.Eaf(str(folder / "sounding.eaf"))
    more: Sequence[str] = (" 1", " 2") if kind == "instance" else ("", "")
    dog, flute = (name + number for name, number in zip(NAMES, more, strict=True))
    assert set(read.get_tier_names()) == {dog, flute}
    assert [tuple(one) for one in read.get_annotation_data_for_tier(dog)] == [(0, 1500, dog)]
    assert [tuple(one) for one in read.get_annotation_data_for_tier(flute)] == [(500, 1500, flute), (2000, 2500, flute)]
    (media,) = read.get_linked_files()
    assert media["MEDIA_URL"] == "./good.mp4" and media["MIME_TYPE"] == "video/mp4"
