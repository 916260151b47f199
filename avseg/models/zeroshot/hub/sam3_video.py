"""SAM 3 as a follower, which finds by nouns what it follows.

Source: Carion et al., "SAM 3: Segment Anything with Concepts", 2025, arXiv:2511.16719; weights and code of
`transformers`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from transformers import Sam3VideoModel, Sam3VideoProcessor
from transformers.models.sam3_video import modeling_sam3_video

from avseg.models.zeroshot.config import Part, ZeroShotConfig
from avseg.models.zeroshot.hub.checks import check_lengths
from avseg.models.zeroshot.hub.memory import held_bytes, trim
from avseg.models.zeroshot.hub.sam2 import check_size
from avseg.models.zeroshot.hub.whole import loaded, whole
from avseg.models.zeroshot.parts import Found, Seen

TOKENS = 32
"""Length of a noun, with its two ends."""


class SAM3Follower:
    """See `avseg.models.zeroshot.parts.Follower`.

    The package `kernels` is never used, because it fetches code. What it would do is the suppression of duplicates,
    which `SAM3Following` does, and the filling of small holes, which is left out.
    """

    def __init__(self, part: Part, config: ZeroShotConfig, device: torch.device) -> None:
        """
        Raises:
            ValueError: weights of another model, or not all of them.
        """
        code: Any = modeling_sam3_video
        code.cv_utils_kernel = False
        self.config = config.find
        self.dtype: torch.dtype = getattr(torch, config.follow.precision)
        self.device = device
        self.processor: Any = loaded(Sam3VideoProcessor, part)
        self.model: Any = whole(Sam3VideoModel, part, self.dtype).to(device)

    def open(self, size: tuple[int, int]) -> SAM3Following:
        return SAM3Following(self, size)

    def session(self, noun: str) -> Any:
        """A new one, which looks for one noun.

        Raises:
            ValueError: the noun is too long.
        """
        check_lengths([noun], [len(self.processor.tokenizer(noun).input_ids)], TOKENS)
        session = self.processor.init_video_session(inference_device=self.device, dtype=self.dtype)
        session.processed_frames = _Endless()
        self.processor.add_text_prompt(session, noun)
        return session

    @contextmanager
    def encoded(self, frame: Tensor) -> Iterator[Tensor]:
        """The pixels of a (3, H, W) uint8 picture; meanwhile the model takes every picture for this one."""
        done = self.processor.image_processor(images=frame, device=self.device, return_tensors="pt")
        pixels = done["pixel_values"].to(self.dtype)
        detector = self.model.detector_model
        features = detector.get_vision_features(pixel_values=pixels)
        detector.get_vision_features = lambda pixel_values: features
        try:
            yield pixels[0]
        finally:
            del detector.get_vision_features


class _Endless(dict[int, Any]):
    """The frames of a video that seems endless.

    A session takes the number of its frames for the length of the video, and attends to fewer of them in a short one.
    """

    def __len__(self) -> int:
        return sys.maxsize


@dataclass(eq=False)
class _Search:
    """One noun, and what was found by it."""

    session: Any
    asked: bool = True
    """Whether the noun is searched now."""
    frames: int = 0
    """Seen by the session."""
    tracks: dict[int, int] = field(default_factory=dict)
    """Number of a track by the session's own number."""

    def step(self, model: Any, pixels: Tensor) -> Any:
        """Run `model` on the next frame, then shrink the session."""
        output = model(inference_session=self.session, frame=pixels, frame_idx=self.frames)
        trim(self.session, self.frames, model.config.tracker_config)
        for history in ("obj_id_to_tracker_score_frame_wise", "suppressed_obj_ids"):
            getattr(self.session, history).clear()  # by frame, read in the same frame only
        for history in ("unmatched_frame_inds", "overlap_pair_to_frame_inds"):
            getattr(self.session, history).clear()  # lists of frames, not read where frames come one by one
        self.session.cache.clear_all()  # made anew in every frame
        self.frames += 1
        return output

    def remove(self, number: int) -> None:
        """Take an object out of the session."""
        self.session.remove_object(number)
        self.tracks.pop(number, None)
        for table in (self.session.obj_id_to_score, self.session.obj_first_frame_idx, self.session.trk_keep_alive):
            table.pop(number, None)


@dataclass(frozen=True, eq=False)
class _Object:
    """One object in one frame."""

    search: _Search
    number: int
    """The session's own."""
    score: float
    logits: Tensor

    @property
    def inside(self) -> Tensor:
        return self.logits > 0


class SAM3Following:
    """See `avseg.models.zeroshot.parts.Following`.

    Every noun has a session of its own, from the frame on in which it is asked for first. A noun that is not asked for
    any more keeps its session while it has tracks, which go on; it finds nothing new. So the tracks of a noun do not
    depend on what else is asked for, but for duplicates. The encoder runs once in a frame for all nouns.

    Of two objects found by one noun the worse one is removed if their masks have an IoU above the model's own limit
    (`det_nms_thresh`); of two nouns, if it is `find.other` or more. Tracks are never removed in favour of new objects.
    """

    def __init__(self, follower: SAM3Follower, size: tuple[int, int]) -> None:
        """`size`: (H, W) of the pictures."""
        self._follower, self._size = follower, size
        self._searches: dict[str, _Search] = {}
        self._tracks = 0

    @torch.inference_mode()
    def see(self, frame: Tensor, nouns: Sequence[str]) -> dict[int, Seen]:
        """
        Raises:
            ValueError: a picture of another size than the video's, or a noun that is too long.
        """
        check_size(frame, self._size)
        self._ask(nouns)
        if not self._searches:
            return {}
        with self._follower.encoded(frame) as pixels:
            outputs = {search: search.step(self._follower.model, pixels) for search in self._searches.values()}
        objects = [
            _Object(search, number, float(output.obj_id_to_score[number]), mask[0].float().cpu().clone())
            for search, output in outputs.items()
            for number, mask in output.obj_id_to_mask.items()
        ]
        places = {self._searches[noun]: place for place, noun in reversed(list(enumerate(nouns)))}
        return {
            one.search.tracks[one.number]: Seen(
                one.logits, bool(one.inside.any()), places.get(one.search, -1), one.score
            )
            for one in self._kept(objects)
        }

    def start(self, track: int, found: Found) -> Seen:
        """
        Raises:
            ValueError: always.
        """
        raise ValueError("SAM 3 takes no boxes, it finds what it follows; use another follower with a finder")

    def drop(self, track: int) -> None:
        """
        Raises:
            KeyError: there is no such track.
        """
        for search in self._searches.values():
            for number in [number for number, of in search.tracks.items() if of == track]:
                search.remove(number)
                self._forget()
                return
        raise KeyError(track)

    def back(self, frames: Sequence[Tensor], found: Found) -> list[Seen]:
        """
        Raises:
            ValueError: always.
        """
        return [self.start(0, found)]

    def state_bytes(self) -> int:
        """Return the memory held from one frame to the next."""
        return held_bytes([self._searches])

    def _ask(self, nouns: Sequence[str]) -> None:
        for noun in nouns:
            if noun not in self._searches:
                self._searches[noun] = _Search(self._follower.session(noun))
        for noun, search in self._searches.items():
            search.asked = noun in nouns
        self._forget()

    def _forget(self) -> None:
        """Free the sessions that find and follow nothing."""
        self._searches = {noun: search for noun, search in self._searches.items() if search.asked or search.tracks}

    def _kept(self, objects: Iterable[_Object]) -> list[_Object]:
        """Tracks, and new objects that begin one; the others are removed from their sessions."""
        kept = [one for one in objects if one.number in one.search.tracks]
        new = [one for one in objects if one.number not in one.search.tracks]
        for one in sorted(new, key=lambda one: -one.score):
            if one.search.asked and one.score >= self._follower.config.box and self._has_room(one, kept):
                self._tracks += 1
                one.search.tracks[one.number] = self._tracks
                kept.append(one)
            else:
                one.search.remove(one.number)
        return kept

    def _has_room(self, new: _Object, kept: Sequence[_Object]) -> bool:
        """Whether a noun may have one more track, and no other object is where this one is."""
        same, other = self._follower.model.det_nms_thresh, self._follower.config.other
        if len(new.search.tracks) >= self._follower.config.objects:
            return False
        ious = [(one.search is new.search, _iou(one.inside, new.inside)) for one in kept]
        return all(iou <= same if is_same else iou < other for is_same, iou in ious)


def _iou(one: Tensor, other: Tensor) -> float:
    """Return the IoU of two (h, w) masks; 0 if both are empty."""
    return float((one & other).sum() / (one | other).sum().clamp(min=1))
