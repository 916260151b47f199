"""`avseg data pack`: a data set's clips in tar files."""

from __future__ import annotations

from typing import Annotated, Literal

from tyro.conf import arg

from avseg.data.config import DataConfig
from avseg.datasets import own_config
from avseg.lazy import imported

Splits = tuple[Literal["train", "val", "test"], ...]


def pack(
    data: DataConfig = DataConfig(),
    out: Annotated[str, arg(metavar="SHARDS", aliases=["-o"])] = "",
    splits: Splits = ("train", "val", "test"),
    shard_megabytes: int = 512,
) -> int:
    """Pack a data set into WebDataset tar files, from which training and evaluation read it (--data.shards SHARDS).

    Args:
        data: The data set: --data.name NAME --data.root DIR. With its name, --help shows its own options too.
        out: The new folder of the shards, or a place such as s3://bucket/folder.
        splits: The parts of the data set that are packed.
        shard_megabytes: Size at which the next tar file begins.
    """
    if not out:
        raise ValueError("give the place of the shards, --out SHARDS: a new folder, or s3://bucket/folder")
    print(imported("avseg.shards.pack:pack")(own_config(data), out, splits=splits, shard_megabytes=shard_megabytes))
    return 0
