"""Several orders at once in one process: common batches, and each order with its own result, stop and failure."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from avseg.demo.film import draw_film
from avseg.engines import Choice
from avseg.inference.folder import predict_paths
from avseg.io.video import write_video
from avseg.jobs import JobError, JobProgress, JobStopped, Order, Worker
from avseg.jobs.merging import Merging, can_merge
from avseg.jobs.room import Merged, Room, Shares
from avseg.models import FAMILIES
from avseg.models.session import joined
from avseg.synth.picture import iter_frames
from avseg.synth.soundtrack import render_sound
from avseg.synth.timbres import SAMPLE_RATE
from avseg.types import Batch, Clip, DensePrediction, Task
from contract.clips import random_clip
from jobs.meeting import LONG, Meeting
from small import small

MOST_PIXELS = 1e-4
"""Share of pixels in which labels of a batch of several videos may differ."""


def film(path: Path, seed: int) -> Path:
    """Five seconds in which the demo's model finds objects, small."""
    scene, soundtrack = draw_film(seed)
    pictures = (frame for frame, _ in iter_frames(scene, [0.2 * number for number in range(25)], (96, 160)))
    return write_video(path, pictures, 5, render_sound(scene, soundtrack)[:, : 5 * SAMPLE_RATE], SAMPLE_RATE)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("films")
    return [film(folder / f"{seed}.mp4", seed) for seed in (1, 2, 3)]


def labels(folder: Path) -> Any:
    return np.stack([np.asarray(Image.open(path)) for path in sorted((folder / "masks").glob("*.png"))])


class Told:
    """What several orders at once told, of a process that is this one."""

    def __init__(self, together: int) -> None:
        self._predicting, self._together = Meeting("cpu", together=together), together
        self.news: list[Any] = []

    @property
    def batches(self) -> Counter[int]:
        """Of how many orders the batches were."""
        return Counter(news.orders for news in self.news if isinstance(news, Merged))

    def run(self, orders: list[Order], stopped: int | None = None) -> list[Any]:
        """What each gives or raises; the one of the number `stopped` is asked to stop after the first batch."""

        def tried(number: int) -> Any:
            def wants_stop() -> bool:
                return number == stopped and bool(self.batches)

            try:
                return self._predicting((orders[number], None), self.news.append, wants_stop)
            except Exception as error:
                return error

        with ThreadPoolExecutor(len(orders)) as pool:
            return list(pool.map(tried, range(len(orders))))


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Merging, "patience", LONG)


def test_labels_of_common_batches_are_those_of_predict(films: list[Path], tmp_path: Path) -> None:
    orders, told = [Order("demo", film, tmp_path / "job", save=("masks",), fps=5.0) for film in films], Told(3)
    # Other options of what is told are no other network.
    orders[2] = replace(orders[2], save=("masks", "csv"), threshold=0.4)
    folders = told.run(orders)
    assert set(told.batches) == {3}
    predict_paths(list(map(str, films)), "demo", tmp_path / "own", save=("masks",), fps=5.0, device="cpu")
    for folder, film in zip(folders[:2], films[:2], strict=True):
        found, own = labels(folder), labels(tmp_path / "own" / film.stem)
        assert own.any() and (found != own).mean() <= MOST_PIXELS
    assert (folders[2] / "seconds.csv").is_file() and not (folders[0] / "seconds.csv").exists()


def test_one_that_is_stopped_and_one_that_is_broken_cost_the_third_nothing(films: list[Path], tmp_path: Path) -> None:
    broken, told = tmp_path / "broken.mp4", Told(3)
    broken.write_bytes(films[1].read_bytes()[:2000])
    base = Order("demo", films[0], tmp_path / "out", save=("csv",), fps=10.0)
    stopped, failed, done = told.run([base, replace(base, video=broken), replace(base, video=films[2])], stopped=0)
    assert isinstance(stopped, JobStopped) and isinstance(failed, JobError) and "broken.mp4" in str(failed)
    assert set(told.batches) == {1, 2} and (done / "seconds.csv").is_file()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["3"]
    assert not [news for news in told.news if isinstance(news, JobProgress) and news.notes]


def test_a_model_that_another_engine_runs_takes_one_order_at_a_time(
    films: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("avseg.inference.segmenter.choose", lambda *_: Choice("torch", "bf16"))
    told = Told(3)
    (found,) = told.run([Order("demo", films[0], tmp_path, save=("csv",), fps=1.0)])
    assert (found / "seconds.csv").is_file()
    assert {type(news) for news in told.news} == {JobProgress}  # no others are let in, and no batch is common


@pytest.mark.parametrize("family", FAMILIES)
def test_clips_of_dense_models_do_not_touch_each_other_in_a_batch(family: str) -> None:
    dense = "binary" in FAMILIES[family].model_class().tasks
    task = Task("binary") if dense else Task("instance", ("dog", "guitar"))
    model = small(family, task)
    if not can_merge(model):
        assert family in ("avism", "zeroshot")
        return
    batches = [Batch.collate([random_clip(task, seed)]) for seed in (0, 1, 2)]
    together = model.predict(joined(batches))
    for one, batch in zip(together, batches, strict=True):
        (own,) = model.predict(batch)
        assert one.id == own.id and torch.allclose(one.logits, own.logits, atol=1e-4)


class Crowd:
    """In the place of a worker's process: tells whether several orders were in at once."""

    def __init__(self, shares: bool, seconds: float) -> None:
        self.most = self._inside = 0
        self._shares, self._seconds = shares, seconds
        self._change = threading.Condition()

    def ask(self, question: Any, told: Callable[[Any], None], *_: Any) -> Path:
        with self._change:
            self._inside += 1
            self.most = max(self.most, self._inside)
            self._change.notify_all()
        if self._shares:
            told(Shares())
        with self._change:
            self._change.wait_for(lambda: self.most > 1, self._seconds)
            self._inside -= 1
        return Path()


@pytest.mark.parametrize(
    ("models", "alone", "shares", "most"),
    [("aa", False, True, 2), ("ab", False, True, 1), ("aa", True, True, 1), ("aa", False, False, 1)],
)
def test_a_worker_lets_orders_of_one_model_in_at_once(
    models: str, alone: bool, shares: bool, most: int, tmp_path: Path
) -> None:
    worker, crowd = Worker("cpu", together=2), Crowd(shares, LONG if most > 1 else 0.1)
    worker._child = crowd  # type: ignore[assignment]
    orders = [Order(model, tmp_path, tmp_path / "out") for model in models]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda order: worker.run(order, alone=alone), orders))
    assert crowd.most == most


def test_orders_enter_in_turn_and_share_where_they_may() -> None:
    room, log = Room(2), list[str]()

    def enter(name: str, kind: str | None, inside: threading.Event, leave: threading.Event) -> threading.Thread:
        def work() -> None:
            with room.turn(kind):
                log.append(name)
                inside.set()
                assert leave.wait(LONG)

        thread = threading.Thread(target=work)
        thread.start()
        return thread

    inside, leave = [threading.Event() for _ in range(4)], threading.Event()
    threads = [enter("first", "a", inside[0], leave)]
    assert inside[0].wait(LONG)
    threads.append(enter("second", "a", inside[1], leave))
    assert not inside[1].wait(0.2)  # the first has not said that it shares
    room.share()
    assert inside[1].wait(LONG)
    threads.append(enter("alone", None, inside[2], leave))
    assert not inside[2].wait(0.2)
    stop = threading.Event()
    stop.set()
    with pytest.raises(JobStopped), room.turn("a", stop):
        log.append("never")
    leave.set()
    for thread in threads:
        thread.join()
    assert log == ["first", "second", "alone"]


def clip(name: str, width: int) -> Clip:
    frames = torch.full((1, 3, 8, width), int(name), dtype=torch.uint8)
    return Clip(name, frames, torch.zeros(1, dtype=torch.float64), torch.zeros(1, 100), 100)


def test_steps_of_one_shape_are_merged_and_a_fault_stays_with_its_own() -> None:
    seen: list[list[str]] = []
    free, entered = threading.Event(), threading.Event()

    def predict(batch: Batch) -> list[DensePrediction]:
        seen.append(batch.ids)
        if batch.ids == ["0"]:
            entered.set()
            assert free.wait(LONG)
        if "4" in batch.ids:
            raise ValueError("no four")
        means = batch.frames.float().mean((1, 2, 3, 4))
        return [
            DensePrediction(name, mean.reshape(1, 1, 1, 1), (1, 1)) for name, mean in zip(batch.ids, means, strict=True)
        ]

    merging, found = Merging(predict, 3), dict[str, Any]()  # type: ignore[arg-type]
    merged: list[int] = []

    def step(name: str, width: int) -> None:
        try:
            (found[name],) = merging.step(Batch.collate([clip(name, width)]), merged.append)
        except ValueError as error:
            found[name] = error

    threads = [threading.Thread(target=step, args=("0", 8))]
    threads[0].start()
    assert entered.wait(LONG)
    for place, (name, width) in enumerate((("1", 8), ("2", 16), ("3", 8), ("4", 8), ("5", 8), ("6", 16)), 1):
        threads.append(threading.Thread(target=step, args=(name, width)))
        threads[-1].start()
        while len(merging._waiting) < place:
            free.wait(0.001)
    free.set()
    for thread in threads:
        thread.join()
    assert sum(merged) == 7 and max(merged) <= 3 and len(merged) < 7
    assert all({*ids} <= {"2", "6"} or not {*ids} & {"2", "6"} for ids in seen)
    assert str(found.pop("4")) == "no four"
    assert {name: float(one.logits.mean()) for name, one in found.items()} == {n: float(n) for n in "012356"}
