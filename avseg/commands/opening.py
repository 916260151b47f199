"""The model option of commands: a file, or a name with its options, and the question before a download."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from inspect import Parameter as Kind
from typing import Annotated, Any

from tyro.conf import FlagCreatePairsOff, Positional, arg

from avseg.commands.session import small
from avseg.commands.tables import print_table
from avseg.commands.words import ModelFile, Parameter, fields_of
from avseg.lazy import imported
from avseg.models.opening import ModelSource, opening_names, opening_of, openings, refuse_choices

_YES: Any = FlagCreatePairsOff[Annotated[bool, arg(aliases=["-y"])]]
_FILES = 'A model file, a Hugging Face Hub id, "demo" for the small model of the synthetic world'


@dataclass(init=False)
class ModelChoice:
    """Read by the command line as a dataclass with the model, the choices of all families, and `--yes`."""

    def __init__(self, model: str | None = None, yes: bool = False, **choices: str | None) -> None:
        self.model, self.yes = model, yes
        self.choices = {name: value for name, value in choices.items() if value is not None}

    @property
    def source(self) -> ModelSource:
        """Return the argument of `load_model`.

        Raises:
            ValueError: if no model is given and no installed package has one that opens without a file.
        """
        return ModelSource(self.model or default_model(), self.choices, True if self.yes else ask)

    @classmethod
    def parameters(cls) -> Iterator[Parameter]:
        """Return the parameters: the positional model and its options."""
        names = ", ".join(opening_names())
        yield Parameter(
            "model", Positional[ModelFile[str]], Kind.empty, f"{_FILES}, or a name without a file: {names}."
        )
        yield from _choices()


class OptionalModel(ModelChoice):
    """Like `ModelChoice`, with the model as an option."""

    @classmethod
    def parameters(cls) -> Iterator[Parameter]:
        """Return the parameters: `--model` and its options."""
        names, usual = ", ".join(opening_names()), next(iter(openings()), "none")
        text = f'{_FILES}, or a name without a file: {names}. The default is "{usual}" if its packages are installed.'
        yield Parameter("model", Annotated[str | None, arg(metavar="MODEL")], None, text)
        yield from _choices()


class MeasuredModel(ModelChoice):
    """The positional model, or a published setting with random weights."""

    @classmethod
    def parameters(cls) -> Iterator[Parameter]:
        """Return the parameters."""
        text = (
            f"{_FILES}, a file of avseg export, a published setting with random weights (FAMILY-PRESET of avseg "
            f"models, such as tpavi-s4), or a name without a file: {', '.join(opening_names())}."
        )
        yield Parameter("model", Positional[ModelFile[str]], Kind.empty, text)
        yield from _choices()


class SettledModel(OptionalModel):
    """Like `OptionalModel`, without the question before a download, for processes without a terminal."""

    @classmethod
    def parameters(cls) -> Iterator[Parameter]:
        """Return the parameters."""
        yield from (parameter for parameter in super().parameters() if parameter.name != "yes")


class SharedChoices(ModelChoice):
    """Options of models that open by name, for a command with several models."""

    @classmethod
    def parameters(cls) -> Iterator[Parameter]:
        """Return the parameters."""
        yield from _choices()

    def of(self, *models: str) -> tuple[ModelSource, ...]:
        """Return the argument of `load_model` for each model; the options apply to models that open by name.

        Raises:
            ValueError: if an option is given and no model opens by name.
        """
        named = [name for name in models if opening_of(name)]
        for name in models if not named else ():
            refuse_choices(ModelSource(name, self.choices))
        download = True if self.yes else ask
        return tuple(ModelSource(name, self.choices if name in named else {}, download) for name in models)


class FetchedModel(ModelChoice):
    """The positional model and the options that change which weights it needs."""

    @classmethod
    def parameters(cls) -> Iterator[Parameter]:
        """Return the parameters."""
        text = f"A name: {', '.join(opening_names())}; or a model file without weights."
        yield Parameter("model", Positional[Annotated[str, arg(metavar="NAME")]], Kind.empty, text)
        yield from _choices(weights=True)


def _choices(weights: bool = False) -> Iterator[Parameter]:
    """Return the options of models that open by name and --yes; with `weights` only those that change the weights."""
    named: dict[str, list[tuple[str, Parameter]]] = {}
    for family, opening in openings().items():
        for own in fields_of(opening.choices):
            if own.name in opening.of_weights or not weights:
                named.setdefault(own.name, []).append((family, own))
    for name, of in named.items():
        texts = [f"Models that open as {family}: {small(own.help)}." for family, own in of]
        yield Parameter(name, of[0][1].hint, None, " ".join(texts))
    if not weights:
        yield Parameter("yes", _YES, False, "Download missing open weights without asking.")


def default_model() -> str:
    """Return the first name that opens a model with the installed packages.

    Raises:
        ValueError: if there is none.
    """
    for family, opening in openings().items():
        if not opening.missing:
            return family
    extras = " or ".join(f'pip install "avseg[{opening.extra}]"' for opening in openings().values())
    raise ValueError(f"no model given; use --model MODEL (such as demo), or install one that needs no file: {extras}")


def ask(text: str) -> bool | None:
    """Ask at the terminal before a download and return the answer; None without a terminal."""
    if not (sys.stdin and sys.stdin.isatty() and sys.stderr.isatty()):
        return None
    print(text, file=sys.stderr)
    while True:
        print("Download them now? [Y/n] ", end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        if not line:  # Ctrl-D
            print(file=sys.stderr)
            return False
        if (answer := line.strip().lower()) in ("", "y", "yes", "n", "no"):
            return answer[:1] != "n"


def tell(text: str) -> bool:
    """Print what will be downloaded and agree to it."""
    print(text, file=sys.stderr)
    return True


def print_held() -> None:
    """Print tables of the open weights, one for each family that opens by name."""
    for family, opening in openings().items():
        print_table(f"Open weights for models of {family}", imported(opening.holds)())


def held_rows() -> list[dict[str, str]]:
    """Return rows for `avseg doctor`: packages of extras and open weights in the cache."""
    rows = []
    for family, opening in openings().items():
        for package in opening.needs:
            here = version(package) if package not in opening.missing else ""
            rows.append((package, here or f'not installed: pip install "avseg[{opening.extra}]"'))
        held = [row for row in imported(opening.holds)() if row["in the cache"] != "no"]
        rows += [(row["part"], f"{row['weights']} at {row['in the cache']}") for row in held]
        rows += [] if held else [(f"weights of {family}", f"none in the cache (avseg weights fetch {family})")]
    return [{"what": what, "found": found} for what, found in rows]
