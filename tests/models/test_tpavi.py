"""TPAVI as a model: groups, padding, sound, losses, precision."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from avseg.config import InputSpec, Temporal
from avseg.losses.config import AVMConfig
from avseg.models.tpavi.config import TPAVIConfig
from avseg.models.tpavi.presets import PRESETS
from avseg.models.tpavi.spec import SPEC
from avseg.types import Batch, Clip, DensePrediction
from models.small import SEMANTIC, batch, clip, small_model
from small import small_config

CONFIG: TPAVIConfig = small_config("tpavi")


def logits_of(model: Any, b: Batch) -> list[torch.Tensor]:
    return [p.logits for p in model.predict(b) if isinstance(p, DensePrediction)]


def loss_of(model: Any, b: Batch) -> dict[str, float]:
    with torch.no_grad():
        return {name: float(term) for name, term in model.losses(model(b), b).items()}


def test_a_tail_is_like_a_group_with_its_last_frame_repeated() -> None:
    model = small_model()
    c = clip(7)
    tail = Clip(**{**vars(c.take([0, 1, 2, 3, 4, 5, 6, 6, 6, 6])), "target": None})
    repeated = replace(batch(tail), times=torch.arange(10)[None].double())
    windows = model.features(batch(c))  # (1, 7, D)
    ours = model(batch(c)).logits
    model.features = lambda _: torch.cat([windows, windows[:, 6:].expand(-1, 3, -1)], 1)
    assert ours.shape[1] == 7
    assert torch.allclose(ours[:, :7], model(repeated).logits[:, :7], atol=1e-6)


@pytest.mark.parametrize("valid_mask", [False, True])
@pytest.mark.parametrize("frames", [1, 3, 5, 6])
def test_padding_a_clip_changes_nothing(valid_mask: bool, frames: int) -> None:
    model = small_model(valid_mask=valid_mask)
    c = clip(frames)
    (alone,) = logits_of(model, batch(c))
    padded = batch(c, clip(10, seed=1))
    noise = padded.frames.clone()
    noise[0, frames:] = 77
    first, _ = logits_of(model, replace(padded, frames=noise))
    assert alone.shape[0] == frames
    assert torch.allclose(alone, first, atol=2e-6)


def test_groups_without_a_frame_give_zeros_and_a_published_mask_reaches_every_map() -> None:
    model = small_model(valid_mask=True)
    with torch.no_grad():
        out = model(batch(clip(5), frames=10))
    assert out.logits.shape[1] == 10 and out.logits[:, :5].abs().min() > 0
    for tensor in (out.logits, *out.feature_maps):
        assert tensor[:, 5:].abs().max() == 0
    half = small_model()
    with torch.no_grad():
        assert half(batch(clip(5), clip(10, 1))).logits[0, 5:].abs().max() == 0


def test_group_of_one_sees_and_hears_its_own_frame_alone() -> None:
    model = small_model(group=1)
    c = clip(4)
    (whole,) = logits_of(model, batch(c))
    changed = c.frames.clone()
    changed[3] = 0
    (other,) = logits_of(model, batch(replace(c, frames=changed)))
    assert torch.allclose(whole[:3], other[:3], atol=1e-6) and not torch.allclose(whole[3], other[3], atol=1e-3)
    model.train()
    b = batch(c, clip(3, 1))
    sum(model.losses(model(b), b).values()).backward()
    assert model.network.attention["0"].query.weight.grad is not None


def test_the_sound_decides() -> None:
    model = small_model()
    c = clip()
    (a,) = logits_of(model, batch(c))
    (b,) = logits_of(model, batch(replace(c, audio=torch.zeros_like(c.audio))))
    assert not torch.allclose(a, b, atol=1e-4)
    deaf = small_model(audio_attention=False, self_attention=True)
    (a,) = logits_of(deaf, batch(c))
    (b,) = logits_of(deaf, batch(replace(c, audio=torch.zeros_like(c.audio))))
    assert torch.equal(a, b)


def test_stereo_is_mixed_down_and_other_rates_are_resampled() -> None:
    model = small_model()
    c = clip()
    stereo = replace(c, audio=torch.cat([c.audio * 1.5, c.audio * 0.5]))
    assert torch.allclose(*logits_of(model, batch(c)), *logits_of(model, batch(stereo)), atol=1e-4)  # type: ignore[misc]
    t = torch.arange(48000 * 6) / 48000
    tone = 0.3 * torch.sin(2 * torch.pi * 440 * t)[None]
    fast = replace(c, audio=tone, sample_rate=48000)
    slow = replace(c, audio=tone[:, ::3].contiguous(), sample_rate=16000)
    assert torch.allclose(*logits_of(model, batch(fast)), *logits_of(model, batch(slow)), atol=2e-2)  # type: ignore[misc]


def test_shipped_log_mel_stands_for_the_sound() -> None:
    from avseg.nn.audio import log_mel_windows

    model = small_model()
    c = clip()
    patches = log_mel_windows(batch(c), CONFIG.audio)[0]
    shipped = replace(c, audio_features=patches, audio=torch.zeros_like(c.audio))
    assert torch.allclose(*logits_of(model, batch(c)), *logits_of(model, batch(shipped)), atol=1e-6)  # type: ignore[misc]


@pytest.mark.parametrize("size", [(96, 64), (32, 32)])
def test_other_input_sizes_and_pictures_that_must_be_sized(size: tuple[int, int]) -> None:
    model = small_model(input=InputSpec(size=size, multiple_of=32))
    (prediction,) = model.predict(batch(clip(2, size=50)))
    assert isinstance(prediction, DensePrediction)
    assert prediction.logits.shape == (2, 1, *size) and prediction.labels(0).shape == (50, 50)


@pytest.mark.parametrize(
    "changes",
    [
        {"stages": (), "audio_attention": False},
        {"stages": (1, 3)},
        {"self_attention": True},
        {"self_attention": True, "audio_attention": False, "align_bias": False},
    ],
)
def test_every_way_of_attending_trains(changes: dict[str, Any]) -> None:
    model = small_model(**changes).train()
    b = batch(clip())
    out = model(b)
    model.losses(out, b)["segmentation"].backward()
    heard = model.config.audio_attention
    assert [a is not None for a in out.audio_features] == [s in model.config.stages and heard for s in range(4)]


def test_contradictions_are_refused_when_the_config_is_made() -> None:
    with pytest.raises(ValueError, match="both off"):
        replace(CONFIG, audio_attention=False)
    with pytest.raises(ValueError, match="stages"):
        replace(CONFIG, stages=(4,))
    with pytest.raises(ValueError, match="group"):
        replace(CONFIG, group=3)
    with pytest.raises(ValueError, match="no audio attention"):
        replace(CONFIG, stages=(0,), avm=AVMConfig())
    with pytest.raises(ValueError, match="128"):
        TPAVIConfig(audio_width=64)
    with pytest.raises(ValueError, match="group"):
        replace(CONFIG, group=0, temporal=Temporal("frame", 1))
    with pytest.raises(ValueError, match="cosine"):
        small_model(SEMANTIC, avm=AVMConfig("cosine"))
    with pytest.raises(ValueError, match=r"tpavi has no preset 's5'; did you mean 's4'\?"):
        SPEC.preset("s5")


@pytest.mark.parametrize("variant", ["s4", "ms3", "avss"])
def test_published_settings(variant: Any) -> None:
    config = PRESETS[variant](backbone="resnet50")
    assert (config.avm is not None) == (variant != "s4")
    assert config.valid_mask == (variant == "avss") and config.align_bias == (variant != "avss")
    assert config.group == config.temporal.length == 5


def test_losses_by_config_and_annotated_frames_alone() -> None:
    options = {"avm": AVMConfig(), "sounding_weight": 0.3, "sounding_classes": 3}
    model = small_model(**options)
    assert set(loss_of(small_model(), batch(clip()))) == {"segmentation"}
    c = clip(annotated=1, classes=1)
    c = replace(c, target=replace(c.target, sounding=torch.zeros(5, 3, dtype=torch.bool)))
    terms = loss_of(model, batch(c))
    assert set(terms) == {"segmentation", "matching", "sounding"} and terms["sounding"] > 0
    sounding = torch.ones(5, 3, dtype=torch.bool)
    sounding[0] = False
    altered = replace(c, target=replace(c.target, labels=c.target.labels.clone(), sounding=sounding))
    altered.target.labels[1:] = 1
    assert loss_of(model, batch(altered)) == terms
    with pytest.raises(ValueError, match="sounding loss needs ground truth over 3"):
        loss_of(model, batch(clip(classes=1)))
    with pytest.raises(ValueError, match="sounding_classes"):
        small_model(sounding_weight=1.0)
    with pytest.raises(ValueError, match="label map"):
        loss_of(model, replace(batch(c), targets=None))


def test_semantic_losses_take_annotated_frames() -> None:
    model = small_model(SEMANTIC, valid_mask=True, align_bias=False, avm=AVMConfig(), sounding_weight=0.1)
    c = clip(annotated=1, classes=2)
    terms = loss_of(model, batch(c, frames=10))
    altered = replace(c, target=replace(c.target, labels=c.target.labels.clone()))
    altered.target.labels[1:] = 0
    assert loss_of(model, batch(altered, frames=10)) == terms
    assert set(terms) == {"segmentation", "matching", "sounding"}


def test_losses_are_float32_under_bfloat16() -> None:
    model = small_model(avm=AVMConfig()).train()
    b = batch(clip())
    with torch.autocast("cpu", torch.bfloat16):
        out = model(b)
        terms = model.losses(out, b)
    assert out.logits.dtype == torch.bfloat16
    assert all(t.dtype == torch.float32 and torch.isfinite(t) for t in terms.values())
    sum(terms.values()).backward()


def test_prediction_leaves_training_flags_as_they_were() -> None:
    model = small_model().train()
    model.network.backbone.eval()
    flags = [m.training for m in model.modules()]
    (prediction,) = model.predict(batch(clip()))
    assert [m.training for m in model.modules()] == flags
    assert isinstance(prediction, DensePrediction) and not prediction.logits.requires_grad


def test_vggish_stays_frozen_and_in_evaluation_mode() -> None:
    from avseg.nn.empty import WithoutInitialisation

    with WithoutInitialisation():
        model = small_model(audio_network="vggish", audio_width=128).train()
    assert not model.audio_network.training and model.network.training
    assert set(model.param_groups()) == {"backbone", "decoder"}
    assert set(small_model().param_groups()) == {"backbone", "decoder", "audio"}
