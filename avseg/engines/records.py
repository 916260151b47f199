"""The engines by name. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec

from avseg.config import did_you_mean

PRECISIONS = ("fp32", "bf16", "fp16", "int8")
AUTO = "auto"


@dataclass(frozen=True)
class Choice:
    """Engine and precision of a network."""

    engine: str = "torch"
    precision: str = "fp32"

    def to_dict(self) -> dict[str, str]:
        """Return the entry of result.json."""
        return {"engine": self.engine, "precision": self.precision}

    def check(self) -> None:
        """Check that both names are known, or `auto`.

        Raises:
            ImportError: the engine is not installed.
            ValueError: an unknown engine or precision, or a precision that the engine does not have.
        """
        if self.engine not in (AUTO, *ENGINES):
            raise ValueError(f"there is no engine {self.engine!r}; {did_you_mean(self.engine, [AUTO, *ENGINES])}")
        if self.precision not in (AUTO, *PRECISIONS):
            raise ValueError(
                f"there is no precision {self.precision!r}; {did_you_mean(self.precision, [AUTO, *PRECISIONS])}"
            )
        if self.engine != AUTO:
            ENGINES[self.engine].want(self.engine, self.precision)


EXACT = Choice()
"""Choice for scores: PyTorch in fp32."""
FAST = Choice(AUTO, AUTO)
"""Choice for predictions: the fastest on this machine."""


@dataclass(frozen=True)
class EngineRecord:
    """One engine."""

    address: str
    """"module:Class" of the engine, constructed with (precision, device); see `avseg.engines.parts.Engine`."""
    precisions: tuple[str, ...]
    """Supported precisions; the engine checks which of them this machine has."""
    reads: tuple[str, ...]
    """Suffixes of the exported files that it runs, its own first."""
    needs: str | None = None
    """The package of the engine; None: always installed."""
    extra: str = ""
    """Extra to install: `pip install "avseg[EXTRA]"`."""

    @property
    def is_here(self) -> bool:
        """Whether its package is installed."""
        return self.needs is None or find_spec(self.needs) is not None

    def want(self, name: str, precision: str = AUTO) -> None:
        """
        Raises:
            ImportError: it is not installed.
            ValueError: it has no such precision.
        """
        if not self.is_here:
            raise ImportError(f'the engine {name} is not installed: pip install "avseg[{self.extra}]"')
        if precision not in (AUTO, *self.precisions):
            raise ValueError(f"engine {name} has no precision {precision}; it has {', '.join(self.precisions)}")


ENGINES: Mapping[str, EngineRecord] = {
    "torch": EngineRecord("avseg.engines.torch_engine:TorchEngine", ("fp32", "bf16", "fp16"), (".pt2",)),
    "openvino": EngineRecord(
        "avseg.engines.openvino_engine:OpenVINOEngine",
        ("fp32", "bf16", "fp16", "int8"),
        (".xml", ".onnx"),
        "openvino",
        "fast",
    ),
    "onnxruntime": EngineRecord(
        "avseg.engines.onnxruntime_engine:ONNXRuntimeEngine", ("fp32",), (".onnx",), "onnxruntime", "export"
    ),
}


def reader_of(suffix: str) -> str:
    """Return the first installed engine that runs exported files with this suffix.

    Raises:
        ImportError: none is.
    """
    names = [name for name, engine in ENGINES.items() if suffix in engine.reads]
    own = sorted(names, key=lambda name: ENGINES[name].reads.index(suffix))
    for name in own:
        if ENGINES[name].is_here:
            return name
    wanted = " or ".join(f'pip install "avseg[{ENGINES[name].extra}]"' for name in own)
    raise ImportError(f"no installed engine runs {suffix} files: {wanted}")
