"""The record of the synthetic world. Imports no torch."""

from avseg.datasets.spec import DatasetSpec
from avseg.datasets.world.config import WorldConfig

SYNTH = DatasetSpec(
    name="synth",
    config=WorldConfig,
    open="avseg.datasets.world.reader:open_synth",
    suite="avsbench_object",
    what="the synthetic world, made in memory",
    in_memory=True,
    recount="keep",
)
