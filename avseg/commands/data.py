"""The commands of `avseg data`, built from the records of the data sets. torch is imported only when one runs."""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from inspect import Parameter
from pathlib import Path
from typing import Annotated, Any, Literal

from tyro.conf import Positional, arg

from avseg.commands.packing import pack
from avseg.commands.parse import Group
from avseg.commands.view import view
from avseg.commands.words import Dir
from avseg.datasets import DATASETS, folders
from avseg.lazy import imported


def commands() -> Mapping[str, Callable[..., int] | Group]:
    """Return the commands of `avseg data`: groups with one command per data set, and commands of single data sets."""
    own = {name: place for spec in DATASETS.values() for name, place in spec.commands.items()}
    return {
        "synth": _group("write", "Write synthetic clips in the layout of a data set.", folders.write),
        "prepare": _group("prepare", "Build the folder of a data set from videos and label files.", folders.prepare),
        **{name: _printing(imported(place), runs=True) for name, place in own.items()},
        "check": _group("check", "Print what is missing or wrong in the folder of a data set.", folders.check),
        "view": view,
        "pack": pack,
        "convert": _printing(_convert),
    }


def _layout() -> str:
    return f"Data set whose layout to write: {', '.join(folders.names_with('save'))}."


def _origin() -> str:
    return f"Data set in SOURCE: {', '.join(folders.names_with('save'))}."


def _convert(
    source: Positional[Dir[Path]],
    target: Positional[Dir[Path]],
    origin: Annotated[str, arg(name="from", help=_origin())],
    layout: Annotated[str, arg(name="to", help=_layout())],
    sample_rate: int = 16000,
    stereo: bool = False,
) -> Any:
    """Convert the folder of one data set to the layout of another: frames, sound and masks.

    Args:
        source: The folder to convert.
        target: The folder to write. It must be empty or not exist yet.
        origin: The data set in SOURCE.
        layout: The data set whose layout to write.
        sample_rate: Sample rate of the sound in Hz.
        stereo: Keep two audio channels.
    """
    function: Callable[..., Any] = imported("avseg.datasets.convert:convert")
    return function(source, target, origin=origin, layout=layout, sample_rate=sample_rate, stereo=stereo)


def _group(work: folders.Work, what: str, function: Callable[..., Any]) -> Group:
    def command(name: str) -> Callable[..., int]:
        spec = folders.spec_with(name, work)
        options = getattr(spec, f"{work}_options", None)
        named = what.replace("a data set", f"the data set {name} ({spec.what})")
        return _printing(partial(function, name), named, options, runs=work == "prepare")

    return Group(what, "data set", partial(folders.names_with, work), command)


@dataclasses.dataclass(frozen=True)
class JobRunner:
    """Runner for the jobs of a command."""

    runner: Literal["local", "ray"] = "local"
    """local: processes on this machine (--workers). ray: tasks on a Ray cluster whose nodes all have access to the
    folders.
    """
    address: str | None = None
    """Ray cluster for --runner ray, such as auto or ray://head:10001. The default is RAY_ADDRESS, or else a new
    cluster on this machine.
    """

    def __post_init__(self) -> None:
        if self.runner == "local" and self.address is not None:
            raise ValueError("--address needs --runner ray")

    def running(self) -> AbstractContextManager[None]:
        """In the block jobs run there.

        Raises:
            ImportError: the extra is not installed.
        """
        if self.runner == "local":
            return nullcontext()
        run_on_ray = imported("avseg.ray_cluster:run_on_ray")
        elsewhere: Callable[..., AbstractContextManager[None]] = imported("avseg.prepare.jobs:running_elsewhere")
        return elsewhere(partial(run_on_ray, address=self.address))


def _printing(
    function: Callable[..., Any], what: str = "", options: Any = None, *, runs: bool = False
) -> Callable[..., int]:
    """Make `function` a command that prints its return value and exits with the `exit_code` of that value.

    Args:
        function: A typed function; a parameter whose default is a dataclass becomes options without a prefix.
        what: Replaces the first paragraph of its docstring.
        options: A dataclass of further keywords of the function.
        runs: Add the options of `JobRunner`.
    """

    def command(**given: Any) -> int:
        more = given.pop("options") if options is not None else None
        with given.pop("where", JobRunner()).running():
            report = function(**given, **({} if more is None else vars(more)))
        print(report)
        return int(getattr(report, "exit_code", 0))

    typed = function.func if isinstance(function, partial) else function
    hints, parameters = typing.get_type_hints(typed, include_extras=True), []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is Parameter.VAR_KEYWORD:
            if options is None:
                continue
            parameter = Parameter("options", Parameter.KEYWORD_ONLY, default=options)
        flat = dataclasses.is_dataclass(parameter.default)
        hint = Annotated[type(parameter.default), arg(name="")] if flat else hints[parameter.name]
        parameters.append(parameter.replace(kind=Parameter.KEYWORD_ONLY, annotation=hint))
    if runs:
        hint = Annotated[JobRunner, arg(name="")]
        parameters.append(Parameter("where", Parameter.KEYWORD_ONLY, default=JobRunner(), annotation=hint))
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    summary, _, rest = (inspect.getdoc(typed) or "").partition("\n\n")
    command.__doc__ = f"{what or summary}\n\n{rest}"
    return command
