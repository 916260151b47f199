"""Building models, and keeping them in single files that need nothing else to be opened
(docs/reference/file-format.md)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from avseg.config import ModelConfig, from_dict, to_dict
from avseg.io.files import clear_stale, folder_aside, write_aside
from avseg.lazy import imported
from avseg.models import FAMILIES
from avseg.models.base import Model, load_plain, plain_name, plain_state, run_buffers
from avseg.models.header import PACKAGE, Header, read_header, sort_notes, spec_of
from avseg.models.opening import Download, ModelSource, opening_names, opening_of, ready, refuse_choices, settled
from avseg.models.places import FILE_NAME, find_file
from avseg.models.spec import Preset
from avseg.nn.empty import WithoutInitialisation
from avseg.types import Task

EXPORTED = (".onnx", ".xml", ".pt2")
"""Endings of files of `avseg export`."""


def build_model(config: ModelConfig, task: Task) -> Model[Any]:
    """Make a model with fresh weights from a config.

    Args:
        config: The config of a family, such as `TPAVIConfig`.
        task: What the model predicts.

    Returns:
        The model, on the CPU and in training mode.

    Raises:
        ValueError: An unknown family, a config that contradicts itself, or a task that the family does not solve.

    Examples:
        >>> from avseg import Task, build_model
        >>> from avseg.models.tpavi.config import TPAVIConfig
        >>> model = build_model(TPAVIConfig(backbone="resnet18", audio_network="small"), Task("binary"))
        >>> model.task.channels
        1
    """
    return FAMILIES.find(config.family).model_class()(config, task)


def create_model(family: str, preset: str | None = None, task: Task | None = None, **changes: Any) -> Model[Any]:
    """Make a model with fresh weights from a published setting.

    Args:
        family: A name of `avseg.list_models()`.
        preset: A name of `avseg.list_models(family)`. The default is the first of them.
        task: What the model predicts. The default is the task of the setting, if it has one.
        changes: Fields of the family's config that differ from the setting.

    Returns:
        The model, on the CPU and in training mode.

    Raises:
        ValueError: An unknown family, setting or field, fields that contradict each other, or no task.

    Examples:
        >>> create_model("tpavi", preset="ms3", backbone="resnet50").task.kind
        'binary'
    """
    spec = FAMILIES.find(family)
    config, chosen = spec.preset(preset, **changes), spec.find_preset(preset)
    task = task or (chosen.task if isinstance(chosen, Preset) else None)
    if task is None:
        raise ValueError(f"this setting of {family} is for no task alone; give one, such as task=Task('binary')")
    config.refuse_idle()
    return build_model(config, task)


def save_model(model: Model[Any], path: str | Path, notes: Mapping[str, str] | None = None) -> Path:
    """Write weights, config and task to one file.

    The file is whole or absent, whatever interrupts the call. Buffers that belong to a training run are left out.

    Args:
        model: A model; a compiled one gives the same file.
        path: The file, usually with the suffix .safetensors.
        notes: Strings for the header; they are added to those of `model.descent` and replace those of the same name.

    Returns:
        The path.

    Examples:
        >>> from tempfile import TemporaryDirectory
        >>> from avseg import load_model, save_model
        >>> with TemporaryDirectory() as folder:
        ...     path = save_model(load_model("demo"), f"{folder}/model.safetensors", {"origin": "the demo"})
        ...     load_model(path).descent
        {'origin': 'the demo'}
    """
    path, family = Path(path), model.config.family
    source = FAMILIES.source(family)
    origin = {PACKAGE: f"{source.package} {source.version}"} if source and source.package else {}
    header = Header(
        family, to_dict(model.config), model.task.to_dict(), notes={**model.descent, **(notes or {}), **origin}
    )
    of_run = run_buffers(model)
    state = {n: tensor.detach().cpu().contiguous() for n, tensor in plain_state(model).items() if n not in of_run}
    clear_stale(path.parent)
    # safetensors writes to a file of its own beside the one it is asked for, which a killed process leaves; in a folder
    # that bears our mark it is found.
    with write_aside(path) as aside, folder_aside(path) as folder:
        own = folder / FILE_NAME
        save_file(state, own, metadata=header.to_metadata())
        sort_notes(own)  # safetensors orders them at random, and one model has one file
        own.replace(aside)
    return path


def load_model(
    source: str | PathLike[str],
    device: str = "cpu",
    *,
    task: Task | None = None,
    choices: Mapping[str, Any] | None = None,
    download: Download = False,
) -> Model[Any]:
    """Load a model from a file or by its name.

    Args:
        source: A file (`avseg export` writes such files too), a folder with `model.safetensors`, a Hugging Face Hub id,
            `demo`, or a name of `avseg.models.opening.opening_names()`. Models with such a name take open weights from
            the Hub's cache.
        device: A torch device.
        task: The task of a model that opens by name; files have their own.
        choices: Choices of a model that opens by name, such as `{"vocabulary": "dog,guitar"}`.
        download: Whether missing open weights are fetched; a function is asked first.

    Returns:
        The model in evaluation mode, on the device.

    Raises:
        FileNotFoundError: No file, name or Hub id is called so, or open weights are missing.
        ImportError: A model that opens by name needs packages that are not installed.
        ValueError: The file is no model file or has a newer format, its family is unknown, its weights do not fit its
            config, or the model does not have the choices.

    Examples:
        >>> from avseg import load_model
        >>> model = load_model("demo")
        >>> model.config.family, model.task.kind, model.training
        ('tpavi', 'semantic', False)
    """
    if not isinstance(source, ModelSource):
        source = ModelSource(source if isinstance(source, str) else Path(source), choices or {}, download)
    if named := opening_of(source):
        return build_model(*settled(source, *named, task)).to(device).eval()
    if Path(source).suffix in EXPORTED and not Path(source).is_dir():
        refuse_choices(source)
        found: Model[Any] = imported("avseg.export.opening:open_exported")(Path(source), device)
        return found
    path, header, config, task = _of_file(source)
    try:
        with WithoutInitialisation():
            model = build_model(config, task)
        model.options = config.former_options(header.config)
    except _UNFIT as error:
        raise ValueError(_no_model(path, error)) from error
    load_strictly(model, read_safetensors(path), str(path))
    model.descent = header.descent
    return model.to(device).eval()


def fetch_weights(source: ModelSource) -> ModelConfig:
    """Download the open weights of a name or a model file.

    Returns:
        Its config, with their commits.

    Raises:
        FileNotFoundError: weights that cannot be had.
        ValueError: a model that has its weights in its file.
    """
    if named := opening_of(source):
        return settled(source, *named, None)[0]
    path, header, config, _ = _of_file(source)
    if FAMILIES[header.family].opening is None:
        raise ValueError(f"{path} has its weights in it; wanted a model without, such as {', '.join(opening_names())}")
    return config


_UNFIT = (ValueError, KeyError, TypeError, AttributeError, ArithmeticError, AssertionError)
"""Errors of configs and models that do not fit together."""


def _of_file(source: ModelSource) -> tuple[Path, Header, ModelConfig, Task]:
    """Return the header of a model file, with all its open weights in the cache."""
    refuse_choices(source)
    path = find_file(source)
    header = read_header(path)
    spec = spec_of(header, path)
    try:
        config, task = from_dict(spec.config, header.config), Task.from_dict(header.task)
    except _UNFIT as error:
        raise ValueError(_no_model(path, error)) from error
    return path, header, ready(source, spec, config), task


def _no_model(path: Path, error: Exception) -> str:
    return f"{path} is not a whole model file: its config and task make no model ({error})"


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, by name.

    Raises:
        ValueError: the file is cut short or damaged.
    """
    try:
        return load_file(path)
    except (SafetensorError, ValueError, KeyError, RuntimeError) as error:
        raise ValueError(f"{path} is not a whole safetensors file ({error}); fetch or make it again") from error


def load_strictly(module: nn.Module, state: Mapping[str, Tensor], origin: str) -> None:
    """Load a state that fits exactly; what belongs to a run is not in it and stays as it is.

    Either side may come from `torch.compile`.

    Raises:
        ValueError: missing, unknown or misshaped tensors; the first few are named.
    """
    of_run = run_buffers(module)
    state = {plain_name(name): tensor for name, tensor in state.items()}
    own = {name: tensor for name, tensor in plain_state(module).items() if name not in of_run}
    problems = [
        *_listed("missing", (name for name in own if name not in state)),
        *_listed("unknown", (name for name in state if name not in own)),
        *_listed(
            "misshaped", (_shapes(n, state[n], own[n]) for n in own if n in state and state[n].shape != own[n].shape)
        ),
    ]
    if problems:
        raise ValueError(
            f"the weights of {origin} do not fit: {'; '.join(problems)}; use the file that fits this config"
        )
    load_plain(module, state, strict=not of_run)


def _shapes(name: str, got: Tensor, wanted: Tensor) -> str:
    return f"{name} {tuple(got.shape)}, wanted {tuple(wanted.shape)}"


def _listed(what: str, names: Iterable[str], most: int = 5) -> list[str]:
    """Nothing, or one phrase with the first few names and how many more there are."""
    found = list(names)
    if not found:
        return []
    more = f" and {len(found) - most} more" if len(found) > most else ""
    return [f"{len(found)} tensor(s) {what}: {', '.join(found[:most])}{more}"]
