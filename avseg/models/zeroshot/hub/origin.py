"""Where the weights of a part are loaded from: the Hub's cache at one commit, or a folder. Nothing here fetches."""

from __future__ import annotations

from typing import Any

from avseg.models.zeroshot.config import Part


def origin(part: Part) -> dict[str, Any]:
    """Keywords of `from_pretrained` that name these weights and no others.

    Raises:
        ValueError: a part whose commit is not known yet.
    """
    if not part.revision:
        raise ValueError(f"the commit of {part.checkpoint} is not known; open the model with avseg.load_model")
    return {
        "pretrained_model_name_or_path": part.checkpoint,
        "revision": part.revision,
        "local_files_only": True,
    }
