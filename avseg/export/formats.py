"""The formats of exported files by name. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec


@dataclass(frozen=True)
class Format:
    """One format."""

    suffix: str
    """Suffix of its files."""
    beside: tuple[str, ...]
    """Suffixes of the files that belong to it."""
    address: str
    """Module with `write(graph, path, notes)` and `read_notes(path)`; see `avseg.export.torch_format`."""
    precisions: tuple[str, ...]
    needs: tuple[str, ...]
    """Required packages."""
    extra: str = ""
    also: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Further package and its extra, by precision."""

    def want(self, name: str, precision: str = "fp32") -> None:
        """
        Args:
            name: of the format.
            precision: of a file.

        Raises:
            ImportError: a package is missing.
            ValueError: the format has no such precision.
        """
        if precision not in self.precisions:
            raise ValueError(f"{name} files have no precision {precision}; they have {', '.join(self.precisions)}")
        if missing := [package for package in self.needs if find_spec(package) is None]:
            raise ImportError(f'{name} files need {", ".join(missing)}: pip install "avseg[{self.extra}]"')
        package, extra = self.also.get(precision, ("", ""))
        if package and find_spec(package) is None:
            raise ImportError(f'{name} files in {precision} need {package}: pip install "avseg[{extra}]"')


FORMATS: Mapping[str, Format] = {
    "torch": Format(".pt2", (), "avseg.export.torch_format", ("fp32",), ()),
    "onnx": Format(".onnx", (), "avseg.export.onnx_format", ("fp32",), ("onnx", "onnxscript", "onnxruntime"), "export"),
    "openvino": Format(
        ".xml",
        (".bin",),
        "avseg.export.openvino_format",
        ("fp32", "fp16", "int8"),
        ("openvino",),
        "fast",
        {"int8": ("nncf", "int8")},
    ),
}
SUFFIXES = {form.suffix: name for name, form in FORMATS.items()}
