"""Options of a comparison. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Draws:
    """Options of the intervals."""

    draws: int = 2000
    """Number of bootstrap draws of all clips for the intervals."""
    seed: int = 0
    """Random seed of the draws; the same seed gives the same intervals."""

    def __post_init__(self) -> None:
        if self.draws < 1 or self.seed < 0:
            raise ValueError(
                f"draws is {self.draws} and seed {self.seed}; wanted draws from 1 on (2000 is usual), a seed from 0 on"
            )


@dataclass(frozen=True)
class ComparisonOptions(Draws):
    """Options of the intervals and of running the models."""

    batch_size: int = 1
    """Clips per batch. It does not change the scores."""
    workers: int = 2
    """Number of processes that read clips."""
    device: str = "auto"
    """Device to run the models on: auto, cpu, cuda, cuda:1 or mps."""
