"""Data sets by name, each in its own package. torch is imported only when a data set is opened."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avseg.config import choices_of, from_dict, to_dict
from avseg.data.config import DataConfig, defaults_of, option_of
from avseg.datasets.spec import DatasetSpec as DatasetSpec
from avseg.lazy import imported
from avseg.registry import Registry

if TYPE_CHECKING:
    from avseg.data.base import ClipDataset

DATASETS: Registry[DatasetSpec] = Registry(
    "data set",
    "avseg.datasets",
    {
        "s4": "avseg.datasets.avsbench.spec:S4",
        "ms3": "avseg.datasets.avsbench.spec:MS3",
        "avs_1s7m": "avseg.datasets.avsbench.spec:AVS_1S7M",
        "avss": "avseg.datasets.avss.spec:AVSS",
        "single": "avseg.datasets.single.spec:SINGLE",
        "vpo_ss": "avseg.datasets.vpo.spec:VPO_SS",
        "vpo_ms": "avseg.datasets.vpo.spec:VPO_MS",
        "vpo_msmi": "avseg.datasets.vpo.spec:VPO_MSMI",
        "aviseg": "avseg.datasets.aviseg.spec:AVISEG",
        "folder": "avseg.datasets.folder.spec:FOLDER",
        "synth": "avseg.datasets.world.spec:SYNTH",
    },
)
"""The record of every data set, imported on use; one line a data set."""

SPLITS = ("train", "val", "test")

__all__ = [
    "DATASETS",
    "SPLITS",
    "DatasetSpec",
    "build_dataset",
    "data_config",
    "list_datasets",
    "own_config",
    "read_config",
    "spec_of",
    "without_foreign",
]


def list_datasets() -> list[str]:
    """List the names of all data sets, those of installed packages and plug-ins included.

    Examples:
        >>> from avseg import list_datasets
        >>> "s4" in list_datasets(), "aviseg" in list_datasets()
        (True, True)
    """
    return list(DATASETS)


def spec_of(config: DataConfig) -> DatasetSpec:
    """The record of the data set that a config names; of one that is not registered, a record of defaults."""
    return DATASETS.get(config.name) or DatasetSpec(config.name, type(config), "", "", "")


def data_config(name: str, **options: Any) -> DataConfig:
    """Make the config of a data set.

    Args:
        name: A name of `avseg.list_datasets()`.
        options: Fields of its config.

    Raises:
        ValueError: An unknown name, an option that the data set does not have, or a word that is no choice.

    Examples:
        >>> from avseg.datasets import data_config
        >>> data_config("s4", root="AVSBench", audio="log_mel").audio
        'log_mel'
    """
    kind = DATASETS.find(name).config
    _refuse([option for option in options if option not in defaults_of(kind)], name)
    return kind(name=name, **options)


def own_config(config: DataConfig) -> DataConfig:
    """A config of any kind as that of the data set that it names; of one that is not registered, as it is.

    Raises:
        ValueError: an option that the data set does not have, with another value than its default.
    """
    if config.name not in DATASETS or type(config) is DATASETS[config.name].config:
        return config
    own = defaults_of(DATASETS[config.name].config)
    _refuse([option for option in config.changed() if option not in own], config.name)
    return data_config(**{field: getattr(config, field) for field in defaults_of(type(config)) if field in own})


def renamed_config(config: DataConfig, name: str) -> DataConfig:
    """The config of another data set, with the values of `config` for the options that it has and takes."""
    own, words = defaults_of(DATASETS[name].config), choices_of(DATASETS[name].config)
    kept = {}
    for option in config.changed():
        value = getattr(config, option)
        given = value if isinstance(value, tuple) else (value,)
        if option in own and (option not in words or {*given} <= {*words[option]}):
            kept[option] = value
    return data_config(name, **kept)


def read_config(kind: type[DataConfig], values: dict[str, Any]) -> DataConfig:
    """A config from JSON; earlier versions wrote the options of all data sets into every one.

    Args:
        kind: Of a data set that is not registered; others have their own.
        values: Fields by name.

    Raises:
        ValueError: an option that the data set does not have, with another value than its default.
    """
    name, values = str(values.get("name")), without_foreign(values)
    if name not in DATASETS:
        return from_dict(kind, values)
    own = DATASETS[name].config
    _refuse([key for key in values if key not in defaults_of(own)], name)
    return from_dict(own, values)


def without_foreign(values: dict[str, Any]) -> dict[str, Any]:
    """A config as JSON without options of other data sets that have their defaults."""
    if values.get("name") not in DATASETS:
        return values
    own = defaults_of(DATASETS[values["name"]].config)
    return {key: value for key, value in values.items() if key in own or value not in _defaults(key)}


def foreign_option(option: str, name: str) -> str | None:
    """Return a message about an option that the data set `name` ("": none was named) lacks but others have."""
    of = [other for other in DATASETS if option in defaults_of(DATASETS[other].config)]
    if not of or name in of:
        return None
    if not name:
        return f"{option_of(option)} belongs to {', '.join(of)}; name the data set with --data.name"
    return _foreign([option], name)


def _refuse(options: Sequence[str], name: str) -> None:
    if options:
        raise ValueError(_foreign(options, name))


def _foreign(options: Sequence[str], name: str) -> str:
    wrong = []
    for option in options:
        of = [other for other in DATASETS if option in defaults_of(DATASETS[other].config)]
        wrong.append(f"{option} ({option_of(option)}{', of ' + ', '.join(of) if of else ''})")
    shared = defaults_of(DataConfig)
    has = ", ".join(option for option in defaults_of(DATASETS[name].config) if option not in shared)
    has = f"in addition to the shared options it has {has}" if has else "it has no options of its own"
    return f"the data set {name!r} has no option {' or '.join(wrong)}; {has}"


def _defaults(option: str) -> list[Any]:
    """Return the default of an option of any data set, as JSON."""
    return [to_dict(spec.config())[option] for spec in DATASETS.values() if option in defaults_of(spec.config)]


def build_dataset(config: DataConfig, split: str, root: Path | None = None) -> ClipDataset:
    """Open a split of a data set.

    Args:
        config: The data set and how it is read, as `avseg.datasets.data_config` makes it.
        split: `train`, `val` or `test`.
        root: The folder of the data set, in place of `config.root`.

    Returns:
        The data set; `dataset[i]` reads a `Clip`.

    Raises:
        ValueError: An unknown name or split, an option of another data set, no folder, or a table (CSV) that does not
            fit the data set.
        FileNotFoundError: The folder does not exist, or it lacks the table of the data set.

    Examples:
        >>> from avseg import build_dataset
        >>> from avseg.datasets import data_config
        >>> dataset = build_dataset(data_config("synth", held_out_clips=8, frames=2, size=64), "test")
        >>> clip = dataset[0]
        >>> len(dataset), tuple(clip.frames.shape), clip.sample_rate
        (8, (2, 3, 64, 64), 16000)
    """
    if not config.name:
        raise ValueError(f"no data set given; use --data.name with one of {', '.join(DATASETS)}")
    spec, config = DATASETS.find(config.name), own_config(config)
    if split not in SPLITS:
        raise ValueError(f"there is no split {split!r}; known: {', '.join(SPLITS)}")
    root = root or config.root
    if config.shards is not None:
        return _from_shards(config, spec, split, root)
    if root is None and not spec.in_memory:
        raise ValueError(f"the data set {config.name!r} needs its folder; give --data.root DIR, or --data.shards")
    if root is not None and not spec.in_memory and not Path(root).is_dir():
        raise FileNotFoundError(f"the folder {root} of the data set {config.name!r} does not exist")
    return _with_suite(imported(spec.open)(config, split, root and Path(root)), config, spec)


def _from_shards(config: DataConfig, spec: DatasetSpec, split: str, root: Path | None) -> ClipDataset:
    if spec.in_memory:
        raise ValueError(f"the data set {config.name!r} is made in memory and has no shards; leave out --data.shards")
    if root is not None:
        raise ValueError(
            f"the data set {config.name!r} has a folder, {root}, and shards, {config.shards}; leave out --data.root or "
            "--data.shards"
        )
    opened = imported("avseg.shards.dataset:open_shards")(config, split, config.shards)
    return _with_suite(opened, config, spec)


def _with_suite(dataset: ClipDataset, config: DataConfig, spec: DatasetSpec) -> ClipDataset:
    dataset.config, dataset.suite = config, config.suite or dataset.suite or spec.suite
    return dataset
