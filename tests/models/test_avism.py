"""AVISM as a model: what it is shown and hears, batches of several clips, losses that fall, tracks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from avseg.config import to_dict
from avseg.losses.config import SetConfig
from avseg.models import load_model, read_header, save_model
from avseg.models.avism.config import AVISMConfig, AVISMOptions
from avseg.models.avism.model import AVISM
from avseg.types import Batch, Clip, Draw, InstancePrediction, InstanceTarget, TrackTarget
from models.small_avism import AVISM_CONFIG, INSTANCES, boxes, noise, small_avism, told, two_clips

TERMS = {"frame_class", "frame_mask", "frame_dice", "clip_class", "clip_mask", "clip_dice", "similarity"}


def drawn(*clips: Clip, frames: int | None = None, epoch: int = 0) -> Batch:
    return replace(Batch.collate(clips, frames), draw=Draw(0, epoch), index=list(range(len(clips))))


def losses_of(model: AVISM, batch: Batch) -> dict[str, float]:
    with torch.no_grad():
        return {name: float(term) for name, term in model.losses(model(batch), batch).items()}


# ---- what it says


def test_outputs_have_the_promised_shapes() -> None:
    model = small_avism()
    batch = Batch.collate([noise(3, size=(64, 96)), noise(2, seed=1, size=(48, 64))])
    with torch.no_grad():
        for layers, supervised in ((1, 1), (2, 4)):
            out = model.train(layers > 1)(batch)
            # In evaluation the second picture is sized to 64 x 85 as well; training takes it as it is.
            assert out.class_logits.shape == (2, 5, 4) and out.mask_logits.shape == (2, 5, 3, 16, 24)
            assert out.frames.class_logits.shape == (2, 3, 6, 4) and out.frames.mask_logits.shape == (2, 3, 6, 16, 24)
            assert out.frames.mask_logits[1, 2].abs().max() == 0 and out.mask_logits[1, :, 2].abs().max() == 0
            assert [p.class_logits.shape for p in out.clips][-1] == (layers, 2, 5, 4)
            assert len(out.frame_predictions) == supervised and len(out.frame_predictions[0].class_logits) == 5
            assert (out.frame_similarity is None) == (layers == 1) and out.padded == (64, 96)
            assert out.sizes.tolist() == [[64, 96], [48, 64] if layers > 1 else [64, 85]]


def test_pictures_are_the_mean_colour_beside_them_and_fill_multiples_of_32() -> None:
    model = small_avism().train()
    batch = Batch.collate([noise(2, size=(40, 50)), noise(1, seed=1, size=(33, 60))])
    batch = replace(batch, frames=batch.frames.clone())
    batch.frames[1, :, :, 33:] = 9  # never seen
    images = model.normalised(batch)
    assert images.shape == (2, 2, 3, 64, 64) and images.dtype == torch.float32
    assert images[0, :, :, 40:].abs().max() == images[0, ..., 50:].abs().max() == images[1, :, :, 33:].abs().max() == 0
    mean, deviation = torch.tensor([123.675, 116.28, 103.53]), torch.tensor([58.395, 57.12, 57.375])
    wanted = (batch.frames[0, 1].float() - mean[:, None, None]) / deviation[:, None, None]
    assert torch.allclose(images[0, 1, :, :40, :50], wanted[:, :40, :50], atol=1e-5)


def test_evaluation_sizes_pictures_that_were_not_and_training_leaves_them() -> None:
    model = small_avism()
    batch = Batch.collate([noise(1, size=(128, 160))])
    assert model.sized(batch).sizes.tolist() == [[64, 80]] and model.sized(batch).frames.shape[-2:] == (64, 80)
    assert model.sized(model.sized(batch)) is not batch and model.normalised(batch).shape[-2:] == (64, 96)
    ready = Batch.collate([noise(1)])
    assert model.sized(ready) is ready and model.train().sized(batch) is batch


def test_features_come_with_the_clips_or_are_made_of_their_sound() -> None:
    clip = noise(3)
    assert clip.audio_features is not None
    assert torch.equal(small_avism().features(Batch.collate([clip]))[0], clip.audio_features)
    deaf = replace(clip, audio_features=None)
    with pytest.raises(ValueError, match=r"no audio features.*8 channels.*audio network"):
        small_avism().features(Batch.collate([deaf]))
    with pytest.raises(ValueError, match="have 128 channels, and this model hears 8"):
        small_avism().features(Batch.collate([noise(3, width=128)]))
    listening = small_avism(audio_network="small")
    assert listening.features(Batch.collate([deaf])).shape == (1, 3, 8)
    with pytest.raises(ValueError, match="log-mel pictures"):
        listening.features(Batch.collate([clip]))
    assert set(listening.param_groups()) == {"backbone", "pixel_decoder", "detector", "video", "audio"}
    assert set(small_avism().param_groups()) == {"backbone", "pixel_decoder", "detector", "video"}


def test_vggish_hears_one_vector_a_second_and_stays_frozen() -> None:
    from avseg.nn.empty import WithoutInitialisation

    with WithoutInitialisation():
        model = small_avism(audio_network="vggish", audio_width=128).train()
    assert model.audio_network is not None and not model.audio_network.training and model.network.training
    assert "audio" not in model.param_groups()
    shipped = noise(2, width=128)
    assert shipped.audio_features is not None
    assert torch.equal(model.features(Batch.collate([shipped]))[0], shipped.audio_features)
    for parameter in model.audio_network.parameters():
        torch.nn.init.normal_(parameter, std=0.02)
    late = replace(shipped, audio_features=None, audio=shipped.audio[:, :16000])
    heard = model.features(Batch.collate([late]))
    assert heard.shape == (1, 2, 128) and heard.min() >= 0 and not heard.requires_grad
    # The second second has no sound at all: a picture of zeros, whatever the first one holds.
    other = replace(late, audio=late.audio.flip(1))
    again = model.features(Batch.collate([other]))
    assert torch.equal(heard[0, 1], again[0, 1]) and not torch.equal(heard[0, 0], again[0, 0])


def test_clips_of_a_batch_are_watched_each_for_itself() -> None:
    """Same pictures size: a clip is the same alone and beside a longer one, however the batch is padded."""
    model = small_avism()
    clips = [noise(4), noise(2, seed=1), noise(3, seed=2), noise(2, seed=3)]
    with torch.no_grad():
        whole = model(Batch.collate(clips, frames=6))
        for b, clip in enumerate(clips):
            alone = model(Batch.collate([clip]))
            assert torch.allclose(whole.class_logits[b], alone.class_logits[0], atol=1e-4)
            frames = len(clip.frames)
            assert torch.allclose(whole.mask_logits[b, :, :frames], alone.mask_logits[0], atol=1e-3)


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_padded_frames_change_no_loss(mode: str) -> None:
    model = small_avism().train(mode == "train")
    batch = drawn(*two_clips(), frames=5)
    loud = batch.frames.clone()
    loud[0, 4:], loud[1, 3:] = 200, 77
    assert losses_of(model, batch) == losses_of(model, replace(batch, frames=loud))


def test_prediction_is_what_the_whole_output_says() -> None:
    """One clip after the other and in pieces, against all at once from the output; then options of a prediction."""
    model = small_avism(AVISMOptions(score=0.0, candidates=6), frames_at_once=2).train()
    clips = [noise(5), replace(noise(3, seed=1), output_size=(40, 30))]
    batch = Batch.collate(clips)
    found = model.predict(batch)
    assert model.training and model.network.backbone.training
    model.eval()
    with torch.no_grad():
        wanted = model.postprocess(model(batch), batch)
    for a, b, clip in zip(found, wanted, clips, strict=True):
        assert isinstance(a, InstancePrediction) and isinstance(b, InstancePrediction)
        assert a.id == b.id == clip.id and a.size == b.size and len(a.masks) > 0
        assert torch.allclose(a.scores, b.scores, atol=1e-4) and a.classes.tolist() == b.classes.tolist()
        assert all(len(track) == len(clip.frames) for track in a.masks)
    session = model.session(AVISMOptions(score=0.0, candidates=1))
    assert session.step(Batch.collate(clips[:1])) == []
    (tracks,) = session.finish((64, 64))
    assert isinstance(tracks, InstancePrediction) and len(tracks.masks) == 1


# ---- what it loses


def test_every_term_is_finite_and_reaches_what_it_trains() -> None:
    model = small_avism().train()
    batch = drawn(*two_clips())
    terms = model.losses(model(batch), batch)
    assert set(terms) == TERMS
    assert all(term.dtype == torch.float32 and term.ndim == 0 and term > 0 for term in terms.values())
    sum(terms.values()).backward()
    for name, parameter in model.named_parameters():
        assert not parameter.requires_grad or parameter.grad is not None, name


@pytest.mark.parametrize("beside", [False, True])
def test_clips_without_instances_are_told_to_show_nothing(beside: bool) -> None:
    model = small_avism().train()
    empty = told(noise(3), boxes(size=(64, 64)).reshape(0, 3, 64, 64), [])
    silent = told(noise(3, seed=1), boxes([None] * 3), [2])
    clips = [empty, silent, *(two_clips()[1:] if beside else [])]
    batch = drawn(*clips)
    terms = model.losses(model(batch), batch)
    assert set(terms) == TERMS and all(torch.isfinite(term) for term in terms.values())
    if not beside:
        assert all(float(t.detach()) == 0 for name, t in terms.items() if not name.endswith("class"))
    assert float(terms["frame_class"].detach()) > 0 and float(terms["clip_class"].detach()) > 0
    sum(terms.values()).backward()
    for name, parameter in model.named_parameters():
        assert not parameter.requires_grad or (parameter.grad is not None and parameter.grad.isfinite().all()), name


def test_a_batch_without_any_annotated_frame_loses_nothing_but_by_its_clips_classes() -> None:
    model = small_avism().train()
    batch = drawn(told(noise(3), boxes([(4, 4, 30, 30)] * 3), [1], [False] * 3))
    terms = losses_of(model, batch)
    assert {name for name, term in terms.items() if term} == {"clip_class"}


def test_more_instances_than_queries_train_as_many_as_there_are() -> None:
    model = small_avism(clip_queries=2, frame_queries=2).train()
    many = boxes(*([(4 * n, 4, 4 * n + 20, 40)] * 2 for n in range(5)))
    batch = drawn(told(noise(2), many, [1, 2, 3, 1, 2]))
    assert all(0 < term < 1000 for term in losses_of(model, batch).values())


def test_truth_of_frames_without_annotation_changes_no_loss() -> None:
    clip = two_clips()[0]
    assert isinstance(clip.target, InstanceTarget)
    masks = clip.target.masks.clone()
    masks[:, 3] = ~masks[:, 3]
    other = replace(clip, target=replace(clip.target, masks=masks))
    for model in (small_avism(), small_avism().train()):
        assert losses_of(model, drawn(clip)) == losses_of(model, drawn(other))


def test_points_follow_seed_epoch_and_place() -> None:
    model = small_avism().train()
    batch = drawn(*two_clips())
    first = losses_of(model, batch)
    assert losses_of(model, batch) == first
    assert losses_of(model, replace(batch, draw=Draw(0, 1))) != first
    assert losses_of(model, replace(batch, draw=Draw(1, 0))) != first
    assert losses_of(model, replace(batch, index=[5, 9])) != first


def test_weights_multiply_their_terms() -> None:
    """Of matching too, so that only terms without any choice can be compared: one instance, one query."""
    single = {"clip_queries": 1, "frame_queries": 1}
    batch = drawn(two_clips()[1])
    plain = losses_of(small_avism(**single).train(), batch)
    weights = SetConfig(points=64, class_weight=1.0, mask_weight=15.0, dice_weight=0.5, similarity_weight=1.0)
    other = losses_of(small_avism(**single, criterion=weights).train(), batch)
    factors = {"class": 0.5, "mask": 3.0, "dice": 0.1, "similarity": 2.0}
    for name, value in plain.items():
        assert other[name] == pytest.approx(factors[name.rpartition("_")[2]] * value, rel=1e-5)


def test_what_is_silent_at_first_is_an_option() -> None:
    batch = drawn(two_clips()[0])
    slip = SetConfig(points=64, silent_first_is_no_object=True)
    repaired, published = losses_of(small_avism().train(), batch), losses_of(small_avism(criterion=slip).train(), batch)
    assert repaired["clip_class"] != published["clip_class"]
    steady = drawn(two_clips()[1])
    assert losses_of(small_avism().train(), steady) == losses_of(small_avism(criterion=slip).train(), steady)


def test_losses_are_float32_under_bfloat16() -> None:
    model = small_avism().train()
    batch = drawn(*two_clips())
    exact = losses_of(model, batch)
    with torch.autocast("cpu", torch.bfloat16):
        terms = model.losses(model(batch), batch)
    assert all(term.dtype == torch.float32 and torch.isfinite(term) for term in terms.values())
    assert sum(t.detach() for t in terms.values()) == pytest.approx(sum(exact.values()), rel=0.1)
    sum(terms.values()).backward()


def test_truth_as_run_lengths_is_for_metrics_alone() -> None:
    model = small_avism().train()
    target = TrackTarget(
        [], torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.int64), torch.ones(4).bool(), (64, 64)
    )
    batch = drawn(replace(noise(4), target=target))
    with pytest.raises(ValueError, match=r"InstanceTarget for each of 1 clips, got TrackTarget.*some_frames"):
        model.losses(model(batch), batch)


def test_training_on_one_clip_lowers_every_term() -> None:
    """Bright boxes, one of which falls silent with its sound: learnt by heart in a few steps."""
    generator = torch.Generator().manual_seed(0)
    masks = boxes([(8, 4, 40, 28), (8, 8, 40, 32), None], [None, (24, 36, 56, 60), (20, 36, 52, 60)])
    frames = torch.randint(0, 60, (3, 3, 64, 64), generator=generator)
    frames[:, 0] += 190 * masks[0].long()
    frames[:, 2] += 190 * masks[1].long()
    clip = told(replace(noise(3), frames=frames.to(torch.uint8)), masks, [1, 3])
    model = small_avism(criterion=SetConfig(points=128)).train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3)
    batch = drawn(clip)
    first = losses_of(model, batch)
    for epoch in range(20):
        step = replace(batch, draw=Draw(0, epoch))
        optimiser.zero_grad()
        sum(model.losses(model(step), step).values()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
    last = losses_of(model, batch)
    assert all(last[name] < 0.5 * first[name] for name in TERMS), (first, last)


# ---- contradictions


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"width": 30, "heads": 4}, "does not divide"),
        ({"trained_layers": 4}, "trained_layers"),
        ({"audio_network": "vggish", "audio_width": 8}, "128"),
        ({"window": 0}, "window"),
    ],
)
def test_contradictions_are_refused_when_the_config_is_made(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        replace(AVISM_CONFIG, **changes)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"score": 1.0}, "score 1.0, wanted 0 or more and below 1"),
        ({"score": float("nan")}, "score nan"),
        ({"score": -0.1}, "score -0.1"),
        ({"candidates": 0}, "candidates 0, wanted 1 or more"),
        ({"frames_in_memory": -1}, "frames_in_memory -1, wanted 0 or more"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        AVISMOptions(**options)


def test_a_file_of_an_earlier_version_keeps_its_options_and_a_new_one_holds_none(tmp_path: Path) -> None:
    """Then they stood in the config."""
    model, path = small_avism(), tmp_path / "m.safetensors"
    save_model(model, path)
    header = read_header(path)
    assert not set(to_dict(AVISMOptions())) & set(header.config) and load_model(path).options == AVISMOptions()
    config = {**header.config, "score": 0.125, "candidates": 7, "frames_in_memory": 0}
    weights = load_file(path)
    save_file(weights, path, metadata=replace(header, config=config).to_metadata())
    old = load_model(path)
    assert old.config == model.config and old.options == AVISMOptions(0.125, 7, 0)
    config["score"] = 2.0
    save_file(weights, path, metadata=replace(header, config=config).to_metadata())
    with pytest.raises(ValueError, match=r"m.safetensors is not a whole model file.*score 2\.0"):
        load_model(path)


def test_published_criterion_is_the_default_but_for_two_slips() -> None:
    config = AVISMConfig().criterion
    assert (config.class_weight, config.mask_weight, config.dice_weight) == (2.0, 5.0, 5.0)
    assert (config.points, config.oversample, config.importance) == (12544, 3.0, 0.75)
    assert config.no_object_weight == 0.1
    assert config.similarity_weight == 0.5 and not config.silent_first_is_no_object
    assert INSTANCES.kind in AVISM.tasks
    with pytest.raises(ValueError, match="negative"):
        SetConfig(similarity_weight=-1)
