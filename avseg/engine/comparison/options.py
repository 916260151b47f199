"""How two models are compared. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Draws:
    """How clips are drawn."""

    draws: int = 2000
    """How often all clips are drawn with replacement for the intervals."""
    seed: int = 0
    """Of the draws; the same seed gives the same intervals."""

    def __post_init__(self) -> None:
        if self.draws < 1 or self.seed < 0:
            raise ValueError(
                f"draws is {self.draws} and seed {self.seed}; wanted draws from 1 on (2000 is usual), a seed from 0 on"
            )


@dataclass(frozen=True)
class ComparisonOptions(Draws):
    """The same, and how models run."""

    batch_size: int = 1
    """Clips per batch; the figures do not depend on it."""
    workers: int = 2
    """Processes that read clips."""
    device: str = "auto"
    """Where the models run: auto, cpu, cuda, cuda:1 or mps."""
