"""Class lists as package data, each with its origin. Imports no torch."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def _read(name: str) -> Any:
    return json.loads(files("avseg.data.classes").joinpath(name).read_text(encoding="utf-8"))


def s4_categories() -> tuple[str, ...]:
    """The 23 categories of S4."""
    return tuple(row["name"] for row in _read("s4.json")["categories"])


def avss_classes() -> tuple[str, ...]:
    """The 71 names of AVSS by class id; id 0 is background."""
    return tuple(row["name"] for row in _read("avss.json")["classes"])


def avss_palette() -> tuple[tuple[int, int, int], ...]:
    """RGB of the 71 classes of AVSS in its label pictures."""
    return tuple((red, green, blue) for red, green, blue in (row["rgb"] for row in _read("avss.json")["classes"]))


def single_classes() -> tuple[str, ...]:
    """The 24 names of AVSBench-Single+ by class id; id 0 is background."""
    return tuple(row["name"] for row in _read("single.json")["classes"])


def vpo_classes() -> tuple[str, ...]:
    """The 22 names of VPO by class id; id 0 is background."""
    return tuple(row["name"] for row in _read("vpo.json")["classes"])


def vpo_mask_ids() -> tuple[int, ...]:
    """Values in VPO's mask pictures by class id: category ids of COCO, and 92 to 94 for people."""
    return tuple(row["mask_id"] for row in _read("vpo.json")["classes"])


def aviseg_classes() -> tuple[str, ...]:
    """The 26 names of AVISeg; the first has the class id 1."""
    return tuple(row["name"] for row in _read("aviseg.json")["classes"])


def aviseg_palette() -> tuple[tuple[int, int, int], ...]:
    """RGB of the 26 classes of AVISeg."""
    return tuple((red, green, blue) for red, green, blue in (row["rgb"] for row in _read("aviseg.json")["classes"]))
