"""What a data set gives from shards is what it gives from its folder, bit for bit, when the folder is gone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from alike import same
from avseg.config import InputSpec
from avseg.data.geometry import Geometry
from avseg.datasets import DATASETS, SPLITS, build_dataset, data_config
from avseg.shards.pack import pack

SIZED = Geometry(InputSpec((24, 32)))
OPTIONS: dict[str, tuple[dict[str, Any], ...]] = {
    "s4": ({"audio": "log_mel"}, {"compat": ("audio_hop",)}),
    "ms3": ({"mask_mode": "upstream"},),
    "avs_1s7m": ({"mix": {"ms3": 1}},),
    "avss": ({"binary": True, "parts": ("v1m",)},),
    "single": ({"binary": True},),
    "vpo_ss": ({"stereo": True},),
    "vpo_msmi": ({"stereo": True, "compat": ("relabel",)},),
}
"""Options of reading with which the same shards are read again."""


def told(dataset: Any) -> list[Any]:
    """All that a data set says of its first clips, and its ids."""
    facts: list[Any] = [dataset.ids, dataset.task, dataset.suite, dict(dataset.video_ids), list(dataset.category_ids)]
    for index in range(min(len(dataset), 3)):
        count = dataset.length(index)
        some = sorted({0, count - 1})
        facts += [count, list(dataset.annotated(index)), dataset.heard_classes(index), dataset.extent(index)]
        facts += [dataset.read(index), dataset.read(index, SIZED, some), dataset.target(index)]
        facts += list(dataset.sound(index))
    return facts


@pytest.mark.parametrize("name", [name for name, spec in DATASETS.items() if spec.write and not spec.in_memory])
def test_shards_give_what_the_folder_gives(
    name: str, folder: Callable[[str], Path | None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AVSEG_CACHE", str(tmp_path / "cache"))
    root = folder(name)
    assert root is not None
    options = ({}, *OPTIONS.get(name, ()))
    wanted = [told(build_dataset(data_config(name, root=root, **more), split)) for more in options for split in SPLITS]
    shards = str(tmp_path / "shards")
    pack(data_config(name, root=root), shards)
    away = root.with_name(f"{root.name}-away")
    root.rename(away)
    try:
        found = [
            told(build_dataset(data_config(name, shards=shards, **more), split)) for more in options for split in SPLITS
        ]
    finally:
        away.rename(root)
    same(found, wanted)
