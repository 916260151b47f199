"""Tests of what an extra of the package brings: skipped where it is not installed, unless all are said to be."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

import pytest

BROUGHT_BY = {
    "transformers": "zeroshot",
    "onnxruntime": "export",
    "pympi": "formats",
    "nbclient": "notebook",
    "jsonschema": "notebook",
    "gradio": "ui",
    "playwright": "browser",
    "fastapi": "serve",
    "uvicorn": "serve",
    "python_multipart": "serve",
    "prometheus_client": "serve",
    "onnx": "export",
    "openvino": "fast",
    "nncf": "int8",
    "pyarrow": "parquet",
    "s3fs": "remote",
    "aiohttp": "remote",
    "ray": "ray",
    "moto": "moto",
}
"""The extra of a package, where it has another name."""


def needs(extra: str) -> None:
    """Skip the test where the package of that name is missing; fail instead where AVSEG_EXTRAS is `all`."""
    spec = find_spec(extra)
    if spec is not None and spec.origin is not None:
        return
    if os.environ.get("AVSEG_EXTRAS") == "all":
        pytest.fail(f"{extra} is not installed, and AVSEG_EXTRAS says that every extra is")
    pytest.skip(f"needs the extra: pip install 'avseg[{BROUGHT_BY.get(extra, extra)}]'")


def readers() -> str:
    """The Python of an environment with the readers of others (`.ci/readers.txt`), which AVSEG_READERS names.

    Skips the test where it names none; fails instead where AVSEG_EXTRAS is `all`.
    """
    python = os.environ.get("AVSEG_READERS", "")
    if Path(python).is_file():
        return python
    if os.environ.get("AVSEG_EXTRAS") == "all":
        pytest.fail(f"AVSEG_READERS is {python!r}, and AVSEG_EXTRAS says that all readers are there")
    pytest.skip("needs an environment with `pip install --no-deps -r .ci/readers.txt`, its Python in AVSEG_READERS")
