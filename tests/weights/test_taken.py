"""What the records say of files that training begins with is true: the named recipe's model takes such a file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from torch import Tensor

from avseg.datasets.avss.classes import avss_classes
from avseg.datasets.vpo.classes import vpo_classes
from avseg.models import build_model, initialise
from avseg.recipes import get_recipe
from avseg.types import Task
from avseg.weights import RECORDS, Record

pytestmark = pytest.mark.filterwarnings("ignore:for .*copying from a non-meta parameter")

TRAINED_FROM = [record for record in RECORDS if record.command.startswith("avseg train ")]
TASKS = {
    "avism": Task("instance", ("one", "other")),
    "cavp_avss": Task("semantic", avss_classes()[1:]),
    "cavp_vpo": Task("semantic", vpo_classes()[1:]),
    "tpavi": Task("binary"),
    "qdformer": Task("binary"),
}


def test_these_are_all_but_checkpoints_and_the_pca() -> None:
    others = {record.family for record in RECORDS if record not in TRAINED_FROM}
    assert others == {"tpavi", "avsegformer", "catr", "cavp", "avism", "sound"} and len(TRAINED_FROM) == 16


def begin(record: Record, state: dict[str, Tensor], folder: Path) -> list[str]:
    """Give a file to a model of the recipe that the record names; names in it that found no place."""
    torch.save(state, folder / "file.pth")
    recipe, option = record.command.split()[2], re.search(r"--init\.(\w+) FILE", record.command)
    assert option is not None
    with torch.device("meta"):
        model = build_model(get_recipe(recipe).model, next(task for name, task in TASKS.items() if name in recipe))
    return initialise(model, **{option[1]: folder / "file.pth"})


def weightless(record: Record) -> dict[str, Tensor]:
    return {name: torch.zeros(()).expand(shape) for name, shape in record.keys.items()}


@pytest.mark.parametrize("record", TRAINED_FROM, ids=lambda record: record.name)
def test_the_recipes_model_takes_the_file(record: Record, tmp_path: Path) -> None:
    left = begin(record, weightless(record), tmp_path)
    assert not [name for name in left if not re.match(r"conv1\.|embeddings\.4\.|norm", name)]


@pytest.mark.parametrize("record", TRAINED_FROM, ids=lambda record: record.name)
def test_a_file_that_lacks_a_tensor_is_refused(record: Record, tmp_path: Path) -> None:
    """So that no record asks for a tensor that nothing needs."""
    state = weightless(record)
    del state[next(name for name in reversed(state) if "norm" not in name)]
    with pytest.raises(ValueError, match=r"do not fit|have unknown names"):
        begin(record, state, tmp_path)
