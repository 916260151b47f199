"""FSLA, HOTA and mAP of tracks, as in AVISeg (Guo et al. 2025)."""

from __future__ import annotations

from avseg.metrics.suites import SuiteSpec

SPEC = SuiteSpec(
    name="aviseg",
    kinds=("instance",),
    protocols={
        "aviseg_upstream": "as the code of AVISM, its slips included",
        "aviseg": "empty masks are no masks, pairs are looked up rightly, classes that occur nowhere do not count",
    },
    make="avseg.metrics.tracks.scores:track_metrics",
    aliases={"published": "aviseg_upstream", "repaired": "aviseg"},
)
