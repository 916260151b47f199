"""Picture, sound and truth change together; sizes follow the published rules."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from avseg.config import InputSpec
from avseg.data.transforms import (
    ColourJitter,
    Geometry,
    HorizontalFlip,
    Mute,
    apply,
    eval_transforms,
    train_transforms,
)
from avseg.datasets import data_config
from avseg.types import Clip, DenseTarget, InstanceTarget


def make_clip(height: int = 30, width: int = 50, channels: int = 2) -> Clip:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 71, (2, height, width), generator=generator)
    return Clip(
        id="a",
        frames=torch.randint(0, 256, (2, 3, height, width), generator=generator, dtype=torch.uint8),
        times=torch.arange(2, dtype=torch.float64),
        audio=torch.rand(channels, 40, generator=generator),
        sample_rate=16000,
        target=DenseTarget(labels, torch.tensor([True, False])),
    )


def instances(clip: Clip, count: int) -> InstanceTarget:
    masks = torch.rand(count, *clip.frames[:, 0].shape, generator=torch.Generator().manual_seed(1)) > 0.5
    ids = torch.arange(1, count + 1)
    return InstanceTarget(masks, ids, ids, torch.ones(2, dtype=torch.bool))


def draw(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_flip_swaps_left_and_right_of_picture_truth_and_sound() -> None:
    clip = make_clip()
    flipped = HorizontalFlip(1.0)(clip, draw())
    assert torch.equal(flipped.frames, clip.frames.flip(-1))
    assert torch.equal(flipped.target.labels, clip.target.labels.flip(-1))  # type: ignore[union-attr]
    assert torch.equal(flipped.audio, clip.audio[[1, 0]])
    mono = make_clip(channels=1)
    assert torch.equal(HorizontalFlip(1.0)(mono, draw()).audio, mono.audio)
    assert HorizontalFlip(0.0)(clip, draw()) is clip


def test_flip_happens_as_often_as_asked() -> None:
    clip, generator = make_clip(4, 4), draw()
    count = sum(HorizontalFlip(0.25)(clip, generator) is not clip for _ in range(400))
    assert 70 < count < 130


def test_flip_mirrors_instances() -> None:
    clip = make_clip()
    target = instances(clip, 3)
    flipped = HorizontalFlip(1.0)(replace(clip, target=target), draw()).target
    assert torch.equal(flipped.masks, target.masks.flip(-1))  # type: ignore[union-attr]


def test_training_of_avss_sizes_the_shorter_side_and_cuts_the_centre() -> None:
    clip = make_clip(30, 50)
    (geometry,) = train_transforms(data_config("avss"), InputSpec((16, 16)))
    sized = geometry(clip, draw())
    image = Image.fromarray(clip.frames[0].permute(1, 2, 0).numpy())
    # 16 / 30 * 50 = 26.67 -> 26; the margin (26 - 16) / 2 = 5
    wanted = np.array(image.resize((26, 16), Image.Resampling.BILINEAR))[:, 5:21]
    assert np.array_equal(sized.frames[0].permute(1, 2, 0).numpy(), wanted)
    labels = Image.fromarray(clip.target.labels[1].to(torch.uint8).numpy())  # type: ignore[union-attr]
    wanted = np.array(labels.resize((26, 16), Image.Resampling.NEAREST))[:, 5:21]
    assert np.array_equal(sized.target.labels[1].numpy(), wanted)  # type: ignore[union-attr]
    assert sized.output_size == (16, 16)


def test_upright_pictures_are_cut_above_and_below() -> None:
    sized = Geometry(InputSpec((16, 16)), crop=True)(make_clip(50, 30))
    assert sized.frames.shape[-2:] == (16, 16)
    wide = Geometry(InputSpec((20, 10)), crop=True)(make_clip(30, 50))
    assert wide.frames.shape[-2:] == (20, 10)


@pytest.mark.parametrize(
    ("name", "protocol", "labels"),
    [("s4", "published", (30, 50)), ("avss", "published", (16, 16)), ("avss", "repaired", (30, 50))],
)
def test_evaluation_keeps_labels_unless_the_protocol_sizes_them(
    name: str, protocol: str, labels: tuple[int, int]
) -> None:
    clip = make_clip()
    (geometry,) = eval_transforms(data_config(name), InputSpec((16, 16)), protocol)
    sized = geometry(clip, draw())
    image = Image.fromarray(clip.frames[1].permute(1, 2, 0).numpy()).resize((16, 16), Image.Resampling.BILINEAR)
    assert np.array_equal(sized.frames[1].permute(1, 2, 0).numpy(), np.array(image))
    assert tuple(sized.target.labels.shape[1:]) == labels == sized.output_size  # type: ignore[union-attr]
    with pytest.raises(ValueError, match="published, repaired"):
        eval_transforms(data_config(name), InputSpec(), "mine")


def test_pictures_of_the_right_size_are_left_alone() -> None:
    clip = make_clip(16, 16)
    for geometry in (Geometry(InputSpec((16, 16))), Geometry(InputSpec((16, 16)), crop=True)):
        assert torch.equal(geometry(clip).frames, clip.frames)


def test_a_clip_without_truth_wants_its_own_size_back() -> None:
    sized = Geometry(InputSpec((16, 16)))(replace(make_clip(), target=None))
    assert sized.output_size == (30, 50)


@pytest.mark.parametrize("count", [0, 2])
def test_instances_are_sized_with_the_frames(count: int) -> None:
    clip = make_clip()
    target = instances(clip, count)
    sized = Geometry(InputSpec((15, 25)))(replace(clip, target=target)).target
    assert sized.masks.shape == (count, 2, 15, 25)  # type: ignore[union-attr]
    assert torch.equal(sized.masks, target.masks[..., 1::2, 1::2])  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("spec", "size", "wanted"),
    [
        (InputSpec((224, 224)), (720, 1280), (224, 224)),
        (InputSpec((224, 224), "shorter_side"), (720, 1280), (224, 398)),
        (InputSpec((224, 224), "longer_side"), (720, 1280), (126, 224)),
        (InputSpec((224, 224), "longer_side", multiple_of=32), (720, 1280), (128, 224)),
        (InputSpec((224, 224), "keep", multiple_of=32), (1, 1), (32, 32)),
        (InputSpec((224, 224), "keep"), (37, 41), (37, 41)),
    ],
)
def test_input_sizes(spec: InputSpec, size: tuple[int, int], wanted: tuple[int, int]) -> None:
    assert spec.fitted(size) == wanted


def test_augmentations_are_named_in_the_config_and_draw_from_the_generator() -> None:
    config = data_config("s4", augment=("flip", "colour"))
    transforms = train_transforms(config, InputSpec((16, 16)))
    assert [type(t) for t in transforms] == [Geometry, HorizontalFlip, ColourJitter]
    clip = make_clip()
    first, again = (apply(transforms, clip, draw()) for _ in range(2))
    other = apply(transforms, clip, torch.Generator().manual_seed(5))
    assert torch.equal(first.frames, again.frames)
    assert not torch.equal(first.frames, other.frames)


def test_no_jitter_changes_nothing_and_all_frames_change_alike() -> None:
    clip = make_clip()
    assert torch.equal(ColourJitter(0.0)(clip, draw()).frames, clip.frames)
    still = replace(clip, frames=clip.frames[:1].repeat(2, 1, 1, 1))
    jittered = ColourJitter(0.5)(still, draw()).frames
    assert torch.equal(jittered[0], jittered[1])
    assert not torch.equal(jittered, still.frames)


def test_factors_of_the_jitter_lie_around_one() -> None:
    grey = replace(make_clip(), frames=torch.full((2, 3, 4, 4), 100, dtype=torch.uint8))
    seen = [float(ColourJitter(0.3)(grey, draw(seed)).frames[0, 0, 0, 0]) for seed in range(60)]
    assert 70 <= min(seen) < 80 and 120 < max(seen) <= 130


def test_muting_takes_the_sound_and_what_sounded_with_it() -> None:
    clip = make_clip()
    labels = clip.target.labels.clone()  # type: ignore[union-attr]
    labels[0, 0] = 255
    sounding = torch.ones(2, 8, dtype=torch.bool)
    heard = replace(clip, target=DenseTarget(labels, torch.tensor([True, False]), sounding))
    muted = Mute(1.0)(heard, draw())
    assert muted.audio.shape == clip.audio.shape and not muted.audio.any()
    assert torch.equal(muted.frames, clip.frames)
    assert set(muted.target.labels.unique().tolist()) == {0, 255}  # type: ignore[union-attr]
    assert torch.equal(muted.target.labels == 255, labels == 255)  # type: ignore[union-attr]
    assert muted.target.sounding.shape == (2, 8) and not muted.target.sounding.any()  # type: ignore[union-attr]
    assert Mute(0.0)(heard, draw()) is heard
    assert not Mute(1.0)(replace(clip, target=instances(clip, 3)), draw()).target.masks.any()  # type: ignore[union-attr]
    with pytest.raises(ValueError, match="cannot be muted"):
        Mute()(replace(clip, audio_features=torch.zeros(2, 1, 96, 64)), draw())


@pytest.mark.parametrize(
    ("name", "protocol", "labels_at", "labels"),
    [
        ("avss", "published", "file", (30, 50)),
        ("avss", "cavp", "auto", (30, 50)),
        ("avss", "cavp", "input", (16, 16)),
        ("s4", "repaired", "input", (16, 16)),
        ("s4", "avsegformer_512", "auto", (512, 512)),
        ("ms3", "avsegformer_224", "auto", (224, 224)),
        ("s4", "avsegformer_512", "file", (30, 50)),
    ],
)
def test_where_predictions_are_judged_can_be_chosen(
    name: str, protocol: str, labels_at: Any, labels: tuple[int, int]
) -> None:
    (geometry,) = eval_transforms(data_config(name, labels_at=labels_at), InputSpec((16, 16)), protocol)
    sized = geometry(make_clip(30, 50), draw())
    assert sized.frames.shape[-2:] == (16, 16)
    assert sized.output_size == labels
    assert isinstance(sized.target, DenseTarget) and sized.target.labels.shape[-2:] == labels
