"""The training criterion of AVISM: set criteria of frames and of clips, and the similarity of their queries.

Formulas and what departs from the published code are in docs/reference/losses.md. Everything is taken in float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from avseg.host import on_host, places, sent
from avseg.losses.config import SetConfig
from avseg.losses.dense import at_least_float32
from avseg.losses.matching import Matches, match_each
from avseg.losses.points import sample, uncertain_points, uniform_points
from avseg.losses.sets import (
    class_costs,
    dice_costs,
    dice_loss,
    point_costs,
    point_loss,
    set_class_loss,
    similarity_loss,
)
from avseg.models.avism.detector import FramePrediction
from avseg.models.avism.truth import InstanceTruth
from avseg.models.avism.video import ClipPrediction

Terms = dict[str, Tensor]


@dataclass(frozen=True, eq=False)
class FrameCriterion:
    """Every judged frame is a set of its own; all given predictions count, each with a matching of its own."""

    config: SetConfig
    truth: InstanceTruth
    generator: torch.Generator
    """On the device of the truth."""

    @cached_property
    def places(self) -> tuple[Tensor, Tensor]:
        """(F,) clips and (F,) frames of the judged frames."""
        clip, frame = places(self.truth.judged)
        return clip, frame

    def count(self) -> Tensor:
        """Masks of the batch."""
        return self.truth.present.sum()

    def match(self, predictions: Sequence[FramePrediction]) -> list[Matches]:
        """Match the queries of the scored frames; groups of the matches are indices among these frames.

        Points are drawn once a frame and serve the matchings of all predictions.
        """
        clip, frame = self.places
        present = self.truth.present[clip, frame]  # (F, N)
        points = uniform_points(len(clip), self.config.points, self.generator)
        rows = self.truth.rows[clip, frame]  # (F, N)
        there = (points * self.truth.of_masks[clip, None])[:, None].expand(-1, rows.shape[1], -1, -1)
        truth = self.truth.points.at(rows.flatten(), there.flatten(0, 1))
        truth = torch.unflatten(truth, 0, rows.shape)  # (F, N, P)
        labels, points = self.truth.labels[clip], points * self.truth.of_maps[clip, None]
        with torch.no_grad():
            costs = [
                _costs(p.class_logits, labels, sample(at_least_float32(p.mask_logits), points), truth, self.config)
                for p in predictions
            ]
        return match_each(costs, present)

    def terms(self, predictions: Sequence[FramePrediction], matches: Sequence[Matches], count: Tensor) -> Terms:
        """`class`, `mask` and `dice`, weighted sums over the predictions; `count` is what masks are divided by."""
        clip, frame = self.places
        labels = self.truth.labels[clip]  # (F, N)
        total = _nothing(predictions[0].class_logits)
        for prediction, pairs in zip(predictions, matches, strict=True):
            maps = at_least_float32(prediction.mask_logits[pairs.group, pairs.query])  # (M, h, w)
            at = clip[pairs.group]
            rows = self.truth.rows[at, frame[pairs.group], pairs.instance]
            logits, truth = _at_uncertain_points(maps, rows, at, self.truth, self.config, self.generator)
            _add(total, prediction.class_logits, pairs, labels, self.config)
            total["mask"] = total["mask"] + point_loss(logits, truth).sum()
            total["dice"] = total["dice"] + dice_loss(logits, truth).sum()
        return _weighted(total, count, self.config)


@dataclass(frozen=True, eq=False)
class ClipCriterion:
    """Every clip is a set for each of L layers of frame queries; an instance's mask is that of all judged frames."""

    config: SetConfig
    truth: InstanceTruth
    features: Tensor
    """(B, T, D, h, w)."""
    generator: torch.Generator
    """On the device of the truth."""

    def count(self, layers: int) -> Tensor:
        """Masks of the batch, L times."""
        return self.truth.seen.sum() * layers

    def match(self, predictions: Sequence[ClipPrediction]) -> list[Matches]:
        """Groups are l * B + b.

        Points are drawn once a clip and serve its frames, layers and predictions. Masks are linear in the features, so
        these are sampled and no mask is formed.
        """
        clips, frames, instances = self.truth.present.shape
        config = self.config
        points = uniform_points(clips, config.points, self.generator)
        there = (points * self.truth.of_masks[:, None])[:, None, None].expand(-1, frames, instances, -1, -1)
        truth = self.truth.points.at(self.truth.rows.flatten(), there.flatten(0, 2))
        truth = torch.unflatten(truth, 0, self.truth.rows.shape).transpose(1, 2).flatten(2)  # (B, N, T * P)
        counted = self._counted(torch.arange(clips, device=truth.device))  # (B, T * P)
        with torch.no_grad():
            where = (points * self.truth.of_maps[:, None]).repeat_interleave(frames, 0)
            seen = sample(at_least_float32(self.features.flatten(0, 1)), where)  # (B * T, D, P)
            seen = torch.unflatten(seen, 0, (clips, frames)).transpose(1, 2).flatten(2)  # (B, D, T * P)
            costs = []
            for prediction in predictions:
                by_layer = [
                    _costs(classes, self.truth.labels, at_least_float32(queries) @ seen, truth, config, counted)
                    for classes, queries in zip(prediction.class_logits, prediction.mask_embeddings, strict=True)
                ]
                costs.append(torch.cat(by_layer))  # (L * B, Q, N)
        layers = len(predictions[0].class_logits)
        return match_each(costs, self.truth.seen.repeat(layers, 1))

    def terms(self, predictions: Sequence[ClipPrediction], matches: Sequence[Matches], count: Tensor) -> Terms:
        """`class`, `mask` and `dice`, weighted sums over the predictions; `count` is what masks are divided by."""
        layers, clips = predictions[0].class_logits.shape[:2]
        frames = self.truth.present.shape[1]
        labels = self.truth.labels.repeat(layers, 1)
        total = _nothing(predictions[0].class_logits)
        for prediction, pairs in zip(predictions, matches, strict=True):
            queries = prediction.mask_embeddings.flatten(0, 1)[pairs.group, pairs.query]  # (M, D)
            at = sent(on_host(pairs.group) % clips, pairs.group.device)
            maps, order = self._rendered(queries, at)  # (M, T, h, w)
            at, instance = at[order], pairs.instance[order]
            rows = self.truth.rows[at, :, instance].flatten()  # (M * T,)
            logits, truth = _at_uncertain_points(
                maps.flatten(0, 1), rows, at.repeat_interleave(frames), self.truth, self.config, self.generator
            )
            logits, truth = (torch.unflatten(x, 0, (len(at), frames)).flatten(1) for x in (logits, truth))  # (M, T * P)
            counted = self._counted(at)
            _add(total, prediction.class_logits.flatten(0, 1), pairs, labels, self.config)
            total["mask"] = total["mask"] + point_loss(logits, truth, counted).sum()
            total["dice"] = total["dice"] + dice_loss(logits, truth, counted).sum()
        return _weighted(total, count, self.config)

    def _rendered(self, queries: Tensor, at: Tensor) -> tuple[Tensor, Tensor]:
        """Mask logits of queries (M, D) in the clips `at`, clip by clip (M, T, h, w), and the order that this is."""
        known = on_host(at)
        order = sent(known.sort(stable=True).indices, at.device)
        parts = known.bincount(minlength=len(self.features)).tolist()
        by_clip = zip(torch.split(at_least_float32(queries)[order], parts), self.features, strict=True)
        maps = [torch.einsum("md,tdhw->mthw", q, at_least_float32(features)) for q, features in by_clip]
        return torch.cat(maps), order

    def _counted(self, at: Tensor) -> Tensor | None:
        """(M, T * P) of 0 and 1: the points of judged frames of the clips `at`; None: all."""
        if self.truth.wholly_judged:
            return None
        return self.truth.judged[at].float().repeat_interleave(self.config.points, 1)


def similarity_term(
    frame_embeddings: Tensor,
    clip_embeddings: Tensor,
    frame_matches: Sequence[Matches],
    clip_matches: Matches,
    places: tuple[Tensor, Tensor],
    weight: float,
) -> Tensor:
    """Frame queries and clip queries that stand for one object should be alike.

    Args:
        frame_embeddings: (L, B, T, fQ, D).
        clip_embeddings: (L, B, Q, D).
        frame_matches: of the same L layers of the frame decoder.
        clip_matches: of the last clip prediction.
        places: (F,) clips and (F,) frames of the groups of `frame_matches`.
        weight: the factor.
    """
    clips = clip_embeddings.shape[1]
    clip, frame = places
    entries, identities, groups = [], [], []
    for layer, pairs in enumerate(frame_matches):
        entries.append(frame_embeddings[layer, clip[pairs.group], frame[pairs.group], pairs.query])
        identities.append(pairs.instance)
        groups.append(layer * clips + clip[pairs.group])
    entries.append(clip_embeddings.flatten(0, 1)[clip_matches.group, clip_matches.query])
    identities.append(clip_matches.instance)
    groups.append(clip_matches.group)
    return weight * similarity_loss(torch.cat(entries), torch.cat(identities), torch.cat(groups))


def _costs(
    classes: Tensor, labels: Tensor, logits: Tensor, truth: Tensor, config: SetConfig, counted: Tensor | None = None
) -> Tensor:
    """(G, Q, K + 1), (G, N), (G, Q, P) and (G, N, P) -> (G, Q, N)."""
    return (
        config.class_weight * class_costs(classes, labels)
        + config.mask_weight * point_costs(logits, truth, counted)
        + config.dice_weight * dice_costs(logits, truth, counted)
    )


def _at_uncertain_points(
    maps: Tensor, rows: Tensor, clips: Tensor, truth: InstanceTruth, config: SetConfig, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Logits of maps (M, h, w) and the truth of `rows` (M,) at points of each map's own: (M, P) twice."""
    scale = truth.of_maps[clips]
    points = uncertain_points(maps, config.points, config.oversample, config.importance, generator, scale)
    logits = sample(maps[:, None], points * scale[:, None])[:, 0]
    return logits, truth.points.at(rows, points * truth.of_masks[clips, None])


def _nothing(like: Tensor) -> Terms:
    zero = at_least_float32(like).new_zeros(())
    return {"class": zero, "mask": zero, "dice": zero}


def _add(total: Terms, logits: Tensor, pairs: Matches, labels: Tensor, config: SetConfig) -> None:
    """The cross-entropy of (G, Q, K + 1) logits, where queries without an instance are "no object"."""
    wanted = torch.full(logits.shape[:2], logits.shape[2] - 1, device=logits.device)
    wanted[pairs.group, pairs.query] = labels[pairs.group, pairs.instance]
    total["class"] = total["class"] + set_class_loss(logits, wanted, config.no_object_weight)


def _weighted(total: Terms, count: Tensor, config: SetConfig) -> Terms:
    return {
        "class": config.class_weight * total["class"],
        "mask": config.mask_weight * total["mask"] / count,
        "dice": config.dice_weight * total["dice"] / count,
    }
