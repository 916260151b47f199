"""QDFormer as a model: sound in, terms out, what is told of the codebook, and parts that learn."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from avseg.losses.config import QueryConfig
from avseg.models.qdformer.assembly import binary_logits, semantic_logits
from avseg.models.qdformer.config import AssemblyConfig, CodebookConfig, LocalConfig
from avseg.models.qdformer.model import QDFormer
from avseg.nn.empty import WithoutInitialisation
from avseg.types import Batch, Clip, DensePrediction, DenseTarget, Task
from models.small_qdformer import BINARY, SEMANTIC, painted, small_qdformer, told_clip


def two_clips() -> list[Clip]:
    """Of two lengths, with which classes sound, a frame without labels among them."""
    first = painted({1: (4, 8, 30, 40)}, {1: (6, 8, 32, 40), 3: (40, 40, 60, 60)}, {2: (0, 0, 40, 40)})
    second = painted({2: (3, 5, 20, 50)}, {})
    clips = [told_clip(first, [True, True, False]), told_clip(second, seed=1)]
    return [replace(clip, target=replace(clip.target, sounding=sounding(clip))) for clip in clips]  # type: ignore[type-var]


def sounding(clip: Clip) -> Tensor:
    assert isinstance(clip.target, DenseTarget)
    return torch.stack([(clip.target.labels == n).flatten(1).any(1) for n in (1, 2, 3)], 1)


def terms_of(model: QDFormer, batch: Batch, seed: int = 0) -> dict[str, Tensor]:
    torch.manual_seed(seed)
    return model.losses(model(batch), batch)


def backward(terms: dict[str, Tensor]) -> None:
    torch.autograd.backward(torch.stack(list(terms.values())).sum())


def values(terms: dict[str, Tensor]) -> dict[str, float]:
    return {name: term.item() for name, term in terms.items()}


# ---- sound


def test_shipped_sound_has_one_or_more_parts_a_second() -> None:
    model, clips = small_qdformer(), two_clips()
    batch = Batch.collate(clips)
    assert batch.audio_features is not None
    assert torch.equal(model.features(batch), batch.audio_features[:, :, None])
    parts = Batch.collate([replace(c, audio_features=torch.rand(len(c.frames), 4, 8)) for c in clips])
    assert model.features(parts).shape == (2, 3, 4, 8)
    assert all(torch.isfinite(p.logits).all() for p in dense(model.predict(parts)))


def dense(predictions: Sequence[Any]) -> list[DensePrediction]:
    assert all(isinstance(p, DensePrediction) for p in predictions)
    return list(predictions)


def test_sound_that_a_model_cannot_hear_is_refused_in_a_sentence() -> None:
    model, (clip, _) = small_qdformer(), two_clips()
    with pytest.raises(ValueError, match="have 5 channels, and this model hears 8"):
        model.features(Batch.collate([replace(clip, audio_features=torch.rand(3, 5))]))
    with pytest.raises(ValueError, match="no audio features, and this model hears vectors of 8 channels"):
        model.features(Batch.collate([replace(clip, audio_features=None)]))
    with pytest.raises(ValueError, match="features of shape"):
        model.features(Batch.collate([replace(clip, audio_features=torch.rand(3, 1, 96, 64))]))


def test_a_small_audio_network_learns_with_the_rest() -> None:
    model = small_qdformer(audio_network="small").train()
    batch = Batch.collate([replace(clip, audio_features=None) for clip in two_clips()])
    assert model.features(batch).shape == (2, 3, 1, 8)
    backward(terms_of(model, batch))
    assert isinstance(model.audio_network, nn.Module)
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.audio_network.parameters())


def test_vggish_stays_as_it_is() -> None:
    with WithoutInitialisation():
        model = small_qdformer(audio_network="vggish", audio_width=128).train()
    assert model.training and model.audio_network is not None and not model.audio_network.training
    assert "audio" not in model.param_groups()
    features = model.features(Batch.collate([replace(clip, audio_features=None) for clip in two_clips()]))
    assert features.shape == (2, 3, 1, 128) and not features.requires_grad


# ---- terms


@pytest.mark.parametrize(
    ("changes", "more", "less"),
    [
        ({}, set(), set()),
        ({"quantise": False}, set(), {"codebook", "commitment"}),
        ({"codebook": CodebookConfig(codes=16, update="ema")}, set(), {"codebook"}),
        ({"local_calibration": False}, set(), set()),
        ({"local": LocalConfig(layers=1, distill_weight=0.5)}, {"distill"}, set()),
        ({"decompose": False, "local": LocalConfig(layers=1, distill_weight=0.5)}, set(), set()),
        ({"criterion": QueryConfig(boxes=False)}, set(), {"box", "giou"}),
        ({"criterion": QueryConfig(classes=False)}, set(), {"class"}),
        ({"sounding_weight": 1.0}, {"sounding"}, set()),
    ],
)
def test_terms_are_those_that_the_config_asks_for(changes: dict[str, Any], more: set[str], less: set[str]) -> None:
    model, batch = small_qdformer(**changes).train(), Batch.collate(two_clips())
    terms = terms_of(model, batch)
    assert set(terms) == ({"class", "box", "giou", "mask", "dice", "codebook", "commitment"} | more) - less
    assert all(term.ndim == 0 and term.dtype == torch.float32 and torch.isfinite(term) for term in terms.values())
    assert all(term.item() > 0 for term in terms.values())


def test_every_layer_is_supervised_while_training_and_the_last_one_otherwise() -> None:
    model, batch = small_qdformer(dropout=0.0), Batch.collate(two_clips())
    last = terms_of(model, batch)
    model.train()
    output = model(batch)
    assert len(output.layers) == 2
    both = values(model.losses(output, batch))
    alone = [values(model.losses(replace(output, layers=[layer]), batch)) for layer in output.layers]
    for name in ("class", "box", "giou", "mask", "dice"):
        assert both[name] == pytest.approx(alone[0][name] + alone[1][name], rel=1e-5)
        assert last[name].item() == pytest.approx(alone[1][name], rel=1e-3)
    assert both["commitment"] == alone[0]["commitment"] == alone[1]["commitment"]  # once, not for each layer


def test_the_quantiser_weighs_what_the_config_says() -> None:
    batch = Batch.collate(two_clips())
    first, second, none = (terms_of(small_qdformer(quantiser_weight=w), batch) for w in (0.5, 1.5, 0.0))
    output = small_qdformer()(batch)
    frames = output.frame_tokens.commitment_loss
    assert first["codebook"].item() == pytest.approx(0.5 * output.clip_tokens.codebook_loss.item())
    assert first["commitment"].item() == pytest.approx(0.5 * (output.clip_tokens.commitment_loss + frames).item())
    for name in ("codebook", "commitment"):
        assert second[name].item() == pytest.approx(3 * first[name].item(), rel=1e-5) and none[name].item() == 0


@pytest.mark.parametrize("task", [BINARY, SEMANTIC])
def test_labels_of_frames_without_truth_change_no_loss_and_no_gradient(task: Task) -> None:
    """The frames after the first (S4, and AVSS with one annotated frame), in a clip filled up from 3 frames to 5."""
    clip, known = two_clips()[0], torch.tensor([True, False, False])
    assert isinstance(clip.target, DenseTarget)
    labels, heard = clip.target.labels, sounding(clip)
    noise = torch.randint(0, 4, (3, 64, 64), generator=torch.Generator().manual_seed(0))
    altered = torch.where(known[:, None, None], labels, noise)
    targets = [DenseTarget(labels, known, heard), DenseTarget(altered, known, heard ^ ~known[:, None])]
    local = LocalConfig(layers=1, distill_weight=1.0)
    options: dict[str, Any] = {"local": local, "sounding_weight": 1.0, "sounding_classes": 3}
    found = []
    for target in targets:
        model = small_qdformer(task, **options).train()
        terms = terms_of(model, Batch.collate([replace(clip, target=target)], frames=5))
        backward(terms)
        found.append((values(terms), [p.grad for p in model.parameters() if p.grad is not None]))
    assert found[0][0] == found[1][0] and set(found[0][0]) >= {"distill", "sounding"}
    assert all(torch.equal(a, b) for a, b in zip(found[0][1], found[1][1], strict=True))


@pytest.mark.parametrize("task", [BINARY, SEMANTIC])
def test_clips_without_truth_or_without_sound_can_be_learned_from(task: Task) -> None:
    """No frame labelled at all; silence in all frames; both in one batch with a clip that sounds."""
    clips = [told_clip(painted({1: (4, 8, 30, 40)}, {}), [False, False]), told_clip(painted({}, {}), seed=1)]
    for batch in ([clips[0]], [clips[1]], [*clips, told_clip(painted({2: (0, 0, 30, 30)}, {}), seed=2)]):
        model = small_qdformer(task).train()
        terms = terms_of(model, Batch.collate(batch))
        backward(terms)
        assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
        if batch == [clips[0]]:
            assert {terms[name].item() for name in ("class", "box", "giou", "mask", "dice")} == {0.0}


def test_terms_are_divided_by_the_mean_count_of_all_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes, of which the other has six frames that show a target, and this one three."""
    model, batch = small_qdformer(), Batch.collate(two_clips()[:1])
    output = model(batch)
    alone = values(model.losses(output, batch))
    model.train()
    group = torch.distributed
    monkeypatch.setattr(group, "is_initialized", lambda: True)
    monkeypatch.setattr(group, "get_world_size", lambda: 2)
    monkeypatch.setattr(group, "all_reduce", lambda counts: counts.add_(6))
    together = values(model.losses(output, batch))
    for name in ("class", "box", "giou", "mask", "dice"):
        assert together[name] == pytest.approx(alone[name] * 3 / 4.5, rel=1e-5)
    assert together["codebook"] == alone["codebook"]


def test_the_sounding_loss_wants_to_know_the_classes() -> None:
    with pytest.raises(ValueError, match="sounding_classes"):
        small_qdformer(BINARY, sounding_weight=1.0)
    model = small_qdformer(BINARY, sounding_weight=1.0, sounding_classes=5)
    batch = Batch.collate(two_clips())
    with pytest.raises(ValueError, match="needs ground truth over 5 classes"):
        model.losses(model(batch), batch)


# ---- maps


@pytest.mark.parametrize("task", [BINARY, SEMANTIC])
def test_maps_are_assembled_of_the_frames_that_exist(task: Task) -> None:
    options = AssemblyConfig(gate=None, background=0.1)
    model, batch = small_qdformer(task, assembly=options), Batch.collate(two_clips())
    output = model(batch)
    first, second = dense(model.postprocess(output, batch))
    assemble = binary_logits if task is BINARY else semantic_logits
    wanted = assemble(output.class_logits[1, :2], output.mask_logits[1, :2], (64, 64), options)
    assert torch.equal(second.logits, wanted) and first.logits.shape == (3, task.channels, 64, 64)
    if task is SEMANTIC:
        assert (second.probabilities(0).sum(0) - 1).abs().max() < 1e-5


def test_the_gate_is_that_of_the_config() -> None:
    """Classes are improbable at first, so that a gate of 0.3 empties every frame."""
    batch = Batch.collate(two_clips())
    gated, free = (small_qdformer(BINARY, assembly=AssemblyConfig(gate=gate)) for gate in (0.3, None))
    free.load_state_dict(gated.state_dict())
    assert all((p.logits < -13).all() for p in dense(gated.predict(batch)))
    assert any((p.logits > -13).any() for p in dense(free.predict(batch)))


# ---- what is watched, and what learns


def test_codes_of_clips_and_of_frames_that_exist_are_counted() -> None:
    model, batch = small_qdformer(), Batch.collate(two_clips())
    output = model(batch)
    counts = model.measures(output)
    assert {name: (len(count), int(count.sum())) for name, count in counts.items()} == {
        "global_codes": (16, 2 * 3),
        "local_codes": (16, 5 * 3),
    }
    for name, codes in (("global_codes", output.clip_tokens.codes), ("local_codes", output.frame_tokens.codes)):
        kept = codes if name == "global_codes" else codes[output.valid]
        assert torch.equal(counts[name], torch.bincount(kept.flatten(), minlength=16).float())
    whole, raw = small_qdformer(local_calibration=False), small_qdformer(quantise=False)
    assert set(whole.measures(whole(batch))) == {"global_codes"} and raw.measures(raw(batch)) == {}


def test_codebooks_of_their_own_are_counted_row_by_row() -> None:
    model = small_qdformer(codebook=CodebookConfig(codes=16, shared=False))
    counts = model.measures(model(Batch.collate(two_clips())))["global_codes"]
    assert counts.shape == (3 * 16,) and torch.unflatten(counts, 0, (3, 16)).sum(1).tolist() == [2, 2, 2]


def test_parts_that_learn() -> None:
    model = small_qdformer(audio_network="small", sounding_weight=1.0)
    groups = model.param_groups()
    assert set(groups) == {"backbone", "codebook", "sound", "decoder", "audio"}
    found = [id(p) for group in groups.values() for p in group]
    assert len(set(found)) == len(found)
    assert set(found) == {id(p) for p in model.parameters() if p.requires_grad}
    assert model.network.quantizer is not None
    assert [id(p) for p in groups["codebook"]] == [id(model.network.quantizer.codebook)]
    assert {id(p) for p in model.network.resizer.parameters()} <= {id(p) for p in groups["sound"]}
    assert {id(p) for p in model.network.decoder.parameters()} <= {id(p) for p in groups["decoder"]}
    averaged = small_qdformer(codebook=CodebookConfig(codes=16, update="ema", width=8), freeze_visual=True)
    assert set(averaged.param_groups()) == {"sound", "decoder"}


# ---- one clip of each task


def two_sources() -> Clip:
    """Two squares that move; the picture tells where they are, and the sound alone which of them sounds: one, both, the
    other, none."""
    seen = painted(*({1: (8, 4 + 4 * t, 32, 28 + 4 * t), 2: (36, 32 - 4 * t, 60, 60 - 4 * t)} for t in range(4)))
    sounds = torch.tensor([[0, 1, 0], [0, 1, 1], [0, 0, 1], [0, 0, 0]]) > 0  # (T, label)
    colours = torch.tensor([[110, 110, 110], [230, 30, 30], [30, 60, 230]], dtype=torch.uint8)
    heard = torch.zeros(4, 8)
    heard[:, :3] = 3.0 * sounds
    labels = torch.where(sounds[torch.arange(4)[:, None, None], seen], seen, 0)
    return replace(told_clip(labels), frames=colours[seen].permute(0, 3, 1, 2).contiguous(), audio_features=heard)


def overlap(prediction: DensePrediction, labels: Tensor, classes: int) -> float:
    """J: the mean over frames and classes; 1 where a class neither is nor is seen."""
    found = []
    for t, n in itertools.product(range(len(labels)), range(1, classes + 1)):
        own, wanted = prediction.labels(t) == n, labels[t] == n
        union = (own | wanted).sum()
        found.append(float((own & wanted).sum() / union) if union else 1.0)
    return sum(found) / len(found)


@pytest.mark.parametrize("task", [BINARY, Task("semantic", ("dog", "guitar"))], ids=lambda task: task.kind)
def test_one_clip_is_learned_by_heart(task: Task) -> None:
    """From nothing, in some hundred steps: what sounds, where it is, and when it falls silent."""
    clip = two_sources()
    assert isinstance(clip.target, DenseTarget)
    batch = Batch.collate([clip])
    model = small_qdformer(task, dropout=0.0, freeze_norms=False, frozen_stages=0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    wanted = clip.target.labels if task.classes else (clip.target.labels > 0).long()
    for step in range(1, 301):
        model.train()
        optimizer.zero_grad()
        backward(model.losses(model(batch), batch))
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 20 == 0 and overlap(dense(model.predict(batch))[0], wanted, max(len(task.classes), 1)) > 0.95:
            return
    pytest.fail("J of one clip is not above 0.95 after 300 steps")
