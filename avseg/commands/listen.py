"""`avseg listen`: score a model under sounds other than the clips' own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import arg

from avseg import engine
from avseg.commands.opening import ModelChoice
from avseg.commands.tables import print_table
from avseg.data.config import DataConfig
from avseg.data.scenarios import SCENARIOS, Scenario, SoundRules

_LIST = "; ".join(f"{name}: {what}" for name, what in SCENARIOS.items())
_SCENARIOS = f"Sounds to score the model under. The default is all of them. {_LIST}."


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
    """Test whether a model uses the sound: score it on the same pictures under different sounds.

    Args:
        model: The model to test.
        data: The data set: --data.name NAME --data.root DIR. Add --data.name NAME before --help to see its own options.
        split: Split of the data set.
        scenarios: Sounds to score the model under.
        rules: Rules for making the sounds.
        protocol: Protocol of the scores; if given, the scores of the suite avsbench_robust are printed too.
        out: Folder for listen.json, robust.json (the sound that each clip got) and listen.svg.
        batch_size: Clips per batch.
        workers: Number of processes that read clips.
        device: Device to run the model on: auto, cpu, cuda, cuda:1 or mps.
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
