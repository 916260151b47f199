"""S4 and MS3 as one data set: single and multiple sources trained together, the few clips of MS3 several times.

Ours: of `avs_1s7m` no more than the name is published (docs/explanation/qdformer.md); we read it as S4 once and MS3
seven times.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from torch import Tensor

from avseg.config import did_you_mean
from avseg.data.base import ClipDataset
from avseg.data.geometry import Geometry
from avseg.data.packing import ClipFile, SplitTables
from avseg.data.tables import ClipFiles
from avseg.datasets.avsbench.config import MixedConfig, MS3Config, S4Config
from avseg.datasets.avsbench.reader import LAYOUTS, AVSBenchObject
from avseg.types import Clip, Task

PARTS: dict[str, tuple[type[S4Config], str]] = {"s4": (S4Config, "Single-source"), "ms3": (MS3Config, "Multi-sources")}
"""Options, and the folder below the root as AVSBench ships it; a part may also lie in the root itself."""
ONCE_AND_SEVEN_TIMES = {"s4": 1, "ms3": 7}


class MixedAVSBench(ClipDataset):
    """One split of the parts that `config.mix` names; in training each comes as often as it says, otherwise once.

    A clip that comes several times in an epoch is augmented anew each time. `target.sounding` is what each part has:
    the category in S4, nothing in MS3.
    """

    task = Task("binary")
    config: MixedConfig

    def __init__(self, config: MixedConfig, split: str, root: Path) -> None:
        mix = config.mix or ONCE_AND_SEVEN_TIMES
        if wrong := sorted(set(mix) - set(PARTS)):
            raise ValueError(f"data.mix names {wrong[0]!r}; {did_you_mean(wrong[0], PARTS)}")
        if min(mix.values()) < 0 or not any(mix.values()):
            raise ValueError(f"data.mix is {mix}, wanted how often each part is used, one of them at least once")
        self.config, self.split, self.root = config, split, root
        self.parts = {name: _opened(name, config, split, root) for name in PARTS if mix.get(name)}
        self._places = [
            (name, place)
            for name, part in self.parts.items()
            for _ in range(mix[name] if split == "train" else 1)
            for place in range(len(part))
        ]
        self.ids = [self.parts[name].ids[place] for name, place in self._places]

    def part(self, index: int) -> str:
        """Which data set a clip is of: `s4` or `ms3`."""
        return self._places[index][0]

    def files(self, index: int) -> ClipFiles:
        """Return the paths of a clip's files."""
        name, place = self._places[index]
        return self.parts[name].files(place)

    def clip_files(self, index: int) -> list[ClipFile]:
        """Return those of the part."""
        name, place = self._places[index]
        below = self._below(name)
        return [file._replace(name=below + file.name) for file in self.parts[name].clip_files(place)]

    def tables(self) -> SplitTables:
        """Return the tables of the parts."""
        found = [self._below(part) + name for part in self.parts for name in self.parts[part].tables().whole]
        return SplitTables(tuple(found))

    def _below(self, part: str) -> str:
        root = self.parts[part].root
        return "" if root == self.root else f"{root.name}/"

    def annotated(self, index: int) -> range:
        """Return the annotated frames of a clip."""
        name, place = self._places[index]
        return self.parts[name].annotated(place)

    def length(self, index: int) -> int:
        """Return the number of frames of a clip."""
        name, place = self._places[index]
        return self.parts[name].length(place)

    def sound(self, index: int) -> tuple[Tensor, int]:
        """Return only the sound of a clip."""
        name, place = self._places[index]
        return self.parts[name].sound(place)

    def heard_classes(self, index: int) -> frozenset[str]:
        """Return those of the part."""
        name, place = self._places[index]
        return self.parts[name].heard_classes(place)

    def read(self, index: int, geometry: Geometry | None = None, frames: Sequence[int] | None = None) -> Clip:
        """Read a clip or some of its frames, resized while reading if a geometry is given."""
        name, place = self._places[index]
        return self.parts[name].read(place, geometry, frames)


def _opened(name: str, config: MixedConfig, split: str, root: Path) -> AVSBenchObject:
    kind, folder = PARTS[name]
    own = kind(name, **{f.name: getattr(config, f.name) for f in fields(kind) if f.name != "name"})
    return AVSBenchObject(own, split, root if (root / LAYOUTS[name].table).is_file() else root / folder)
