"""Predicting in stages: the same bytes as one step after the other, and a fault in any stage ends all of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from functools import partialmethod
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from avseg.inference import Segmenter, predict_folder
from avseg.inference.export.kinds import GATHERED, kinds
from avseg.inference.folder import FolderReport
from avseg.inference.records import FrameResult
from avseg.io.media import MediaError
from avseg.io.shared import SharedPictures
from avseg.io.video import Pictures, write_video
from avseg.io.video_writer import VideoWriter
from avseg.types import Batch, Prediction, Task
from inference.fake import FakeModel, fake
from inference.media import make, tone
from inference.tracker import tracker

RATE = 16000
OWN = [kind for kind in kinds() if not kind.startswith(GATHERED)]
BINARY, SEMANTIC = Task("binary"), Task("semantic", ("red thing", "green thing"))


class SerialAhead(Iterator[Any]):
    """`Ahead` without a thread."""

    def __init__(self, items: Iterable[Any], _: int) -> None:
        self._items = iter(items)

    def __next__(self) -> Any:
        return next(self._items)

    def __enter__(self) -> SerialAhead:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._items.close()  # type: ignore[attr-defined]


class SerialBehind:
    """`Behind` without a thread."""

    def __init__(self, take: Callable[[Any], object], _: int) -> None:
        self.add = take

    def __enter__(self) -> SerialBehind:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def finish(self) -> None:
        pass

    def abandon(self) -> None:
        pass


def one_after_the_other(patched: pytest.MonkeyPatch) -> None:
    for address in ("source", "export.overlay", "export.writer"):
        patched.setattr(f"avseg.inference.{address}.Ahead", SerialAhead)
    for address in ("export.overlay", "export.files"):
        patched.setattr(f"avseg.inference.{address}.Behind", SerialBehind)
    patched.setattr("avseg.inference.plan.FramePlan.may_share", lambda *_: False)


def film(size: tuple[int, int], count: int) -> list[np.ndarray]:
    """A red and a green square that move towards each other, and a bright one."""
    pictures = []
    for number in range(count):
        picture = np.full((*size, 3), 20, np.uint8)
        picture[4:20, number % 30 : number % 30 + 16] = (230, 20, 20)
        picture[20:36, 30 - number % 30 : 46 - number % 30] = (20, 230, 20)
        picture[36:, 8:40] = 20 * (number % 12)
        pictures.append(picture)
    return pictures


def steady(path: Path) -> Path:
    sound = np.concatenate([tone(5.3, RATE, 2, 440.0), tone(5.3, RATE, 2, 4000.0)], axis=1)[:, ::2]
    return write_video(path / "steady.mp4", film((48, 64), 53), 10, sound, RATE)


def uneven(path: Path) -> Path:
    """Of odd sides, with pictures at times that no rate gives, and sound that is shorter."""
    times = np.cumsum(np.random.default_rng(0).uniform(0.01, 0.2, 40)).round(3)
    return make(path / "uneven.mkv", film((47, 63), 40), list(times - times[0]), ("ffv1", "bgr0"), tone(3, RATE))


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
        assert not thread.is_alive()


@pytest.mark.parametrize(
    ("model", "fps", "makes", "save", "masks", "more"),
    [
        (lambda: fake(), 1, steady, [*OWN, "dataset:s4"], "png", {}),
        (lambda: fake(SEMANTIC), 3, uneven, OWN, "rle", {}),
        (lambda: tracker(), 2, steady, [*OWN, "dataset:aviseg"], "npz", {}),
        (lambda: fake(), 4, uneven, ["overlay", "alpha:webm"], "png", {"start": 0.7, "end": 2.3, "audio": True}),
    ],
    ids=["binary", "semantic", "instances", "a part with other sound"],
)
def test_stages_write_the_bytes_of_one_step_after_the_other(
    model: Any,
    fps: float,
    makes: Callable[[Path], Path],
    save: list[str],
    masks: Any,
    more: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    video, network = makes(tmp_path), model()
    if more:
        more["audio"] = make(tmp_path / "other.m4a", sound=tone(3, RATE))

    def run(out: Path) -> dict[str, bytes]:
        report = predict_folder(Segmenter(network, fps=fps), [video], out, save=save, masks=masks, **more)
        assert report.exit_code == 0, report
        return files(out)

    found = [run(tmp_path / "stages")]
    monkeypatch.setattr("avseg.io.shared.SharedPictures.__init__", partialmethod(SharedPictures.__init__, room=40_000))
    found.append(run(tmp_path / "with little room"))
    one_after_the_other(monkeypatch)
    found.append(run(tmp_path / "serial"))
    assert found[0] == found[1] == found[2] and len(found[0]) >= len(save)
    assert b'"objects": [{' in found[0][f"{video.stem}/result.json"]


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return steady(tmp_path)


def predicted(video: Path, tmp_path: Path, **options: Any) -> FolderReport:
    return predict_folder(Segmenter(fake(), fps=2), [video], tmp_path / "out", overlay=True, **options)


def counted(call: Callable[..., Any], last: int, error: BaseException) -> Callable[..., Any]:
    """`call`, which fails from its call number `last` on."""
    calls = 0

    def counting(*given: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls >= last:
            raise error
        return call(*given)

    return counting


def test_a_decoder_that_fails_in_the_middle_ends_the_video_in_its_sentence(
    video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fails = counted(Pictures.__next__, 7, MediaError("steady.mp4 went away"))
    monkeypatch.setattr(Pictures, "__next__", fails)
    report = predicted(video, tmp_path)
    assert report.failed == {video: "steady.mp4 went away"} and list((tmp_path / "out").iterdir()) == []


class Failing(FakeModel):
    """Fails in its second call."""

    calls = 0

    def predict(self, batch: Batch) -> list[Prediction]:
        self.calls += 1
        if self.calls > 1:
            raise RuntimeError("the network gave up")
        return super().predict(batch)


def test_a_network_that_fails_ends_the_video_in_its_sentence(tmp_path: Path) -> None:
    video = make(tmp_path / "a.mp4", film((48, 64), 35), [k / 2 for k in range(35)], sound=tone(17, RATE))
    segmenter = Segmenter(Failing(fake().config, BINARY), fps=2)
    report = predict_folder(segmenter, [video], tmp_path / "out", overlay=True)
    assert report.failed == {video: "the network gave up"} and list((tmp_path / "out").iterdir()) == []


def test_masks_that_cannot_be_written_end_the_video_in_their_sentence(
    video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = OSError(28, "No space left on device")
    monkeypatch.setattr("avseg.inference.export.files.write_png", counted(lambda *_: None, 3, full))
    report = predicted(video, tmp_path)
    assert report.failed == {video: "no result could be written (No space left on device)"}
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("last", [1, 5, 53])
def test_an_overlay_that_fails_at_any_picture_costs_the_overlay_alone(
    last: int, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = OSError(28, "No space left on device")
    with monkeypatch.context() as broken:
        broken.setattr(VideoWriter, "write", counted(VideoWriter.write, last, full))
        report = predicted(video, tmp_path)
    (reason,) = report.without_overlay.values()
    assert "no overlay could be written (No space left on device)" in reason and not report.failed
    assert sorted(path.name for path in (tmp_path / "out" / "steady").iterdir()) == ["masks", "result.json"]
    assert predicted(video, tmp_path).exit_code == 0


def test_a_video_that_is_forgotten_in_the_middle_is_closed(video: Path) -> None:
    stream = Segmenter(fake(), fps=10).stream(video)
    frame = next(stream)
    assert isinstance(frame, FrameResult) and frame.index == 0
    del stream


def test_a_clip_s_own_generator_of_pictures_runs_in_the_thread_of_its_caller() -> None:
    seen = set()

    def pictures() -> Iterator[np.ndarray]:
        for picture in film((48, 64), 20):
            seen.add(threading.get_ident())
            yield picture

    assert len(Segmenter(fake(), fps=1).predict(frames=pictures(), fps=10)) == 2
    assert seen == {threading.get_ident()}
