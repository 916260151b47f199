"""Weights of the Hub's models, checked for being whole."""

from __future__ import annotations

from typing import Any

import torch

from avseg.models.zeroshot.config import Part
from avseg.models.zeroshot.hub.origin import origin


def whole(kind: Any, part: Part, dtype: torch.dtype = torch.float32) -> Any:
    """The model of a part, in evaluation mode.

    `from_pretrained` fills weights that it does not find with random numbers, also where the weights are those of
    another kind of model, and only logs it.

    Args:
        kind: class of `transformers`.
        part: what to load.
        dtype: of its weights.

    Raises:
        ValueError: weights of another model, or not all of them.
    """
    model, report = kind.from_pretrained(**origin(part), dtype=dtype, output_loading_info=True)
    # Buffers may be missing: older checkpoints lack some that are computed anyway.
    wrong = {*report["missing_keys"], *(key for key, *_ in report["mismatched_keys"])}
    lacking = [name for name, _ in model.named_parameters() if name in wrong]
    if lacking:
        raise ValueError(
            f"{part.checkpoint} lacks {len(lacking)} weights of {kind.__name__}, the first is {lacking[0]}; give a "
            f"checkpoint of the kind {part.kind!r}"
        )
    return model.eval()
