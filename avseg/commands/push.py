"""`avseg push`: upload a model to the Hugging Face Hub."""

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
    """Upload a model file to the Hugging Face Hub with a card: task, classes, scores, licence, how to load it.

    Args:
        model: A model file, a folder with model.safetensors, or "demo".
        repo: The repository; it is created if it does not exist.
        scores: The result.json of avseg evaluate --out. The card shows its scores, with intervals if clips.csv is in
            the same folder.
        private: Make a new repository private. Otherwise your account's default applies, for most accounts public.
        dry_run: Write the card and the model file to this folder instead of uploading them.
    """
    place = imported("avseg.engine.publish:push_file")(
        model, repo, scores=scores, private=True if private else None, dry_run=dry_run
    )
    print(place if dry_run is None else f"{place} holds the files for {repo}: README.md and the model file")
    return 0
