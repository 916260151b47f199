"""Publishing a model on the Hugging Face Hub, with a card that describes it and its scores."""

from __future__ import annotations

import json
import math
import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, ModelCardData, get_token
from huggingface_hub.errors import HfHubHTTPError

from avseg.engine.evaluation.scored import Scored, ScoredFigure, read_scores
from avseg.io.files import write_folder_aside, write_text
from avseg.models.files import save_model
from avseg.models.header import LICENCES, ORIGIN, PACKAGE, Header, read_header
from avseg.models.places import FILE_NAME, find_file
from avseg.models.record import NOT_STATED

CARD = "README.md"
REPO = re.compile(r"[\w.-]+/[\w.-]+")
KNOWN_LICENCES = ("apache-2.0", "mit", "bsd-3-clause", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0")
"""As the Hub calls them; others are called `other` there, and by their own name in the text."""


def push_file(
    source: str | Path,
    repo_id: str,
    *,
    scores: str | Path | None = None,
    private: bool | None = None,
    token: str | None = None,
    dry_run: Path | None = None,
) -> str:
    """Put a model file on the Hub as it is, with a card; the repository is made where it is missing.

    Args:
        source: A file, a folder with one, or `demo`.
        repo_id: USER/NAME.
        scores: The result.json of `avseg evaluate`, or its folder; its figures stand in the card.
        private: None: as the owner's repositories are by default, which is public for most.
        token: By default that of `hf auth login` or of HF_TOKEN.
        dry_run: Folder to write what would be put there; nothing leaves this machine.

    Returns:
        The address of the model, or the folder.

    Raises:
        FileNotFoundError: no such model file or scores.
        ValueError: a name that is none, no token, scores of another model, or a Hub that refuses.
    """
    if not REPO.fullmatch(repo_id):
        raise ValueError(f"{repo_id!r} is not the name of a repository, wanted USER/NAME")
    if dry_run is None and not (token or get_token()):
        raise ValueError("no token for the Hugging Face Hub found; run `hf auth login`, or set HF_TOKEN")
    path = find_file(source)
    scored = None if scores is None else read_scores(scores)
    if scored is not None and Path(scored.model).is_file() and not Path(scored.model).samefile(path):
        raise ValueError(f"the scores belong to {scored.model}, not to {path}; evaluate the model to push")
    card = model_card(read_header(path), repo_id, scored, _trained_on(path))
    if dry_run is not None:
        with write_folder_aside(_free(dry_run)) as folder:
            _fill(folder, path, card)
        return str(dry_run)
    with tempfile.TemporaryDirectory() as name:
        _fill(Path(name), path, card)
        return _upload(Path(name), repo_id, private, token)


def push_model(model: Any, repo_id: str, **options: Any) -> str:
    """Put a model that is in memory on the Hub; `options` are those of `push_file`. `Model.push_to_hub` is this."""
    with tempfile.TemporaryDirectory() as name:
        return push_file(save_model(model, Path(name) / FILE_NAME), repo_id, **options)


def _free(folder: Path) -> Path:
    """
    Raises:
        ValueError: a folder that holds something.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder} already exists; use a new or empty folder for --dry-run")
    return folder


def _fill(folder: Path, path: Path, card: str) -> None:
    shutil.copyfile(path, folder / FILE_NAME)
    write_text(folder / CARD, card)


def _upload(folder: Path, repo_id: str, private: bool | None, token: str | None) -> str:
    api = HfApi(token=token)
    try:
        address = str(api.create_repo(repo_id, private=private, exist_ok=True))
        api.upload_folder(repo_id=repo_id, folder_path=folder, commit_message="A model of avseg, with its card")
    except (HfHubHTTPError, OSError) as error:
        raise ValueError(f"the Hub refused {repo_id}: {error}") from error
    return address


def _trained_on(path: Path) -> str:
    """The name of the data set, where the file lies in the folder of its run."""
    try:
        told = json.loads(path.with_name("recipe.json").read_text(encoding="utf-8"))
        return str(told["data"]["name"])
    except (OSError, ValueError, KeyError, TypeError):
        return NOT_STATED


def model_card(header: Header, repo_id: str, scored: Scored | None = None, trained_on: str = NOT_STATED) -> str:
    """The card of a model file, in Markdown with the Hub's block of facts.

    Args:
        header: Of the file.
        repo_id: USER/NAME.
        scored: Its scores; None: the card says that there are none.
        trained_on: The data set.
    """
    notes, task = header.notes, header.task
    licence = next((notes[name] for name in LICENCES if name in notes), NOT_STATED)
    facts = {
        "family": header.family,
        "task": task["kind"],
        "classes": ", ".join(task.get("classes", ())) or "none; the foreground is every sounding object",
        "backbone": header.config.get("backbone", NOT_STATED),
        "trained on": trained_on,
        "origin of the weights": notes.get(ORIGIN, NOT_STATED),
        "licence of the weights' origin": licence,
    }
    package = f"  # with the package {notes[PACKAGE]}" if notes.get(PACKAGE) else ""
    parts = [
        f"---\n{_facts_of_the_hub(header, repo_id, licence)}\n---",
        f"# {repo_id.partition('/')[2]}",
        "Marks the pixels of the objects that make the sound in a video.",
        _table(("", ""), [(name, _cell(value)) for name, value in facts.items()]),
        "## How to load it",
        f'```python\nimport avseg{package}\nmodel = avseg.load_model("{repo_id}")\n```',
        f"On a video: `avseg predict VIDEO --model {repo_id}`.",
        "## Figures",
        "No scores were given." if scored is None else _figures(scored),
    ]
    return "\n\n".join(parts) + "\n"


def _facts_of_the_hub(header: Header, repo_id: str, licence: str) -> str:
    known, stated = licence.lower() in KNOWN_LICENCES, licence != NOT_STATED
    data = ModelCardData(
        library_name="avseg",
        pipeline_tag="image-segmentation",
        tags=["avseg", "audio-visual-segmentation", header.family, str(header.task["kind"])],
        model_name=repo_id.partition("/")[2],
        license=licence.lower() if known else "other" if stated else "unknown",
        license_name=_slug(licence) if stated and not known else None,
    )
    text: str = data.to_yaml(line_break="\n")
    return text.strip()


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-")


def _figures(scored: Scored) -> str:
    protocols, suites = " + ".join(scored.protocols), " + ".join(scored.suites)
    rows = [(_cell(figure.name), _value(figure), _interval(figure)) for figure in scored.figures]
    return (
        f"On {scored.clips} clip{'s' * (scored.clips != 1)} of {scored.data}, "
        f"split {scored.split}; suite {suites}, protocol {protocols}.\n\n"
        + _table(("score", "data set [95 % interval]", "mean over clips [95 % interval]"), rows)
        + "\n\nIntervals come of drawing the clips with replacement: 1000 times for scores of the data set, 2000 times "
        "for means over clips. A score that is no mean over clips, such as mIoU, differs from that mean."
    )


def _value(figure: ScoredFigure) -> str:
    return f"{figure.value:.4f}" + (f" [{figure.ends[0]:.4f}, {figure.ends[1]:.4f}]" if figure.ends else "")


def _interval(figure: ScoredFigure) -> str:
    if math.isnan(figure.low):
        return ""
    return f"{figure.mean:.4f} [{figure.low:.4f}, {figure.high:.4f}]"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: object) -> str:
    """Text that cannot end its place in a table, nor be anything but text."""
    return re.sub(r"([|\\`*_<>\[\]])", r"\\\1", " ".join(str(value).split()))
