"""The records of AVSBench-object. Imports no torch."""

from avseg.datasets.avsbench.config import MixedConfig, MS3Config, S4Config
from avseg.datasets.spec import DatasetSpec
from avseg.synth.options import ClipOptions

S4 = DatasetSpec(
    name="s4",
    config=S4Config,
    open="avseg.datasets.avsbench.reader:AVSBenchObject",
    suite="avsbench_object",
    what="AVSBench-object, one source",
    prepare="avseg.datasets.avsbench.folder:prepare_s4",
    check="avseg.datasets.avsbench.folder:check_s4",
    save="avseg.datasets.avsbench.save:S4Writer",
    write="avseg.datasets.avsbench.layout:write_s4",
    write_options=ClipOptions(video=True),
    gather="avseg.datasets.avsbench.pseudo:LAYOUT",
)
MS3 = DatasetSpec(
    name="ms3",
    config=MS3Config,
    open="avseg.datasets.avsbench.reader:AVSBenchObject",
    suite="avsbench_object",
    what="AVSBench-object, several sources",
    prepare="avseg.datasets.avsbench.folder:prepare_ms3",
    check="avseg.datasets.avsbench.folder:check_ms3",
    write="avseg.datasets.avsbench.layout:write_ms3",
    write_options=ClipOptions(video=True),
)
AVS_1S7M = DatasetSpec(
    name="avs_1s7m",
    config=MixedConfig,
    open="avseg.datasets.avsbench.mixed:MixedAVSBench",
    suite="avsbench_object",
    what="S4 once and MS3 seven times",
    write="avseg.datasets.avsbench.layout:write_avs_1s7m",
    write_options=ClipOptions(video=True),
)
