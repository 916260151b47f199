"""Tracks: when the finder looks, what confirms and begins them, how long they live, and that pieces change nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from avseg.io.rle import area, decode
from avseg.models.zeroshot.config import FindConfig, FollowConfig, GateConfig, ZeroShotConfig, ZeroShotOptions, hearing
from avseg.models.zeroshot.hearing import Second
from avseg.models.zeroshot.parts import Found, Seen
from avseg.models.zeroshot.tracks import Tracks, mask_box
from avseg.models.zeroshot.wording import Wording, nouns_of
from avseg.types import Batch, Clip, DensePrediction, InstancePrediction, Task
from zeroshot_parts import STUBS, BoxFollowing, stub_model

NOUNS = ("dog", "cat")
TASK = Task("instance", NOUNS)
FRAME = torch.zeros(3, 32, 32, dtype=torch.uint8)


@dataclass
class Script:
    """A finder that finds what it is told to, by call; and keeps what it was asked."""

    found: list[list[Found]]
    asked: list[tuple[str, ...]] = field(default_factory=list)

    def find(self, frames: Tensor, nouns: Sequence[str]) -> list[list[Found]]:
        self.asked.append(tuple(nouns))
        return [self.found.pop(0) if self.found else []]


@dataclass(eq=False)
class Absent(BoxFollowing):
    """A follower that loses every track after so many pictures."""

    after: int = 2

    def see(self, frame: Tensor, nouns: Sequence[str]) -> dict[int, Seen]:
        seen = super().see(frame, nouns)
        return {n: replace(one, present=self.seen <= self.after) for n, one in seen.items()}


def second(number: int, *on: bool, p: float = 0.8) -> Second:
    flags = np.array(on or (False, False))
    return Second(number, -20.0, (), np.full(2, p, np.float32), flags)


def tracks_of(finder: Any, following: Any = None, **changes: Any) -> Tracks:
    config = ZeroShotConfig(**STUBS, **changes)
    return Tracks(finder, following or BoxFollowing((32, 32)), False, config, Wording.of(config, TASK))


def found(noun: int = 0, score: float = 0.9, box: tuple[float, ...] = (0, 0, 16, 16)) -> Found:
    return Found(noun, score, tuple(map(float, box)))  # type: ignore[arg-type]


def run(tracks: Tracks, pattern: Sequence[tuple[bool, bool]], rate: int = 1) -> Tracks:
    for number, on in enumerate(pattern):
        for k in range(rate):
            tracks.step(FRAME, number + k / rate, second(number, *on))
    return tracks


def test_a_noun_is_looked_for_at_the_beginning_of_its_span_and_ever_more_rarely() -> None:
    finder = Script([])
    run(tracks_of(finder), [(True, False)] * 18)
    times = [0, 1, 2, 5, 10, 15]
    assert len(finder.asked) == len(times) and set(finder.asked) == {("dog",)}
    finder = Script([])
    run(tracks_of(finder), [(True, False)] * 4 + [(True, True)] * 3)
    assert finder.asked == [("dog",), ("dog",), ("dog",), ("dog", "cat"), ("dog", "cat"), ("dog", "cat")]


def test_a_noun_that_sounds_again_is_looked_for_again() -> None:
    finder = Script([])
    run(tracks_of(finder), [(True, False), (False, False), (True, False)])
    assert len(finder.asked) == 2


def test_no_picture_is_looked_at_before_it_is_there() -> None:
    """At five frames a second looks come at 0, 1 and 2 s, not between."""
    finder = Script([])
    tracks = tracks_of(finder)
    asked = []
    for k in range(15):
        tracks.step(FRAME, k / 5, second(k // 5, True, False))
        asked.append(len(finder.asked))
    assert asked == [1] * 5 + [2] * 5 + [3] * 5


def test_a_find_on_a_track_confirms_it_and_others_begin_one() -> None:
    finder = Script([[found(score=0.5)], [found(score=0.7, box=(0, 0, 16, 18)), found(box=(16, 16, 32, 32))]])
    tracks = run(tracks_of(finder), [(True, False)] * 2)
    assert [len(track.finds) for track in tracks.tracks.values()] == [2, 1]
    assert tracks.tracks[1].score == pytest.approx(0.7 * 0.8)
    other = Script([[found(0)], [found(1)]])
    tracks = run(tracks_of(other), [(True, True)] * 2)
    assert [track.noun for track in tracks.tracks.values()] == [0, 1], "another noun does not confirm"


def test_of_boxes_on_each_other_the_best_stays() -> None:
    near, nearer = (0, 0, 16, 12), (0, 0, 16, 15.5)
    finder = Script([[found(0, 0.5), found(0, 0.8, near), found(1, 0.6), found(1, 0.4, nearer), found(0, 0.2)]])
    tracks = run(tracks_of(finder), [(True, True)])
    kept = [(track.noun, track.finds[0].score) for track in tracks.tracks.values()]
    assert kept == [(0, 0.8), (1, 0.6)], "of one noun from an IoU of 0.7 on, of two from 0.9 on"
    finder = Script([[found(0, 0.5), found(1, 0.6)]])
    assert [t.noun for t in run(tracks_of(finder), [(True, True)]).tracks.values()] == [1]
    finder = Script([[found(0, 0.29), found(0, 0.31, (16, 16, 32, 32))]])
    assert [t.finds[0].score for t in run(tracks_of(finder), [(True, False)]).tracks.values()] == [0.31]


def test_a_noun_has_at_most_so_many_tracks() -> None:
    boxes = [(8 * k, 0, 8 * k + 8, 8) for k in range(4)]
    finder = Script([[found(box=box) for box in boxes]])
    assert len(run(tracks_of(finder, find=FindConfig(objects=3)), [(True, False)]).tracks) == 3


def test_a_track_ends_when_it_is_lost_or_its_noun_is_silent_for_long() -> None:
    following = Absent((32, 32))
    tracks = tracks_of(Script([[found()]]), following, follow=FollowConfig(lost=3))
    run(tracks, [(True, False)] * 5)
    assert following.boxes, "not seen in pictures 2, 3 and 4: two seconds"
    tracks.step(FRAME, 5.0, second(5, True, False))
    assert not following.boxes
    following = BoxFollowing((32, 32))
    pattern = [(True, False)] + [(False, False)] * 5
    run(tracks_of(Script([[found()]]), following, follow=FollowConfig(keep=4)), pattern)
    assert following.boxes, "silent from 1 s on, for 4 s"
    run(tracks_of(Script([[found()]]), following := BoxFollowing((32, 32)), follow=FollowConfig(keep=4)),
        [*pattern, (False, False)])  # fmt: skip
    assert not following.boxes


def test_a_noun_that_sounds_again_goes_on_with_its_track() -> None:
    finder = Script([[found()], [found()]])
    tracks = run(tracks_of(finder), [(True, False), (False, False), (False, False), (True, False)])
    assert list(tracks.tracks) == [1] and len(tracks.tracks[1].finds) == 2
    assert sorted(tracks.tracks[1].probabilities) == [0, 3]


def test_what_is_found_late_is_followed_back_to_where_its_span_began() -> None:
    tracks = run(tracks_of(Script([[], [], [found()]])), [(False, False)] * 2 + [(True, False)] * 3)
    assert [1 in moment.masks for moment in tracks.moments] == [False, False, True, True, True]
    assert tracks.tracks[1].begin == 2
    short = tracks_of(Script([[], [], [found()]]), follow=FollowConfig(back=1))
    run(short, [(True, False)] * 3)
    assert [1 in moment.masks for moment in short.moments] == [False, True, True], "one second back"


def test_the_box_of_a_mask_is_that_of_its_pixels() -> None:
    logits = torch.full((16, 16), -1.0)
    assert mask_box(logits, (32, 64)) is None
    logits[2:4, 8:16] = 1
    assert mask_box(logits, (32, 64)) == (32, 4, 64, 8)


def clip(seconds: int = 24, rate: int = 2, size: tuple[int, int] = (32, 48)) -> Clip:
    """Loud in seconds 2 to 6, 10 to 12 and 18 on."""
    generator = torch.Generator().manual_seed(1)
    loud = torch.tensor([2 <= s < 7 or 10 <= s < 13 or s >= 18 for s in range(seconds)])
    noise = torch.randn(seconds * 16000, generator=generator) * 0.2
    frames = torch.randint(0, 256, (seconds * rate, 3, *size), generator=generator, dtype=torch.uint8)
    times = torch.arange(seconds * rate, dtype=torch.float64) / rate
    return Clip("noise", frames, times, (noise * loud.repeat_interleave(16000))[None], 16000)


def by_pieces(model: Any, whole: Clip, frames: int) -> list[Any]:
    session, found = model.session(), []
    for begin in range(0, len(whole.frames), frames):
        part = whole.take(range(begin, min(begin + frames, len(whole.frames))))
        found += session.step(Batch.collate([part]))
    return [*found, *session.finish(whole.result_size)], session.notes()  # type: ignore[return-value]


@pytest.mark.parametrize("gate", [GateConfig(on=0.1, off=0.05), GateConfig(on=0.1, off=0.05, gap=3, shortest=4, pad=1)])
def test_pieces_give_the_tracks_of_the_whole(gate: GateConfig) -> None:
    model = stub_model(TASK, gate=gate, audio=hearing(1.0))
    whole, notes = by_pieces(model, clip(), 1000)
    (tracks,) = whole
    assert isinstance(tracks, InstancePrediction) and len(tracks.masks) >= 2
    sounding = [s for s in range(24) if tracks.masks[0][2 * s] is not None]
    wanted = [*range(2, 7), *range(10, 13), *range(18, 24)] if not gate.gap else [*range(1, 14), *range(17, 24)]
    assert sounding == wanted
    for frames in (1, 3, 7, 8):
        (again,), more = by_pieces(model, clip(), frames)
        assert again.masks == tracks.masks and again.scores.tolist() == tracks.scores.tolist() and more == notes


@pytest.mark.parametrize("kind", ["binary", "semantic"])
def test_pieces_give_the_maps_of_the_whole(kind: Any) -> None:
    task = Task(kind, NOUNS if kind == "semantic" else ())
    model = stub_model(task, gate=GateConfig(on=0.1, off=0.05), audio=hearing(1.0), vocabulary=NOUNS)
    (whole,), _ = by_pieces(model, clip(), 1000)
    for frames in (1, 3, 7):
        pieces, _ = by_pieces(model, clip(), frames)
        assert len(pieces) > 5, "maps come while the video goes on"
        labels = [p.labels(t) for p in pieces for t in range(len(p.logits))]
        assert len(labels) == len(whole.logits)
        assert all(torch.equal(a, whole.labels(t)) for t, a in enumerate(labels))
        assert isinstance(whole, DensePrediction) and any(bool(one.any()) for one in labels)
    silent = [t for t in range(48) if not 2 <= t // 2 < 7 and not 10 <= t // 2 < 13 and t // 2 < 18]
    assert all(float(whole.logits[t, -1].max()) == -10 for t in silent)
    if kind == "semantic":
        assert float(whole.logits[:, 0].abs().max()) == 0


def test_a_clip_in_a_batch_is_what_it_is_alone() -> None:
    model = stub_model(TASK, gate=GateConfig(on=0.1, off=0.05), audio=hearing(1.0))
    one, other = clip(), replace(clip(12, size=(16, 40)), id="short")
    both = model.predict(Batch.collate([one, other]))
    for prediction, of in zip(both, (one, other), strict=True):
        (alone,) = model.predict(Batch.collate([of]))
        assert alone.masks == prediction.masks and alone.size == prediction.size == of.result_size
        assert len(prediction.masks[0]) == len(of.frames)


def test_masks_have_the_size_that_is_wanted() -> None:
    model = stub_model(TASK, gate=GateConfig(on=0.1, off=0.05), audio=hearing(1.0))
    (prediction,) = model.predict(Batch.collate([replace(clip(), output_size=(64, 96))]))
    mask = next(mask for mask in prediction.masks[0] if mask is not None)
    assert prediction.size == (64, 96) and decode(mask).shape == (64, 96)


@pytest.mark.parametrize("which", ["largest", "best"])
def test_of_one_noun_the_largest_or_the_best_object_alone(which: Any) -> None:
    boxes = [found(0, 0.9, (0, 0, 8, 8)), found(0, 0.5, (8, 8, 30, 30))]
    config: dict[str, Any] = {"gate": GateConfig(on=0.1, off=0.05), "audio": hearing(1.0)}
    model = stub_model(Task("instance", ("dog",)), **config)
    stages = model.stages(torch.device("cpu"))
    model.use(replace(stages, finder=Script([boxes] * 20)))
    model.options = ZeroShotOptions(which=which)
    (prediction,) = model.predict(Batch.collate([clip()]))
    seen = [area(mask) for track in prediction.masks for mask in track if mask is not None]
    everything = [sum(mask is not None for mask in frame) for frame in zip(*prediction.masks, strict=True)]
    assert max(everything) == 1 and (min(seen) > 300 if which == "largest" else max(seen) < 200)


def test_people_are_asked_apart_where_the_classes_want_it() -> None:
    config = ZeroShotConfig()
    task = Task("semantic", ("dog", "man", "woman", "boy", "girl", "baby", "emergency-car", "utv"))
    wording = Wording.of(config, task)
    prompts = {
        noun: [(p.text, p.class_id) for p in of] for noun, of in zip(wording.nouns, wording.prompts, strict=True)
    }
    assert prompts["person"] == [("man", 2), ("woman", 3), ("boy", 4), ("girl", 5), ("baby", 6)]
    assert prompts["child"] == [("boy", 4), ("girl", 5)] and prompts["man"] == [("man", 2)]
    assert prompts["ambulance"] == [("ambulance", 7)] and prompts["dog"] == [("dog", 1)]
    assert "guitar" in wording.unmapped and "dog" not in wording.unmapped
    plainly = Wording.of(replace(config, people="person"), task)
    assert [p.text for p in plainly.prompts[plainly.nouns.index("person")]] == ["person"]
    with pytest.raises(ValueError, match="none of the 1 classes"):
        Wording.of(config, Task("semantic", ("utv",)))
    words = Wording.of(ZeroShotConfig(**STUBS), Task("semantic", ("utv", "emergency-car")))
    assert words.nouns == ("utv", "emergency car") and not words.unmapped


def test_music_stands_for_an_instrument_where_the_config_says_so() -> None:
    task = Task("binary")
    for music, wanted in (("ignore", []), ("instruments", ["musical instrument"])):
        nouns = nouns_of(ZeroShotConfig(music=music), task, ("Music", "Guitar"))  # type: ignore[arg-type]
        assert [nouns.names[place] for place in nouns.of_label[0]] == wanted
        assert [nouns.names[place] for place in nouns.of_label[1]] == ["guitar"]


def test_the_best_label_of_a_person_wins() -> None:
    task = Task("instance", ("man", "woman"))
    config = ZeroShotConfig()
    wording = Wording.of(config, task)
    person = wording.nouns.index("person")
    finder = Script([[found(0, 0.5), found(1, 0.6, (0, 0, 16, 15))], [found(0, 0.9)]])
    tracks = Tracks(finder, BoxFollowing((32, 32)), False, config, wording)
    flags = np.arange(len(wording.nouns)) == person
    for number in range(2):
        tracks.step(FRAME, number, Second(number, -20.0, (), np.full(len(flags), 0.5, np.float32), flags))
        assert finder.asked[-1] == ("man", "woman")
        assert [t.prompt.class_id for t in tracks.tracks.values()] == [2 if number == 0 else 1]


def test_notes_say_why() -> None:
    model = stub_model(TASK, gate=GateConfig(on=0.1, off=0.05), audio=hearing(1.0))
    _, notes = by_pieces(model, clip(), 8)
    assert notes["parts"]["tagger"] == {"kind": "stub", "checkpoint": "", "revision": ""}
    assert [s["second"] for s in notes["seconds"]] == list(range(24))
    quiet, loud = notes["seconds"][0], notes["seconds"][3]
    assert quiet["decibels"] is None and quiet["nouns"] == [] and -15 < loud["decibels"] < -13
    assert [name for name, _ in loud["nouns"]] == ["dog", "cat"] and loud["tags"][0][1] == pytest.approx(0.4, abs=0.02)
    track = notes["tracks"][0]
    assert (track["noun"], track["class"], track["begin"], track["finds"][0]["time"]) == ("dog", "dog", 2.0, 2.0)
    assert track["finds"][0]["box"] == [0.0, 0.0, 24.0, 16.0] and 0 < track["score"] < track["finds"][0]["score"]


def test_a_session_refuses_what_does_not_belong_together() -> None:
    model = stub_model(TASK, audio=hearing(1.0))
    session = model.session()
    with pytest.raises(ValueError, match="no frame was seen"):
        session.finish((32, 48))
    with pytest.raises(ValueError, match="got a batch of 2 clips"):
        session.step(Batch.collate([clip(2), clip(2)]))
    session.step(Batch.collate([clip(2)]))
    with pytest.raises(ValueError, match=r"goes on in frames of \(16, 16\), after frames of \(32, 48\)"):
        session.step(Batch.collate([clip(2, size=(16, 16))]))
