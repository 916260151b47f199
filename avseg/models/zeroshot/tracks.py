"""Tracks of sounding objects: found in key frames, confirmed, followed forwards and back to the start of their span."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torchvision.ops import box_iou

from avseg.config import WITHIN
from avseg.models.zeroshot.config import ZeroShotConfig
from avseg.models.zeroshot.hearing import Second
from avseg.models.zeroshot.parts import Finder, Following, Found, Seen
from avseg.models.zeroshot.wording import Prompt, Wording


@dataclass
class Find:
    """A box of the finder that began or confirmed a track."""

    time: float
    score: float
    box: tuple[float, float, float, float]
    prompt: Prompt


@dataclass
class FollowedTrack:
    """One object."""

    id: int
    noun: int
    """Place among the nouns of the wording."""
    finds: list[Find]
    begin: float
    """s, the first frame in which it has a mask."""
    end: float
    """s, the last one."""
    probabilities: dict[int, float] = field(default_factory=dict)
    """Probabilities of its noun in its sounding seconds, by second."""
    lost: float | None = None
    """s since when it is not seen."""
    number: int = 0
    """In results, from 1 on; 0: `id`."""

    @property
    def prompt(self) -> Prompt:
        """That of the best find."""
        return max(self.finds, key=lambda find: find.score).prompt

    @property
    def probability(self) -> float:
        """Mean over the seconds in which it sounds."""
        return sum(self.probabilities.values()) / len(self.probabilities) if self.probabilities else 0.0

    @property
    def score(self) -> float:
        """That of its best find, times `probability`."""
        return max(find.score for find in self.finds) * self.probability


@dataclass(eq=False)
class Moment:
    """One frame."""

    time: float
    second: int
    frame: Tensor | None
    """(3, H, W) uint8; None where it is too old to be followed back to."""
    masks: dict[int, Tensor] = field(default_factory=dict)
    """(h, w) float32 logits by the number of the track, at the follower's own size."""


@dataclass
class _Noun:
    """Whether a noun sounds, and when it was looked for."""

    on: bool = False
    since: float = 0.0
    """s, the beginning of its span or of the silence after it."""
    looks: int = 0
    """How many looks its span has had."""


class Tracks:
    """All tracks of one video, frame after frame."""

    def __init__(self, finder: Finder, following: Following, finds: bool, config: ZeroShotConfig, wording: Wording):
        """`finds`: whether the follower finds objects itself."""
        self.tracks: dict[int, FollowedTrack] = {}
        """All there were, by number."""
        self.moments: deque[Moment] = deque()
        """Frames that may still change, in order; whoever reads them takes them away."""
        self._finder, self._following, self._finds = finder, following, finds
        self._config, self._wording = config, wording
        self._nouns = [_Noun() for _ in wording.nouns]
        self._live: dict[int, FollowedTrack] = {}

    def step(self, frame: Tensor, time: float, second: Second) -> None:
        """The next frame (3, H, W) uint8, shown at `time` s within `second`."""
        for old in self.moments:
            if old.time >= time - self._config.follow.back - WITHIN:
                break
            old.frame = None
        moment = Moment(time, second.number, frame)
        self.moments.append(moment)
        self._switch(second, time)
        asked = [noun for noun, state in enumerate(self._nouns) if state.on and self._wording.prompts[noun]]
        prompts = [(noun, prompt) for noun in asked for prompt in self._wording.prompts[noun]]
        if self._live or (self._finds and prompts):
            for number, seen in self._following.see(frame, [prompt.text for _, prompt in prompts]).items():
                self._note(number, seen, moment, prompts)
        else:
            self._following.see(frame, ())
        if not self._finds and (due := [noun for noun in asked if self._due(noun, time)]):
            self._look(moment, prompts)
            for noun in due:
                self._nouns[noun].looks += 1
        self._tell(second)
        self._end(time)

    def _switch(self, second: Second, time: float) -> None:
        for state, on in zip(self._nouns, second.sounding.tolist(), strict=True):
            if state.on != on:
                state.on, state.since, state.looks = on, time, 0

    def _due(self, noun: int, time: float) -> bool:
        state, look = self._nouns[noun], self._config.find.look
        further = max(0, state.looks - len(look) + 1)
        wanted = look[min(state.looks, len(look) - 1)] + further * self._config.find.look_again
        return time - state.since >= wanted - WITHIN

    def _look(self, moment: Moment, prompts: Sequence[tuple[int, Prompt]]) -> None:
        """Ask the finder for all that sounds; confirm tracks, and begin those that are new."""
        assert moment.frame is not None
        found = self._finder.find(moment.frame[None], [prompt.text for _, prompt in prompts])[0]
        for one in self._distinct(found, [noun for noun, _ in prompts]):
            noun, prompt = prompts[one.noun]
            find = Find(moment.time, one.score, one.box, prompt)
            known = [track for track in self._live.values() if track.noun == noun]
            nearest = max(known, key=lambda track: self._overlap(track, one, moment), default=None)
            if nearest and self._overlap(nearest, one, moment) >= self._config.find.confirm:
                nearest.finds.append(find)
            elif len(known) < self._config.find.objects:
                self._begin(noun, find, one, moment)

    def _distinct(self, found: Sequence[Found], nouns: Sequence[int]) -> list[Found]:
        """The best of those that lie on each other, best first."""
        config = self._config.find
        found = sorted((one for one in found if one.score >= config.box), key=lambda one: -one.score)
        boxes = torch.tensor([one.box for one in found]).reshape(-1, 4)
        of = torch.tensor([nouns[one.noun] for one in found])
        alike = box_iou(boxes, boxes) >= torch.where(of[:, None] == of, config.same, config.other)  # (N, N)
        kept, free = list[Found](), torch.ones(len(found), dtype=torch.bool)
        for place, one in enumerate(found):
            if free[place]:
                kept.append(one)
                free &= ~alike[place]
        return kept

    def _overlap(self, track: FollowedTrack, one: Found, moment: Moment) -> float:
        """IoU of a found box and the box of a track's mask."""
        logits = moment.masks.get(track.id)
        assert moment.frame is not None
        box = None if logits is None else mask_box(logits, (moment.frame.shape[1], moment.frame.shape[2]))
        return 0.0 if box is None else _iou(box, one.box)

    def _begin(self, noun: int, find: Find, found: Found, moment: Moment) -> None:
        number = len(self.tracks) + 1
        track = FollowedTrack(number, noun, [find], moment.time, moment.time)
        self.tracks[number] = self._live[number] = track
        self._keep(track, self._following.start(number, found), moment)
        since = self._nouns[noun].since - self._config.gate.pad
        held = [old for old in self.moments if old.frame is not None and since - WITHIN <= old.time < moment.time]
        if held:
            backwards = [moment, *reversed(held)]
            frames = [one.frame for one in backwards if one.frame is not None]
            for old, seen in zip(backwards[1:], self._following.back(frames, found)[1:], strict=True):
                old.masks[number] = seen.logits
            track.begin = held[0].time

    def _note(self, number: int, seen: Seen, moment: Moment, prompts: Sequence[tuple[int, Prompt]]) -> None:
        """Add the follower's mask of a track; a track that it found itself starts here."""
        if self._finds and (
            number not in self._live or (seen.present and seen.score > self._live[number].finds[-1].score)
        ):
            assert moment.frame is not None
            box = mask_box(seen.logits, (moment.frame.shape[1], moment.frame.shape[2])) or (0.0, 0.0, 0.0, 0.0)
            if number not in self._live:
                noun, prompt = prompts[seen.noun]
                find = Find(moment.time, seen.score, box, prompt)
                self.tracks[number] = self._live[number] = FollowedTrack(number, noun, [find], moment.time, moment.time)
            else:
                of = self._live[number].finds
                of.append(Find(moment.time, seen.score, box, of[0].prompt))
        self._keep(self._live[number], seen, moment)

    def _keep(self, track: FollowedTrack, seen: Seen, moment: Moment) -> None:
        gate = self._config.gate
        if self._nouns[track.noun].on or gate.gap or gate.pad:
            moment.masks[track.id] = seen.logits
        track.end = moment.time
        track.lost = None if seen.present else moment.time if track.lost is None else track.lost

    def _tell(self, second: Second) -> None:
        """Every live track that sounds how probable that is."""
        for track in self._live.values():
            if self._nouns[track.noun].on:
                track.probabilities[second.number] = float(second.probabilities[track.noun])

    def _end(self, time: float) -> None:
        """Drop the tracks that were not seen, or whose noun was silent, for too long."""
        follow = self._config.follow
        for number, track in list(self._live.items()):
            state = self._nouns[track.noun]
            lost = track.lost is not None and time - track.lost >= follow.lost
            if lost or (not state.on and time - state.since > follow.keep):
                del self._live[number]
                self._following.drop(number)

    def settled(self, is_settled: Callable[[Moment], bool]) -> Iterator[Moment]:
        """Take away the first frames that do not change any more."""
        while self.moments and is_settled(self.moments[0]):
            yield self.moments.popleft()


def mask_box(logits: Tensor, size: tuple[int, int]) -> tuple[float, float, float, float] | None:
    """Left, top, right, bottom in pixels of a picture of `size` (H, W), of a mask's (h, w) logits; None: empty."""
    inside = logits > 0
    if not bool(inside.any()):
        return None
    rows, columns = inside.any(1).nonzero()[:, 0], inside.any(0).nonzero()[:, 0]
    y, x = size[0] / logits.shape[0], size[1] / logits.shape[1]
    return float(columns[0] * x), float(rows[0] * y), float((columns[-1] + 1) * x), float((rows[-1] + 1) * y)


def _iou(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """IoU of two boxes."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    common = max(width, 0.0) * max(height, 0.0)
    whole = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)) - common
    return common / whole if whole > 0 else 0.0
