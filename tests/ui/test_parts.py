"""Pieces of the page: sentences, the timeline, pictures, packed files, and the models that are offered."""

from __future__ import annotations

import asyncio
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from avseg.demo import MODEL_FILE
from avseg.inference.export.kinds import kinds
from avseg.jobs import JobProgress
from avseg.types import Task
from avseg.ui import parts
from avseg.ui.desk import Waiting
from avseg.ui.files import ALL, choices, is_made, packed, safe_name
from avseg.ui.offers import offers
from avseg.ui.parts import Pace, Shown, bar, notice, told_of
from avseg.ui.start import Guarded

EVIL = '<img src=x onerror=alert(1)> & "{{7*7}}" ${1+1}'


def stored(folder: Path, sounding: list[dict[str, Any]], duration: float = 10.0) -> Path:
    folder.mkdir(parents=True)
    task = Task("instance", ("dog", EVIL))
    head = {
        "video": {"file": f"{EVIL}.mp4", "width": 64, "height": 48, "duration": duration},
        "model": {"name": "model", "task": task.to_dict()},
        "fps": 5.0,
        "frames": [{}] * 50,
        "sounding": sounding,
    }
    (folder / "result.json").write_text(json.dumps(head))
    return folder


def entry(number: int, name: str, *spans: tuple[float, float]) -> dict[str, Any]:
    return {"id": number, "class_id": 1, "class": name, "score": 0.5, "intervals": [list(span) for span in spans]}


def test_the_sentence_names_objects_in_the_order_in_which_they_begin(tmp_path: Path) -> None:
    found = [entry(1, "dog", (4, 6), (8, 10)), entry(2, "bell", (0, 2)), entry(3, "silent")]
    text = Shown(stored(tmp_path / "a", found)).sentence()
    assert "<b>bell 2</b> sounds 0 s to 2 s; <b>dog 1</b> 4 s to 6 s and 8 s to 10 s." in text
    assert "50 masks (5 per second) by model" in text and "silent" not in text
    assert told_of([]) == "No sounding object was found."
    many = told_of([entry(1, "dog", *((second, second + 0.5) for second in range(6)))])
    assert many.endswith("2 s to 2.5 s and 3 more times.")


def test_the_timeline_has_a_place_for_every_span(tmp_path: Path) -> None:
    text = Shown(stored(tmp_path / "a", [entry(1, "dog", (2.5, 5), (7.5, 10))])).timeline()
    assert re.findall(r'data-time="([\d.]+)"', text) == ["2.500", "7.500"]
    assert "left: 25.000%; width: 25.000%" in text and 'data-seconds="10.000"' in text
    assert "nothing marked" in Shown(stored(tmp_path / "b", [], 0.0)).timeline()


def test_names_are_never_markup(tmp_path: Path) -> None:
    folder = stored(tmp_path / "a", [entry(1, EVIL, (0, 2))])
    shown = Shown(folder)
    for text in (shown.sentence(), shown.timeline(), shown.objects(), notice(EVIL), bar(EVIL, 0.5)):
        assert "<img" not in text and "&lt;img" in text


def test_objects_have_the_pictures_of_their_cutouts(tmp_path: Path) -> None:
    folder = stored(tmp_path / "a", [entry(1, "dog", (1, 2)), entry(2, "bell", (0, 2))])
    (folder / "cutouts").mkdir()
    Image.fromarray(np.full((400, 300, 4), 200, np.uint8)).save(folder / "cutouts" / "001-dog.png")
    text = Shown(folder).objects()
    assert text.count("<button") == 2 and text.count("<img") == 1 and 'data-time="1.000"' in text
    with pytest.raises(ValueError, match="has no result"):
        Shown(tmp_path)


def test_progress_tells_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(parts.time, "monotonic", lambda: clock[0])
    pace = Pace()
    assert "one video is before yours" in pace.html(Waiting(1)) and "3 videos are" in pace.html(Waiting(3))
    assert "avseg-unknown" in pace.html(JobProgress("loading"))
    assert "Segmenting 0 of 20 s ..." in pace.html(JobProgress("predicting", 0.0, 20.0))
    clock[0] += 5
    text = pace.html(JobProgress("predicting", 5.0, 20.0))
    assert "Segmenting 5 of 20 s, about 15 s left ..." in text and "width: 25.0%" in text
    assert "Segmenting: 7 s of video are done" in pace.html(JobProgress("predicting", 7.0, 0.0))


@pytest.mark.parametrize(
    ("text", "said"),
    [("cancelled", "Cancelled."), ("band.mp4 is cut short", "band.mp4 is cut short."), ("Wait.", "Wait.")],
)
def test_notices_are_sentences(text: str, said: str) -> None:
    assert f">{said}</div>" in notice(text)


def test_every_kind_of_save_can_be_taken(tmp_path: Path) -> None:
    assert {name for _, name in choices()} == {*kinds(), "result.json", "tracks.json", ALL}
    folder = stored(tmp_path / "shelf" / "result" / "a", [])
    assert "tracks.json" not in {name for _, name in choices(folder)}
    assert is_made(folder, "result.json") and not is_made(folder, "srt") and not is_made(folder, "dataset:s4")


def test_files_are_named_after_the_video_and_folders_are_packed(tmp_path: Path) -> None:
    folder = stored(tmp_path / "result" / "a", [])
    (folder / "masks").mkdir()
    (folder / "masks" / "000000.png").write_bytes(b"png")
    (folder / "sounding.srt").write_text("1")
    (tmp_path / "result" / "dataset_s4" / "videos").mkdir(parents=True)
    (tmp_path / "result" / "dataset_s4" / "videos" / "a.json").write_text("{}")
    names = {name: packed(folder, tmp_path, name, 'b/"<d>".mp4').name for name in ("srt", "masks", "dataset:s4", ALL)}
    assert names == {"srt": "_d_.srt", "masks": "_d_-masks.zip", "dataset:s4": "_d_-dataset-s4.zip", ALL: "_d_.zip"}
    assert zipfile.ZipFile(tmp_path / "files" / "_d_-masks.zip").namelist() == ["000000.png"]
    assert zipfile.ZipFile(tmp_path / "files" / "_d_-dataset-s4.zip").namelist() == ["videos/a.json"]
    assert "result.json" in zipfile.ZipFile(tmp_path / "files" / "_d_.zip").namelist()
    with pytest.raises(FileNotFoundError, match=r"report could not be made for a\.mp4"):
        packed(folder, tmp_path, "report", "a.mp4")


@pytest.mark.parametrize(
    ("text", "name"), [("Mein Film (1) #2 ü", "Mein Film (1) _2 ü"), ("..", "video"), ("", "video")]
)
def test_names_of_files_are_safe(text: str, name: str) -> None:
    assert safe_name(text) == name


def test_models_are_offered_by_file_and_by_name(tmp_path: Path) -> None:
    assert [offer.source for offer in offers([])][-1] == "demo"
    copies = [tmp_path / name / "model.safetensors" for name in ("one", "two")]
    for copy in copies:
        copy.parent.mkdir()
        copy.write_bytes(MODEL_FILE.read_bytes())
    found = offers([str(copies[0]), str(copies[1]), "demo", str(copies[0])])
    assert [offer.source for offer in found[:3]] == [*map(str, copies), "demo"]
    assert len({offer.label for offer in found}) == len(found) and "disc" in found[0].classes
    with pytest.raises(FileNotFoundError, match="there is no model file"):
        offers([str(tmp_path / "none.safetensors")])
    (tmp_path / "text.safetensors").write_text("no model")
    with pytest.raises(ValueError, match=r"text\.safetensors"):
        offers([str(tmp_path / "text.safetensors")])


def test_a_browser_that_goes_away_is_no_fault_and_every_other_error_is_one() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start"})
        raise scope["error"]

    async def send(message: Any) -> None:
        sent.append(message)

    sent: list[Any] = []
    guarded = Guarded(app, gone=EOFError)
    asyncio.run(guarded({"error": EOFError()}, None, send))
    assert b"content-security-policy" in dict(sent[0]["headers"])
    with pytest.raises(KeyError):
        asyncio.run(guarded({"error": KeyError()}, None, send))
