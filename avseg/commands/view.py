"""`avseg data view`: write a page of a data set's clips."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from avseg.commands.words import Dir
from avseg.data.config import DataConfig, refuse_idle
from avseg.datasets import build_dataset, own_config
from avseg.datasets.folders import only_fitting
from avseg.lazy import imported


def view(
    folder: Positional[Dir[Path | None]] = None,
    data: DataConfig = DataConfig(),
    split: Literal["train", "val", "test"] = "train",
    out: Annotated[Path, arg(metavar="PAGE", aliases=["-o"])] = Path("view.html"),
    limit: int = 12,
) -> int:
    """Write a page with clips of a data set: frames, ground truth, sound, and when each object sounds.

    Args:
        folder: Folder of the data set. Its kind is recognised from its files, or set by --data.name.
        data: The data set: --data.name NAME --data.root DIR. Add --data.name NAME before --help to see its own options.
        split: Split of the data set.
        out: The HTML file to write; it is self-contained.
        limit: Largest number of clips to show, spread over the split.
    """
    if folder is not None:
        if data.root is not None:
            raise ValueError(f"the folder is given twice, as {folder} and as --data.root {data.root}; leave one out")
        data = replace(data, root=folder)
    if not data.name and data.root is not None:
        data = replace(data, name=only_fitting(data.root, split))
    data = own_config(data)
    refuse_idle(data, split)
    dataset = build_dataset(data, split)
    print(imported("avseg.prepare.view:write_view")(dataset, f"{data.name}, {split}", out, limit))
    return 0
