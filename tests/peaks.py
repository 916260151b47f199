"""Peak memory of scripts that print it, without the chance of the allocator."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

STEADY = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "131072"}
"""glibc gives back at once what is freed; as it comes, runs of one video differ by 30 MiB and more."""


def peaks(script: Path, *words: str) -> list[float]:
    """MiB that `script` prints, one number a line, in a fresh process of one arena.

    Raises:
        CalledProcessError: the script fails.
    """
    done = subprocess.run(
        [sys.executable, str(script), *words], capture_output=True, text=True, check=True, env={**os.environ, **STEADY}
    )
    return list(map(float, done.stdout.split()))
