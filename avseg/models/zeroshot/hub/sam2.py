"""SAM 2 and 2.1 as followers.

Source: Ravi et al., "SAM 2: Segment Anything in Images and Videos", 2024, arXiv:2408.00714; weights and code of
`transformers`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import Sam2VideoModel, Sam2VideoProcessor

from avseg.models.zeroshot.config import Part, ZeroShotConfig
from avseg.models.zeroshot.hub.memory import held_bytes, trim
from avseg.models.zeroshot.hub.whole import loaded, whole
from avseg.models.zeroshot.parts import Found, Seen


class SAM2:
    """See `avseg.models.zeroshot.parts.Follower`."""

    architecture: Any = Sam2VideoModel

    def __init__(self, part: Part, config: ZeroShotConfig, device: torch.device) -> None:
        """
        Raises:
            ValueError: weights of another model, or not all of them.
        """
        self.dtype: torch.dtype = getattr(torch, config.follow.precision)
        self.device = device
        self.processor: Any = loaded(Sam2VideoProcessor, part)
        self.model: Any = whole(self.architecture, part, self.dtype).to(device)

    def open(self, size: tuple[int, int]) -> SAM2Following:
        return SAM2Following(self, size)

    def session(self) -> Any:
        """A new one, of a video whose frames come one by one."""
        return self.processor.init_video_session(inference_device=self.device, dtype=self.dtype)

    def pixels(self, frame: Tensor) -> Tensor:
        """(3, S, S) of a (3, H, W) uint8 picture, stretched to the square that the model sees."""
        done = self.processor.image_processor(images=frame, device=self.device, return_tensors="pt")
        pixels: Tensor = done["pixel_values"][0].to(self.dtype)
        return pixels

    def step(self, session: Any, now: int, pixels: Tensor) -> Seen:
        """The object of a session in frame `now`; then the session is as small as it can be."""
        seen = self.model(inference_session=session, frame=pixels, frame_idx=now)
        trim(session, now, self.model.config)
        logits = seen.pred_masks[0, 0].float().cpu()
        return Seen(logits, present=bool(seen.object_score_logits.max() > 0) and bool((logits > 0).any()))

    def prompt(self, session: Any, now: int, found: Found, size: tuple[int, int]) -> None:
        """Show the object to a session that has none, in frame `now` of (H, W) pixels."""
        if found.mask is None:
            prompt: dict[str, Any] = {"input_boxes": [[list(found.box)]], "original_size": size}
        else:
            prompt = {"input_masks": [found.mask]}
        self.processor.add_inputs_to_inference_session(session, frame_idx=now, obj_ids=[0], **prompt)


@dataclass
class _Shown:
    """The frame seen last."""

    number: int
    frame: Tensor
    pixels: Tensor | None = None
    """Made when a track wants it."""


class SAM2Following:
    """See `avseg.models.zeroshot.parts.Following`.

    Every track has a session of its own, because objects of one session change each other's masks and none can be taken
    out of it. All sessions share one cache, so that the encoder runs once in a frame with tracks, and not in others.
    """

    def __init__(self, follower: SAM2, size: tuple[int, int]) -> None:
        """`size`: (H, W) of the pictures."""
        self._follower, self._size = follower, size
        self._sessions: dict[int, Any] = {}
        self._cache = follower.session().cache
        self._shown: _Shown | None = None

    @torch.inference_mode()
    def see(self, frame: Tensor, nouns: Sequence[str] = ()) -> dict[int, Seen]:
        """
        Raises:
            ValueError: a picture of another size than the video's.
        """
        check_size(frame, self._size)
        self._shown = _Shown(0 if self._shown is None else self._shown.number + 1, frame)
        return {track: self._step(session, self._shown) for track, session in self._sessions.items()}

    @torch.inference_mode()
    def start(self, track: int, found: Found) -> Seen:
        """
        Raises:
            ValueError: no picture was seen, or there is a track of that number.
        """
        if self._shown is None:
            raise ValueError(f"track {track} begins before any picture; call see first")
        if track in self._sessions:
            raise ValueError(f"there is a track {track} already; drop it, or give the new one another number")
        session = self._follower.session()
        session.cache = self._cache
        self._follower.prompt(session, self._shown.number, found, self._size)
        self._sessions[track] = session
        return self._step(session, self._shown)

    def drop(self, track: int) -> None:
        """
        Raises:
            KeyError: there is no such track.
        """
        del self._sessions[track]

    @torch.inference_mode()
    def back(self, frames: Sequence[Tensor], found: Found) -> list[Seen]:
        session, seen = self._follower.session(), list[Seen]()
        for now, frame in enumerate(frames):
            check_size(frame, self._size)
            if now == 0:
                self._follower.prompt(session, now, found, self._size)
            seen.append(self._follower.step(session, now, self._follower.pixels(frame)))
        return seen

    def state_bytes(self) -> int:
        """Return the memory held from one frame to the next."""
        return held_bytes([self._sessions, self._cache, self._shown])

    def _step(self, session: Any, shown: _Shown) -> Seen:
        if shown.pixels is None:
            shown.pixels = self._follower.pixels(shown.frame)
        return self._follower.step(session, shown.number, shown.pixels)


def check_size(frame: Tensor, size: tuple[int, int]) -> None:
    """
    Raises:
        ValueError: a picture of another size than the video's.
    """
    if frame.shape != (3, *size):
        raise ValueError(f"a picture of {tuple(frame.shape)} in a video of (3, {size[0]}, {size[1]}); scale it first")
