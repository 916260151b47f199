"""The record of the synthetic world. Imports no torch."""

from avseg.data.config import DataConfig
from avseg.datasets.spec import DatasetSpec

SYNTH = DatasetSpec(
    name="synth",
    config=DataConfig,
    open="avseg.datasets.world.reader:open_synth",
    suite="avsbench_object",
    what="the synthetic world, made in memory",
    recount="keep",
)
