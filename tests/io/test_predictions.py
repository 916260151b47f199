"""Predictions on disk: what is written comes back, whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from avseg.io.predictions import read_predictions, read_task, write_predictions, write_published_masks
from avseg.types import DensePrediction, Task

BINARY, SEMANTIC = Task("binary"), Task("semantic", ("dog", "guitar", "car"))
FORMS = ["png", "rle", "npz"]


def made(task: Task, name: str = "dog_barking/a.b", size: tuple[int, int] = (9, 14)) -> DensePrediction:
    logits = 3 * torch.randn(2, task.channels, 5, 6, generator=torch.Generator().manual_seed(len(name)))
    return DensePrediction(name, logits, size)


@pytest.mark.parametrize("task", [BINARY, SEMANTIC], ids=["binary", "semantic"])
@pytest.mark.parametrize("form", FORMS)
def test_labels_come_back(tmp_path: Path, form: Any, task: Task) -> None:
    written = [made(task), made(task, "predictions"), made(task, "e/f/g", (1, 1))]
    write_predictions(written, tmp_path, task, form)
    assert read_task(tmp_path) == task
    for before, after in zip(written, read_predictions(tmp_path), strict=True):
        assert (after.id, after.size, len(after.logits)) == (before.id, before.size, 2)
        for frame in range(2):
            assert torch.equal(after.labels(frame), before.labels(frame))
            if form != "npz":
                certain = after.foreground(frame)
                assert torch.allclose(certain, (before.labels(frame) > 0).float(), atol=1e-6)


def test_npz_keeps_the_logits(tmp_path: Path) -> None:
    prediction = made(SEMANTIC)
    write_predictions([prediction], tmp_path, SEMANTIC, "npz")
    assert torch.equal(next(read_predictions(tmp_path)).logits, prediction.logits)


def test_png_files_hold_class_ids_in_colours(tmp_path: Path) -> None:
    prediction = made(SEMANTIC)
    colours = [(0, 0, 0), (255, 0, 0), (0, 255, 0), (0, 0, 255)]
    write_predictions([prediction], tmp_path, SEMANTIC, "png", palette=colours)
    image = Image.open(tmp_path / "clips" / "dog_barking" / "a.b" / "000001.png")
    assert np.array_equal(np.array(image), prediction.labels(1).numpy())
    assert np.array_equal(np.array(image.convert("RGB")), np.array(colours, np.uint8)[prediction.labels(1).numpy()])


def test_the_index_is_written_last(tmp_path: Path) -> None:
    def broken() -> Any:
        yield made(BINARY)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_predictions(broken(), tmp_path, BINARY)
    assert not (tmp_path / "predictions.json").exists()
    with pytest.raises(FileNotFoundError, match=r"predictions\.json is missing"):
        next(read_predictions(tmp_path))


@pytest.mark.parametrize("name", ["../outside", "a/../../outside", "/avseg_outside"])
def test_an_id_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="stay inside"):
        write_predictions([made(BINARY, name)], tmp_path / "out", BINARY)
    assert not list(tmp_path.rglob("*.png"))


def test_bad_requests_say_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'gif'; known: png, rle, npz"):
        write_predictions([], tmp_path, BINARY, "gif")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="two predictions are for clip"):
        write_predictions([made(BINARY), made(BINARY)], tmp_path, BINARY)
    with pytest.raises(ValueError, match="has 4 channels of logits, but the task has 1"):
        write_predictions([made(SEMANTIC)], tmp_path, BINARY)


def altered(folder: Path, **changes: Any) -> None:
    path = folder / "predictions.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize("changes", [{"format_version": 99}, {"kind": "other"}, {"form": "gif"}])
def test_an_index_of_another_kind_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    write_predictions([made(BINARY)], tmp_path, BINARY)
    altered(tmp_path, **changes)
    with pytest.raises(ValueError, match=r"wanted 'avseg\.predictions' of version 1"):
        next(read_predictions(tmp_path))


@pytest.mark.parametrize("form", FORMS)
def test_files_that_do_not_fit_the_index_are_refused(tmp_path: Path, form: Any) -> None:
    write_predictions([made(BINARY, "a")], tmp_path, BINARY, form)
    size = [3, 3] if form != "npz" else [9, 14]
    altered(tmp_path, clips=[{"id": "a", "frames": 2 if form != "npz" else 3, "size": size}])
    with pytest.raises(ValueError, match="the index says"):
        next(read_predictions(tmp_path))


def test_a_class_the_task_does_not_have_is_refused(tmp_path: Path) -> None:
    write_predictions([made(SEMANTIC, "a")], tmp_path, SEMANTIC)
    altered(tmp_path, task=BINARY.to_dict())
    with pytest.raises(ValueError, match="the task has 0 to 1"):
        next(read_predictions(tmp_path))


def test_run_lengths_of_fewer_frames_are_refused(tmp_path: Path) -> None:
    write_predictions([made(BINARY, "a")], tmp_path, BINARY, "rle")
    altered(tmp_path, clips=[{"id": "a", "frames": 5, "size": [9, 14]}])
    with pytest.raises(ValueError, match="has 2 frames, but the index says 5"):
        next(read_predictions(tmp_path))


def test_published_layout_of_masks(tmp_path: Path) -> None:
    binary, semantic = made(BINARY, "dog/clip"), made(SEMANTIC, "uid")
    paths = write_published_masks(binary, tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in paths] == ["dog/clip/clip_0.png", "dog/clip/clip_1.png"]
    assert np.array_equal(np.array(Image.open(paths[0])), 255 * binary.labels(0).numpy().astype(np.uint8))
    colours = [(0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0)]
    picture = Image.open(write_published_masks(semantic, tmp_path, colours)[0])
    assert (picture.mode, picture.size) == ("RGB", (360, 240))
    assert {tuple(colour) for colour in np.array(picture).reshape(-1, 3).tolist()} <= set(colours)
