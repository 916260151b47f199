"""The training criterion of QDFormer: matching, and losses of classes, boxes and masks at every decoder layer.

Formulas are in docs/reference/losses.md. Everything is taken in float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from avseg.host import on_host, picked, sent
from avseg.losses.config import QueryConfig
from avseg.losses.dense import at_least_float32
from avseg.losses.matching import Matches, match_each
from avseg.losses.queries import (
    box_costs,
    box_losses,
    class_focal_costs,
    focal_loss,
    mask_focal_costs,
    mask_focal_loss,
)
from avseg.losses.sets import dice_costs, dice_loss
from avseg.models.qdformer.output import QueryPrediction
from avseg.models.qdformer.truth import QueryTruth
from avseg.nn.quantizer import Coded

Terms = dict[str, Tensor]


@dataclass(frozen=True, eq=False)
class QueryCriterion:
    """Every clip is a set: a query stands for a target in all its frames. Frames without labels take no part."""

    config: QueryConfig
    truth: QueryTruth

    def count(self) -> Tensor:
        """Frames in which targets are shown, all targets of the batch together."""
        return self.truth.shown.sum()

    def match(self, layers: Sequence[QueryPrediction]) -> list[Matches]:
        """One matching for each layer; groups are clips, and instances targets.

        A single target gets the query that costs least; of more targets than queries, those stay without one whose
        pairs would cost most.
        """
        with torch.no_grad():
            return match_each([self.costs(layer) for layer in layers], self.truth.present)

    def costs(self, layer: QueryPrediction) -> Tensor:
        """(B, Q, J) of every query for every target, what is filled in included."""
        config, truth = self.config, self.truth
        focal = config.alpha, config.gamma
        logits, counted = _flat(layer.mask_logits), _counted(truth)  # (B, Q, P) and (B, P)
        masks = truth.masks.flatten(2)  # (B, J, P)
        costs = (
            config.class_weight * class_focal_costs(layer.class_logits, truth.classes, truth.shown, *focal)
            + config.mask_weight * mask_focal_costs(logits, masks, counted, *focal)
            + config.dice_weight * dice_costs(logits, masks, counted)
        )
        if config.boxes:
            distance, overlap = box_costs(layer.boxes, truth.boxes, truth.shown)
            costs = costs + config.box_weight * distance + config.giou_weight * overlap
        return costs

    def terms(self, layers: Sequence[QueryPrediction], matches: Sequence[Matches], count: Tensor) -> Terms:
        """`mask`, `dice` and by config `class`, `box` and `giou`: weighted sums over the layers, over `count`."""
        config = self.config
        total: Terms = {}
        for layer, pairs in zip(layers, matches, strict=True):
            found = self._masks(layer, pairs)
            if config.classes:
                found["class"] = config.class_weight * self._classes(layer, pairs)
            if config.boxes:
                found |= self._boxes(layer, pairs)
            total = {name: term + total[name] if name in total else term for name, term in found.items()}
        return {name: term / count for name, term in total.items()}

    def _classes(self, layer: QueryPrediction, pairs: Matches) -> Tensor:
        """The sum over all queries of labelled frames; positive is what a query's target is, in frames that show it."""
        truth, logits = self.truth, layer.class_logits
        shown = truth.shown[pairs.group, pairs.instance]  # (M, T)
        wanted = torch.zeros_like(logits, dtype=torch.bool)
        frames = torch.arange(logits.shape[1], device=logits.device)
        kinds = truth.classes[pairs.group, pairs.instance]
        wanted[pairs.group[:, None], frames, pairs.query[:, None], kinds[:, None]] = shown
        terms = focal_loss(logits, wanted, self.config.alpha, self.config.gamma)
        return (terms * truth.labelled[:, :, None, None]).sum()

    def _boxes(self, layer: QueryPrediction, pairs: Matches) -> Terms:
        known = on_host(self.truth.shown)[on_host(pairs.group), on_host(pairs.instance)]
        shown = sent(known, layer.boxes.device)  # (M, T)
        boxes = picked(layer.boxes.transpose(1, 2)[pairs.group, pairs.query], shown)  # (V, 4)
        distance, overlap = box_losses(boxes, picked(self.truth.boxes[pairs.group, pairs.instance], shown))
        return {"box": self.config.box_weight * distance.sum(), "giou": self.config.giou_weight * overlap.sum()}

    def _masks(self, layer: QueryPrediction, pairs: Matches) -> Terms:
        """The sum over targets; a target's mask is that of all labelled frames, also where it is not shown."""
        logits = _flat(layer.mask_logits)[pairs.group, pairs.query]  # (M, P)
        masks = self.truth.masks.flatten(2)[pairs.group, pairs.instance]
        counted = _counted(self.truth)[pairs.group]
        focal = mask_focal_loss(logits, masks, counted, self.config.alpha, self.config.gamma).sum()
        dice = dice_loss(logits, masks, counted).sum()
        return {"mask": self.config.mask_weight * focal, "dice": self.config.dice_weight * dice}


def quantiser_terms(clip_tokens: Coded, frame_tokens: Coded | None, weight: float) -> Terms:
    """`codebook` and `commitment`, where tokens are quantised: not summed over layers, since tokens have none.

    The codebook learns from the clips' tokens alone; tokens of clips and of frames are both drawn to their codes.
    """
    parts = [part for part in (clip_tokens, frame_tokens) if part is not None]
    drawn = {
        "codebook": [clip_tokens.codebook_loss],
        "commitment": [part.commitment_loss for part in parts],
    }
    named = {name: [term for term in terms if term is not None] for name, terms in drawn.items()}
    return {name: weight * torch.stack(terms).sum() for name, terms in named.items() if terms}


def distillation(clip_tokens: Coded, frame_tokens: Coded, truth: QueryTruth) -> Tensor:
    """Tokens of frames that sound should be what the clip's are: the squared distance, the mean over channels, tokens
    and labelled frames, those in which nothing sounds adding nothing. Not published.
    """
    wanted = at_least_float32(clip_tokens.tokens.detach())[:, None]  # (B, 1, N, C)
    away = (at_least_float32(frame_tokens.raw) - wanted).square().mean((2, 3))  # (B, T)
    return (away * truth.sounding).sum() / truth.labelled.sum().clamp(min=1)


def _flat(maps: Tensor) -> Tensor:
    """(B, T, Q, h, w) -> (B, Q, T * h * w)."""
    return at_least_float32(maps).transpose(1, 2).flatten(2)


def _counted(truth: QueryTruth) -> Tensor:
    """(B, T * h * w) of 0 and 1."""
    return truth.pixels.flatten(1).float()
