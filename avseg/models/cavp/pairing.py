"""Which sound every picture is given beside its own, and whether the two match (Chen et al. 2024, section 3.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from avseg.host import on_host
from avseg.types import IGNORE, DenseTarget


@dataclass(frozen=True, eq=False)
class Pairing:
    """One given sound for each of N pictures; on the CPU."""

    permutation: Tensor
    """(N,) int64: the picture whose sound is given."""
    matches: Tensor
    """(N,) bool: the given sound counts as right."""
    overwritten: Tensor
    """(M,) int64: pictures whose given sound comes from the bank instead."""

    def sources(self) -> Tensor:
        """(N,) int64 places of the given sounds, where the M sounds from the bank come after the N own ones."""
        sources = self.permutation.clone()
        count, more = len(sources), len(self.overwritten)
        sources[self.overwritten] = torch.arange(count, count + more)
        return sources

    def labels(self, labels: Tensor) -> Tensor:
        """Return the labels for the given sounds: (N, H, W) labels of matching frames, background for the others."""
        return torch.where(self.matches[:, None, None], labels, 0)


def class_sets(targets: Sequence[DenseTarget], items: Tensor) -> Tensor:
    """Return the sounding classes at the chosen frames, and whether any pixel is background.

    Classes are those of `DenseTarget.sounding`, also where labels are binary; where the data set has none, there is
    one class, and it sounds where any pixel is foreground.

    Args:
        targets: of B clips.
        items: (B, T) bool, the N chosen frames.

    Returns:
        (N, 1 + K) bool, the background first; on the CPU.

    Raises:
        ValueError: clips that name their sounds beside clips that do not, or over other classes.
    """
    items = on_host(items)
    labels = torch.stack([on_host(target.labels) for target in targets])[items].flatten(1)  # (N, H * W)
    background = (labels == 0).any(1, keepdim=True)
    widths = {None if target.sounding is None else target.sounding.shape[1] for target in targets}
    if len(widths) > 1:
        raise ValueError(f"the clips of a batch name their sounding classes over {widths}; a batch needs one data set")
    named = [on_host(target.sounding) for target in targets if target.sounding is not None]
    if not named:
        return torch.cat([background, ((labels > 0) & (labels != IGNORE)).any(1, keepdim=True)], 1)
    return torch.cat([background, torch.stack(named)[items]], 1)


def single_classes(sets: Tensor) -> Tensor:
    """(N, 1 + K) bool -> (N,) int64: the one foreground class of each, 0 where there are none or several."""
    foreground = sets[:, 1:]
    return torch.where(foreground.sum(1) == 1, foreground.long().argmax(1) + 1, 0)


def draw_pairing(
    sets: Tensor, overwrite: float, in_bank: Tensor | None, generator: torch.Generator | None = None
) -> Pairing:
    """Shuffle the sounds among the pictures, then overwrite some wrong ones by others of the right class.

    A given sound matches where both pictures have the same set of classes, background included. Of the n that do not,
    floor(overwrite * n) are drawn; those that have exactly one class, of which the bank has a sound, get that instead,
    and match.

    Args:
        sets: (N, 1 + K) bool, the background first; on the CPU, as all that follows.
        overwrite: share of the wrong sounds, 0 for none.
        in_bank: (1 + K,) bool by class id, whether the bank may be asked, never for the background; None: for every
            foreground class.
        generator: asked for a permutation of N, and of n where `overwrite` is above 0.
    """
    permutation = torch.randperm(len(sets), generator=generator)
    matches = (sets == sets[permutation]).all(1)
    overwritten = permutation[:0]
    if overwrite > 0:
        wrong = (~matches).nonzero()[:, 0]
        drawn = wrong[torch.randperm(len(wrong), generator=generator)[: int(overwrite * len(wrong))]]
        classes = single_classes(sets)[drawn]
        overwritten = drawn[(classes > 0) if in_bank is None else in_bank[classes]]
        matches[overwritten] = True
    return Pairing(permutation, matches, overwritten)
