"""`avseg data build-vpo`. Imports no torch before it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from avseg.datasets.vpo.build.options import BuildOptions, Kind
from avseg.datasets.vpo.build.records import BuildReport


def build(
    kind: Positional[Kind],
    instances: Path,
    images: Path,
    sounds: Annotated[Path, arg(metavar="FILE")],
    out: Path,
    seed: int = 0,
    stereo: bool = False,
    options: BuildOptions = BuildOptions(),
) -> BuildReport:
    """Build VPO-SS, VPO-MS or VPO-MSMI from COCO instances and labelled sounds; a second run continues a stopped one.

    Args:
        kind: One sounding object, several classes, or several instances of one class told apart by position.
        instances: COCO instances JSON.
        images: Folder of the COCO pictures.
        sounds: CSV of (clip, label) or of (YouTube id, start, label, split), as VGGSound's.
        out: Folder to write.
        seed: The same seed gives the same bytes.
        stereo: Pan what is rendered, on the report page too; the set itself serves mono and stereo.
    """
    from avseg.datasets.vpo.build.build import build_vpo

    return build_vpo(kind, instances, images, sounds, out, seed, stereo=stereo, options=options)
