"""Pictures: RGB frames, index maps, PNG and JPEG writers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from avseg.io.files import write_aside
from avseg.io.packed import opened


def open_image(path: Path, mode: str | None = None) -> Image.Image:
    """Open and decode a picture, converted to a Pillow `mode` if given.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a whole picture; the sentence names the file.
    """
    try:
        with Image.open(opened(path)) as image:
            image.load()
            return image if mode is None or image.mode == mode else eight_bit(image).convert(mode)
    except FileNotFoundError:
        raise FileNotFoundError(f"the picture {path} is missing") from None
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path} is not a complete picture ({error}); prepare or copy it again") from error


def eight_bit(image: Image.Image) -> Image.Image:
    """Grey of 16 bit as grey of 8; Pillow would cut its values at 255 instead of scaling them, as it does colours."""
    if not image.mode.startswith("I;16"):
        return image
    return Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8))


def read_index(path: Path) -> Tensor:
    """(H, W) uint8 values of a one-channel picture: grey values, palette indices, or 0 and 1 of a bitmap.

    Raises:
        ValueError: a picture with colours, whose values are no indices.
    """
    image = open_image(path)
    if image.mode not in ("1", "L", "P"):
        raise ValueError(f"{path} has the mode {image.mode}, wanted a one-channel picture (grey or paletted, 8 bit)")
    return torch.from_numpy(np.array(image).astype(np.uint8))


def write_png(path: Path, array: Tensor | NDArray[np.uint8], palette: Sequence[Sequence[int]] | None = None) -> None:
    """Write a PNG file, whole or not at all.

    Args:
        path: The file; its folders are made.
        array: (H, W) uint8 grey values or indices, (H, W, 3) or, for a tensor, (3, H, W) uint8 RGB. Bool becomes 0/255.
        palette: RGB of the indices 0, 1, ...; makes a paletted file of (H, W). Those beyond it are white.
    """
    image = _to_image(array)
    if palette is not None:
        if image.mode != "L":
            raise ValueError(f"a palette needs (H, W) indices, got a picture of mode {image.mode}")
        colours = [int(value) for colour in palette for value in colour]
        image.putpalette(colours + [255] * (768 - len(colours)))  # a short palette would cut indices beyond it
    with write_aside(Path(path)) as aside:
        image.save(aside, format="PNG", compress_level=4)


def write_jpeg(path: Path, array: Tensor | NDArray[np.uint8], quality: int = 95) -> None:
    """Write a JPEG file of (H, W, 3) or, for a tensor, (3, H, W) uint8 RGB, whole or not at all."""
    with write_aside(Path(path)) as aside:
        _to_image(array).save(aside, format="JPEG", quality=quality)


def _to_image(array: Tensor | NDArray[np.uint8]) -> Image.Image:
    if isinstance(array, Tensor):
        array = (array.permute(1, 2, 0) if array.ndim == 3 else array).cpu().numpy()
    if array.dtype == np.bool_:
        array = array.astype(np.uint8) * np.uint8(255)
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] != 3):
        raise ValueError(f"a picture needs uint8 of (H, W) or three channels, got {array.dtype} of {array.shape}")
    return Image.fromarray(np.ascontiguousarray(array))
