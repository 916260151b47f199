"""OWLv2 as a finder, with tiny random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from avseg.models.zeroshot.parts import Found
from extras import needs
from zeroshot import tiny_finders as tiny

pytestmark = pytest.mark.extra
NOUNS = ["dog", "red square", "cat"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    needs("transformers")
    return tiny.owlv2(tmp_path_factory.mktemp("owlv2"))


@pytest.fixture(scope="module")
def finder(folder: Path) -> Any:
    return tiny.opened("owlv2", folder)


def by_itself(finder: Any, picture: torch.Tensor, texts: list[str]) -> dict[str, Any]:
    """What model and processor find in a picture without us: every patch, boxes of the square."""
    given = finder.processor(images=picture, text=[texts], return_tensors="pt")
    with torch.inference_mode():
        out = finder.model(**given)
    size = [tuple(picture.shape[1:])]
    found: dict[str, Any] = finder.processor.post_process_grounded_object_detection(out, 0.0, target_sizes=size)[0]
    return found


def told(found: list[Found]) -> list[tuple[float, ...]]:
    return [(one.noun, one.score, *one.box) for one in found]


@pytest.mark.parametrize("size", [(48, 72), (72, 48)])
def test_boxes_are_those_of_the_library_inside_the_picture(finder: Any, size: tuple[int, int]) -> None:
    picture = tiny.pictures(1, size)
    found = finder.find(picture, NOUNS)[0]
    raw = by_itself(finder, picture[0], [f"a photo of a {noun}" for noun in NOUNS])
    high, wide = size
    wanted = []
    for score, noun, box in zip(raw["scores"].tolist(), raw["labels"].tolist(), raw["boxes"].tolist(), strict=True):
        left, top, right, bottom = max(box[0], 0), max(box[1], 0), min(box[2], wide), min(box[3], high)
        part = max(right - left, 0) * max(bottom - top, 0)
        if part >= (box[2] - box[0]) * (box[3] - box[1]) / 2:
            wanted.append((noun, score, left, top, right, bottom))
    assert told(found) == [pytest.approx(row, abs=1e-4) for row in sorted(wanted, key=lambda row: -row[1])]
    assert len(raw["scores"]) == 36 and 2 <= len(found) < 36
    outside = (raw["boxes"][:, 0] > wide) | (raw["boxes"][:, 1] > high)
    assert bool(outside.any()), "some boxes of the library lie in the padding"


def test_the_padding_is_black_below_a_wide_picture(finder: Any) -> None:
    white = torch.full((3, 64, 96), 255, dtype=torch.uint8)
    pixels = finder.processor.image_processor(images=white, do_normalize=False, return_tensors="pt")["pixel_values"]
    assert pixels.shape == (1, 3, 96, 96)
    assert float(pixels[..., :63, :].min()) == 1 and float(pixels[..., 65:, :].max()) == 0


def test_boxes_below_the_threshold_are_dropped(folder: Path, finder: Any) -> None:
    found = finder.find(tiny.pictures(1), NOUNS)[0]
    stricter = tiny.opened("owlv2", folder, box=found[1].score - 1e-6)
    assert told(stricter.find(tiny.pictures(1), NOUNS)[0]) == told(found[:2])


def test_a_text_is_as_long_as_the_model_reads_and_a_longer_one_refused(finder: Any) -> None:
    """The library raises an error about shapes, or with `truncation` asks for another noun."""
    ten = "dog " * 10
    assert len(finder.processor.tokenizer(f"a photo of a {ten}")["input_ids"]) == 16
    finder.find(tiny.pictures(1), [ten])
    with pytest.raises(ValueError, match="is 17 tokens long, the finder reads 16 at most"):
        finder.find(tiny.pictures(1), ["dog", ten + "dog"])
    with pytest.raises(RuntimeError, match="17"):
        by_itself(finder, tiny.pictures(1)[0], [f"a photo of a {ten}dog"])


def test_an_empty_text_would_have_found_something(finder: Any) -> None:
    """The library fills the shorter of two lists of nouns with " ", which has scores like any other noun."""
    given = finder.processor(images=list(tiny.pictures(2)), text=[["dog", "cat"], ["dog"]], return_tensors="pt")
    with torch.inference_mode():
        logits = finder.model(**given).logits
    assert logits.shape == (2, 36, 2) and bool(logits.isfinite().all())
    assert bool((logits[1].argmax(1) == 1).any())
    assert {one.noun for one in finder.find(tiny.pictures(2), ["dog"])[1]} == {0}


def test_pictures_do_not_change_each_other(finder: Any) -> None:
    frames = tiny.pictures(3)
    together = finder.find(frames, NOUNS)
    assert [told(found) for found in together] == [told(finder.find(frame[None], NOUNS)[0]) for frame in frames]
    assert told(together[0]) != told(together[1])
    assert finder.find(frames, []) == [[], [], []] and finder.find(frames[:0], NOUNS) == []
