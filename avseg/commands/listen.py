"""`avseg listen`: a model's scores under other sounds than the pictures' own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import arg

from avseg import engine
from avseg.commands.opening import ModelChoice
from avseg.commands.tables import print_table
from avseg.data.config import DataConfig
from avseg.data.scenarios import SCENARIOS, Scenario, SoundRules

_SCENARIOS = (
    f"What the model hears; by default all. {'; '.join(f'{name}: {what}' for name, what in SCENARIOS.items())}."
)


def listen(
    model: Annotated[ModelChoice, arg(name="")],
    data: DataConfig,
    split: Literal["train", "val", "test"] = "test",
    scenarios: Annotated[tuple[Scenario, ...], arg(metavar="SOUND", help=_SCENARIOS)] = tuple(SCENARIOS),
    rules: Annotated[SoundRules, arg(name="")] = SoundRules(),
    protocol: tuple[Literal["published", "repaired"], ...] = (),
    out: Path | None = None,
    batch_size: int = 1,
    workers: int = 2,
    device: str = "auto",
) -> int:
    """Test whether a model listens: score it on the same pictures under other sounds than their own.

    Args:
        model: What is tested.
        data: The data set: --data.name NAME --data.root DIR. With its name, --help shows its own options too.
        split: The part of the data set.
        scenarios: What the model hears.
        rules: How the sounds are made.
        protocol: Of the scores; where given, those of the suite avsbench_robust are printed too.
        out: Folder for listen.json, robust.json (which clip got which sound) and listen.svg.
        batch_size: Clips per batch.
        workers: Processes that read clips.
        device: Where the model runs: auto, cpu, cuda, cuda:1 or mps.
    """
    found = engine.listen_file(
        model.source,
        data,
        split=split,
        scenarios=scenarios,
        rules=rules,
        protocols=protocol,
        out=out,
        batch_size=batch_size,
        workers=workers,
        device=device,
    )
    if found.main:
        print_table(f"{data.name} {split}, {found.clips} clip{'s' * (found.clips != 1)}", found.rows())
        for line in found.remarks():
            print(line)
    return 0
