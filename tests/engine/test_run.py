"""From a recipe to a model file, on the synthetic world."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_run import rows

from avseg.datasets import data_config
from avseg.engine.config import InitConfig, OptimConfig, Recipe, TrainConfig
from avseg.engine.training.folder import RunFolder
from avseg.engine.training.run import check_init, train_recipe
from avseg.models import load_model
from avseg.recipes import get_recipe
from small import small_config

SMALL = Recipe(
    model=small_config("tpavi", backbone="resnet18"),
    data=data_config("synth", clips=4, held_out_clips=2, size=64),
    optim=OptimConfig(lr=1e-3),
    train=TrainConfig(epochs=2, batch_size=2, workers=0, log_every=1),
)


def test_a_recipe_becomes_a_model_file_that_the_next_run_begins_from(tmp_path: Path) -> None:
    best = train_recipe(SMALL, tmp_path / "first")
    model = load_model(best)
    assert model.config == SMALL.model
    assert [row["epoch"] for row in rows(tmp_path / "first")] == [0, 0, 1, 1]
    begun = replace(SMALL, init=InitConfig(model=best, needs=("model",)), train=replace(SMALL.train, epochs=1))
    frozen = replace(begun, optim=OptimConfig(lr=0.0))
    kept = load_model(train_recipe(frozen, tmp_path / "second"))
    for (name, value), other in zip(model.named_parameters(), kept.parameters(), strict=True):
        assert torch.equal(value, other), name


def test_a_run_does_not_begin_without_the_weights_it_counts_on(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"give --init.backbone FILE --init.vggish FILE .*or --init.needs without"):
        check_init(get_recipe("tpavi_s4_pvt").init)
    with pytest.raises(ValueError, match=r"give --init.model FILE"):
        train_recipe(replace(SMALL, init=InitConfig(needs=("model",))), tmp_path)
    with pytest.raises(ValueError, match=r"init.needs names 'vggsh'; known: backbone, vggish, audio, detector, model"):
        check_init(InitConfig(needs=("vggsh",)))
    with pytest.raises(FileNotFoundError, match=r"init.vggish is nowhere.pth, which does not exist; .*weights.md"):
        check_init(InitConfig(vggish=Path("nowhere.pth")))
    assert not (tmp_path / "recipe.json").exists()


def test_a_run_is_the_same_where_its_first_weights_have_moved(tmp_path: Path) -> None:
    here, there, other = (replace(SMALL, init=InitConfig(model=Path(p))) for p in ("a/m.st", "b/m.st", "a/n.st"))
    folder = RunFolder(tmp_path)
    folder.claim(here, resume=True)
    folder.summary.write_text("{}", encoding="utf-8")
    assert folder.finished(there)
    with pytest.raises(ValueError, match=r"another recipe \(init.model was 'a/m.st' and is 'a/n.st'\)"):
        folder.finished(other)
