"""The matching term: options that cannot be, frames that do not count, and the published quirks by name."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from avseg.config import from_dict, to_dict
from avseg.losses import AVMConfig, avm_loss

FRAMES = torch.tensor([[True, True, True], [True, False, False]])


def _inputs(channels: int = 1) -> tuple[Tensor, list[Tensor], list[Tensor | None]]:
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(2, 3, channels, 16, 16, generator=generator)
    maps = [torch.randn(6, 8, s, s, generator=generator).relu() for s in (8, 4, 2, 1)]
    return logits, maps, [torch.randn(2, 3, 8, generator=generator) for _ in maps]


def _loss(channels: int = 1, frames: Tensor = FRAMES, **options: Any) -> float:
    return float(avm_loss(*_inputs(channels), frames, AVMConfig(**options)))


VARIANTS = pytest.mark.parametrize(
    "options",
    [
        {"variant": "cosine"},
        {"variant": "cosine", "pool": "max"},
        {},
        {"threshold": True},
        {"normalise": True},
        {"distance": "euclid"},
        {"reduction": "mean"},
    ],
)


@VARIANTS
@pytest.mark.parametrize("channels", [1, 4])
def test_frames_that_do_not_count_change_nothing(options: dict[str, Any], channels: int) -> None:
    if channels > 1 and options.get("variant") == "cosine":
        with pytest.raises(ValueError, match="cosine variant is for binary"):
            _loss(channels, **options)
        return
    logits, maps, audio = _inputs(channels)
    changed = [torch.where(FRAMES.flatten()[:, None, None, None], m, 7.0) for m in maps]
    config = AVMConfig(**options)
    assert torch.equal(avm_loss(logits, changed, audio, FRAMES, config), avm_loss(logits, maps, audio, FRAMES, config))


def test_no_frame_that_counts_is_zero() -> None:
    assert _loss(frames=torch.zeros_like(FRAMES)) == 0
    assert _loss(4, frames=torch.zeros_like(FRAMES)) == 0


def test_published_reduction_sums_the_kl_of_binary_masks_alone() -> None:
    count = int(FRAMES.sum())
    assert _loss() == pytest.approx(count * _loss(reduction="mean"), rel=1e-5)
    for channels, options in ((1, {"distance": "euclid"}), (1, {"variant": "cosine"}), (4, {})):
        assert _loss(channels, **options) == _loss(channels, reduction="mean", **options)


def test_weight_and_stages() -> None:
    assert _loss(weight=1.0) == pytest.approx(2 * _loss())
    single = [_loss(stages=(stage,)) for stage in range(4)]
    assert _loss() == pytest.approx(sum(single) / 4)
    assert _loss(weight=0.0) == 0


def test_gradients_reach_masks_maps_and_sounds() -> None:
    logits, maps, audio = _inputs()
    for tensor in (logits, *maps, *audio):
        tensor.requires_grad_()
    avm_loss(logits, maps, audio, FRAMES, AVMConfig()).backward()
    assert all(bool(tensor.grad.any()) for tensor in (logits, *maps, *audio))


def test_hard_masks_let_no_gradient_into_the_logits() -> None:
    logits, maps, audio = _inputs()
    logits.requires_grad_()
    maps[0].requires_grad_()
    avm_loss(logits, maps, audio, FRAMES, AVMConfig(variant="cosine")).backward()
    assert logits.grad is None
    assert bool(maps[0].grad.any())


def test_old_background_index_takes_nearly_everything_for_foreground() -> None:
    logits, maps, audio = _inputs(4)
    logits[:, :, 0] += 100
    assert float(avm_loss(logits, maps, audio, FRAMES, AVMConfig(threshold=True))) != pytest.approx(
        float(avm_loss(logits, maps, audio, FRAMES, AVMConfig(threshold=True, background="last")))
    )
    # With all pixels background the new mask is empty: the pooled vector is zero and its softmax is flat.
    whole = [m.mean((-2, -1)) for m in maps]
    old = avm_loss(logits, maps, audio, FRAMES, AVMConfig(background="last", weight=1.0))
    by_hand = [_mean_kl(a, v) for a, v in zip(audio, whole, strict=True)]
    assert float(old) == pytest.approx(sum(by_hand) / 4, rel=1e-5)
    new = avm_loss(logits, maps, audio, FRAMES, AVMConfig(weight=1.0))
    flat = [_mean_kl(a, torch.zeros_like(v)) for a, v in zip(audio, whole, strict=True)]
    assert float(new) == pytest.approx(sum(flat) / 4, rel=1e-5)
    # The last class is what the old index leaves out.
    logits[:, :, -1] += 200
    last = avm_loss(logits, maps, audio, FRAMES, AVMConfig(background="last", weight=1.0))
    assert float(last) == pytest.approx(float(new), rel=1e-5)


def _mean_kl(heard: Tensor | None, seen: Tensor) -> float:
    assert heard is not None
    p, q = heard.flatten(0, 1).softmax(-1), seen.softmax(-1)
    return float((p * (p / q).log()).sum(-1)[FRAMES.flatten()].mean())


def test_slip_of_avss_compares_with_the_own_sound() -> None:
    assert _loss(4, variant="vv", neighbour_target="audio") == pytest.approx(_loss(4, variant="av"))
    assert _loss(4, variant="vv") != pytest.approx(_loss(4, variant="av"))


def test_published_penalty_lets_a_far_frame_be_its_own_neighbour() -> None:
    logits, maps, audio = _inputs()
    far = [a * 1000 for a in audio if a is not None]
    frames = torch.ones_like(FRAMES)
    assert float(avm_loss(logits, maps, far, frames, AVMConfig(variant="vv"))) == pytest.approx(0, abs=1e-6)
    assert float(avm_loss(logits, maps, far, frames, AVMConfig(variant="vv", self_penalty=None))) > 1e-4


def test_half_precision_is_judged_in_float32() -> None:
    logits, maps, audio = _inputs()
    half = [m.bfloat16() for m in maps], [a.bfloat16() for a in audio if a is not None]
    with torch.autocast("cpu", torch.bfloat16):
        got = avm_loss(logits.bfloat16(), *half, FRAMES, AVMConfig())
    assert got.dtype == torch.float32
    wanted = avm_loss(
        logits.bfloat16().float(), [m.float() for m in half[0]], [a.float() for a in half[1]], FRAMES, AVMConfig()
    )
    assert torch.equal(got, wanted)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"variant": "va"}, "variant 'va'"),
        ({"distance": "l2"}, "distance 'l2'"),
        ({"pool": "mean"}, "pool 'mean'"),
        ({"reduction": "sum"}, "reduction 'sum'"),
        ({"background": "none"}, "background 'none'"),
        ({"neighbour_target": "sound"}, "neighbour_target 'sound'"),
        ({"stages": ()}, "stages"),
        ({"stages": (0, 0)}, "stages"),
        ({"stages": (-1,)}, "stages"),
        ({"weight": -1.0}, "negative"),
        ({"variant": "vv", "threshold": True}, "no threshold"),
        ({"neighbour_target": "audio"}, "belongs to variant='vv'"),
        ({"variant": "vv", "distance": "euclid", "neighbour_target": "audio"}, "belongs to variant='vv'"),
    ],
)
def test_options_that_cannot_be_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AVMConfig(**options)


def test_inputs_that_do_not_fit_are_refused() -> None:
    logits, maps, audio = _inputs()
    with pytest.raises(ValueError, match="stage 4 of the matching term, but there are 4 maps"):
        avm_loss(logits, maps, audio, FRAMES, AVMConfig(stages=(4,)))
    with pytest.raises(ValueError, match="heard nothing"):
        avm_loss(logits, maps, [None, *audio[1:]], FRAMES, AVMConfig())
    with pytest.raises(ValueError, match="wanted 6 frames of one width"):
        avm_loss(logits, maps, [torch.zeros(2, 3, 9), *audio[1:]], FRAMES, AVMConfig())
    with pytest.raises(ValueError, match="wanted 6 frames of one width"):
        avm_loss(logits, [maps[0][:5], *maps[1:]], audio, FRAMES, AVMConfig())
    with pytest.raises(ValueError, match="binary masks have one channel"):
        avm_loss(logits, maps, audio, FRAMES, AVMConfig(background="last"))
    with pytest.raises(ValueError, match=r"wanted \(B, T, C, H, W\) and \(B, T\)"):
        avm_loss(logits, maps, audio, FRAMES[:, :2], AVMConfig())


def test_config_survives_a_model_file_header() -> None:
    config = replace(AVMConfig(), variant="vv", stages=(1, 3), self_penalty=None)
    assert from_dict(AVMConfig, json.loads(json.dumps(to_dict(config)))) == config
