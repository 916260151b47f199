"""The records of AVSBench-object. Imports no torch."""

from avseg.data.config import DataConfig
from avseg.datasets.spec import DatasetSpec
from avseg.synth.options import ClipOptions

S4 = DatasetSpec(
    name="s4",
    config=DataConfig,
    open="avseg.datasets.avsbench.reader:open_s4",
    suite="avsbench_object",
    what="AVSBench-object, one source",
    prepare="avseg.datasets.avsbench.folder:prepare_s4",
    check="avseg.datasets.avsbench.folder:check_s4",
    write="avseg.datasets.avsbench.layout:write_s4",
    write_options=ClipOptions(video=True),
)
MS3 = DatasetSpec(
    name="ms3",
    config=DataConfig,
    open="avseg.datasets.avsbench.reader:open_ms3",
    suite="avsbench_object",
    what="AVSBench-object, several sources",
    prepare="avseg.datasets.avsbench.folder:prepare_ms3",
    check="avseg.datasets.avsbench.folder:check_ms3",
    write="avseg.datasets.avsbench.layout:write_ms3",
    write_options=ClipOptions(video=True),
)
AVS_1S7M = DatasetSpec(
    name="avs_1s7m",
    config=DataConfig,
    open="avseg.datasets.avsbench.mixed:open_avs_1s7m",
    suite="avsbench_object",
    what="S4 once and MS3 seven times",
    write="avseg.datasets.avsbench.layout:write_avs_1s7m",
    write_options=ClipOptions(video=True),
)
