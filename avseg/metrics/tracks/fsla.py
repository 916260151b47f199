"""Frame-level sound localisation accuracy (Guo et al. 2025): frames in which everything that sounds is right."""

from __future__ import annotations

import numpy as np

from avseg.metrics.base import Array
from avseg.metrics.tracks.hota import alignment
from avseg.metrics.tracks.table import ALPHAS, Flags, Ids, VideoTable

GROUPS = {"n": "none", "s": "a single one", "m": "several"}
"""Frames by the number of true instances in them."""

BLANK_PIXELS = 921_600
"""The one size of frame at which the published code knows an empty mask when it sees one: that of 720 x 1280."""


def fsla_counts(table: VideoTable, protocol: str) -> Array:
    """Frames of each group, and those that are right at every alpha: (3, 1 + 19), rows as in `GROUPS`."""
    sounding = table.truth_there.sum(0)  # (T,)
    right = right_frames(table) if protocol == "aviseg" else published_right_frames(table)  # (T, 19)
    rows = [sounding == 0, sounding == 1, sounding > 1]
    return np.stack([np.concatenate([[row.sum()], right[row].sum(0)]) for row in rows])


def fsla_figures(counts: Array) -> dict[str, float]:
    """FSLA of all frames and of each group, means over alphas; NaN for a group without frames.

    Args:
        counts: (3, 1 + 19) sums over videos.
    """
    figures = {"FSLA": counts.sum(0)} | {f"FSLA{name}": row for name, row in zip(GROUPS, counts, strict=True)}
    return {name: float(row[1:].mean() / row[0]) if row[0] else float("nan") for name, row in figures.items()}


def right_frames(table: VideoTable) -> Flags:
    """(T, 19) frames with as many predicted as true instances, each true one matched by the predicted track that fits
    it best over the video, in its class, with an IoU above alpha. The sets of classes are then equal as well.
    """
    rows, columns = paired_tracks(table)
    fits = np.zeros((len(ALPHAS), *table.truth_there.shape), dtype=bool)  # (19, G, T)
    alike, overlap = table.truth_classes[rows] == table.classes[columns], table.iou[:, rows, columns].T
    fits[:, rows] = alike[:, None] & (overlap > ALPHAS[:, None, None])
    as_many = table.truth_there.sum(0) == table.there.sum(0)
    right: Flags = ((fits | ~table.truth_there).all(1) & as_many).T
    return right


def paired_tracks(table: VideoTable, true: Ids | None = None) -> tuple[Ids, Ids]:
    """True and predicted tracks that fit best over the whole video, one to one, whatever their class.

    `true`: Places of the true tracks that take part, by default all; the rows given back are places in this list.
    """
    from scipy.optimize import linear_sum_assignment

    true = np.arange(len(table.truth_ids)) if true is None else true
    rows, columns = linear_sum_assignment(alignment(table.iou[:, true], table.truth_there[true], table.there), True)
    return rows, columns


def published_right_frames(table: VideoTable) -> Flags:
    """(T, 19) the same as the published code has it.

    - The classes of the frame are compared with those of all tracks that have a mask there, be it an empty one.
    - A mask counts as empty only where the frame has 921,600 pixels.
    - The one instance of a frame is looked up by the inverse of the pairing: the prediction that is compared with true
      track g is that of number i, i being the place in the pairing of the true track that was given prediction g.
    - Where there are several, all pairs of the video must be right, empty beside silent included.
    - Rows of the pairing are true tracks by their ids, without those that are never there, but are looked up as if they
      were all of them in the order of the file.
    """
    by_id = np.argsort(table.truth_ids, kind="stable")
    rows, columns = paired_tracks(table, by_id[table.truth_there[by_id].any(1)])
    solid = table.there & ~((table.areas == 0) & (table.pixels == BLANK_PIXELS))
    sounding = table.truth_there.sum(0)
    fair = _same_classes(table) & (sounding == solid.sum(0))  # (T,)
    right = np.zeros((len(fair), len(ALPHAS)), dtype=bool)
    right[fair & (sounding == 0)] = True
    place_of = {int(column): place for place, column in enumerate(columns)}
    for t in (fair & (sounding == 1)).nonzero()[0]:
        true = int(table.truth_there[:, t].argmax())
        if true in place_of:
            right[t] = table.iou[t, true, place_of[true]] > ALPHAS
    several = (fair & (sounding > 1)).nonzero()[0]
    alike = bool((table.truth_classes[rows] == table.classes[columns]).all())
    both_silent = ~table.truth_there[rows][:, several] & ~solid[columns][:, several]  # (R, M)
    matched = table.iou[several][:, rows, columns] > ALPHAS[:, None, None]  # (19, M, R)
    right[several] = alike & (matched | both_silent.T).all(2).T
    return right


def _same_classes(table: VideoTable) -> Flags:
    """(T,) frames whose true instances are of the same set of classes as the predicted tracks that are there."""
    every = np.union1d(table.truth_classes, table.classes)
    true, predicted = (
        ((classes == every[:, None])[:, :, None] & there).any(1)  # (C, N, T) -> (C, T)
        for classes, there in ((table.truth_classes, table.truth_there), (table.classes, table.there))
    )
    same: Flags = (true == predicted).all(0)
    return same
