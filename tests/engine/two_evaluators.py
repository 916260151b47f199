"""Run by torchrun in a test: each process evaluates its share and writes the scores it ends with."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import torch

from avseg.datasets import data_config
from avseg.engine import evaluate_file

if __name__ == "__main__":
    model, out, data, batch_size = sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3]), int(sys.argv[4])
    torch.set_num_threads(1)
    report = evaluate_file(model, data_config(**data), out=out / "report", batch_size=batch_size, device="cpu")
    facts = {"main": report.main, "scores": report.scores, "rows": report.rows}
    (out / f"rank{os.environ['RANK']}.json").write_text(json.dumps(facts))
