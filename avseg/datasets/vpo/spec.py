"""The records of VPO. Imports no torch."""

from avseg.data.config import DataConfig
from avseg.datasets.spec import DatasetSpec

VPO_SS = DatasetSpec(
    name="vpo_ss",
    config=DataConfig,
    open="avseg.datasets.vpo.reader:open_vpo_ss",
    suite="vpo",
    what="VPO, one object sounds",
    recount="keep",
)
VPO_MS = DatasetSpec(
    name="vpo_ms",
    config=DataConfig,
    open="avseg.datasets.vpo.reader:open_vpo_ms",
    suite="vpo",
    what="VPO, several classes sound",
    recount="labels",
)
VPO_MSMI = DatasetSpec(
    name="vpo_msmi",
    config=DataConfig,
    open="avseg.datasets.vpo.reader:open_vpo_msmi",
    suite="vpo",
    what="VPO, instances told apart by their place",
    recount="labels",
)
