"""`avseg push`: a model on the Hugging Face Hub."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from avseg.commands.words import Dir, ModelFile
from avseg.lazy import imported


def push(
    model: Positional[ModelFile[str]],
    repo: Positional[Annotated[str, arg(metavar="USER/NAME")]],
    scores: Path | None = None,
    private: bool = False,
    dry_run: Dir[Path | None] = None,
) -> int:
    """Put a model file on the Hugging Face Hub, with a card: task, classes, figures, licence, how to load it.

    Args:
        model: A model file, a folder with model.safetensors, or "demo".
        repo: The repository, which is made where it is missing.
        scores: The result.json that avseg evaluate --out wrote; the card gets its figures, with intervals where
            clips.csv lies beside it.
        private: Only you see the repository. Without it a new one is as yours are by default, public for most.
        dry_run: Write the card and the file to this folder instead; nothing leaves this machine.
    """
    place = imported("avseg.engine.publish:push_file")(
        model, repo, scores=scores, private=True if private else None, dry_run=dry_run
    )
    print(place if dry_run is None else f"{place} holds what would be pushed to {repo}: README.md and the model file")
    return 0
