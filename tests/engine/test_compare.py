"""Two models on the same clips: intervals that hold the truth, folders in place of models, what is refused."""

from __future__ import annotations

import csv
import json
import math
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from avseg.cli import run
from avseg.config import from_dict
from avseg.datasets import build_dataset, data_config
from avseg.engine import compare, compare_files, evaluate_file
from avseg.engine.comparison.differences import FEW, FEWEST, NEITHER, NO_MEAN, Difference, Side, differences
from avseg.engine.comparison.options import ComparisonOptions, Draws
from avseg.metrics import SUITES, metrics_of
from avseg.metrics.base import Resampled, Row, TableMetric
from avseg.metrics.bootstrap import bootstrap_interval, paired_bootstrap
from avseg.metrics.object import ForegroundF, ForegroundIoU
from avseg.models import load_model, save_model
from avseg.types import DensePrediction, DenseTarget, Prediction, Target, Task
from small import small
from track_world import random_video

DATA = data_config("synth", held_out_clips=8, frames=5, size=64)
FAST = ComparisonOptions(draws=50, workers=0, device="cpu")


class Ratio(TableMetric):
    """Sums over sums, which is no mean over clips: (1, 2) values of a clip."""

    suite = "ratio"

    def update(self, prediction: Prediction, target: Target, index: int) -> None:
        raise AssertionError("comparing feeds no metric: its values are given")

    def compute(self) -> dict[str, float]:
        above, below = self.clips.joined().sum(0)
        return {"ratio": float(above / below)}

    def rows(self) -> list[Row]:
        return [{"index": index, "id": name, "ratio": float(v[0, 0] / v[0, 1])} for index, name, v in self.clips]


def ratio_of(above: Any, below: Any) -> Side:
    metric = Ratio("plain")
    for index, values in enumerate(np.stack([above, below], 1)):
        metric.clips.put(index, f"c{index}", values[None])
    return Side(metric.compute(), metric.rows(), [metric])


def test_intervals_of_a_ratio_of_sums_hold_the_true_difference_about_as_often_as_they_say() -> None:
    generator, held, clips = np.random.default_rng(0), 0, 40
    for repetition in range(200):
        below = generator.uniform(1, 9, clips)
        hard = generator.normal(0, 0.1, clips)  # the same clips are hard for both
        a = below * (0.6 + hard + generator.normal(0, 0.03, clips))
        b = below * (0.62 + hard + generator.normal(0, 0.03, clips))
        found = differences(ratio_of(a, below), ratio_of(b, below), Draws(100, repetition)).figures[0]
        held += found.low <= 0.02 <= found.high
    assert 0.89 <= held / 200 <= 0.99


def test_pairs_of_correlated_scores_are_narrower_than_two_models_apart_and_hold_the_truth() -> None:
    generator, held = np.random.default_rng(1), 0
    for repetition in range(200):
        hard = generator.normal(0.7, 0.15, 50)
        a, b = (hard + shift + generator.normal(0, 0.04, 50) for shift in (0.0, 0.03))
        _, low, high = paired_bootstrap(b, a, repetition, 300)
        held += low <= 0.03 <= high
        ends = [bootstrap_interval(side, repetition, 300) for side in (a, b)]
        assert high - low < 0.6 * math.hypot(*(end[1] - end[0] for end in ends))
    assert 0.89 <= held / 200 <= 0.99


def test_equal_models_do_not_differ_and_draws_repeat_by_their_seed() -> None:
    below = np.random.default_rng(2).uniform(1, 9, 30)
    a, b = ratio_of(0.5 * below**0.9, below), ratio_of(0.5 * below, below)
    same = differences(a, a, Draws(100)).figures[0]
    assert (same.difference, same.low, same.high, same.is_clear) == (0, 0, 0, False)
    first, again, other = (differences(a, b, Draws(100, seed)).figures[0] for seed in (3, 3, 4))
    assert (first.low, first.high) == (again.low, again.high) != (other.low, other.high)
    assert first.is_clear and first.difference > 0
    assert not Difference("J", 0.5, 0.6, -0.1, 0.3).is_clear and Difference("J", 0.6, 0.5, -0.2, -0.1).is_clear


def dense(seed: int, classes: int, frames: int = 3) -> tuple[DensePrediction, DenseTarget]:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, classes, (frames, 6, 8), generator=generator)
    logits = torch.randn(frames, classes if classes > 2 else 1, 6, 8, generator=generator)
    return DensePrediction(f"c{seed}", logits, (6, 8)), DenseTarget(labels, torch.ones(frames, dtype=torch.bool))


TASKS = {"binary": (Task("binary"), 2), "semantic": (Task("semantic", ("a", "b", "c")), 4)}
PAIRS: list[tuple[str, str, str]] = [
    (kind, name, protocol)
    for name, suite in SUITES.items()
    if not suite.by_scenario
    for kind in suite.kinds
    for protocol in suite.protocols
]


@pytest.mark.parametrize(("kind", "suite", "protocol"), PAIRS)
def test_every_metric_computes_for_drawn_clips_what_it_does_for_clips_fed_so(
    kind: str, suite: str, protocol: str
) -> None:
    if kind == "instance":
        task, fed = Task("instance", ("a", "b", "c")), [random_video(seed, 4, size=(30, 40)) for seed in range(8)]
    else:
        task, fed = TASKS[kind][0], [dense(seed, TASKS[kind][1]) for seed in range(8)]  # type: ignore[misc]
    for place, metric in enumerate(metrics_of(task, [suite], [protocol])):
        for index, (prediction, target) in enumerate(fed):
            metric.update(prediction, target, index)
        assert isinstance(metric, Resampled)
        before, size = metric.compute(), metric.group
        numbers = metric.groups
        assert numbers == list(range(8 // size))
        chosen = [numbers[-1], numbers[0], numbers[-1]]
        by_hand = metrics_of(task, [suite], [protocol])[place]
        for index, old in enumerate(number * size + offset for number in chosen for offset in range(size)):
            prediction, target = fed[old]
            by_hand.update(replace(prediction, id=f"n{old}-{index}"), target, index)
        drawn = metric.resampled(chosen).compute()
        assert drawn.keys() == by_hand.compute().keys()
        assert list(drawn.values()) == pytest.approx(list(by_hand.compute().values()), nan_ok=True)
        assert metric.compute() == pytest.approx(before, nan_ok=True)


class Fixed:
    """A metric of somebody else's, which cannot be fed again: a mean over clips, and a figure that is none."""

    suite, protocol = "fixed", "plain"

    def __init__(self, values: list[float]) -> None:
        self.values = values

    def update(self, prediction: Prediction, target: Target, index: int) -> None:
        raise AssertionError("comparing feeds no metric: its values are given")

    def merge(self, other: Fixed) -> None:
        raise AssertionError("comparing feeds no metric: its values are given")

    def compute(self) -> dict[str, float]:
        return {"mean": float(np.mean(self.values)), "best": max(self.values)}

    def rows(self) -> list[Row]:
        return [{"index": i, "id": f"c{i}", "mean": v, "best": v} for i, v in enumerate(self.values)]


def test_metrics_that_cannot_be_fed_again_have_intervals_of_means_alone() -> None:
    generator, sides = np.random.default_rng(7), []
    for _ in "ab":
        metric = Fixed(generator.uniform(size=9).tolist())
        sides.append(Side(metric.compute(), metric.rows(), [metric]))
    mean, best = differences(*sides, Draws(80)).figures
    rows = [[float(row["mean"]) for row in side.rows] for side in sides]
    assert (mean.difference, mean.low, mean.high) == pytest.approx(paired_bootstrap(rows[1], rows[0], draws=80))
    assert best.missing == NEITHER and math.isnan(best.high)


@pytest.mark.parametrize("protocol", ["published", "repaired", "cavp"])
def test_figures_by_class_have_the_mean_of_all(protocol: str) -> None:
    for suite, name, mean in (("avsbench_semantic", "IoU", "mIoU"), ("avsbench_semantic", "F", "F"), ("vpo", "F", "F")):
        if protocol not in SUITES[suite].protocols:
            continue
        (metric,) = metrics_of(TASKS["semantic"][0], [suite], [protocol])
        for seed in range(5):
            metric.update(*dense(seed, 4), seed)
        assert isinstance(metric, Resampled)
        assert metric.by_class()[name].mean() == pytest.approx(metric.compute()[mean])


def test_tracks_have_figures_by_class() -> None:
    (metric,) = metrics_of(Task("instance", ("a", "b", "c")), ["aviseg"], ["aviseg"])
    for seed in range(6):
        metric.update(*random_video(seed, 4, size=(30, 40)), seed)
    assert isinstance(metric, Resampled)
    found, figures = metric.by_class(), metric.compute()
    assert math.isnan(found["HOTA"][0]) and found["HOTA"].shape == (4,)
    assert np.nanmean(found["HOTA"]) == pytest.approx(figures["HOTA"])
    assert np.nanmean(found["mAP"]) == pytest.approx(figures["mAP"])


def object_side(seed: int, clips: int, protocol: str) -> Side:
    generator, metrics = np.random.default_rng(seed), [ForegroundIoU(protocol), ForegroundF(protocol)]
    for index in range(clips):
        metrics[0].clips.put(index, f"c{index}", np.stack([generator.uniform(size=5), np.ones(5)], 1))
        curve = 5 * generator.uniform(size=255)
        metrics[1].clips.put(index, f"c{index}", np.concatenate([[5, 5], curve])[None])
    rows = [{**a, **b} for a, b in zip(*(metric.rows() for metric in metrics), strict=True)]
    return Side({**metrics[0].compute(), **metrics[1].compute()}, rows, metrics)


def test_means_over_groups_of_clips_are_drawn_by_groups_and_few_of_them_have_no_interval() -> None:
    for clips, known in ((20, True), (16, False)):
        found = differences(object_side(0, clips, "published"), object_side(1, clips, "published"), Draws(50)).figures
        assert [each.figure for each in found] == ["J", "F"]
        assert all(math.isnan(each.low) != known and (each.missing == "") == known for each in found)
    assert FEWEST * 4 == 20 and found[0].missing == FEW


def test_classes_of_few_clips_have_no_interval() -> None:
    task, sides = TASKS["semantic"][0], []
    for shift in (0, 100):
        metrics = metrics_of(task, ["avsbench_semantic"], ["repaired"])
        for index in range(8):
            prediction, target = dense(index + shift, 4)
            labels, logits = target.labels, prediction.logits.clone()
            if index:  # the third class is in the first clip alone
                labels, logits[:, 3] = torch.where(labels == 3, 1, labels), -50
            metrics[0].update(replace(prediction, logits=logits), DenseTarget(labels, target.annotated), index)
        sides.append(Side(metrics[0].compute(), metrics[0].rows(), metrics))
    found = {(each.figure, each.class_id): each for each in differences(*sides, Draws(50)).classes}
    assert found["IoU", 3].missing == FEW and math.isnan(found["IoU", 3].low)
    assert not found["IoU", 1].missing and found["IoU", 1].low < found["IoU", 1].difference < found["IoU", 1].high


@pytest.fixture(scope="module", autouse=True)
def _one_thread_for_fixtures() -> Iterator[None]:
    """As conftest has it for tests."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("models")
    paths = folder / "one.safetensors", folder / "other.safetensors"
    for more, path in zip((0.45, 0.6), paths, strict=True):
        model = small("tpavi", Task("binary"))
        (last,) = (parameter for parameter in model.network.parameters() if parameter.shape == (1,))
        last.data += more  # logits of the untrained network lie between -0.8 and -0.2
        save_model(model, path)
    return paths


@pytest.fixture(scope="module")
def evaluated(models: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folders = tmp_path_factory.mktemp("a"), tmp_path_factory.mktemp("b")
    for model, folder in zip(models, folders, strict=True):
        evaluate_file(model, DATA, protocol="cavp", out=folder, device="cpu")
    return folders


def test_two_files_leave_a_page_a_json_a_csv_and_pictures(models: tuple[Path, Path], tmp_path: Path) -> None:
    found = compare_files(*models, DATA, protocol=["repaired"], out=tmp_path, overlays=2, options=FAST)
    alone = [evaluate_file(model, DATA, protocol="repaired", device="cpu") for model in models]
    assert {each.figure: each.a for each in found.found.figures} == alone[0].scores
    assert {each.figure: each.b for each in found.found.figures} == alone[1].scores
    result = json.loads((tmp_path / "compare.json").read_text())
    assert (result["format_version"], result["kind"], result["clips"]) == (1, "avseg.comparison", 8)
    assert result["data"]["name"] == "synth" and result["data"]["split"] == "test" and result["classes"] == []
    figure = result["figures"]["J"]
    assert figure["difference"] == figure["b"] - figure["a"] and figure["no_interval"] is None
    assert figure["low"] <= figure["difference"] <= figure["high"]
    lines = list(csv.DictReader((tmp_path / "compare.csv").open()))
    assert list(lines[0])[:6] == ["protocols", "index", "id", "J of A", "J of B", "J difference"] and len(lines) == 8
    assert [float(line["J of A"]) for line in lines] == [row["J"] for row in alone[0].rows]
    most = sorted((-abs(float(line["J difference"])), int(line["index"]), line["id"]) for line in lines)[:2]
    assert most[0][0] < -0.01
    pictures = sorted((tmp_path / "overlays").iterdir())
    assert [name in path.name for path, (*_, name) in zip(pictures, most, strict=True)] == [True, True]
    assert pictures[0].name.startswith("01_J_") and Image.open(pictures[0]).size[0] == 5 * 64
    page = (tmp_path / "index.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 2 and "http" not in page.replace("http-equiv", "")
    assert f"{figure['low']:+.4f} to {figure['high']:+.4f}" in page and most[0][2] in page


def test_models_in_python_give_what_their_files_do(models: tuple[Path, Path]) -> None:
    one, other = (load_model(path) for path in models)
    found = compare(one, other, build_dataset(DATA, "test"), protocol="repaired", options=FAST)
    files = compare_files(*models, DATA, protocol=["repaired"], options=FAST)
    assert found.found == files.found and found.a == "A" and str(found).startswith("A A\nB B\n")


def test_a_model_of_classes_beside_a_binary_one_is_shown_by_its_foreground(models: Any, tmp_path: Path) -> None:
    few = replace(DATA, held_out_clips=2)
    found = compare_files("demo", models[0], few, out=tmp_path, overlays=1, options=FAST)
    assert found.found.figures[0].missing == FEW and len(list((tmp_path / "overlays").iterdir())) == 1
    assert any(line == f"no interval of J, F: {FEW}" for line in found.remarks())


def test_equal_clips_are_not_shown_and_a_second_model_that_is_not_there_is_told_first(
    models: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = compare_files(models[0], models[0], DATA, out=tmp_path, overlays=2, options=FAST)
    assert found.ranked() == [] and not (tmp_path / "overlays").exists()
    assert found.balance == "J per clip: B is higher on 0, A on 0, 8 equal"
    monkeypatch.setattr("avseg.engine.comparison.compare.judge_model", None)
    with pytest.raises(FileNotFoundError, match="there is no model file"):
        compare_files(models[0], tmp_path / "none.safetensors", DATA, options=FAST)


def test_the_command_prints_each_figure_and_its_interval(models: tuple[Path, Path], capsys: Any) -> None:
    data = ["--data.name", "synth", "--data.held-out-clips", "8", "--data.frames", "5", "--data.size", "64"]
    words = [*map(str, models), *data, "--workers", "0", "--device", "cpu", "--draws", "20"]
    assert run(["compare", *words, "--suites", "vpo", "--protocol", "repaired"]) == 0
    printed = capsys.readouterr().out
    assert f"A {models[0]}\nB {models[1]}\n" in printed and "synth test, 8 clips, vpo, repaired" in printed
    assert "by class" in printed and "sounding    IoU" in printed and "mIoU per clip: B is higher on" in printed
    assert " to +" in printed and "differ" in printed


def test_folders_of_evaluations_are_compared_without_models(evaluated: tuple[Path, Path], tmp_path: Path) -> None:
    found = compare_files(*evaluated, out=tmp_path, options=ComparisonOptions(draws=100))
    scores = [json.loads((folder / "result.json").read_text())["scores"] for folder in evaluated]
    j = found.found.figures[0]
    assert (j.figure, j.a, j.b) == ("J", scores[0]["J"], scores[1]["J"])
    rows = [[float(line["J"]) for line in csv.DictReader((folder / "clips.csv").open())] for folder in evaluated]
    assert (j.difference, j.low, j.high) == pytest.approx(paired_bootstrap(rows[1], rows[0], draws=100))
    assert json.loads((tmp_path / "compare.json").read_text())["data"]["split"] == "test"
    assert (tmp_path / "index.html").exists() and not (tmp_path / "overlays").exists()


def test_a_figure_that_is_no_mean_of_the_clips_has_no_interval_without_the_models(
    models: tuple[Path, Path], tmp_path: Path
) -> None:
    for model, name in zip(models, "ab", strict=True):
        evaluate_file(model, DATA, protocol="repaired", suites=["vpo"], out=tmp_path / name, device="cpu")
    found = compare_files(tmp_path / "a", tmp_path / "b").found
    assert {each.figure: each.missing for each in found.figures}["mIoU"] == NO_MEAN


def changed(folder: Path, to: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    shutil.copytree(folder, to)
    head = json.loads((to / "result.json").read_text())
    change(head)
    (to / "result.json").write_text(json.dumps(head))
    return to


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            lambda h: h.update(protocols=["repaired"]),
            "protocol cavp and .* under repaired; figures of two protocols",
        ),
        (lambda h: h.update(suites=["vpo"]), "under the suite avsbench_object and .* under vpo; figures of two suites"),
        (lambda h: h["data"].update(name="s4"), "under the data set synth and .* under s4"),
        (lambda h: h["data"].update(split="val"), "under the split test and .* under val"),
        (lambda h: h["data"].update(seed=5), "with --data.seed 0 and .* with 5; evaluate both alike"),
        (lambda h: h.update(kind="avseg.listening"), "has the kind avseg.listening, wanted that of avseg evaluate"),
        (lambda h: h.update(format_version=1), "has format version 1, wanted 2; evaluate again"),
        (lambda h: h.update(clips=3), "has 8 clips, but result.json says 3"),
    ],
)
def test_unlike_folders_are_refused(
    evaluated: tuple[Path, Path], tmp_path: Path, change: Callable[[dict[str, Any]], Any], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        compare_files(evaluated[0], changed(evaluated[1], tmp_path / "b", change))


def test_roots_may_differ(evaluated: tuple[Path, Path], tmp_path: Path) -> None:
    moved = changed(evaluated[1], tmp_path / "b", lambda head: head["data"].update(root="/elsewhere"))
    assert compare_files(evaluated[0], moved).found.figures


def test_other_clips_and_broken_files_are_refused(evaluated: tuple[Path, Path], tmp_path: Path) -> None:
    other = changed(evaluated[1], tmp_path / "b", lambda head: None)
    text = (other / "clips.csv").read_text()
    (other / "clips.csv").write_text(text.replace("cavp,2,", "cavp,2,not_"))
    with pytest.raises(ValueError, match=r"the clip '.*' \(number 2\) is in .* alone; evaluate both on the same clips"):
        compare_files(evaluated[0], other)
    (other / "result.json").write_text("{")
    with pytest.raises(ValueError, match=r"result\.json is not valid JSON .*; run avseg evaluate"):
        compare_files(evaluated[0], other)


def test_a_folder_beside_a_model_and_options_that_change_nothing_are_refused(
    evaluated: tuple[Path, Path], models: tuple[Path, Path]
) -> None:
    with pytest.raises(ValueError, match=r"is the folder of an evaluation but .* is not; give two folders"):
        compare_files(evaluated[0], models[0], DATA)
    with pytest.raises(ValueError, match="leave out --split and --overlays and --data, or give two models"):
        compare_files(*evaluated, DATA, split="val", overlays=2)
    with pytest.raises(ValueError, match="overlays need a folder"):
        compare_files(*models, DATA, overlays=2)
    with pytest.raises(ValueError, match="no data set given"):
        compare_files(*models)
    with pytest.raises(ValueError, match="draws is 0 and seed 0; wanted draws from 1 on"):
        from_dict(Draws, {"draws": 0})
    with pytest.raises(ValueError, match="the suite avsbench_robust scores clips under several sounds"):
        compare_files(*models, DATA, suites=["avsbench_robust"])
