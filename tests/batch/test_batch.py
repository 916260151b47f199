"""Batches on one machine: the bytes of `avseg predict`, whatever ends a process in the middle."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import fsspec
import pytest

from avseg.batch import BatchPlan, LocalRunner, read_manifest, run_batch
from avseg.batch.manifest import rows_by_id
from avseg.batch.outcome import Outcome
from avseg.batch.results import open_results
from avseg.batch.run import BatchReport
from avseg.cli import run
from avseg.device import best_device
from batch_drivers import killed_before_the_end, results_of, words
from batch_films import FPS, InThisProcess, files_of, film

CRASH = """
import os
from avseg.io.excerpt import Excerpt
of = Excerpt.of
def crashing(self, path):
    if path.name.startswith("crash"):
        os.kill(os.getpid(), 9)
    return of(self, path)
Excerpt.of = crashing
"""
"""A plug-in under which a video takes the process down, as one that crashes a decoder does."""


def plan_of(out: Path, **more: Any) -> BatchPlan:
    return BatchPlan("demo", str(out), fps=FPS, devices=("cpu",), **more)


def batch(plan: BatchPlan, *inputs: Path, shard: tuple[int, int] | None = None, jobs: int = 0) -> BatchReport:
    runner = LocalRunner(plan, jobs) if jobs else InThisProcess(plan)
    return run_batch(plan, [str(path) for path in inputs], runner, shard)


def statuses(out: Path) -> dict[str, str]:
    rows = list(read_manifest(out))
    assert [row["id"] for row in rows] == sorted({row["id"] for row in rows})
    return {row["id"]: row["status"] for row in rows}


def test_results_have_the_bytes_of_predict_and_bad_videos_cost_themselves_alone(
    folder: Path, expected: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "crashing.py").write_text(CRASH)
    monkeypatch.setenv("AVSEG_PLUGINS", str(tmp_path / "crashing.py"))
    monkeypatch.setattr("avseg.batch.runner.PAUSES", (0.0,))
    out, broken, crash = tmp_path / "out", tmp_path / "broken.mp4", film(tmp_path / "crash.mp4", 1)
    broken.write_bytes(b"no video")
    report = batch(plan_of(out, tries=2), folder, broken, crash, jobs=2)
    monkeypatch.delenv("AVSEG_PLUGINS")
    assert files_of(out / "videos") == expected and not (out / ".unfinished").exists()
    assert (report.done, report.there, sorted(report.failed), report.exit_code) == (
        5,
        0,
        ["broken.mp4", "crash.mp4"],
        1,
    )
    rows = {row["id"]: row for row in read_manifest(out)}
    assert rows["broken.mp4"]["tries"] == 2 and "cannot be opened as a video" in rows["broken.mp4"]["error"]
    assert rows["crash.mp4"]["tries"] == 2 and "ended unexpectedly (signal 9" in rows["crash.mp4"]["error"]
    good = rows["below/film 1.mp4"]
    assert good["status"] == "done" and good["duration"] == 2.0 and good["seconds"] > 0
    assert good["bytes"] == (folder / "below/film 1.mp4").stat().st_size and good["versions"].keys() >= {"torch", "av"}
    again = batch(plan_of(out), folder)
    assert (again.done, again.there, again.exit_code) == (0, 5, 0) and files_of(out / "videos") == expected
    assert statuses(out)["broken.mp4"] == "failed"
    for other, sentence in (
        (replace(plan_of(out), fps=2.0), "results with model fps 1.0, not 2.0"),
        (plan_of(out, threshold=0.9), "results with model fingerprint"),
        (plan_of(out, masks="png"), 'results with masks "rle", not "png"'),
    ):
        with pytest.raises(ValueError, match=sentence):
            batch(other, folder)


def test_rows_name_the_device_that_auto_took(folder: Path, tmp_path: Path) -> None:
    batch(replace(plan_of(tmp_path), devices=("auto",)), folder / "below")
    assert {row["device"] for row in read_manifest(tmp_path)} == {best_device()}


def test_shards_make_one_whole_also_where_they_overlap(
    folder: Path, expected: dict[str, bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = plan_of(tmp_path / "out")
    first = batch(plan, folder, shard=(0, 2))
    assert 0 < first.done == first.chosen < first.listed == 5 and first.waiting == 5 - first.done
    assert "are left to other runs" in first.summary and not (tmp_path / "out/manifest.jsonl").exists()
    second = batch(plan, folder, shard=(0, 1))
    assert second.done == 5 - first.done and second.there == first.done
    assert files_of(tmp_path / "out/videos") == expected
    assert set(statuses(tmp_path / "out").values()) == {"done"}
    with pytest.raises(ValueError, match=r"--shard-index is 2 and --num-shards 2; wanted an index from 0 to 1"):
        run([*words(folder, tmp_path), "--runner", "shards", "--num-shards", "2", "--shard-index", "2"])


def test_a_killed_driver_loses_nothing_and_does_nothing_twice(
    folder: Path, expected: dict[str, bytes], tmp_path: Path
) -> None:
    out, made = killed_before_the_end(folder, tmp_path, 5)
    report = batch(plan_of(out), folder)
    assert (report.done, report.there) == (5 - len(made), len(made))
    assert made.items() <= results_of(out).items()
    assert files_of(out / "videos") == expected and set(statuses(out).values()) == {"done"}
    assert not list(out.rglob(".*.part*"))


def test_two_drivers_share_one_place_and_import_no_torch(
    folder: Path, expected: dict[str, bytes], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    call = f"run({words(folder, out)!r})"
    code = f"import sys\nfrom avseg.cli import run\n{call}\nprint('torch' in sys.modules)"
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    drivers = [subprocess.Popen([sys.executable, "-c", code], text=True, **pipes) for _ in range(2)]
    told = [driver.communicate() for driver in drivers]
    assert [driver.returncode for driver in drivers] == [0, 0], told
    assert [lines.splitlines()[-1] for lines, _ in told] == ["False", "False"]
    assert files_of(out / "videos") == expected and set(statuses(out).values()) == {"done"}


class Canned:
    """A runner whose outcomes are given."""

    name = "local"

    def __init__(self, *outcomes: Outcome) -> None:
        self.outcomes = outcomes

    def describe(self) -> dict[str, Any]:
        return {"fingerprint": "0"}

    def run(self, wanted: Any) -> Iterator[Outcome]:
        yield from self.outcomes

    def close(self) -> None:
        return


def test_a_full_disk_ends_the_run_and_a_later_one_goes_on(folder: Path, tmp_path: Path) -> None:
    full = "no result could be written (No space left on device)"
    outcomes = [Outcome("film 0.mp4", "done"), Outcome("film 2.mp4", "failed", full), Outcome("film 4.mp4", "done")]
    with pytest.raises(OSError, match=r"no space left on device after 1 videos of this run .* to continue"):
        run_batch(plan_of(tmp_path / "out"), [str(folder)], Canned(*outcomes))
    rows = rows_by_id(line for path in tmp_path.glob("out/manifest/*") for line in path.read_text().splitlines())
    assert [row["id"] for row in rows.values()] == ["film 0.mp4"]


def test_a_server_that_does_not_say_why_it_refuses_a_file_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second run settles with the note of the first one; Ceph says no more than that a condition failed."""
    results = open_results("memory://bucket/refusing")
    assert results.create("batch.json", b"first")

    def refused(*_: Any, mode: str = "overwrite") -> None:
        raise OSError(errno.EINVAL, None)

    monkeypatch.setattr(type(fsspec.filesystem("memory")), "pipe_file", refused)
    assert not results.create("batch.json", b"second") and results.read("batch.json") == b"first"
    with pytest.raises(OSError, match=r"memory://bucket/refusing/other\.json cannot be reached"):
        results.create("other.json", b"second")


def test_a_video_without_any_answer_is_a_failure(folder: Path, tmp_path: Path) -> None:
    report = run_batch(plan_of(tmp_path / "out"), [str(folder / "film 0.mp4")], Canned())
    assert report.failed == {"film 0.mp4": "no process answered for this video in several attempts"}


def test_a_video_that_changed_is_made_again(folder: Path, tmp_path: Path) -> None:
    plan, video = plan_of(tmp_path / "out"), film(tmp_path / "films/one.mp4", 1)
    batch(plan, video.parent)
    before = files_of(tmp_path / "out/videos")
    film(video, 5, seconds=3)
    assert batch(plan, video.parent).done == 1
    after = files_of(tmp_path / "out/videos")
    assert after.keys() == before.keys() and json.loads(after["one.mp4/result.json"])["video"]["duration"] == 3.0
    (row,) = read_manifest(tmp_path / "out")
    assert row["bytes"] == video.stat().st_size and row["revision"] == 1
    assert batch(plan, video.parent).there == 1


def test_clocks_decide_nothing() -> None:
    """A machine whose clock is years ahead fails at a video that another one does, and its note comes first or last."""
    late = {"id": "a", "status": "failed", "tries": 3, "begun": "2031-01-01T00:00:00Z"}
    early = {"id": "a", "status": "done", "tries": 1, "begun": "1999-01-01T00:00:00Z"}
    cut = '{"id": "b", "status": "do'
    for rows in ((late, early), (early, late)):
        lines = [*map(json.dumps, rows), cut]
        assert rows_by_id(lines) == {"a": early}
