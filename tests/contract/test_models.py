"""What every model family promises, over the table of families."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from avseg.models import FAMILIES, build_model, load_model, save_model
from avseg.types import Batch, DensePrediction, DenseTarget, Draw, InstancePrediction, Task
from contract.clips import random_clip
from small import small_config

TASKS = {
    "binary": Task("binary"),
    "semantic": Task("semantic", ("dog", "guitar")),
    "instance": Task("instance", ("dog", "guitar")),
}


def cases(train: bool = False) -> list[Any]:
    """Families and tasks; `train`: without families that do not train (`Model.trains`)."""
    models = {family: FAMILIES[family].model_class() for family in FAMILIES}
    kept = {family: model for family, model in models.items() if model.trains or not train}
    return [pytest.param(f, t, id=f"{f}-{t}") for f, model in kept.items() for t in sorted(model.tasks)]


def build(family: str, kind: str) -> Any:
    torch.manual_seed(0)
    model = build_model(small_config(family), TASKS[kind])
    wanted = {"score": 0.0, "candidates": 4} if kind == "instance" else {}
    model.options = model.options.changed(family, **{n: v for n, v in wanted.items() if hasattr(model.options, n)})
    return model


def tensors_of(predictions: list[Any]) -> list[torch.Tensor]:
    return [p.logits if isinstance(p, DensePrediction) else p.scores for p in predictions]


def with_draw(batch: Batch) -> Batch:
    return replace(batch, draw=Draw(0, 0))


@pytest.mark.parametrize(("family", "kind"), cases(train=True))
def test_trains_one_step(family: str, kind: str) -> None:
    model = build(family, kind).train()
    batch = with_draw(Batch.collate([random_clip(TASKS[kind], seed) for seed in range(2)]))
    terms = model.losses(model(batch), batch)
    assert terms and all(term.dtype == torch.float32 and term.ndim == 0 for term in terms.values())
    sum(terms.values()).backward()
    learned = [p for group in model.param_groups().values() for p in group]
    assert learned and len({id(p) for p in learned}) == len(learned)
    moved = [p for p in learned if p.grad is not None and p.grad.abs().sum() > 0]
    assert len(moved) > 0.5 * len(learned)


@pytest.mark.parametrize(("family", "kind"), cases())
def test_a_model_that_does_not_train_says_so(family: str, kind: str) -> None:
    model = build(family, kind)
    assert model.trains == bool(list(model.parameters()))
    if not model.trains:
        batch = with_draw(Batch.collate([random_clip(TASKS[kind])]))
        for call in (lambda: model(batch), lambda: model.losses(None, batch)):
            with pytest.raises(ValueError, match="does not train"):
                call()


@pytest.mark.parametrize(("family", "kind"), cases())
def test_predicts_every_clip_at_its_size(family: str, kind: str) -> None:
    clips = [
        random_clip(TASKS[kind], 0, frames=5),
        replace(random_clip(TASKS[kind], 1, frames=3), output_size=(50, 30)),
    ]
    predictions = build(family, kind).predict(Batch.collate(clips))
    assert [p.id for p in predictions] == [c.id for c in clips]
    assert [p.size for p in predictions] == [(64, 64), (50, 30)]
    for clip, prediction in zip(clips, predictions, strict=True):
        if isinstance(prediction, DensePrediction):
            assert prediction.logits.shape[:2] == (len(clip.frames), TASKS[kind].channels)
            labels = prediction.labels(0)
            assert labels.shape == prediction.size and labels.dtype == torch.int64
        else:
            assert isinstance(prediction, InstancePrediction)
            assert all(len(track) == len(clip.frames) for track in prediction.masks)


@pytest.mark.parametrize(("family", "kind"), cases())
def test_survives_save_and_load_bit_for_bit(family: str, kind: str, tmp_path: Path) -> None:
    model = build(family, kind).eval()
    save_model(model, tmp_path / "model.safetensors")
    again = load_model(tmp_path / "model.safetensors")
    again.options = model.options
    assert again.config == model.config and again.task == model.task
    assert {k: v.tolist() for k, v in again.state_dict().items()} == {
        k: v.tolist() for k, v in model.state_dict().items()
    }
    batch = Batch.collate([random_clip(TASKS[kind])])
    for a, b in zip(tensors_of(model.predict(batch)), tensors_of(again.predict(batch)), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize(("family", "kind"), cases())
def test_runs_on_one_frame(family: str, kind: str) -> None:
    (prediction,) = build(family, kind).predict(Batch.collate([random_clip(TASKS[kind], frames=1)]))
    for tensor in tensors_of([prediction]):
        assert torch.isfinite(tensor).all()


@pytest.mark.parametrize(("family", "kind"), cases())
def test_ignores_what_padded_frames_hold(family: str, kind: str) -> None:
    model = build(family, kind)
    batch = Batch.collate([random_clip(TASKS[kind], 0, frames=5), random_clip(TASKS[kind], 1, frames=3)])
    noisy = batch.frames.clone()
    noisy[1, 3:] = torch.randint(0, 256, noisy[1, 3:].shape, dtype=torch.uint8)
    for a, b in zip(
        tensors_of(model.predict(batch)), tensors_of(model.predict(replace(batch, frames=noisy))), strict=True
    ):
        assert torch.equal(a, b)


@pytest.mark.parametrize(("family", "kind"), cases())
def test_prediction_never_looks_at_truth(family: str, kind: str) -> None:
    model = build(family, kind)
    batch = Batch.collate([random_clip(TASKS[kind])])
    for a, b in zip(
        tensors_of(model.predict(batch)), tensors_of(model.predict(replace(batch, targets=None))), strict=True
    ):
        assert torch.equal(a, b)


@pytest.mark.parametrize(("family", "kind"), cases(train=True))
def test_labels_of_frames_without_annotation_change_no_loss(family: str, kind: str) -> None:
    if kind == "instance":
        pytest.skip("covered by the family's own tests: instance truth has no label map")
    model = build(family, kind).eval()
    clip = random_clip(TASKS[kind], annotated=2)
    assert isinstance(clip.target, DenseTarget)
    labels = clip.target.labels.clone()
    labels[2:] = 1 - labels[2:].clamp(max=1)
    altered = replace(clip, target=replace(clip.target, labels=labels))
    values = []
    for c in (clip, altered):
        batch = with_draw(Batch.collate([c]))
        values.append({name: float(term) for name, term in model.losses(model(batch), batch).items()})
    assert values[0] == values[1]


@pytest.mark.parametrize(("family", "kind"), cases())
def test_a_task_it_does_not_solve_is_refused(family: str, kind: str) -> None:
    assert TASKS[kind].kind in FAMILIES[family].model_class().tasks
    wrong = next((t for k, t in TASKS.items() if k not in FAMILIES[family].model_class().tasks), None)
    if wrong is not None:
        with pytest.raises(ValueError, match=wrong.kind):
            build_model(small_config(family), wrong)
