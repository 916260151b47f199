"""Run in a fresh process: peak memory in MiB after each video named on the command line, one number a line.

The parts are tiny ones of random weights: AST, GroundingDINO and SAM 2.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

import tiny_finders
import tiny_followers
import tiny_taggers

from avseg.inference import Segmenter, predict_folder
from avseg.models.zeroshot.config import FindConfig, GateConfig, ZeroShotConfig, hearing
from avseg.models.zeroshot.model import ZeroShot
from avseg.types import Task
from inference.peak import peak

if __name__ == "__main__":
    torch.set_num_threads(1)
    out, *videos = sys.argv[1:]
    makers = {"ast": tiny_taggers.save_ast, "grounding_dino": tiny_finders.grounding_dino, "sam2": tiny_followers.sam2}
    made = []
    for kind, make in makers.items():
        (Path(out) / kind).mkdir(parents=True)
        made.append(tiny_taggers.local(kind, make(Path(out) / kind)))
    parts = dict(zip(("tagger", "finder", "follower"), made, strict=True))
    # Random weights say nothing, so every noun sounds while there is sound, and has one track.
    gate, find = GateConfig(on=0.0, off=0.0, silence=-40.0), FindConfig(box=0.0, side=64, objects=1)
    config = ZeroShotConfig(**parts, audio=hearing(1.0), gate=gate, find=find, vocabulary=("dog", "cat"))
    model = ZeroShot(config, Task("instance", ("dog", "cat")))
    for video in videos:
        report = predict_folder(Segmenter(model, fps=1), [video], Path(out), overlay=True)
        assert len(report.done) == 1, report
        print(peak())
