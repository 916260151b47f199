"""QDFormer with ResNet-50 on a clip of five frames of 224 x 224: time, memory and parameters.

    python benchmarks/qdformer.py [--quick] [--threads 2] [--clock wall]

There is no published code. The plain side has the same weights and two parts written as their formulas stand: the mask
head sees, for every query of every layer, all channels of the map and the two of relative places; deformable attention
keeps all samples and sums them at the end (`deform.py`). Both sides run in turn in one process; each figure is the
fastest of its runs. Prints JSON.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from deform import plain as plain_samples
from harness import Clock, conditions, in_turn, options_of, parser, peak_bytes, peak_mib, tell
from torch import Tensor
from torch.nn import functional as F

from avseg.models import build_model
from avseg.models.qdformer.config import QDFormerConfig
from avseg.models.qdformer.model import QDFormer
from avseg.nn.dynamic_masks import dynamic_masks
from avseg.types import Batch, Clip, DenseTarget, Draw, Task

FRAMES = 5
MASKS, SAMPLES = "avseg.models.qdformer.heads.dynamic_masks", "avseg.nn.deform.sample_maps"


def plain_masks(
    features: Tensor,
    parameters: Tensor,
    places: Tensor,
    *,
    inner: int = 8,
    unit: float = 1.0,
    size: tuple[int, int] | None = None,
) -> Tensor:
    """Arguments and answer of `dynamic_masks`: one grouped convolution over a map of C + 2 channels for each query."""
    count, width, h, w = features.shape
    queries, (height, broad) = parameters.shape[1], size or (4 * h, 4 * w)
    x = (places[..., :1] * broad - (4 * torch.arange(w) + 2)) / unit  # (M, Q, w)
    y = (places[..., 1:] * height - (4 * torch.arange(h) + 2)) / unit  # (M, Q, h)
    ways = torch.stack([x[:, :, None].expand(-1, -1, h, -1), y[..., None].expand(-1, -1, -1, w)], 2)
    seen = torch.cat([features[:, None].expand(-1, queries, -1, -1, -1), ways], 2)  # (M, Q, C + 2, h, w)
    sizes = [inner * (width + 2), inner * inner, inner, inner, inner, 1]
    w1, w2, w3, b1, b2, b3 = (part.flatten(0, 1) for part in parameters.split(sizes, -1))
    groups, hidden = count * queries, seen.reshape(1, -1, h, w)
    for weight, bias, leaving in ((w1, b1, inner), (w2, b2, inner), (w3, b3, 1)):
        kernel = weight.reshape(groups * leaving, -1, 1, 1)
        hidden = F.conv2d(hidden, kernel, bias.flatten(), groups=groups)
        hidden = hidden if leaving == 1 else hidden.relu()
    return hidden.reshape(count, queries, h, w)


@contextmanager
def plainly() -> Iterator[None]:
    """The two parts as their formulas stand."""
    with patch(MASKS, plain_masks), patch(SAMPLES, plain_samples):
        yield


def subject(size: int) -> tuple[QDFormer, Batch]:
    """A model with random weights, and a clip whose five frames are labelled."""
    torch.manual_seed(0)
    model = build_model(QDFormerConfig(), Task("binary"))
    assert isinstance(model, QDFormer)
    labels = torch.zeros(FRAMES, size, size, dtype=torch.int64)
    labels[:, size // 4 : size // 2, size // 4 : size // 2] = 1
    clip = Clip(
        id="clip",
        frames=torch.randint(0, 256, (FRAMES, 3, size, size), dtype=torch.uint8),
        times=torch.arange(FRAMES, dtype=torch.float64),
        audio=0.1 * torch.randn(1, FRAMES * 16000),
        sample_rate=16000,
        target=DenseTarget(labels, torch.ones(FRAMES, dtype=torch.bool)),
    )
    batch = Batch.collate([clip])
    return model, Batch(**{**batch.__dict__, "draw": Draw(0, 0)})


def forward_figures(model: QDFormer, batch: Batch, repeats: int, clock: Clock) -> dict[str, Any]:
    model.eval()
    images = torch.randn(FRAMES, 3, *batch.frames.shape[-2:])
    sound = model.features(batch)

    def ours() -> Tensor:
        return model.network(images, sound, batch.valid).mask_logits

    def plain() -> Tensor:
        with plainly():
            return ours()

    with torch.inference_mode():
        difference = (ours() - plain()).abs().max().item()
        largest = ours().abs().max().item()
        runs = {
            "ours": ours,
            "plain": plain,
            "backbone": lambda: model.network.backbone(images),
            "vggish": lambda: model.features(batch),
        }
        seconds = {name: spent.of(clock) for name, spent in in_turn(runs, repeats).items()}
    return {
        "seconds": seconds,
        "ratio": seconds["ours"] / seconds["plain"],
        "floor_seconds": seconds["backbone"],
        "largest_difference_of_mask_logits": difference,
        "largest_mask_logit": largest,
    }


def step_figures(model: QDFormer, batch: Batch, repeats: int, clock: Clock) -> dict[str, Any]:
    model.train()

    def step() -> None:
        model.zero_grad()
        torch.stack(list(model.losses(model(batch), batch).values())).sum().backward()

    def plain() -> None:
        with plainly():
            step()

    images = torch.randn(FRAMES, 3, *batch.frames.shape[-2:])

    def backbone() -> None:
        sum(level.sum() for level in model.network.backbone(images)).backward()

    runs = {"ours": step, "plain": plain, "backbone": backbone}
    seconds = {name: spent.of(clock) for name, spent in in_turn(runs, repeats).items()}
    return {"seconds": seconds, "ratio": seconds["ours"] / seconds["plain"], "floor_seconds": seconds["backbone"]}


def mask_figures(size: int) -> dict[str, Any]:
    """Peak of what the masks of one layer allocate beyond their input, forward and backward."""
    torch.manual_seed(0)
    features = torch.randn(FRAMES, 256, size // 4, size // 4, requires_grad=True)
    parameters = (0.1 * torch.randn(FRAMES, 5, 2153)).requires_grad_()
    places = torch.rand(FRAMES, 5, 2)
    peaks = {
        name: peak_bytes(lambda form=form: form(features, parameters, places).sum().backward()) / 1e6
        for name, form in (("ours_MB", dynamic_masks), ("plain_MB", plain_masks))
    }
    return {**peaks, "ratio": peaks["ours_MB"] / peaks["plain_MB"]}


def main() -> None:
    shared = parser(__doc__, threads=2, clock=True)
    shared.add_argument("--quick", action="store_true", help="pictures of 96 pixels, two runs each")
    options = options_of(shared)
    size, repeats = (96, 2) if options.quick else (224, 4)
    model, batch = subject(size)
    parameters = {name: sum(p.numel() for p in part.parameters()) for name, part in model.network.named_children()}
    result = {
        "what": f"QDFormer ResNet-50, one clip of {FRAMES} frames of {size} x {size}, fp32",
        **conditions(options),
        "parameters": {**parameters, "all": sum(p.numel() for p in model.parameters())},
        "masks_of_a_layer_peak_memory": mask_figures(size),
        "forward": forward_figures(model, batch, repeats, options.clock),
        "training_step": step_figures(model, batch, repeats, options.clock),
    }
    result["peak_rss_MiB"] = round(peak_mib())
    tell(result, options.out)


if __name__ == "__main__":
    main()
