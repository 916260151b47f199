"""Sound files: WAV of 8, 16, 24, 32 bit and float, any number of channels."""

from __future__ import annotations

import os
import warnings
import wave
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avseg.io.files import write_aside
from avseg.io.packed import is_file, opened

_SCALES = {"uint8": 128.0, "int16": 32768.0, "int32": 2147483648.0}


def read_wav(path: Path, sample_rate: int | None = None, channels: int | None = None) -> tuple[Tensor, int]:
    """The waveform (A, S) float32 in [-1, 1] and its rate in Hz.

    Args:
        path: A WAV file. 16-bit samples are divided by 32768; 24-bit ones are read at full precision.
        sample_rate: Resample to this rate, after mixing down; None keeps the file's.
        channels: 1 averages all channels; 2 copies a mono sound and keeps a stereo one; None keeps the file's.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a WAV file, no bytes, or channels that cannot be made without guessing.
    """
    samples, rate = _read(Path(path))
    audio = torch.from_numpy(_mix(_to_float(samples), channels, path).astype(np.float32))
    if sample_rate is None or sample_rate == rate:
        return audio, rate
    from avseg.nn.audio import resample

    return resample(audio, rate, sample_rate), sample_rate


@dataclass(frozen=True, eq=False)
class Wav:
    """An open WAV file; parts are read and converted on request."""

    samples: NDArray[np.generic]
    """(A, S) of the file's own type, mapped into memory where the format allows it."""
    rate: int
    """Hz."""

    def part(self, begin: int = 0, end: int | None = None) -> NDArray[np.float64]:
        """(A, end - begin) samples in [-1, 1]."""
        return _to_float(np.asarray(self.samples[:, begin:end]))


def open_wav(path: Path) -> Wav:
    """Open a WAV file to read parts of it.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a WAV file, or no bytes.
    """
    return Wav(*_read(Path(path), mapped=True))


def write_wav(path: Path, audio: Tensor, sample_rate: int) -> None:
    """Write (A, S) or (S,) float in [-1, 1] as 16-bit PCM, atomically; values outside are clipped."""
    from scipy.io import wavfile

    with write_aside(Path(path)) as aside:
        wavfile.write(aside, sample_rate, _pcm(audio).numpy())


class WavStream:
    """A 16-bit WAV file written piece by piece; `close` completes it."""

    def __init__(self, path: Path, sample_rate: int) -> None:
        self._path, self._rate = path, sample_rate
        self._file: wave.Wave_write | None = None

    def add(self, audio: Tensor) -> None:
        """Write (A, S) float in [-1, 1]; values outside are clipped."""
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = wave.open(str(self._path), "wb")  # noqa: SIM115  `close` closes it
            self._file.setparams((len(audio), 2, self._rate, 0, "NONE", "not compressed"))
        self._file.writeframesraw(_pcm(audio).numpy().astype("<i2").tobytes())

    def close(self) -> None:
        """Complete the file; without samples no file is left."""
        if self._file is not None:
            self._file.close()


def _pcm(audio: Tensor) -> Tensor:
    """(A, S) or (S,) float in [-1, 1] -> (S, A) or (S,) int16."""
    samples = (audio.detach().cpu().double() * 32768).round().clamp(-32768, 32767).to(torch.int16)
    return samples.T.contiguous() if samples.ndim == 2 else samples


def _read(path: Path, mapped: bool = False) -> tuple[NDArray[np.generic], int]:
    from scipy.io import wavfile

    if not is_file(path):
        raise FileNotFoundError(f"the sound {path} is missing")
    source = opened(path)
    head, size = _begin(source)
    if size == 0:
        raise ValueError(f"the sound {path} has zero bytes; prepare or copy it again")
    _check_length(path, head, size)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", wavfile.WavFileWarning)  # chunks of other programs are no fault
            rate, samples = wavfile.read(source, mmap=mapped and source is path and _can_be_mapped(head))
    except Exception as error:
        # scipy trips over a file that has neither of the parts that every WAV file has.
        reason = "it has no `fmt ` or no `data` chunk" if isinstance(error, UnboundLocalError) else error
        raise ValueError(f"{path} is not a complete WAV file ({reason}); prepare or copy it again") from error
    if samples.size == 0:
        raise ValueError(f"{path} is a WAV file without samples; prepare or copy it again")
    return samples.reshape(len(samples), -1).T, int(rate)  # (A, S)


def _begin(source: Path | BytesIO) -> tuple[bytes, int]:
    """Return the first 36 bytes of a file, and its size."""
    if isinstance(source, BytesIO):
        held = source.getbuffer()
        return bytes(held[:36]), len(held)
    with source.open("rb") as file:
        return file.read(36), os.fstat(file.fileno()).st_size


def _can_be_mapped(head: bytes) -> bool:
    """Whether samples can be mapped into memory; those of three bytes and of unusual files cannot."""
    return head[12:16] == b"fmt " and head[34:36] in (b"\x08\x00", b"\x10\x00", b"\x20\x00", b"\x40\x00")


def _check_length(path: Path, head: bytes, found: int) -> None:
    """Refuse a file shorter than its header says; a program that writes into a pipe says 2^31 or more."""
    wanted = int.from_bytes(head[4:8], "little") + 8
    if head[:4] == b"RIFF" and found + 1 < wanted < 2**31:
        raise ValueError(f"{path} has {found} bytes, but its header says {wanted}; prepare or copy it again")


def _to_float(samples: NDArray[np.generic]) -> NDArray[np.float64]:
    name = samples.dtype.name
    if name in ("float32", "float64"):
        return samples.astype(np.float64)
    if name not in _SCALES:
        raise ValueError(f"samples of {name} are not supported; wanted 8, 16, 24, 32 bit or float")
    offset = 128.0 if name == "uint8" else 0.0
    return (samples.astype(np.float64) - offset) / _SCALES[name]


def _mix(audio: NDArray[np.float64], channels: int | None, path: Path) -> NDArray[np.float64]:
    if channels is None or channels == audio.shape[0]:
        return audio
    if channels == 1:
        mean: NDArray[np.float64] = audio.mean(0, keepdims=True)
        return mean
    if channels == 2 and audio.shape[0] == 1:
        return audio.repeat(2, 0)
    raise ValueError(
        f"{path} has {audio.shape[0]} channels and cannot be converted to "
        f"{channels}; wanted 1, or 2 from mono or stereo"
    )
