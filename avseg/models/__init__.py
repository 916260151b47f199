"""Model families by name; building, saving and loading them. Imports no torch before it is asked to."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from avseg.config import ModelConfig, did_you_mean
from avseg.lazy import attach

if TYPE_CHECKING:
    from avseg.models.base import Model as Model
    from avseg.models.files import build_model as build_model
    from avseg.models.files import load_model as load_model
    from avseg.models.files import save_model as save_model
    from avseg.models.first_weights import initialise as initialise
    from avseg.models.header import Header as Header
    from avseg.models.header import read_header as read_header

MODELS = {
    "avism": "avseg.models.avism.model:AVISM",
    "cavp": "avseg.models.cavp.model:CAVP",
    "qdformer": "avseg.models.qdformer.model:QDFormer",
    "tpavi": "avseg.models.tpavi.model:TPAVI",
}
"""One line a family. `avseg.models.<family>.config` holds the config, `<Class>Config`."""

_HOMES = {
    "Model": "avseg.models.base",
    "build_model": "avseg.models.files",
    "save_model": "avseg.models.files",
    "load_model": "avseg.models.files",
    "Header": "avseg.models.header",
    "read_header": "avseg.models.header",
    "initialise": "avseg.models.first_weights",
}

__all__ = ["MODELS", "config_class", "model_class", *_HOMES]

__getattr__, __dir__ = attach(__name__, _HOMES)


def model_class(family: str) -> type[Model[Any]]:
    """The class of a family.

    Raises:
        ValueError: a family that is not in `MODELS`.
    """
    module, name = _address(family)
    found: type[Model[Any]] = getattr(importlib.import_module(module), name)
    return found


def config_class(family: str) -> type[ModelConfig]:
    """The config class of a family, without torch.

    Raises:
        ValueError: a family that is not in `MODELS`.
    """
    module, name = _address(family)
    home = importlib.import_module(module.rpartition(".")[0] + ".config")
    found: type[ModelConfig] = getattr(home, name + "Config")
    return found


def _address(family: str) -> tuple[str, str]:
    if family not in MODELS:
        raise ValueError(f"there is no model family {family!r}; {did_you_mean(family, MODELS)}")
    module, name = MODELS[family].split(":")
    return module, name
