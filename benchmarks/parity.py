"""Do full-size models give what PyTorch gives, as files and by engines? Families with ResNet-50, one after the other.

Weights are random by a seed; norms whose weights begin alike are spread, so that no branch is silent. Each model is
written as files, opened again and run by the engine of the format on clips of other numbers, lengths and, where the
family takes them, sizes than the example that was traced; the same without a file (`with_engine`), both in fp32. Told
is the largest difference to PyTorch as a share of the largest logit; of models that track, that of scores, and the
share of masks' pixels that differ.

    python benchmarks/parity.py --families tpavi cavp --formats onnx openvino --out parity.json
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from harness import conditions, options_of, parser, peak_mib, tell

from avseg.config import ModelConfig
from avseg.engines import with_engine
from avseg.export import export_model
from avseg.io.rle import decode
from avseg.models import build_model, load_model
from avseg.models.base import Model
from avseg.recipes import get_recipe
from avseg.types import Batch, Clip, DensePrediction, InstancePrediction, Prediction, Task

AVSS = Task("semantic", tuple(f"class {number}" for number in range(70)))
FAMILIES = {
    "tpavi": ("tpavi_s4_r50", Task("binary")),
    "cavp": ("cavp_avss_r50", AVSS),
    "avism": ("avism_r50", Task("instance", tuple(f"class {number}" for number in range(26)))),
    "qdformer": ("qdformer_1s7m_r50", Task("binary")),
    "avsegformer": ("avsegformer_s4_r50", Task("binary")),
    "avsegformer-avss": ("avsegformer_avss_r50", AVSS),
    "catr": ("catr_s4_r50", Task("binary")),
}
"""Recipe and task."""
FORMATS = {"onnx": (".onnx", "onnxruntime"), "openvino": (".xml", "openvino"), "torch": (".pt2", "torch")}
"""Ending, and the engine that runs it."""
MOST = 1e-4


def seeded(recipe: str, task: Task) -> Model[Any]:
    torch.manual_seed(0)
    model = build_model(get_recipe(recipe).model, task).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1 and parameter.unique().numel() == 1:
                parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return model


@dataclass(frozen=True)
class Shape:
    """Of clips that go in together."""

    frames: tuple[int, ...]
    size: tuple[int, int]


def shapes(config: ModelConfig) -> Iterator[Shape]:
    """The usual clips first."""
    size = config.input.fitted(config.input.size)
    usual = {"frame": 1, "block": config.temporal.length or 1, "clip": 3}[config.temporal.kind]
    yield Shape((usual,), size)
    yield Shape((usual, usual + 2), size)
    if config.input.rule != "stretch":
        step = max(32, config.input.multiple_of)
        yield Shape((usual,), (size[0], size[1] + 3 * step))
        yield Shape((usual + 1,), (size[0] + 2 * step, size[1]))


def clips(config: ModelConfig, shape: Shape) -> Batch:
    generator = torch.Generator().manual_seed(len(shape.frames))
    spacing, rate = config.temporal.spacing, config.sound_rate

    def clip(number: int, frames: int) -> Clip:
        features = None if config.hears else torch.rand(frames, int(vars(config)["audio_width"]), generator=generator)
        samples = math.ceil(rate * (frames * spacing + 1))
        return Clip(
            id=str(number),
            frames=torch.randint(0, 256, (frames, 3, *shape.size), generator=generator, dtype=torch.uint8),
            times=torch.arange(frames, dtype=torch.float64) * spacing,
            audio=torch.rand(config.heard_channels, samples, generator=generator) - 0.5,
            sample_rate=rate,
            audio_features=features,
        )

    return Batch.collate([clip(number, frames) for number, frames in enumerate(shape.frames)])


def apart(one: Prediction, other: Prediction) -> dict[str, float]:
    """Of the second from the first."""
    if isinstance(one, DensePrediction):
        assert isinstance(other, DensePrediction)
        return {"logits": float((one.logits - other.logits).abs().max() / one.logits.abs().max())}
    assert isinstance(one, InstancePrediction) and isinstance(other, InstancePrediction)
    if len(one.scores) != len(other.scores):
        return {"scores": math.inf, "pixels": math.inf}
    marked = differ = 0
    for a, b in zip(one.masks, other.masks, strict=True):
        for x, y in zip(a, b, strict=True):
            own, theirs = (np.zeros(one.size, bool) if m is None else decode(m) for m in (x, y))
            marked, differ = marked + int(own.sum()), differ + int((own != theirs).sum())
    scores = float((one.scores - other.scores).abs().max()) if len(one.scores) else 0.0
    return {"scores": scores, "pixels": differ / max(marked, 1)}


def worst(wanted: list[list[Prediction]], found: list[list[Prediction]]) -> dict[str, float]:
    told: dict[str, float] = {}
    for one, other in ((a, b) for x, y in zip(wanted, found, strict=True) for a, b in zip(x, y, strict=True)):
        for name, value in apart(one, other).items():
            told[name] = max(told.get(name, 0.0), value)
    return told


def parity(family: str, formats: list[str], folder: Path) -> dict[str, Any]:
    """Figures of one family."""
    recipe, task = FAMILIES[family]
    model = seeded(recipe, task)
    given = [clips(model.config, shape) for shape in shapes(model.config)]
    wanted = [model.predict(batch) for batch in given]
    figures: dict[str, Any] = {
        "recipe": recipe,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "pictures": [list(batch.frames.shape[:2]) + list(batch.frames.shape[3:]) for batch in given],
    }
    for name in formats:
        suffix, engine = FORMATS[name]
        begin = time.perf_counter()
        report = export_model(model, folder / f"{family}{suffix}")
        opened = load_model(report.path)
        figures[name] = {
            "parts": report.apart,
            "one_size": list(report.fixed),
            "file": worst(wanted, [opened.predict(batch) for batch in given]),
        }
        del opened
        fast = with_engine(model, engine, "fp32")
        figures[name]["engine"] = worst(wanted, [fast.predict(batch) for batch in given])
        told = {report.apart, *figures[name]["file"].values(), *figures[name]["engine"].values()}
        figures[name]["fine"] = max(told) <= MOST
        figures[name]["seconds"] = round(time.perf_counter() - begin, 1)
    return {**figures, "peak_MiB": peak_mib()}


def main() -> None:
    shared = parser(__doc__, threads=2)
    shared.add_argument("--families", nargs="+", choices=FAMILIES, default=list(FAMILIES))
    shared.add_argument("--formats", nargs="+", choices=FORMATS, default=["onnx", "openvino"])
    options = options_of(shared)
    found: dict[str, Any] = {"what": "fp32 against PyTorch", **conditions(options)}
    for family in options.families:
        with TemporaryDirectory() as folder:
            found[family] = parity(family, options.formats, Path(folder))
        tell(found, options.out)


if __name__ == "__main__":
    main()
