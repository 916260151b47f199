"""Folders of S4 and MS3: how they are prepared and checked."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from avseg.data.tables import Row
from avseg.datasets import build_dataset
from avseg.datasets.avsbench.spec import MS3 as MS3_SPEC
from avseg.datasets.avsbench.spec import S4 as S4_SPEC
from avseg.prepare.check import check_clips
from avseg.prepare.clips import prepare_clips
from avseg.prepare.files import ClipFolder

WHERE = (
    "the data are sent on request: see the AVSBench project page (OpenNLPLab/AVSBench) for the form, "
    "or write to the authors by e-mail"
)
SIZE = (224, 224)
"""(H, W) of the stored frames."""


def _s4_video(raw: Path, row: Row) -> Path:
    return raw / "s4_data" / "raw_videos" / row["split"] / row["category"] / f"{row['name']}.mp4"


def _ms3_video(raw: Path, row: Row) -> Path:
    return raw / "ms3_data" / "raw_videos" / f"{row['name']}.mp4"


S4 = ClipFolder(
    name="s4",
    open=partial(build_dataset, S4_SPEC.config(name="s4")),
    tables=("s4_meta_data.csv",),
    video=_s4_video,
    published={"train": 3452, "val": 740, "test": 740},
    where=WHERE,
    size=SIZE,
)
MS3 = ClipFolder(
    name="ms3",
    open=partial(build_dataset, MS3_SPEC.config(name="ms3")),
    tables=("ms3_meta_data.csv",),
    video=_ms3_video,
    published={"train": 296, "val": 64, "test": 64},
    where=WHERE,
    size=SIZE,
)

prepare_s4, check_s4 = partial(prepare_clips, S4), partial(check_clips, S4)
prepare_ms3, check_ms3 = partial(prepare_clips, MS3), partial(check_clips, MS3)
