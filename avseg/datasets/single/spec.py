"""The record of AVSBench-Single+. Imports no torch."""

from avseg.datasets.single.config import SingleConfig
from avseg.datasets.spec import DatasetSpec
from avseg.synth.options import ClipOptions

SINGLE = DatasetSpec(
    name="single",
    config=SingleConfig,
    open="avseg.datasets.single.reader:Single",
    suite="vpo",
    what="AVSBench-Single+, one source, one picture",
    write="avseg.datasets.single.layout:write",
    write_options=ClipOptions(video=True),
    recount=lambda config: "foreground" if config.binary else "labels",
)
