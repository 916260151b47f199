"""The synthetic world under the name `synth`: made in memory, no folder needed."""

from __future__ import annotations

from pathlib import Path

from avseg.data.config import option_of
from avseg.datasets.world.clips import SynthDataset
from avseg.datasets.world.config import WorldConfig
from avseg.datasets.world.videos import SynthVideos
from avseg.synth.programme import VideoSpec


def open_synth(config: WorldConfig, split: str, root: Path | None = None) -> SynthDataset | SynthVideos:
    """One split of the world `config.seed`; val and test share no clip with each other or with training.

    The kind `instance` gives long videos of `config.frames` seconds with tracks (`avseg.datasets.world.videos`).

    Raises:
        ValueError: a folder, an option of another kind, or another sample rate than the world's 16 kHz.
    """
    _refuse_other_kind(config)
    if config.root is not None or root is not None:
        raise ValueError(
            f"the data set {config.name!r} is made in memory and needs no folder, "
            f"but --data.root is {config.root or root}; "
            "leave it out, or name the data set in that folder (--data.name)"
        )
    if config.sample_rate != 16000:
        raise ValueError("the synthetic world has sound at 16 kHz; use --data.sample-rate 16000")
    clips = config.clips if split == "train" else config.held_out_clips
    if config.kind == "instance":
        return _open_videos(config, split, clips)
    dataset = SynthDataset(
        clips,
        config.seed,
        split=split,
        task=config.kind,
        difficulty=config.difficulty,
        frames=config.frames,
        size=config.size,
        stereo=config.stereo,
    )
    dataset.keep = config.keep
    return dataset


def _open_videos(config: WorldConfig, split: str, videos: int) -> SynthVideos:
    spec = VideoSpec(config.difficulty, (config.frames, config.frames), config.size)
    return SynthVideos(videos, config.seed, split=split, spec=spec, stereo=config.stereo)


def _refuse_other_kind(config: WorldConfig) -> None:
    foreign = ("keep",) if config.kind == "instance" else ("compat",)
    wrong = [option_of(name) for name in config.changed() if name in foreign]
    if wrong:
        raise ValueError(f"{config.name!r} has no option {wrong[0]} with kind {config.kind!r}; leave it out")
