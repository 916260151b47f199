"""The offline demonstration and its small weights. Imports no torch."""

from __future__ import annotations

from pathlib import Path

MODEL_FILE = Path(__file__).parent / "model.safetensors"
"""The model that `avseg train demo` makes (docs/get-started/demo.md)."""

__all__ = ["MODEL_FILE"]
