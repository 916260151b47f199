"""Trackers for the figures of a run. Imports no torch, so that a missing package is reported at once."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

from avseg.config import did_you_mean

TRACKERS = ("tensorboard", "wandb")
"""Packages, and the extras of avseg that bring them."""


def check_trackers(names: Sequence[str]) -> None:
    """Refuse trackers that a run could not write to.

    Raises:
        ValueError: one that is unknown or not installed; the sentence names the extra to install.
    """
    for name in names:
        if name not in TRACKERS:
            raise ValueError(f"there is no tracker {name!r}; {did_you_mean(name, TRACKERS)}")
        if not _installed(name):
            raise ValueError(f"the tracker {name!r} is not installed; pip install 'avseg[{name}]'")


def _installed(package: str) -> bool:
    """Whether a package is installed; a folder of its name, such as `wandb/` of earlier runs, does not count."""
    spec = find_spec(package)
    return spec is not None and spec.origin is not None
