"""Sampling of multi-scale deformable attention, ours and a plain transcription of its formula, in one run.

Both take bilinear samples of the same values at the same places. The plain side keeps a query's points side by side,
the samples of all maps together, and sums them by their weights at the end. `gather` is a third arrangement that was
tried and is not used: indices and weights of four pixels a sample, summed by an embedding bag. On the CPU times are
those of the process, all threads together. Prints JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from harness import milliseconds, options_of, parser, spent, tell
from torch import Tensor
from torch.nn import functional as F

from avseg.nn.deform import Size, centres, sample_maps

HEADS, POINTS, WIDTH = 8, 4, 32


def plain(values: Tensor, sizes: Sequence[Size], locations: Tensor, weights: Tensor) -> Tensor:
    """Arguments and answer of `sample_maps`."""
    count, queries, heads, levels, points, _ = locations.shape
    grids, found, start = 2 * locations - 1, [], 0
    for level, (height, width) in enumerate(sizes):
        rows = values[:, start : start + height * width].flatten(2).transpose(1, 2)
        picture = rows.reshape(count * heads, -1, height, width)
        grid = grids[:, :, :, level].transpose(1, 2).flatten(0, 1)  # (N * heads, Q, points, 2)
        found.append(F.grid_sample(picture, grid, mode="bilinear", padding_mode="zeros", align_corners=False))
        start += height * width
    samples = torch.stack(found, -2).flatten(-2)  # (N * heads, d, Q, levels * points)
    shares = weights.transpose(1, 2).reshape(count * heads, 1, queries, levels * points)
    return (samples * shares).sum(-1).reshape(count, -1, queries).transpose(1, 2)


def gather(values: Tensor, sizes: Sequence[Size], locations: Tensor, weights: Tensor) -> Tensor:
    """Arguments and answer of `sample_maps`; maps get a border of zeros, so that each sample has four pixels."""
    count, queries, heads = locations.shape[:3]
    device, borders = values.device, [(h + 2, w + 2) for h, w in sizes]
    pieces = torch.split(values, [h * w for h, w in sizes], 1)
    table = torch.cat([F.pad(torch.unflatten(x, 1, s), (0, 0, 0, 0, 1, 1, 1, 1)).flatten(1, 2) for x, s in
                       zip(pieces, sizes, strict=True)], 1)  # fmt: skip
    sides = torch.tensor([[w, h] for h, w in sizes], device=device)[:, None]
    places = (locations * sides + 0.5).clamp(min=0).minimum(sides + 1)
    corner = places.detach().floor().minimum(sides)
    near = torch.stack([1 - (places - corner), places - corner], -1)  # (..., xy, 2)
    starts = torch.tensor([0, *(h * w for h, w in borders[:-1])], device=device).cumsum(0)
    wide = torch.tensor([w for _, w in borders], device=device)
    x, y = corner.long().unbind(-1)
    row = torch.arange(count, device=device)[:, None, None, None, None] * table.shape[1]
    cells = row + starts[:, None] + y * wide[:, None] + x  # (N, Q, heads, levels, points)
    steps = torch.stack([wide * 0, wide * 0 + 1, wide, wide + 1], -1)[:, None]
    own = torch.arange(heads, device=device)[:, None, None, None]
    indices = (cells[..., None] + steps) * heads + own
    shares = weights[..., None, None] * near[..., 1, :, None] * near[..., 0, None, :]
    bags = count * queries * heads
    summed = F.embedding_bag(
        indices.reshape(bags, -1), table.flatten(0, 2), per_sample_weights=shares.reshape(bags, -1), mode="sum"
    )
    return summed.reshape(count, queries, -1)


Sampling = Callable[[Tensor, Sequence[Size], Tensor, Tensor], Tensor]
SIDES: dict[str, Sampling] = {"ours": sample_maps, "plain": plain, "gather": gather}


def fastest(run: Callable[[], Any], repeats: int, device: str) -> float:
    """Milliseconds: of the processor on the CPU, by the clock on a GPU."""
    took = spent(run, repeats, warm=True, device=device)
    return milliseconds(took.cpu if device == "cpu" else took.wall, 1)


def drawn(frames: int, sizes: Sequence[Size], device: str) -> list[Tensor]:
    """Values, places around each token within some pixels, and weights."""
    generator = torch.Generator().manual_seed(0)
    tokens = sum(h * w for h, w in sizes)
    scale = torch.tensor([[w, h] for h, w in sizes])[:, None]
    offsets = 3 * torch.randn(frames, tokens, HEADS, len(sizes), POINTS, 2, generator=generator)
    weights = torch.rand(frames, tokens, HEADS, len(sizes) * POINTS, generator=generator)
    weights = (weights / weights.sum(-1, keepdim=True)).unflatten(-1, (len(sizes), POINTS))
    values = torch.randn(frames, tokens, HEADS, WIDTH, generator=generator)
    locations = centres(sizes)[:, None, None, None] + offsets / scale
    return [x.to(device) for x in (values, locations, weights)]


def main() -> None:
    shared = parser(__doc__, threads=1, device=True)
    shared.add_argument("--frames", type=int, default=1)
    shared.add_argument("--size", type=int, nargs=2, default=(384, 640), help="height and width of the picture")
    shared.add_argument("--repeats", type=int, default=5)
    options = options_of(shared)
    height, width = options.size
    sizes = [(height // stride, width // stride) for stride in (32, 16, 8)]
    values, locations, weights = drawn(options.frames, sizes, options.device)
    wanted = plain(values, sizes, locations, weights)

    def step(side: Sampling) -> None:
        inputs = [x.detach().requires_grad_() for x in (values, locations, weights)]
        side(inputs[0], sizes, inputs[1], inputs[2]).sum().backward()

    result: dict[str, Any] = {"size": [height, width], **{k: getattr(options, k) for k in ("frames", "threads")}}
    for name, side in SIDES.items():
        with torch.inference_mode():
            forward = fastest(
                lambda side=side: side(values, sizes, locations, weights), options.repeats, options.device
            )
            difference = float((side(values, sizes, locations, weights) - wanted).abs().max())
        both = fastest(lambda side=side: step(side), options.repeats, options.device)
        result[name] = {"forward_ms": forward, "forward_backward_ms": both, "difference": difference}
    tell({"device": options.device, **result}, options.out)


if __name__ == "__main__":
    main()
