"""Checks before a finder runs: weights of another kind, and nouns that its model cannot read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from transformers import PreTrainedConfig

from avseg.models.zeroshot.config import Part
from avseg.models.zeroshot.hub.origin import origin


def check_kind(part: Part, *kinds: str) -> None:
    """
    Args:
        part: weights with their `config.json`.
        kinds: `model_type` of those that will do.

    Raises:
        ValueError: weights of another kind.
    """
    names = origin(part)
    content: Any
    try:
        content, _ = PreTrainedConfig.get_config_dict(names.pop("pretrained_model_name_or_path"), **names)
    except OSError:  # no JSON; loading the processor tells of it
        return
    kind = content.get("model_type") if isinstance(content, dict) else None
    if kind not in kinds:
        raise ValueError(
            f"{part.checkpoint} holds a model of the type {kind!r}, and a finder of the kind {part.kind!r} takes "
            f"{' or '.join(map(repr, kinds))}; give other weights, or another kind of finder"
        )


def check_lengths(nouns: Sequence[str], tokens: Sequence[int], most: int) -> None:
    """
    Args:
        nouns: what is asked for.
        tokens: of each, as the model reads it.
        most: tokens that the model can read.

    Raises:
        ValueError: a noun is longer, or has none.
    """
    for noun, count in zip(nouns, tokens, strict=True):
        if count == 0:
            raise ValueError(f"the noun {noun!r} has nothing that a finder could look for; name a thing to be seen")
        if count > most:
            raise ValueError(
                f"the noun {noun!r} is {count} tokens long, the finder reads {most} at most; give a shorter one"
            )
