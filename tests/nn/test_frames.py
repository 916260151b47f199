"""Pictures for a network: sized as the loaders size them, whoever does it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from avseg.config import InputSpec
from avseg.data.geometry import Geometry
from avseg.nn.frames import resized, sized_frames
from avseg.types import Batch, Clip

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU"))]
SIZES = [
    ((480, 640), (224, 224)),
    ((37, 53), (16, 90)),  # down one way, up the other
    ((64, 64), (32, 32)),  # every nearest pixel is a tie
    ((33, 21), (22, 14)),
    ((15, 31), (64, 47)),
    ((7, 5), (7, 9)),
    ((1, 1), (3, 2)),
]


def clip(size: tuple[int, int], frames: int = 2) -> Clip:
    """Noise and a hard edge, over which bicubic filters swing."""
    pictures = torch.randint(0, 256, (frames, 3, *size), generator=torch.Generator().manual_seed(0))
    pictures[0] = 255 * (torch.arange(size[1]) > size[1] // 2)
    return Clip("c", pictures.to(torch.uint8), torch.arange(frames).double(), torch.zeros(1, 16), 16000)


def by_loader(of: Clip, size: tuple[int, int], interpolation: Any) -> Tensor:
    return Geometry(InputSpec(size, interpolation=interpolation))(of).frames


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize(("size", "wanted"), SIZES)
def test_models_size_pictures_as_loaders_do(
    size: tuple[int, int], wanted: tuple[int, int], interpolation: str, device: str
) -> None:
    of = clip(size)
    found = resized(of.frames.to(device), wanted, interpolation)
    assert found.dtype == torch.uint8 and found.shape == (2, 3, *wanted) and found.device.type == device
    assert found.is_contiguous() and torch.equal(found.cpu(), by_loader(of, wanted, interpolation))


def test_pictures_of_the_right_size_are_not_touched() -> None:
    frames = clip((8, 6)).frames
    assert resized(frames, (8, 6)) is frames
    assert resized(frames[:0], (4, 4)).shape == (0, 3, 4, 4)


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic"])
def test_a_batch_is_sized_without_its_padding(interpolation: Any) -> None:
    clips = [clip((40, 50)), clip((33, 60))]
    found = sized_frames(Batch.collate(clips), InputSpec((24, 32), interpolation=interpolation))
    assert torch.equal(found, torch.stack([by_loader(of, (24, 32), interpolation) for of in clips]))
