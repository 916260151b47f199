"""The commands of `avseg data`. No torch is imported before one of them runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from tyro.conf import Positional, arg

from avseg.commands.words import File
from avseg.prepare.vpo.options import BuildOptions
from avseg.synth.options import MoreOptions


def synth(
    name: Positional[Literal["s4", "ms3", "avs_1s7m", "avss", "single", "aviseg", "vpo_ss", "vpo_ms", "vpo_msmi"]],
    root: Path,
    clips: int = 100,
    seed: int = 0,
    difficulty: Literal["easy", "standard", "hard"] = "standard",
    workers: int = 0,
    video: bool = True,
    size: tuple[int, int] | None = None,
    more: Annotated[MoreOptions, arg(name="")] = MoreOptions(),
) -> int:
    """Write synthetic clips in the layout of a data set; VPO is built of them as it is of real ones.

    Args:
        name: The data set whose layout is written.
        root: Folder to write.
        clips: Number of clips, over all splits.
        seed: The same seed gives the same bytes.
        difficulty: How hard the clips are.
        workers: Number of processes; 0 takes one for every core.
        video: Write the raw MP4 files as well. VPO has none; for AVISeg see --movies.
        size: Height and width of the pictures. The default is 224 224, for VPO 240 320, for AVISeg 360 640.
        more: Choices of single data sets.
    """
    from avseg.synth.writers import write

    special: dict[str, Any] = {"size": size} if size else {}
    special |= more.of(name) or {"video": video, "stereo": more.stereo}
    print(write(name, root, clips, seed, difficulty=difficulty, workers=workers, **special))
    return 0


def prepare(
    name: Positional[Literal["s4", "ms3", "avss", "aviseg"]],
    raw: Path,
    root: Path,
    vggish: Path | None = None,
    short: Literal["zeros", "silence"] = "zeros",
    resampling: Literal["exact", "resampy_0.2", "resampy_0.4"] = "resampy_0.2",
    workers: int = 0,
) -> int:
    """Make the folder of a data set from raw videos and label files; a stopped run goes on where it was.

    Args:
        name: The data set.
        raw: Folder with the raw videos and the meta-data CSV (AVISeg: the JSON files and movies, or frames and sounds).
        root: Folder to write.
        vggish: aviseg: the published VGGish weights; without them no features of the sound are made.
        short: aviseg: what stands for a second whose sound ends too early: log-mel zeros, as published, or silence.
        resampling: aviseg: how sound is brought to 16 kHz for the features (docs/audio.md): as resampy up to 0.2.2 did,
            as it does from 0.3 on, or exactly. Which version made the shipped features is unknown.
        workers: Number of processes; 0 takes one for every core.
    """
    if name == "aviseg":
        from avseg.models.convert import read_checkpoint
        from avseg.prepare.aviseg import prepare_aviseg

        weights = None if vggish is None else read_checkpoint(vggish)
        report = prepare_aviseg(raw, root, vggish=weights, short=short, resampling=resampling, workers=workers)
    else:
        from avseg.prepare import prepare

        if vggish is not None or (short, resampling) != ("zeros", "resampy_0.2"):
            raise ValueError(f"--vggish, --short and --resampling are of AVISeg's features of sound; {name} has none")
        report = prepare(name, raw, root, workers=workers)
    print(report)
    return report.exit_code


def build_vpo(
    kind: Positional[Literal["ss", "ms", "msmi"]],
    instances: Path,
    images: Path,
    sounds: File[Path],
    out: Path,
    seed: int = 0,
    stereo: bool = False,
    options: Annotated[BuildOptions, arg(name="")] = BuildOptions(),
) -> int:
    """Build VPO-SS, VPO-MS or VPO-MSMI from COCO instances and labelled sounds; a stopped run goes on where it was.

    Args:
        kind: One sounding object, several classes, or several instances of one class told apart by position.
        instances: COCO instances JSON.
        images: Folder of the COCO pictures.
        sounds: CSV of (clip, label) or of (YouTube id, start, label, split), as VGGSound's.
        out: Folder to write.
        seed: The same seed gives the same bytes.
        stereo: Pan what is rendered, on the report page too; the set itself serves mono and stereo.
        options: All other choices.
    """
    from avseg.prepare.vpo.build import build_vpo

    report = build_vpo(kind, instances, images, sounds, out, seed, stereo=stereo, options=options)
    print(report)
    return report.exit_code


def check(name: Positional[Literal["s4", "ms3", "avss", "aviseg", "vpo_ss", "vpo_ms", "vpo_msmi"]], root: Path) -> int:
    """Print what is missing or wrong in the folder of a data set; the exit status is then 1.

    Args:
        name: The data set.
        root: The folder of the data set.
    """
    from avseg.prepare.check import check

    report = check(name, root)
    print(report)
    return report.exit_code
