"""A result in Python: its line, card and picture, its frames, tables of other libraries, and reading it back."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import reduce
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from avseg.inference import Result, Segmenter, predict_folder
from avseg.inference.records import Detection, FrameResult, Measured
from avseg.inference.stored import StoredVideo
from avseg.io.media import MediaError
from avseg.io.rle import encode
from avseg.io.video import probe, write_video
from avseg.types import Clip, Task
from extras import needs
from inference.fake import fake
from inference.test_segmenter import RATE, scene, sounding
from inference.test_tracks import FPS as TRACKS_FPS
from inference.test_tracks import scene as two_things
from inference.test_tracks import sound as two_sounds
from inference.tracker import tracker


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven seconds; a square sounds from 2 to 4 s."""
    return write_video(tmp_path_factory.mktemp("v") / "square.mp4", scene(7), 10, sounding(7, (2, 4)), RATE)


@pytest.fixture(scope="module")
def result(video: Path) -> Result:
    return Segmenter(fake(), fps=1).predict(video)


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """Two things, of which the first is drawn over the second."""
    path = tmp_path_factory.mktemp("t") / "two.mp4"
    write_video(path, two_things(6), TRACKS_FPS, two_sounds(6, (0, 4), (2, 6)), RATE)
    found = Segmenter(tracker(), fps=1).predict(path)
    frames = []
    for frame in found.frames:
        wider = [replace(one, rle=_widened(one.mask)) if one.id == 2 else one for one in frame.objects]
        objects = tuple(Detection.of(o.id, o.class_id, o.name, o.score, o.rle) for o in wider)
        frames.append(replace(frame, objects=objects))
    return replace(found, frames=tuple(frames))


def _widened(mask: Any) -> Any:
    mask = mask.copy()
    mask[4:20, :60] = True
    return encode(mask)


@pytest.fixture(scope="module")
def clip_result() -> Result:
    frames = torch.full((3, 3, 32, 48), 20, dtype=torch.uint8)
    frames[..., :24] = 235
    sound = torch.sin(torch.arange(48000) / 4)[None]
    clip = Clip("a clip", frames, torch.arange(3, dtype=torch.float64), sound, 16000)
    return Segmenter(fake(), fps=1).predict(clip)


def crowd(names: int, name: str = "video") -> Result:
    """One frame with many objects."""
    mask = encode(np.eye(names, 200, dtype=bool))
    objects = tuple(Detection.of(i, i, f"instrument {i}", 0.5, mask) for i in range(1, names + 1))
    frame = FrameResult(0, 0.5, (0.0, 1.0), (names, 200), objects)
    facts = StoredVideo({"file": f"{name}.mp4", "width": 200, "height": names})
    task = Task("semantic", tuple(f"instrument {i}" for i in range(1, names + 1)))
    return Result(name, (frame,), task, 1.0, "model", facts, Measured(25.0, 1.0))


def test_its_line_is_short_and_says_what_there_is(result: Result) -> None:
    assert repr(result) == "Result('square', 96x64, 7.0 s, 7 frames, 1 object: sounding)"
    many = repr(crowd(40))
    assert len(many) <= 120 and "40 objects: instrument 1, instrument 2" in many
    assert re.search(r" and (\d+) more\)$", many) and many.count("instrument") == 40 - int(many.split()[-2])
    assert len(repr(crowd(200, "x" * 300))) <= 120
    silent = replace(crowd(1), frames=())
    assert repr(silent) == "Result('video', 200x1, 1.0 s, 0 frames, 0 objects)"


def test_frames_are_counted_taken_and_gone_through(result: Result) -> None:
    assert len(result) == 7 and [frame.index for frame in result] == list(range(7))
    assert result[2] is result.frames[2] and result[-1].index == 6 and result[2:4] == result.frames[2:4]
    with pytest.raises(IndexError):
        result[7]


class Tags(HTMLParser):
    """Which elements are open, and addresses of pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.pictures: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag == "img":
            self.pictures.append(dict(attrs)["src"])
        else:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def picture_of(page: str) -> Image.Image:
    tags = Tags()
    tags.feed(page)
    assert tags.open == [] and len(tags.pictures) == 1
    kind, _, data = tags.pictures[0].partition(",")
    assert kind == "data:image/jpeg;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


def test_the_card_shows_pictures_with_masks_and_intervals(result: Result) -> None:
    page = result._repr_html_()
    picture = np.asarray(picture_of(page)).astype(int)
    assert picture.shape[1] == 3 * 96 + 2 * 6 and len(page) < 60_000
    last = picture[85:149, :96]  # of four frames, 0, 2, 4 and 6, the last is in the second row
    assert last[20:44, 4:44].mean() > 200 and last[20:44, 56:].mean() < 60  # the bright square, which is silent
    painted = picture[20:44, 106:146]  # frame 2: the square sounds
    assert painted[..., 0].mean() > painted[..., 2].mean() + 40
    assert "<td>sounding</td>" in page and re.search(r"\d\.\d-\d\.\d s", page)


def test_a_card_is_escaped_and_quick_for_long_videos(result: Result, monkeypatch: pytest.MonkeyPatch) -> None:
    page = replace(result, id="<b>&", model="<i>")._repr_html_()
    assert "<b>&lt;b&gt;&amp;</b>" in page and "&lt;i&gt;" in page
    monkeypatch.setattr("avseg.inference.views.FramePictures", None)  # nothing is decoded
    long = replace(result, measured=replace(result.measured, duration=500.0))
    assert abs(np.asarray(picture_of(long._repr_html_())).astype(int)[:60, :90] - 96).max() < 6
    nothing = replace(result, frames=())._repr_html_()
    assert "nothing sounds" in nothing and "<img" not in nothing


def test_the_picture_has_a_bar_where_something_sounds(result: Result, clip_result: Result, tmp_path: Path) -> None:
    plot = result.plot()
    assert isinstance(plot, Image.Image) and plot.mode == "RGB"
    array = np.asarray(plot).astype(int)
    orange = (abs(array[:20] - (255, 96, 32)).sum(-1) < 12).any(0).nonzero()[0]
    first, last = orange.min(), orange.max()
    (begin, end) = result.sounding[0]["intervals"][0]
    assert (last - first) / 972 == pytest.approx((end - begin) / 7.0, abs=0.09) and first > 0.2 * 972
    assert clip_result.plot().size[0] == 972
    gone = replace(result, source=replace(probe(result.source.path), path=tmp_path / "gone.mp4"))  # type: ignore[union-attr]
    assert gone.plot().size == plot.size


@pytest.mark.parametrize("masks", ["png", "rle", "npz"])
def test_a_saved_result_comes_back(result: Result, tmp_path: Path, masks: Any) -> None:
    result.save(tmp_path / "r", masks)
    again = Result.load(tmp_path / "r")
    assert (again.id, again.task, again.fps, again.model, again.size) == ("square", result.task, 1, "fake", (64, 96))
    assert spans_of(again) == pytest.approx(spans_of(result), abs=0.0011) and again.measured.duration == pytest.approx(
        result.duration
    )
    for one, other in zip(again, result, strict=True):
        assert (one.labels == other.labels).all() and one.names == other.names
        assert [(o.area, o.box) for o in one.objects] == [(o.area, o.box) for o in other.objects]
        assert one.time == pytest.approx(other.time) and one.heard == pytest.approx(other.heard)
        assert [o.score for o in one.objects] == pytest.approx([o.score for o in other.objects], abs=5e-5)
    again.save(tmp_path / "again", masks)
    heads = [json.loads((tmp_path / name / "result.json").read_text()) for name in ("r", "again")]
    assert heads[0].pop("sounding") and heads[1].pop("sounding") and heads[0] == heads[1]
    files = sorted(path.relative_to(tmp_path / "r") for path in (tmp_path / "r").rglob("0*.png"))
    assert [(tmp_path / "again" / name).read_bytes() for name in files] == [
        (tmp_path / "r" / name).read_bytes() for name in files
    ]


def spans_of(result: Result) -> list[float]:
    return [end for one in result.sounding for span in one["intervals"] for end in span]


def test_tracks_that_overlap_come_back_whole(tracked: Result, tmp_path: Path) -> None:
    assert any((a.mask & b.mask).any() for f in tracked for a in f.objects for b in f.objects if a.id < b.id)
    for masks in ("png", None):
        again = Result.load(tracked.save(tmp_path / str(masks), masks))  # type: ignore[arg-type]
        assert again.sounding == tracked.sounding and [t.id for t in again.tracks] == [t.id for t in tracked.tracks]
        for one, other in zip(again, tracked, strict=True):
            assert [(o.id, o.rle) for o in one.objects] == [(o.id, o.rle) for o in other.objects]
        assert again.to_prediction().masks == tracked.to_prediction().masks


def test_what_predict_wrote_comes_back_with_its_video(video: Path, result: Result, tmp_path: Path) -> None:
    folder = result.save(tmp_path / "r")
    with pytest.raises(MediaError, match=r"the video square\.mp4 is needed to make this: overlay; give the path"):
        Result.load(folder).save_video(tmp_path / "o.mp4")
    with pytest.raises(MediaError, match="is needed to make this: overlay"):
        Result.load(folder).save(tmp_path / "s", overlay=True)
    assert not (tmp_path / "s").exists()
    again = Result.load(folder, video=video)
    assert probe(again.save_video(tmp_path / "o.mp4")).width == 96
    assert np.asarray(again.plot()).std() > np.asarray(Result.load(folder).plot()).std()
    other = write_video(tmp_path / "other.mp4", scene(1), 10, sounding(1), RATE)
    with pytest.raises(ValueError, match=r"other\.mp4 is not the video of .*: its bytes is"):
        Result.load(folder, video=other)


def test_a_clip_s_result_comes_back(clip_result: Result, tmp_path: Path) -> None:
    again = Result.load(clip_result.save(tmp_path / "r", "npz"))
    assert again.id == "a clip" and np.array_equal(np.asarray(again.labels), np.asarray(clip_result.labels))


def edited(folder: Path, **changes: Any) -> None:
    head = json.loads((folder / "result.json").read_text())
    (folder / "result.json").write_text(json.dumps({**head, **changes}))


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Of every value inside, of lists the first entry."""
    inner = value.items() if isinstance(value, dict) else enumerate(value[:1]) if isinstance(value, list) else ()
    for key, one in inner:
        yield (*at, key)
        yield from places(one, (*at, key))


def test_no_value_of_another_kind_in_result_json_is_taken_or_stops_a_run(video: Path, tmp_path: Path) -> None:
    segmenter, folder, told = Segmenter(fake(), fps=1), tmp_path / "out" / video.stem, list[str]()
    predict_folder(segmenter, [video], tmp_path / "out", save=("masks", "csv"))
    whole = (folder / "result.json").read_text(encoding="utf-8")
    for place in places(json.loads(whole)):
        for value in (None, [None], "x"):
            head = json.loads(whole)
            *way, last = place
            reduce(lambda inner, key: inner[key], way, head)[last] = value
            (folder / "result.json").write_text(json.dumps(head), encoding="utf-8")
            report = predict_folder(segmenter, [video], tmp_path / "out")
            assert all(" holds " in why or str(folder) in why for why in report.failed.values()), (place, report.failed)
            try:
                Result.load(folder)
            except (ValueError, FileNotFoundError) as error:
                told.append(str(error))
    assert len(told) > 80 and all(str(folder) in sentence for sentence in told)


def test_what_is_no_whole_result_is_refused(result: Result, tmp_path: Path) -> None:
    folder = result.save(tmp_path / "r")

    def broken(name: str) -> Path:
        shutil.copytree(folder, tmp_path / name)
        return tmp_path / name

    with pytest.raises(FileNotFoundError, match=r"has no result\.json; give a folder that avseg predict wrote"):
        Result.load(tmp_path)
    with pytest.raises(ValueError, match=r"result\.json is a file; give its folder"):
        Result.load(folder / "result.json")
    with pytest.raises(ValueError, match=r"give the file of the video too"):
        Result.load(folder, audio="a.wav")
    edited(broken("kind"), format=None, kind="avseg.evaluation")
    with pytest.raises(ValueError, match=r"has the format None, wanted avseg\.result"):
        Result.load(tmp_path / "kind")
    edited(broken("new"), format_version=9)
    with pytest.raises(ValueError, match="has format version 9 but this avseg reads 1; install a newer avseg"):
        Result.load(tmp_path / "new")
    (broken("text") / "result.json").write_text("{")
    with pytest.raises(ValueError, match=r"is not valid JSON"):
        Result.load(tmp_path / "text")
    edited(broken("torn"), video={})
    with pytest.raises(
        ValueError,
        match=r"is damaged: video\.file is missing in its result\.json; predict the video again with --overwrite",
    ):
        Result.load(tmp_path / "torn")
    (broken("lost") / "masks/000002.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"000002\.png is missing, though result\.json names it"):
        Result.load(tmp_path / "lost")
    Image.new("P", (96, 64)).save(broken("empty") / "masks/000002.png")
    with pytest.raises(ValueError, match="no mask for object 1 of frame 2"):
        Result.load(tmp_path / "empty")
    Image.new("P", (10, 10), 1).save(broken("small") / "masks/000002.png")
    with pytest.raises(ValueError, match=r"a mask of \[10, 10\], wanted \[64, 96\] \(height, width\), for object 1"):
        Result.load(tmp_path / "small")
    with pytest.raises(ValueError, match="holds no masks; add them with avseg predict"):
        Result.load(result.save(tmp_path / "none", None))
    (result.save(tmp_path / "zip", "npz") / "masks.npz").write_bytes(b"no zip")
    with pytest.raises(ValueError, match=r"is damaged \(BadZipFile"):
        Result.load(tmp_path / "zip")


def test_what_cannot_be_saved_is_refused(result: Result, tmp_path: Path) -> None:
    wrong: dict[str, Any] = {"masks": "pgn", "overlay": "grey", "save": "csv"}
    for name, value in wrong.items():
        with pytest.raises(ValueError, match=f"{name} is '{value}', wanted"):
            result.save(tmp_path / "out", **{name: value})
    with pytest.raises(
        ValueError, match=r"a\.avi is not a valid name for the overlay; use a name that ends in \.mp4, "
    ):
        result.save_video(tmp_path / "a.avi")
    with pytest.raises(ValueError, match=r"style is 'grey', wanted a Style"):
        result.save_video(tmp_path / "a.mp4", "grey")  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["pandas", "supervision"])
def test_a_missing_library_is_named(result: Result, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=rf'{name} is not installed; install it with: pip install "avseg\[{name}\]"'):
        getattr(result, f"to_{name}")()


@pytest.mark.extra
def test_pandas_has_a_row_for_each_object_of_each_frame(result: Result, tracked: Result) -> None:
    needs("pandas")
    table = tracked.to_pandas()
    assert list(table.columns)[:5] == ["frame", "time", "id", "class_id", "class"]
    assert len(table) == sum(len(frame.objects) for frame in tracked)
    assert set(table["class"]) == {"drum", "flute"} and table["area"].min() > 0
    seen = table.groupby("id")["frame"].count().to_dict()
    assert seen == {i: int((scores > 0).sum()) for i, scores in tracked.scores.items()}
    assert len(replace(result, frames=()).to_pandas()) == 0


@pytest.mark.extra
def test_supervision_has_the_masks_boxes_and_names_of_each_frame(result: Result, tracked: Result) -> None:
    needs("supervision")
    for found, of in ((tracked.to_supervision(), tracked), (result.to_supervision(), result)):
        assert len(found) == len(of)
        for detections, frame in zip(found, of, strict=True):
            assert len(detections) == len(frame.objects)
            assert detections.area.tolist() == [one.area for one in frame.objects]
            assert list(detections.data["class_name"]) == [one.name for one in frame.objects]
            for box, one in zip(detections.xyxy, frame.objects, strict=True):
                rows, columns = one.mask.nonzero()
                assert box.tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    assert tracked.to_supervision()[2].tracker_id.tolist() == [one.id for one in tracked[2].objects]
    assert result.to_supervision()[2].tracker_id is None
