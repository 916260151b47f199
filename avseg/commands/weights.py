"""The commands of `avseg weights`. No torch is imported before one of them needs it."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from avseg import models
from avseg.commands.opening import FetchedModel, print_held, tell
from avseg.commands.tables import print_table
from avseg.commands.words import File
from avseg.weights import table


def list_weights(markdown: bool = False) -> int:
    """List the weights that avseg can take: what, where, licence, the command; of open ones whether they are here.

    Args:
        markdown: Print the table of docs/how-to/weights.md.
    """
    if markdown:
        print(table.markdown(), end="")
        return 0
    print_table("Published; avseg fetches none of these", table.blocks(table.published()))
    print_table(table.NEVER, table.blocks(table.never_published()))
    print_held()
    return 0


def fetch(model: Annotated[FetchedModel, arg(name="")]) -> int:
    """Fetch the open weights of a model that opens by name into the cache of the Hugging Face Hub.

    Args:
        model: Whose weights.
    """
    config = models.fetch_weights(replace(model.source, download=tell))
    for what, where in config.origins.items():
        print(f"{what}: {where}")
    return 0


def verify(file: Positional[File[Path]]) -> int:
    """Say by its tensors' names and shapes what a file is; exit status 1 if it is not as published.

    Args:
        file: A .pth, .pt, .pkl or .safetensors file. Nothing in it is run.
    """
    from avseg.weights.files import verify

    verdict = verify(file)
    print_table(str(file), [{"what": what, "found": found} for what, found in verdict.rows.items()])
    if verdict.problem:
        print(f"avseg: {verdict.problem}", file=sys.stderr)
    return int(bool(verdict.problem))
