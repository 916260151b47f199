"""The video module: frame queries of a whole clip meet each other and the sound, then clip queries look at them all.

Memory is a few times that of the frame queries, however long the clip: frames see each other within windows, which are
worked on one by one, and the attention of the clip queries never forms the affinities of all tokens. (Heo et al. 2022,
"VITA: Video Instance Segmentation via Object Token Association"; Guo et al. 2025.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from avseg.nn.frames import is_exporting
from avseg.nn.transformer import CrossAttention, DecoderLayer, FeedForward, Perceptron, SelfAttention


@dataclass(frozen=True, eq=False)
class ClipPrediction:
    """The outputs for the clip queries, for each of L layers of frame queries and B clips."""

    class_logits: Tensor
    """(L, B, Q, K + 1), "no object" last."""
    mask_embeddings: Tensor
    """(L, B, Q, D); their products with the mask features of a frame are its mask logits."""


@dataclass(frozen=True, eq=False)
class Watched:
    """The output of the video module."""

    predictions: list[ClipPrediction]
    """After each layer of the clip decoder; the last one counts, the others are for the losses."""
    frame_similarity: Tensor | None = None
    """(L, B, T, fQ, D), of every frame query; like `clip_similarity` for the similarity loss, while training."""
    clip_similarity: Tensor | None = None
    """(L, B, Q, D), of every clip query."""


def windows(frames: int, length: int, shifted: bool) -> list[tuple[int, int]]:
    """Frames that see each other, as (first, beyond last); the first window of shifted ones has half the length."""
    starts = range(-(length // 2) if shifted else 0, frames, length)
    return [(max(start, 0), min(start + length, frames)) for start in starts if start + length > 0]


class ObjectLayer(nn.Module):
    """Frame queries of a window look at each other; there are no positions."""

    def __init__(self, width: int, heads: int, inner: int) -> None:
        super().__init__()
        self.attention = SelfAttention(width, heads)
        self.feed_forward = FeedForward(width, inner)

    def forward(self, tokens: Tensor) -> Tensor:
        """(N, t, Q, D) -> (N, t, Q, D)."""
        mixed: Tensor = self.feed_forward(self.attention(tokens.flatten(1, 2)))
        return torch.unflatten(mixed, 1, tokens.shape[1:3])

    def masked(self, tokens: Tensor, there: Tensor) -> Tensor:
        """Attend in windows if some frames (N, t) bool are padding."""
        x, own = tokens.flatten(1, 2), self.attention
        allowed = there.repeat_interleave(tokens.shape[2], 1)[:, None]  # (N, 1, t * Q)
        mixed: Tensor = self.feed_forward(own.norm(x + own.attention(x, x, x, allowed)))
        return mixed.reshape(tokens.shape)


class SoundLayer(nn.Module):
    """Sounds of a window look at its frame queries."""

    def __init__(self, width: int, heads: int, inner: int) -> None:
        super().__init__()
        self.attention = CrossAttention(width, heads)
        self.feed_forward = FeedForward(width, inner)

    def forward(self, sounds: Tensor, tokens: Tensor, there: Tensor | None = None) -> Tensor:
        """(N, t, D) and (N, t, Q, D) -> (N, t, D); there: (N, t) bool, which frames exist, None: all."""
        allowed = None if there is None else there.repeat_interleave(tokens.shape[2], 1)[:, None]
        heard: Tensor = self.feed_forward(self.attention(sounds, tokens.flatten(1, 2), allowed))
        return heard


class WindowEncoder(nn.Module):
    """Frame queries that have seen their neighbours in time, and their sound."""

    def __init__(self, width: int, heads: int, inner: int, layers: int, window: int, audio_width: int) -> None:
        """
        Args:
            width: channels D of queries.
            heads: of every attention.
            inner: width of the feed-forward layers between their linear maps.
            layers: among frame queries, and as many of sounds over them.
            window: frames that see each other in a layer.
            audio_width: channels of a second's sound.
        """
        super().__init__()
        self.window = window
        self.enter = nn.Linear(width, width)
        self.hear = nn.Linear(audio_width, width)
        self.objects = nn.ModuleList(ObjectLayer(width, heads, inner) for _ in range(layers))
        self.sounds = nn.ModuleList(SoundLayer(width, heads, inner) for _ in range(layers))

    def forward(self, queries: Tensor, audio: Tensor) -> Tensor:
        """(N, T, Q, D) frame queries and (N, T, audio_width) sounds -> (N, T, Q, D).

        Every second layer has its windows shifted by half a window, so that what is seen spreads; those among frame
        queries only in evaluation mode, as published.
        """
        if is_exporting():
            return self._masked(queries, audio)
        # In the queries' own type, so that windows written in place lose nothing where linear maps are of less.
        tokens: Tensor = self.enter(queries).to(queries.dtype)
        sounds, frames = self.hear(audio), tokens.shape[1]
        for index, layer in enumerate(self.objects):
            tokens = _in_windows(layer, tokens, windows(frames, self.window, index % 2 == 1 and not self.training))
        for index, layer in enumerate(self.sounds):
            spans = windows(frames, self.window, index % 2 == 1)
            # One sound a frame: the published copies, one for each frame query, stay the same in all layers.
            sounds = torch.cat([layer(sounds[:, a:b], tokens[:, a:b]) for a, b in spans], 1)
        heard: Tensor = sounds[:, :, None]
        return tokens + heard if torch.is_grad_enabled() else tokens.add_(heard)

    def _masked(self, queries: Tensor, audio: Tensor) -> Tensor:
        """Attend in one clip of any length (1, T, ...), without a loop over its windows: those at its ends are
        filled up with frames that nobody sees."""
        tokens, sounds = self.enter(queries)[0], self.hear(audio)[0]  # (T, Q, D), (T, D)
        for index, layer in enumerate(self.objects):
            windows_, there, place = _cut(tokens, self.window, index % 2 == 1)
            assert isinstance(layer, ObjectLayer)
            tokens = layer.masked(windows_, there).flatten(0, 1)[place]
        for index, layer in enumerate(self.sounds):
            own, there, place = _cut(sounds, self.window, index % 2 == 1)
            sounds = layer(own, _cut(tokens, self.window, index % 2 == 1)[0], there).flatten(0, 1)[place]
        out: Tensor = (tokens + sounds[:, None])[None]
        return out


def _cut(values: Tensor, length: int, shifted: bool) -> tuple[Tensor, Tensor, slice]:
    """Arrange values of frames (T, ...) in windows (n, length, ...), which places of them (n, length) bool are frames,
    and where the frames are among all places."""
    before, frames = length // 2 if shifted else 0, values.shape[0]
    count = (before + frames + length - 1) // length
    around = [0, 0] * (values.ndim - 1) + [before, length - 1]
    filled = F.pad(values, around)[: count * length]
    there = F.pad(torch.ones_like(values.flatten(1)[:, 0]), [before, length - 1])[: count * length] > 0
    place = slice(before, before + frames)
    return filled.reshape(count, length, *values.shape[1:]), there.reshape(count, length), place


def _in_windows(layer: Callable[[Tensor], Tensor], tokens: Tensor, spans: list[tuple[int, int]]) -> Tensor:
    if len(spans) == 1:
        return layer(tokens)
    if torch.is_grad_enabled():
        return torch.cat([layer(tokens[:, a:b]) for a, b in spans], 1)
    for a, b in spans:  # in place: no window sees another
        tokens[:, a:b] = layer(tokens[:, a:b])
    return tokens


class ClipDecoder(nn.Module):
    """Clip queries look at the frame queries of all frames at once, however far apart."""

    def __init__(
        self, classes: int, width: int, heads: int, inner: int, frame_queries: int, queries: int, layers: int
    ) -> None:
        """
        Args:
            classes: foreground classes K.
            width: channels D of queries.
            heads: of every attention.
            inner: width of the feed-forward layers between their linear maps.
            frame_queries: of a frame; each has a learned position, the same in all frames.
            queries: of a clip.
            layers: of the decoder.
        """
        super().__init__()
        self.query = nn.Embedding(queries, width)
        self.position = nn.Embedding(queries, width)
        self.frame_position = nn.Embedding(frame_queries, width)
        self.layers = nn.ModuleList(DecoderLayer(width, heads, inner) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.classify = nn.Linear(width, classes + 1)
        self.mask_embedding = Perceptron(width)

    def forward(self, memory: Tensor) -> list[Tensor]:
        """(N, T, fQ, D) -> normalised queries (N, Q, D) after each layer."""
        places = self.frame_position.weight.repeat(memory.shape[1], 1)  # (T * fQ, D)
        tokens = memory.flatten(1, 2)
        x = self.query.weight.expand(memory.shape[0], -1, -1)
        states = []
        for layer in self.layers:
            x = layer(x, tokens, None, self.position.weight, places)
            states.append(self.norm(x))
        return states


class VideoModule(nn.Module):
    """From the frame queries of clips to their tracks."""

    def __init__(
        self, encoder: WindowEncoder, decoder: ClipDecoder, width: int, mask_sound: nn.Linear | None = None
    ) -> None:
        """
        Args:
            encoder: of frame queries and sounds.
            decoder: of clip queries.
            width: channels D of queries and mask features.
            mask_sound: from a second's sound to what its mask features gain by it; None: they are deaf, as published.
        """
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.mask_features = nn.Conv2d(width, width, 1)
        self.mask_sound = mask_sound
        self.frame_similarity = nn.Linear(width, width)
        self.clip_similarity = nn.Linear(width, width)
        nn.init.kaiming_uniform_(self.mask_features.weight, a=1)
        nn.init.zeros_(self.mask_features.bias)  # type: ignore[arg-type]

    def features(self, fine: Tensor, audio: Tensor) -> Tensor:
        """Return the mask features for clip queries, from pictures (N, D, h, w) and sounds (N, audio_width)."""
        seen: Tensor = self.mask_features(fine)
        if self.mask_sound is None:
            return seen
        # The same at every pixel: times a query's embedding, it raises or lowers the query's whole mask.
        gain: Tensor = self.mask_sound(audio)
        return seen + gain[:, :, None, None]

    def forward(self, queries: Tensor, audio: Tensor, similarity: bool | None = None) -> Watched:
        """
        Args:
            queries: (L, B, T, fQ, D), of L layers of the frame decoder.
            audio: (B, T, audio_width).
            similarity: whether embeddings for the similarity loss are wanted; by default while training.

        Raises:
            ValueError: sounds of other clips or frames than the queries'.
        """
        layers, clips, frames = queries.shape[:3]
        if audio.shape[:2] != (clips, frames):
            raise ValueError(
                f"{frames} frames of {clips} clip(s) came with sounds {tuple(audio.shape)}; wanted one for each frame, "
                f"({clips}, {frames}, channels)"
            )
        memory = self.encoder(queries.flatten(0, 1), audio.repeat(layers, 1, 1))
        states = self.decoder(memory)
        predictions = [
            ClipPrediction(
                self.decoder.classify(state).unflatten(0, (layers, clips)),
                self.decoder.mask_embedding(state).unflatten(0, (layers, clips)),
            )
            for state in states
        ]
        if not (self.training if similarity is None else similarity):
            return Watched(predictions)
        return Watched(
            predictions,
            self.frame_similarity(memory).unflatten(0, (layers, clips)),
            self.clip_similarity(states[-1]).unflatten(0, (layers, clips)),
        )
