"""The report of `avseg doctor`: versions, devices, codecs."""

from __future__ import annotations

import importlib
import platform

from avseg.version import __version__

LIBRARIES = ("torch", "torchvision", "timm", "numpy", "av", "accelerate", "safetensors", "pycocotools", "tyro")


def describe() -> list[dict[str, str]]:
    """Rows of (what, found): versions, devices, codecs."""
    rows = [("avseg", __version__), ("python", f"{platform.python_version()} on {platform.platform()}")]
    rows += [(name, _version(name)) for name in LIBRARIES]
    rows += [("devices", _devices()), ("H.264 encoder", _encoder("libx264", "h264")), ("AAC encoder", _encoder("aac"))]
    return [{"what": what, "found": found} for what, found in rows]


def _version(name: str) -> str:
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        return f"not installed ({error})"
    return str(getattr(module, "__version__", "installed"))


def _devices() -> str:
    import torch

    found = [f"cpu ({torch.get_num_threads()} threads)"]
    found += [f"cuda:{i} ({torch.cuda.get_device_name(i)})" for i in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        found.append("mps")
    return ", ".join(found)


def _encoder(*names: str) -> str:
    try:
        import av
    except ImportError:
        return "no PyAV"
    found = [name for name in names if name in av.codecs_available]
    return found[0] if found else "missing: overlays cannot be written"
