"""Run by torchrun in a test: quantisers in two processes, each with half of the tokens."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed

from avseg.nn.quantizer import Quantizer

KINDS: dict[str, dict[str, Any]] = {
    "ema": {"update": "ema"},
    "ema, places": {"update": "ema", "slots": 3},
    "ema, restarts": {"update": "ema", "restart_after": 2},
    "grad, restarts": {"restart_after": 2},
}


def states(rank: int | None) -> dict[str, list[dict[str, Tensor]]]:
    """After each of five steps, the last of which does not learn; with the tokens of one process, or of both."""
    found: dict[str, list[dict[str, Tensor]]] = {}
    for name, options in KINDS.items():
        torch.manual_seed(0)
        quantizer = Quantizer(40, 4, **options)  # so many that some wait long enough to begin anew
        torch.manual_seed(100 + (rank or 0))  # processes draw differently
        found[name] = []
        for step in range(5):
            halves = [
                torch.randn(3 + half, 3, 4, generator=torch.Generator().manual_seed(10 * step + half))
                for half in (0, 1)
            ]
            quantizer(torch.cat(halves) if rank is None else halves[rank], step < 4)
            found[name].append({key: value.clone() for key, value in quantizer.state_dict().items()})
    return found


def states_of_all_tokens() -> dict[str, list[dict[str, Tensor]]]:
    return states(None)


if __name__ == "__main__":
    torch.set_num_threads(1)
    distributed.init_process_group("gloo")
    rank = distributed.get_rank()
    torch.save(states(rank), Path(sys.argv[1]) / f"rank{rank}.pt")
    distributed.destroy_process_group()
