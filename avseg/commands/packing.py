"""`avseg data pack`: write the clips of a data set to tar files."""

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
    """Pack a data set into WebDataset tar files; training and evaluation read them with --data.shards SHARDS.

    Args:
        data: The data set: --data.name NAME --data.root DIR. Add --data.name NAME before --help to see its own options.
        out: New folder for the shards, or an address such as s3://bucket/folder.
        splits: Splits of the data set to pack.
        shard_megabytes: Size at which a new tar file begins.
    """
    if not out:
        raise ValueError("--out SHARDS is missing: a new folder, or an address such as s3://bucket/folder")
    print(imported("avseg.shards.pack:pack")(own_config(data), out, splits=splits, shard_megabytes=shard_megabytes))
    return 0
