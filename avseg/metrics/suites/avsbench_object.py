"""J and F of the foreground, as in AVSBench-object (Zhou et al. 2022)."""

from __future__ import annotations

from avseg.metrics.suites import SuiteSpec

SPEC = SuiteSpec(
    name="avsbench_object",
    kinds=("binary", "semantic"),
    protocols={
        "published": "as the published code: means over groups of four clips, F the mean of their maxima",
        "repaired": "every annotated frame counts once; one maximum of F over the whole data set",
        "cavp": "as CAVP (Chen et al. 2024): one maximum of F per video",
        "catr": "as CATR (Li et al. 2023): as cavp, under its own name",
        "avsegformer_512": "as AVSegFormer (Gao et al. 2024): groups of two clips, at 512 x 512",
        "avsegformer_224": "the same at 224 x 224",
    },
    make="avseg.metrics.object:foreground_metrics",
    clips_per_group={"published": 4, "cavp": 1, "catr": 1, "avsegformer_512": 2, "avsegformer_224": 2},
    sizes={"avsegformer_512": (512, 512), "avsegformer_224": (224, 224)},
    foreground_only=True,
)
