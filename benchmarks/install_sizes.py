"""What an installation of avseg takes on disk, by the files that the installed packages list; prints JSON.

    python benchmarks/install_sizes.py          in an environment with all extras

`base` is what `pip install avseg` brings, `cuda` the share of it that only GPUs of NVIDIA need, and each extra what it
adds to the base. Compiled bytecode is left out.
"""

from __future__ import annotations

import platform
import re
import tomllib
from collections.abc import Iterable
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from harness import options_of, parser, tell
from packaging.requirements import Requirement

PROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"
ONLY_GPU = re.compile(r"nvidia-.*|cuda-.*|triton")


def closure(wanted: Iterable[str]) -> dict[str, Distribution]:
    """The installed packages that these requirements need, themselves included."""
    found: dict[str, Distribution] = {}
    todo, seen = [Requirement(text) for text in wanted], set()
    while todo:
        one = todo.pop()
        name = re.sub(r"[-_.]+", "-", one.name.lower())
        if (name, *sorted(one.extras)) in seen:
            continue
        seen.add((name, *sorted(one.extras)))
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:
            continue
        for text in found[name].requires or ():
            inner = Requirement(text)
            if inner.marker is None or any(inner.marker.evaluate({"extra": extra}) for extra in one.extras or {""}):
                todo.append(inner)
    return found


def megabytes(packages: Iterable[Distribution]) -> int:
    """10^6 bytes of their files."""
    files = (Path(str(file.locate())) for one in packages for file in one.files or () if file.suffix != ".pyc")
    return round(sum(file.stat().st_size for file in files if file.is_file()) / 1e6)


def main() -> None:
    """Base, CUDA's share and extras."""
    options = options_of(parser(__doc__, threads=1))
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]

    def plain(extra: str) -> list[str]:
        own = [Requirement(text) for text in extras[extra]]
        more = [text for one in own if one.name == "avseg" for other in one.extras for text in plain(other)]
        return [str(one) for one in own if one.name != "avseg"] + more

    base = closure(project["dependencies"])
    added = {
        extra: megabytes(one for name, one in closure(plain(extra)).items() if name not in base) for extra in extras
    }
    figures = {
        "on": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "base": megabytes(base.values()),
        "cuda": megabytes(one for name, one in base.items() if ONLY_GPU.fullmatch(name)),
        "extras": added,
    }
    tell(figures, options.out)


if __name__ == "__main__":
    main()
