"""mIoU and F over classes, as in AVSBench-semantic (Zhou et al. 2024)."""

from __future__ import annotations

from avseg.metrics.suites import SuiteSpec

SPEC = SuiteSpec(
    name="avsbench_semantic",
    kinds=("semantic",),
    protocols={
        "published": "as the published code: padded frames count, and classes that occur nowhere count 0",
        "repaired": "every annotated frame counts once, over the classes that occur in the truth",
        "cavp": "as CAVP (Chen et al. 2024): annotated frames alone, classes that occur nowhere count 0",
    },
    make="avseg.metrics.semantic:class_metrics",
)
