"""A clip of any length through AVISM: pictures in pieces, then all frame queries at once, then the masks of a few."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Protocol

import torch
from torch import Tensor

from avseg.models.avism.config import AVISMConfig, AVISMOptions
from avseg.models.avism.network import AVISMNetwork
from avseg.models.avism.spool import Spool
from avseg.models.avism.tracks import Candidates, make_tracks
from avseg.models.budget import Budget
from avseg.models.session import unpadded
from avseg.nn.audio import at_rate, mixed_down
from avseg.nn.mel import SAMPLE_RATE
from avseg.types import Batch, InstancePrediction, Prediction

DRAWN_AT_ONCE = 5
"""Frames whose mask logits are held at once."""


class _Stages(Protocol):
    """The parts of an AVISM model in a session."""

    config: AVISMConfig

    @property
    def network(self) -> AVISMNetwork: ...

    def features(self, batch: Batch) -> Tensor:
        """(1, T, audio_width), what is heard with each frame."""

    def normalised(self, batch: Batch) -> Tensor:
        """(1, T, 3, H, W) pictures as the network wants them, sides padded to multiples of 32."""


class AVISMSession:
    """See `avseg.models.session.Session`. It predicts at the end, when all frames have been seen.

    Of a frame its queries and sound stay in memory, 0.1 MB; its maps in a file.
    """

    def __init__(self, model: _Stages, options: AVISMOptions) -> None:
        """`model`: in evaluation mode."""
        self.model = model
        self.options = options
        self.frames_at_once: int | None = model.config.frames_at_once
        self.budget = Budget()
        self._name = ""
        self._size: tuple[int, int] | None = None
        self._queries: list[Tensor] = []
        self._sounds: list[Tensor] = []
        self._maps = Spool(options.frames_in_memory)

    @torch.inference_mode()
    def step(self, batch: Batch) -> list[Prediction]:
        """The next frames of the clip, with the sound that belongs to them; any number of them gives the same tracks.

        Raises:
            ValueError: more than one clip, or frames of another size than those before.
            OSError: the disk is full.
        """
        if len(batch) != 1:
            raise ValueError(f"tracking got a batch of {len(batch)} clips, wanted the next frames of one")
        batch = unpadded(batch)
        size = self.model.config.input.fitted((batch.frames.shape[3], batch.frames.shape[4]))
        if self._size not in (None, size):
            raise ValueError(f"clip {batch.ids[0]!r} goes on in frames of {size}, after frames of {self._size} (H, W)")
        self._name, self._size = batch.ids[0], size
        if batch.audio_features is None:
            batch = at_rate(mixed_down(batch), SAMPLE_RATE)  # once, so that pieces have no edges of their own
        for part in self.budget.pieces(batch.frames.shape[1], self.model.config.frames_at_once):
            piece = frames_of(batch, part)
            sounds = self.model.features(piece)[0]  # (t, W)
            images = self.model.normalised(piece).flatten(0, 1)  # (t, 3, H, W)
            seen = self.model.network.look(images, sounds, layers=1, predict=False)
            self._queries.append(seen.queries[-1])
            self._sounds.append(sounds)
            self._maps.most = self.budget.to_hold
            self._maps.add(seen.clip_features)
            del images, seen
        return []

    @torch.inference_mode()
    def finish(self, size: tuple[int, int]) -> list[Prediction]:
        """The tracks through all frames, with masks of `size` (H, W), best first. Then nothing is held any more.

        Raises:
            ValueError: no frame was seen.
        """
        if self._size is None:
            raise ValueError("no frame was seen, so nothing can have been tracked; call step first")
        self._queries, self._sounds = [torch.cat(self._queries)], [torch.cat(self._sounds)]
        queries, sounds = self._queries[0], self._sounds[0]  # (T, Q, D), (T, W)
        watched = self.model.network.watch(queries[None, None], sounds[None]).predictions[-1]
        classes, embeddings = watched.class_logits[-1, 0], watched.mask_embeddings[-1, 0]
        maps = self._maps.pieces(DRAWN_AT_ONCE)
        tracks = drawn_tracks(self._name, classes, embeddings, maps, self._size, size, self.options)
        self._queries, self._sounds, self._maps = [], [], Spool(self.options.frames_in_memory)
        return [tracks]

    def notes(self) -> Mapping[str, Any]:
        """It does not tell."""
        return {}


def drawn_tracks(
    name: str,
    class_logits: Tensor,
    embeddings: Tensor,
    maps: Iterable[Tensor],
    seen: tuple[int, int],
    wanted: tuple[int, int],
    options: AVISMOptions,
) -> InstancePrediction:
    """The tracks of a clip, best first.

    Args:
        name: of the clip.
        class_logits: (Q, K + 1) of the clip queries, "no object" last.
        embeddings: (Q, D) of the clip queries.
        maps: (t, D, h, w) float32 mask features of `DRAWN_AT_ONCE` frames at a time.
        seen: (H, W) of the pictures as the network saw them.
        wanted: (H, W) of the masks.
        options: which tracks are kept.
    """
    candidates = Candidates.of(class_logits, options.candidates, options.score)
    chosen = embeddings[candidates.queries].float()  # (M, D)
    pieces = (torch.einsum("md,tdhw->mthw", chosen, some) for some in maps)
    return make_tracks(name, candidates, pieces, seen, wanted, options.score)


def frames_of(batch: Batch, part: slice) -> Batch:
    """Some frames of a batch; the sound stays whole, as windows are cut by time."""
    features = batch.audio_features
    return replace(
        batch,
        frames=batch.frames[:, part],
        times=batch.times[:, part],
        valid=batch.valid[:, part],
        targets=None,
        audio_features=None if features is None else features[:, part],
    )
