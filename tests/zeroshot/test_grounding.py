"""GroundingDINO and MM-GroundingDINO as finders: what holds of both, with tiny random weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from avseg.models.zeroshot.parts import Found
from extras import needs
from zeroshot import tiny_finders as tiny

pytestmark = pytest.mark.extra
NOUNS = ["dog", "red square", "fire-truck"]
OF_NOUNS = [[1], [3, 4], [6, 7, 8]]
"""Tokens of `NOUNS` in "[CLS] dog . red square . fire - truck . [SEP]"."""


@pytest.fixture(scope="module", params=["grounding_dino", "mm_grounding_dino"])
def kind(request: pytest.FixtureRequest) -> str:
    needs("transformers")
    return str(request.param)


@pytest.fixture(scope="module")
def folder(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.BUILT[kind](tmp_path_factory.mktemp(kind))


@pytest.fixture(scope="module")
def finder(kind: str, folder: Path) -> Any:
    return tiny.opened(kind, folder)


@contextmanager
def watched(finder: Any) -> Iterator[list[tuple[dict[str, Any], Any]]]:
    """What the model is given meanwhile, and what it puts out."""
    calls: list[tuple[dict[str, Any], Any]] = []
    hook = finder.model.register_forward_hook(lambda _, args, given, out: calls.append((given, out)), with_kwargs=True)
    yield calls
    hook.remove()


def told(found: list[Found]) -> list[tuple[float, ...]]:
    return [(one.noun, one.score, *one.box) for one in found]


def test_what_is_loaded_is_what_was_saved(finder: Any) -> None:
    assert len(finder.processor.tokenizer) == 1093
    assert not finder.model.training
    assert type(finder.processor).__name__ == "GroundingDinoProcessor"


def test_a_score_is_the_mean_over_the_tokens_of_the_noun(finder: Any) -> None:
    with watched(finder) as calls:
        found = finder.find(tiny.pictures(1), NOUNS)[0]
    (given, out), wanted = calls[0], []
    words = finder.processor.tokenizer.convert_ids_to_tokens(given["input_ids"][0])
    assert " ".join(words) == "[CLS] dog . red square . fire - truck . [SEP]"
    high, wide = tiny.SIZE
    for logits, (x, y, w, h) in zip(out.logits[0].tolist(), out.pred_boxes[0].tolist(), strict=True):
        scores = [sum(1 / (1 + 2.718281828459045 ** -logits[k]) for k in own) / len(own) for own in OF_NOUNS]
        box = [(x - w / 2) * wide, (y - h / 2) * high, (x + w / 2) * wide, (y + h / 2) * high]
        clipped = [max(0, box[0]), max(0, box[1]), min(wide, box[2]), min(high, box[3])]
        if (clipped[2] - clipped[0]) * (clipped[3] - clipped[1]) >= w * h * wide * high / 2:
            wanted.append((scores.index(max(scores)), max(scores), *clipped))
    wanted.sort(key=lambda row: -row[1])
    assert len(found) > 6 and len({one.noun for one in found}) > 1
    assert told(found) == [pytest.approx(row, abs=1e-4) for row in wanted]


def test_beyond_the_text_nothing_has_a_score(finder: Any) -> None:
    with watched(finder) as calls:
        finder.find(tiny.pictures(1), NOUNS)
    logits = calls[0][1].logits
    assert logits.shape == (1, 12, 256)
    assert bool((logits[..., 11:] == -torch.inf).all()) and bool(logits[..., :11].isfinite().all())


def test_labels_of_the_processor_would_have_been_wrong(finder: Any) -> None:
    """They hold special tokens, dots and words of two nouns, and their scores are those of any token."""
    with watched(finder) as calls:
        found = finder.find(tiny.pictures(1), NOUNS)[0]
    out = calls[0][1]
    names = finder.processor.post_process_grounded_object_detection(
        out, threshold=0.0, text_threshold=0.001, target_sizes=[tiny.SIZE]
    )[0]
    assert any("[SEP]" in label for label in names["text_labels"])
    assert any("." in label for label in names["text_labels"])
    assert not set(names["text_labels"]) & set(NOUNS)
    highest = out.logits[0].argmax(1)
    assert bool(torch.isin(highest, torch.tensor([0, 2, 5, 9, 10])).any()), "a token of no noun gives the score"
    assert max(one.score for one in found) < float(names["scores"].max())


def test_boxes_below_the_threshold_are_dropped(kind: str, folder: Path, finder: Any) -> None:
    found = finder.find(tiny.pictures(1), NOUNS)[0]
    middle = found[4].score
    stricter = tiny.opened(kind, folder, box=middle - 1e-6).find(tiny.pictures(1), NOUNS)[0]
    assert told(stricter) == told(found[:5])


def test_pictures_are_sized_by_their_shorter_side(kind: str, folder: Path) -> None:
    seen = []
    for side, size in ((64, (48, 72)), (96, (72, 48)), (64, (20, 120))):
        finder = tiny.opened(kind, folder, side=side)
        with watched(finder) as calls:
            finder.find(tiny.pictures(1, size), ["dog"])
        seen.append(tuple(calls[0][0]["pixel_values"].shape[2:]))
    assert seen[:2] == [(64, 96), (144, 96)]
    assert max(seen[2]) <= 64 * 1333 / 800 + 1 and seen[2][1] == pytest.approx(6 * seen[2][0], abs=6)


def test_many_nouns_are_asked_for_in_parts(finder: Any) -> None:
    """Each is four tokens and a dot: 50 of them are 252 of the 256 tokens of a text, with its start and its end."""
    nouns = [f"red dog {a}{b}" for a in "abcdefghij" for b in "abcdefghi"]
    with watched(finder) as calls:
        found = finder.find(tiny.pictures(1), nouns)[0]
    assert [given["input_ids"].shape[1] for given, _ in calls] == [252, 202]
    first, second = (finder.find(tiny.pictures(1), part)[0] for part in (nouns[:50], nouns[50:]))
    wanted = told(first) + [(noun + 50, *rest) for noun, *rest in told(second)]
    assert told(found) == sorted(wanted, key=lambda row: -row[1])
    assert found[0].noun != found[-1].noun


def test_a_text_may_be_as_long_as_the_model_reads_and_no_longer(finder: Any) -> None:
    nouns = [f"red dog {a}{b}" for a in "abcde" for b in "abcdefghij"]
    with watched(finder) as calls:
        finder.find(tiny.pictures(1), [*nouns, "red dog cat"])
        finder.find(tiny.pictures(1), [*nouns, "red dog cat cat"])
    assert [given["input_ids"].shape[1] for given, _ in calls] == [256, 252, 7]
    text = finder.processor(text=". ".join([*nouns, "red dog cat cat"]) + ".", return_tensors="pt")
    pixels = finder.processor.image_processor(images=tiny.pictures(1)[0], return_tensors="pt", size=finder.size)
    with pytest.raises(RuntimeError, match="257"):
        finder.model(**pixels, **text)


def test_pictures_do_not_change_each_other(finder: Any) -> None:
    frames = tiny.pictures(3)
    together = finder.find(frames, NOUNS)
    assert [told(found) for found in together] == [told(finder.find(frame[None], NOUNS)[0]) for frame in frames]
    assert told(together[0]) != told(together[1])


def test_no_nouns_and_no_pictures_find_nothing(finder: Any) -> None:
    assert finder.find(tiny.pictures(2), []) == [[], []]
    assert finder.find(tiny.pictures(1)[:0], NOUNS) == []


def test_dots_and_capitals_do_not_end_a_noun(finder: Any) -> None:
    """For the processor a dot within a label makes a text of each label."""
    with watched(finder) as calls:
        dotted = finder.find(tiny.pictures(1), ["Dog", "St. Bernard?"])[0]
    assert told(dotted) == told(finder.find(tiny.pictures(1), ["dog", "st bernard"])[0])
    read = finder.processor.tokenizer.convert_ids_to_tokens(calls[0][0]["input_ids"][0])
    assert " ".join(read) == "[CLS] dog . st bernard . [SEP]"
    assert len(finder.processor(text=["dog", "St. Bernard"])["input_ids"]) == 2


@pytest.mark.parametrize(
    ("noun", "sentence"),
    [
        ("...", r"'\.\.\.' has nothing that a finder could look for"),
        ("\u200b", "has nothing that a finder could look for"),
        ("red " * 254, "is 254 tokens long, the finder reads 253 at most"),
    ],
)
def test_what_cannot_be_asked_for_is_refused(finder: Any, noun: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        finder.find(tiny.pictures(1), ["dog", noun])


def test_weights_of_half_precision_are_computed_with_in_full(
    kind: str, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from transformers import AutoModelForZeroShotObjectDetection

    half = tmp_path_factory.mktemp("half")
    finder = tiny.opened(kind, folder)
    finder.processor.save_pretrained(half)
    finder.model.half().save_pretrained(half)
    assert AutoModelForZeroShotObjectDetection.from_pretrained(half).dtype == torch.float16
    assert tiny.opened(kind, half).model.dtype == torch.float32
