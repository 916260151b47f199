"""The records of AVSBench-object. Imports no torch."""

from avseg.data.config import DataConfig
from avseg.datasets.spec import DatasetSpec

S4 = DatasetSpec(
    name="s4",
    config=DataConfig,
    open="avseg.datasets.avsbench.reader:open_s4",
    suite="avsbench_object",
    what="AVSBench-object, one source",
)
MS3 = DatasetSpec(
    name="ms3",
    config=DataConfig,
    open="avseg.datasets.avsbench.reader:open_ms3",
    suite="avsbench_object",
    what="AVSBench-object, several sources",
)
AVS_1S7M = DatasetSpec(
    name="avs_1s7m",
    config=DataConfig,
    open="avseg.datasets.avsbench.mixed:open_avs_1s7m",
    suite="avsbench_object",
    what="S4 once and MS3 seven times",
)
