"""The VPO builder: instances of COCO's form and labelled sounds to VPO-SS, VPO-MS and VPO-MSMI (docs/vpo.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from avseg.prepare.vpo.build import build_vpo as build_vpo
    from avseg.prepare.vpo.options import BuildOptions as BuildOptions

_HOMES = {"build_vpo": "build", "BuildOptions": "options"}
__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'avseg.prepare.vpo' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"avseg.prepare.vpo.{_HOMES[name]}"), name)
