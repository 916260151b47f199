"""CAVP as a model: what a training step shows the network, what the bank gives, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from avseg.losses import ContrastConfig
from avseg.models import build_model
from avseg.models.cavp.config import CAVPConfig
from avseg.models.cavp.model import CAVP, CAVPOutput
from avseg.nn.decibel import decibel_mel, decibel_windows
from avseg.nn.frames import normalised
from avseg.types import Batch, Clip, DenseTarget, Draw, Task
from small import small_config


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """The models are so small that a second thread only gets in the way."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


TASK = Task("semantic", ("bell", "dog", "guitar"))
CONTRAST = ContrastConfig(views=40, slots=2)


def config(**changes: Any) -> CAVPConfig:
    return small_config("cavp", **{"contrast": CONTRAST, **changes})


def model_of(task: Task = TASK, **changes: Any) -> CAVP:
    torch.manual_seed(0)
    model = build_model(config(**changes), task)
    assert isinstance(model, CAVP)
    return model.train()


def clip_of(number: int, classes: tuple[int, ...], channels: int = 1, binary: bool = False) -> Clip:
    """One frame of 64 x 64 with a rectangle of every class; the sound is noise, panned by 0.1 times the number."""
    generator = torch.Generator().manual_seed(number)
    labels = torch.zeros(1, 64, 64, dtype=torch.int64)
    for place, c in enumerate(classes):
        labels[0, 32 * place : 32 * place + 30, 4:60] = 1 if binary else c
    sounding = torch.tensor([[c in classes for c in (1, 2, 3)]])
    sound = 0.1 * torch.randn(1, 48000, generator=generator)
    p = 0.1 * number
    return Clip(
        id=f"clip{number}",
        frames=torch.randint(0, 256, (1, 3, 64, 64), generator=generator, dtype=torch.uint8),
        times=torch.zeros(1, dtype=torch.float64),
        audio=sound if channels == 1 else torch.cat([(1 - p) * sound, p * sound]),
        sample_rate=16000,
        audio_start=-1.5,
        target=DenseTarget(labels, torch.ones(1, dtype=torch.bool), sounding),
    )


CLASSES = ((1,), (2,), (3,), (1, 2), (2,), (1,))


def batch_of(epoch: int = 0, classes: tuple[tuple[int, ...], ...] = CLASSES, first: int = 0, **options: Any) -> Batch:
    clips = [clip_of(first + i, c, **options) for i, c in enumerate(classes)]
    return replace(Batch.collate(clips), draw=Draw(1, epoch), index=[first + i for i in range(len(clips))])


def step(model: CAVP, batch: Batch) -> tuple[CAVPOutput, dict[str, Tensor]]:
    output = model(batch)
    return output, model.losses(output, batch)


# ---- the training step


def test_a_step_shows_pictures_once_and_sounds_twice() -> None:
    model, batch = model_of(), batch_of()
    reference = model_of()
    output, terms = step(model, batch)
    assert output.pairing is not None and output.embeddings is not None
    network = reference.network
    log_mel = decibel_windows(batch, model.config.audio, 300, 1)[:, 0]
    seen = network.see(normalised(batch.frames[:, 0])).features
    heard = network.hear(torch.cat([log_mel, log_mel[output.pairing.permutation]]))
    embeddings = network.fuse(seen, heard)
    logits = network.classify(embeddings, 6)
    torch.testing.assert_close(output.embeddings, embeddings)
    torch.testing.assert_close(output.logits[:, 0], logits)
    labels = torch.stack([t.labels[0] for t in batch.targets or []])  # type: ignore[union-attr]
    whole = F.interpolate(logits, (64, 64), mode="bilinear", align_corners=False)
    torch.testing.assert_close(terms["segmentation"], F.cross_entropy(whole, labels))
    # The statistics of every norm are those of the published halves, too.
    ours, theirs = dict(model.network.named_buffers()), dict(network.named_buffers())
    assert all(torch.allclose(ours[n], theirs[n], atol=1e-5) for n in ours)


def test_a_network_without_batch_norms_hears_every_sound_once() -> None:
    model = model_of()
    model.network.audio = nn.Sequential(nn.Flatten(), nn.Linear(300 * 64, 16))
    heard: list[int] = []
    model.network.audio.register_forward_hook(lambda module, given, out: heard.append(len(out)))
    output, _ = step(model, batch_of())
    assert heard == [6]
    assert output.embeddings is not None and len(output.embeddings) == 12


def test_the_two_halves_differ_by_their_sounds_alone() -> None:
    """Where a clip keeps its own sound, both halves are the same."""
    model = model_of()
    for epoch in range(20):
        output, _ = step(model, batch_of(classes=((1,), (2,)), epoch=epoch))
        assert output.pairing is not None and output.embeddings is not None
        if output.pairing.permutation.tolist() == [0, 1] and not len(output.pairing.overwritten):
            break
    else:
        raise AssertionError("no permutation kept the order")
    matched, shuffled = output.embeddings.chunk(2)
    assert torch.equal(matched, shuffled) and bool(output.pairing.matches.all())


@pytest.mark.parametrize("task", [TASK, Task("binary")])
def test_a_step_is_reproducible_and_follows_seed_epoch_and_clips(task: Task) -> None:
    def terms(batch: Batch) -> list[float]:
        return [float(term.detach()) for term in step(model_of(task), batch)[1].values()]

    options = {"binary": task.kind == "binary"}
    batch = batch_of(**options)
    plain = terms(batch)
    assert len(plain) == 2 and plain[1] > 0
    torch.manual_seed(5)  # nothing is drawn from the global generator
    assert terms(batch) == plain
    assert terms(replace(batch, draw=Draw(2, 0)))[1] != plain[1]
    assert terms(batch_of(epoch=1, **options))[1] != plain[1]
    assert terms(replace(batch, index=[7, 8, 9, 10, 11, 12]))[1] != plain[1]
    assert terms(replace(batch, draw=None, index=[])) == terms(replace(batch, draw=Draw(0, 0), index=[]))


def test_losses_of_an_output_are_the_same_twice() -> None:
    model, batch = model_of(), batch_of()
    output = model(batch)
    a, b = model.losses(output, batch), model.losses(output, batch)
    assert {k: float(v.detach()) for k, v in a.items()} == {k: float(v.detach()) for k, v in b.items()}


def test_binary_labels_are_paired_by_what_sounds() -> None:
    model = model_of(Task("binary"))
    assert model.bank is None
    output, _ = step(model, batch_of(epoch=3, binary=True, classes=((1,), (2,), (3,))))
    assert output.pairing is not None
    assert output.pairing.matches.tolist() == [i == j for i, j in enumerate(output.pairing.permutation.tolist())]
    assert output.logits.shape == (3, 1, 1, 16, 16)


def test_the_binary_loss_is_that_of_two_channels() -> None:
    model, batch = model_of(Task("binary"), contrast=None), batch_of(binary=True)
    channels: list[Tensor] = []
    model.network.decoder.classifier.register_forward_hook(lambda m, given, out: channels.append(out))
    _, terms = step(model, batch)
    labels = torch.stack([t.labels[0] for t in batch.targets or []])  # type: ignore[union-attr]
    whole = F.interpolate(channels[0], (64, 64), mode="bilinear", align_corners=False)
    assert whole.shape[1] == 2
    torch.testing.assert_close(terms["segmentation"], F.cross_entropy(whole, labels))


def test_frames_without_labels_take_no_part_in_training() -> None:
    """Neither their labels, nor their sounding classes, nor their pictures."""

    def altered(clip: Clip, garble: bool) -> Clip:
        target = clip.target
        assert isinstance(target, DenseTarget)
        blank = clip.frames if not garble else 255 - clip.frames
        labels = target.labels if not garble else (target.labels + 1) % 4
        assert target.sounding is not None
        sounding = target.sounding ^ garble
        return replace(
            clip,
            frames=torch.cat([clip.frames, blank]),
            times=torch.arange(2, dtype=torch.float64),
            target=DenseTarget(
                torch.cat([target.labels, labels]),
                torch.tensor([True, False]),
                torch.cat([target.sounding, sounding]),
            ),
        )

    values = []
    for garble in (False, True):
        clips = [altered(clip_of(i, c), garble) for i, c in enumerate(CLASSES)]
        batch = replace(Batch.collate(clips), draw=Draw(1, 1), index=list(range(6)))
        output, terms = step(model_of(), batch)
        assert output.logits.shape[:2] == (6, 2) and not output.logits[:, 1].any()
        values.append([float(term.detach()) for term in terms.values()])
    assert values[0] == values[1]


def test_a_batch_without_any_label_has_losses_of_zero() -> None:
    clips = [clip_of(i, c) for i, c in enumerate(CLASSES[:3])]
    blank = [
        replace(c, target=replace(c.target, annotated=torch.zeros(1, dtype=torch.bool)))  # type: ignore[type-var]
        for c in clips
    ]
    _, terms = step(model_of(), Batch.collate(blank))
    torch.stack(list(terms.values())).sum().backward()
    assert {name: float(term.detach()) for name, term in terms.items()} == {"segmentation": 0.0, "contrast": 0.0}


def test_one_picture_is_refused_where_a_norm_would_have_one_value() -> None:
    with pytest.raises(ValueError, match=r"train.drop_last"):
        model_of()(batch_of(classes=((1,),)))
    _, terms = step(model_of(decoder="ocr", head_width=8), batch_of(classes=((1,),)))
    assert all(bool(torch.isfinite(term)) for term in terms.values())


def test_a_model_without_contrast_has_one_term_and_no_bank() -> None:
    model = model_of(contrast=None)
    output, terms = step(model, batch_of(epoch=1))
    assert list(terms) == ["segmentation"] and output.embeddings is None
    assert model.bank is None


def test_soft_regions_learn_where_they_are_weighted() -> None:
    for weight in (0.0, 0.4):
        model = model_of(decoder="ocr", head_width=8, auxiliary_weight=weight)
        _, terms = step(model, batch_of())
        assert ("auxiliary" in terms) == (weight > 0)
        torch.stack(list(terms.values())).sum().backward()
    regions = list(model.network.decoder.regions.parameters())  # type: ignore[union-attr, operator]
    assert all(p.grad is not None and bool(p.grad.any()) for p in regions[-2:])


def test_five_parts_hold_every_parameter_once() -> None:
    model = model_of()
    parts = model.param_groups()
    assert list(parts) == ["backbone", "decoder", "projector", "fusion", "audio"] and all(parts.values())
    listed = [id(p) for part in parts.values() for p in part]
    assert sorted(listed) == sorted(id(p) for p in model.parameters())


# ---- the bank


def given_log_mel(model: CAVP, batch: Batch) -> tuple[CAVPOutput, Tensor]:
    """A step's output, and the log-mel pictures given in its second half."""
    heard: list[Tensor] = []
    handle = model.network.audio.register_forward_pre_hook(lambda module, inputs: heard.append(inputs[0]))
    output = model(batch)
    handle.remove()
    return output, heard[0][len(batch) :]


def filled(model: CAVP, **options: Any) -> list[Tensor]:
    """Two steps of the first epoch with three sounds of each class; the waveforms of the first of each class."""
    for first in (20, 26):
        batch = batch_of(classes=((1,), (2,), (3,)) * 2, first=first, **options)
        model(batch)
        assert model.bank is not None
    assert model.bank.written.tolist() == [4, 4, 4] and bool(model.bank.full()[1:].all())
    return list(model.bank.read(torch.tensor([1, 2, 3])))


def test_the_first_epoch_fills_the_bank_and_takes_nothing_from_it() -> None:
    model = model_of()
    oldest = filled(model)
    assert torch.equal(oldest[0], clip_of(26, (1,)).audio[0])  # of 20, 23, 26 and 29 the last two are kept
    output, _ = given_log_mel(model, batch_of(epoch=0))
    assert output.pairing is not None and not len(output.pairing.overwritten)
    assert model.bank is not None and model.bank.written.tolist() == [6, 6, 5]  # not the picture of two classes


def overwriting_batch(model: CAVP, **options: Any) -> tuple[CAVPOutput, Tensor]:
    for first in range(0, 600, 6):
        before = None if model.bank is None else {k: v.clone() for k, v in model.bank.state_dict().items()}
        output, given = given_log_mel(model, batch_of(epoch=1, first=first, **options))
        assert output.pairing is not None
        if len(output.pairing.overwritten):
            return output, given
        if model.bank is not None and before is not None:
            model.bank.load_state_dict(before)
    raise AssertionError("nothing was overwritten in a hundred batches")


def test_later_epochs_give_the_oldest_sound_of_the_class() -> None:
    model = model_of()
    oldest = filled(model)
    output, given = overwriting_batch(model)
    assert output.pairing is not None
    for item in output.pairing.overwritten.tolist():
        (c,) = CLASSES[item]
        assert bool(output.pairing.matches[item])
        torch.testing.assert_close(given[item, 0], decibel_mel(oldest[c - 1][None])[0, :300])


def test_a_bank_that_is_not_full_gives_nothing_or_as_published_silence() -> None:
    repaired = model_of()
    for epoch in (1, 2):
        output, _ = given_log_mel(repaired, batch_of(epoch=epoch, classes=CLASSES[2:4]))  # one sound of one class
        assert output.pairing is not None and not len(output.pairing.overwritten)
    published = model_of(contrast=replace(CONTRAST, bank="published", slots=99))
    output, given = overwriting_batch(published)
    assert output.pairing is not None
    for item in output.pairing.overwritten.tolist():
        assert bool((given[item] == -1).all()) and bool(output.pairing.matches[item])


def test_without_a_bank_every_wrong_sound_stays_wrong() -> None:
    model = model_of(contrast=replace(CONTRAST, bank="none"))
    assert model.bank is None
    output, _ = given_log_mel(model, batch_of(epoch=5))
    assert output.pairing is not None and not len(output.pairing.overwritten)


def test_a_bank_of_other_classes_is_refused() -> None:
    with pytest.raises(ValueError, match="over 3 classes but the task has 2"):
        model_of(Task("semantic", ("bell", "dog")))(batch_of())


# ---- stereo


def test_stereo_pans_the_sound_of_the_bank_to_where_the_own_one_is() -> None:
    model = model_of(audio_channels=2)
    oldest = filled(model, channels=2)
    torch.testing.assert_close(oldest[0], clip_of(26, (1,)).audio[0])  # left and right together are the source
    for first in range(0, 60, 6):  # positions of 0 to 1
        numbers = [n % 10 for n in range(first, first + 6)]
        clips = [clip_of(n, c, channels=2) for n, c in zip(numbers, CLASSES, strict=True)]
        before = {k: v.clone() for k, v in model.bank.state_dict().items()}  # type: ignore[union-attr]
        batch = replace(Batch.collate(clips), draw=Draw(1, 1), index=list(range(first, first + 6)))
        output, given = given_log_mel(model, batch)
        model.bank.load_state_dict(before)  # type: ignore[union-attr]
        assert output.pairing is not None
        for item in output.pairing.overwritten.tolist():
            (c,) = CLASSES[item]
            p = 0.1 * numbers[item]
            wanted = torch.stack([(1 - p) * oldest[c - 1], p * oldest[c - 1]])
            torch.testing.assert_close(given[item], decibel_mel(wanted)[:, :300], atol=1e-4, rtol=0)


def test_published_stereo_calls_wrong_sounds_right_and_hears_the_batch_once() -> None:
    model = model_of(audio_channels=2, contrast=replace(CONTRAST, bank="published"))
    assert model.bank is None
    output, given = overwriting_batch(model, channels=2)
    assert len(given) == 0  # only the batch itself is heard, then shuffled
    assert output.pairing is not None and output.embeddings is not None
    item = int(output.pairing.overwritten[0])
    other = int(output.pairing.permutation[item])
    assert bool(output.pairing.matches[item]) and CLASSES[item] != CLASSES[other]


def test_mono_clips_are_refused_by_a_stereo_model_and_stereo_ones_averaged_by_a_mono_one() -> None:
    with pytest.raises(ValueError, match="stereo=True"):
        model_of(audio_channels=2)(batch_of())
    stereo = model_of()(batch_of(channels=2))
    halved = [replace(clip_of(i, c), audio=clip_of(i, c).audio / 2) for i, c in enumerate(CLASSES)]
    mono = model_of()(replace(Batch.collate(halved), draw=Draw(1, 0), index=list(range(6))))
    torch.testing.assert_close(stereo.logits, mono.logits, atol=1e-4, rtol=1e-4)


# ---- whole sizes


def test_a_published_network_takes_a_training_step() -> None:
    torch.manual_seed(0)
    model = build_model(CAVPConfig(contrast=replace(CONTRAST, slots=1)), TASK).train()
    model.bank.write(torch.randn(3, 48000), torch.tensor([1, 2, 3]))  # type: ignore[union-attr, operator]
    batch = batch_of(epoch=1, classes=((1,), (2,), (3,), (1, 3)))
    terms = model.losses(model(batch), batch)
    torch.stack(list(terms.values())).sum().backward()
    assert set(terms) == {"segmentation", "contrast"} and all(bool(torch.isfinite(t)) for t in terms.values())
    unused = {name for name, p in model.named_parameters() if p.requires_grad and p.grad is None}
    assert not any(name.startswith(("network.backbone", "network.projector")) for name in unused), unused
