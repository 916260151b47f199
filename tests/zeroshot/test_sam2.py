"""SAM 2 and EdgeTAM as followers: what holds of both, with tiny random weights."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from extras import needs
from zeroshot import tiny_followers as tiny

pytestmark = pytest.mark.extra
LONG, SHORT = 36, 8


@pytest.fixture(scope="module", params=["sam2", "edgetam"])
def follower(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    needs("transformers")
    return tiny.opened(request.param, tiny.BUILT[request.param](tmp_path_factory.mktemp(request.param)))


@pytest.fixture(scope="module")
def frames() -> Tensor:
    return tiny.video(LONG)


@contextmanager
def encoded(follower: Any) -> Iterator[list[tuple[int, ...]]]:
    """The shapes of the pictures that the encoder gets meanwhile."""
    calls: list[tuple[int, ...]] = []
    hook = follower.model.vision_encoder.register_forward_pre_hook(lambda _, given: calls.append(given[0].shape))
    yield calls
    hook.remove()


@torch.inference_mode()
def alone(follower: Any, frames: Tensor, limits: Any = None) -> tuple[list[Tensor], list[int]]:
    """Logits of the first square from frame 0 on, by `transformers` alone, and the bytes that its session holds.

    Args:
        limits: frees what a tracker with these would not read; None: nothing is freed.
    """
    from avseg.models.zeroshot.hub.memory import held_bytes, trim

    session, seen, sizes = follower.processor.init_video_session(), [], []
    for number, frame in enumerate(frames):
        pixels = follower.processor(images=frame, return_tensors="pt").pixel_values[0]
        if number == 0:
            follower.processor.add_inputs_to_inference_session(
                session, frame_idx=0, obj_ids=[5], input_boxes=[[list(tiny.BOXES[1])]], original_size=tiny.SIZE
            )
        seen.append(follower.model(inference_session=session, frame=pixels, frame_idx=number).pred_masks[0, 0])
        if limits:
            trim(session, number, limits)
        sizes.append(held_bytes([session]))
    return seen, sizes


def equal(some: list[Tensor], others: list[Tensor]) -> bool:
    return all(torch.equal(one, other) for one, other in zip(some, others, strict=True))


@pytest.fixture(scope="module")
def untouched(follower: Any, frames: Tensor) -> tuple[list[Tensor], list[int]]:
    return alone(follower, frames)


def test_what_is_freed_changes_no_bit_of_any_mask(follower: Any, frames: Tensor, untouched: Any) -> None:
    ours = tiny.followed(follower.open(tiny.SIZE), frames, {1: 0})[1]
    assert equal(ours, untouched[0])
    assert len({one.numpy().tobytes() for one in ours}) == LONG, "the masks of all frames differ"


def test_freeing_more_would_change_masks(follower: Any, frames: Tensor, untouched: Any) -> None:
    """With 6 frames remembered rather than 15; and a frame needs the maps of all 6."""
    maps = follower.model.config.num_maskmem
    tight = SimpleNamespace(num_maskmem=maps, max_object_pointers_in_encoder=7, max_cond_frame_num=-1)
    seen, _ = alone(follower, frames[:10], tight)
    assert equal(seen[:8], untouched[0][:8])
    assert not torch.equal(seen[8], untouched[0][8])
    tight = SimpleNamespace(num_maskmem=maps - 1, max_object_pointers_in_encoder=16, max_cond_frame_num=-1)
    with pytest.raises(KeyError, match="maskmem"):
        alone(follower, frames[:8], tight)


def test_what_is_held_stops_growing(follower: Any) -> None:
    following, held = follower.open(tiny.SIZE), []
    for number, frame in enumerate(tiny.video(60)):
        following.see(frame.clone(), ())
        if number < 2:
            following.start(number + 1, tiny.found(number + 1))
        held.append(following.state_bytes())
    assert held[4] < held[12] < held[18]
    assert set(held[18:]) == {held[18]}


def test_sessions_of_transformers_free_nothing(untouched: Any) -> None:
    sizes = untouched[1]
    assert {later - earlier for earlier, later in pairwise(sizes[20:])} == {sizes[21] - sizes[20]}
    assert sizes[21] - sizes[20] > 3 * 4 * tiny.SIDE**2, "more than a frame"


def test_one_run_of_the_encoder_serves_all_tracks_of_a_frame(follower: Any, frames: Tensor) -> None:
    with encoded(follower) as calls:
        tiny.followed(follower.open(tiny.SIZE), frames[:SHORT], {1: 0, 2: 3})
    assert calls == [(1, 3, tiny.SIDE, tiny.SIDE)] * SHORT


def test_frames_without_tracks_are_not_encoded(follower: Any, frames: Tensor) -> None:
    following = follower.open(tiny.SIZE)
    with encoded(follower) as calls:
        for frame in frames[:5]:
            assert following.see(frame, ()) == {}
        assert calls == []
        late = [following.start(1, tiny.found(1)).logits, following.see(frames[5], ())[1].logits]
        assert len(calls) == 2
    assert equal(late, tiny.followed(follower.open(tiny.SIZE), frames[4:6], {1: 0})[1])


def test_a_track_is_the_same_alone_and_beside_another(follower: Any, frames: Tensor) -> None:
    frames = frames[:12]
    both = tiny.followed(follower.open(tiny.SIZE), frames, {1: 0, 2: 3})
    assert equal(both[1], tiny.followed(follower.open(tiny.SIZE), frames, {1: 0})[1])
    assert equal(both[2], tiny.followed(follower.open(tiny.SIZE), frames, {2: 3})[2])
    assert not equal(both[1][3:], both[2])


def test_frame_by_frame_is_as_good_as_the_whole_video(follower: Any, frames: Tensor, untouched: Any) -> None:
    processor, frames = follower.processor, frames[:18]
    session = processor.init_video_session(video=frames)
    processor.add_inputs_to_inference_session(session, frame_idx=0, obj_ids=[5], input_boxes=[[list(tiny.BOXES[1])]])
    with torch.inference_mode():
        follower.model(inference_session=session, frame_idx=0)
        whole = [seen.pred_masks[0, 0] for seen in follower.model.propagate_in_video_iterator(session)]
    ours = untouched[0][:18]
    assert len(whole) == 18
    torch.testing.assert_close(torch.stack(ours), torch.stack(whole), rtol=0, atol=1e-6)
    assert torch.stack(whole).diff(dim=0).abs().amax() > 1e-5, "of other frames it is farther away"


def test_boxes_are_in_pixels_of_the_picture(follower: Any, frames: Tensor) -> None:
    given: list[dict[str, Tensor]] = []
    encoder = follower.model.prompt_encoder
    hook = encoder.register_forward_pre_hook(lambda _, args, named: given.append(named), with_kwargs=True)
    tiny.followed(follower.open(tiny.SIZE), frames[:1], {1: 0})
    hook.remove()
    (left, top, right, bottom), (height, width) = tiny.BOXES[1], tiny.SIZE
    corners = torch.tensor([[left / width, top / height], [right / width, bottom / height]]) * tiny.SIDE
    torch.testing.assert_close(given[0]["input_points"][0, 0], corners)
    assert given[0]["input_labels"][0, 0].tolist() == [2, 3], "the corners of a box"


def test_a_mask_of_the_finder_is_the_mask_of_the_first_frame(follower: Any, frames: Tensor) -> None:
    mask = torch.zeros(tiny.SIZE, dtype=torch.bool)
    mask[12:36, 18:54] = True
    following = follower.open(tiny.SIZE)
    following.see(frames[0], ())
    seen = following.start(1, replace(tiny.found(1), mask=mask))
    side = tiny.SIDE // 4
    assert (seen.logits.shape, seen.logits.dtype, seen.present) == ((side, side), torch.float32, True)
    inside = torch.zeros(side, side, dtype=torch.bool)
    inside[4:12, 4:12] = True
    assert torch.equal(seen.logits > 0, inside)
    following.see(frames[1], ())
    assert following.state_bytes() < 2**21


def test_back_goes_through_reversed_frames_and_leaves_tracks_alone(follower: Any, frames: Tensor) -> None:
    following, plain = follower.open(tiny.SIZE), follower.open(tiny.SIZE)
    tiny.followed(following, frames[:5], {1: 0})
    tiny.followed(plain, frames[:5], {1: 0})
    began = following.start(2, tiny.found(2))
    with encoded(follower) as calls:
        back = following.back([frames[number] for number in (4, 3, 2, 1)], tiny.found(2))
    assert len(back) == len(calls) == 4
    assert torch.equal(back[0].logits, began.logits)
    reverse = tiny.followed(follower.open(tiny.SIZE), frames[1:5].flip(0), {2: 0})[2]
    assert equal([one.logits for one in back], reverse)
    assert torch.equal(following.see(frames[5], ())[1].logits, plain.see(frames[5], ())[1].logits)


def test_a_dropped_track_is_forgotten_and_its_number_free(follower: Any, frames: Tensor) -> None:
    following = follower.open(tiny.SIZE)
    tiny.followed(following, frames[:SHORT], {1: 0})
    one = following.state_bytes()
    following.start(2, tiny.found(2))
    session = weakref.ref(following._sessions[2])
    assert following.state_bytes() > one
    following.drop(2)
    gc.collect()
    assert session() is None
    assert following.state_bytes() == one
    assert list(following.see(frames[SHORT], ())) == [1]
    following.start(2, tiny.found(2))
    assert list(following.see(frames[SHORT + 1], ())) == [1, 2]


def test_an_object_that_the_model_does_not_see_is_not_present(follower: Any, frames: Tensor) -> None:
    head = follower.model.mask_decoder.pred_obj_score_head.proj_out.bias
    following, before = follower.open(tiny.SIZE), head.detach().clone()
    following.see(frames[0], ())
    with torch.no_grad():
        head.fill_(50.0)
        shown = following.start(1, tiny.found(1))
        head.fill_(-50.0)
        hidden = following.see(frames[1], ())[1]
        head.copy_(before)
    assert shown.present == bool((shown.logits > 0).any())
    assert not hidden.present
    assert (hidden.logits < 0).all()


def test_bfloat16_is_what_everything_is_computed_and_held_in(
    follower: Any, frames: Tensor, tmp_path_factory: pytest.TempPathFactory
) -> None:
    kind = "sam2" if "Sam2" in type(follower.model).__name__ else "edgetam"
    half = tiny.opened(kind, tiny.BUILT[kind](tmp_path_factory.mktemp("half")), "bfloat16")
    assert {one.dtype for one in half.model.parameters()} == {torch.bfloat16}
    following = half.open(tiny.SIZE)
    seen = tiny.followed(following, frames[:SHORT], {1: 0})[1]
    assert {one.dtype for one in seen} == {torch.float32}
    assert all(torch.equal(one, one.bfloat16().float()) for one in seen)
    outputs = following._sessions[1].output_dict_per_obj[0]["non_cond_frame_outputs"].values()
    assert {held.dtype for output in outputs for held in output.values()} == {torch.bfloat16}


def test_mistakes_are_told_in_one_sentence(follower: Any, frames: Tensor) -> None:
    following = follower.open(tiny.SIZE)
    with pytest.raises(ValueError, match="track 1 begins before any picture; call see first"):
        following.start(1, tiny.found(1))
    following.see(frames[0], ())
    following.start(1, tiny.found(1))
    with pytest.raises(ValueError, match="there is a track 1 already"):
        following.start(1, tiny.found(1))
    for call in (lambda frame: following.see(frame, ()), lambda frame: following.back([frame], tiny.found(1))):
        with pytest.raises(ValueError, match=r"a picture of \(3, 24, 72\) in a video of \(3, 48, 72\)"):
            call(frames[0, :, :24])
    with pytest.raises(KeyError):
        following.drop(2)


@torch.inference_mode()
def test_adding_inputs_returns_nothing_and_empties_the_list_of_numbers_that_it_got(
    follower: Any, frames: Tensor
) -> None:
    processor, session = follower.processor, follower.processor.init_video_session()
    numbers = [5]
    added = processor.add_inputs_to_inference_session(
        session, frame_idx=0, obj_ids=numbers, input_boxes=[[list(tiny.BOXES[1])]], original_size=tiny.SIZE
    )
    assert added is None
    follower.model(inference_session=session, frame=follower.pixels(frames[0]), frame_idx=0)
    assert numbers == []
    with pytest.raises(ValueError, match="No objects"):
        follower.model(inference_session=processor.init_video_session(), frame=follower.pixels(frames[0]), frame_idx=0)
