"""The records of VPO. Imports no torch."""

from avseg.datasets.spec import DatasetSpec
from avseg.datasets.vpo.config import VPOConfig
from avseg.datasets.vpo.options import SeveralOptions, StillOptions, TwinOptions

COMMANDS = {"build-vpo": "avseg.datasets.vpo.build.command:build"}

VPO_SS = DatasetSpec(
    name="vpo_ss",
    config=VPOConfig,
    open="avseg.datasets.vpo.reader:VPO",
    suite="vpo",
    what="VPO, one object sounds",
    check="avseg.datasets.vpo.check:check_ss",
    write="avseg.datasets.vpo.write:write_ss",
    write_options=StillOptions(),
    commands=COMMANDS,
    recount="keep",
)
VPO_MS = DatasetSpec(
    name="vpo_ms",
    config=VPOConfig,
    open="avseg.datasets.vpo.reader:VPO",
    suite="vpo",
    what="VPO, several classes sound",
    check="avseg.datasets.vpo.check:check_ms",
    write="avseg.datasets.vpo.write:write_ms",
    write_options=SeveralOptions(),
    commands=COMMANDS,
    recount="labels",
)
VPO_MSMI = DatasetSpec(
    name="vpo_msmi",
    config=VPOConfig,
    open="avseg.datasets.vpo.reader:VPO",
    suite="vpo",
    what="VPO, instances separated by their position",
    check="avseg.datasets.vpo.check:check_msmi",
    write="avseg.datasets.vpo.write:write_msmi",
    write_options=TwinOptions(),
    commands=COMMANDS,
    recount="labels",
)
