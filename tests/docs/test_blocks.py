"""Every Python block of the pages runs, in the order of its page, or says above it why not."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

from avseg import load_model, save_model
from avseg.data import build_dataset, data_config
from avseg.datasets.folders import write
from avseg.datasets.world.clips import SynthDataset
from avseg.engine import evaluate_file
from avseg.io.rle import encode
from avseg.synth import VideoSpec, make_video
from avseg.synth.video import write_movie
from avseg.types import Batch, DensePrediction, InstancePrediction, Task
from extras import needs

ROOT = Path(__file__).parents[2]
PAGES = {
    page.relative_to(ROOT).as_posix(): page.read_text("utf-8")
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
}
BLOCK = re.compile(r"^(?:<!-- not run: (?P<why>[^\n]+) -->\n)?```(?P<kind>python|json)\n(?P<text>.*?)^```", re.M | re.S)
FEWER = ("clips=100", "clips=3")
"""What a block of many clips runs with."""


class Block(NamedTuple):
    """A block of a page."""

    line: int
    kind: str
    text: str
    why_not: str | None


def blocks_of(text: str, kind: str) -> list[Block]:
    """The blocks of one language."""
    return [
        Block(text.count("\n", 0, found.start("kind")) + 1, found["kind"], found["text"], found["why"])
        for found in BLOCK.finditer(text)
        if found["kind"] == kind
    ]


PYTHON = [name for name, text in PAGES.items() if any(block.why_not is None for block in blocks_of(text, "python"))]


Names = dict[str, Any]


def film(path: str, seconds: int) -> None:
    """A film of the synthetic world."""
    Path(path).parent.mkdir(exist_ok=True)
    write_movie(Path(path), make_video(1, 2, VideoSpec(seconds=(seconds, seconds), size=(96, 160))))


def a_model() -> Names:
    """A model and its file."""
    model = load_model("demo")
    save_model(model, "model.safetensors")
    return {"model": model}


def a_video() -> Names:
    """A video and a model."""
    film("band.mp4", 21)
    return a_model()


def a_scene() -> Names:
    """What `avseg demo` has written."""
    film("avseg-demo/scene.mp4", 2)
    return {}


def a_batch() -> Names:
    """One batch of clips."""
    return {"batch": Batch.collate([SynthDataset(1, size=32, stereo=True)[0]])}


def a_folder() -> Names:
    """The folder of S4."""
    write("s4", "data/avsbench_data/Single-source", clips=8, seed=0)
    return {}


def a_set() -> Names:
    """A data set, a model, and its predictions: of random numbers, for no score is looked at."""
    dataset = SynthDataset(2, split="test", task="semantic", size=32)
    torch.manual_seed(0)
    predictions = [DensePrediction(name, torch.randn(5, dataset.task.channels, 8, 8), (32, 32)) for name in dataset.ids]
    return {**a_model(), "task": Task("binary"), "dataset": dataset, "predictions": predictions}


def two_models() -> Names:
    """Two models, and two folders of `avseg evaluate --out`."""
    names = a_set()
    config = data_config("synth", kind="semantic", held_out_clips=4, size=32)
    for name in "ab":
        evaluate_file("demo", config, out=Path("evaluated", name))
    return {**names, "model_a": names["model"], "model_b": load_model("demo")}


def a_state() -> Names:
    """The names and shapes of published weights."""
    rows = json.loads((ROOT / "tests" / "golden" / "tpavi" / "keys_s4_r50.json").read_text(encoding="utf-8"))
    return {"state": {row[0]: torch.empty(row[1], device="meta") for row in rows}}


def videos_with_tracks() -> Names:
    """Long videos, and a track in each."""
    write("aviseg", "aviseg", clips=3, seed=0, seconds=(3, 3), size=48)
    dataset = build_dataset(data_config("aviseg", root="aviseg"), "test")
    one = torch.ones(1, dtype=torch.int64)
    predictions = []
    for place, name in enumerate(dataset.ids):
        frames, _, *size = dataset[place].frames.shape
        mask = encode(torch.ones(*size, dtype=torch.bool))
        tracks = [[None, *[mask] * (frames - 1)]]
        predictions.append(InstancePrediction(name, tracks, 0.9 * one, one, one, (size[0], size[1])))
    return {"dataset": dataset, "predictions": predictions, "path": Path("results.json")}


def masks_and_tracks() -> Names:
    """Masks of a clip, and the tracks of a video."""
    torch.manual_seed(0)
    mask = torch.rand(5, 8, 8) > 0.5
    tensors = ("masks", "target", "track", "other", "true_track")
    return {**dict.fromkeys(tensors, mask), "probabilities": mask.float(), "label_maps": mask.long()}


READY: dict[str, tuple[Callable[[], Names], ...]] = {
    "docs/index.md": (a_scene,),
    "docs/how-to/predict.md": (a_video,),
    "docs/how-to/export.md": (a_model,),
    "docs/how-to/evaluate.md": (a_set,),
    "docs/how-to/compare.md": (two_models,),
    "docs/how-to/listen.md": (a_set,),
    "docs/how-to/weights.md": (a_state,),
    "docs/reference/file-format.md": (a_model,),
    "docs/reference/audio.md": (a_batch,),
    "docs/reference/datasets.md": (a_folder,),
    "docs/reference/metrics.md": (masks_and_tracks,),
    "docs/reference/predictions.md": (a_set, videos_with_tracks),
}
"""What the blocks of a page suppose, one after the other: files in the folder, and names."""


EXTRA = {"docs/how-to/export.md": "openvino"}
"""A package that a page's blocks need."""


@pytest.mark.parametrize(
    "page", [pytest.param(name, marks=pytest.mark.extra) if name in EXTRA else name for name in PYTHON]
)
def test_python_blocks_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if page in EXTRA:
        needs(EXTRA[page])
    monkeypatch.chdir(tmp_path)
    names: Names = {"__name__": "page"}
    for block, ready in zip_longest(blocks_of(PAGES[page], "python"), READY.get(page, ())):
        names |= ready() if ready else {}
        if block.why_not is None:
            text = "\n" * block.line + block.text.replace(*FEWER)
            exec(compile(text, str(ROOT / page), "exec"), names)


@pytest.mark.parametrize("page", [name for name, text in PAGES.items() if blocks_of(text, "python")])
def test_what_blocks_that_are_not_run_import_exists(page: str) -> None:
    for block in blocks_of(PAGES[page], "python"):
        if block.why_not is not None:
            imports = re.findall(r"^(?:from avseg\S* )?import .*$", block.text, re.MULTILINE)
            exec("\n".join(imports), {})


def test_every_block_is_seen() -> None:
    fences = sum(len(re.findall(r"^ *```(?:python|py)\b", text, re.MULTILINE)) for text in PAGES.values())
    seen = sum(len(blocks_of(text, "python")) for text in PAGES.values())
    assert seen > 25 and fences - seen == 0


@pytest.mark.parametrize("page", [name for name, text in PAGES.items() if blocks_of(text, "json")])
def test_json_blocks_are_json(page: str) -> None:
    for block in blocks_of(PAGES[page], "json"):
        if block.why_not is None:
            json.loads(block.text)
