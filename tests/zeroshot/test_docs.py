"""The tables of docs/how-to/zeroshot.md are those of the code."""

from __future__ import annotations

from pathlib import Path

from avseg.models.zeroshot.catalogue import STAGES
from avseg.models.zeroshot.config import ZeroShotConfig

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "zeroshot.md").read_text(encoding="utf-8")


def test_every_part_stands_in_the_table_with_its_licence_and_size() -> None:
    rows = []
    for stage, registry in STAGES.items():
        for kind in registry:
            if kind == "stub":
                continue
            for one in registry[kind].checkpoints:
                rows.append(
                    f"| {stage} | `{kind}` | `{one.id}` | {one.licence} | {one.parameters} M | {one.megabytes} MB |"
                )
    assert len(rows) == 15
    for row in rows:
        assert row in PAGE


def test_defaults_are_those_of_the_config() -> None:
    config = ZeroShotConfig()
    gate, find, follow = config.gate, config.find, config.follow
    assert (gate.on, gate.off, gate.silence, gate.most, gate.generic_only_alone) == (0.35, 0.15, -60, 8, True)
    assert (find.box, find.side, find.confirm, find.same, find.other, find.objects) == (0.3, 800, 0.5, 0.7, 0.9, 8)
    assert (find.look, find.look_again) == ((0, 1, 2, 5), 5) and (follow.back, follow.lost, follow.keep) == (5, 3, 10)
    for name in ("silence", "most", "generic_only_alone", "gap", "shortest", "pad"):
        assert f"`gate.{name}`" in PAGE and hasattr(gate, name)
    for name in ("box", "side", "confirm", "same", "other", "look", "look_again", "objects"):
        assert f"`find.{name}`" in PAGE and hasattr(find, name)
