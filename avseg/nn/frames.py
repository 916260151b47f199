"""From stored pictures to what a network sees: sized by an `InputSpec`, normalised, without frames that only pad."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from avseg.config import InputSpec
from avseg.host import on_host, picked, places, sent
from avseg.nn.sizing import resized_image
from avseg.types import Batch

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
"""Mean and standard deviation of ImageNet, in RGB, on a scale of 0 to 1."""


def sized_frames(batch: Batch, spec: InputSpec) -> Tensor:
    """The pictures of a batch without their padding, sized by `spec`: (B, T, 3, h, w) uint8.

    Loaders size pictures beforehand; then this is the batch's own tensor.

    Raises:
        ValueError: clips that come out at different sizes, which one tensor cannot hold.
    """
    sizes = [(int(h), int(w)) for h, w in on_host(batch.sizes).tolist()]
    wanted = {spec.fitted(size) for size in sizes}
    if len(wanted) > 1:
        raise ValueError(f"the clips of a batch come out at {sorted(wanted)}; batch clips of one size, or stretch them")
    (target,) = wanted
    if set(sizes) == {target} == {tuple(batch.frames.shape[-2:])}:
        return batch.frames
    clips = [frames[:, :, :h, :w] for frames, (h, w) in zip(batch.frames, sizes, strict=True)]
    return torch.stack([resized(clip, target, spec.interpolation) for clip in clips])


def resized(frames: Tensor, size: tuple[int, int], interpolation: str = "bilinear") -> Tensor:
    """(N, 3, H, W) uint8 -> (N, 3, *size) uint8, to the bit as loaders size pictures (`avseg.nn.sizing`).

    It runs on the CPU wherever the frames are, and gives them back there.
    """
    if tuple(frames.shape[-2:]) == tuple(size):
        return frames
    sized = np.empty((len(frames), 3, *size), np.uint8)
    for frame, place in zip(frames.cpu().numpy(), sized, strict=True):
        image = Image.fromarray(np.ascontiguousarray(frame.transpose(1, 2, 0)))
        place[:] = np.asarray(resized_image(image, size, interpolation)).transpose(2, 0, 1)
    return torch.from_numpy(sized).to(frames.device)


def normalised(frames: Tensor) -> Tensor:
    """(..., 3, H, W) uint8 RGB -> float32 with the mean and deviation of ImageNet taken out."""
    # One multiplication and one addition: x / 255 - mean over std.
    scale, shift = _scale_and_shift(frames.device)
    return torch.addcmul(shift, frames.float(), scale)


@lru_cache(maxsize=16)
def _scale_and_shift(device: torch.device) -> tuple[Tensor, Tensor]:
    """(3, 1, 1) twice; kept, since bringing numbers of the host to a device waits for it."""
    with torch.inference_mode(False):
        scale = torch.tensor([1 / (255 * s) for s in STD], device=device)[:, None, None]
        return scale, torch.tensor([-m / s for m, s in zip(MEAN, STD, strict=True)], device=device)[:, None, None]


def is_exporting() -> bool:
    """Whether `torch.export` traces what runs; from PyTorch 2.7 on it says so."""
    asked: Callable[[], bool] = getattr(torch.compiler, "is_exporting", bool)
    return asked()


def all_exist(valid: Tensor) -> bool:
    """Whether all frames (B, T) bool exist. A graph is exported for clips of which they do, without a branch."""
    return is_exporting() or bool(on_host(valid).all())


def by_frame(values: Tensor, valid: Tensor) -> Tensor:
    """Repeat values of clips (B, ...) for each of their M frames that exist by `valid` (B, T): (M, ...)."""
    if is_exporting():
        return values[:, None].expand(-1, valid.shape[1], *values.shape[1:]).flatten(0, 1)
    return values[sent(on_host(valid).nonzero()[:, 0], valid.device)]


def spread(values: Tensor, there: Tensor) -> Tensor:
    """(M, ...) at the places (B, T) bool that are true: (B, T, ...), zero elsewhere."""
    if is_exporting() or len(values) == there.numel():
        return torch.unflatten(values, 0, there.shape)
    whole = values.new_zeros(*there.shape, *values.shape[1:])
    return torch.index_put(whole, places(there), values)


def gathered(values: Tensor, there: Tensor) -> Tensor:
    """(B, T, ...) at the places (B, T) bool that are true: (M, ...)."""
    return values.flatten(0, 1) if all_exist(there) else picked(values, there)
