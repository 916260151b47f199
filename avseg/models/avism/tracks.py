"""From what clip queries stand for to tracks: which may be kept, how well their masks hold, and their run lengths.

The published code draws all candidates at the video's size and keeps a few. Here a candidate is drawn only if its score
can still pass, in the part of the picture where it is anything, one frame at a time; the numbers are the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from avseg.io.rle import encode_part
from avseg.types import InstancePrediction, Rle

STRIDE = 4
"""Pixels of the padded picture to one mask logit."""

Span = tuple[int, int]
"""The first, and the one behind the last."""


@dataclass(frozen=True, eq=False)
class Candidates:
    """Pairs of query and class that may become tracks."""

    queries: Tensor
    """(M,) int64, each once."""
    places: list[int]
    """By candidate, the place of its query in `queries`."""
    classes: list[int]
    """By candidate, 1..K."""
    probabilities: list[float]
    """By candidate, of its class."""

    @classmethod
    def of(cls, class_logits: Tensor, most: int, score: float) -> Candidates:
        """Select from (Q, K + 1) logits, "no object" last, the `most` likeliest pairs whose score can pass `score`.

        A score is the probability of the class times the quality of the mask, which is at most 1.
        """
        probabilities = class_logits.float().softmax(-1)[:, :-1].flatten()  # (Q * K,)
        best, pairs = probabilities.topk(min(most, probabilities.numel()))
        best, pairs = best[best > score], pairs[best > score]
        classes = class_logits.shape[-1] - 1
        queries, places = torch.unique(pairs // classes, return_inverse=True)
        return cls(queries, places.tolist(), (pairs % classes + 1).tolist(), best.tolist())


def make_tracks(
    name: str,
    candidates: Candidates,
    pieces: Iterable[Tensor],
    seen: tuple[int, int],
    wanted: tuple[int, int],
    score: float,
) -> InstancePrediction:
    """The tracks of a clip, best first and numbered from 1.

    Args:
        name: of the clip.
        candidates: who may become a track.
        pieces: mask logits (M, t, h, w) of `candidates.queries`, some frames at a time, in order.
        seen: (H, W) of the frames as the network saw them, without padding.
        wanted: (H, W) of the masks.
        score: what the score of a track must pass: the probability of its class times the mean probability of the
            pixels inside its mask.
    """
    count = len(candidates.queries)
    masks: list[list[Rle | None]] = [[] for _ in range(count)]
    sums = torch.zeros(count, 2, dtype=torch.float64)
    pen: Pen | None = None
    for piece in pieces if count else ():
        pen = pen or Pen(seen, wanted, piece.device)
        drawn = pen.draw_all(piece.float())
        sums += drawn.sums
        for track, more in zip(masks, drawn.masks, strict=True):
            track += more
    quality = (sums[:, 0] / (sums[:, 1] + 1e-6)).tolist()
    scores = [p * quality[place] for p, place in zip(candidates.probabilities, candidates.places, strict=True)]
    kept = sorted((n for n in range(len(scores)) if scores[n] > score), key=lambda n: -scores[n])
    return InstancePrediction(
        id=name,
        masks=[list(masks[candidates.places[n]]) for n in kept],
        scores=torch.tensor([scores[n] for n in kept], dtype=torch.float32),
        classes=torch.tensor([candidates.classes[n] for n in kept], dtype=torch.int64),
        track_ids=torch.arange(1, len(kept) + 1),
        size=wanted,
    )


@dataclass(frozen=True, eq=False)
class Drawn:
    """The masks from the logits of M queries in t frames."""

    masks: list[list[Rle | None]]
    """M lists of t; None: nothing is inside."""
    sums: Tensor
    """(M, 2) float64: probability inside the masks, and pixels, both as the network saw the frames."""


class Pen:
    """Draws masks: logits enlarged to the network's picture, where their quality is measured, and on to the video's.

    Both steps are bilinear, so that what lies apart from every positive logit is empty and is left out.
    """

    def __init__(self, seen: tuple[int, int], wanted: tuple[int, int], device: torch.device) -> None:
        self.wanted = wanted
        self.rows = Axis(seen[0], wanted[0], device)
        self.columns = Axis(seen[1], wanted[1], device)

    def draw_all(self, logits: Tensor) -> Drawn:
        """(M, t, h, w) logits at a quarter of the padded pictures."""
        positive = logits > 0
        rows, columns = _spans(positive.any(3)), _spans(positive.any(2))
        nothing = logits.new_zeros(2)
        masks: list[list[Rle | None]] = []
        sums = []
        for m, maps in enumerate(logits):
            drawn = [self._draw(one, rows[m][t], columns[m][t]) for t, one in enumerate(maps)]
            masks.append([None if one is None else one[0] for one in drawn])
            sums += [nothing if one is None else one[1] for one in drawn]
        both = torch.stack(sums) if sums else logits.new_zeros(0, 2)
        return Drawn(masks, both.cpu().double().reshape(*logits.shape[:2], 2).sum(1))

    def _draw(self, logits: Tensor, rows: Span, columns: Span) -> tuple[Rle | None, Tensor] | None:
        """Run lengths and sums of (h, w) logits that are positive within spans; None where there is nothing."""
        if rows[0] >= rows[1]:
            return None
        down, across = self.rows.part(rows, logits.shape[0]), self.columns.part(columns, logits.shape[1])
        if down is None or across is None:  # nothing but padding
            return None
        near = logits[slice(*down.near), slice(*across.near)]
        large = F.interpolate(near[None, None], scale_factor=STRIDE, mode="bilinear", align_corners=False)[0, 0]
        large = large[down.inner, across.inner]
        soft = large.sigmoid()
        hard = soft > 0.5
        sums = torch.stack([(soft * hard).sum(), hard.sum().to(soft.dtype)])
        # Columns come first in the end, as run lengths go down them.
        part = (across.blend(down.blend(large).t().contiguous()) > 0).cpu().numpy()
        place = (down.span[0], across.span[0])
        return encode_part(part, place, self.wanted) if part.any() else None, sums


@dataclass(frozen=True, eq=False)
class PicturePart:
    """The part of one side of a picture to process."""

    near: Span
    """Logits."""
    inner: slice
    """The part of these, enlarged, outside the padding and unaffected by the cut."""
    span: Span
    """Pixels of the mask."""
    before: Tensor
    """(n,) int64, by pixel of the mask, the one before it in the inner part."""
    after: Tensor
    share: Tensor
    """(n, 1) how much of the later one."""

    def blend(self, values: Tensor) -> Tensor:
        """(inner, k) -> (n, k)."""
        return torch.addcmul(values[self.before] * (1 - self.share), values[self.after], self.share)


class Axis:
    """One side of the second enlargement: which pixels of the network's picture make which of the video's."""

    def __init__(self, seen: int, wanted: int, device: torch.device) -> None:
        self.seen = seen
        at = (torch.arange(wanted, dtype=torch.float32) + 0.5) * (seen / wanted) - 0.5
        at = at.clamp(min=0)
        before = at.long().clamp(max=seen - 1)
        self._numbers: NDArray[Any] = before.numpy()
        self.before = before.to(device)
        self.after = (before + 1).clamp(max=seen - 1).to(device)
        self.share = (at - before).clamp(0, 1)[:, None].to(device)

    def part(self, positive: Span, count: int) -> PicturePart | None:
        """Return the range to process for the `positive` ones of `count` logits; None if it is in the padding."""
        first, last = STRIDE * positive[0] - STRIDE // 2, STRIDE * positive[1] + STRIDE // 2
        first, last = max(first, 0), min(last, self.seen)  # where enlarged logits can be positive
        if first >= last:
            return None
        inner = (max(first - 1, 0), min(last + 1, self.seen))  # the mask's pixels lie between two of these
        near = (max(positive[0] - 2, 0), min(positive[1] + 2, count))
        cut = STRIDE * near[0]
        begin, end = np.searchsorted(self._numbers, [first - 1, last])
        span = slice(int(begin), int(end))
        return PicturePart(
            near=near,
            inner=slice(inner[0] - cut, inner[1] - cut),
            span=(span.start, span.stop),
            before=self.before[span] - inner[0],
            after=self.after[span] - inner[0],
            share=self.share[span],
        )


def _spans(there: Tensor) -> list[list[Span]]:
    """Return for (M, t, n) bool the index of the first true entry and that after the last; (0, 0) if there is none."""
    table = there.cpu().numpy()
    count = table.shape[-1]
    some = table.any(-1)
    first = np.where(some, table.argmax(-1), 0).tolist()
    last = np.where(some, count - table[..., ::-1].argmax(-1), 0).tolist()
    return [list(zip(begins, ends, strict=True)) for begins, ends in zip(first, last, strict=True)]
