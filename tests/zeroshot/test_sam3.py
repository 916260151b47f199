"""SAM 3 as a finder of nouns, with tiny random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from avseg.models.zeroshot.parts import Found
from extras import needs
from zeroshot import tiny_finders as tiny

pytestmark = pytest.mark.extra
NOUNS = ["dog", "red square", "cat"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    needs("transformers")
    return tiny.sam3(tmp_path_factory.mktemp("sam3"))


@pytest.fixture(scope="module")
def finder(folder: Path) -> Any:
    return tiny.opened("sam3", folder)


def told(found: list[Found]) -> list[tuple[float, ...]]:
    return [(one.noun, one.score, *one.box) for one in found]


@torch.inference_mode()
def by_itself(finder: Any, picture: Tensor, noun: str) -> dict[str, Any]:
    """What model and processor find in a picture without us."""
    out = finder.model(**_given(finder, picture, noun))
    sizes = [tuple(picture.shape[1:])]
    found: dict[str, Any] = finder.processor.post_process_instance_segmentation(out, 0.0, target_sizes=sizes)[0]
    return found


def _given(finder: Any, picture: Tensor, text: Any) -> Any:
    given = finder.processor(images=picture, text=text, return_tensors="pt")
    del given["original_sizes"]
    return given


def test_objects_are_those_of_the_library_noun_by_noun(finder: Any) -> None:
    picture = tiny.pictures(1)
    found = finder.find(picture, NOUNS)[0]
    seen = 0
    for place, noun in enumerate(NOUNS):
        raw = by_itself(finder, picture[0], noun)
        mine = [one for one in found if one.noun == place]
        order = raw["scores"].argsort(descending=True).tolist()
        kept = [k for k in order if raw["masks"][k].any()]
        assert [one.score for one in mine] == pytest.approx(raw["scores"][kept].tolist(), abs=1e-5)
        for one, k in zip(mine, kept, strict=True):
            assert one.box == pytest.approx(raw["boxes"][k].tolist(), abs=1e-3)
            assert one.mask is not None and one.mask.dtype == torch.bool and one.mask.shape == tiny.SIZE
            assert torch.equal(one.mask, raw["masks"][k].bool())
        seen += len(mine)
    assert seen == len(found) > 20
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)


def test_a_picture_is_encoded_once_for_all_nouns(finder: Any) -> None:
    calls: list[int] = []
    hook = finder.model.vision_encoder.register_forward_hook(lambda *_: calls.append(1))
    finder.find(tiny.pictures(2), NOUNS)
    hook.remove()
    assert len(calls) == 2


def test_one_picture_with_two_texts_fails_within_the_model(finder: Any) -> None:
    with pytest.raises(RuntimeError, match="invalid for input of size"):
        finder.model(**_given(finder, tiny.pictures(1)[0], ["dog", "cat"]))


def test_a_noun_that_is_not_to_be_seen_has_no_objects(folder: Path) -> None:
    """The presence of a noun is a score of its own, by which those of its objects are multiplied."""
    finder = tiny.opened("sam3", folder)
    head = finder.model.detr_decoder.presence_head
    hook = head.register_forward_hook(lambda _, __, out: torch.full_like(out, 1.0))
    present = finder.find(tiny.pictures(1), ["dog"])[0]
    hook.remove()
    head.register_forward_hook(lambda _, __, out: torch.full_like(out, -1.0))
    absent = finder.find(tiny.pictures(1), ["dog"])[0]
    ratio = torch.tensor(-1.0).sigmoid() / torch.tensor(1.0).sigmoid()
    assert [one.score for one in absent] == pytest.approx([one.score * float(ratio) for one in present])
    finder.box = present[0].score * 0.9
    assert finder.find(tiny.pictures(1), ["dog"]) == [[]]


def test_objects_below_the_threshold_are_dropped(folder: Path, finder: Any) -> None:
    found = finder.find(tiny.pictures(1), NOUNS)[0]
    stricter = tiny.opened("sam3", folder, box=found[2].score - 1e-6)
    assert told(stricter.find(tiny.pictures(1), NOUNS)[0]) == told(found[:3])


def test_a_longer_noun_than_the_model_reads_is_refused(finder: Any) -> None:
    finder.find(tiny.pictures(1), ["dog " * 30])
    with pytest.raises(ValueError, match="is 33 tokens long, the finder reads 32 at most"):
        finder.find(tiny.pictures(1), ["dog", "dog " * 31])


def test_pictures_do_not_change_each_other(finder: Any) -> None:
    frames = tiny.pictures(2)
    together = finder.find(frames, NOUNS)
    assert [told(found) for found in together] == [told(finder.find(frame[None], NOUNS)[0]) for frame in frames]
    assert told(together[0]) != told(together[1])
    assert finder.find(frames, []) == [[], []] and finder.find(frames[:0], NOUNS) == []


def test_weights_for_videos_are_those_of_a_picture_too(finder: Any, tmp_path: Path) -> None:
    """On the Hub there are only these."""
    other = tiny.opened("sam3", tiny.sam3_video(tmp_path))
    assert '"sam3_video"' in (tmp_path / "config.json").read_text()
    assert told(other.find(tiny.pictures(1), NOUNS)[0]) == told(finder.find(tiny.pictures(1), NOUNS)[0])
