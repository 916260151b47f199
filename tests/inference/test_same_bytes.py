"""One video and one model give the same bytes, whenever they are seen."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from avseg.inference import Segmenter, predict_folder
from inference.fake import fake
from inference.media import counting, make, tone


@pytest.mark.parametrize("masks", ["png", "rle", "npz"])
def test_results_bear_no_time_of_their_making(masks: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    video = make(tmp_path / "a.mp4", counting(20), sound=tone(2, 16000))
    contents = []
    for hour in (0, 1):
        now = 1_700_000_000 + 3600 * hour
        monkeypatch.setattr(time, "time", lambda now=now: now)
        out = tmp_path / str(hour)
        assert predict_folder(Segmenter(fake(), fps=1), [video], out, masks=masks, overlay=True).exit_code == 0  # type: ignore[arg-type]
        files = sorted(path for path in out.rglob("*") if path.is_file())
        contents.append({path.relative_to(out): path.read_bytes() for path in files})
    assert contents[0] == contents[1] and len(contents[0]) > 1
