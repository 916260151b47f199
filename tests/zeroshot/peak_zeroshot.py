"""Run in a fresh process: peak memory in MiB after each video named on the command line, one number a line."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from avseg.inference import Segmenter, predict_folder
from avseg.models.zeroshot.config import GateConfig, hearing
from avseg.types import Task
from inference.peak import peak
from zeroshot_parts import stub_model

if __name__ == "__main__":
    torch.set_num_threads(1)
    out, *videos = sys.argv[1:]
    model = stub_model(Task("instance", ("dog", "cat")), gate=GateConfig(on=0.1, off=0.05), audio=hearing(1.0))
    for video in videos:
        report = predict_folder(Segmenter(model, fps=1), [video], Path(out), overlay=True)
        assert len(report.done) == 1, report
        print(peak())
