"""Metrics under sound that does not belong to the picture, as in AVSBench-Robust (arXiv 2502.00358)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from avseg.data.scenarios import SCENARIOS
from avseg.metrics.base import Array, ClipTable, Metric, Row
from avseg.metrics.object import f_curve, foreground_parts, mask_iou, stacked
from avseg.metrics.suites.avsbench_robust import SPEC
from avseg.types import DensePrediction, Prediction, Target, Task

OWN = "own"
NEGATIVES = ("silence", "noise", "offscreen")
"""Scenarios whose sound belongs to nothing in the picture."""
JUDGED = (OWN, *NEGATIVES)
"""The scenarios that have scores here; clips of others (`SCENARIOS`) are passed by."""
NEGATIVES_TOGETHER = 2
"""Clips of a published group of negatives on S4; own sound is judged clip by clip."""
LEAST_PIXELS = 10
"""Smallest mask under the clip's own sound; frames with smaller masks are not used."""
VANISHED = 0.1
"""A mask has vanished below this share of its area under own sound."""


def robust_metrics(
    task: Task, protocol: str, *, group: int | None = None, of_negatives: int | None = None
) -> list[Metric]:
    """The scores of all scenarios of one pass, whose clips are called `ID@SCENARIO`.

    Args:
        task: Of the data set; only the foreground counts.
        protocol: `published` or `repaired`.
        group: Clips of a group under own sound (published; by default 1, as with PVT; 2 with ResNet-50).
        of_negatives: Clips of a group under other sound (published; by default 2, as on S4; 1 on MS3).
    """
    own = group or SPEC.clips_per_group["published"]
    return [RobustScores(protocol, own, of_negatives or NEGATIVES_TOGETHER)]


def global_figure(own: float, negative: float) -> float:
    """The harmonic mean of a figure under own sound and what it leaves of 1 under negative sound."""
    return 2 * own * (1 - negative) / (own + 1 - negative) if own + 1 - negative else 0.0


class RobustScores:
    """IoU, F and marked share under each scenario, and the global figures.

    The truth of a negative clip is the mask of its own sound, so its IoU is overlap with what should not be marked.
    Published: means over groups of clips within a scenario, in the data set's order; `FPR` is the share of all pixels
    that is marked, whatever the truth. `G_mIoU = 2 P (1 - N) / (P + 1 - N)`, N the mean over the negatives that were
    run, P under own sound; `G_mIoU_deaf` is what a model gets that pays no attention to sound. The published formula of
    the global figures could not be read; this one gives the figures that others print again.
    Repaired: means over frames whose truth is not empty; `leak` is N; `flip` is the share of frames whose mask shrinks
    below a tenth under negative sound.
    """

    suite = SPEC.name

    def __init__(self, protocol: str, group: int, of_negatives: int) -> None:
        self.protocol = protocol
        self.group = {name: group if name == OWN else of_negatives for name in JUDGED}
        self.frames, self.curves = ClipTable(), ClipTable()

    def update(self, prediction: Prediction, target: Target, index: int) -> None:
        """Take in one clip, dense or of tracks, whose union counts; its id ends in `@` and a scenario.

        Raises:
            ValueError: an id that names no scenario.
        """
        if scenario_of(prediction.id) not in JUDGED:
            return
        parts = [self._values(*part) for part in foreground_parts(prediction, target)]
        self.frames.put(index, prediction.id, np.concatenate([values for values, _ in parts]))
        if self.protocol == "published":
            self.curves.put(index, prediction.id, np.sum([curves for _, curves in parts], 0)[None])

    def _values(
        self, dense: DensePrediction, truth: Tensor, judged: Tensor, frames: Sequence[int]
    ) -> tuple[Array, Array]:
        """Return for M frames (M, 4) IoU, whether there is truth, share and number of pixels marked; and the sum of
        curves.
        """
        predicted = stacked([dense.labels(t) > 0 for t in frames], truth)
        iou = mask_iou(predicted, truth, judged, self.protocol)
        pixels = truth[0].numel() if len(truth) else 0
        area = predicted.flatten(1).sum(1).double().numpy()
        wanted = (truth & judged).flatten(1).any(1)
        values = np.stack([iou, wanted.double().numpy(), area / (pixels + 1e-7), area], 1)
        if self.protocol != "published":
            return values, np.zeros(0)
        probabilities = stacked([dense.foreground(t) for t in frames], truth)
        curves = f_curve(probabilities[wanted], truth[wanted], judged[wanted])
        return values, np.concatenate([[len(curves)], curves.sum(0)])

    def merge(self, other: RobustScores) -> None:
        self.frames.merge(other.frames)
        self.curves.merge(other.curves)

    def compute(self) -> dict[str, float]:
        self.frames.joined()  # refuses no clips at all
        if self.protocol == "published":
            return self._published()
        return self._repaired()

    def rows(self) -> list[Row]:
        return [
            {
                "index": index,
                "id": clip_id,
                "scenario": scenario_of(clip_id),
                "mIoU": _mean(v[:, 0]),
                "FPR": _mean(v[:, 2]),
            }
            for index, clip_id, v in self.frames
        ]

    def _published(self) -> dict[str, float]:
        figures: dict[str, dict[str, float]] = {}
        for scenario, size in self.group.items():
            groups = [np.concatenate(part) for part in _parts(self.frames, scenario, size)]
            curves = [np.concatenate(part) for part in _parts(self.curves, scenario, size)]
            if groups:
                figures[scenario] = {
                    "mIoU": _mean([g[:, 0].mean() for g in groups if len(g)]),
                    "F": _mean([_best(c) for c, g in zip(curves, groups, strict=True) if len(g)]),
                    "FPR": _mean([g[:, 2].mean() for g in groups if len(g)]),
                }
        negative = [figures[name] for name in NEGATIVES if name in figures]
        found: dict[str, float] = {}
        if OWN in figures:
            found |= {"mIoU": figures[OWN]["mIoU"], "F": figures[OWN]["F"]}
        if negative:
            found |= {f"{name}_negative": _mean([n[name] for n in negative]) for name in ("mIoU", "F")}
            found["FPR"] = _mean([n["FPR"] for n in negative])
        found |= {f"{key}_{name}": v for name in NEGATIVES if name in figures for key, v in figures[name].items()}
        if OWN in figures and negative:
            of_all = {f"G_{key}": global_figure(found[key], found[f"{key}_negative"]) for key in ("mIoU", "F")}
            found = {**of_all, **found, "G_mIoU_deaf": global_figure(found["mIoU"], found["mIoU"])}
        return found

    def _repaired(self) -> dict[str, float]:
        clips = {name: _clips(self.frames, name) for name in JUDGED}
        iou = {name: _frames(found, 0) for name, found in clips.items() if found}
        present = [name for name in NEGATIVES if name in iou]
        each: dict[str, float] = {}
        for name in present:
            marked = np.concatenate([values[:, 2] for values in clips[name].values()])
            each |= {f"leak_{name}": _mean(iou[name]), f"FPR_{name}": _mean(marked)}
            each[f"flip_{name}"] = _flip(clips[OWN], clips[name])
        found: dict[str, float] = {}
        if OWN in iou:
            found["mIoU"] = _mean(iou[OWN])
        if present:
            found |= {key: _mean([each[f"{key}_{name}"] for name in present]) for key in ("leak", "FPR", "flip")}
        if OWN in iou and present:
            found = {"G_mIoU": global_figure(found["mIoU"], found["leak"]), **found}
            each["G_mIoU_deaf"] = global_figure(found["mIoU"], found["mIoU"])
        return {**found, **each}


def scenario_of(clip_id: str) -> str:
    """The scenario that the id of a clip names.

    Raises:
        ValueError: none of `SCENARIOS`.
    """
    scenario = clip_id.rpartition("@")[2] if "@" in clip_id else ""
    if scenario not in SCENARIOS:
        raise ValueError(
            f"the clip {clip_id!r} names no scenario; the suite {SPEC.name} judges clips called ID@SCENARIO, one of "
            f"{', '.join(SCENARIOS)}: `avseg listen` makes them"
        )
    return scenario


def _clips(table: ClipTable, scenario: str) -> dict[str, Array]:
    """Values of each clip of a scenario by its id without that, in the data set's order."""
    return {name.rpartition("@")[0]: v for _, name, v in table if scenario_of(name) == scenario}


def _parts(table: ClipTable, scenario: str, size: int) -> list[list[Array]]:
    """The clips of a scenario in groups of `size`."""
    values = list(_clips(table, scenario).values())
    return [values[begin : begin + size] for begin in range(0, len(values), size)]


def _frames(clips: dict[str, Array], column: int) -> Array:
    """A column of all frames whose truth is not empty."""
    values = np.concatenate(list(clips.values()))
    found: Array = values[values[:, 1] > 0, column]
    return found


def _flip(own: dict[str, Array], other: dict[str, Array]) -> float:
    """Share of the frames with a mask under own sound whose mask has vanished under another."""
    pairs = [(own[name][:, 3], values[:, 3]) for name, values in other.items() if name in own]
    marked = [(a[a >= LEAST_PIXELS], b[a >= LEAST_PIXELS]) for a, b in pairs]
    vanished = [b < VANISHED * a for a, b in marked]
    return _mean(np.concatenate(vanished)) if vanished else float("nan")


def _best(values: Array) -> float:
    """Maximum of the mean curve of (n, 1 + 255) rows; 0 where no frame has a curve."""
    return float((values[:, 1:].sum(0) / max(values[:, 0].sum(), 1)).max())


def _mean(values: list[float] | Array) -> float:
    return float(np.mean(values)) if len(values) else float("nan")
