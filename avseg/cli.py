"""The command line: a table of typed functions that call the library. torch is imported only when a command runs."""

from __future__ import annotations

import logging
import os
import signal
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from tyro.conf import Positional, arg

from avseg.commands import batch, compare, completion, convert, datasets, export, listen, live, push, serve, ui, weights
from avseg.commands import data as data_commands
from avseg.commands.benchmark import benchmark
from avseg.commands.errors import said
from avseg.commands.names import protocols_help, suites_help
from avseg.commands.opening import ModelChoice, OptionalModel, held_rows
from avseg.commands.parse import MISUSE, Command, Group, did_you_mean, misuse, wrapped
from avseg.commands.running import PredictRunning, ScoreRunning
from avseg.commands.saving import SaveChoices
from avseg.commands.session import SessionChoices
from avseg.commands.source import SourceChoices
from avseg.commands.tables import print_table
from avseg.commands.words import Hidden, Video, parameters_of
from avseg.data.config import PARAMETERS, DataConfig
from avseg.engines.records import Choice
from avseg.io.stages import share_cores
from avseg.lazy import imported
from avseg.models import FAMILIES, describe
from avseg.recipes import RECIPES
from avseg.registry import add_plugin
from avseg.version import __version__

Device = str
DESCRIPTION = (
    "Audio-visual segmentation: mark the pixels of the objects that make the sound.\n\n"
    "avseg COMMAND --help explains a command; avseg --version prints the version. Every command accepts "
    "--plugin MODULE, which adds models, data sets and recipes from your own module or .py file."
)


def demo(out: Path = Path("avseg-demo"), clips: int = 40, device: Device = "auto") -> int:
    """Try avseg without any data: make clips, segment their sounding objects, write a video and a page.

    Args:
        out: Folder for the page, the overlay video and the scores.
        clips: Number of held-out clips to score.
        device: Device to run the model on: auto, cpu, cuda, cuda:1 or mps.
    """
    share_cores()
    from avseg.demo.run import run_demo

    return run_demo(out, clips=clips, device=device)


def predict(
    videos: Positional[Video[list[str]]],
    model: Annotated[OptionalModel, arg(name="")] = OptionalModel(),
    out: Path = Path("avseg-out"),
    fps: float | None = None,
    saving: Annotated[SaveChoices, arg(name="")] = SaveChoices(),
    running: Annotated[PredictRunning, arg(name="")] = PredictRunning(),
    source: Annotated[SourceChoices, arg(name="")] = SourceChoices(),
    options: Annotated[SessionChoices, arg(name="")] = SessionChoices(),
    overwrite: bool = False,
    verbose: bool = False,
) -> int:
    """Segment the sounding objects in your videos.

    Args:
        videos: Video files, folders of them, or patterns such as "clips/*.mp4".
        model: The model, and the weights it may download.
        out: Folder for the results, with one folder per video. Finished results are kept; missing files are added to
            them.
        fps: Masks per second of video. The default is 5, or 1 for models that see a whole clip, such as AVISM.
        saving: Files to write.
        running: Device and engine of the model.
        source: Part of the video and its sound to use.
        options: Which objects to mark, and options of single families.
        overwrite: Replace existing results, including those of another model, frame rate or part of the video.
        verbose: Print FFmpeg's warnings and errors.
    """
    share_cores()
    if verbose:
        show_ffmpeg_messages()
    report = running.work(
        videos,
        model.source,
        out,
        save=saving.save,
        overlay=saving.overlay,
        masks=saving.masks,
        overwrite=overwrite,
        start=source.start,
        end=source.end,
        audio=source.audio,
        fps=fps,
        device=running.device,
        engine=running.engine,
        precision=running.precision,
        memory=running.memory,
        options=options.given,
        **options.only,
    )
    print(report.summary)
    return int(report.exit_code)


def train(arguments: Sequence[str]) -> int:
    """Train a model with a recipe, or several models with a sweep over values (avseg train RECIPE --help)."""
    if not arguments or arguments[0].startswith("-"):
        print("usage: avseg train RECIPE [--data.root DIR] [--optim.lr 1e-5 ...] [--sweep train.seed=0,1,2]")
        print("       avseg train RECIPE --help        the usual options")
        print("       avseg train RECIPE --help-all    all options\n")
        recipes()
        return 0 if arguments else MISUSE
    from avseg.commands.train import run as run_train

    return run_train(arguments[0], arguments[1:])


# Annotations are resolved when the command is parsed; plug-ins have been imported by then.
def evaluate(
    model: Annotated[ModelChoice, arg(name="")],
    data: DataConfig,
    split: Literal["train", "val", "test"] = "test",
    protocol: Annotated[tuple[str, ...], arg(help=protocols_help())] = ("published",),
    suites: Annotated[tuple[str, ...], arg(help=suites_help())] = (),
    out: Path | None = None,
    batch_size: int = 1,
    workers: int = 2,
    overlays: int = 0,
    running: Annotated[ScoreRunning, arg(name="")] = ScoreRunning(),
) -> int:
    """Score a model or predicted tracks on a data set and print the scores; --out also writes JSON, CSV and pictures.

    Args:
        model: The model to score, or a JSON file of tracks in the YouTube-VIS format.
        data: The data set: --data.name NAME --data.root DIR. Add --data.name NAME before --help to see its own options.
        split: Split of the data set.
        protocol: One or several protocols, listed by suite (docs/reference/metrics.md).
        suites: Metric suites to compute in one pass. The default is the data set's own.
        out: Folder for result.json, clips.csv, predictions.json (tracks) and overlays.
        batch_size: Clips per batch. It does not change the scores.
        workers: Number of processes that read clips.
        overlays: Write pictures of the N best and the N worst clips (needs --out).
        running: Device and engine of the model.
    """
    from avseg.engine import evaluate_file

    report = evaluate_file(
        model.source,
        data,
        split=split,
        protocol=protocol,
        suites=suites,
        out=out,
        batch_size=batch_size,
        workers=workers,
        overlays=overlays,
        device=running.device,
        choice=Choice(running.engine, running.precision),
    )
    if report.main:
        print(report)
    return 0


def models() -> int:
    """List the model families, their published settings and backbones."""
    print_table("models", describe())
    return 0


def recipes() -> int:
    """List the recipes of avseg train."""
    from avseg.recipes import describe

    print_table("recipes", [{"recipe": name, "what": what} for name, what in describe().items()])
    return 0


def doctor() -> int:
    """Print what this machine has: versions, devices, codecs, open weights in the cache."""
    from avseg.doctor import describe

    print_table("doctor", [*describe(), *held_rows()])
    return 0


_COMMANDS: dict[str, Callable[..., Any]] = {
    "demo": demo,
    "predict": predict,
    "batch": batch.batch,
    "live": live.live,
    "ui": ui.ui,
    "train": lambda: train(["--help"]),
    "evaluate": evaluate,
    "compare": compare.compare,
    "listen": listen.listen,
    "push": push.push,
    "serve": serve.serve,
    "benchmark": benchmark,
    "export": export.export,
    "convert": lambda: None,
    "data": lambda: None,
    "weights": lambda: None,
    "models": models,
    "recipes": recipes,
    "doctor": doctor,
    "completion": completion.completion,
}
_COMMANDS["train"].__doc__ = train.__doc__
_COMMANDS["convert"].__doc__ = "Convert a published checkpoint of a family to a model file."
_COMMANDS["weights"].__doc__ = "Published weights: list them, identify a file, download open weights."
_COMMANDS["data"].__doc__ = "Work with data sets: synth, prepare, build-vpo, check, view, pack, convert."
_GROUPS: dict[str, Callable[[], Mapping[str, Callable[..., Any] | Group]]] = {
    "data": data_commands.commands,
    "convert": convert.converters,
    "weights": lambda: {"list": weights.list_weights, "verify": weights.verify, "fetch": weights.fetch},
}
_OF_TRAINING: Hidden = {"DataConfig": ("augment", *PARAMETERS)}
_RARE: Hidden = {"DataConfig": ("suite",)}
"""Fields that only training has, and fields that only `--help-all` shows."""


def commands() -> dict[str, Callable[..., Any]]:
    """Return every command by its first word: the shared ones, then those of single families."""
    own = {name: address for spec in FAMILIES.values() for name, address in spec.commands.items()}
    return {**_COMMANDS, **{name: imported(address) for name, address in own.items() if name not in _COMMANDS}}


def group(head: str) -> Mapping[str, Callable[..., Any] | Group]:
    """Return the commands and groups below a group, by their second word; empty for a command that is not a group."""
    return _GROUPS[head]() if head in _GROUPS else {}


def command_of(words: Sequence[str]) -> tuple[Command, list[str]] | tuple[str, Mapping[str, Any]]:
    """Return the command that the words name and the words after it.

    If they name no command: the words before the first unknown one, and the names that are valid there.
    """
    if not words or (words[0] not in _COMMANDS and words[0] not in commands()):
        return "avseg", commands()
    head, rest = words[0], list(words[1:])
    prog = f"avseg {head}"
    if head not in _GROUPS and head != "train":
        return _typed(prog, _COMMANDS[head] if head in _COMMANDS else commands()[head], rest), rest
    found: Any = RECIPES if head == "train" else group(head)
    while isinstance(found, Mapping):
        if not rest or rest[0] not in found:
            return prog, found
        if head == "train":
            from avseg.commands import train as training

            return training.command(rest[0], rest[1:]), rest[1:]
        prog, found, rest = f"{prog} {rest[0]}", found[rest[0]], rest[1:]
    return _typed(prog, found, rest), rest


def _typed(prog: str, command: Callable[..., Any], words: Sequence[str]) -> Command:
    """Make a function a command; one that takes a data set gets the options of the named data set."""
    if not any(parameter.hint is DataConfig for parameter in parameters_of(command)):
        return Command(prog, command)
    given, said = datasets.chosen(words, "data"), datasets.foreign(words)
    return Command(prog, command, {"data": given}, absent=_OF_TRAINING, unusual=_RARE, foreign=said)


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit status."""
    arguments = without_plugins(arguments)
    head, rest = (arguments[0] if arguments else "--help"), list(arguments[1:])
    if head in ("--version", "-V"):
        print(f"avseg {__version__}")
        return 0
    if head == completion.ASK:
        print("\n".join(complete(rest or [""])))
        return 0
    if head == "train":
        return train(rest)
    command, behind = command_of([head, *rest])
    if isinstance(command, Command):
        return int(command.parse(list(behind))() or 0)
    word = next(iter([head, *rest][len(command.split()) - 1 :]), "--help")
    assert isinstance(behind, Mapping)
    if word not in ("-h", "--help", "--help-all"):
        misuse(command, _unknown(word, behind))
    return _show_group(command, behind)


def _unknown(word: str, known: Mapping[str, Any]) -> str:
    """Return the sentence about a word that names no command of a group."""
    noun = known.noun if isinstance(known, Group) else "option" if word.startswith("-") else "command"
    if noun != "option" and word.startswith("-"):
        return f"the {noun} comes first, got {word!r}; known: {', '.join(known)}"
    return f"there is no {noun} {word!r}{did_you_mean(word, [*known, '--help', '--version'])}"


def without_plugins(arguments: Sequence[str]) -> list[str]:
    """Import the module of every `--plugin MODULE` and return the other words.

    Raises:
        ValueError: if a module cannot be imported.
    """
    words = [part for word in arguments for part in (word.split("=", 1) if word.startswith("--plugin=") else [word])]
    while "--plugin" in words:
        place = words.index("--plugin")
        if place + 1 == len(words):
            misuse("avseg", "--plugin needs the name of a module on the Python path, or a .py file")
        add_plugin(words[place + 1])
        del words[place : place + 2]
    return words


def _show_group(prog: str, listed: Mapping[str, Callable[..., Any] | Group]) -> int:
    head = prog.removeprefix("avseg").strip()
    what = listed.what if isinstance(listed, Group) else (_COMMANDS[head].__doc__ or "") if head else DESCRIPTION
    description = wrapped(what)
    entries = {name: _entry(command) for name, command in listed.items()}
    tyro.extras.subcommand_cli_from_dict(entries, prog=prog, description=description, args=["--help"])
    return 0


def _entry(command: Callable[..., Any] | Group) -> Callable[[], None]:
    """Return a stand-in with the first paragraph of the command's docstring, for the page of its group."""

    def entry() -> None: ...

    entry.__doc__ = command.what if isinstance(command, Group) else (command.__doc__ or "").split("\n\n")[0]
    return entry


def complete(words: Sequence[str]) -> list[str]:
    """Return the completions of the last word behind `avseg`; that word may be empty."""
    command, behind = command_of(words[:-1])
    if isinstance(command, Command):
        return completion.answers([*behind, words[-1]], command)
    if len(words) > len(command.split()):
        return []  # an earlier word is unknown
    return completion.fitting([*behind, "--help", *(["--version"] if command == "avseg" else [])], words[-1])


def show_ffmpeg_messages() -> None:
    """Let FFmpeg's warnings and errors reach the log; PyAV hides them by default."""
    from av import logging as ffmpeg

    ffmpeg.set_level(ffmpeg.WARNING)


def _stop(number: int, frame: Any) -> None:
    """End the command on SIGTERM as on Ctrl-C, so that partial files are removed."""
    raise KeyboardInterrupt


def main() -> None:
    """Run the program: an error prints one sentence and exits non-zero; AVSEG_DEBUG=1 shows the traceback."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for name in ("httpx", "httpx2"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("huggingface_hub").propagate = False  # it writes to the terminal itself
    warnings.showwarning = lambda message, *_: print(f"warning: {message}", file=sys.stderr)
    signal.signal(signal.SIGTERM, _stop)
    try:
        sys.exit(run(sys.argv[1:]))
    except KeyboardInterrupt:
        print("avseg: stopped", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        # The reader of the output, such as `head`, has closed the pipe; keep Python from flushing into it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        if os.environ.get("AVSEG_DEBUG"):
            raise
        print(f"avseg: {said(error)}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
