"""Checks a folder that `python -m build` filled: one wheel and one sdist, their size, contents and metadata.

python .ci/check_dist.py dist
"""

from __future__ import annotations

import re
import sys
import tarfile
import tomllib
from email.parser import Parser
from pathlib import Path
from zipfile import ZipFile

LIMIT = 10_000_000
"""Bytes of a wheel, and of an sdist."""
IN_WHEEL = ("avseg/py.typed", "avseg/demo/model.safetensors", "avseg/models/keys.json")
IN_SDIST = (
    "pyproject.toml",
    "LICENSE",
    "README.md",
    "CHANGELOG.md",
    "CITATION.cff",
    "avseg/py.typed",
    "tests/conftest.py",
)


def only(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise SystemExit(f"{folder} should hold one {pattern}, found {[path.name for path in found]}")
    return found[0]


def faults(folder: Path) -> list[str]:
    """One sentence for each fault."""
    wheel, sdist = only(folder, "*.whl"), only(folder, "*.tar.gz")
    with ZipFile(wheel) as archive:
        names = set(archive.namelist())
        info = next(name for name in names if name.endswith(".dist-info/METADATA"))
        metadata = Parser().parsestr(archive.read(info).decode())
    with tarfile.open(sdist) as archive:
        source = {name.partition("/")[2] for name in archive.getnames()}
    said = [
        f"{path.name} has {path.stat().st_size} bytes, more than {LIMIT}"
        for path in (wheel, sdist)
        if path.stat().st_size > LIMIT
    ]
    said += [f"{wheel.name} lacks {name}" for name in IN_WHEEL if name not in names]
    said += [f"{sdist.name} lacks {name}" for name in IN_SDIST if name not in source]
    said += [f"{wheel.name} holds {name}" for name in sorted(names) if not name.startswith("avseg")]
    if not any(name.endswith(".dist-info/licenses/LICENSE") for name in names):
        said.append(f"{wheel.name} lacks the licence")
    if metadata["Description-Content-Type"] != "text/markdown" or metadata["License-Expression"] != "Apache-2.0":
        said.append("the metadata lacks the description's content type or the licence")
    said += [
        f"the description has {link!r}, which leads nowhere on a package index"
        for link in re.findall(r"\]\((?!https?:)[^)]*\)|<!--|<img[^>]*>", metadata.get_payload())
    ]
    with Path("pyproject.toml").open("rb") as file:
        declared = set(tomllib.load(file)["project"]["optional-dependencies"])
    if set(metadata.get_all("Provides-Extra", [])) != declared:
        said.append("the extras of the wheel are not those of pyproject.toml")
    return said


if __name__ == "__main__":
    found = faults(Path(sys.argv[1]))
    sys.exit("\n".join(found) or 0)
