"""Devices by name, and how many threads work."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import torch

log = logging.getLogger(__name__)


def best_device() -> str:
    """The device that `auto` takes."""
    return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"


def find_device(name: str) -> torch.device:
    """The device of that name; `auto` takes CUDA, then MPS, then the CPU, and the log says which.

    Raises:
        ValueError: no such device on this machine.
    """
    if name == "auto":
        found = best_device()
        log.info("device auto is %s", found)
        return torch.device(found)
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"there is no device {name!r}; wanted auto, cpu, cuda, cuda:N or mps") from error
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not there.get(device.type, True):
        raise ValueError(f"device {name!r} was asked for but PyTorch sees none here; use --device cpu or auto")
    return device


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread for PyTorch while the block runs: where processes share the cores, or sums must keep their order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
