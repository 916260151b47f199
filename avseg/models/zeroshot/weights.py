"""The open weights that zero-shot models take: that nothing is fetched unasked, and what is there. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

from avseg.models.spec import Ask
from avseg.models.zeroshot.catalogue import STAGES, AnySpec, Checkpoint
from avseg.models.zeroshot.config import Part, ZeroShotConfig
from avseg.models.zeroshot.hub.cache import fetch, located, offline

EXTRA = "zeroshot"


def ready(config: ZeroShotConfig, ask: Ask, source: str) -> ZeroShotConfig:
    """See `avseg.models.spec.Opening`.

    Raises:
        ImportError: a part needs a package that is not installed.
        FileNotFoundError: weights that are not there and that nobody wants fetched, or that the Hub does not give.
        ValueError: a folder or file that does not hold the weights which the model was made with.
    """
    parts = {stage: (part, STAGES[stage].find(part.kind)) for stage, part in config.parts.items()}
    for stage, (part, spec) in parts.items():
        if spec.needs and find_spec(spec.needs) is None:
            raise ImportError(
                f'the {stage} {part.kind} needs {spec.needs}, which is not installed; run: pip install "avseg[{EXTRA}]"'
            )
    found: dict[str, Any] = {stage: located(part) for stage, (part, _) in parts.items()}
    missing = {stage: parts[stage] for stage, part in found.items() if part is None}
    if missing:
        _agreed(missing, ask, source)
        found |= {stage: fetch(part) for stage, (part, _) in missing.items()}
    return replace(config, **found)


def _agreed(missing: Mapping[str, tuple[Part, AnySpec]], ask: Ask, source: str) -> None:
    """
    Raises:
        FileNotFoundError: nobody agrees to the download, or there is no way to the Hub.
    """
    known = {part.checkpoint: checkpoint_of(part, spec) for part, spec in missing.values()}
    sizes = [checkpoint.megabytes for checkpoint in known.values() if checkpoint]
    total = _megabytes(sum(sizes)) + (" and what is not known" if len(sizes) < len(known) else "")
    command = f"avseg weights fetch {source}"
    short = ", ".join(f"{name} ({_facts(checkpoint)})" for name, checkpoint in known.items())
    absent = f"open weights are not in the Hub's cache, or not whole: {short}"
    if offline():
        raise FileNotFoundError(
            f"{absent}; HF_HUB_OFFLINE forbids to fetch them: run `HF_HUB_OFFLINE=0 {command}` once"
        )
    rows = [(stage, part.checkpoint, _facts(known[part.checkpoint])) for stage, (part, _) in missing.items()]
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    lines = [f"  {stage:<{widths[0]}}  {name:<{widths[1]}}  {facts}" for stage, name, facts in rows]
    answer = ask("\n".join([f"{source} needs open weights that are not in the Hub's cache ({total}):", *lines]))
    if answer is None:
        raise FileNotFoundError(f"{absent}; `{command}` fetches them ({total})")
    if not answer:
        raise FileNotFoundError(f"nothing was fetched; `{command}` does it later")


def checkpoint_of(part: Part, spec: AnySpec) -> Checkpoint | None:
    """Return the catalogue entry of a part's weights; None if there is none."""
    return next((checkpoint for checkpoint in spec.checkpoints if checkpoint.id == part.checkpoint), None)


def _facts(checkpoint: Checkpoint | None) -> str:
    if checkpoint is None:
        return "licence and size: read its card"
    return f"{_megabytes(checkpoint.megabytes)}, licence: {checkpoint.licence}"


def _megabytes(count: int) -> str:
    return f"{count} MB" if count < 1000 else f"{count / 1000:.1f} GB"


def holds() -> list[dict[str, str]]:
    """See `avseg.models.spec.Opening`: all weights of the catalogue, in the order of stages."""
    return [
        {
            "part": f"{stage}={kind}",
            "weights": checkpoint.id,
            "licence": checkpoint.licence,
            "size": _megabytes(checkpoint.megabytes),
            "in the cache": _commit(Part(kind, checkpoint.id)),
        }
        for stage, registry in STAGES.items()
        for kind, spec in registry.items()
        for checkpoint in spec.checkpoints
    ]


def _commit(part: Part) -> str:
    found = None
    with suppress(OSError, ValueError):  # of a path that happens to be called so
        found = located(part)
    return found.revision[:12] if found else "no"
