"""What `targets.py` times: built alike in the tree at hand and in the older one, so only names that both have stand at
the top of functions. Run by `targets_side.py`."""

from __future__ import annotations

import importlib
import importlib.util
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from harness import bf16_units
from torch import Tensor

from avseg.config import AudioWindow, InputSpec
from avseg.models import build_model
from avseg.models.avism.config import AVISMConfig
from avseg.models.cavp.config import CAVPConfig
from avseg.models.qdformer.config import QDFormerConfig
from avseg.models.tpavi.config import TPAVIConfig
from avseg.types import Batch, Clip, DenseTarget, Draw, Task

NEW = importlib.util.find_spec("avseg.engines") is not None
"""Whether this tree has engines; the older one has not."""
CLASSES = 26
SURE = 6.0
"""Logit of one class, so that queries become tracks without training."""


@dataclass
class Work:
    """One thing to time."""

    run: Callable[[], Any]
    plain: Callable[[], Any] | None = None
    """The same in PyTorch and fp32, whose operations are counted; None: nothing is."""
    precision: str = "fp32"
    model: Any = None
    """What `run` asks, for a profile of its engine."""
    seam: str = ""
    """The part of it that the engine computes."""
    video: Path | None = None
    """What is decoded and encoded meanwhile."""


def imported(address: str) -> Any:
    module, _, name = address.partition(":")
    return getattr(importlib.import_module(module), name)


def fast(model: Any) -> Any:
    """As the extra `fast` predicts on a processor with units for bf16; the older tree has PyTorch alone.

    Raises:
        ImportError: OpenVINO is not installed.
        ValueError: the processor has no such units.
    """
    return imported("avseg.engines:with_engine")(model, "openvino", "bf16") if NEW else model


def want_units() -> None:
    """
    Raises:
        ValueError: the processor has no units for bf16.
    """
    if not bf16_units():
        raise ValueError("this CPU has no units for bf16")


def seeded(config: Any, task: Task) -> Any:
    torch.manual_seed(0)
    return build_model(config, task).eval()


def names(count: int) -> tuple[str, ...]:
    return tuple(f"class{number}" for number in range(1, count + 1))


def tpavi(quick: bool, side: int = 224) -> Any:
    small = {"backbone": "test_resnet", "width": 16, "inner": 8, "head_widths": (16, 8)} if quick else {}
    config = TPAVIConfig(**{"backbone": "resnet50", "audio_network": "small" if quick else "vggish", **small})
    return seeded(replace(config, input=InputSpec((side, side))), Task("binary"))


def tpavi_forward(quick: bool) -> Work:
    side = 64 if quick else 224
    model = tpavi(quick)
    images, sound = torch.randn(5, 3, side, side), torch.rand(5, 128)
    return forward(model, lambda own: own.network(images, sound))


def forward(model: Any, call: Callable[[Any], Any], seam: str = "network") -> Work:
    """A network with OpenVINO and bf16."""
    own = fast(model)
    return Work(lambda: call(own), lambda: call(model), "bf16", model, seam)


CAVP = {
    "avss": (
        {"audio_network": "vgg", "mel_frames": 96, "output_stride": 16},
        AudioWindow(seconds=1.0, anchor="frame", offset=0.0, missing="silence"),
        70,
        4,
        224,
    ),
    "vpo": ({}, None, 21, 2, 512),
}


def cavp(quick: bool, variant: str) -> tuple[Any, int, int]:
    """A model, how many pictures it gets, and how large they are."""
    fields, window, classes, count, side = CAVP[variant]
    small = {
        "backbone": "test_resnet",
        "aspp_width": 12,
        "detail_width": 4,
        "head_width": 16,
        "audio_network": "small",
    }
    own = small if quick else {"backbone": "resnet50_deep"}
    config = CAVPConfig(**{**fields, **own, "decoder": "deeplab", "input": InputSpec((side, side), rule="stretch")})
    if window is not None:
        config = replace(config, audio=window)
    return seeded(config, Task("semantic", names(classes))), count, 64 if quick else side


def cavp_forward(quick: bool, variant: str, eager: bool = False) -> Work:
    model, count, side = cavp(quick, variant)
    config = model.config
    images, sounds = torch.randn(count, 3, side, side), torch.randn(count, 1, config.mel_frames, 64)
    if not eager:
        return forward(model, lambda own: own.network(images, sounds))
    run = partial(model.network, images, sounds)
    return Work(run, run, model=model)


def qdformer_forward(quick: bool) -> Work:
    small = {
        "backbone": "test_resnet",
        "width": 32,
        "heads": 2,
        "feedforward": 32,
        "tokens": 3,
        "decomposition_layers": 1,
        "encoder_layers": 1,
        "points": 2,
        "decoder_layers": 2,
    }
    own = small if quick else {"backbone": "resnet50"}
    model = seeded(QDFormerConfig(**{**own, "audio_network": "none"}), Task("binary"))
    side = 64 if quick else 224
    images, sound, valid = torch.randn(5, 3, side, side), torch.rand(1, 5, 1, 128), torch.ones(1, 5, dtype=torch.bool)
    return forward(model, lambda other: other.network(images, sound, valid))


SMALL_AVISM = {
    "backbone": "test_resnet",
    "width": 32,
    "heads": 2,
    "feedforward": 32,
    "pixel_feedforward": 32,
    "pixel_layers": 1,
    "frame_queries": 12,
    "frame_layers": 3,
    "clip_queries": 12,
    "clip_layers": 2,
    "object_layers": 2,
    "window": 2,
    "trained_layers": 2,
}


def avism(quick: bool, hears: bool = False) -> Any:
    """Ten of its candidates become tracks: all queries are sure of one class, and ten candidates are asked for."""
    audio = {"audio_network": "small" if quick else "vggish"} if hears else {}
    changes = {**(SMALL_AVISM if quick else {}), **audio, **({} if NEW else {"candidates": 10})}
    config = AVISMConfig(**changes)
    if quick:
        config = replace(config, input=replace(config.input, size=(64, 64)))
    model = seeded(config, Task("instance", names(CLASSES)))
    classify = model.network.video.decoder.classify
    torch.nn.init.zeros_(classify.weight)
    with torch.no_grad():
        classify.bias.zero_()[0] = SURE
    if NEW:
        model.options = replace(model.options, candidates=10)
    return model


def clip_of(frames: int, size: tuple[int, int], rate: int, target: Any = None, features: bool = False) -> Clip:
    return Clip(
        id="clip",
        frames=torch.randint(0, 256, (frames, 3, *size), dtype=torch.uint8),
        times=torch.arange(frames, dtype=torch.float64),
        audio=0.1 * torch.randn(1, (frames + 3) * rate),
        sample_rate=rate,
        target=target,
        audio_features=torch.rand(frames, 128) if features else None,
    )


def avism_clip(quick: bool) -> Work:
    model = avism(quick)
    frames, size = (4, (64, 96)) if quick else (20, (360, 640))
    batch = Batch.collate([clip_of(frames, size, 16000, features=True)])
    own = fast(model)
    return Work(lambda: own.predict(batch), lambda: model.predict(batch), "bf16", model, "network.look")


def avism_frames(quick: bool) -> Work:
    model = avism(quick)
    images, sound = torch.randn(3, 3, *((64, 96) if quick else (384, 640))), torch.rand(3, 128)
    run = partial(model.network.look, images, sound, layers=1, predict=False)
    return Work(run, run, model=model)


def step_of(model: Any, batch: Batch, precision: str = "fp32") -> Work:
    """As the training loop makes it: forward and losses in the trainer's precision, backward, fused Adam."""
    home = "avseg.engine.training" if NEW else "avseg.engine.setup"
    make = imported(f"{home}.accelerator:make_accelerator" if NEW else f"{home}:make_accelerator")
    objective = imported(f"{home}.objective:Objective" if NEW else f"{home}:Objective")
    config = imported("avseg.engine.config:TrainConfig")(precision=precision, trackers=())
    accelerator = make(config, model, Path())
    optimiser = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=1e-6, fused=True)
    trained, optimiser = accelerator.prepare(objective(model), optimiser)
    trained.train()

    def run() -> Tensor:
        total = torch.stack(list(trained(batch).values())).sum()
        accelerator.backward(total)
        optimiser.step()
        optimiser.zero_grad()
        return total

    return Work(run, run, precision)


def drawn(batch: Batch) -> Batch:
    return replace(batch, draw=Draw(0, 0), index=list(range(len(batch.ids))))


def cavp_step(quick: bool, variant: str) -> Work:
    model, count, side = cavp(quick, variant)
    clips = []
    for number in range(count):
        labels = torch.zeros(1, side, side, dtype=torch.int64)
        labels[:, side // 4 :, side // 3 :] = 1 + number % 2
        sounding = torch.arange(len(model.task.classes))[None] == number % 2
        target = DenseTarget(labels, torch.ones(1, dtype=torch.bool), sounding)
        clips.append(replace(clip_of(1, (side, side), 16000, target), id=str(number)))
    return step_of(model, drawn(Batch.collate(clips)))


def tpavi_step(quick: bool) -> Work:
    side = 64 if quick else 224
    if NEW:
        want_units()
    model = tpavi(quick, side)
    labels = torch.zeros(5, side, side, dtype=torch.int64)
    labels[:, side // 4 : side // 2, side // 4 : side // 2] = 1
    target = DenseTarget(labels, torch.ones(5, dtype=torch.bool))
    batch = drawn(Batch.collate([clip_of(5, (side, side), 16000, target)]))
    return step_of(model, batch, "bf16" if NEW else "fp32")


def film(video: Path, model: str, words: list[str], folder: Path) -> Work:
    """`avseg predict` in this process, masks as PNG and overlay."""
    run_command = imported("avseg.cli:run")
    out = folder / "out"

    def run() -> None:
        shutil.rmtree(out, ignore_errors=True)
        status = run_command(["predict", str(video), "--model", model, "--out", str(out), "--fps", "5", *words])
        assert status == 0, f"avseg predict ended with {status}"

    return Work(run, video=video)


def film_demo(quick: bool, video: str, folder: str) -> Work:
    work = film(Path(video), "demo", [], Path(folder))
    work.model = imported("avseg.models:load_model")(str(imported("avseg.demo:MODEL_FILE")))
    return work


def film_tpavi(quick: bool, video: str, folder: str) -> Work:
    model = tpavi(quick, 64 if quick else 224)
    place = imported("avseg.models:save_model")(model, Path(folder) / "tpavi.safetensors")
    if NEW:
        fast(model)
    work = film(Path(video), str(place), ["--engine", "openvino", "--precision", "bf16"] if NEW else [], Path(folder))
    work.model, work.precision = model, "bf16"
    return work


def avism_file(quick: bool, folder: str) -> str:
    """A model file for `avseg predict`."""
    place = Path(folder) / "avism.safetensors"
    imported("avseg.models:save_model")(avism(quick, hears=True), place)
    return str(place)


CASES: dict[str, Callable[..., Work]] = {
    "tpavi_fast": tpavi_forward,
    "cavp_avss_fast": partial(cavp_forward, variant="avss"),
    "cavp_vpo_fast": partial(cavp_forward, variant="vpo"),
    "avism_fast": avism_clip,
    "qdformer_fast": qdformer_forward,
    "avism_frames": avism_frames,
    "cavp_vpo": partial(cavp_forward, variant="vpo", eager=True),
    "cavp_avss_step": partial(cavp_step, variant="avss"),
    "cavp_vpo_step": partial(cavp_step, variant="vpo"),
    "tpavi_step_bf16": tpavi_step,
    "film_demo": film_demo,
    "film_tpavi": film_tpavi,
}
