"""Fine-tuning: ten clips teach the demo's model a class that it never saw, and any file goes on with the recipe."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from avseg.cli import command_of, run
from avseg.commands.parse import Command
from avseg.datasets import build_dataset, data_config
from avseg.device import one_thread
from avseg.engine import train_recipe
from avseg.engine.publish import model_card
from avseg.models import build_model, load_model, save_model
from avseg.models.base import Model
from avseg.models.header import read_header
from avseg.models.tpavi.model import TPAVI
from avseg.recipes import get_recipe
from avseg.types import Batch, DensePrediction, DenseTarget, Task
from avseg.weights.files import verify
from ninth_world import NAME, NAMED, TASK, ninth_class
from small import small_config

__all__ = ["ninth_class"]


def class_scores(model: Model[Any]) -> dict[str, float]:
    """By class the mean IoU over the held-out frames in which it sounds: J of that class alone."""
    dataset = build_dataset(data_config(NAMED), "test")
    found: dict[str, list[float]] = {}
    for index in range(len(dataset)):
        clip = dataset[index]
        (prediction,) = model.predict(Batch.collate([clip]))
        assert isinstance(prediction, DensePrediction) and isinstance(clip.target, DenseTarget)
        for frame, truth in enumerate(clip.target.labels.numpy()):
            marked = prediction.labels(frame).numpy()
            for number in np.unique(truth[truth > 0]).tolist():
                both, either = (truth == number) & (marked == number), (truth == number) | (marked == number)
                found.setdefault(TASK.classes[number - 1], []).append(both.sum() / either.sum())
    return {name: float(np.mean(values)) for name, values in found.items()}


@pytest.mark.slow
@pytest.mark.usefixtures("ninth_class")
def test_ten_clips_teach_the_model_of_the_demo_a_ninth_class(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, record_property: Any
) -> None:
    recipe = get_recipe("finetune", "demo")
    recipe = replace(
        recipe,
        data=data_config(NAMED, augment=recipe.data.augment),
        optim=replace(recipe.optim, lr=1e-3),
        train=replace(recipe.train, steps=60, workers=0, eval_every=1000, save_every=1000),
    )
    with one_thread():
        before = class_scores(load_model("demo"))
        with caplog.at_level(logging.INFO):
            after = class_scores(load_model(train_recipe(recipe, tmp_path)))
    record_property("before", before)
    record_property("after", after)
    kept, new = (line for line in caplog.messages if line.startswith(("kept of ", "new: ")))
    assert "8 classes (disc, ring, star, cross, triangle and 3 more)" in kept and new == f"new: 1 class ({NAME})"
    assert before[NAME] == 0.0 and after[NAME] >= 0.6
    # What the ten clips let sound is kept; what they never do may be forgotten (docs/how-to/training.md).
    clips = build_dataset(data_config(NAMED), "train")
    taught = {name for index in range(len(clips)) for name in clips.heard_classes(index)} - {NAME}
    old = [name for name in taught if name in after]
    assert len(old) >= 4
    assert np.mean([after[name] for name in old]) > np.mean([before[name] for name in old]) - 0.1


def small_file(folder: Path, task: Task, **changes: Any) -> Path:
    torch.manual_seed(1)
    return save_model(build_model(small_config("tpavi", **changes), task), folder / "own.safetensors")


SHORT = ["--train.steps", "1", "--train.workers", "0", "--train.batch-size", "2"]
WORLD = ["--data.name", "synth", "--data.clips", "2", "--data.held-out-clips", "1", "--data.size", "64"]


def test_the_model_is_that_of_the_file_and_its_fields_can_be_changed(tmp_path: Path) -> None:
    path = small_file(tmp_path, Task("binary"), width=24)
    words = ["train", "finetune", "--init.model", str(path), *WORLD, "--data.kind", "semantic", *SHORT]
    assert run([*words, "--model.foreground-weight", "2.0", "--out", str(tmp_path / "run")]) == 0
    trained = load_model(tmp_path / "run" / "best.safetensors")
    told = json.loads((tmp_path / "run" / "recipe.json").read_text(encoding="utf-8"))
    assert trained.config == small_config("tpavi", width=24, foreground_weight=2.0) and len(trained.task.classes) == 8
    assert told["init"]["model"] == str(path) and told["data"]["name"] == "synth"


def test_help_shows_the_fields_of_the_file(tmp_path: Path) -> None:
    path = save_model(build_model(small_config("cavp"), Task("binary")), tmp_path / "own.safetensors")
    command, _ = command_of(["train", "finetune", "--init.model", str(path)])
    assert isinstance(command, Command)
    assert command.default.recipe.model == small_config("cavp")
    assert "--model.aspp-width" in {name for option in command.options for name in option.names}
    assert get_recipe("finetune", str(path)).model == small_config("cavp")
    assert get_recipe("demo", str(path)) == get_recipe("demo")


def test_a_recipe_of_the_family_begins_from_a_file_of_other_classes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = small_file(tmp_path, Task("semantic", ("disc", "dog")))
    recipe = get_recipe("finetune", str(path))
    recipe = replace(
        recipe,
        data=data_config("synth", kind="semantic", clips=2, held_out_clips=1, size=64),
        train=replace(recipe.train, steps=1, workers=0),
    )
    with caplog.at_level(logging.INFO):
        train_recipe(recipe, tmp_path / "run")
    assert f"kept of {path}" in caplog.text and "; 1 class (disc)" in caplog.text
    assert "new: 7 classes (ring, star, cross, triangle, square and 2 more); left behind: 1 class (dog)" in caplog.text


def interrupted(model: Model[Any], path: Path, notes: dict[str, str]) -> Path:
    """Saves the best model of the first step, and no other."""
    if notes["step"] != "1":
        raise KeyboardInterrupt
    return save_model(model, path, notes)


def test_the_licence_of_the_weights_goes_on_with_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Through a run that is stopped after its first step and goes on when the file says something else."""
    path = small_file(tmp_path, Task("binary"))
    save_model(load_model(path), path, {"licence": "CC-BY-NC-4.0", "origin": "a lab", "variant": "old"})
    words = ["train", "finetune", "--init.model", str(path), *WORLD, *SHORT, "--out", str(tmp_path / "run")]
    words[words.index("--train.steps") + 1] = "2"
    words += ["--train.save-every", "1", "--train.eval-every", "2"]
    caplog.set_level(logging.INFO)
    with monkeypatch.context() as stopped:
        stopped.setattr("avseg.engine.training.state.save_model", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(words)
    assert "licence of the weights of own.safetensors: CC-BY-NC-4.0" in caplog.text
    assert list((tmp_path / "run" / "checkpoints").iterdir()) and not (tmp_path / "run" / "last.safetensors").exists()
    header, wanted = read_header(path), {"origin": "trained further from own.safetensors (a lab)"}
    assert header.descent == {"licence": "CC-BY-NC-4.0", "origin": "a lab"}
    save_model(load_model(path), path, {"licence": "other", "origin": "changed meanwhile"})
    assert run(words) == 0
    for name in ("best", "last"):
        own = read_header(tmp_path / "run" / f"{name}.safetensors")
        assert own.descent == wanted | {"licence": "CC-BY-NC-4.0"} and "variant" not in own.notes
        assert "| licence of the weights' origin | CC-BY-NC-4.0 |" in model_card(own, "me/model")
    rows = verify(tmp_path / "run" / "last.safetensors").rows
    assert rows["licence"] == "CC-BY-NC-4.0" and rows["origin"] == wanted["origin"]
    again = save_model(load_model(tmp_path / "run" / "last.safetensors"), tmp_path / "again.safetensors")
    assert read_header(again).descent == own.descent


def test_what_cannot_be_gone_on_with_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"give --init\.model FILE"):
        run(["train", "finetune", *WORLD, *SHORT, "--out", str(tmp_path / "run")])
    with pytest.raises(FileNotFoundError, match="there is no model file"):
        run(["train", "finetune", "--init.model", str(tmp_path / "no.safetensors"), *WORLD])
    path = small_file(tmp_path, Task("binary"))
    with pytest.raises(ValueError, match=r"no data set given; use --data\.name"):
        run(["train", "finetune", "--init.model", str(path)])
    with pytest.raises(ValueError, match="TPAVI solves binary, semantic tasks, not instance ones"):
        run(["train", "finetune", "--init.model", str(path), *WORLD, "--data.kind", "instance"])
    monkeypatch.setattr(TPAVI, "trains", False)
    with pytest.raises(ValueError, match="a model of the family tpavi has no trainable parameters"):
        run(["train", "finetune", "--init.model", str(path), *WORLD, *SHORT, "--out", str(tmp_path / "run")])
    assert not (tmp_path / "run" / "recipe.json").exists()
