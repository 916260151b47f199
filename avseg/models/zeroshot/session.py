"""A video's way through a zero-shot model: sound, then pictures, then what is settled, piece by piece."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from avseg.config import WITHIN, to_dict
from avseg.models.budget import Budget
from avseg.models.session import unpadded
from avseg.models.zeroshot.config import ZeroShotOptions
from avseg.models.zeroshot.gate import Flags
from avseg.models.zeroshot.hearing import Hearing
from avseg.models.zeroshot.output import TrackMasks, frame_logits, joined, of_each_noun, sounding_masks
from avseg.models.zeroshot.tracks import Moment, Tracks
from avseg.models.zeroshot.wording import nouns_of
from avseg.nn.audio import mixed_down
from avseg.types import Batch, Prediction

if TYPE_CHECKING:
    from avseg.models.zeroshot.model import ZeroShot

FRAMES_AT_ONCE = 8


class ZeroShotSession:
    """See `avseg.models.session.Session`.

    A frame is settled when no track can be followed back to it any more. Tracks are predicted at the end, maps as soon
    as all frames of a piece are settled. Memory holds the frames of `config.follow.back` seconds, and of older ones
    run lengths alone.
    """

    def __init__(self, model: ZeroShot, options: ZeroShotOptions) -> None:
        self.frames_at_once: int | None = FRAMES_AT_ONCE
        self.budget = Budget()
        self._model, self._options, self._config = model, options, model.config
        self._name = ""
        self._size = self._seen = (0, 0)
        self._hearing: Hearing | None = None
        self._tracks: Tracks | None = None
        self._masks = TrackMasks()
        self._maps: list[Mapping[int, Tensor]] = []
        """Logits of settled frames that wait for the rest of their piece."""
        self._pieces: list[int] = []
        """Frames of the pieces that are not answered."""
        self._last = 0.0

    @torch.inference_mode()
    def step(self, batch: Batch) -> list[Prediction]:
        """The next frames of the clip, with the sound that belongs to them; any number of them gives the same tracks.

        Raises:
            ValueError: more than one clip, or frames of another size than those before.
        """
        if len(batch) != 1:
            raise ValueError(f"a zero-shot session got a batch of {len(batch)} clips, wanted the next frames of one")
        batch = mixed_down(unpadded(batch))
        hearing, tracks = self._begun(batch)
        times = batch.times[0].tolist()
        sound = batch.audio[0, 0, : int(batch.audio_lengths[0])]
        hearing.add(sound, batch.sample_rate, float(batch.audio_start[0]))
        hearing.hear(_second(times[0]), _second(times[-1]))
        first = hearing.seconds[0].number
        for frame, time in zip(batch.frames[0], times, strict=True):
            tracks.step(frame, time, hearing.seconds[_second(time) - first])
            self._last = time
            self._settle(end=False)
        self._pieces.append(len(times))
        return self._answers()

    @torch.inference_mode()
    def finish(self, size: tuple[int, int]) -> list[Prediction]:
        """Return the remaining predictions, with masks of `size` (H, W): all tracks, or a map of the last frames.

        Raises:
            ValueError: no frame was seen.
        """
        if self._tracks is None:
            raise ValueError("no frame was seen, so nothing can have been found; call step first")
        self._size = size
        self._settle(end=True)
        if self._model.task.kind == "instance":
            return [self._masks.prediction(self._name, self._tracks.tracks, size, self._options)]
        if not self._pieces:
            return []
        self._pieces = []
        return [joined(self._name, self._maps, size, self._model.task)]

    def notes(self) -> Mapping[str, Any]:
        """Why what is marked: the parts, what was heard in each second, how each track was found
        (docs/reference/result.md)."""
        parts = {stage: to_dict(getattr(self._config, stage)) for stage in ("tagger", "finder", "follower")}
        return {"parts": parts, "seconds": self._heard(), "tracks": self._found()}

    def _begun(self, batch: Batch) -> tuple[Hearing, Tracks]:
        size = (batch.frames.shape[3], batch.frames.shape[4])
        if self._hearing is None or self._tracks is None:
            stages = self._model.stages(batch.frames.device)
            nouns = nouns_of(self._config, self._model.task, stages.tagger.labels)
            self._hearing = Hearing(stages.tagger, self._config, nouns)
            following = stages.follower.open(size)
            finds = stages.follower_finds
            self._tracks = Tracks(stages.finder, following, finds, self._config, self._model.wording)
            self._name, self._seen = batch.ids[0], size
        if self._seen != size:
            raise ValueError(f"clip {self._name!r} goes on in frames of {size}, after frames of {self._seen} (H, W)")
        self._size = batch.output_sizes[0]
        return self._hearing, self._tracks

    def _settle(self, end: bool) -> None:
        """Turn the frames that do not change any more into what the task wants."""
        assert self._hearing is not None and self._tracks is not None
        hearing, tracks = self._hearing, self._tracks
        reach, back = hearing.reach, self._config.follow.back
        newest = _second(self._last)

        def is_settled(moment: Moment) -> bool:
            return end or (newest >= moment.second + reach and self._last - moment.time >= back)

        flags: Flags | None = None
        for moment in tracks.settled(is_settled):
            flags = hearing.sounding() if flags is None else flags
            row = flags[moment.second - hearing.seconds[0].number]
            masks = sounding_masks(moment, tracks.tracks, row)
            if self._model.task.kind == "instance":
                # The best track of a noun is known at the end.
                if self._options.which == "largest":
                    masks = of_each_noun(masks, tracks.tracks, "largest")
                self._masks.add(masks, self._size)
            else:
                sure = {n: logits for n, logits in masks.items() if tracks.tracks[n].score > self._options.score}
                masks = of_each_noun(sure, tracks.tracks, self._options.which)
                self._maps.append(frame_logits(masks, tracks.tracks, self._model.task))

    def _answers(self) -> list[Prediction]:
        """Maps of the pieces whose frames are all settled."""
        found: list[Prediction] = []
        if self._model.task.kind == "instance":
            return found
        while self._pieces and len(self._maps) >= self._pieces[0]:
            count = self._pieces.pop(0)
            found.append(joined(self._name, self._maps[:count], self._size, self._model.task))
            self._maps = self._maps[count:]
        return found

    def _heard(self) -> list[dict[str, Any]]:
        names = self._model.wording.nouns
        seconds = self._hearing.seconds if self._hearing is not None else []
        return [
            {
                "second": second.number,
                "decibels": round(second.decibels, 1) if math.isfinite(second.decibels) else None,
                "tags": [[label, round(value, 3)] for label, value in second.tags],
                "nouns": [
                    [names[k], round(float(second.probabilities[k]), 3)] for k in second.sounding.nonzero()[0].tolist()
                ],
            }
            for second in seconds
        ]

    def _found(self) -> list[dict[str, Any]]:
        tracks = self._tracks.tracks.values() if self._tracks is not None else ()
        return [
            {
                "id": track.number or track.id,
                "noun": self._model.wording.nouns[track.noun],
                "class": track.prompt.text,
                "class_id": track.prompt.class_id,
                "score": round(track.score, 4),
                "probability": round(track.probability, 4),
                "finds": [
                    {"time": round(f.time, 3), "score": round(f.score, 4), "box": [round(side, 1) for side in f.box]}
                    for f in track.finds
                ],
                "begin": round(track.begin, 3),
                "end": round(track.end, 3),
            }
            for track in tracks
        ]


def _second(time: float) -> int:
    """The number of the second that a frame at `time` s belongs to."""
    return math.floor(time + WITHIN)
