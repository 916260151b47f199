"""A network of two layers that marks what is bright while it is loud, and squares that beep."""

from collections import namedtuple

import torch
from torch import nn
from torch.nn import functional as F

from avseg.data.base import ClipDataset
from avseg.models.dense import DenseModel, dense_targets, sized
from avseg.nn.audio import log_mel_windows
from avseg.types import Clip, DenseTarget, Task
from toy_family import ToyConfig

Output = namedtuple("Output", "logits")  # (B, T, 1, H, W)


class Toy(DenseModel):
    Config, tasks = ToyConfig, frozenset({"binary"})

    def __init__(self, config, task):
        super().__init__(config, task)
        self.network = nn.Sequential(nn.Conv2d(4, config.width, 3, padding=1), nn.ReLU(), nn.Conv2d(config.width, 1, 1))

    def forward(self, batch):
        loud = log_mel_windows(batch, self.config.audio).mean((2, 3, 4))  # (B, T)
        frames = batch.frames.float() / 255
        heard = loud[:, :, None, None, None].expand_as(frames[:, :, :1])
        return Output(self.network(torch.cat([frames, heard], 2).flatten(0, 1)).unflatten(0, loud.shape))

    def losses(self, output, batch):
        known = torch.stack([target.annotated for target in dense_targets(batch)])  # (B, T)
        labels = torch.stack([target.labels for target in dense_targets(batch)])[known]
        logits = sized(output.logits[known], labels.shape[1:])[:, 0]
        return {"mask": F.binary_cross_entropy_with_logits(logits, (labels == 1).float())}


class Beeps(ClipDataset):
    def __init__(self, config, split, root):
        self.config, self.task, self.seed = config, Task("binary"), 1000 * len(split)
        self.ids = [f"{split}{number}" for number in range(config.length)]

    def __getitem__(self, index):
        g = torch.Generator().manual_seed(self.seed + index)
        frames = torch.randint(0, 80, (4, 3, 64, 64), generator=g, dtype=torch.uint8)
        top, left = torch.randint(0, 40, (2,), generator=g).tolist()
        frames[:, :, top : top + 24, left : left + 24] = 220
        beeps = torch.rand(4, generator=g) < 0.5
        audio = (torch.rand(4, 16000, generator=g) - 0.5) * beeps[:, None]
        labels = torch.zeros(4, 64, 64, dtype=torch.int64)
        labels[beeps, top : top + 24, left : left + 24] = 1
        truth = DenseTarget(labels, torch.ones(4, dtype=torch.bool), beeps[:, None])
        return Clip(self.ids[index], frames, torch.arange(4).double(), audio.reshape(1, -1), 16000, target=truth)
