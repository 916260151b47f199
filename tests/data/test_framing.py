"""One frame, a scale, a part: what is drawn for training, and that sound and picture stay on the same side."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import functional as torchvision

from avseg.config import InputSpec
from avseg.data import DataConfig, build_dataset, make_loader, train_transforms
from avseg.data.framing import OneFrame, RandomCrop, RandomScale, Resize, Window, recounted
from avseg.data.geometry import Geometry
from avseg.data.jitter import Jitter, Photometric, turn_hue
from avseg.data.sound import pan
from avseg.data.transforms import HorizontalFlip, apply, recount_of
from avseg.datasets import data_config
from avseg.types import Clip, DenseTarget, Draw, InstanceTarget

CAVP = ("one_frame", "flip", "scale", "jitter", "size")


def make_clip(frames: int = 2, height: int = 30, width: int = 50, classes: int = 5) -> Clip:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, classes + 1, (frames, height, width), generator=generator)
    return Clip(
        id="a",
        frames=torch.randint(0, 256, (frames, 3, height, width), generator=generator, dtype=torch.uint8),
        times=torch.arange(frames, dtype=torch.float64),
        audio=torch.rand(2, 40, generator=generator),
        sample_rate=16000,
        target=DenseTarget(labels, torch.ones(frames, dtype=torch.bool), torch.ones(frames, classes, dtype=torch.bool)),
    )


def draw(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def labels_of(clip: Clip) -> torch.Tensor:
    assert isinstance(clip.target, DenseTarget)
    return clip.target.labels


def sounding_of(clip: Clip) -> list[list[bool]]:
    assert isinstance(clip.target, DenseTarget) and clip.target.sounding is not None
    return clip.target.sounding.tolist()


def test_one_frame_is_drawn_among_the_annotated_ones() -> None:
    clip = make_clip(6)
    assert isinstance(clip.target, DenseTarget)
    annotated = torch.tensor([False, True, True, False, True, False])
    clip = replace(clip, target=replace(clip.target, annotated=annotated))
    seen = {OneFrame()(clip, draw(seed)).times.item() for seed in range(60)}
    assert seen == {1.0, 2.0, 4.0}
    kept = OneFrame()(clip, draw(1))
    number = int(kept.times.item())
    assert torch.equal(kept.frames, clip.frames[number : number + 1])
    assert torch.equal(kept.audio, clip.audio)
    with pytest.raises(ValueError, match="no annotated frame"):
        OneFrame()(replace(clip, target=None), draw())


def test_scale_takes_each_factor_and_cuts_sides_to_whole_pixels() -> None:
    clip = make_clip(1, 31, 51)
    sizes = {RandomScale((0.5, 1.0, 1.5))(clip, draw(seed)).frames.shape[-2:] for seed in range(40)}
    assert sizes == {(15, 25), (31, 51), (46, 76)}
    scaled = RandomScale((0.5,))(clip, draw())
    image = Image.fromarray(clip.frames[0].permute(1, 2, 0).numpy())
    assert np.array_equal(
        scaled.frames[0].permute(1, 2, 0).numpy(), np.array(image.resize((25, 15), Image.Resampling.BICUBIC))
    )
    labels = Image.fromarray(labels_of(clip)[0].numpy().astype(np.uint8))
    assert np.array_equal(labels_of(scaled)[0].numpy(), np.array(labels.resize((25, 15), Image.Resampling.NEAREST)))


@pytest.mark.parametrize("scales", [(), (0.0, 1.0)])
def test_scales_that_leave_nothing_are_refused(scales: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="one or more factors above 0"):
        RandomScale(scales)


def test_crop_takes_the_same_part_of_picture_and_labels_everywhere() -> None:
    clip = make_clip(2, 40, 60)
    rows, columns = torch.meshgrid(torch.arange(40), torch.arange(60), indexing="ij")
    frames = torch.stack([rows, columns, rows + columns]).to(torch.uint8).expand(2, 3, 40, 60).contiguous()
    clip = replace(clip, frames=frames)
    corners = set()
    for seed in range(200):
        part = RandomCrop((39, 58))(clip, draw(seed))
        top, left = int(part.frames[0, 0, 0, 0]), int(part.frames[0, 1, 0, 0])
        assert torch.equal(part.frames, frames[..., top : top + 39, left : left + 58])
        assert torch.equal(labels_of(part), labels_of(clip)[:, top : top + 39, left : left + 58])
        assert part.output_size == (39, 58)
        corners.add((top, left))
    assert corners == {(top, left) for top in range(2) for left in range(3)}


def test_small_pictures_are_filled_up_on_the_right_and_below() -> None:
    clip = make_clip(2, 20, 70)
    part = RandomCrop((32, 64))(clip, draw())
    assert part.frames.shape == (2, 3, 32, 64)
    assert part.frames[:, :, 20:].flatten(2).unique(dim=2).squeeze(2).tolist() == [[123, 116, 103]] * 2
    assert labels_of(part)[:, 20:].unique().tolist() == [255]
    assert labels_of(part)[:, :20].max() <= 5
    right = RandomCrop((16, 80))(clip, draw())
    assert torch.equal(right.frames[..., :70], clip.frames[:, :, (top := find_row(clip, right)) : top + 16])
    assert labels_of(right)[..., 70:].unique().tolist() == [255]


def find_row(clip: Clip, part: Clip) -> int:
    return next(row for row in range(20) if torch.equal(clip.frames[0, :, row], part.frames[0, :, 0, :70]))


def test_crop_cuts_instances_too() -> None:
    clip = make_clip(2, 20, 70)
    masks = torch.ones(3, 2, 20, 70, dtype=torch.bool)
    ids = torch.arange(1, 4)
    part = RandomCrop((32, 64))(replace(clip, target=InstanceTarget(masks, ids, ids, clip.times >= 0)), draw())
    assert isinstance(part.target, InstanceTarget)
    assert part.target.masks.shape == (3, 2, 32, 64)
    assert part.target.masks[:, :, :20].all() and not part.target.masks[:, :, 20:].any()


def test_sounding_follows_the_labels_that_are_left() -> None:
    labels = torch.tensor([[[0, 2, 255]], [[0, 255, 255]], [[1, 5, 3]]])
    everything = torch.ones(3, 5, dtype=torch.bool)
    target = DenseTarget(labels, torch.tensor([True, True, False]), everything)
    by_labels, foreground, kept = (recounted(target, rule) for rule in ("labels", "foreground", "keep"))  # type: ignore[arg-type]
    assert by_labels.sounding.int().tolist() == [[0, 1, 0, 0, 0], [0] * 5, [1] * 5]  # type: ignore[union-attr]
    assert foreground.sounding.int().tolist() == [[1] * 5, [0] * 5, [1] * 5]  # type: ignore[union-attr]
    assert kept is target


@pytest.mark.parametrize(
    ("name", "binary", "rule"),
    [
        ("avss", False, "labels"),
        ("avss", True, "foreground"),
        ("s4", False, "foreground"),
        ("single", False, "labels"),
        ("vpo_ss", False, "keep"),
        ("vpo_ms", False, "labels"),
        ("vpo_msmi", False, "labels"),
        ("synth", False, "keep"),
    ],
)
def test_each_data_set_has_its_rule(name: str, binary: bool, rule: str) -> None:
    config = data_config(name, augment=("crop",), **({"binary": True} if binary else {}))
    assert recount_of(config) == rule
    assert train_transforms(config, InputSpec((8, 8))) == [RandomCrop((8, 8), rule)]  # type: ignore[arg-type]


def test_size_and_crop_stand_where_they_are_named() -> None:
    spec = InputSpec((24, 20), interpolation="bicubic")
    stages = train_transforms(data_config("avss", augment=("flip", "size", "mute")), spec)
    assert isinstance(stages[0], HorizontalFlip)
    assert stages[1] == Resize(spec, "labels")
    assert stages[1](make_clip(), draw()).frames.shape[-2:] == (24, 20)  # no centre of the shorter side here
    plain = train_transforms(data_config("avss", augment=("one_frame", "flip")), spec)
    assert [type(stage) for stage in plain] == [OneFrame, Geometry, HorizontalFlip]
    with pytest.raises(ValueError, match="did you mean 'flip'"):
        train_transforms(DataConfig(augment=("flop",)), spec)  # type: ignore[arg-type]


def test_size_recounts_what_is_left() -> None:
    clip = make_clip(1, 40, 40)
    labels = torch.zeros(1, 40, 40, dtype=torch.int64)
    labels[0, 0, 0], labels[0, 20:] = 1, 3
    clip = replace(clip, target=replace(clip.target, labels=labels))
    sized = Resize(InputSpec((4, 4)), "labels")(clip, draw())
    assert sounding_of(sized) == [[False, False, True, False, False]]


def test_steps_of_jitter_are_those_of_torchvision() -> None:
    clip = make_clip(1, 40, 30)
    image = Image.fromarray(clip.frames[0].permute(1, 2, 0).numpy())
    for turn in (-0.25, -0.07, 0.0, 0.25):
        assert np.array_equal(np.array(turn_hue(image, turn)), np.array(torchvision.adjust_hue(image, turn)))
    for seed in range(6):
        generator = draw(seed)
        order = torch.randperm(4, generator=generator).tolist()
        amounts = ((2 * torch.rand(4, generator=generator) - 1) * torch.tensor([0.5, 0.5, 0.5, 0.25])).tolist()
        wanted = image
        for step in order:
            change = (
                torchvision.adjust_brightness,
                torchvision.adjust_contrast,
                torchvision.adjust_saturation,
                torchvision.adjust_hue,
            )[step]
            wanted = change(wanted, amounts[step] + (0 if step == 3 else 1))
        found = Jitter()(clip, draw(seed)).frames[0].permute(1, 2, 0).numpy()
        assert np.array_equal(found, np.array(wanted))


def test_jitter_changes_all_frames_alike() -> None:
    clip = make_clip(1)
    twice = replace(clip.take([0, 0]), target=None)
    jittered = Jitter()(twice, draw(3)).frames
    assert torch.equal(jittered[0], jittered[1])
    assert not torch.equal(jittered[0], clip.frames[0])


def sided_clip() -> Clip:
    """A thing far on the left, heard there."""
    labels = torch.zeros(1, 64, 96, dtype=torch.int64)
    labels[:, 20:44, 2:14] = 1
    frames = (labels[:, None] * 200).to(torch.uint8).expand(1, 3, 64, 96).contiguous()
    audio = pan(torch.sin(torch.arange(400.0)), position=8 / 96)
    target = DenseTarget(labels, torch.ones(1, dtype=torch.bool), torch.ones(1, 1, dtype=torch.bool))
    return Clip("a", frames, torch.zeros(1, dtype=torch.float64), audio, 16000, -1.5, target)


def sides(config: DataConfig) -> tuple[torch.Tensor, torch.Tensor]:
    """Where a thing is seen and where it is heard, negative on the left, in 1,000 draws of the training transforms."""
    clip, transforms = sided_clip(), train_transforms(config, InputSpec((48, 48)))
    seen, heard = [], []
    for index in range(1000):
        changed = apply(transforms, clip, Draw(5, 0).generator(index))
        thing = (labels_of(changed)[0] == 1).nonzero()[:, 1].float()
        if len(thing):
            seen.append(float(thing.mean() + 0.5) / 48 - 0.5)
            left, right = changed.audio.square().mean(1).tolist()
            heard.append(right - left)
    return torch.tensor(seen), torch.tensor(heard)


@pytest.mark.parametrize(("name", "last"), [("vpo_ss", "size"), ("vpo_msmi", "crop")])
def test_a_thing_is_heard_where_it_is_seen_through_all_transforms(name: str, last: Any) -> None:
    config = data_config(name, stereo=True, augment=("flip", "scale", "jitter", last), scales=(0.75, 1.0, 2.0))
    seen, heard = sides(config)
    assert len(seen) == 1000 if last == "size" else len(seen) > 200  # a crop may lose the thing
    assert 0.4 < (seen > 0).float().mean() < 0.6
    assert torch.equal(seen > 0, heard > 0)
    assert torch.corrcoef(torch.stack([seen, heard]))[0, 1] > 0.9


def test_half_of_the_things_are_heard_on_the_wrong_side_as_published() -> None:
    config = data_config("vpo_ss", stereo=True, augment=("flip", "scale", "size"), compat=("mono_flip",))
    seen, heard = sides(config)
    wrong = ((seen > 0) != (heard > 0)).float().mean()
    assert 0.4 < wrong < 0.6


@pytest.mark.parametrize("augment", [CAVP, ("one_frame", "flip")])
def test_a_loader_draws_the_frame_before_it_reads(avss: Any, augment: Any) -> None:
    config = data_config("avss", root=avss.root, augment=augment)
    dataset: Any = build_dataset(config, "train")
    transforms = train_transforms(config, InputSpec((16, 16)))
    wanted = [apply(transforms, dataset[i], Draw(2, 0).generator(i)) for i in range(3)]
    batch = next(iter(make_loader(dataset, transforms, batch_size=3, seed=2)))
    assert batch.frames.shape == (3, 1, 3, 16, 16)  # not padded to ten frames
    assert torch.equal(batch.frames, torch.stack([clip.frames for clip in wanted]))
    assert batch.times.tolist() == [clip.times.tolist() for clip in wanted]
    assert batch.times[0].item() == 0.0  # the only annotated frame of a v1s clip
    assert batch.targets is not None
    for target, clip in zip(batch.targets, wanted, strict=True):
        assert isinstance(target, DenseTarget)
        assert torch.equal(target.labels, labels_of(clip))
        if "size" in augment:  # counted behind it; otherwise at the size at which labels are read
            assert target.sounding is not None and target.sounding.tolist() == sounding_of(clip)


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (1, 2, 0), (2, 1, 0), (0, 1)])
def test_a_reader_takes_over_the_first_transforms_alone_in_any_order(avss: Any, order: tuple[int, ...]) -> None:
    dataset: Any = build_dataset(data_config("avss", root=avss.root), "train")
    stages = [(OneFrame(), Geometry(InputSpec((16, 16))), HorizontalFlip(1.0))[number] for number in order]
    wanted = [apply(stages, dataset[i], Draw(2, 0).generator(i)) for i in range(3)]
    batch = next(iter(make_loader(dataset, stages, batch_size=3, seed=2)))
    for frames, target, clip in zip(batch.frames, batch.targets or [], wanted, strict=True):
        assert torch.equal(frames[: len(clip.frames)], clip.frames)
        assert isinstance(target, DenseTarget) and torch.equal(target.labels, labels_of(clip))


def test_frames_that_are_not_drawn_are_not_opened(avss: Any) -> None:
    config = data_config("avss", root=avss.root, augment=CAVP)
    dataset = build_dataset(config, "train")
    transforms = train_transforms(config, InputSpec((16, 16)))
    place = dataset.ids.index("u4")
    [first] = OneFrame().choose(range(10), Draw(2, 0).generator(place))
    for number in range(10):
        if number != first:
            (avss.root / f"v2/u4/frames/{number}.jpg").unlink()
            (avss.root / f"v2/u4/labels_rgb/{number}.png").unlink()
    loader = make_loader(dataset, transforms, batch_size=3, seed=2)
    assert next(iter(loader)).times[place].item() == first
    loader.set_position(epoch=1)
    [other] = OneFrame().choose(range(10), Draw(2, 1).generator(place))
    assert other != first
    with pytest.raises(FileNotFoundError, match=f"{other}.jpg"):
        next(iter(loader))


def test_a_window_is_frames_that_follow_each_other_with_a_label_among_them() -> None:
    clip = make_clip(10)
    assert isinstance(clip.target, DenseTarget)
    seen = {tuple(Window(5)(clip, draw(seed)).times.tolist()) for seed in range(60)}
    assert seen == {tuple(float(first + k) for k in range(5)) for first in range(6)}
    only = replace(clip, target=replace(clip.target, annotated=torch.arange(10) == 1))
    assert {int(Window(3)(only, draw(seed)).times[0]) for seed in range(30)} == {0, 1}
    assert torch.equal(Window(12)(clip, draw()).frames, clip.frames)
    with pytest.raises(ValueError, match="at least one"):
        Window(0)


def test_a_loader_draws_a_window_before_it_reads(avss: Any) -> None:
    """Five of ten frames; a clip of five stays whole, and no batch is padded to ten."""
    config = data_config("avss", root=avss.root, augment=("window", "size", "flip"), clip_frames=5)
    dataset: Any = build_dataset(config, "train")
    transforms = train_transforms(config, InputSpec((16, 16)))
    wanted = [apply(transforms, dataset[i], Draw(2, 0).generator(i)) for i in range(3)]
    batch = next(iter(make_loader(dataset, transforms, batch_size=3, seed=2)))
    assert batch.frames.shape == (3, 5, 3, 16, 16) and bool(batch.valid.all())
    assert torch.equal(batch.frames, torch.stack([clip.frames for clip in wanted]))
    place = dataset.ids.index("u4")
    chosen = Window(5).choose(range(10), Draw(2, 0).generator(place), dataset.length(place))
    assert dataset.length(place) == 10 and batch.times[place].tolist() == [float(k) for k in chosen]
    for number in set(range(10)) - set(chosen):
        (avss.root / f"v2/u4/frames/{number}.jpg").unlink()
    next(iter(make_loader(dataset, transforms, batch_size=3, seed=2)))


def test_photometric_changes_colours_of_a_clip_alike() -> None:
    clip = make_clip(1)
    twice = replace(clip.take([0, 0]), id="twice")
    changed = [Photometric()(twice, draw(seed)).frames for seed in range(40)]
    assert all(torch.equal(frames[0], frames[1]) for frames in changed)
    assert torch.equal(Photometric(probability=0.0)(clip, draw()).frames, clip.frames)
    same = sum(torch.equal(frames[0], clip.frames[0]) for frames in changed)
    assert 0 < same < 10  # one in sixteen changes nothing


def test_each_part_of_photometric_does_what_its_name_says() -> None:
    """Brightness adds, contrast multiplies, saturation and hue leave the mean of the channels."""
    off: dict[str, float] = {"probability": 1.0, "brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0}
    clip = make_clip(2)
    frames = clip.frames // 4 + 96  # so that nothing is cut off
    clip = replace(clip, frames=frames)

    def changed(seed: int = 1, **own: float) -> torch.Tensor:
        return Photometric(**{**off, **own})(clip, draw(seed)).frames.float()

    plain = frames.float()
    added = changed(brightness=32.0) - plain
    assert added.unique().numel() == 1 and 0 < abs(float(added[0, 0, 0, 0])) <= 32
    factor = changed(contrast=0.5) / plain
    assert float(factor.max() - factor.min()) < 0.01 and abs(float(factor.mean()) - 1) > 0.01
    for own in ({"saturation": 0.5}, {"hue": 18.0}):
        after = changed(**own)
        assert float((after.mean(1) - plain.mean(1)).abs().max()) <= 0.51 and not torch.equal(after, plain)
    away, before = (x - x.mean(1, keepdim=True) for x in (changed(hue=18.0), plain))
    assert float((away.norm(dim=1) - before.norm(dim=1)).abs().max()) < 1.0  # turned, as colourful as before
    stronger = changed(saturation=0.5)
    share = (stronger - stronger.mean(1, keepdim=True)).norm() / before.norm()
    assert 0.5 <= float(share) <= 1.5 and abs(float(share) - 1) > 0.01
