"""The folder of AVSS: how it is prepared and checked."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from avseg.data.tables import Row
from avseg.datasets import build_dataset
from avseg.datasets.avss.spec import AVSS as SPEC
from avseg.prepare.check import check_clips
from avseg.prepare.clips import prepare_clips
from avseg.prepare.files import ClipFolder


def _video(raw: Path, row: Row) -> Path:
    return raw / row["label"] / row["uid"] / "video.mp4"


AVSS = ClipFolder(
    name="avss",
    open=partial(build_dataset, SPEC.config(name="avss")),
    tables=("metadata.csv", "label2idx.json"),
    video=_video,
    published={"train": 8498, "val": 1304, "test": 1554},
    where="the data are sent on request: see the AVSBench project page (OpenNLPLab/AVSBench) for the form, "
    "or write to the authors by e-mail",
    confirmed=False,
)

prepare, check = partial(prepare_clips, AVSS), partial(check_clips, AVSS)
