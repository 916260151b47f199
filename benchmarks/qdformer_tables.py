"""The figures of `benchmarks/qdformer_works.py` as tables for docs/results/experiments.md: mean ± deviation over
seeds."""

from __future__ import annotations

from typing import Any

from experiment import spread, table

Runs = dict[str, dict[str, dict[str, Any]]]
"""By variant and seed, the figures of a run."""


def tables(runs: Runs) -> str:
    """All tables whose figures there are, in Markdown."""
    made = [codebook(runs), mixtures(runs), purity(runs), noise(runs), changes(runs)]
    return "\n\n".join(table for table in made if table) + "\n"


def codebook(runs: Runs) -> str:
    """How many codes are used, and how evenly."""
    columns = ["", "tokens of", "perplexity", "of the codebook", "most frequent code", "codes used"]
    columns += ["different ones of a set", "of their clip's"]
    rows = []
    for variant, found in _having(runs, "codes").items():
        for whose in ("clips", "frames"):
            if whose in found[0]:
                shares = [
                    spread([f[whose][n] for f in found], 2) for n in ("perplexity", "of_the_codebook", "largest_share")
                ]
                own = spread([f["frame_codes_of_their_clip"] for f in found], 2) if whose == "frames" else ""
                counts = (spread([f[whose][n] for f in found], d) for n, d in (("used", 0), ("different", 2)))
                rows.append([variant, whose, *shares, *counts, own])
    return table(columns, rows)


def mixtures(runs: Runs) -> str:
    """Whether mixtures have the codes of their sources; the largest p of all seeds."""
    rows = []
    for variant, found in _having(runs, "mixtures").items():
        for name in found[0]:
            share, chance = (spread([f[name][n] for f in found], 3) for n in ("share", "chance"))
            rows.append(
                [variant, name.replace("_", " "), share, chance, f"{max(f[name]['p_value'] for f in found):.4f}"]
            )
    return table(["", "share of", "own", "by chance", "largest p"], rows)


def purity(runs: Runs) -> str:
    """What codes tell of classes."""
    names = ("information", "shuffled", "random_codebook")
    rows = [
        [variant, *(spread([f[name] for f in found], 3) for name in names)]
        for variant, found in _having(runs, "purity").items()
    ]
    return table(["", "class and code", "codes shuffled", "random codebook"], rows)


def noise(runs: Runs) -> str:
    """J and mIoU at every level, and what is lost from the clean sound to 0 dB."""
    rows, levels = [], list[str]()
    for variant, found in _having(runs, "noise").items():
        levels = list(found[0])
        for figure in ("J", "mIoU"):
            scores = [spread([f[level][figure] for f in found], 3) for level in levels]
            lost = spread([f["clean"][figure] - f["0 dB"][figure] for f in found], 3)
            rows.append([variant, figure, *scores, lost])
    return table(["", "", *levels, "lost at 0 dB"], rows)


def changes(runs: Runs) -> str:
    """Scores where sources change and where they do not."""
    rows = []
    for variant, found in _having(runs, "local").items():
        scores = [
            spread([f[clips][figure] for f in found], 3)
            for clips in ("sources_change", "sources_stay")
            for figure in ("J", "mIoU")
        ]
        rows.append([variant, *scores, spread([f["class_scores_follow"] for f in found], 3)])
    return table(["", "J, they change", "mIoU", "J, they do not", "mIoU", "follow"], rows)


def _having(runs: Runs, name: str) -> dict[str, list[dict[str, Any]]]:
    """By variant the figures of that name of all seeds."""
    found = {variant: [run[name] for run in seeds.values() if name in run] for variant, seeds in runs.items()}
    return {variant: figures for variant, figures in found.items() if figures}
