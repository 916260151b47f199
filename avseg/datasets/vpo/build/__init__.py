"""The VPO builder: makes VPO-SS, VPO-MS and VPO-MSMI from instances in the COCO format and labelled sounds
(docs/how-to/vpo.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from avseg.lazy import attach

if TYPE_CHECKING:
    from avseg.datasets.vpo.build.build import build_vpo as build_vpo
    from avseg.datasets.vpo.build.options import BuildOptions as BuildOptions

_HOMES = {"build_vpo": ".build", "BuildOptions": ".options"}
__all__ = [*_HOMES]

__getattr__, __dir__ = attach(__name__, _HOMES)
