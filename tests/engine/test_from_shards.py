"""A run reads shards as it reads a folder: the same weights to the last bit, also where it changes over in between."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_run import Stop, TinyConfig, TinyModel, assert_same_run, recipe

from avseg.data import build_dataset
from avseg.datasets import data_config, folders
from avseg.engine import train
from avseg.shards.pack import pack
from avseg.types import Task


def test_a_run_goes_on_from_shards_as_from_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVSEG_CACHE", str(tmp_path / "cache"))
    root, shards = tmp_path / "s4", str(tmp_path / "shards")
    folders.write("s4", root, 20, seed=2, workers=1, size=(16, 16), video=False)
    pack(data_config("s4", root=root), shards)
    of = recipe(batch_size=2, workers=2, save_every=3, epochs=2)

    def run(folder: str, on_step: Any = None, **place: Any) -> None:
        torch.manual_seed(0)
        model = TinyModel(TinyConfig(), Task("binary"))
        model.on_step = on_step
        data = data_config("s4", augment=("flip", "colour"), **place)
        sets = [build_dataset(data, split) for split in ("train", "val")]
        train(model, *sets, replace(of, data=data), tmp_path / folder)

    run("folder", root=root)
    run("shards", shards=shards)
    assert_same_run(tmp_path / "folder", tmp_path / "shards")
    with pytest.raises(KeyboardInterrupt):
        run("both", Stop(9), root=root)
    assert list((tmp_path / "both" / "checkpoints").glob("step-*.pt"))
    run("both", shards=shards)
    assert_same_run(tmp_path / "folder", tmp_path / "both")
