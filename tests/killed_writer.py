"""Half-written files of processes that were killed: what the next run of a command has to clear."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_CODE = """
import os, sys
from contextlib import ExitStack
from pathlib import Path
from avseg.io.files import write_aside
with ExitStack() as stack:
    for path in sys.argv[1:]:
        stack.enter_context(write_aside(Path(path))).write_text("half", encoding="utf-8")
    os.kill(os.getpid(), 9)
"""


def half_written(*paths: Path) -> list[Path]:
    """Let a process die while it writes each of `paths`; the hidden pieces that it leaves."""
    subprocess.run([sys.executable, "-c", _CODE, *map(str, paths)], check=False)
    pieces = [piece for path in paths for piece in path.parent.glob(f".{path.stem}.*.part{path.suffix}")]
    assert len(pieces) == len(paths)
    return pieces
