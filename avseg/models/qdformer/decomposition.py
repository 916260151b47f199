"""Sound to tokens: in the network's width, decomposed over the whole clip, then calibrated frame by frame."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from avseg.nn.frames import all_exist, by_frame, gathered
from avseg.nn.position import sine_sequence
from avseg.nn.transformer import CrossAttention, FeedForward, TokenDecoderLayer


@dataclass(frozen=True, eq=False)
class Sound:
    """The audio tokens of B clips of T frames, each in S parts; padded frames have no effect."""

    values: Tensor
    """(B, T, S, C)."""
    position: Tensor
    """(B, T, S, C), when it is heard; for keys, not for values."""
    valid: Tensor
    """(B, T) bool, the frames that exist."""

    @property
    def heard(self) -> Tensor | None:
        """(B, T * S) bool, the parts that exist; None: all."""
        return None if all_exist(self.valid) else self.valid.repeat_interleave(self.values.shape[2], 1)

    def mean(self) -> Tensor:
        """(B, C) over the parts that exist."""
        shares = self.valid / self.valid.sum(1, keepdim=True)  # (B, T)
        return torch.einsum("bt,btc->bc", shares.to(self.values.dtype), self.values.mean(2))


class Resizer(nn.Module):
    """Audio features in the network's width, and by choice aware of each other."""

    def __init__(self, entering: int, width: int, heads: int, inner: int, layers: int, dropout: float) -> None:
        """
        Args:
            entering: channels of audio features.
            width: channels C of tokens.
            heads: of the attention over time.
            inner: width of its feed-forward layers between their linear maps.
            layers: of attention over time; 0: every part is on its own.
            dropout: while training.
        """
        super().__init__()
        self.linear = nn.Linear(entering, width)
        self.norm = nn.LayerNorm(width, eps=1e-12)
        self.dropout = nn.Dropout(dropout)
        self.context = nn.ModuleList(_ContextLayer(width, heads, inner, dropout) for _ in range(layers))

    def forward(self, audio: Tensor, valid: Tensor) -> Sound:
        """(B, T, S, W) audio features of clips whose frames `valid` (B, T) exist."""
        clips, frames, parts = audio.shape[:3]
        there = valid[:, :, None].expand(-1, -1, parts).flatten(1)  # (B, T * S)
        # Whatever stands where there is no frame, not a number included.
        kept = audio.flatten(1, 2).masked_fill(~there[..., None], 0)
        values = self.dropout(self.norm(self.linear(kept)))  # (B, T * S, C)
        # A place's share of what exists: how much padding follows changes no position.
        shares = there.cumsum(1) / (there.sum(1, keepdim=True) + 1e-6)
        position = sine_sequence(shares, values.shape[-1]).to(values.dtype)
        allowed = None if all_exist(valid) else there[:, None]
        for layer in self.context:
            values = layer(values, position, allowed)
        shape = (clips, frames, parts, -1)
        return Sound(values.reshape(shape), position.reshape(shape), valid)


class _ContextLayer(nn.Module):
    def __init__(self, width: int, heads: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.attention = CrossAttention(width, heads, dropout)
        self.feed_forward = FeedForward(width, inner, dropout)

    def forward(self, x: Tensor, position: Tensor, allowed: Tensor | None) -> Tensor:
        """(B, P, C) -> (B, P, C); positions (B, P, C), allowed (B, 1, P)."""
        out: Tensor = self.feed_forward(self.attention(x, x, allowed, position, position))
        return out


class TokenDecoder(nn.Module):
    """Tokens look at each other and at sound, layer by layer."""

    def __init__(self, width: int, heads: int, inner: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(TokenDecoderLayer(width, heads, inner, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: Tensor, memory: Tensor, position: Tensor, heard: Tensor | None = None) -> Tensor:
        """
        Args:
            tokens: (G, N, C).
            memory: (G, P, C).
            position: (G, P, C), added to the memory as keys.
            heard: (G, P) bool, the parts of the memory that exist; None: all.

        Returns:
            (G, N, C), normalised.
        """
        for layer in self.layers:
            tokens = layer(tokens, memory, heard, memory_position=position)
        out: Tensor = self.norm(tokens)
        return out


class Decomposition(nn.Module):
    """Global: a clip's sound, all sources at once, becomes N tokens, which are meant to be of one source each.

    Nothing says which token takes which source; what presses them apart is the codebook that they share.
    """

    def __init__(
        self, tokens: int, width: int, deviation: float, heads: int, inner: int, layers: int, dropout: float
    ) -> None:
        """
        Args:
            tokens: N.
            width: channels C.
            deviation: of the prototypes' numbers at first.
            heads: of every attention.
            inner: width of the feed-forward layers between their linear maps.
            layers: of the decoder.
            dropout: while training.
        """
        super().__init__()
        self.prototypes = nn.Parameter(torch.randn(tokens, width) * deviation)
        self.decoder = TokenDecoder(width, heads, inner, layers, dropout)

    def forward(self, sound: Sound) -> Tensor:
        """Sound of B clips -> (B, N, C)."""
        tokens = self.prototypes.expand(sound.values.shape[0], -1, -1)
        memory, position = sound.values.flatten(1, 2), sound.position.flatten(1, 2)
        out: Tensor = self.decoder(tokens, memory, position, sound.heard)
        return out


class Calibration(nn.Module):
    """Local: the N tokens of each frame, made from its sound given what the whole clip holds."""

    def __init__(
        self,
        tokens: int,
        decoder: TokenDecoder,
        width: int,
        deviation: float,
        query: str,
        memory: str,
        window: int,
    ) -> None:
        """
        Args:
            tokens: N.
            decoder: of width C.
            width: C.
            deviation: as for `Decomposition`, of what is learnt of each place.
            query, memory, window: as `LocalConfig` says.
        """
        super().__init__()
        self.query, self.memory = query, memory
        self.reach = window // 2 if memory == "window" else 0
        self.places = nn.Parameter(torch.randn(tokens, width) * deviation)
        self.decoder = decoder

    def forward(self, clip_tokens: Tensor, sound: Sound) -> Tensor:
        """
        Args:
            clip_tokens: (B, N, C) of the clips, quantised.
            sound: of the same clips.

        Returns:
            (M, N, C) of the M frames that exist.
        """
        given = by_frame(clip_tokens, sound.valid)  # (M, N, C)
        tokens = given + self.places if self.query == "global" else self.places.expand_as(given)
        memory, position, heard = self._around(sound)
        if self.memory == "frame+global":
            memory = torch.cat([memory, given.to(memory.dtype)], 1)
            position = torch.cat([position, torch.zeros_like(given, dtype=position.dtype)], 1)
        out: Tensor = self.decoder(tokens, memory, position, heard)
        return out

    def _around(self, sound: Sound) -> tuple[Tensor, Tensor, Tensor | None]:
        """(M, w * S, C) what is heard in the w frames around each, its positions, and (M, w * S) what of it exists."""
        if not self.reach:
            return gathered(sound.values, sound.valid), gathered(sound.position, sound.valid), None
        frames, parts = sound.values.shape[1:3]
        places = torch.arange(frames, device=sound.valid.device)[:, None]
        times = places + torch.arange(-self.reach, self.reach + 1, device=places.device)  # (T, w)
        inside = (times >= 0) & (times < frames)
        times = times.clamp(0, frames - 1)
        values, position = (
            gathered(x[:, times], sound.valid).flatten(1, 2) for x in (sound.values, sound.position)
        )  # (M, w * S, C)
        heard = gathered(sound.valid[:, times] & inside, sound.valid)  # (M, w)
        return values, position, heard.repeat_interleave(parts, 1)
