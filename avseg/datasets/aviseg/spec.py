"""The record of AVISeg. Imports no torch."""

from avseg.data.config import DataConfig
from avseg.datasets.spec import DatasetSpec

AVISEG = DatasetSpec(
    name="aviseg",
    config=DataConfig,
    open="avseg.datasets.aviseg.reader:open_aviseg",
    suite="aviseg",
    what="AVISeg, tracks through long videos",
)
