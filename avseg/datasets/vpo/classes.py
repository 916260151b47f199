"""The classes as package data, with their origin. Imports no torch."""

from __future__ import annotations

from avseg.data.tables import class_rows


def vpo_classes() -> tuple[str, ...]:
    """The 22 names of VPO by class id; id 0 is background."""
    return tuple(row["name"] for row in class_rows("vpo"))


def vpo_mask_ids() -> tuple[int, ...]:
    """Values in VPO's mask pictures by class id: category ids of COCO, and 92 to 94 for people."""
    return tuple(row["mask_id"] for row in class_rows("vpo"))
