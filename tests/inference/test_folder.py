"""Folders of videos: names, skipping, broken ones, whole results; and what result.json and the masks hold."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from avseg.engines import Choice
from avseg.inference import Segmenter, predict_folder, predict_paths
from avseg.inference.folder import FolderReport, fault_line, find_videos, result_names
from avseg.io.image import read_index
from avseg.io.media import MediaError
from avseg.io.rle import decode
from avseg.io.video import probe, write_video
from avseg.types import Batch, Prediction, Task
from inference.fake import FakeModel, fake
from inference.media import counting, make, tone

RATE = 16000
NUMBER = (int, float)
SCHEMA: dict[str, Any] = {
    "format": str,
    "format_version": int,
    "avseg": str,
    "video": {
        "file": str,
        "bytes": int,
        "width": int,
        "height": int,
        "fps": NUMBER,
        "damaged_packets": int,
        "duration": NUMBER,
        "sound": ({"codec": str, "sample_rate": int, "channels": int}, None),
    },
    "model": {
        "name": str,
        "family": str,
        "fingerprint": str,
        "task": {"kind": str, "classes": [str]},
        "engine": str,
        "precision": str,
    },
    "fps": NUMBER,
    "masks": ({"kind": str, "file": str}, None),
    "overlay": (str, type(None)),
    "tracks": (str, type(None)),
    "classes": [{"id": int, "name": str, "colour": [int]}],
    "frames": [
        {
            "index": int,
            "time": NUMBER,
            "heard": [NUMBER],
            "objects": [{"id": int, "class_id": int, "class": str, "score": NUMBER, "area": int, "box": [int]}],
        }
    ],
    "sounding": [{"id": int, "class_id": int, "class": str, "intervals": [[NUMBER]]}],
}


def check(value: Any, schema: Any, where: str = "result") -> None:
    """Fails where `value` has other keys or types than `schema`."""
    if isinstance(schema, dict):
        assert isinstance(value, dict) and value.keys() == schema.keys(), where
        for key, inner in schema.items():
            check(value[key], inner, f"{where}.{key}")
    elif isinstance(schema, list):
        assert isinstance(value, list), where
        for i, item in enumerate(value):
            check(item, schema[0], f"{where}[{i}]")
    elif isinstance(schema, tuple) and isinstance(schema[0], dict):
        if value is not None:
            check(value, schema[0], where)
    else:
        assert isinstance(value, schema) and not isinstance(value, bool), (where, value)


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    """A folder with two good videos and a broken one, and a file that is none."""
    folder = tmp_path / "videos"
    (folder / "more").mkdir(parents=True)
    bright = [np.full((48, 64, 3), 230, np.uint8)] * 20
    write_video(folder / "good.mp4", bright, 10, tone(2, RATE), RATE)
    make(folder / "more" / "mute.mkv", bright, None, ("mjpeg", "yuvj444p"))
    (folder / "broken.mp4").write_bytes(b"not a video" * 50)
    (folder / "notes.txt").write_text("no video either", encoding="utf-8")
    return folder


def run(videos: Path, out: Path, **options: Any) -> FolderReport:
    return predict_folder(Segmenter(fake(), fps=1), find_videos([str(videos)], out), out, **options)


def test_broken_videos_are_survived_and_finished_ones_skipped(videos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = run(videos, out, overlay=True)
    assert {path.name for path in first.done} == {"good.mp4", "mute.mkv"} and not first.skipped
    (reason,) = first.failed.values()
    assert "broken.mp4 cannot be opened as a video" in reason
    assert first.exit_code == 1 and "2 segmented, 0 already there, 1 failed" in str(first) and reason in str(first)
    assert str(first).count("broken.mp4") == 1 and fault_line(Path("a/b.mp4"), "no sound") == "b.mp4: no sound"
    assert sorted(path.name for path in out.iterdir()) == ["good", "mute"]
    stamp = (out / "good" / "result.json").stat().st_mtime_ns
    again = run(videos, out, overlay=True)
    assert len(again.skipped) == 2 and (out / "good" / "result.json").stat().st_mtime_ns == stamp


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_second_run_adds_what_is_lacking_and_removes_nothing(videos: Path, tmp_path: Path) -> None:
    good, out = [videos / "good.mp4"], tmp_path / "out"
    folder, segmenter = out / "good", Segmenter(fake(), fps=1)
    assert predict_folder(segmenter, good, out, overlay=True).done
    (folder / "notes.txt").write_text("mine", encoding="utf-8")
    before = contents(folder)
    assert predict_folder(segmenter, good, out, masks=None).skipped and contents(folder) == before
    assert predict_folder(segmenter, good, out, masks="rle").done
    after = contents(folder)
    assert after.keys() - before.keys() == {"masks.jsonl"}
    assert all(after[name] == content for name, content in before.items() if name != "result.json")
    told = json.loads(after["result.json"])
    assert told["masks"]["kind"] == "png" and [kind["kind"] for kind in told["more_masks"]] == ["rle"]
    assert told["overlay"] == "overlay.mp4"
    for masks in ("png", "rle"):
        assert predict_folder(segmenter, good, out, masks=masks, overlay=True).skipped
    (folder / "overlay.mp4").unlink()
    assert predict_folder(segmenter, good, out, overlay=True).done
    assert contents(folder) == after


def test_a_result_that_contradicts_is_left_alone_unless_it_may_be_replaced(videos: Path, tmp_path: Path) -> None:
    good, out = [videos / "good.mp4"], tmp_path / "out"
    folder, segmenter = out / "good", Segmenter(fake(), fps=1)
    predict_folder(segmenter, good, out, overlay=True)
    (folder / "notes.txt").write_text("mine", encoding="utf-8")
    before = contents(folder)
    other = Segmenter(fake(), fps=1)
    other.model.network.bias.data.add_(1)
    for run, words in (
        (Segmenter(segmenter.model, fps=2), "a result with 1 masks per second, not 2"),
        (other, "a result of the model fake with other weights or options"),
        (Segmenter(segmenter.model, fps=1, name="mine"), ""),
    ):
        report = predict_folder(run, good, out)
        if words:
            (reason,) = report.failed.values()
            assert f"good holds {words}" in reason and "--overwrite" in reason and report.exit_code == 1
        else:
            assert report.skipped  # the same weights under another name
        assert contents(folder) == before
    assert predict_folder(Segmenter(segmenter.model, fps=2), good, out, masks="npz", overwrite=True).done
    assert sorted(contents(folder)) == ["masks.npz", "notes.txt", "result.json"]


def test_a_changed_video_of_the_same_name_is_another_one(videos: Path, tmp_path: Path) -> None:
    path = make(tmp_path / "a.mp4", counting(10))
    predict_folder(Segmenter(fake(), fps=1), [path], tmp_path / "out")
    make(path, counting(20))
    (reason,) = predict_folder(Segmenter(fake(), fps=1), [path], tmp_path / "out").failed.values()
    assert "holds a result of another file called a.mp4" in reason


def test_a_folder_of_the_user_s_own_is_not_touched(videos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "good" / "masks").mkdir(parents=True)
    (out / "good" / "masks" / "mine.png").write_bytes(b"mine")
    (reason,) = predict_folder(Segmenter(fake(), fps=1), [videos / "good.mp4"], out).failed.values()
    assert "holds masks but not a complete result of avseg" in reason
    (out / "mute").write_text("a file in the way", encoding="utf-8")
    (reason,) = predict_folder(Segmenter(fake(), fps=1), [videos / "more" / "mute.mkv"], out).failed.values()
    assert "a file of that name instead of a folder" in reason
    assert contents(out) == {"good/masks/mine.png": b"mine", "mute": b"a file in the way"}


def test_saving_a_result_leaves_other_files_alone(videos: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    result = Segmenter(fake(), fps=1).predict(videos / "good.mp4")
    result.save(tmp_path / "r", overlay=True)
    (tmp_path / "r" / "notes.txt").write_text("mine", encoding="utf-8")
    result.save(tmp_path / "r", masks="rle")
    assert sorted(contents(tmp_path / "r")) == ["masks.jsonl", "notes.txt", "result.json"]


def test_what_a_killed_run_left_is_cleared(videos: Path, tmp_path: Path) -> None:
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom avseg.io.files import folder_aside\n"
        "with folder_aside(Path(sys.argv[1])) as aside:\n"
        "    (aside / 'masks').mkdir()\n    os.kill(os.getpid(), 9)\n"
    )
    out = tmp_path / "out"
    subprocess.run([sys.executable, "-c", code, str(out / "good")], check=False)
    assert [path.suffix for path in out.iterdir()] == [".part"]
    predict_folder(Segmenter(fake(), fps=1), [videos / "good.mp4"], out)
    assert [path.name for path in out.iterdir()] == ["good"]


def test_the_line_of_a_video_says_what_was_found_and_when(
    videos: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        report = predict_folder(Segmenter(fake(), fps=1), [videos / "good.mp4", videos / "more" / "mute.mkv"], tmp_path)
    lines = [record.getMessage() for record in caplog.records if "real time" in record.getMessage()]
    assert re.fullmatch(r"good\.mp4  64x48  2\.0 s  [\d.]+x real time: sounding 0\.0-2\.0 s", lines[0])
    assert re.fullmatch(r"mute\.mkv  64x48  2\.0 s  [\d.]+x real time: nothing found", lines[1])
    assert report.summary == f"2 segmented, 0 already there, 0 failed; results are in {tmp_path}"


@pytest.mark.parametrize("kind", ["png", "rle", "npz", None])
def test_masks_on_disk_equal_those_in_memory(tmp_path: Path, kind: Any) -> None:
    picture = np.full((47, 63, 3), 20, np.uint8)
    picture[:, :30] = (230, 20, 20)
    picture[:, 40:] = (20, 230, 20)
    path = make(tmp_path / "s.mkv", [picture] * 30, None, ("ffv1", "bgr0"), tone(3, RATE), ("flac", "mono", RATE))
    segmenter = Segmenter(fake(Task("semantic", ("red", "green"))), fps=2)
    predict_folder(segmenter, [path], tmp_path / "out", masks=kind)
    folder, result = tmp_path / "out" / "s", segmenter.predict(path)
    told = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    check(told, SCHEMA)
    assert len(told["frames"]) == len(result.frames) == 6
    for frame, labels in zip(told["frames"], result.labels, strict=True):
        assert set(np.unique(labels)) == {0, 1, 2}
        if kind == "png":
            stored = read_index(folder / told["masks"]["file"].format(index=frame["index"])).numpy()
        elif kind == "npz":
            stored = np.load(folder / told["masks"]["file"])[f"{frame['index']:06d}"]
        elif kind == "rle":
            lines = (folder / told["masks"]["file"]).read_text(encoding="utf-8").splitlines()
            stored = sum(one["id"] * decode(one["rle"]) for one in json.loads(lines[frame["index"]])["masks"])
        else:
            assert told["masks"] is None and sorted(p.name for p in folder.iterdir()) == ["result.json"]
            continue
        assert np.array_equal(stored, labels)
        assert [one["area"] for one in frame["objects"]] == [int((labels == i).sum()) for i in (1, 2)]


def test_a_result_saves_itself_like_the_folder_run_does(videos: Path, tmp_path: Path) -> None:
    segmenter = Segmenter(fake(), fps=1)
    predict_folder(segmenter, [videos / "good.mp4"], tmp_path / "a", overlay=True)
    segmenter.predict(videos / "good.mp4").save(tmp_path / "b", overlay=True)
    one, two = (json.loads((tmp_path / name / "result.json").read_text()) for name in ("a/good", "b"))
    assert one["frames"] == two["frames"] and one["sounding"] == two["sounding"] and one["video"] == two["video"]
    assert probe(tmp_path / "b" / "overlay.mp4").sound == probe(tmp_path / "a/good" / "overlay.mp4").sound
    names = [sorted(p.name for p in (tmp_path / name).rglob("*")) for name in ("a/good", "b")]
    assert names[0] == names[1]


def test_the_documented_example_has_the_schema() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "result.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    check(json.loads(example), SCHEMA)


def test_names_that_clash_are_told_apart(tmp_path: Path) -> None:
    videos = [Path(name) for name in ("x/a.mp4", "x/a.mkv", "x/b.mp4", "y/b.mp4", "y/c.avi")]
    names = result_names(videos, tmp_path)
    assert list(names.values()) == ["a.mp4", "a.mkv", "x-b.mp4", "y-b.mp4", "c"]
    same = result_names([Path("1/x/b.mp4"), Path("2/x/b.mp4")], tmp_path)
    assert list(same.values()) == ["x-b.mp4", "x-b.mp4-2"]


def test_a_second_run_does_not_overwrite_the_result_of_a_namesake(tmp_path: Path) -> None:
    pictures = [np.full((48, 64, 3), 230, np.uint8)] * 10
    one, two = (make(tmp_path / name, pictures, None, ("mjpeg", "yuvj444p")) for name in ("a.mkv", "a.mov"))
    segmenter, out = Segmenter(fake(), fps=1), tmp_path / "out"
    predict_folder(segmenter, [one], out)
    predict_folder(segmenter, [two], out)
    assert sorted(path.name for path in out.iterdir()) == ["a", "a.mov"]


def test_inputs_are_files_folders_and_patterns_and_results_are_none_of_them(videos: Path) -> None:
    out = videos / "out"
    good = [videos / "good.mp4"]
    predict_folder(Segmenter(fake(), fps=1), good, out, overlay=True)
    found = find_videos([str(videos), str(videos / "*.mp4"), str(videos / "good.mp4")], out)
    assert [path.name for path in found] == ["broken.mp4", "good.mp4", "mute.mkv"]
    with pytest.raises(FileNotFoundError, match="is not a video file, a folder with videos or a pattern"):
        find_videos([str(videos / "*.webm")])


def test_hidden_files_of_a_folder_are_no_videos_unless_they_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as `._NAME.mp4`, in which macOS keeps its notes beside a file on foreign discs."""
    folder = tmp_path / ".given" / "videos"
    names = ["a.mp4", "._a.mp4", ".b.mp4", ".trash/c.mp4", "more/d.mp4", "more/._d.mp4", "more/.e/.f/g.mp4", "..h.mp4"]
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    wanted = [folder / "a.mp4", folder / "more" / "d.mp4"]
    assert find_videos([str(folder)]) == find_videos([str(folder / "**" / "*.mp4")]) == wanted
    assert find_videos([str(folder / "._a.mp4")]) == [folder / "._a.mp4"]
    monkeypatch.chdir(folder)
    assert find_videos(["."]) == [Path("a.mp4"), Path("more/d.mp4")]
    assert find_videos([".trash", "../videos/more"]) == [Path(".trash/c.mp4"), Path("../videos/more/d.mp4")]
    with pytest.raises(FileNotFoundError, match="a folder with videos"):
        find_videos(["more/.e"])  # all that is in it lies in a folder that is hidden


class Interrupted(FakeModel):
    """Stops in the second call."""

    calls = 0

    def predict(self, batch: Batch) -> list[Prediction]:
        self.calls += 1
        if self.calls > 1:
            raise KeyboardInterrupt
        return super().predict(batch)


def test_an_interrupt_leaves_nothing_half_written(tmp_path: Path) -> None:
    path = make(tmp_path / "a.mp4", counting(35), [k / 2 for k in range(35)], sound=tone(17, RATE))
    model = Interrupted(fake().config, Task("binary"))
    with pytest.raises(KeyboardInterrupt):
        predict_folder(Segmenter(model, fps=2), [path], tmp_path / "out", overlay=True)
    assert model.calls == 2 and list((tmp_path / "out").iterdir()) == []


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Writing more than `size` bytes to a file fails as on a full disk."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def noise(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 255, (96, 128, 3), dtype=np.uint8) for _ in range(60)]
    return write_video(tmp_path / "a.mp4", pictures, 10, tone(6, RATE), RATE)


def test_a_full_disk_is_one_sentence_and_leaves_nothing(noise: Path, tmp_path: Path) -> None:
    with files_of_at_most(300):
        report = predict_folder(Segmenter(fake(), fps=1), [noise], tmp_path / "out", masks="npz")
    (reason,) = report.failed.values()
    assert "File too large" in reason and "\n" not in reason
    assert list((tmp_path / "out").iterdir()) == [] and report.exit_code == 1


def test_an_overlay_that_cannot_be_written_costs_nothing_else(noise: Path, tmp_path: Path) -> None:
    with files_of_at_most(60_000):
        report = predict_folder(Segmenter(fake(), fps=1), [noise], tmp_path / "out", overlay=True)
    (reason,) = report.without_overlay.values()
    assert "no overlay could be written (File too large)" in reason and reason in str(report)
    assert report.exit_code == 1 and not report.failed
    (folder,) = report.done.values()
    found = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    assert found["overlay"] is None and len(found["frames"]) == len(list((folder / "masks").iterdir())) == 6
    assert sorted(path.name for path in folder.iterdir()) == ["masks", "result.json"]
    again = predict_folder(Segmenter(fake(), fps=1), [noise], tmp_path / "out", overlay=True)
    assert again.done and (folder / "overlay.mp4").is_file() and again.exit_code == 0


def test_an_output_that_cannot_be_written_is_said_before_any_work(videos: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises(OSError, match=r"results cannot be written to .*choose another folder"):
        predict_paths([str(videos)], "no-model", tmp_path / "file" / "out")


def test_no_input_at_all_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no video given"):
        predict_paths([], "no-model", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_sound_without_picture_is_an_error_sentence(tmp_path: Path) -> None:
    path = make(tmp_path / "song.m4a", sound=tone(1, RATE))
    with pytest.raises(MediaError, match="has no picture"):
        Segmenter(fake(), fps=1).predict(path)
    report = predict_folder(Segmenter(fake(), fps=1), [path], tmp_path / "out")
    assert "has no picture" in report.failed[path]


def test_a_real_model_goes_from_file_to_masks(videos: Path, tmp_path: Path) -> None:
    from avseg.models import build_model, save_model
    from small import small_config

    model = save_model(build_model(small_config("tpavi"), Task("binary")), tmp_path / "m.safetensors")
    report = predict_paths([str(videos / "good.mp4")], model, tmp_path / "out", fps=2, masks="rle")
    told = json.loads((tmp_path / "out" / "good" / "result.json").read_text(encoding="utf-8"))
    check(told, SCHEMA)
    assert report.exit_code == 0 and told["model"]["family"] == "tpavi" and told["model"]["name"] == "m.safetensors"
    assert len(told["frames"]) == 4 and (tmp_path / "out" / "good" / "overlay.mp4").is_file()


def test_the_record_numbers_classes_from_one(videos: Path, tmp_path: Path) -> None:
    run(videos / "good.mp4", tmp_path / "binary")
    red = [np.full((48, 64, 3), (230, 20, 20), np.uint8)] * 10
    path = write_video(tmp_path / "red.mp4", red, 10, tone(1, RATE), RATE)
    semantic = Segmenter(fake(Task("semantic", ("red thing", "green thing"))), fps=1)
    predict_folder(semantic, [path], tmp_path / "semantic")
    binary, told = (
        json.loads((tmp_path / name / "result.json").read_text(encoding="utf-8"))
        for name in ("binary/good", "semantic/red")
    )
    assert [(one["id"], one["name"]) for one in binary["classes"]] == [(1, "sounding")]
    assert [(one["id"], one["name"]) for one in told["classes"]] == [(1, "red thing"), (2, "green thing")]
    assert {one["class_id"] for one in told["sounding"]} == {1}
    assert len({tuple(one["colour"]) for one in told["classes"]} | {(0, 0, 0)}) == 3


def test_a_result_of_another_precision_is_made_again(tmp_path: Path) -> None:
    picture = np.zeros((48, 64, 3), np.uint8)
    path = make(tmp_path / "s.mkv", [picture] * 20, None, ("ffv1", "bgr0"), tone(2, RATE), ("flac", "mono", RATE))
    segmenter = Segmenter(fake(Task("semantic", ("red", "green"))), fps=2)
    for choice, made in ((segmenter.choice, 1), (segmenter.choice, 0), (Choice("openvino", "bf16"), 1)):
        segmenter.choice = choice
        report = predict_folder(segmenter, [path], tmp_path / "out", masks="png")
        assert (len(report.done), len(report.skipped), report.failed) == (made, 1 - made, {})
    told = json.loads((tmp_path / "out" / "s" / "result.json").read_text(encoding="utf-8"))
    assert (told["model"]["engine"], told["model"]["precision"]) == ("openvino", "bf16")
