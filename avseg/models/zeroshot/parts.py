"""The interfaces of taggers, finders and followers. An adapter is made as `Adapter(part, config, device)`.

Adapters never fetch: their weights are in the Hub's cache, at `part.revision`, or in a folder of the user's. Pictures
and sounds come on any device; what they return lies on the CPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


class Tagger(Protocol):
    """Recognises sounds."""

    labels: tuple[str, ...]
    """The K sounds that it tells apart."""

    def tags(self, windows: Tensor) -> Tensor:
        """(N, K) float32 probabilities, of (N, S) float32 windows of sound at its rate (`TaggerSpec.rate`)."""


@dataclass(frozen=True, eq=False)
class Found:
    """One object in one picture."""

    noun: int
    """Place among the nouns that were asked for."""
    score: float
    """0 to 1."""
    box: tuple[float, float, float, float]
    """Left, top, right, bottom in pixels, inside the picture."""
    mask: Tensor | None = None
    """(H, W) bool, of finders that draw one."""


class Finder(Protocol):
    """Where nouns are seen."""

    def find(self, frames: Tensor, nouns: Sequence[str]) -> list[list[Found]]:
        """Return for each of (n, 3, H, W) uint8 frames the objects with a score of `config.find.box` or more, best
        first.
        """


@dataclass(frozen=True, eq=False)
class Seen:
    """One track in one picture."""

    logits: Tensor
    """(h, w) float32 of its mask, above 0 inside; at the follower's own size."""
    present: bool
    """Whether the follower takes the object for visible."""
    noun: int = -1
    """Index among the nouns, for followers that find objects themselves."""
    score: float = 0.0
    """Score for such followers: 0 to 1."""


class Following(Protocol):
    """The tracks of one video, picture after picture."""

    def see(self, frame: Tensor, nouns: Sequence[str]) -> dict[int, Seen]:
        """Every live track in the next picture, (3, H, W) uint8, by its number.

        Args:
            frame: the picture.
            nouns: what is looked for just now; of use only to followers that find objects themselves, which number new
                tracks from 1 on.
        """

    def start(self, track: int, found: Found) -> Seen:
        """Begin a track in the picture that `see` got last, which may have been seen with no track at all."""

    def drop(self, track: int) -> None:
        """Forget a track."""

    def back(self, frames: Sequence[Tensor], found: Found) -> list[Seen]:
        """An object that was found in the first of `frames`, through all of them, which go back in time from there."""


class Follower(Protocol):
    """Makes a `Following` for each video."""

    def open(self, size: tuple[int, int]) -> Following:
        """Start a video with frames of `size` (H, W)."""
