"""Weights of parts in the Hub's cache, in folders and in files: whether all is there, at which commit, and fetching.

Imports no torch.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from hashlib import sha256
from pathlib import Path

from huggingface_hub import HfApi, constants, snapshot_download, try_to_load_from_cache
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from avseg.models.zeroshot.config import Part

log = logging.getLogger(__name__)

CONFIG = "config.json"
PROCESSORS = ("preprocessor_config.json", "processor_config.json", "video_preprocessor_config.json")
"""One of these is beside the weights of every part."""
TEXTS = (".json", ".txt")
"""Suffixes of configs and of what tokenizers and processors need."""
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
"""The first one that there is; both may be in numbered pieces with an index. Nothing else is fetched: repositories also
hold weights in forms of other programs."""
LOCAL = "sha256:"
"""Prefix of the revision of a folder or file."""

_HUB_ID = re.compile(r"\w[\w.-]*/[\w.-]+")


def located(part: Part) -> Part | None:
    """The part with the revision of what is there; None where it is not in the cache, or not whole.

    Of a Hub id without a revision it is the commit that was fetched last as `main`. Of a folder or file it is a digest
    of the contents.

    Raises:
        FileNotFoundError: neither a Hub id nor a path that exists.
        ValueError: a folder that lacks files, or contents that are not those of the revision.
    """
    if not part.checkpoint:
        return part
    if Path(part.checkpoint).exists():
        return _local(part)
    if not _HUB_ID.fullmatch(part.checkpoint) or part.revision.startswith(LOCAL):
        raise FileNotFoundError(f"there are no weights {part.checkpoint}: not a folder, a file or a Hub id")
    config = try_to_load_from_cache(part.checkpoint, CONFIG, revision=part.revision or None)
    if not isinstance(config, str):
        return None
    folder = Path(config).parent
    return replace(part, revision=folder.name) if not lacking(folder) else None


def lacking(folder: Path) -> str:
    """The first thing that a folder of weights lacks; empty where it is whole."""
    if not (folder / CONFIG).is_file():
        return CONFIG
    if not any((folder / name).is_file() for name in PROCESSORS):
        return " or ".join(PROCESSORS)
    absent = ""
    for name in WEIGHTS:
        if (folder / name).is_file():
            return ""
        index = folder / f"{name}.index.json"
        if index.is_file():
            try:
                pieces = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
            except (ValueError, KeyError, TypeError, AttributeError):
                pieces = [f"{index.name} that lists its pieces"]
            absent = absent or next((piece for piece in pieces if not (folder / piece).is_file()), "")
            if not absent:
                return ""
    return absent or " or ".join(WEIGHTS)


def fetch(part: Part) -> Part:
    """Bring the weights of a part into the Hub's cache, at its revision or at the present commit of `main`.

    What is small comes first, so that an interrupted download leaves no weights without what belongs to them.

    Returns:
        The part with the commit.

    Raises:
        FileNotFoundError: the Hub does not give them; the sentence says why and what to do.
    """
    name, revision = part.checkpoint, part.revision or None
    log.info("fetch %s", name)
    try:
        files = HfApi().list_repo_files(name, revision=revision)
        small, large = wanted_files(files)
        commit = Path(snapshot_download(name, revision=revision, allow_patterns=small)).name
        snapshot_download(name, revision=commit, allow_patterns=large)
    except Exception as error:
        raise FileNotFoundError(_told(error, name)) from error
    found = located(replace(part, revision=commit))
    if found is None:
        raise FileNotFoundError(
            f"{name} at {commit[:12]} is not what avseg can load: of its files are wanted {CONFIG}, the config of a "
            f"processor, and {' or '.join(WEIGHTS)}"
        )
    return found


def wanted_files(files: Sequence[str]) -> tuple[list[str], list[str]]:
    """Select the small files of a repository, and the weights in the format that is loaded."""
    top = [name for name in files if "/" not in name]
    small = [name for name in top if name.endswith(TEXTS)]
    for name in WEIGHTS:
        stem, _, suffix = name.partition(".")
        pieces = re.compile(rf"{stem}-\d+-of-\d+\.{suffix}")
        large = [file for file in top if file == name] or [file for file in top if pieces.fullmatch(file)]
        if large:
            return small, large
    return small, []


def offline() -> bool:
    """Whether the environment forbids to ask the Hub."""
    return bool(constants.HF_HUB_OFFLINE)


def _told(error: Exception, name: str) -> str:
    page = f"{constants.ENDPOINT}/{name}"
    if isinstance(error, LocalEntryNotFoundError) and isinstance(error.__cause__, Exception):
        error = error.__cause__  # why the Hub was not asked or did not answer
    if isinstance(error, GatedRepoError):
        return f"{name} is given to those alone who accept its terms: do so at {page}, then log in with `hf auth login`"
    if isinstance(error, RevisionNotFoundError):
        return (
            f"the Hub has no such commit of {name} any more ({page}); open the model by its name to get the present one"
        )
    if isinstance(error, RepositoryNotFoundError):
        return f"the Hub has no {name}, or shows it only to those who may see it; look at {page} or `hf auth login`"
    if isinstance(error, HfHubHTTPError) and error.response is not None:
        return f"the Hub did not provide {name} (status {error.response.status_code}); try again later"
    if isinstance(error, OSError) and error.errno and not isinstance(error, (ConnectionError, TimeoutError)):
        return f"{name} cannot be kept in {constants.HF_HUB_CACHE} ({error.strerror}); set HF_HOME to another folder"
    first = (str(error).strip() or type(error).__name__).splitlines()[0]
    return f"the Hub cannot be reached for {name} ({first}); check the network, then try again"


def _local(part: Part) -> Part:
    path = Path(part.checkpoint)
    if path.is_dir() and (missing := lacking(path)):
        raise ValueError(f"the folder {path} has no {missing}; give one that save_pretrained wrote, or a Hub id")
    revision = LOCAL + _digest(tuple((file, file.stat().st_mtime_ns, file.stat().st_size) for file in _own_files(path)))
    if part.revision not in ("", revision):
        raise ValueError(f"{path} does not hold the weights that the model was made with ({part.revision[:19]} ...)")
    return replace(part, revision=revision)


def _own_files(path: Path) -> list[Path]:
    """Return the files of weights: of a folder those to download, of a file also its data files."""
    if path.is_file():
        return [path, *(other for other in (path.with_suffix(".data"), Path(f"{path}.data")) if other.is_file())]
    small, large = wanted_files(sorted(file.name for file in path.iterdir() if file.is_file()))
    return [path / name for name in (*small, *large)]


@cache
def _digest(files: tuple[tuple[Path, int, int], ...]) -> str:
    """Hash names and contents of files; times and sizes are the key of a cache."""
    digest = sha256()
    for path, _, size in files:
        digest.update(f"{path.name} {size}\n".encode())
        with path.open("rb") as file:
            while piece := file.read(1 << 20):
                digest.update(piece)
    return digest.hexdigest()
