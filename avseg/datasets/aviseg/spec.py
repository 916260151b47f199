"""The record of AVISeg. Imports no torch."""

from avseg.datasets.aviseg.config import AVISegConfig
from avseg.datasets.aviseg.options import FeatureOptions, LongVideoOptions
from avseg.datasets.spec import DatasetSpec

AVISEG = DatasetSpec(
    name="aviseg",
    config=AVISegConfig,
    open="avseg.datasets.aviseg.reader:AVISeg",
    suite="aviseg",
    what="AVISeg, tracks through long videos",
    prepare="avseg.datasets.aviseg.prepare:prepare",
    prepare_options=FeatureOptions(),
    check="avseg.datasets.aviseg.check:check",
    save="avseg.datasets.aviseg.save:AVISegWriter",
    write="avseg.datasets.aviseg.write:write",
    write_options=LongVideoOptions(),
    gather="avseg.datasets.aviseg.pseudo:LAYOUT",
)
