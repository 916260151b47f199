"""SAM 3 as a follower that finds by nouns, with tiny random weights."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from avseg.models.zeroshot.config import FindConfig
from avseg.models.zeroshot.parts import Found, Seen
from extras import needs
from zeroshot import tiny_followers as tiny

pytestmark = pytest.mark.extra
NOUN = "dog"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    needs("transformers")
    return tiny.BUILT["sam3"](tmp_path_factory.mktemp("sam3"))


@pytest.fixture(scope="module")
def loaded(folder: Path) -> Any:
    return tiny.opened("sam3", folder, find=FindConfig(box=0.0, other=1.0))


@pytest.fixture
def follower(loaded: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """All that it finds is a track, however much it lies on others."""
    monkeypatch.setattr(loaded.model, "det_nms_thresh", 2.0)
    monkeypatch.setattr(loaded, "config", loaded.config)
    return loaded


@pytest.fixture(scope="module")
def frames() -> Tensor:
    return tiny.video(17)


@pytest.fixture
def encoded(loaded: Any) -> Iterator[list[tuple[int, ...]]]:
    """The shapes of the pictures that the encoder gets."""
    calls: list[tuple[int, ...]] = []
    encoder = loaded.model.detector_model.vision_encoder
    hook = encoder.register_forward_pre_hook(lambda _, given: calls.append(given[0].shape))
    yield calls
    hook.remove()


def watched(follower: Any, frames: Tensor, nouns: Sequence[str] = (NOUN,)) -> list[dict[int, Seen]]:
    following = follower.open(tiny.SIZE)
    return [following.see(frame, nouns) for frame in frames]


def bits(logits: Tensor) -> int:
    """The same for the same logits alone, and short where a test shows it."""
    return hash(logits.numpy().tobytes())


def iou(one: Seen, other: Seen) -> float:
    some, others = one.logits > 0, other.logits > 0
    return float((some & others).sum() / (some | others).sum())


def test_tracks_are_numbered_from_one_by_score_with_noun_and_mask(follower: Any, frames: Tensor) -> None:
    first, second = watched(follower, frames[:2])
    assert sorted(first) == sorted(second) == [1, 2, 3, 4]
    scores = [first[number].score for number in (1, 2, 3, 4)]
    assert scores == sorted(scores, reverse=True)
    assert 0 < scores[-1] < scores[0] < 1
    for seen in (*first.values(), *second.values()):
        assert (seen.noun, seen.logits.shape, seen.logits.dtype) == (0, (32, 32), torch.float32)
        assert seen.present == bool((seen.logits > 0).any())


def test_frame_by_frame_is_the_whole_video_to_the_bit(
    follower: Any, frames: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here with an object that is prompted again and again.

    And plain streaming is not: it takes the frames so far for the whole video, and attends to fewer of them.
    """
    model, processor = follower.model, follower.processor
    for name, value in {"recondition_every_nth_frame": 2, "high_conf_thresh": 0.1, "high_iou_thresh": 0.5}.items():
        monkeypatch.setattr(model, name, value)
    session = processor.init_video_session(video=frames)
    processor.add_text_prompt(session, NOUN)
    whole = [output.obj_id_to_mask for output in model.propagate_in_video_iterator(session)]
    prompted = max(len(outputs["cond_frame_outputs"]) for outputs in session.output_dict_per_obj.values())
    assert prompted > model.config.tracker_config.max_cond_frame_num
    plain, plain_session = [], processor.init_video_session()
    processor.add_text_prompt(plain_session, NOUN)
    with torch.inference_mode():
        for frame in frames[:2]:
            pixels = processor(images=frame, return_tensors="pt").pixel_values[0]
            plain.append(model(inference_session=plain_session, frame=pixels).obj_id_to_mask)
    ours = watched(follower, frames)
    order = {bits(mask[0]): number for number, mask in whole[0].items()}
    names = {track: order[bits(seen.logits)] for track, seen in ours[0].items()}
    for seen, masks in zip(ours, whole, strict=True):
        assert {names[track]: bits(one.logits) for track, one in seen.items()} == {
            number: bits(mask[0]) for number, mask in masks.items()
        }
    assert torch.equal(plain[0][0], whole[0][0])
    assert not torch.equal(plain[1][0], whole[1][0])


def test_what_is_held_stops_growing(follower: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"recondition_every_nth_frame": 1, "high_conf_thresh": 0.1, "high_iou_thresh": 0.5}.items():
        monkeypatch.setattr(follower.model, name, value)
    monkeypatch.setattr(follower, "config", FindConfig(box=0.0, objects=1))
    following, held = follower.open(tiny.SIZE), []
    for frame in tiny.video(26):
        assert len(following.see(frame, [NOUN])) == 1
        lists = (one for one in vars(following._searches[NOUN].session).values() if isinstance(one, dict | list | set))
        held.append((following.state_bytes(), [len(one) for one in lists if type(one).__name__ != "_Endless"]))
    assert held[3][0] < held[8][0] < held[16][0]
    assert all(one == held[20] for one in held[20:])
    kept = following._searches[NOUN].session.output_dict_per_obj[0]["cond_frame_outputs"]
    assert list(kept) == list(range(10, 26)), "the model took every frame for a new prompt"


def test_the_encoder_runs_once_a_frame_for_all_nouns_and_not_without(
    follower: Any, frames: Tensor, encoded: list[tuple[int, ...]]
) -> None:
    following = follower.open(tiny.SIZE)
    assert following.see(frames[0], ()) == {}
    assert encoded == []
    for frame in frames[:3]:
        following.see(frame, ["dog", "cat", "red car"])
    assert encoded == [(1, 3, 112, 112)] * 3
    assert "get_vision_features" not in vars(follower.model.detector_model)


def test_tracks_of_a_noun_do_not_depend_on_other_nouns(follower: Any, frames: Tensor) -> None:
    alone, beside = watched(follower, frames[:5]), watched(follower, frames[:5], ["cat", NOUN])
    for one, both in zip(alone, beside, strict=True):
        of_noun = {bits(seen.logits) for seen in both.values() if seen.noun == 1}
        assert {bits(seen.logits) for seen in one.values()} == of_noun
        assert {seen.noun for seen in both.values()} == {0, 1}


def test_of_duplicates_the_best_stays(follower: Any, frames: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package `kernels` all of them would be tracks."""
    first = watched(follower, frames[:1])[0]
    assert iou(first[2], first[3]) > 0.1
    monkeypatch.setattr(follower.model, "det_nms_thresh", 0.1)
    following = follower.open(tiny.SIZE)
    kept = following.see(frames[0], [NOUN])
    stays: list[Seen] = []
    for number in sorted(first):
        if all(iou(first[number], one) <= 0.1 for one in stays):
            stays.append(first[number])
    assert 1 < len(kept) < len(first)
    assert [bits(kept[number].logits) for number in sorted(kept)] == [bits(one.logits) for one in stays]
    assert len(following._searches[NOUN].session.obj_ids) == len(kept)
    assert list(following.see(frames[1], [NOUN]).keys() ^ kept.keys()) == []


def test_of_two_nouns_at_one_place_the_better_one_stays(
    follower: Any, frames: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    apart = watched(follower, frames[:1], ["dog", "cat"])[0]
    monkeypatch.setattr(follower, "config", FindConfig(box=0.0, other=0.5))
    kept = watched(follower, frames[:1], ["dog", "cat"])[0]
    assert len(kept) < len(apart)
    pairs = [(one, other) for one in kept.values() for other in kept.values() if one.noun < other.noun]
    assert pairs and all(iou(one, other) < 0.5 for one, other in pairs)
    best = max(apart.values(), key=lambda seen: seen.score)
    assert any(torch.equal(best.logits, seen.logits) for seen in kept.values())


def test_a_noun_has_no_more_tracks_than_it_may_and_none_below_the_threshold(
    follower: Any, frames: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = {number: seen.score for number, seen in watched(follower, frames[:1])[0].items()}
    monkeypatch.setattr(follower, "config", FindConfig(box=0.0, other=1.0, objects=2))
    assert [sorted(seen) for seen in watched(follower, frames[:2])] == [[1, 2], [1, 2]]
    monkeypatch.setattr(follower, "config", FindConfig(box=(scores[1] + scores[4]) / 2))
    few = watched(follower, frames[:1])[0]
    assert 0 < len(few) < 4
    assert [seen.score for seen in few.values()] == [score for score in scores.values() if score > few[1].score - 1e-3]


def test_a_silent_noun_keeps_its_tracks_and_gets_no_new_ones(
    follower: Any, frames: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And its tracks have their numbers when it is asked for again."""
    following = follower.open(tiny.SIZE)
    began = following.see(frames[0], [NOUN])
    session = weakref.ref(following._searches[NOUN].session)
    monkeypatch.setattr(follower.model, "new_det_thresh", 0.0)
    monkeypatch.setattr(follower.model, "assoc_iou_thresh", 1.0)
    silent = following.see(frames[1], ())
    assert silent.keys() == began.keys()
    assert {seen.noun for seen in silent.values()} == {-1}
    again = following.see(frames[2], ["cat", NOUN])
    assert {again[number].noun for number in began} == {1}
    assert len(again) > 8, "now new ones are found, of both nouns"
    assert sum(seen.noun == 1 for seen in again.values()) > len(began)
    following.see(frames[3], ["cat"])
    assert session() is not None
    for number, seen in again.items():
        if seen.noun == 1:
            following.drop(number)
    assert session() is None
    assert {seen.noun for seen in following.see(frames[4], ["cat"]).values()} == {0}


def test_a_dropped_track_does_not_come_back_and_others_go_on(follower: Any, frames: Tensor) -> None:
    following, whole = follower.open(tiny.SIZE), follower.open(tiny.SIZE)
    began = following.see(frames[0], [NOUN])
    whole.see(frames[0], [NOUN])
    before = following.state_bytes()
    following.drop(2)
    assert following.state_bytes() < before
    seen = following.see(frames[1], [NOUN])
    assert sorted(seen) == sorted(began.keys() - {2})
    assert torch.equal(seen[1].logits, whole.see(frames[1], [NOUN])[1].logits)
    with pytest.raises(KeyError):
        following.drop(2)


def test_bfloat16_is_what_everything_is_computed_and_held_in(folder: Path, frames: Tensor) -> None:
    half = tiny.opened("sam3", folder, "bfloat16", FindConfig(box=0.0))
    assert {one.dtype for one in half.model.parameters()} == {torch.bfloat16}
    following = half.open(tiny.SIZE)
    for frame in frames[:4]:
        seen = following.see(frame, [NOUN])
        assert seen and all(one.logits.dtype == torch.float32 for one in seen.values())
    outputs = following._searches[NOUN].session.output_dict_per_obj.values()
    kept = [held for one in outputs for output in one["non_cond_frame_outputs"].values() for held in output.values()]
    assert kept and {held.dtype for held in kept} == {torch.bfloat16}


def test_the_package_that_fetches_code_is_never_asked_for(
    follower: Any, frames: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers.models.sam3_video import modeling_sam3_video

    asked: list[bool] = []
    monkeypatch.setattr(modeling_sam3_video, "is_kernels_available", lambda: asked.append(True))
    watched(follower, frames[:2])
    assert not asked
    modeling_sam3_video.cv_utils_kernel = None
    modeling_sam3_video._load_cv_utils_kernel_once()
    assert asked, "without us it would be"


def test_mistakes_are_told_in_one_sentence(follower: Any, frames: Tensor) -> None:
    following, box = follower.open(tiny.SIZE), Found(0, 0.9, tiny.BOXES[1])
    for call in (lambda: following.start(1, box), lambda: following.back([frames[0]], box)):
        with pytest.raises(ValueError, match="SAM 3 takes no boxes"):
            call()
    with pytest.raises(ValueError, match=r"a picture of \(3, 24, 72\) in a video of \(3, 48, 72\)"):
        following.see(frames[0, :, :24], [NOUN])
    with pytest.raises(ValueError, match="is 42 tokens long, the finder reads 32 at most"):
        following.see(frames[0], ["d" * 40])
