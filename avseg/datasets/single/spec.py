"""The record of AVSBench-Single+. Imports no torch."""

from avseg.data.config import DataConfig
from avseg.datasets.spec import DatasetSpec

SINGLE = DatasetSpec(
    name="single",
    config=DataConfig,
    open="avseg.datasets.single.reader:open_single",
    suite="vpo",
    what="AVSBench-Single+, one source, one picture",
    recount=lambda config: "foreground" if config.binary else "labels",
)
