"""A turned clip: the same way for all frames and their truth, black and background outside."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from avseg.config import InputSpec
from avseg.data.affine import RandomAffine
from avseg.data.transforms import train_transforms
from avseg.datasets import data_config
from avseg.types import Clip, DenseTarget, InstanceTarget, TrackTarget


def marked() -> Clip:
    """A white square, label 3, the same in three frames."""
    labels = torch.zeros(3, 40, 60, dtype=torch.int64)
    labels[:, 5:15, 10:20] = 3
    return Clip(
        id="a",
        frames=torch.where(labels[:, None] > 0, 255, 7).expand(-1, 3, -1, -1).to(torch.uint8).contiguous(),
        times=torch.arange(3, dtype=torch.float64),
        audio=torch.zeros(1, 40),
        sample_rate=16000,
        target=DenseTarget(labels, torch.tensor([True, True, False]), torch.tensor([[False, False, True]] * 3)),
    )


def draw(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_truth_goes_where_the_picture_goes() -> None:
    clip = marked()
    for seed in range(4):
        turned = RandomAffine()(clip, draw(seed))
        target = turned.target
        assert isinstance(target, DenseTarget) and target.labels.dtype == torch.int64
        assert torch.equal(target.labels > 0, turned.frames[:, 0] == 255)
        assert torch.equal(turned.frames[0], turned.frames[2]) and not torch.equal(turned.frames, clip.frames)
        assert set(turned.frames.unique().tolist()) <= {0, 7, 255} and (turned.frames == 0).any()
        assert set(target.labels.unique().tolist()) == {0, 3}
        shrunk = int((target.labels[0] > 0).sum()) / 100
        assert 0.2 < shrunk < 1.1


def test_without_a_change_nothing_changes() -> None:
    still = RandomAffine(0.0, (1.0, 1.0), 0.0)(marked(), draw(0))
    assert torch.equal(still.frames, marked().frames)
    halved = RandomAffine(0.0, (0.5, 0.5), 0.0)(marked(), draw(0))
    assert isinstance(halved.target, DenseTarget) and int((halved.target.labels[0] > 0).sum()) == 25
    assert torch.equal(RandomAffine()(marked(), draw(1)).frames, RandomAffine()(marked(), draw(1)).frames)


def test_masks_of_instances_follow_and_run_lengths_are_refused() -> None:
    clip = marked()
    assert isinstance(clip.target, DenseTarget)
    masks, ids = (clip.target.labels > 0)[None], torch.tensor([1])
    instances = replace(clip, target=InstanceTarget(masks, ids, ids, torch.ones(3, dtype=torch.bool)))
    turned = RandomAffine()(instances, draw(0))
    assert isinstance(turned.target, InstanceTarget) and turned.target.masks.dtype == torch.bool
    assert torch.equal(turned.target.masks[0], turned.frames[:, 0] == 255)
    tracks = TrackTarget([[None] * 3], ids, ids, torch.ones(3, dtype=torch.bool), (40, 60))
    with pytest.raises(ValueError, match="select frames first"):
        RandomAffine()(replace(clip, target=tracks), draw(0))


def test_it_comes_behind_sizing_as_published() -> None:
    stages = train_transforms(data_config("s4", augment=("affine", "flip")), InputSpec())
    assert [type(stage).__name__ for stage in stages] == ["Geometry", "RandomAffine", "HorizontalFlip"]
    assert stages[1] == RandomAffine(recount=stages[1].recount)  # type: ignore[attr-defined]
