"""The parts of the experiments on QDFormer, on a model that has learnt nothing and on cases whose answer is known."""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from noise import root_mean_square

from avseg.demo import MODEL_FILE
from avseg.models import build_model, initialise, load_model
from avseg.models.base import Model
from avseg.recipes.qdformer_small import SIZE, qdformer_small
from avseg.synth.world import TASKS
from avseg.types import Clip, DenseTarget

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("qdformer_figures")


@pytest.fixture
def works(figures: ModuleType) -> ModuleType:
    return importlib.import_module("qdformer_works")


def untrained(**changes: Any) -> Model[Any]:
    torch.manual_seed(0)
    config = replace(qdformer_small().model, **changes)
    return build_model(config, TASKS["semantic"])


def clip(*classes: set[int]) -> Clip:
    labels = torch.zeros(len(classes), 4, 4, dtype=torch.int64)
    for frame, kinds in zip(labels, classes, strict=True):
        for kind in kinds:
            frame[kind % 4, kind // 4] = kind
    target = DenseTarget(labels, torch.ones(len(classes), dtype=torch.bool))
    times = torch.arange(len(classes), dtype=torch.float64)
    return Clip(
        "c", torch.zeros(len(classes), 3, 4, 4, dtype=torch.uint8), times, torch.zeros(1, 10), 16000, 0.0, target
    )


def test_clips_whose_sources_change_are_told_from_those_whose_do_not(figures: ModuleType) -> None:
    assert figures.sources_change(clip({1}, {1}, {1, 2}))
    assert figures.sources_change(clip({1}, set(), {1})) and figures.sources_change(clip({1}, {2}))
    assert not figures.sources_change(clip({1, 2}, {1, 2})) and not figures.sources_change(clip(set(), set()))


def test_mixtures_are_two_classes_at_one_level_and_their_sources_alone(figures: ModuleType) -> None:
    both, first, second = figures.mixture_clips(1, 16, seed=3)
    assert len(both) == len(first) == len(second) == 28
    rest = both[5].audio - first[5].audio
    assert root_mean_square(rest) == pytest.approx(root_mean_square(first[5].audio), rel=1e-3)
    scale = root_mean_square(rest) / root_mean_square(second[5].audio)
    assert torch.allclose(rest, scale * second[5].audio, atol=1e-5)
    assert len({float(clip.audio.sum()) for clip in first}) == 28


def test_changed_sound_leaves_picture_and_truth(figures: ModuleType) -> None:
    held_out = figures.HeldOut(3, 1, 32)
    noisy = held_out.changed(figures.white_noise(0.0))
    off = held_out.changed(figures.off_screen(held_out, 10.0))
    for number in range(3):
        own, added = held_out[number].audio, off[number].audio - held_out[number].audio
        assert root_mean_square(noisy[number].audio - own) == pytest.approx(root_mean_square(own), rel=1e-3)
        assert 20 * np.log10(root_mean_square(own) / root_mean_square(added)) == pytest.approx(10, abs=0.01)
        assert noisy[number].target is off[number].target is held_out[number].target
        assert torch.equal(noisy[number].frames, held_out[number].frames)
    assert held_out.of([2])[0] is held_out[2] and held_out.of([2]).ids == held_out.ids[2:]


def test_the_demo_s_backbone_and_audio_network_are_first_weights() -> None:
    model, demo = untrained(), load_model(MODEL_FILE).state_dict()
    initialise(model, model_file=qdformer_small().init.model)
    taken = {name for name, value in model.state_dict().items() if name in demo and torch.equal(value, demo[name])}
    parts = ("network.backbone.", "audio_network.")
    assert taken >= {name for name in model.state_dict() if name.startswith(parts)}


def test_the_best_mask_is_that_with_the_highest_iou(figures: ModuleType) -> None:
    truth = torch.zeros(4, 4, dtype=torch.bool)
    truth[:2] = True
    masks = torch.stack([torch.ones_like(truth), truth, torch.zeros_like(truth)])
    assert int(figures.best_mask(masks, truth)) == 1


def test_a_model_that_learnt_nothing_has_every_figure(works: ModuleType, figures: ModuleType) -> None:
    held_out, mixtures = figures.HeldOut(4, 2, SIZE), tuple(part[:6] for part in figures.mixture_clips(1, SIZE))
    found = works.judge(untrained(), held_out, mixtures, "full", works.FIGURES)
    assert set(found) == {"clean", *works.FIGURES}
    assert found["codes"]["clips"]["used"] >= 1 and 0 <= found["codes"]["frame_codes_of_their_clip"] <= 1
    changing, steady = found["local"]["sources_change"]["clips"], found["local"]["sources_stay"]["clips"]
    assert changing + steady == 4 and 0 < changing < 4
    assert found["noise"]["clean"] == found["clean"] and len(found["noise"]) == 7
    assert 0 < found["mixtures"]["tokens_with_a_code_of_a_source"]["p_value"] <= 1
    assert found["purity"]["objects"] > 0
    plain = works.judge(untrained(quantise=False), held_out, mixtures, "no quantisation", works.FIGURES)
    assert set(plain) == {"clean", "noise"}
    still = works.judge(
        untrained(local_calibration=False), held_out, mixtures, "no local calibration", ["codes", "local"]
    )
    assert "frames" not in still["codes"] and set(still) == {"clean", "codes", "local"}


def test_sums_over_seeds_and_the_plot(works: ModuleType) -> None:
    def run(value: float) -> dict[str, Any]:
        return {"noise": {level: {"J": value - 0.1 * k} for k, level in enumerate(works.LEVELS)}}

    summed = works.summary({"full": {"seed 0": run(0.8), "seed 1": run(0.6)}, "no quantisation": {"seed 0": run(0.5)}})
    assert summed["full"]["noise"]["clean"]["J"] == {"mean": 0.7, "deviation": 0.1414}
    assert summed["no quantisation"]["noise"]["0 dB"]["J"] == {"mean": 0.2, "deviation": 0.0}
    text = works.plot(summed)
    assert text.startswith("<svg") and "no quantisation" in text and "20 dB" in text


def test_tables_have_a_row_for_whoever_has_the_figure(works: ModuleType) -> None:
    match = {"share": 0.75, "chance": 0.25, "p_value": 0.01}
    full = {"mixtures": {"codes_kept": match}, "purity": {"information": 0.5, "shuffled": 0.1, "random_codebook": 0.3}}
    worse = {**full, "mixtures": {"codes_kept": {**match, "share": 0.25, "p_value": 0.5}}}
    text = works.tables({"full": {"seed 0": full, "seed 1": worse}, "no quantisation": {"seed 0": {}}})
    assert "| full | codes kept | 0.500 ± 0.354 | 0.250 ± 0.000 | 0.5000 |" in text
    assert "| full | 0.500 ± 0.000 | 0.100 ± 0.000 | 0.300 ± 0.000 |" in text and "no quantisation" not in text
    level = {"J": 0.8, "mIoU": 0.5}
    text = works.tables({"plain": {"seed 0": {"noise": {"clean": level, "0 dB": {"J": 0.5, "mIoU": 0.25}}}}})
    assert "| plain | J | 0.800 | 0.500 | 0.300 |" in text and text.count("---") == 5
