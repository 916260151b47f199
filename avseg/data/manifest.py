"""The manifest: a file with the sound of each clip, written next to results and used to repeat them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from avseg.data.scenarios import SCENARIOS, Entry
from avseg.io.files import write_text

MANIFEST = "robust.json"
"""Its name."""
FORMAT_VERSION = 1


@dataclass(frozen=True)
class Manifest:
    """Entries by scenario and clip."""

    entries: Mapping[tuple[str, str], Entry] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Manifest:
        """
        Raises:
            ValueError: not such a file.
            FileNotFoundError: no such file.
        """
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"there is no manifest {path}; an earlier run of avseg listen --out DIR writes one")
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            entries = [Entry(**values) for values in content["clips"]]
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise ValueError(
                f"{path} is not a manifest of scenarios ({error}); wanted an object "
                "whose `clips` are a list of scenario, "
                "id, donor, seed and level (docs/how-to/listen.md)"
            ) from error
        for entry in entries:
            if entry.scenario not in SCENARIOS or type(entry.seed) is not int:
                raise ValueError(
                    f"{path} has the scenario {entry.scenario!r} with the seed {entry.seed!r}; wanted one of "
                    f"{', '.join(SCENARIOS)} and a whole number"
                )
        return cls({(entry.scenario, entry.id): entry for entry in entries})


def write_manifest(path: Path, entries: Sequence[Entry], left_out: Mapping[str, str]) -> None:
    """Write which clip got which sound, and why scenarios were left out."""
    lines = ",\n".join("  " + json.dumps(asdict(entry)) for entry in entries)
    head: dict[str, Any] = {"format_version": FORMAT_VERSION, "kind": "avseg.scenarios", "left_out": dict(left_out)}
    write_text(path, f'{json.dumps(head)[:-1]}, "clips": [\n{lines}\n]}}\n')
