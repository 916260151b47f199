"""The loader over every data set and every task of it: it gives what the transforms give, and reads nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
import torch

from alike import same
from avseg.config import InputSpec
from avseg.data import DATASETS, build_dataset, make_loader
from avseg.data.framing import OneFrame, Window
from avseg.data.geometry import Geometry
from avseg.data.tracks import Rasterise, SomeFrames
from avseg.data.transforms import apply
from avseg.datasets import data_config
from avseg.synth.video import SynthVideo
from avseg.types import Batch, Draw

Folder = Callable[[str], Path | None]

SEED = 7
SIZED = Geometry(InputSpec((24, 32)))
WORLD: dict[str, Any] = {"clips": 3, "frames": 4, "size": 32}

# Every data set with every task it has.
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    **{name: (name, {}) for name in DATASETS if name != "synth"},
    "avss binary": ("avss", {"binary": True}),
    "single binary": ("single", {"binary": True}),
    **{f"synth {kind}": ("synth", {**WORLD, "kind": kind}) for kind in ("binary", "semantic", "instance")},
}
DRAWS = {"some_frames": SomeFrames(3, reach=2), "one_frame": OneFrame(), "window": Window(2)}


@pytest.fixture(params=CASES)
def dataset(request: pytest.FixtureRequest, folder: Folder) -> Any:
    name, options = CASES[request.param]
    return build_dataset(data_config(name, root=folder(name), **options), "train")


def transforms_of(draw: str, dataset: Any) -> list[Any]:
    """As `train_transforms` has them: masks of tracks are made behind the draw, then all is sized."""
    return [DRAWS[draw], *([Rasterise()] if dataset.task.kind == "instance" else []), SIZED]


def heard(batch: Batch) -> torch.Tensor:
    """The sound of the seconds that begin at the frames (the synthetic world's videos make no other of drawn ones)."""
    rate = batch.sample_rate
    return torch.cat([batch.audio[..., int(t) * rate : int(t + 1) * rate] for t in batch.times[0].tolist()], -1)


@pytest.mark.parametrize("draw", DRAWS)
def test_the_loader_gives_what_the_transforms_give(draw: str, dataset: Any) -> None:
    transforms = transforms_of(draw, dataset)
    for batch in make_loader(dataset, transforms, batch_size=1, seed=SEED):
        place = batch.index[0]
        expected = Batch.collate([apply(transforms, dataset[place], Draw(SEED, 0).generator(place))])
        seconds_alone = isinstance(getattr(dataset, "video", lambda _: None)(place), SynthVideo)
        same(batch, expected, ("draw", "index", *(("audio",) if seconds_alone else ())))
        assert torch.equal(heard(batch), heard(expected))
        assert len(batch.times[0]) == {"some_frames": 3, "one_frame": 1, "window": min(2, dataset.length(place))}[draw]


def test_sizing_while_reading_is_sizing_what_was_read(dataset: Any) -> None:
    plain = Geometry(InputSpec((24, 32)), resize_labels=False)
    for geometry in (SIZED, plain):
        for batch in make_loader(dataset, [geometry], batch_size=1):
            same(batch, Batch.collate([geometry(dataset[batch.index[0]])], dataset.batch_frames), ("draw", "index"))


@pytest.mark.parametrize("draw", DRAWS)
def test_pictures_of_other_frames_are_neither_opened_nor_made(
    draw: str, dataset: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not dataset.knows_frames and dataset.config.name != "synth":
        pytest.skip("it does not know which frames a clip has without reading it")
    opened: set[Path] = set()
    made: list[Any] = []
    plain, to_clip = PIL.Image.open, SynthVideo.to_clip

    def noted(path: Path, *more: Any) -> Any:
        opened.add(path)
        return plain(path, *more)

    def made_of(self: SynthVideo, frames: Any = None, **more: Any) -> Any:
        made.append(frames)
        return to_clip(self, frames, **more)

    monkeypatch.setattr(PIL.Image, "open", noted)
    monkeypatch.setattr(SynthVideo, "to_clip", made_of)
    for batch in make_loader(dataset, transforms_of(draw, dataset), batch_size=1, seed=SEED):
        frames = [int(time) for time in batch.times[0].tolist()]
        if dataset.config.name == "synth":
            assert not opened and made == ([frames] if dataset.task.kind == "instance" else [])
        else:
            files = dataset.files(batch.index[0])
            assert {path for path in opened if path in files.frames} == {files.frames[frame] for frame in frames}
            assert {path for path in opened if path not in files.frames} <= {
                files.labels[frame] for frame in frames if frame < len(files.labels)
            }
        opened.clear()
        made.clear()
