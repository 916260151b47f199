"""Two settings of zero-shot models, and the exchange of their parts. Imports no torch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from avseg.config import Temporal, did_you_mean
from avseg.models.spec import Preset
from avseg.models.zeroshot.catalogue import FOLLOWERS, STAGES, FinderSpec, TaggerSpec
from avseg.models.zeroshot.config import Part, ZeroShotConfig, hearing
from avseg.models.zeroshot.names import table_nouns

_SLOW, _OFTEN = (Temporal("clip", None, spacing=spacing) for spacing in (1.0, 0.2))


def gpu(**changes: Any) -> ZeroShotConfig:
    """AST, GroundingDINO at 800 pixels and SAM 2.1, five pictures a second; ours."""
    return replace(ZeroShotConfig(temporal=_OFTEN), **changes)


def cpu(**changes: Any) -> ZeroShotConfig:
    """CLAP, GroundingDINO at 448 pixels and EdgeTAM, one picture a second; ours."""
    own = ZeroShotConfig(temporal=_SLOW)
    own = with_parts(replace(own, find=replace(own.find, side=448)), "tagger=clap,follower=edgetam")
    return replace(own, **changes)


PRESETS = {"gpu": Preset(gpu, "instance", table_nouns), "cpu": Preset(cpu, "instance", table_nouns)}


def with_parts(config: ZeroShotConfig, text: str) -> ZeroShotConfig:
    """Other parts: STAGE=KIND or STAGE=KIND:WEIGHTS, with commas between them.

    WEIGHTS is a Hub id, a folder or a file, and the kind's usual one where it is left out. Thresholds and the window of
    sound become those that the kind usually has.

    Raises:
        ValueError: a stage or a kind that there is not, with the nearest one; a stage named twice; weights that a kind
            cannot do without; or a finder beside a follower that finds objects itself.
    """
    given: dict[str, Part] = {}
    for word in text.strip().removesuffix(",").split(","):
        stage, equals, rest = (side.strip() for side in word.partition("="))
        if stage not in STAGES:
            raise ValueError(
                f"{stage!r} is not a part of a zero-shot model; {did_you_mean(stage, STAGES)} (tagger=clap)"
            )
        if not equals or not rest or stage in given:
            raise ValueError(f"wanted one kind of {stage}, such as {stage}={next(iter(STAGES[stage]))}, got {text!r}")
        given[stage] = _part(stage, rest)
    for stage, part in given.items():
        config = _with(config, stage, part)
    if "finder" in given and FOLLOWERS.find(config.follower.kind).finds:
        raise ValueError(
            f"the follower {config.follower.kind} finds objects itself; leave out finder={given['finder'].kind}"
        )
    return config


def _part(stage: str, text: str) -> Part:
    kind, _, weights = text.partition(":")
    spec = STAGES[stage].find(kind)
    if not weights and spec.wants:
        raise ValueError(f"{stage}={kind} needs your own weights: {stage}={kind}:{spec.wants}")
    if not weights and spec.checkpoints:
        weights = spec.checkpoints[0].id
    return Part(kind, weights)


def _with(config: ZeroShotConfig, stage: str, part: Part) -> ZeroShotConfig:
    changes: dict[str, Any] = {stage: part}
    config = replace(config, **changes)
    spec = STAGES[stage].find(part.kind)
    if isinstance(spec, TaggerSpec):
        return replace(config, gate=replace(config.gate, on=spec.on, off=spec.off), audio=hearing(spec.seconds))
    if isinstance(spec, FinderSpec):
        return replace(config, find=replace(config.find, box=spec.box))
    return config
