"""J and F of the foreground under each scenario of sound, and how much of the picture is marked."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from avseg.metrics.base import Metric, Row, TableMetric
from avseg.metrics.object import ForegroundF, ForegroundIoU, foreground_parts
from avseg.metrics.suites.avsbench_object import SPEC
from avseg.types import Prediction, Target

DEFAULT = "repaired"
"""The protocol of J where none is asked for."""


class Marked(TableMetric):
    """The share of the pixels of annotated frames that is marked, whatever the truth."""

    suite = SPEC.name

    def update(self, prediction: Prediction, target: Target, index: int) -> None:
        shares = [
            float((dense.labels(frame) > 0).float().mean())
            for dense, _, _, frames in foreground_parts(prediction, target)
            for frame in frames
        ]
        self.clips.put(index, prediction.id, np.array(shares))

    def compute(self) -> dict[str, float]:
        shares = self.clips.joined()
        return {"marked": float(shares.mean()) if len(shares) else float("nan")}

    def rows(self) -> list[Row]:
        return [
            {"index": index, "id": name, "marked": float(shares.mean()) if len(shares) else float("nan")}
            for index, name, shares in self.clips
        ]


class ByScenario:
    """Scores of every scenario by itself, as `SCENARIO/SCORE`: those that a pass over it alone would give.

    Clip i of n under scenario s comes as number s * n + i (`avseg.data.heard.Scenarios`).
    """

    suite = SPEC.name

    def __init__(self, protocol: str, scenarios: Sequence[str], clips: int) -> None:
        """
        Args:
            protocol: Of the suite `avsbench_object`.
            scenarios: In their order.
            clips: n.
        """
        self.protocol, self.scenarios, self.clips = protocol, tuple(scenarios), clips
        self.metrics: list[list[Metric]] = [
            [ForegroundIoU(protocol, tracks=True), ForegroundF(protocol, tracks=True), Marked(protocol)]
            for _ in self.scenarios
        ]

    def update(self, prediction: Prediction, target: Target, index: int) -> None:
        scenario, place = divmod(index, self.clips)
        for metric in self.metrics[scenario]:
            metric.update(prediction, target, place)

    def merge(self, other: ByScenario) -> None:
        for mine, others in zip(self.metrics, other.metrics, strict=True):
            for metric, theirs in zip(mine, others, strict=True):
                metric.merge(theirs)

    def compute(self) -> dict[str, float]:
        return {
            f"{name}/{score}": value
            for name, metrics in zip(self.scenarios, self.metrics, strict=True)
            for metric in metrics
            for score, value in metric.compute().items()
        }

    def rows(self) -> list[Row]:
        found: list[Row] = []
        for number, metrics in enumerate(self.metrics):
            several = [{int(row["index"]): row for row in metric.rows()} for metric in metrics]
            for place in several[0]:
                row: Row = {}
                for of_one in several:
                    row |= of_one.get(place, {})
                found.append({**row, "index": number * self.clips + place})
        return found
