"""The one rule by which pictures and label maps are sized: Pillow's, as in the published codes.

torch's own filters round elsewhere: they differ by a grey level (bilinear), by more at edges (bicubic), or take another
of two pixels that are equally near.
"""

from __future__ import annotations

from PIL import Image

_FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}


def resized_image(image: Image.Image, size: tuple[int, int], interpolation: str) -> Image.Image:
    """An image of any mode at `size` (H, W), antialiased where it shrinks, save for `nearest`."""
    height, width = size
    return image if image.size == (width, height) else image.resize((width, height), _FILTERS[interpolation])
