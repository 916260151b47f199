"""Export of models to ONNX, OpenVINO and torch.export files. Importing this loads none of these packages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from avseg.lazy import attach

if TYPE_CHECKING:
    from avseg.export.opening import Exported as Exported
    from avseg.export.opening import open_exported as open_exported
    from avseg.export.write import export_model as export_model

_HOMES = {"Exported": ".opening", "open_exported": ".opening", "export_model": ".write"}

__all__ = [*_HOMES]

__getattr__, __dir__ = attach(__name__, _HOMES)
