"""A small QDFormer and an in-memory world, for tests of its training; as a script, what several processes do.

small_qdformer.py train DIR CLIPS     runs with CLIPS clips a batch and process, by gradient and by moving averages
small_qdformer.py local               steps on the local path alone
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed, nn

from avseg.config import Temporal
from avseg.data.base import ClipDataset
from avseg.data.loader import make_loader
from avseg.datasets import data_config
from avseg.engine.config import OptimConfig, Recipe, TrainConfig
from avseg.engine.processes import leaving_together
from avseg.engine.training.optim import build_optimizer
from avseg.engine.training.train import train
from avseg.models.qdformer.config import CodebookConfig, QDFormerConfig
from avseg.models.qdformer.model import QDFormer
from avseg.nn.quantizer import Quantizer
from avseg.types import Batch, Clip, DenseTarget, Task
from small import DEAF, small_config

SIDE, FRAMES, RATE = 64, 2, 16000
"""At 32 pixels the coarsest map has one pixel, of which some versions of torch get the bf16 gradient wrong on a CPU."""
SMALL: QDFormerConfig = small_config(
    "qdformer",
    **DEAF,
    temporal=Temporal("block", FRAMES),
    backbone="test_byobnet",
    heads=4,
    dropout=0.0,
    codebook=CodebookConfig(codes=8),
)
AVERAGED = replace(SMALL, codebook=CodebookConfig(codes=8, update="ema", decay=0.8))
RESTARTED = replace(SMALL, codebook=CodebookConfig(codes=8, update="ema", decay=0.8, restart_after=2))
"""A codebook of moving averages whose idle codes begin anew, as tokens that are drawn."""
VARIANTS = {"grad": SMALL, "ema": AVERAGED, "restarts": RESTARTED}


class SmallWorld(ClipDataset):
    """Clips of two frames whose sound says, as a vector a second, which half of the picture is marked."""

    task = Task("binary")
    suite = "avsbench_object"

    def __init__(self, clips: int, seed: int = 0) -> None:
        self.config = data_config("synth")
        self.ids = [f"clip{seed}-{i}" for i in range(clips)]
        self.seed = seed

    def __getitem__(self, index: int) -> Clip:
        generator = torch.Generator().manual_seed(1000 * self.seed + index)
        frames = torch.randint(0, 256, (FRAMES, 3, SIDE, SIDE), generator=generator, dtype=torch.uint8)
        labels = torch.zeros(FRAMES, SIDE, SIDE, dtype=torch.int64)
        labels[:, :, : SIDE // 2] = 1
        heard = torch.randn(FRAMES, 8, generator=generator)
        if index % 2:
            labels, heard = labels.flip(-1), heard + 2
        times, audio = torch.arange(FRAMES, dtype=torch.float64), torch.zeros(1, 0)
        target = DenseTarget(labels, torch.ones(FRAMES, dtype=torch.bool))
        return Clip(self.ids[index], frames, times, audio, RATE, target=target, audio_features=heard)


def recipe(model: QDFormerConfig = SMALL, **changes: Any) -> Recipe:
    """A short run; `changes` are fields of TrainConfig. Plain SGD, which differences of rounding do not unsettle."""
    plain = TrainConfig(epochs=2, batch_size=4, workers=0, log_every=1, save_every=1)
    optim = OptimConfig(algorithm="sgd", lr=1e-3, clip_norm=1.0)
    return Recipe(model=model, data=data_config("synth"), optim=optim, train=replace(plain, **changes))


def built(config: QDFormerConfig) -> QDFormer:
    torch.manual_seed(0)
    return QDFormer(config, Task("binary"))


def run(folder: Path, of: Recipe, *, clips: int = 8, val: int = 0, model: QDFormer | None = None) -> Path:
    assert isinstance(of.model, QDFormerConfig)
    val_set = SmallWorld(val, seed=1) if val else None
    return train(model or built(of.model), SmallWorld(clips), val_set, of, folder)


def batch_of(clips: int) -> Batch:
    batch: Batch = next(iter(make_loader(SmallWorld(clips), batch_size=clips)))
    return batch


class LocalPath(nn.Module):
    """Tokens of frames, given those of the clip, and nothing else of the network."""

    def __init__(self, model: QDFormer) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Batch) -> Tensor:
        network = self.model.network
        sound = network.resizer(self.model.features(batch), batch.valid)
        with torch.no_grad():
            given = network.decomposition(sound)  # type: ignore[misc]
        coded = network._calibrated(given, sound)
        assert coded is not None and coded.commitment_loss is not None and coded.codebook_loss is None
        return coded.tokens.square().mean() + coded.commitment_loss


def local_steps(config: QDFormerConfig, path: LocalPath | nn.parallel.DistributedDataParallel) -> None:
    """Three steps of AdamW with decay: whatever has a gradient moves, and neither codebook nor its averages do."""
    model: QDFormer = path.model if isinstance(path, LocalPath) else path.module.model  # type: ignore[assignment]
    quantizer = model.network.quantizer
    assert isinstance(quantizer, Quantizer) and model.config == config
    optimizer = build_optimizer(model, model.param_groups(), OptimConfig(algorithm="adamw", lr=1e-2, weight_decay=0.1))
    before = {name: tensor.clone() for name, tensor in quantizer.state_dict().items()}
    moving = next(model.network.calibration.parameters())  # type: ignore[union-attr]
    began = moving.detach().clone()
    model.train()
    for _ in range(3):
        path(batch_of(2)).backward()
        optimizer.step()
        optimizer.zero_grad()
    assert not torch.equal(began, moving)
    after = quantizer.state_dict()
    assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)


def _same_codebook(quantizer: nn.Module, *_: Any) -> None:
    """Every process has the same codebook, averages and idle steps, to the last bit."""
    for name, tensor in quantizer.state_dict().items():
        everywhere = [torch.empty_like(tensor) for _ in range(distributed.get_world_size())]
        distributed.all_gather(everywhere, tensor.contiguous())
        assert torch.equal(everywhere[0], everywhere[1]), name


def _train(folder: Path, clips: int) -> None:
    with leaving_together():
        for name, config in VARIANTS.items():
            model = built(config)
            assert model.network.quantizer is not None
            # Right behind each update: before the next forward pass DDP itself would make all buffers alike.
            model.network.quantizer.register_forward_hook(_same_codebook)
            # With a clip more the second process ends on a stand-in, whose tokens must not part the codebooks.
            run(folder / name, recipe(config, batch_size=clips), clips=9 if name == "restarts" else 8, model=model)
            _same_codebook(model.network.quantizer)
            print("same codebook\n", end="")


def _local() -> None:
    distributed.init_process_group("gloo")
    with leaving_together():
        for config in VARIANTS.values():
            path = LocalPath(built(config))
            local_steps(config, nn.parallel.DistributedDataParallel(path, find_unused_parameters=True))
            print("codebook as it was\n", end="")


if __name__ == "__main__":
    torch.set_num_threads(1)
    if sys.argv[1] == "train":
        _train(Path(sys.argv[2]), int(sys.argv[3]))
    elif sys.argv[1] == "local":
        _local()
    else:
        raise SystemExit(__doc__)
