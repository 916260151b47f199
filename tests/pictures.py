"""Pictures as tests look at them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from avseg.io.image import open_image


def read_rgb(path: Path) -> Tensor:
    """(3, H, W) uint8 of a picture file, as the readers of data sets open it."""
    return torch.from_numpy(np.array(open_image(path, "RGB"))).permute(2, 0, 1).contiguous()
