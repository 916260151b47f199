"""A clip of any length through AVISM: pictures in pieces, then all frame queries at once, then the masks of a few."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Protocol

import torch
from torch import Tensor

from avseg.models.avism.config import AVISMConfig
from avseg.models.avism.network import AVISMNetwork
from avseg.models.avism.spool import Spool
from avseg.models.avism.tracks import Candidates, make_tracks
from avseg.nn.audio import at_rate, mixed_down
from avseg.nn.mel import SAMPLE_RATE
from avseg.types import Batch, InstancePrediction

DRAWN_AT_ONCE = 5
"""Frames whose mask logits are held at once."""


class Stages(Protocol):
    """What of an AVISM model takes part."""

    @property
    def network(self) -> AVISMNetwork: ...

    def features(self, batch: Batch) -> Tensor:
        """(1, T, audio_width), what is heard with each frame."""

    def normalised(self, batch: Batch) -> Tensor:
        """(1, T, 3, H, W) pictures as the network wants them, sides padded to multiples of 32."""


class AVISMTracking:
    """See `avseg.models.base.Tracking`. Of a frame its queries and sound stay in memory, 0.1 MB; its maps in a file."""

    def __init__(self, model: Stages, config: AVISMConfig) -> None:
        """
        Args:
            model: in evaluation mode.
            config: its own, or one with another `score`, `candidates`, `frames_at_once` or `frames_in_memory`.
        """
        self.model = model
        self.config = config
        self.frames_at_once = config.frames_at_once
        self._name = ""
        self._size: tuple[int, int] | None = None
        self._queries: list[Tensor] = []
        self._sounds: list[Tensor] = []
        self._maps = Spool(config.frames_in_memory)

    @torch.inference_mode()
    def see(self, batch: Batch) -> None:
        """The next frames of the clip, with the sound that belongs to them.

        Raises:
            ValueError: more than one clip, or frames of another size than those before.
            OSError: the disk is full.
        """
        if len(batch) != 1:
            raise ValueError(f"tracking got a batch of {len(batch)} clips, wanted the next frames of one")
        batch = unpadded(batch)
        size = self.config.input.fitted((batch.frames.shape[3], batch.frames.shape[4]))
        if self._size not in (None, size):
            raise ValueError(f"clip {batch.ids[0]!r} goes on in frames of {size}, after frames of {self._size} (H, W)")
        self._name, self._size = batch.ids[0], size
        if batch.audio_features is None:
            batch = at_rate(mixed_down(batch), SAMPLE_RATE)  # once, so that pieces have no edges of their own
        for piece in in_pieces(batch, self.frames_at_once):
            sounds = self.model.features(piece)[0]  # (t, W)
            images = self.model.normalised(piece).flatten(0, 1)  # (t, 3, H, W)
            seen = self.model.network.look(images, sounds, layers=1, predict=False)
            self._queries.append(seen.queries[-1])
            self._sounds.append(sounds)
            self._maps.add(seen.clip_features)

    @torch.inference_mode()
    def tracks(self, size: tuple[int, int]) -> InstancePrediction:
        """What was tracked through all frames seen, with masks of `size` (H, W), best first.

        Raises:
            ValueError: no frame was seen.
        """
        if self._size is None:
            raise ValueError("no frame was seen, so nothing can have been tracked; call see first")
        self._queries, self._sounds = [torch.cat(self._queries)], [torch.cat(self._sounds)]
        queries, sounds = self._queries[0], self._sounds[0]  # (T, Q, D), (T, W)
        watched = self.model.network.watch(queries[None, None], sounds[None]).predictions[-1]
        candidates = Candidates.of(watched.class_logits[-1, 0], self.config.candidates, self.config.score)
        embeddings = watched.mask_embeddings[-1, 0][candidates.queries].float()  # (M, D)
        pieces = self._logits(embeddings)
        return make_tracks(self._name, candidates, pieces, self._size, size, self.config.score)

    def _logits(self, embeddings: Tensor) -> Iterator[Tensor]:
        """(M, t, h, w) of a few frames at a time."""
        for maps in self._maps.pieces(DRAWN_AT_ONCE):
            yield torch.einsum("md,tdhw->mthw", embeddings, maps)


def unpadded(batch: Batch) -> Batch:
    """A batch of one clip without padded frames, rows and columns."""
    frames = int(batch.valid[0].sum())
    height, width = batch.sizes[0].tolist()
    whole = next(in_pieces(batch, frames))
    return replace(whole, frames=whole.frames[..., :height, :width])


def in_pieces(batch: Batch, count: int) -> Iterator[Batch]:
    """Batches of up to `count` frames each; the sound stays whole, as windows are cut by time."""
    for begin in range(0, batch.frames.shape[1], count):
        part = slice(begin, begin + count)
        features = batch.audio_features
        yield replace(
            batch,
            frames=batch.frames[:, part],
            times=batch.times[:, part],
            valid=batch.valid[:, part],
            targets=None,
            audio_features=None if features is None else features[:, part],
        )
