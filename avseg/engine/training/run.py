"""From a recipe to a trained model: data sets, a model, its first weights, the loop."""

from __future__ import annotations

import logging
from dataclasses import fields, replace
from pathlib import Path

import torch

from avseg.data import build_dataset
from avseg.engine.config import InitConfig, Recipe
from avseg.engine.processes import leaving_together
from avseg.engine.training.folder import RunFolder
from avseg.engine.training.store import has_begun
from avseg.engine.training.trackers import check_trackers
from avseg.engine.training.train import refuse_untrained, train
from avseg.models import build_model, initialise
from avseg.models.places import find_file
from avseg.models.transfer import few

log = logging.getLogger(__name__)


def train_recipe(recipe: Recipe, run_dir: Path, *, resume: bool = True) -> Path:
    """Build what `recipe` names and train it in `run_dir`; a run that was stopped there goes on.

    Args:
        recipe: The model, the data sets, the optimiser and the first weights.
        run_dir: The folder of the run.
        resume: Whether to continue from a checkpoint in the folder.

    Returns:
        The best model file, as `train` gives it.

    Raises:
        ValueError: First weights are missing, or `train` or a data set refuses the recipe.
    """
    check_trackers(recipe.train.trackers)
    recipe.model.refuse_idle()
    val = recipe.val or recipe.data
    train_set = build_dataset(recipe.data, "train")
    val = val if val.root or val.shards else replace(val, root=recipe.data.root, shards=recipe.data.shards)
    val_set = build_dataset(val, "val")
    begins = not has_begun(RunFolder(run_dir), recipe.train.store if resume else None)
    if begins:
        check_init(recipe.init)
    torch.manual_seed(recipe.train.seed)
    model = build_model(recipe.model, train_set.task)
    refuse_untrained(model)
    if begins:
        files = {f.name: getattr(recipe.init, f.name) for f in fields(recipe.init) if f.name not in ("model", "needs")}
        unused = initialise(model, model_file=recipe.init.model, **files)
        if unused:
            log.info("the files of initial weights also hold %s, which the model does not have", few(unused))
    with leaving_together():
        return train(model, train_set, val_set, recipe, run_dir, resume=resume)


def check_init(init: InitConfig) -> None:
    """Refuse to begin without the files of weights that a recipe counts on.

    Raises:
        ValueError: one that it needs is not given, or a need that there is no field for.
        FileNotFoundError: one that is given is not there.
    """
    names = [f.name for f in fields(init) if f.name != "needs"]
    for need in init.needs:
        if need not in names:
            raise ValueError(f"init.needs names {need!r}; known: {', '.join(names)}")
    if missing := [need for need in init.needs if getattr(init, need) is None]:
        files = " ".join(f"--init.{need} FILE" for need in missing)
        raise ValueError(
            f"this recipe starts from published weights; give {files} (avseg weights list), or --init.needs without a "
            "value to start from random weights"
        )
    for name in names:
        path = getattr(init, name)
        if name == "model" and path is not None:
            find_file(path)
        elif path is not None and not Path(path).exists():
            wanted = "docs/how-to/weights.md says where such files come from"
            raise FileNotFoundError(f"init.{name} is {path}, which does not exist; {wanted}")
