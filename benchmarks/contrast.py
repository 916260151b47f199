"""The contrastive term of CAVP, forward and backward: ours beside the published formulation, in one run. Prints JSON.

    python benchmarks/contrast.py [--quick] [--threads 2] [--clock wall] [--device cpu] [--out contrast.json]

16 pictures, embeddings of 304 channels, 21 classes of which a picture shows up to three: a grid of 56 x 56 (pictures of
224 pixels) and one of 128 x 128 (crops of 512). The published side normalises whole maps, loops over classes with
`nonzero` and `randperm`, and forms the full matrices of similarities and masks. Both sides run in turn. The floor is
the product that gives the similarities and the two of their gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from harness import Clock, conditions, in_turn, options_of, parser, peak_bytes, tell
from torch import Tensor
from torch.nn import functional

from avseg.losses import ContrastConfig, contrastive_loss, info_nce
from avseg.losses.contrastive import on_grid, sample_pixels

BATCH, CLASSES = 16, 21
CONFIG = ContrastConfig()
Subject = tuple[Tensor, Tensor, Tensor, Tensor]


def scene(grid: int, width: int, device: str) -> Subject:
    """Embeddings of both halves, and labels at four times the grid with half of the pairs matched."""
    generator = torch.Generator().manual_seed(0)
    size = 4 * grid
    labels = torch.zeros(BATCH, size, size, dtype=torch.int64)
    for picture in labels:
        for _ in range(3):
            top, left = (int(torch.randint(0, size // 2, (), generator=generator)) for _ in range(2))
            tall, wide = (int(torch.randint(size // 6, size // 2, (), generator=generator)) for _ in range(2))
            kind = int(torch.randint(1, CLASSES + 1, (), generator=generator))
            picture[top : top + tall, left : left + wide] = kind
    given = labels.clone()
    given[::2] = 0
    # As the network gives them: channels last.
    maps = torch.randn(2, BATCH, grid, grid, width, generator=generator).to(device).movedim(-1, 2)
    return maps[0], maps[1], labels.to(device), given.to(device)


def published_pixels(labels: Tensor, given: Tensor, matched: Tensor, shuffled: Tensor) -> tuple[Tensor, Tensor]:
    """The chosen embeddings and labels, class by class, of whole normalised maps."""
    matched = functional.normalize(matched, dim=1).permute(0, 2, 3, 1).flatten(0, 2)
    shuffled = functional.normalize(shuffled, dim=1).permute(0, 2, 3, 1).flatten(0, 2)
    foreground = (labels != 0) & (labels != 255)
    views = CONFIG.views
    pixels, classes = [], []
    for kind in labels[foreground].unique():
        places = (labels == kind).nonzero()[:, 0]
        if len(places) >= views:
            chosen = places[torch.randperm(len(places), device=places.device)[:views]]
            pixels.append(matched[chosen])
            classes.append(labels[chosen])
    beside, beside_labels = shuffled[foreground], given[foreground]
    background, background_labels = matched[labels == 0], labels[labels == 0]
    k = min(views, len(beside), len(background))
    first = torch.randperm(len(background), device=labels.device)[:k]
    second = torch.randperm(len(beside), device=labels.device)[:k]
    pixels += [background[first], beside[second]]
    classes += [background_labels[first], beside_labels[second]]
    return torch.cat(pixels), torch.cat(classes)


def published_info_nce(pixels: Tensor, classes: Tensor, temperature: float) -> Tensor:
    """The full matrices, as published."""
    same = (classes[:, None] == classes[None]).float()
    similarity = pixels @ pixels.clone().T / temperature
    similarity = similarity - similarity.max(1, keepdim=True).values.detach()
    different = 1 - same
    same = same * (1 - torch.eye(len(same), device=same.device))
    exponentials = similarity.exp()
    negatives = (exponentials * different).sum(1, keepdim=True)
    likelihood = similarity - (exponentials + negatives).log()
    return -((same * likelihood).sum(1) / (same.sum(1) + 1e-12)).mean()


def published(subject: Subject) -> Tensor:
    matched, shuffled, labels, given = subject
    grid = matched.shape[-2:]
    small, small_given = (
        functional.interpolate(t[:, None].float(), grid, mode="nearest").flatten().long() for t in (labels, given)
    )
    return published_info_nce(*published_pixels(small, small_given, matched, shuffled), CONFIG.temperature)


def ours(subject: Subject) -> Tensor:
    return contrastive_loss(*subject, CONFIG, torch.Generator().manual_seed(0))


def chosen(subject: Subject) -> tuple[Tensor, Tensor]:
    """What our sampler takes: (S, D) of length one, and labels."""
    matched, shuffled, labels, given = subject
    truth, beside = (on_grid(t, tuple(matched.shape[-2:])).flatten() for t in (labels, given))
    own, other = sample_pixels(truth, beside, CONFIG, torch.Generator().manual_seed(0))
    flat = [half.movedim(1, -1).flatten(0, 2) for half in (matched, shuffled)]
    pixels = functional.normalize(torch.cat([flat[0][own], flat[1][other]]), dim=1)
    return pixels, torch.cat([truth[own], beside[other]])


def step(loss: Callable[[Subject], Tensor], subject: Subject) -> None:
    matched, shuffled = (t.detach().requires_grad_() for t in subject[:2])
    loss((matched, shuffled, *subject[2:])).backward()


def floor(pixels: Tensor) -> None:
    similarity = pixels @ pixels.T
    (similarity @ pixels).add_(similarity.T @ pixels)


def differences(pixels: Tensor, classes: Tensor) -> dict[str, float]:
    """Of the same pixels: the values in float64 and float32, and the gradients relative to the largest."""
    found = {}
    for name, dtype in (("float32", torch.float32), ("float64", torch.float64)):
        sides = []
        for loss in (info_nce, published_info_nce):
            z = pixels.detach().to(dtype).clone().requires_grad_()
            value = loss(z, classes, CONFIG.temperature)
            value.backward()
            assert z.grad is not None
            sides.append((value.detach(), z.grad))
        (a, da), (b, db) = sides
        found[f"value_{name}"] = float((a - b).abs())
        found[f"gradient_{name}"] = float((da - db).abs().max() / db.abs().max())
    return found


def figures(grid: int, width: int, repeats: int, clock: Clock, device: str) -> dict[str, Any]:
    subject = scene(grid, width, device)
    pixels, classes = chosen(subject)
    runs = {
        "ours": lambda: step(ours, subject),
        "published": lambda: step(published, subject),
        "floor": lambda: floor(pixels),
    }
    seconds = {name: spent.of(clock) for name, spent in in_turn(runs, repeats, device=device).items()}
    memory = {name: peak_bytes(runs[name], device) / 1e6 for name in ("ours", "published")}
    return {
        "grid": [grid, grid],
        "pixels_compared": len(pixels),
        "classes_compared": len(classes.unique()),
        "seconds": {name: round(value, 4) for name, value in seconds.items()},
        "ratio": round(seconds["ours"] / seconds["published"], 3),
        "peak_MB": {name: round(value) for name, value in memory.items()},
        "difference_on_the_same_pixels": differences(pixels, classes),
    }


def main() -> None:
    shared = parser(__doc__, threads=2, clock=True, device=True)
    shared.add_argument("--quick", action="store_true", help="the smaller grid with 32 channels, one run each")
    options = options_of(shared)
    torch.manual_seed(0)
    width, repeats = (32, 1) if options.quick else (304, 3)
    grids = [56] if options.quick else [56, 128]
    result = {
        "what": f"contrastive term, {BATCH} pictures, {width} channels, float32, forward and backward",
        **conditions(options),
        "cases": [figures(grid, width, repeats, options.clock, options.device) for grid in grids],
    }
    tell(result, options.out)


if __name__ == "__main__":
    main()
