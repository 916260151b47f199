"""Pictures come back as written; broken ones are named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from avseg.io.image import read_index, write_jpeg, write_png
from pictures import read_rgb


def test_rgb_round_trip_of_tensor_and_array(tmp_path: Path) -> None:
    picture = torch.randint(0, 256, (3, 5, 7), dtype=torch.uint8)
    write_png(tmp_path / "a.png", picture)
    assert torch.equal(read_rgb(tmp_path / "a.png"), picture)
    write_png(tmp_path / "b.png", picture.permute(1, 2, 0).numpy())
    assert torch.equal(read_rgb(tmp_path / "b.png"), picture)


def test_indices_round_trip_with_and_without_palette(tmp_path: Path) -> None:
    labels = torch.tensor([[0, 1, 2], [2, 70, 255]], dtype=torch.uint8)
    colours = [(0, 0, 0), (128, 0, 0), (0, 128, 0)]
    write_png(tmp_path / "grey.png", labels)
    write_png(tmp_path / "palette.png", labels, colours)
    assert torch.equal(read_index(tmp_path / "grey.png"), labels)
    assert torch.equal(read_index(tmp_path / "palette.png"), labels)
    assert read_rgb(tmp_path / "palette.png")[:, 0, 1].tolist() == [128, 0, 0]


def test_bool_masks_become_black_and_white(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", torch.tensor([[True, False]]))
    assert read_index(tmp_path / "a.png").tolist() == [[255, 0]]


def test_bitmaps_are_zero_and_one(tmp_path: Path) -> None:
    Image.fromarray(np.array([[True, False]])).save(tmp_path / "a.png")
    assert read_index(tmp_path / "a.png").tolist() == [[1, 0]]


def test_colours_are_no_indices(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", torch.zeros(3, 4, 4, dtype=torch.uint8))
    with pytest.raises(ValueError, match="mode RGB"):
        read_index(tmp_path / "a.png")


def test_a_palette_needs_indices(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="palette needs"):
        write_png(tmp_path / "a.png", torch.zeros(3, 4, 4, dtype=torch.uint8), [(0, 0, 0)])
    with pytest.raises(ValueError, match="float32"):
        write_png(tmp_path / "a.png", torch.zeros(4, 4))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_truncated_pictures_are_named(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    picture = torch.randint(0, 256, (3, 64, 64), dtype=torch.uint8)
    (write_png if suffix == "png" else write_jpeg)(path, picture)
    whole = path.read_bytes()
    for length in (0, 3, 40, len(whole) // 2):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=rf"a\.{suffix} is not a complete picture"):
            read_rgb(path)


def test_missing_pictures_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"a\.png is missing"):
        read_rgb(tmp_path / "a.png")


def test_grey_of_sixteen_bit_keeps_its_brightness(tmp_path: Path) -> None:
    values = np.array([[0, 255, 256, 32768, 65535]], np.uint16)
    Image.fromarray(values).save(tmp_path / "deep.png")
    assert read_rgb(tmp_path / "deep.png")[0].tolist() == [[0, 0, 1, 128, 255]]
