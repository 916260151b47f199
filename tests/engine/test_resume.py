"""A run that is killed goes on as if nothing had been; a folder has one writer."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_run import assert_same_run

from avseg.engine.training.lock import only_writer

SCRIPT = Path(__file__).parent / "tiny_run.py"
HOLD = """
import sys
from pathlib import Path
from avseg.engine.training.lock import only_writer
with only_writer(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the kills are of forked processes")
def test_twenty_kills_leave_no_trace(tmp_path: Path) -> None:
    """Two data workers; anywhere in an epoch, in an accumulation, in the writing of a checkpoint."""
    command = [sys.executable, str(SCRIPT), "kill", str(tmp_path)]
    # The killed runs' data workers keep the pipes open for some seconds, hence a file.
    with (tmp_path / "out").open("w") as out, (tmp_path / "err").open("w") as err:
        done = subprocess.run(command, stdout=out, stderr=err, timeout=300, check=False)
    assert done.returncode == 0, (tmp_path / "err").read_text()[-3000:]
    assert json.loads((tmp_path / "out").read_text()) == {"kills": 20}
    assert_same_run(tmp_path / "whole", tmp_path / "killed")
    assert not [path for path in (tmp_path / "killed").rglob("*") if ".part" in path.name]


def _holder(folder: Path) -> subprocess.Popen[str]:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None and holder.stdout.readline().strip() == "held"
    return holder


def test_a_second_writer_is_refused_until_the_first_is_gone(tmp_path: Path) -> None:
    holder = _holder(tmp_path)
    with pytest.raises(RuntimeError, match="another run writes to"), only_writer(tmp_path):
        pass
    holder.send_signal(signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
    holder.communicate()
    with only_writer(tmp_path):
        pass


def test_one_process_cannot_hold_a_folder_twice(tmp_path: Path) -> None:
    with only_writer(tmp_path), pytest.raises(RuntimeError, match="another run writes to"), only_writer(tmp_path):
        pass
    with only_writer(tmp_path):
        pass


def test_a_forked_child_does_not_keep_the_folder(tmp_path: Path) -> None:
    if not hasattr(os, "fork"):
        pytest.skip("this system does not fork")
    code = (
        "import os, sys, time\nfrom pathlib import Path\nfrom avseg.engine.training.lock import only_writer\n"
        "with only_writer(Path(sys.argv[1])):\n"
        "    if os.fork() == 0:\n        os.write(1, b'child\\n'); time.sleep(20); os._exit(0)\n"
        "    os.write(1, b'parent\\n'); time.sleep(20)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    assert {parent.stdout.readline().strip(), parent.stdout.readline().strip()} == {"parent", "child"}
    parent.kill()
    parent.wait()
    with only_writer(tmp_path):
        pass
