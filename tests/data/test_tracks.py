"""What training draws of long clips: frames before they are read, and parts that move through them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from aviseg_folder import A, AVISegFolder, B, C, make, mask
from avseg.config import InputSpec
from avseg.data import build_dataset, make_loader
from avseg.data.geometry import Geometry
from avseg.data.tracks import MovingCrop, Rasterise, SeenTracks, ShorterSide, SomeFrames, as_masks
from avseg.data.transforms import HorizontalFlip, apply, train_transforms
from avseg.datasets import data_config
from avseg.types import Batch, Clip, Draw, InstanceTarget

SPEC = InputSpec((20, 20), rule="shorter_side", longest=40)


def draw(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def choices(chooser: SomeFrames, frames: int, count: int = 400) -> list[list[int]]:
    return [chooser.choose(range(frames), draw(seed)) for seed in range(count)]


def make_clip(frames: int = 5, height: int = 72, width: int = 128, instances: int = 2) -> Clip:
    """Every pixel tells its place: red the row, green the column; masks are where red is small, one a frame later."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    picture = torch.stack([rows, columns, rows * 0]).to(torch.uint8)
    masks = torch.zeros(instances, frames, height, width, dtype=torch.bool)
    for n in range(instances):
        masks[n, :, : 10 + n] = True
    ids = torch.arange(1, instances + 1)
    return Clip(
        id="a",
        frames=picture.expand(frames, -1, -1, -1).clone(),
        times=torch.arange(frames, dtype=torch.float64),
        audio=torch.zeros(1, 8),
        sample_rate=8,
        target=InstanceTarget(masks, ids, ids, torch.ones(frames, dtype=torch.bool)),
    )


def target_of(clip: Clip) -> InstanceTarget:
    assert isinstance(clip.target, InstanceTarget)
    return clip.target


def test_frames_are_drawn_once_each_around_one_that_may_be_any() -> None:
    drawn = choices(SomeFrames(5, reach=6), 60)
    assert all(len(set(frames)) == 5 and frames == sorted(frames) for frames in drawn)
    assert all(frames[-1] - frames[0] <= 12 for frames in drawn)
    assert max(frames[-1] - frames[0] for frames in drawn) > 8
    seen = Counter(frame for frames in drawn for frame in frames)
    assert set(seen) == set(range(60)) and max(seen.values()) < 6 * min(seen.values())
    assert len({tuple(frames) for frames in drawn}) > 350


def test_with_replacement_a_frame_may_come_twice_but_the_first_drawn_is_not_drawn_again() -> None:
    drawn = choices(SomeFrames(5, reach=2, replacement=True), 60)
    assert all(len(frames) == 5 and len(set(frames)) > 1 for frames in drawn)
    twice = sum(len(set(frames)) < 5 for frames in drawn) / len(drawn)
    # Four draws among four others agree somewhere with probability 1 - 4! / 4^4 = 0.906 (more at the ends).
    assert 0.85 < twice < 0.97


@pytest.mark.parametrize("replacement", [True, False])
@pytest.mark.parametrize("frames", [1, 2, 4])
def test_short_videos_fill_up_with_frames_they_have(frames: int, replacement: bool) -> None:
    drawn = choices(SomeFrames(5, 20, replacement), frames, 50)
    assert all(len(chosen) == 5 and set(chosen) <= set(range(frames)) for chosen in drawn)
    if not replacement:
        assert all(set(chosen) == set(range(frames)) for chosen in drawn)


def test_one_frame_alone_may_be_wanted() -> None:
    assert {tuple(frames) for frames in choices(SomeFrames(1), 3)} == {(0,), (1,), (2,)}


def test_drawn_frames_become_masks_of_those_that_are_seen(tmp_path: Path) -> None:
    make(tmp_path)
    dataset: Any = build_dataset(data_config("aviseg", root=tmp_path), "train")
    clip = dataset.read(0, None, [1, 2, 4])
    target = target_of(Rasterise()(clip))
    assert target.classes.tolist() == [3, 1] and target.track_ids.tolist() == [11, 12]  # the third is silent here
    empty = np.zeros_like(mask(A))
    wanted = np.stack([[mask(A), empty, empty], [mask(B), mask(B), empty]])
    assert np.array_equal(target.masks.numpy(), wanted)
    silent = as_masks(dataset.read(0, None, [4, 4]).target)
    assert silent.masks.shape == (0, 2, 24, 32) and silent.classes.tolist() == []


def test_instances_that_a_crop_has_lost_are_left_out() -> None:
    clip = make_clip(instances=3)
    target = target_of(clip)
    masks = target.masks.clone()
    masks[1] = False
    seen = target_of(SeenTracks()(replace(clip, target=replace(target, masks=masks))))
    assert seen.classes.tolist() == [1, 3] and torch.equal(seen.masks, masks[[0, 2]])
    assert SeenTracks()(clip, draw()) is clip


def test_the_shorter_side_is_one_of_a_list_and_the_longer_is_limited() -> None:
    clip, sizes = make_clip(1), set()
    for seed in range(30):
        sized = ShorterSide((36, 54, 90), 130)(clip, draw(seed))
        sizes.add(tuple(sized.frames.shape[-2:]))
        assert sized.output_size == tuple(sized.frames.shape[-2:]) == tuple(target_of(sized).masks.shape[-2:])
    assert sizes == {(36, 64), (54, 96), (73, 130)}  # int(72 * 130 / 128 + 0.5)
    sized = ShorterSide((36,), 130)(clip, draw())
    image = Image.fromarray(clip.frames[0].permute(1, 2, 0).numpy()).resize((64, 36), Image.Resampling.BILINEAR)
    assert np.array_equal(sized.frames[0].permute(1, 2, 0).numpy(), np.array(image))


def test_a_crop_moves_along_a_line_and_masks_follow() -> None:
    crop = MovingCrop(1.0, ShorterSide((72,), 1333), least=20, most=30)
    clip = make_clip(6)
    sizes, downwards, moved = set(), Counter[bool](), 0
    for seed in range(200):
        cut = crop(clip, draw(seed))
        tops, lefts = cut.frames[:, 0, 0, 0].long(), cut.frames[:, 1, 0, 0].long()
        height, width = cut.frames.shape[-2:]
        sizes |= {height, width}
        for t, (top, left) in enumerate(zip(tops.tolist(), lefts.tolist(), strict=True)):
            part = (slice(None), slice(top, top + height), slice(left, left + width))
            assert torch.equal(cut.frames[t], clip.frames[t][part])
            assert torch.equal(target_of(cut).masks[:, t], target_of(clip).masks[:, t][part])
        steps = [int(b - a) for a, b in pairwise(tops + lefts)]
        assert min(steps) >= 0 or max(steps) <= 0
        if any(steps):
            downwards[max(steps) > 0] += 1
        # Both follow one line: their shares of the whole way agree to within a pixel of rounding.
        if (down := int(tops.max() - tops.min())) > 8 and (right := int(lefts.max() - lefts.min())) > 8:
            moved += 1
            shares = (tops - tops.min()) / down - (lefts - lefts.min()) / right
            assert float(shares.abs().max()) < 0.25
        assert cut.output_size == (height, width)
    assert sizes == set(range(20, 31)) and moved > 20
    assert 0.35 < downwards[True] / downwards.total() < 0.65


def test_a_crop_takes_no_more_than_there_is_and_happens_half_of_the_time() -> None:
    clip = make_clip(2, 10, 50)
    cut = MovingCrop(1.0, ShorterSide((10,), 50))(clip, draw())
    assert torch.equal(cut.frames, clip.frames)
    cropped = sum(MovingCrop(0.5, ShorterSide((5,), 50))(clip, draw(seed)) is not clip for seed in range(200))
    assert 75 < cropped < 125


def test_the_published_ranges() -> None:
    assert MovingCrop() == MovingCrop(0.5, ShorterSide((400, 500, 600), 1333), 384, 600)
    config = data_config("aviseg", augment=("some_frames", "moving_crop", "shorter_side", "flip"))
    stages = train_transforms(config, InputSpec())
    sides = (288, 320, 352, 384, 416, 448, 480, 512)
    assert stages == [
        SomeFrames(5, 20), Rasterise(), MovingCrop(), ShorterSide(sides, 768), HorizontalFlip(0.5), SeenTracks()
    ]  # fmt: skip
    published = train_transforms(replace(config, compat=("replacement",)), InputSpec())
    assert published[0] == SomeFrames(5, 20, replacement=True)


def test_without_a_size_of_its_own_training_sees_that_of_the_network() -> None:
    stages = train_transforms(data_config("aviseg", augment=("some_frames", "flip"), clip_frames=3), SPEC)
    assert stages == [SomeFrames(3, 20), Rasterise(), Geometry(SPEC), HorizontalFlip(), SeenTracks()]


@pytest.mark.parametrize("augment", [("some_frames", "flip"), ("some_frames", "moving_crop", "shorter_side", "flip")])
@pytest.mark.parametrize("workers", [0, 1])
def test_a_loader_draws_frames_before_it_reads(tmp_path: Path, augment: Any, workers: int) -> None:
    make(tmp_path)
    sides = {"sides": (18, 30)} if "shorter_side" in augment else {}
    config = data_config("aviseg", root=tmp_path, augment=augment, clip_frames=3, reach=2, **sides)
    dataset = build_dataset(config, "train")
    stages = train_transforms(config, SPEC)
    wanted = apply(stages, dataset[0], Draw(2, 0).generator(0))
    [chosen] = [SomeFrames(3, 2).choose(range(6), Draw(2, 0).generator(0))]
    for k in set(range(6)) - set(chosen):
        (tmp_path / f"train/JPEGImages/aa/{k:05d}.jpg").unlink()
    [batch] = list(make_loader(dataset, stages, batch_size=1, seed=2, workers=workers))
    assert batch.times[0].tolist() == wanted.times.tolist() == [float(k) for k in chosen]
    assert torch.equal(batch.frames[0], wanted.frames) and batch.targets is not None
    target = batch.targets[0]
    assert isinstance(target, InstanceTarget)
    assert torch.equal(target.masks, target_of(wanted).masks)
    assert target.masks.shape[-2:] == batch.frames.shape[-2:]


def test_clips_of_several_sizes_and_of_no_instance_share_a_batch(tmp_path: Path) -> None:
    folder: AVISegFolder = make(tmp_path)
    folder.video("train", "tall", 2, (40, 20))
    folder.track("train", "tall", 5, [C, None])
    folder.save()
    augment = ("some_frames", "shorter_side", "flip")
    config = data_config("aviseg", root=tmp_path, augment=augment, sides=(20,), silent_videos=True)
    stages = train_transforms(config, SPEC)
    batch = next(iter(make_loader(build_dataset(config, "train"), stages, batch_size=3)))
    assert batch.ids == ["aa", "quiet", "tall"]
    assert batch.frames.shape == (3, 5, 3, 40, 27) and batch.valid.all()
    assert batch.sizes.tolist() == [[20, 27], [20, 27], [40, 20]]
    assert batch.targets is not None
    shapes = [tuple(target.masks.shape) for target in batch.targets if isinstance(target, InstanceTarget)]
    # Masks stay on the grid of their own clip, as its frames are before they are filled up.
    assert shapes[1:] == [(0, 5, 20, 27), (1, 5, 40, 20)] and shapes[0][1:] == (5, 20, 27)
    assert isinstance(batch, Batch) and not batch.frames[2, :, :, :, 20:].any()


def test_run_lengths_are_neither_mirrored_nor_cut(tmp_path: Path) -> None:
    make(tmp_path)
    clip = build_dataset(data_config("aviseg", root=tmp_path), "train")[0]
    for transform in (HorizontalFlip(1.0), MovingCrop(1.0)):
        with pytest.raises(ValueError, match="some_frames"):
            transform(clip, draw())


def test_ranges_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match=r"0 frames within 20.*--data.clip-frames"):
        SomeFrames(0)
    with pytest.raises(ValueError, match=r"shorter sides are \(\).*--data.sides"):
        ShorterSide((), 768)
    with pytest.raises(ValueError, match="remove the augmentation that selects frames"):
        SomeFrames()(replace(make_clip(), target=None), draw())
