"""Run in a fresh process: peak memory in MiB after each video named on the command line, one number a line."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from avseg.inference import Segmenter, predict_folder
from inference.fake import fake


def peak() -> float:
    """MiB; of this process alone, where ru_maxrss would start from that of the parent."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("/proc/self/status has no VmHWM")


if __name__ == "__main__":
    torch.set_num_threads(1)
    out, *videos = sys.argv[1:]
    for video in videos:
        kinds = ["masks", "overlay", "explain", "dataset:s4"]
        report = predict_folder(Segmenter(fake(), fps=1), [video], Path(out), save=kinds)
        assert report.exit_code == 0, report
        assert len(report.done) == 1, report
        print(peak())
