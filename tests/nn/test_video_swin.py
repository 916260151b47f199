"""Video Swin against torchvision's own network."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torchvision.models.video import swin3d_t
from torchvision.models.video.swin_transformer import SwinTransformer3d

from avseg.nn.backbones import make_backbone
from avseg.nn.video_swin import VideoSwin, one_frame_patches

SMALL: dict[str, Any] = {"embed_dim": 12, "depths": [2, 1, 2, 1], "num_heads": [1, 2, 3, 4], "window_size": [4, 3, 3]}


def small(**options: Any) -> VideoSwin:
    torch.manual_seed(0)
    swin = make_backbone("video_swin_tiny", {**SMALL, **options})
    assert isinstance(swin, VideoSwin)
    for parameter in swin.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return swin.eval()


def pictures(count: int, height: int = 48, width: int = 72) -> Tensor:
    return torch.randn(count, 3, height, width, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
@pytest.mark.parametrize(("frames", "side"), [(3, 48), (5, 70)])
def test_equals_torchvision_s_network_on_clips_whose_frames_come_twice(frames: int, side: int) -> None:
    """The published network takes two frames a patch. Of a frame that comes twice it makes what ours makes of one, with
    the embedding's weights summed: so all of it is compared, stage by stage, also where windows do not fit."""
    torch.manual_seed(0)
    theirs = SwinTransformer3d(patch_size=[2, 4, 4], **SMALL).eval()
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    ours = small()
    missing, unexpected = ours.load_state_dict(one_frame_patches(theirs.state_dict()), strict=False)
    assert not unexpected and set(missing) == {f"norms.{i}.{part}" for i in range(3) for part in ("weight", "bias")}
    images = pictures(2 * frames, side)
    clips = images.unflatten(0, (2, frames)).transpose(1, 2)  # (2, 3, frames, H, W)
    x = theirs.patch_embed(clips.repeat_interleave(2, 2))
    stages = []
    for index, part in enumerate(theirs.features):
        x = part(x)
        if index % 2 == 0:
            stages.append(x)
    maps = ours(images, [frames, frames])
    for stage, norm, found in zip(stages, [*ours.norms[:3], theirs.norm], maps, strict=True):
        wanted = norm(stage).flatten(0, 1).permute(0, 3, 1, 2)
        assert found.shape == wanted.shape
        assert torch.allclose(found, wanted, atol=2e-4), float((found - wanted).abs().max())


def test_the_tiny_one_has_the_published_layout() -> None:
    with torch.device("meta"):
        ours, theirs = make_backbone("video_swin_tiny"), swin3d_t()
    assert ours.channels == (96, 192, 384, 768) and ours.clips
    adapted = {name: value.shape for name, value in one_frame_patches(theirs.state_dict()).items()}
    own = {name: value.shape for name, value in ours.state_dict().items()}
    assert adapted == {name: own[name] for name in adapted}
    assert set(own) - set(adapted) == {f"norms.{i}.{part}" for i in range(3) for part in ("weight", "bias")}
    assert sum(p.numel() for p in ours.parameters()) == 27_847_206
    assert [block.stochastic_depth.p for stage in ours.features[::2] for block in stage] == [
        block.stochastic_depth.p for stage in theirs.features[::2] for block in stage
    ]


@torch.no_grad()
def test_clips_of_several_lengths_are_each_on_their_own() -> None:
    swin, images, lengths = small(), pictures(11), [5, 1, 3, 1, 1]
    together = swin(images, lengths)
    assert [tuple(m.shape) for m in together] == [(11, 12 * 2**i, 12 // 2**i or 1, 18 // 2**i) for i in (0, 1)] + [
        (11, 48, 3, 5),
        (11, 96, 2, 3),
    ]
    for maps in zip(*(swin(clip, [len(clip)]) for clip in images.split(lengths)), together, strict=True):
        *alone, whole = maps
        assert torch.allclose(torch.cat(alone), whole, atol=1e-5)


@torch.no_grad()
def test_frames_see_those_of_their_clip_and_no_others() -> None:
    swin, images = small(), pictures(6)
    before = swin(images, [3, 3])
    images[1] += 1
    after = swin(images, [3, 3])
    for old, new in zip(before, after, strict=True):
        changed = [not torch.equal(a, b) for a, b in zip(old, new, strict=True)]
        assert changed == [True, True, True, False, False, False]
    single = swin(images)
    assert torch.allclose(single[3], swin(images, [1] * 6)[3])


def test_everything_learns_and_half_precision_is_near() -> None:
    swin, images = small(), pictures(4)
    maps = swin(images, [4])
    torch.stack([m.square().mean() for m in maps]).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in swin.parameters())
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        narrow = swin(images, [4])
    for ours, wanted in zip(narrow, maps, strict=True):
        assert (ours.float() - wanted).abs().max() < 0.2 * wanted.abs().max()


def test_lengths_and_options_that_do_not_fit_are_refused() -> None:
    swin = small()
    for lengths in ([3], [5], [4, 0]):
        with pytest.raises(ValueError, match="4 pictures came as clips of"):
            swin(pictures(4), lengths)
    with pytest.raises(ValueError, match="option patch_size; its patches are one frame of 4 x 4 pixels"):
        make_backbone("video_swin_tiny", {"patch_size": [2, 4, 4]})
    with pytest.raises(ValueError, match="did you mean 'video_swin_tiny'"):
        make_backbone("video_swin_tinny")


def test_backbones_of_pictures_say_that_they_want_no_clips() -> None:
    with torch.device("meta"):
        for name in ("resnet18", "resnet50_deep", "hrnet_w48", "swin_tiny_patch4_window7_224"):
            assert not make_backbone(name).clips
