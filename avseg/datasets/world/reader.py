"""The synthetic world under the name `synth`: made in memory, no folder needed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from avseg.data.config import DataConfig
from avseg.datasets.tables import refuse_options

if TYPE_CHECKING:
    from avseg.datasets.world.clips import SynthDataset
    from avseg.datasets.world.videos import SynthVideos


OPTIONS = ("difficulty", "kind", "clips", "held_out_clips", "frames", "size", "seed")


def open_synth(config: DataConfig, split: str, root: Path | None = None) -> SynthDataset | SynthVideos:
    """One split of the world `config.seed`; val and test share no clip with each other or with training.

    The kind `instance` gives long videos of `config.frames` seconds with tracks (`avseg.datasets.world.videos`).

    Raises:
        ValueError: log-mel windows are asked for, or another sample rate than the world's 16 kHz.
    """
    from avseg.datasets.world.clips import SynthDataset

    compat = ("replacement",) if config.kind == "instance" else ()
    # The world's own fields; of `audio` it has nothing else, which is refused below in words of its own.
    refuse_options(
        config, (*OPTIONS, *compat, *(("keep",) if config.kind != "instance" else ()), "log_mel", "features")
    )
    if config.root is not None:
        raise ValueError(
            f"the data set 'synth' is made in memory and reads no folder, but --data.root is {config.root}; leave it "
            "out, or name the data set that lies there (--data.name)"
        )
    if config.audio != "wav" or config.sample_rate != 16000:
        raise ValueError("the synthetic world gives sound at 16 kHz; use --data.audio wav --data.sample-rate 16000")
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
    dataset.config, dataset.suite, dataset.keep = config, config.suite or dataset.suite, config.keep
    return dataset


def _open_videos(config: DataConfig, split: str, videos: int) -> SynthVideos:
    from avseg.datasets.world.videos import SynthVideos
    from avseg.synth.programme import VideoSpec

    spec = VideoSpec(config.difficulty, (config.frames, config.frames), config.size)
    dataset = SynthVideos(videos, config.seed, split=split, spec=spec, stereo=config.stereo)
    dataset.config, dataset.suite = config, config.suite or dataset.suite
    return dataset
