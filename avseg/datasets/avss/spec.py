"""The record of AVSBench-semantic (AVSS). Imports no torch."""

from avseg.datasets.avss.config import AVSSConfig
from avseg.datasets.spec import DatasetSpec
from avseg.synth.options import ClipOptions

AVSS = DatasetSpec(
    name="avss",
    config=AVSSConfig,
    open="avseg.datasets.avss.reader:AVSS",
    suite="avsbench_semantic",
    what="AVSBench-semantic",
    prepare="avseg.datasets.avss.folder:prepare",
    check="avseg.datasets.avss.folder:check",
    save="avseg.datasets.avss.save:AVSSWriter",
    write="avseg.datasets.avss.layout:write",
    write_options=ClipOptions(video=True),
    labels_at={"published": "input"},
    recount=lambda config: "foreground" if config.binary else "labels",
    training_crop=True,
)
