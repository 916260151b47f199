"""Who is served when, and which files are there for how long; with a worker that does what the test says."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from avseg.jobs import JobError, JobProgress, JobStopped, Limits, Order, WorkerDied
from avseg.ui import desk as module
from avseg.ui.desk import Desk, Finished, Waiting


class Hands:
    """A worker whose work is a file; it lasts until `go` is set."""

    def __init__(self) -> None:
        self.go, self.done, self.dies = threading.Event(), list[str](), False

    def run(self, order: Order, told: Any, stop: threading.Event, limits: Limits) -> Path:
        told(JobProgress("predicting", 1.0, 4.0, ("a note",)))
        while not self.go.wait(0.01):
            if stop.is_set():
                raise JobStopped("stopped")
        if self.dies:
            raise WorkerDied("the process ended unexpectedly")
        folder = order.out / order.video.stem
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{order.save[0]}.txt").write_text("made")
        self.done.append(f"{order.video.stem} {order.save[0]}")
        return folder

    def close(self) -> None:
        """Nothing runs."""


class Eyes:
    """A checker that refuses files whose name says so."""

    def __init__(self, limits: Limits) -> None:
        """The limits do not matter."""

    def check(self, path: Path) -> None:
        if "bad" in path.name:
            raise JobError(f"{path.name} is no video")

    def close(self) -> None:
        """Nothing runs."""


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def desk(tmp_path: Path, hands: Hands, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setattr(module, "Checker", Eyes)
    monkeypatch.setattr(module, "LOOK", 0.02)
    made = Desk(tmp_path, hands, Limits(), room=2, keep=1000.0)  # type: ignore[arg-type]
    yield made
    made.close()


def uploaded(desk: Desk, name: str, folder: str = "hash") -> Path:
    path = desk.uploads / folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"video")
    return path


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def order_of(video: Path) -> Order:
    return Order("demo", video, Path(), save=("overlay",))


def finished(moments: Any) -> Finished:
    found = list(moments)[-1]
    assert isinstance(found, Finished)
    return found


def test_one_after_the_other_in_the_order_of_asking(desk: Desk, hands: Hands) -> None:
    served: dict[str, Any] = {}
    for place, name in enumerate("abc"):
        video = uploaded(desk, f"{name}.mp4", name)
        desk.take(name, video)
        served[name] = desk.predict(name, order_of(video))
        assert next(served[name]) == (JobProgress("loading") if name == "a" else Waiting(place))
    desk.take("d", video := uploaded(desk, "d.mp4", "d"))
    with pytest.raises(JobError, match="2 videos are already waiting"):
        next(desk.predict("d", order_of(video)))
    assert next(served["c"]) == Waiting(2)
    hands.go.set()
    time.sleep(0.05)  # what was told and the result may then be there at once: no note is lost
    assert [finished(served[name]).notes for name in "abc"] == [("a note",)] * 3
    assert hands.done == ["a overlay", "b overlay", "c overlay"]


def test_whoever_waits_or_is_served_can_stop_and_the_next_one_comes(desk: Desk, hands: Hands) -> None:
    for name in "abc":
        desk.take(name, uploaded(desk, f"{name}.mp4", name))
    first, second, third = (desk.predict(name, order_of(desk.uploads / name / f"{name}.mp4")) for name in "abc")
    assert [next(one) for one in (first, second, third)] == [JobProgress("loading"), Waiting(1), Waiting(2)]
    assert desk.stop("b") and desk.stop("a")
    for one in (second, first):
        with pytest.raises(JobStopped):
            list(one)
    assert not desk.stop("a") and files(desk.results) == []
    hands.go.set()
    finished(third)
    assert hands.done == ["c overlay"]


def test_a_page_that_is_closed_stops_its_work_and_leaves_nothing(desk: Desk, hands: Hands) -> None:
    video = uploaded(desk, "a.mp4")
    desk.take("a", video)
    going = desk.predict("a", order_of(video))
    next(going)
    going.close()  # what gradio does when the page is closed
    assert list(desk.results.iterdir()) == [] and video.exists()
    hands.go.set()
    finished(desk.predict("a", order_of(video)))
    assert files(desk.results) == ["overlay.txt"]
    desk.leave("a")
    assert files(desk.results) == files(desk.uploads) == []


def test_a_second_wish_of_a_busy_page_is_refused(desk: Desk, hands: Hands) -> None:
    video = uploaded(desk, "a.mp4")
    desk.take("a", video)
    going = desk.predict("a", order_of(video))
    next(going)
    with pytest.raises(JobError, match="already segmenting a video"):
        next(desk.predict("a", order_of(video)))
    hands.go.set()
    finished(going)


def test_an_upload_lasts_as_long_as_a_page_has_it(desk: Desk) -> None:
    video = uploaded(desk, "same.mp4")
    desk.take("a", video)
    desk.take("b", video)
    desk.take("a", None)
    assert video.exists()
    desk.take("b", uploaded(desk, "next.mp4", "other"))
    assert files(desk.uploads) == ["next.mp4"]
    with pytest.raises(JobError, match=r"bad\.mp4 is no video"):
        desk.take("b", uploaded(desk, "bad.mp4", "third"))
    assert files(desk.uploads) == []


def test_what_is_not_ours_is_never_removed(desk: Desk, tmp_path: Path) -> None:
    example = tmp_path / "example.mp4"
    example.write_bytes(b"film")
    desk.take("a", example)
    desk.leave("a")
    assert example.exists()


def test_a_new_result_takes_the_place_of_the_old_one_and_kinds_are_added(desk: Desk, hands: Hands) -> None:
    video = uploaded(desk, "a.mp4")
    desk.take("a", video)
    hands.go.set()
    old = finished(desk.predict("a", order_of(video))).folder
    assert finished(desk.add("a", "srt")).folder == old and files(old) == ["overlay.txt", "srt.txt"]
    new = finished(desk.predict("a", order_of(video))).folder
    assert not old.exists() and files(desk.results) == ["overlay.txt"] and new.parent.parent != old.parent.parent


def test_what_is_gone_is_said_to_be_gone(desk: Desk, hands: Hands) -> None:
    video = uploaded(desk, "a.mp4")
    with pytest.raises(JobError, match="upload it again"):
        next(desk.predict("stranger", order_of(video)))  # the video of another page
    with pytest.raises(JobError, match="segment the video again"):
        next(desk.add("stranger", "srt"))
    desk.take("a", video)
    hands.go.set()
    finished(desk.predict("a", order_of(video)))
    video.unlink()
    for again in (desk.predict("a", order_of(video)), desk.add("a", "srt")):
        with pytest.raises(JobError, match="upload it again"):
            next(again)


def test_a_death_is_told_and_the_next_is_served(desk: Desk, hands: Hands) -> None:
    video = uploaded(desk, "a.mp4")
    desk.take("a", video)
    hands.go.set()
    hands.dies = True
    with pytest.raises(WorkerDied):
        list(desk.predict("a", order_of(video)))
    hands.dies = False
    finished(desk.predict("a", order_of(video)))


def test_sweeping_takes_silent_pages_and_stray_files(desk: Desk, hands: Hands) -> None:
    kept, silent, stray = (uploaded(desk, f"{name}.mp4", name) for name in ("kept", "silent", "stray"))
    desk.take("kept", kept)
    desk.take("silent", silent)
    desk.sweep()
    assert files(desk.uploads) == ["kept.mp4", "silent.mp4", "stray.mp4"]
    desk.visit("silent").seen -= 2000
    for path in (kept, stray):
        os.utime(path, (0, 0))
    desk.sweep()
    assert files(desk.uploads) == ["kept.mp4"]


def test_an_upload_that_broke_off_is_removed_soon(desk: Desk) -> None:
    coming, broken = desk.uploads / "tmp1", desk.uploads / "tmp2"
    for path, age in ((coming, 60.0), (broken, 150.0)):
        path.write_bytes(b"the beginning of a video")
        os.utime(path, (time.time() - age,) * 2)
    desk.sweep()
    assert files(desk.uploads) == ["tmp1"]
