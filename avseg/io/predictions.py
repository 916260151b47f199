"""Dense predictions of a data set on disk: class ids as PNG, run lengths, or logits as NPZ
(docs/reference/predictions.md)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from avseg.io.files import inside, write_aside, write_text
from avseg.io.image import read_index, write_png
from avseg.io.rle import decode, encode
from avseg.types import DensePrediction, Task

FORMAT_VERSION = 1
INDEX = "predictions.json"
CLIPS = "clips"
Form: TypeAlias = Literal["png", "rle", "npz"]
Palette: TypeAlias = Sequence[Sequence[int]]

CERTAIN = 20
"""Logit (and minus it) of a mask read back: its probability is 1 (and 0) to within 3e-9."""


def write_predictions(
    predictions: Iterable[DensePrediction],
    folder: Path,
    task: Task,
    form: Form = "png",
    *,
    palette: Palette | None = None,
) -> Path:
    """Write predictions into `folder/clips`, one file (png: one folder) a clip, and last the index that lists them.

    Args:
        form: `png` class ids at the wanted size, `rle` the same as run lengths by class, `npz` the logits as they are.
        palette: Colours of the ids in PNG files; grey values otherwise.

    Returns:
        The index file.

    Raises:
        ValueError: an id that leads out of `folder` or comes twice, an unknown form, logits that do not fit `task`.
    """
    if form not in _WRITERS:
        raise ValueError(f"there is no form of predictions {form!r}; known: {', '.join(_WRITERS)}")
    clips: dict[str, dict[str, Any]] = {}
    for prediction in predictions:
        if prediction.id in clips:
            raise ValueError(f"two predictions are for clip {prediction.id!r}; give one for each clip")
        if prediction.logits.shape[1] != task.channels:
            channels = prediction.logits.shape[1]
            raise ValueError(
                f"clip {prediction.id!r} has {channels} channels of logits, but the task has {task.channels}"
            )
        _WRITERS[form](prediction, inside(folder / CLIPS, prediction.id), palette)
        clips[prediction.id] = {
            "id": prediction.id,
            "frames": len(prediction.logits),
            "size": [int(side) for side in prediction.size],
        }
    index = {
        "format_version": FORMAT_VERSION,
        "kind": "avseg.predictions",
        "form": form,
        "task": task.to_dict(),
        "clips": list(clips.values()),
    }
    write_text(folder / INDEX, json.dumps(index, indent=1) + "\n")
    return folder / INDEX


def read_task(folder: Path) -> Task:
    """The task of predictions on disk."""
    return Task.from_dict(_read_index(folder)["task"])


def read_predictions(folder: Path) -> Iterator[DensePrediction]:
    """Predictions of a folder in the order they were written, read one at a time.

    Masks come back as certain logits (int8, one channel a class) at the wanted size, so they score as they look.

    Raises:
        FileNotFoundError: no index in the folder, or a file it lists is missing.
        ValueError: an index of another kind or version, or a file that does not fit it.
    """
    index = _read_index(folder)
    task, read = Task.from_dict(index["task"]), _READERS[index["form"]]
    for clip in index["clips"]:
        size = (int(clip["size"][0]), int(clip["size"][1]))
        logits = read(inside(folder / CLIPS, clip["id"]), int(clip["frames"]), size, task.channels)
        yield DensePrediction(clip["id"], logits, size)


def write_published_masks(prediction: DensePrediction, folder: Path, palette: Palette | None = None) -> list[Path]:
    """Masks of one clip as the published test scripts lay them out: `folder/<id>/<name>_<k>.png`, k from 0.

    Binary: 0/255 (S4 has ids `category/name`, MS3 `name`). Semantic, with a palette: RGB at 360 x 240 (width, height);
    class ids are enlarged by nearest neighbour, where the published smooth filter mixes colours at borders.
    """
    place = inside(folder, prediction.id)
    paths = []
    for frame in range(len(prediction.logits)):
        labels = prediction.labels(frame).cpu().to(torch.uint8)
        path = place / f"{place.name}_{frame}.png"
        write_png(path, labels > 0 if palette is None else _coloured(labels, palette))
        paths.append(path)
    return paths


def _coloured(labels: Tensor, palette: Palette) -> np.ndarray[Any, np.dtype[np.uint8]]:
    nearest = torch.nn.functional.interpolate(labels[None, None], size=(240, 360), mode="nearest-exact")[0, 0]
    colours: np.ndarray[Any, np.dtype[np.uint8]] = np.asarray(palette, dtype=np.uint8)[nearest.numpy()]
    return colours


def _read_index(folder: Path) -> dict[str, Any]:
    path = Path(folder) / INDEX
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; give a folder that avseg wrote predictions into")
    index: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    got = (index.get("kind"), index.get("format_version"), index.get("form") in _READERS)
    if got != ("avseg.predictions", FORMAT_VERSION, True):
        raise ValueError(
            f"{path} is {got[0]!r} of version {got[1]!r} and form {index.get('form')!r}, "
            f"wanted 'avseg.predictions' of version {FORMAT_VERSION} as {', '.join(_READERS)}"
        )
    return index


def _label_maps(prediction: DensePrediction) -> list[Tensor]:
    """(H, W) uint8 class ids of every frame."""
    return [prediction.labels(frame).cpu().to(torch.uint8) for frame in range(len(prediction.logits))]


def _write_png(prediction: DensePrediction, path: Path, palette: Palette | None) -> None:
    for frame, labels in enumerate(_label_maps(prediction)):
        write_png(path / f"{frame:06d}.png", labels, palette)


def _write_rle(prediction: DensePrediction, path: Path, palette: Palette | None) -> None:
    frames = [
        {str(int(label)): encode(labels == int(label)) for label in np.unique(labels) if label}
        for labels in _label_maps(prediction)
    ]
    write_text(path.with_name(f"{path.name}.json"), json.dumps({"id": prediction.id, "frames": frames}) + "\n")


def _write_npz(prediction: DensePrediction, path: Path, palette: Palette | None) -> None:
    with write_aside(path.with_name(f"{path.name}.npz")) as aside:
        np.savez_compressed(aside, logits=prediction.logits.cpu().float().numpy())


def _read_png(path: Path, frames: int, size: tuple[int, int], channels: int) -> Tensor:
    return _certain([read_index(path / f"{frame:06d}.png") for frame in range(frames)], path, size, channels)


def _read_rle(path: Path, frames: int, size: tuple[int, int], channels: int) -> Tensor:
    file = path.with_name(f"{path.name}.json")
    entries = json.loads(file.read_text(encoding="utf-8"))["frames"]
    if len(entries) != frames:
        raise ValueError(f"{file} has {len(entries)} frames, but the index says {frames}; write the predictions again")
    maps = []
    for entry in entries:
        labels = torch.zeros(size, dtype=torch.uint8)
        for label, rle in entry.items():
            if tuple(rle["size"]) != size:
                raise ValueError(f"{file} holds a mask of size {tuple(rle['size'])}, the index says {size} (H, W)")
            labels[torch.from_numpy(decode(rle))] = int(label)
        maps.append(labels)
    return _certain(maps, file, size, channels)


def _read_npz(path: Path, frames: int, size: tuple[int, int], channels: int) -> Tensor:
    file = path.with_name(f"{path.name}.npz")
    with np.load(file, allow_pickle=False) as stored:
        logits = torch.from_numpy(stored["logits"])
    if logits.ndim != 4 or logits.shape[:2] != (frames, channels):
        raise ValueError(f"{file} holds logits {tuple(logits.shape)}, the index says ({frames}, {channels}, h, w)")
    return logits


def _certain(maps: list[Tensor], source: Path, size: tuple[int, int], channels: int) -> Tensor:
    """(T, C, H, W) int8 logits whose probabilities are 0 and 1, of T label maps."""
    for labels in maps:
        if tuple(labels.shape) != size:
            raise ValueError(f"{source} holds a mask of size {tuple(labels.shape)}, the index says {size} (H, W)")
        if int(labels.max()) >= max(channels, 2):
            raise ValueError(f"{source} holds class {int(labels.max())}, the task has 0 to {max(channels, 2) - 1}")
    labels = torch.stack(maps)[:, None]  # (T, 1, H, W)
    classes = torch.arange(channels, dtype=torch.uint8)[None, :, None, None]
    chosen = labels == (classes if channels > 1 else classes + 1)
    return torch.where(chosen, CERTAIN, -CERTAIN).to(torch.int8)


_WRITERS: dict[str, Callable[[DensePrediction, Path, Palette | None], None]] = {
    "png": _write_png,
    "rle": _write_rle,
    "npz": _write_npz,
}
_READERS: dict[str, Callable[[Path, int, tuple[int, int], int], Tensor]] = {
    "png": _read_png,
    "rle": _read_rle,
    "npz": _read_npz,
}
