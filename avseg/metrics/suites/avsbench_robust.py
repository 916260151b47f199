"""Whether a model listens: AVSBench-Robust's scenarios of wrong sound (Li et al. 2025, arXiv 2502.00358)."""

from __future__ import annotations

from avseg.metrics.suites import SuiteSpec

SPEC = SuiteSpec(
    name="avsbench_robust",
    kinds=("binary", "semantic"),
    protocols={
        "published": "means over groups of clips, negatives judged by the masks of the clip's own sound",
        "repaired": "every frame with a mask counts once; leak, false positives and how many masks vanish",
    },
    make="avseg.metrics.robust:robust_metrics",
    clips_per_group={"published": 1},
    foreground_only=True,
    by_scenario=True,
)
