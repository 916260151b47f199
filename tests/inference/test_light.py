"""What `avseg predict` of a small model does not need."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from inference.media import counting, make, tone

CODE = """
import sys
for name in ("timm", "torchvision"):
    sys.modules[name] = None  # importing it fails
from avseg.cli import run
sys.exit(run(["predict", *sys.argv[1:]]))
"""


def test_the_demo_model_predicts_without_timm_and_torchvision(tmp_path: Path) -> None:
    video = make(tmp_path / "band.mp4", counting(10), sound=tone(1, 16000))
    words = [str(video), "--model", "demo", "--out", str(tmp_path / "out"), "--fps", "1"]
    done = subprocess.run([sys.executable, "-c", CODE, *words], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "band" / "result.json").is_file() and (
        tmp_path / "out" / "band" / "overlay.mp4"
    ).is_file()
    assert list((tmp_path / "out" / "band" / "masks").iterdir())
