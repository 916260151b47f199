"""AVSBench-Robust: golden cases of the published functions, the two ends, the ids that name scenarios."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from avseg.metrics import SUITES
from avseg.metrics.robust import JUDGED, global_figure
from avseg.types import DensePrediction, DenseTarget, Task

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "avsbench_robust.json").read_text(encoding="utf-8"))
CASES = GOLDEN["cases"]
TOLERANCE = {"mIoU": 1e-6, "F": 1e-5, "FPR": 1e-6}


def ellipse(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    cy, cx, ry, rx = rng.uniform([0.2, 0.2, 0.1, 0.1], [0.8, 0.8, 0.3, 0.3]) * [height, width, height, width]
    y, x = np.mgrid[:height, :width]
    return ((y - cy) / ry) ** 2 + ((x - cx) / rx) ** 2 <= 1


def arrays(inputs: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Truth (clips, frames, H, W) uint8 and logits float32 by the recipe of the golden file."""
    rng, size = np.random.default_rng(inputs["seed"]), (inputs["H"], inputs["W"])
    truth = np.zeros((inputs["clips"], inputs["frames"], *size), np.uint8)
    logits = np.zeros(truth.shape, np.float32)
    for place in np.ndindex(truth.shape[:2]):
        a, b = ellipse(rng, *size), ellipse(rng, *size)
        empty = rng.random() < inputs["empty"]
        noise = rng.standard_normal(size)
        follow = {"truth": a, "none": np.zeros(size, bool), "other": b}[inputs["follow"]]
        value = inputs["height"] * (2.0 * follow - 1) + inputs["noise"] * noise
        if inputs["steps"] > 0:
            value = np.round(value / inputs["steps"]) * inputs["steps"]
        truth[place], logits[place] = 0 if empty else a, value.astype(np.float32)
    return truth, logits


def feed(metric: Any, scenario: str, truth: np.ndarray, logits: np.ndarray, first: int = 0) -> None:
    for i in range(len(truth)):
        labels = torch.from_numpy(truth[i].astype(np.int64))
        prediction = DensePrediction(f"clip{i}@{scenario}", torch.from_numpy(logits[i][:, None]), truth.shape[2:])
        metric.update(prediction, DenseTarget(labels, torch.ones(len(labels), dtype=torch.bool)), first + i)


@pytest.mark.parametrize("case", CASES, ids=lambda c: c["name"])
def test_the_published_figures_of_every_case(case: dict[str, Any]) -> None:
    groups = {name: found["group"] for name, found in case["scenarios"].items()}
    negative = next((group for name, group in groups.items() if name != "own"), 2)
    (metric,) = SUITES["avsbench_robust"](
        Task("binary"), "published", group=groups.get("own", 1), of_negatives=negative
    )
    for number, (name, found) in enumerate(case["scenarios"].items()):
        truth, logits = arrays(found["inputs"])
        assert zlib.crc32(truth.tobytes()) == found["crc32"]["truth"]
        assert zlib.crc32(logits.tobytes()) == found["crc32"]["logits"]
        feed(metric, name, truth, logits, 1000 * number)
    figures = metric.compute()
    for name, found in case["scenarios"].items():
        for key, wanted in found["mean"].items():
            own = key if name == "own" else f"{key}_{name}"
            if own in figures and not (name == "own" and key == "FPR"):
                assert figures[own] == pytest.approx(wanted, abs=TOLERANCE[key]), own
    for key, wanted in (case.get("inferred") or {}).items():
        name = "FPR" if key == "FPR_negative" else key
        if wanted is not None:
            assert figures[name] == pytest.approx(wanted, abs=1e-5), key


def synthetic(scenario: str, follow: str, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    inputs = {"seed": seed, "clips": 6, "frames": 4, "H": 24, "W": 32, "empty": 0.2, "follow": follow}
    return arrays({**inputs, "height": 4.0, "noise": 0.0, "steps": 0})


def test_a_perfect_listener_and_a_deaf_model_are_the_two_ends() -> None:
    for protocol in ("published", "repaired"):
        listens, deaf = (SUITES["avsbench_robust"](Task("binary"), protocol, of_negatives=1)[0] for _ in range(2))
        for number, name in enumerate(JUDGED):
            feed(listens, name, *synthetic(name, "truth" if name == "own" else "none"), 100 * number)
            feed(deaf, name, *synthetic(name, "truth"), 100 * number)
        good, bad = listens.compute(), deaf.compute()
        assert bad["G_mIoU"] == pytest.approx(bad["G_mIoU_deaf"], abs=1e-12)
        assert next(iter(good)) == "G_mIoU"
        if protocol == "repaired":
            assert good["G_mIoU"] == 1 and good["leak"] == 0 and good["FPR"] == 0 and good["flip"] == 1
            assert bad["leak"] == bad["mIoU"] and bad["flip"] == 0
        else:
            assert good["mIoU_negative"] == pytest.approx(good["mIoU_silence"]) and good["F_negative"] > 0.1


def test_scenarios_that_were_not_run_are_left_out() -> None:
    (metric,) = SUITES["avsbench_robust"](Task("binary"), "published")
    feed(metric, "own", *synthetic("own", "truth"))
    assert set(metric.compute()) == {"mIoU", "F"}
    feed(metric, "noise", *synthetic("noise", "none"), 100)
    figures = metric.compute()
    assert figures["mIoU_negative"] == figures["mIoU_noise"] and "mIoU_silence" not in figures
    assert figures["G_mIoU"] == pytest.approx(global_figure(figures["mIoU"], figures["mIoU_noise"]))


def test_groups_are_counted_within_a_scenario() -> None:
    """Five clips of each scenario in groups of two: the last clip of one and the first of the next are no group."""
    truth, logits = (a[:5] for a in synthetic("own", "other"))
    whole, alone = (SUITES["avsbench_robust"](Task("binary"), "published")[0] for _ in range(2))
    feed(alone, "noise", truth, logits)
    feed(whole, "silence", truth, -logits)
    feed(whole, "noise", truth, logits, 5)
    assert whole.compute()["F_noise"] == alone.compute()["F_noise"]


def test_an_id_without_a_scenario_is_refused() -> None:
    (metric,) = SUITES["avsbench_robust"](Task("binary"))
    truth, logits = synthetic("own", "truth")
    with pytest.raises(ValueError, match="the clip 'clip0@loud' names no scenario"):
        feed(metric, "loud", truth, logits)
    with pytest.raises(ValueError, match="there was no clip"):
        metric.compute()


def test_a_flip_is_a_mask_that_shrinks_below_a_tenth() -> None:
    (metric,) = SUITES["avsbench_robust"](Task("binary"), "repaired")
    own = np.full((1, 2, 20, 20), -5, np.float32)
    own[0, 0, :10] = own[0, 1, :10] = 5
    other = np.full_like(own, -5)
    other[0, 0, 0, :19] = other[0, 1, :1] = other[0, 1, 1, :1] = 5
    truth = (own > 0).astype(np.uint8)
    feed(metric, "own", truth, own)
    feed(metric, "silence", truth, other, 1)
    assert metric.compute()["flip"] == 0.5, "19 of 200 pixels are below a tenth, 21 are not"
