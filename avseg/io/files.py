"""Files that are whole or absent."""

from __future__ import annotations

import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def write_aside(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` to write to; it takes the place of `path` only when the block ends well.

    The temporary name keeps the suffix of `path`, so that writers which look at it work. Parents are made.
    On any error, an interrupt included, the half-written file is removed and `path` stays as it was.
    Its mode becomes that of any new file, also where the writer makes private ones, as safetensors does.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.stem}.{secrets.token_hex(4)}.part{path.suffix}")
    try:
        mode = _mode_of_new_file(aside)
        yield aside
        made = aside.lstat().st_mode
        if stat.S_ISREG(made) and stat.S_IMODE(made) != mode:
            aside.chmod(mode)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def _mode_of_new_file(path: Path) -> int:
    """Permissions of a file that is made at `path`: the umask cannot be read without setting it for all threads."""
    path.touch(exist_ok=False)
    mode = stat.S_IMODE(path.stat().st_mode)
    path.unlink()  # a writer may want to make a link here
    return mode


@contextmanager
def write_folder_aside(path: Path) -> Iterator[Path]:
    """The same for a folder: what the block wrote replaces `path` as a whole when it ends well."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    aside.mkdir()  # not tempfile's, which makes private ones
    try:
        yield aside
        if path.exists():
            shutil.rmtree(path)
        aside.replace(path)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file aside, then put it in place."""
    with write_aside(path) as aside:
        aside.write_text(text, encoding="utf-8", newline="\n")


def is_visible(path: Path, folder: Path) -> bool:
    """Whether what was found in `folder` is meant when the folder is named: neither it nor what holds it is hidden.

    macOS keeps its notes on NAME.mp4 beside it on foreign discs, as `._NAME.mp4`.
    """
    return not any(part.startswith(".") for part in path.relative_to(folder).parts)


def inside(root: Path, *parts: str) -> Path:
    """`root / parts`, refusing a name that would leave `root`.

    Raises:
        ValueError: an absolute name, a drive, or `..`.
    """
    path = Path(root).joinpath(*parts)
    if not path.resolve().is_relative_to(Path(root).resolve()):
        raise ValueError(
            f"the name {'/'.join(parts)!r} leads out of {root}; names must stay inside the data set's folder"
        )
    return path
