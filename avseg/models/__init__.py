"""Model families by name; building, saving and loading them. Imports no torch before it is asked to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from avseg.lazy import attach
from avseg.models.spec import FamilySpec as FamilySpec
from avseg.models.spec import Opening as Opening
from avseg.models.spec import Preset as Preset
from avseg.registry import Registry

if TYPE_CHECKING:
    from avseg.models.base import Model as Model
    from avseg.models.files import build_model as build_model
    from avseg.models.files import create_model as create_model
    from avseg.models.files import fetch_weights as fetch_weights
    from avseg.models.files import load_model as load_model
    from avseg.models.files import save_model as save_model
    from avseg.models.first_weights import initialise as initialise
    from avseg.models.header import Header as Header
    from avseg.models.header import read_header as read_header
    from avseg.models.opening import ModelSource as ModelSource

FAMILIES: Registry[FamilySpec] = Registry(
    "model family",
    "avseg.families",
    {
        "avism": "avseg.models.avism.spec:SPEC",
        "avsegformer": "avseg.models.avsegformer.spec:SPEC",
        "catr": "avseg.models.catr.spec:SPEC",
        "cavp": "avseg.models.cavp.spec:SPEC",
        "qdformer": "avseg.models.qdformer.spec:SPEC",
        "tpavi": "avseg.models.tpavi.spec:SPEC",
        "zeroshot": "avseg.models.zeroshot.spec:SPEC",
    },
)
"""One line a family; those of other packages appear by themselves (`avseg.registry`)."""

_HOMES = {
    "Model": "avseg.models.base",
    "build_model": "avseg.models.files",
    "create_model": "avseg.models.files",
    "save_model": "avseg.models.files",
    "load_model": "avseg.models.files",
    "fetch_weights": "avseg.models.files",
    "ModelSource": "avseg.models.opening",
    "Header": "avseg.models.header",
    "read_header": "avseg.models.header",
    "initialise": "avseg.models.first_weights",
}

__all__ = ["FAMILIES", "FamilySpec", "Opening", "Preset", "describe", "list_models", *_HOMES]

__getattr__, __dir__ = attach(__name__, _HOMES)


def list_models(family: str | None = None) -> list[str]:
    """List the names of all families, or of the published settings of one, as `create_model` takes them.

    Args:
        family: The family whose settings are listed; None lists the families.

    Raises:
        ValueError: An unknown family.

    Examples:
        >>> list_models("tpavi")
        ['s4', 'ms3', 'avss']
    """
    return list(FAMILIES) if family is None else list(FAMILIES.find(family).presets)


def describe() -> list[dict[str, str]]:
    """The families for people to read: name, published settings, presets, backbones, paper."""
    return [
        {
            "family": spec.name,
            "settings": spec.settings,
            "presets": ", ".join(spec.presets),
            "backbones": spec.backbones,
            "paper": spec.paper,
        }
        for spec in FAMILIES.values()
    ]
