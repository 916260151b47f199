"""A program with many slow jobs, for tests that stop it: python many_jobs.py FOLDER."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from avseg.io.files import write_aside
from avseg.prepare.jobs import run_jobs


def write_slowly(path: Path) -> int:
    with write_aside(path) as aside:
        aside.write_text("half of")
        if path.name == "1.txt":
            (path.parent / f"process-{os.getpid()}").touch()
            time.sleep(60)
    return 1


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    try:
        list(run_jobs(write_slowly, [folder / f"{n}.txt" for n in range(50)], 2, "slow work"))
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(130)
