"""Where a model file lies: a path, a folder, the Hub, or the package itself. Imports no torch."""

from __future__ import annotations

import re
from os import PathLike
from pathlib import Path

from avseg.models.opening import opening_of

FILE_NAME = "model.safetensors"
"""How a model file is called in a folder and on the Hub."""
DEMO = "demo"
"""The name of the model that ships with the package."""

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def find_file(source: str | PathLike[str]) -> Path:
    """The model file that a path, folder or Hub id means; a Hub file is fetched to the local cache.

    `demo` is the small model of the synthetic world, which ships with the package; `./demo` is a path.

    Raises:
        FileNotFoundError: there is none.
    """
    if opening_of(source):
        raise FileNotFoundError(
            f"{source} is the name of a model that has no file, and a file is wanted; a path begins with ./"
        )
    if str(source) == DEMO and not isinstance(source, Path):
        return Path(__file__).parents[1] / DEMO / FILE_NAME
    path = Path(source)
    if path.is_dir():
        path = path / FILE_NAME
    if path.is_file():
        return path
    name = str(source)
    if path.suffix == ".safetensors" or not _HUB_ID.fullmatch(name):
        wanted = f"a file, a folder with {FILE_NAME}, a Hub id, or {DEMO}"
        raise FileNotFoundError(f"there is no model file {path}; wanted {wanted}")
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(hf_hub_download(name, FILE_NAME))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise FileNotFoundError(
            f"there is no file or folder {name}, and the Hub did not provide {name}: {error}"
        ) from error
