"""Which sounds are given to which pictures, and the bank they may come from."""

from __future__ import annotations

from collections import deque

import pytest
import torch
from torch import Tensor

from avseg.models.cavp.bank import SoundBank, panned, positions, single_channel
from avseg.models.cavp.pairing import Pairing, class_sets, draw_pairing, single_classes
from avseg.types import DenseTarget


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def sets_of(*classes: tuple[int, ...], width: int = 6) -> Tensor:
    """(N, width) bool."""
    out = torch.zeros(len(classes), width, dtype=torch.bool)
    for row, ids in enumerate(classes):
        out[row, list(ids)] = True
    return out


def target(label: int, sounding: list[bool] | None, frames: int = 2, whole: bool = False) -> DenseTarget:
    labels = torch.full((frames, 4, 4), label)
    if not whole:
        labels[:, 2:] = 0
    named = None if sounding is None else torch.tensor([sounding] * frames)
    return DenseTarget(labels, torch.ones(frames, dtype=torch.bool), named)


# ---- sets of classes


def test_classes_are_those_that_sound_and_the_background_those_of_the_labels() -> None:
    """Binary labels, named sounds; one picture is all foreground; frames that are not chosen are left out."""
    targets = [target(1, [True, False, True]), target(1, [False, True, False], whole=True), target(0, [False] * 3)]
    items = torch.tensor([[True, False], [True, True], [False, True]])
    assert class_sets(targets, items).int().tolist() == [[1, 1, 0, 1], [0, 0, 1, 0], [0, 0, 1, 0], [1, 0, 0, 0]]


def test_without_named_sounds_there_is_one_class_where_anything_is_foreground() -> None:
    targets = [target(3, None), target(255, None), target(0, None)]
    assert class_sets(targets, torch.ones(3, 2, dtype=torch.bool)).int().tolist() == [[1, 1]] * 2 + [[1, 0]] * 4


def test_clips_of_two_data_sets_are_refused() -> None:
    items = torch.ones(2, 2, dtype=torch.bool)
    for other in (None, [True, False]):
        with pytest.raises(ValueError, match="a batch needs one data set"):
            class_sets([target(1, [True]), target(1, other)], items)


def test_single_classes() -> None:
    assert single_classes(sets_of((0, 3), (3, 4), (0,), (5,), ())).tolist() == [3, 0, 0, 5, 0]


# ---- pairs


def test_a_pair_matches_where_the_sets_are_equal_background_included() -> None:
    sets = sets_of((0, 1), (0, 1), (1,), (0, 1, 2), (0, 2))
    for seed in range(20):
        pairing = draw_pairing(sets, 0.0, None, seeded(seed))
        assert sorted(pairing.permutation.tolist()) == [0, 1, 2, 3, 4]
        assert torch.equal(pairing.sources(), pairing.permutation) and not len(pairing.overwritten)
        wanted = [sets[i].tolist() == sets[j].tolist() for i, j in enumerate(pairing.permutation.tolist())]
        assert pairing.matches.tolist() == wanted


def test_labels_beside_a_wrong_sound_are_background() -> None:
    labels = torch.randint(0, 3, (3, 4, 4), generator=seeded())
    labels[1, 0] = 255
    pairing = Pairing(torch.tensor([0, 2, 1]), torch.tensor([True, False, True]), torch.tensor([], dtype=torch.int64))
    given = pairing.labels(labels)
    assert torch.equal(given[0], labels[0]) and torch.equal(given[2], labels[2]) and not given[1].any()


def literal_pairing(
    sets: list[list[bool]], share: float, full: list[bool], generator: torch.Generator
) -> tuple[list[int], list[bool], list[int]]:
    """The definition, picture by picture, with the same draws."""
    order = torch.randperm(len(sets), generator=generator).tolist()
    matches = [sets[i] == sets[j] for i, j in enumerate(order)]
    wrong = [i for i, match in enumerate(matches) if not match]
    drawn = [wrong[k] for k in torch.randperm(len(wrong), generator=generator).tolist()][: int(share * len(wrong))]
    taken = []
    for i in drawn:
        foreground = [c for c in range(1, len(sets[i])) if sets[i][c]]
        if len(foreground) == 1 and full[foreground[0]]:
            taken.append(i)
            matches[i] = True
    return order, matches, taken


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("share", [0.3, 0.5, 1.0])
def test_overwriting_is_that_of_the_literal_rule(seed: int, share: float) -> None:
    sets = sets_of((0, 1), (0, 2), (0, 2, 3), (0,), (0, 4), (0, 1), (0, 5), (5,), (0, 2))
    full = torch.tensor([False, True, True, True, False, True])
    pairing = draw_pairing(sets, share, full, seeded(seed))
    order, matches, taken = literal_pairing(sets.tolist(), share, full.tolist(), seeded(seed))
    assert pairing.permutation.tolist() == order
    assert pairing.matches.tolist() == matches
    assert pairing.overwritten.tolist() == taken
    wanted = [9 + taken.index(i) if i in taken else j for i, j in enumerate(order)]
    assert pairing.sources().tolist() == wanted


def test_all_mismatched_are_overwritten_by_half_and_an_empty_bank_by_none() -> None:
    sets = sets_of(*((0, c) for c in range(1, 9)), width=9)
    seed = next(s for s in range(99) if not draw_pairing(sets, 0.0, None, seeded(s)).matches.any())
    assert int(draw_pairing(sets, 0.5, None, seeded(seed)).matches.sum()) == 4
    assert int(draw_pairing(sets, 0.45, None, seeded(seed)).matches.sum()) == 3  # the floor
    nothing = draw_pairing(sets, 0.5, torch.zeros(9, dtype=torch.bool), seeded(seed))
    assert not nothing.matches.any() and not len(nothing.overwritten)


# ---- the bank


def test_the_bank_is_a_queue_of_zeros_per_class() -> None:
    """What is read is slot 0 of a queue that sounds are appended to, also where one batch brings more than it holds."""
    classes, slots, samples = 3, 4, 5
    bank = SoundBank(classes, slots, samples)
    queues = [deque([torch.zeros(samples)] * slots, maxlen=slots) for _ in range(classes)]
    generator = seeded()
    everything = torch.arange(1, classes + 1)
    for size in (2, 3, 1, 7, 12, 0, 4):
        sounds = torch.randn(size, samples, generator=generator)
        ids = torch.randint(1, classes + 1, (size,), generator=generator)
        bank.write(sounds, ids)
        for sound, c in zip(sounds, ids.tolist(), strict=True):
            queues[c - 1].append(sound)
        assert torch.equal(bank.read(everything), torch.stack([queue[0] for queue in queues]))
    assert bank.full().tolist() == [False, True, True, True]


def test_a_class_is_full_once_it_has_had_as_many_sounds_as_slots() -> None:
    bank = SoundBank(2, 2, 4)
    assert bank.full().tolist() == [False, False, False]
    bank.write(torch.ones(1, 4), torch.tensor([2]))
    assert not bank.full().any() and not bank.read(torch.tensor([2])).any()
    bank.write(torch.full((1, 4), 2.0), torch.tensor([2]))
    assert bank.full().tolist() == [False, False, True]
    assert bank.read(torch.tensor([2, 2])).tolist() == [[1.0] * 4] * 2


def test_a_panned_source_and_its_position_come_back() -> None:
    source, p = torch.randn(4, 300, generator=seeded()), torch.tensor([0.0, 0.2, 0.5, 1.0])
    sounds = panned(source, p)
    assert torch.equal(sounds[0, 1], torch.zeros(300)) and torch.equal(sounds[3, 0], torch.zeros(300))
    torch.testing.assert_close(single_channel(sounds), source)
    torch.testing.assert_close(positions(sounds), p)
    assert positions(torch.zeros(1, 2, 300)).tolist() == [0.5]
    assert positions(torch.stack([source[0], -0.9 * source[0]])[None]).tolist() == [0.0]  # beyond the left
