"""The page that shows what was built."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from avseg.prepare.vpo.draw import Sample
from avseg.prepare.vpo.options import BuildOptions

if TYPE_CHECKING:
    from avseg.prepare.vpo.build import BuildReport


def write_report(
    report: BuildReport,
    samples: Sequence[Sample],
    positions: Mapping[str, Sequence[float]],
    seed: int,
    stereo: bool,
    options: BuildOptions,
) -> None:
    """Write `report.html` into the set's folder."""
