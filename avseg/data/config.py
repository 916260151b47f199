"""What a recipe says of its data. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class DataConfig:
    """A data set by its name in `avseg.data.DATASETS`, where it lies, and how it is read."""

    name: str = "s4"
    """The data set: s4, ms3, avs_1s7m, avss, single, vpo_ss, vpo_ms, vpo_msmi, aviseg, synth (synthetic world)."""
    root: Path | None = None
    """The folder of the data set; `synth` has none."""
    audio: Literal["wav", "log_mel", "features"] = "wav"
    """Read the sound, the log-mel pickles that S4 and MS3 ship, or the vectors of sound that AVISeg ships."""
    sample_rate: int = 16000
    """Sounds of another rate are resampled on reading."""
    mask_mode: Literal["auto", "nonzero", "upstream"] = "auto"
    """MS3: what a mask file's values mean. `nonzero`: everything but 0 is foreground; `upstream`: the value of PIL's
    mode P over 255, rounded; `auto`: `nonzero`, but an error on the first file where the two disagree."""
    stereo: bool = False
    """Keep two channels of sound (VPO: give every source its place); otherwise they are averaged."""
    augment: tuple[
        Literal[
            "flip",
            "colour",
            "mute",
            "one_frame",
            "scale",
            "jitter",
            "size",
            "crop",
            "some_frames",
            "moving_crop",
            "shorter_side",
            "window",
            "photometric",
        ],
        ...,
    ] = ()
    """What happens to a clip while training, in this order. `size` brings it to the network's input, `crop` cuts a
    random part of that size out; where neither is named, sizing comes first. `one_frame` keeps one annotated frame,
    `window` `clip_frames` that follow each other. `photometric` is `colour` with stronger changes, and hue. Of AVISeg:
    `some_frames` draws `clip_frames` of a video, `moving_crop` sizes them and cuts a part out that moves,
    `shorter_side` draws their size."""
    scales: tuple[float, ...] = (0.5, 0.75, 1.0)
    """Factors that `scale` draws from."""
    clip_frames: int = 5
    """Frames that `some_frames` and `window` keep."""
    reach: int = 20
    """How far from its reference frame `some_frames` looks for the others, in frames."""
    sides: tuple[int, ...] = (288, 320, 352, 384, 416, 448, 480, 512)
    """Pixels of the shorter side that `shorter_side` draws from."""
    longest: int = 768
    """Pixels of the longer side at most, after `shorter_side`."""
    compat: tuple[Literal["audio_window", "audio_hop", "relabel", "mono_flip", "merged_val", "replacement"], ...] = ()
    """Published slips to repeat (docs/datasets.md): `audio_window` keeps the end of short sounds and tiles it;
    `audio_hop` lets frame i of S4 and MS3 hear from 2 i s on; `relabel` turns VPO cars beside airplanes into
    airplanes; `mono_flip` mirrors VPO pictures without their sound (published for VPO-SS); `merged_val` makes val and
    test of VPO one split under both names; `replacement` lets `some_frames` draw a frame twice."""
    labels_at: Literal["auto", "file", "input"] = "auto"
    """Where predictions are judged: at the size of the label files, or at that of the network's input; `auto` is the
    data set's own protocol."""
    suite: str | None = None
    """Metric suite of validation and evaluation. The default is the data set's own."""
    parts: tuple[Literal["v1s", "v1m", "v2"], ...] = ()
    """AVSS: only clips of these parts. By default all are read."""
    mix: dict[str, int] = field(default_factory=dict)
    """avs_1s7m: how often an epoch of training has the clips of S4 and of MS3; empty: `s4` once and `ms3` seven times.
    What is not named, or comes 0 times, is in no split."""
    binary: bool = False
    """AVSS and Single+: every class is foreground; `target.sounding` still tells the classes. S4 and MS3 are so."""
    silent_videos: bool = False
    """AVISeg: train on videos in which nothing ever sounds as well; the published training leaves them out."""
    sounds: Path | None = None
    """VPO: the folder of the sounds; by default vggsound_bench/VGGSound/audios below `root`."""
    difficulty: Literal["easy", "standard", "hard"] = "standard"
    """Synthetic world: how hard its clips are."""
    kind: Literal["binary", "semantic", "instance"] = "binary"
    """Synthetic world: the task; `instance` gives long videos with tracks, like AVISeg."""
    clips: int = 1000
    """Synthetic world: clips of the training split."""
    held_out_clips: int = 40
    """Synthetic world: clips of the val split, and of the test split."""
    frames: int = 5
    """Synthetic world: frames of a clip, one second apart."""
    size: int = 224
    """Synthetic world: height and width of the pictures in pixels."""
    keep: bool = False
    """Synthetic world: a clip stays in memory once it is made, half a megabyte of five frames of 64 x 64."""
    seed: int = 0
    """Synthetic world: another seed is another world; the splits of one seed share no clip."""
