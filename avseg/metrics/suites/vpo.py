"""mIoU, F, FDR, F1 and accuracy of all pixels of a data set, as CAVP has them on VPO (Chen et al. 2024)."""

from __future__ import annotations

from avseg.metrics.suites import SuiteSpec

SPEC = SuiteSpec(
    name="vpo",
    kinds=("binary", "semantic"),
    protocols={
        "published": "as the published code: classes that occur nowhere count 0 in mIoU",
        "repaired": "over the classes that are true or predicted somewhere",
    },
    make="avseg.metrics.dataset:dataset_metrics",
)
