"""The command line: a table of typed functions that call the library. No torch is imported before a command runs."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from tyro.conf import Positional, arg

from avseg.commands import data as data_commands
from avseg.commands.codes import codes
from avseg.commands.names import model_path
from avseg.config import TrackOptions
from avseg.data.config import DataConfig
from avseg.version import __version__

Device = str


def demo(out: Path = Path("avseg-demo"), clips: int = 40, device: Device = "auto") -> int:
    """See it work: make clips, segment what sounds in them, write a video and a page.

    Args:
        out: Folder for the page, the overlay video and the figures.
        clips: Held-out clips that are scored.
        device: auto, cpu, cuda, cuda:1, mps.
    """
    from avseg.demo.run import run_demo

    return run_demo(out, clips=clips, device=device)


def predict(
    videos: Positional[list[str]],
    model: str,
    out: Path = Path("avseg-out"),
    fps: float | None = None,
    overlay: bool = True,
    masks: Literal["png", "rle", "npz", "none"] = "png",
    device: Device = "auto",
    tracks: Annotated[TrackOptions, arg(name="")] = TrackOptions(),
) -> int:
    """Segment the sounding objects of any video.

    Args:
        videos: Video files, folders of them, or patterns such as "clips/*.mp4".
        model: A model file, a Hugging Face Hub id, or "demo" for the small model of the synthetic world.
        out: One folder per video is written here; finished ones are skipped.
        fps: Masks per second of video. By default 5, and 1 of models that see a whole clip, such as AVISM.
        overlay: Write an MP4 with the masks painted in and the original sound.
        masks: How masks are stored.
        device: auto, cpu, cuda, cuda:1, mps.
        tracks: Of models that track objects.
    """
    from avseg.inference.folder import predict_paths

    report = predict_paths(
        videos,
        model_path(model),
        out,
        fps=fps,
        overlay=overlay,
        masks=None if masks == "none" else masks,
        device=device,
        tracks=tracks,
    )
    print(report)
    return report.exit_code


def train(arguments: Sequence[str]) -> int:
    """Train a model by a recipe, or several by a sweep: avseg train RECIPE --data.root DIR [--optim.lr 1e-5 ...]."""
    if not arguments or arguments[0].startswith("-"):
        print("usage: avseg train RECIPE [--data.root DIR] [--optim.lr 1e-5 ...] [--sweep train.seed=0,1,2]")
        print("       avseg train RECIPE --help\n")
        recipes()
        return 0 if arguments else 2
    from avseg.commands.train import run as run_train

    return run_train(arguments[0], arguments[1:])


def evaluate(
    model: Positional[str],
    data: DataConfig,
    split: str = "test",
    protocol: tuple[str, ...] = ("published",),
    suites: tuple[str, ...] = (),
    out: Path | None = None,
    batch_size: int = 1,
    workers: int = 2,
    overlays: int = 0,
    device: Device = "auto",
) -> int:
    """Score a model, or predicted tracks, on a data set: a table, a JSON, a CSV with a row per clip.

    Args:
        model: A model file, a Hugging Face Hub id, or "demo"; or a JSON of tracks in the form of YouTube-VIS.
        data: The data set: --data.name s4 --data.root DIR.
        split: train, val or test.
        protocol: published, repaired or cavp, or several of them (docs/metrics.md); of AVISeg published and repaired
            are aviseg_upstream and aviseg.
        suites: Metric suites to judge by, all in one pass: avsbench_object, avsbench_semantic, vpo, aviseg. By default
            the data set's own.
        out: Folder for result.json, clips.csv, predictions.json (tracks) and overlays.
        batch_size: Clips at a time; changes no score.
        workers: Processes that read clips.
        overlays: Pictures of so many best and worst clips (needs --out).
        device: auto, cpu, cuda, cuda:1, mps.
    """
    from avseg.engine.evaluate import evaluate_file

    report = evaluate_file(
        model_path(model),
        data,
        split=split,
        protocol=protocol,
        suites=suites,
        out=out,
        batch_size=batch_size,
        workers=workers,
        overlays=overlays,
        device=device,
    )
    if report.main:
        print(report)
    return 0


def convert_tpavi(
    checkpoint: Positional[Path],
    out: Annotated[Path, arg(aliases=["-o"])],
    variant: Literal["s4", "ms3", "avss"] | None = None,
    vggish: Path | None = None,
) -> int:
    """Make a model file of an official TPAVI checkpoint.

    Args:
        checkpoint: The published weights of the segmentation network.
        out: The model file to write (.safetensors).
        variant: Which setting the weights are of; asked for where the tensors do not tell.
        vggish: The published VGGish weights, which are a file of their own and become part of the model.
    """
    from avseg.models.tpavi.convert import convert_file

    print(convert_file(checkpoint, out, variant=variant, vggish=vggish))
    return 0


def convert_cavp(
    checkpoint: Positional[Path],
    out: Annotated[Path, arg(aliases=["-o"])],
    variant: Literal["avss", "avss_224", "avsbench", "single", "vpo", "vpo_stereo"] | None = None,
) -> int:
    """Make a model file of an official CAVP checkpoint.

    Args:
        checkpoint: The published file, with or without the state of its optimisers.
        out: The model file to write (.safetensors).
        variant: Which setting the weights are of. Classes and channels tell it; weights of AVSS are taken for those of
            224 x 224 pixels unless this is avss.
    """
    from avseg.models.cavp.convert import convert_file

    print(convert_file(checkpoint, out, variant=variant))
    return 0


def convert_avism(
    checkpoint: Positional[Path],
    out: Annotated[Path, arg(aliases=["-o"])],
    vggish: Path | None = None,
    classes: Path | None = None,
    side: int | None = None,
) -> int:
    """Make a model file of an official AVISM checkpoint, of either kind of names.

    Args:
        checkpoint: The published file, with or without the state of its training.
        out: The model file to write (.safetensors).
        vggish: The published VGGish weights, which become part of the model, so that it hears by itself. Without them
            it wants clips with audio features.
        classes: JSON with categories, such as a data set's train.json, where the classes are not AVISeg's.
        side: Shorter side of the pictures in pixels; asked for where the backbone is not a published one.
    """
    from avseg.models.avism.convert import convert_file

    print(convert_file(checkpoint, out, vggish=vggish, classes=classes, side=side))
    return 0


def models() -> int:
    """List the model families and their published variants."""
    from avseg.models.table import describe

    _print_table("models", describe())
    return 0


def recipes() -> int:
    """List the recipes."""
    from avseg.recipes import describe

    _print_table("recipes", [{"recipe": name, "what": what} for name, what in describe().items()])
    return 0


def doctor() -> int:
    """Say what this machine offers: versions, devices, codecs."""
    from avseg.doctor import describe

    _print_table("doctor", describe())
    return 0


COMMANDS: dict[str, Callable[..., Any]] = {
    "demo": demo,
    "predict": predict,
    "train": lambda: train(["--help"]),
    "evaluate": evaluate,
    "codes": codes,
    "convert": lambda: None,
    "data": lambda: None,
    "models": models,
    "recipes": recipes,
    "doctor": doctor,
}
COMMANDS["train"].__doc__ = train.__doc__
COMMANDS["convert"].__doc__ = "Make a model file of published weights (avseg convert tpavi ...)."
COMMANDS["data"].__doc__ = "Data sets: synth, prepare, build-vpo, check."
GROUPS: dict[str, dict[str, Callable[..., Any]]] = {
    "data": {
        "synth": data_commands.synth,
        "prepare": data_commands.prepare,
        "build-vpo": data_commands.build_vpo,
        "check": data_commands.check,
    },
    "convert": {"tpavi": convert_tpavi, "cavp": convert_cavp, "avism": convert_avism},
}


def _print_table(title: str, rows: list[dict[str, str]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for name in rows[0]:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*row.values())
    Console(width=None if sys.stdout.isatty() else 140).print(table)


def run(arguments: Sequence[str]) -> int:
    """Run one command and give its exit status."""
    head, rest = (arguments[0] if arguments else "--help"), list(arguments[1:])
    if head in ("--version", "-V"):
        print(f"avseg {__version__}")
        return 0
    if head == "train":
        return train(rest)
    if head in GROUPS:
        return int(
            tyro.extras.subcommand_cli_from_dict(
                GROUPS[head], prog=f"avseg {head}", description=COMMANDS[head].__doc__, args=rest or ["--help"]
            )
            or 0
        )
    return int(
        tyro.extras.subcommand_cli_from_dict(
            COMMANDS,
            prog="avseg",
            description="Audio-visual segmentation: mark the pixels of the things that make the sound.",
            args=[head, *rest],
        )
        or 0
    )


def main() -> None:
    """Entry point: errors become one sentence and a non-zero exit; AVSEG_DEBUG=1 shows the traceback."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    warnings.showwarning = lambda message, *_: print(f"warning: {message}", file=sys.stderr)
    try:
        sys.exit(run(sys.argv[1:]))
    except KeyboardInterrupt:
        print("avseg: stopped", file=sys.stderr)
        sys.exit(130)
    except (ValueError, OSError, KeyError, RuntimeError) as error:
        if os.environ.get("AVSEG_DEBUG"):
            raise
        print(f"avseg: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
