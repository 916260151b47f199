"""YAMNet as tagger, from a user's ONNX file: 521 sounds of AudioSet (TensorFlow Model Garden, research/audioset)."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import torch
from onnxruntime.capi import onnxruntime_pybind11_state as errors
from torch import Tensor

from avseg.models.zeroshot.catalogue import YAMNET as SPEC
from avseg.models.zeroshot.config import Part, ZeroShotConfig
from avseg.models.zeroshot.hub.sounds import sounds
from avseg.models.zeroshot.names import audioset
from avseg.nn.mel import EXAMPLE_FRAMES, EXAMPLE_SAMPLES, MEL_BINS, LogMel

LOG_OFFSET = 0.001
INPUT = (1, 1, EXAMPLE_FRAMES, MEL_BINS)


@dataclass(frozen=True)
class Steps:
    """Quantisation: number = (step - zero) * scale."""

    scale: float
    zero: int

    def pack(self, numbers: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
        """The nearest steps, 0 to 255."""
        steps: npt.NDArray[np.float32] = np.rint(numbers / self.scale) + self.zero
        return steps.clip(0, 255).astype(np.uint8)

    def unpack(self, steps: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """The numbers that steps stand for."""
        return (steps.astype(np.float32) - self.zero) * np.float32(self.scale)


QUANTISED = {
    "6033a308ddfc9e0d8a23d4340bb7cb8fa455a339f3b3497b0585cfaf2bac88ef": (
        Steps(0.04793788492679596, 144),
        Steps(0.7565417289733887, 190),
    )
}
"""Input and output of quantised files by the SHA-256 of the .onnx file; onnxruntime does not show these numbers."""


class YAMNet:
    """Probability of each sound by itself. A window of 0.975 s is heard; of longer ones the middle.

    It runs on the CPU, one window at a time.
    """

    def __init__(self, part: Part, config: ZeroShotConfig, device: torch.device) -> None:
        """`part.checkpoint`: an .onnx file with its external data beside it, or a .zip of them.

        Raises:
            ValueError: no such file, or no YAMNet in it.
        """
        self.labels = tuple(label for label in audioset()["nouns"] if label not in audioset()["yamnet_lacks"])
        self._mel = LogMel(LOG_OFFSET)
        self._session, digest = opened(Path(part.checkpoint))
        self._steps = self._read_form(part.checkpoint, digest)
        silence = self._logits(np.full(INPUT, np.log(LOG_OFFSET), np.float32))
        if silence.shape != (len(self.labels),) or silence.min() >= 0:
            raise ValueError(
                f"{part.checkpoint} gives {silence.shape} numbers of {silence.min():.3g} or more, wanted logits of "
                f"YAMNet's {len(self.labels)} sounds, before the sigmoid"
            )

    def _read_form(self, name: str, digest: str) -> tuple[Steps, Steps] | None:
        """How numbers are packed; None for float32."""
        inputs = self._session.get_inputs()
        shape = tuple(size if isinstance(size, int) else 1 for size in inputs[0].shape)  # a named size is free
        if len(inputs) != 1 or shape != INPUT or inputs[0].type not in ("tensor(float)", "tensor(uint8)"):
            raise ValueError(
                f"{name} takes {inputs[0].type} of {inputs[0].shape}, wanted one input of float32 or uint8 of {INPUT}: "
                "a log-mel picture, as in Qualcomm AI Hub's export of YAMNet"
            )
        if inputs[0].type == "tensor(float)":
            return None
        if digest not in QUANTISED:
            raise ValueError(
                f"{name} is quantised in a way that is not known here (SHA-256 {digest[:12]}...); give the export in "
                "float32"
            )
        return QUANTISED[digest]

    def _logits(self, picture: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """(521,) of a (1, 1, 96, 64) picture."""
        given = picture if self._steps is None else self._steps[0].pack(picture)
        found = self._session.run(None, {self._session.get_inputs()[0].name: given})[0]
        return np.asarray(found if self._steps is None else self._steps[1].unpack(found), np.float32).reshape(-1)

    @torch.inference_mode()
    def tags(self, windows: Tensor) -> Tensor:
        """See `avseg.models.zeroshot.parts.Tagger`.

        Raises:
            ValueError: windows of less than 15600 samples (0.975 s), or of several channels.
        """
        heard = torch.from_numpy(np.stack(sounds(windows, SPEC.rate, EXAMPLE_SAMPLES)))
        begin = (heard.shape[1] - EXAMPLE_SAMPLES) // 2
        pictures = self._mel(heard[:, begin : begin + EXAMPLE_SAMPLES]).numpy()  # (N, 1, 96, 64)
        return torch.from_numpy(np.stack([self._logits(picture[None]) for picture in pictures])).sigmoid()


def opened(path: Path) -> tuple[Any, str]:
    """A session on an .onnx file or the one in a .zip, and the SHA-256 of the .onnx file.

    Raises:
        ValueError: no such file, or one that cannot be read.
    """
    if not path.is_file():
        raise ValueError(f"there is no file {path}; give an ONNX file of YAMNet (--parts tagger=yamnet:FILE)")
    if path.suffix.lower() != ".zip":
        return _session(path)
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        try:
            with zipfile.ZipFile(path) as archive:
                archive.extractall(folder)
        except zipfile.BadZipFile as error:
            raise ValueError(f"{path} is not a zip file ({error}); give an .onnx file or a zip of one") from error
        models = sorted(Path(folder).rglob("*.onnx"))
        if len(models) != 1:
            raise ValueError(f"{path} holds {len(models)} .onnx files, wanted one; unpack it and give one of them")
        return _session(models[0])


def _session(path: Path) -> tuple[Any, str]:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    try:
        return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"]), digest
    except _UNREADABLE as error:
        raise ValueError(
            f"{path.name} cannot be opened ({' '.join(str(error).split())}); give a whole .onnx file with its data "
            "file beside it"
        ) from error


_UNREADABLE = (
    errors.Fail,
    errors.InvalidGraph,
    errors.InvalidProtobuf,
    errors.NoSuchFile,
    errors.RuntimeException,
)
