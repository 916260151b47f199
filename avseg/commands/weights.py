"""The commands of `avseg weights`. torch is imported only when one of them needs it."""

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
    """List the weights that avseg can use: content, source, licence, command, and which open weights are in the cache.

    Args:
        markdown: Print the table of docs/how-to/weights.md as Markdown.
    """
    if markdown:
        print(table.markdown(), end="")
        return 0
    print_table("Published weights; avseg does not download these", table.blocks(table.published()))
    print_table(table.NEVER, table.blocks(table.never_published()))
    print_held()
    return 0


def fetch(model: Annotated[FetchedModel, arg(name="")]) -> int:
    """Download the open weights of a model that opens by name to the cache of the Hugging Face Hub.

    Args:
        model: The model whose weights to download.
    """
    config = models.fetch_weights(replace(model.source, download=tell))
    for what, where in config.origins.items():
        print(f"{what}: {where}")
    return 0


def verify(file: Positional[File[Path]]) -> int:
    """Identify a file by the names and shapes of its tensors; exit with status 1 if it differs from the published file.

    Args:
        file: A .pth, .pt, .pkl or .safetensors file. Code in it is not executed.
    """
    from avseg.weights.files import verify

    verdict = verify(file)
    print_table(str(file), [{"what": what, "found": found} for what, found in verdict.rows.items()])
    if verdict.problem:
        print(f"avseg: {verdict.problem}", file=sys.stderr)
    return int(bool(verdict.problem))
