"""Metrics on plain tensors: masks and label maps of frames, tracks of videos. The arithmetic is that of the suites.

Every function takes one clip, or a list of clips in the order of their data set. `protocol` is one of the suite that
the docstring names, as in `avseg.metrics.SUITES`; formulas are in docs/reference/metrics.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

from avseg.io.rle import encode
from avseg.metrics.object import ForegroundF, ForegroundIoU
from avseg.metrics.semantic import SemanticScores, class_counts
from avseg.metrics.suites.aviseg import SPEC as TRACKS
from avseg.metrics.suites.avsbench_object import SPEC as OBJECT
from avseg.metrics.suites.avsbench_semantic import SPEC as SEMANTIC
from avseg.metrics.tracks.scores import TrackScores
from avseg.types import IGNORE, InstancePrediction, InstanceTarget, Task

HOTA = ("HOTA", "DetA", "AssA", "DetRe", "DetPr", "AssRe", "AssPr", "LocA")
FSLA = ("FSLA", "FSLAn", "FSLAs", "FSLAm")
MAP = ("mAP", "mAP_s", "mAP_m", "mAP_l", "AR")

Clips: TypeAlias = Tensor | Sequence[Tensor]
"""(T, H, W) of one clip, or a list of such tensors; arrays of numpy will do."""

Video: TypeAlias = Tensor | Sequence[Tensor]
"""The N tracks of a video: (N, T, H, W) bool, or a list of N tensors (T, H, W); empty frames are silent ones."""

Videos: TypeAlias = Video | Sequence[Video]
"""The tracks of one video, or of several."""

PerTrack: TypeAlias = Sequence[float] | Sequence[int] | Tensor | Sequence[Sequence[float]] | Sequence[Tensor]
"""A number for every track of a video, or such a list for every one of several videos."""


def j_score(pred: Clips, target: Clips, *, protocol: str = "published", group: int | None = None) -> float:
    """J, the mean IoU of foreground masks, from 0 to 1 (suite `avsbench_object`: published, repaired, cavp).

    Args:
        pred: Masks, one clip (T, H, W) or a list of them. Of bool or whole numbers everything but 0 is foreground, of
            probabilities (float) what is above 0.5.
        target: The same shapes, masks or labels; pixels labelled 255 do not count.
        protocol: What is averaged, and what J is where the target is empty.
        group: Clips whose mean is taken before the mean over groups, by default those of the protocol.

    Raises:
        ValueError: shapes that differ, no clip, or a protocol that the suite does not have.

    Examples:
        >>> import torch
        >>> pred = torch.tensor([[[1, 1, 0, 0]], [[0, 0, 0, 0]]])  # two frames of 1 x 4 pixels
        >>> target = torch.tensor([[[1, 0, 0, 0]], [[0, 0, 0, 0]]])
        >>> j_score(pred, target, protocol="repaired")  # 1/2, and 1 for silence that is seen as such
        0.75
    """
    metric = ForegroundIoU(OBJECT.checked(protocol), group)
    for index, (mask, labels) in enumerate(_clips(pred, target)):
        chosen = mask > 0.5 if mask.is_floating_point() else mask != 0
        metric.add(index, str(index), chosen, *_foreground(labels))
    return metric.compute()["J"]


def f_score(pred: Clips, target: Clips, *, protocol: str = "published", group: int | None = None) -> float:
    """F (beta^2 = 0.3), the maximum over 255 thresholds of the mean F curve, from 0 to 1 (suite `avsbench_object`).

    Frames whose target is empty are left out.

    Args:
        pred: Probabilities of the foreground in [0, 1], one clip (T, H, W) or a list of them.
        target: The same shapes, masks or labels; pixels labelled 255 do not count.
        protocol: published and cavp take a maximum in every group of clips, repaired one over all.
        group: Clips whose curves are averaged before the maximum is taken, by default those of the protocol.

    Raises:
        ValueError: shapes that differ, values outside [0, 1], no clip, or a protocol that the suite does not have.

    Examples:
        >>> import torch
        >>> pred = torch.tensor([[[0.9, 0.6, 0.2, 0.1]]])  # a frame of 1 x 4 pixels
        >>> f_score(pred, torch.tensor([[[1, 1, 0, 0]]]), protocol="repaired")
        1.0
        >>> round(f_score(pred, torch.tensor([[[1, 0, 1, 0]]]), protocol="repaired"), 3)  # best above 0.6
        0.812
    """
    metric = ForegroundF(OBJECT.checked(protocol), group)
    for index, (probabilities, labels) in enumerate(_clips(pred, target)):
        values = probabilities.float()
        if values.numel() and not (values.min() >= 0 and values.max() <= 1):
            raise ValueError(
                f"clip {index}: pred spans {values.min():g}..{values.max():g}, wanted probabilities from 0 to 1; put "
                "logits through a sigmoid first"
            )
        metric.add(index, str(index), values, *_foreground(labels))
    return metric.compute()["F"]


def miou(pred: Clips, target: Clips, num_classes: int, *, protocol: str = "published") -> float:
    """mIoU of label maps, from 0 to 1 (suite `avsbench_semantic`: published, repaired, cavp).

    The IoU of a class is its mean over the frames in which it is true or predicted; then comes the mean over classes.

    Args:
        pred: Class ids 0..num_classes-1, one clip (T, H, W) or a list of them.
        target: The same shapes; pixels labelled 255 are ignored (published: what is predicted there counts).
        num_classes: C, background included.
        protocol: The published one takes clips for parts of ten frames and pads shorter ones with perfect background.

    Raises:
        ValueError: shapes that differ, other class ids, no clip, or a protocol that the suite does not have.

    Examples:
        >>> import torch
        >>> pred = torch.tensor([[[0, 0, 1, 2]]])  # a frame of 1 x 4 pixels
        >>> target = torch.tensor([[[0, 0, 1, 1]]])
        >>> miou(pred, target, num_classes=3, protocol="repaired")  # of the classes 0 and 1, which occur in the target
        0.75
    """
    metric = SemanticScores(num_classes, SEMANTIC.checked(protocol))
    for index, (chosen, labels) in enumerate(_clips(pred, target)):
        ids = chosen.long()
        if ids.numel() and not (ids.min() >= 0 and ids.max() < num_classes):
            raise ValueError(f"clip {index}: pred spans {ids.min()}..{ids.max()}, wanted 0..{num_classes - 1}")
        counts = class_counts(ids, labels.long(), num_classes, count_ignored=metric.padded)
        metric.add(index, str(index), counts)
    return metric.compute()["mIoU"]


def hota(
    pred: Videos,
    target: Videos,
    *,
    pred_classes: PerTrack | None = None,
    target_classes: PerTrack | None = None,
    num_classes: int | None = None,
    protocol: str = "published",
) -> dict[str, float]:
    """HOTA and its parts, from 0 to 1: HOTA, DetA, AssA, DetRe, DetPr, AssRe, AssPr, LocA (suite `aviseg`).

    Args:
        pred: The predicted tracks of a video: bool (N, T, H, W), or a list of N tensors (T, H, W); or a list of such
            videos. A frame without a pixel is silent.
        target: The true ones, of the same frames and sizes.
        pred_classes: Class ids 1..K of the predicted tracks, by default all 1.
        target_classes: The same of the true ones.
        num_classes: K, over which aviseg_upstream takes means; by default the largest id.
        protocol: aviseg_upstream (published) or aviseg (repaired).

    Raises:
        ValueError: frames or sizes that differ, no video, or a protocol that the suite does not have.

    Examples:
        >>> import torch
        >>> track = torch.zeros(4, 6, 8, dtype=torch.bool)  # four frames of 6 x 8 pixels
        >>> track[:, :3, :4] = True
        >>> late = track.clone()
        >>> late[:2] = False  # half of the frames are missed
        >>> figures = hota([late], [track], protocol="aviseg")
        >>> figures["HOTA"], figures["DetA"], figures["DetPr"]
        (0.5, 0.5, 1.0)
    """
    return _track_figures(HOTA, pred, target, (None, pred_classes, target_classes), num_classes, protocol)


def fsla(
    pred: Videos,
    target: Videos,
    *,
    pred_classes: PerTrack | None = None,
    target_classes: PerTrack | None = None,
    num_classes: int | None = None,
    protocol: str = "published",
) -> dict[str, float]:
    """FSLA, the share of frames in which all that sounds is right, from 0 to 1 (suite `aviseg`).

    FSLAn, FSLAs and FSLAm are of the frames with no, one and several true tracks; the protocol aviseg leaves out those
    of which there is no frame.

    Args and errors are those of `hota`.

    Examples:
        >>> import torch
        >>> track = torch.zeros(4, 6, 8, dtype=torch.bool)
        >>> track[1:, :3, :4] = True  # silent in the first of four frames
        >>> late = track.clone()
        >>> late[1] = False
        >>> fsla([late], [track], protocol="aviseg")
        {'FSLA': 0.75, 'FSLAn': 1.0, 'FSLAs': 0.6666666666666666}
    """
    return _track_figures(FSLA, pred, target, (None, pred_classes, target_classes), num_classes, protocol)


def video_map(
    pred: Videos,
    target: Videos,
    scores: PerTrack,
    *,
    pred_classes: PerTrack | None = None,
    target_classes: PerTrack | None = None,
    num_classes: int | None = None,
    protocol: str = "published",
) -> dict[str, float]:
    """Average precision and recall of tracks, from 0 to 1: mAP, mAP_s, mAP_m, mAP_l, AR (suite `aviseg`).

    The protocol aviseg leaves out ranges of areas without a true track, where aviseg_upstream has -1.

    Args:
        pred: As in `hota`, which says of all other arguments and of errors as well.
        target: As in `hota`.
        scores: A number for every predicted track, the surest the greatest.

    Examples:
        >>> import torch
        >>> track = torch.zeros(4, 6, 8, dtype=torch.bool)
        >>> track[:, :3, :4] = True
        >>> other = track.flip(2)  # a false track
        >>> video_map([track, other], [track], scores=[0.9, 0.8], protocol="aviseg")
        {'mAP': 1.0, 'mAP_s': 1.0, 'AR': 1.0}
        >>> video_map([track, other], [track], scores=[0.8, 0.9], protocol="aviseg")["mAP"]
        0.5
    """
    return _track_figures(MAP, pred, target, (scores, pred_classes, target_classes), num_classes, protocol)


def _clips(pred: Clips, target: Clips) -> list[tuple[Tensor, Tensor]]:
    """Pairs of (T, H, W) on the CPU."""
    pairs = []
    for index, (ours, theirs) in enumerate(_paired(pred, target, single=_dimensions(pred) == 3)):
        chosen, labels = torch.as_tensor(ours).cpu(), torch.as_tensor(theirs).cpu()
        if chosen.ndim != 3 or chosen.shape != labels.shape:
            raise ValueError(
                f"clip {index}: pred has shape {tuple(chosen.shape)} and target of {tuple(labels.shape)}, wanted one "
                "shape (T, H, W) for both"
            )
        pairs.append((chosen, labels))
    return pairs


def _paired(pred: Any, target: Any, single: bool) -> list[tuple[Any, Any]]:
    """One pair, or those of two lists that are as long."""
    if single:
        return [(pred, target)]
    if len(pred) != len(target):
        raise ValueError(f"pred has {len(pred)} clips and target {len(target)}; give as many of both")
    return list(zip(pred, target, strict=True))


def _foreground(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Which pixels are foreground, and which count: two of (T, H, W) bool."""
    valid = labels != IGNORE
    return (labels != 0) & valid, valid


def _track_figures(
    names: Sequence[str],
    pred: Videos,
    target: Videos,
    of_tracks: Sequence[Any],
    num_classes: int | None,
    protocol: str,
) -> dict[str, float]:
    """The figures of those names over all videos; `of_tracks`: scores, predicted and true classes."""
    single = _is_video(pred) and _is_video(target)
    pairs = []
    for index, (ours, theirs) in enumerate(_paired(pred, target, single)):
        values = [given if single or given is None else given[index] for given in of_tracks]
        pairs.append(_video_pair(index, ours, theirs, *values))
    highest = [pair.classes.max() for both in pairs for pair in both if len(pair.classes)]
    count = num_classes or max(map(int, highest), default=1)
    task = Task("instance", tuple(map(str, range(1, count + 1))))
    metric = TrackScores(task, TRACKS.checked(protocol), silent="empty")
    for index, (prediction, truth) in enumerate(pairs):
        metric.update(prediction, truth, index)
    figures = metric.compute()
    return {name: figures[name] for name in names if name in figures}


def _dimensions(value: Any) -> int:
    """Return the number of dimensions of a tensor or array; 0 for a list."""
    return int(getattr(value, "ndim", 0))


def _is_video(tracks: Any) -> bool:
    """Whether these are the tracks of one video: (N, T, H, W), or a list of (T, H, W)."""
    return _dimensions(tracks) == 4 or all(_dimensions(track) == 3 for track in tracks)


def _video_pair(
    index: int, pred: Any, target: Any, scores: Any, pred_classes: Any, target_classes: Any
) -> tuple[InstancePrediction, InstanceTarget]:
    """A video as the suite has it; its name keeps the order of the list."""
    predicted, true = (_stacked(index, name, tracks) for name, tracks in (("pred", pred), ("target", target)))
    shapes = {tuple(masks.shape[1:]) for masks in (predicted, true) if masks.ndim == 4}
    if len(shapes) != 1:
        listed = " and ".join(map(str, sorted(shapes))) or "none: give a tensor (0, T, H, W) where there is no track"
        raise ValueError(f"video {index}: the tracks have the shapes {listed}; wanted one shape (T, H, W) for all")
    frames, height, width = shapes.pop()
    predicted, true = (masks.reshape(-1, frames, height, width) for masks in (predicted, true))
    masks = [[encode(mask) if bool(mask.any()) else None for mask in track] for track in predicted]
    prediction = InstancePrediction(
        f"video {index:06d}",
        masks,
        _values(index, "scores", scores, len(predicted), torch.float32),
        _values(index, "pred_classes", pred_classes, len(predicted), torch.int64),
        torch.arange(1, len(predicted) + 1),
        (height, width),
    )
    classes = _values(index, "target_classes", target_classes, len(true), torch.int64)
    ids, annotated = torch.arange(1, len(true) + 1), torch.ones(frames, dtype=torch.bool)
    return prediction, InstanceTarget(true, classes, ids, annotated)


def _stacked(index: int, name: str, tracks: Any) -> Tensor:
    """(N, T, H, W) bool on the CPU; of one dimension where there is no track to tell the shape."""
    if not len(tracks) and _dimensions(tracks) != 4:
        return torch.zeros(0, dtype=torch.bool)
    parts = [torch.as_tensor(track).cpu() != 0 for track in tracks]
    if len({tuple(part.shape) for part in parts}) > 1 or any(part.ndim != 3 for part in parts):
        listed = ", ".join(sorted({str(tuple(part.shape)) for part in parts}))
        raise ValueError(f"video {index}: the tracks of {name} have the shapes {listed}; wanted one (T, H, W) for all")
    return torch.stack(parts) if parts else torch.as_tensor(tracks).cpu() != 0


def _values(index: int, name: str, given: Any, count: int, dtype: torch.dtype) -> Tensor:
    """(N,) of a number for every track, by default 1."""
    values = torch.ones(count, dtype=dtype) if given is None else torch.as_tensor(given).cpu().to(dtype)
    if tuple(values.shape) != (count,):
        raise ValueError(f"video {index}: {name} has shape {tuple(values.shape)}, wanted ({count},), one a track")
    return values
