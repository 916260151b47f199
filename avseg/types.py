"""The few types that everything else speaks: task, clip, batch, targets, predictions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

from avseg.host import on_host, sent
from avseg.targets import IGNORE as IGNORE
from avseg.targets import DenseTarget as DenseTarget
from avseg.targets import InstanceTarget as InstanceTarget
from avseg.targets import Rle as Rle
from avseg.targets import Target as Target
from avseg.targets import TrackTarget as TrackTarget
from avseg.targets import check_tensor, padded_frames


@dataclass(frozen=True)
class Task:
    """Kind of prediction, and the names of the foreground classes.

    Examples:
        >>> from avseg import Task
        >>> Task("binary").channels, Task("semantic", ("dog", "guitar")).channels
        (1, 3)
    """

    kind: Literal["binary", "semantic", "instance"]
    """`binary` and `semantic` tasks have label maps; `instance` tasks have tracked objects."""
    classes: tuple[str, ...] = ()
    """Foreground names; `classes[i - 1]` is that of class id i. Binary tasks have none."""

    def __post_init__(self) -> None:
        if self.kind not in ("binary", "semantic", "instance"):
            raise ValueError(f"task kind {self.kind!r} is none of binary, semantic, instance")
        object.__setattr__(self, "classes", tuple(self.classes))
        if (self.kind == "binary") == bool(self.classes):
            raise ValueError(
                f"a {self.kind} task got {len(self.classes)} class names; binary has none, the others some"
            )

    @property
    def channels(self) -> int:
        """Channels of a dense network's logits: 1 (sigmoid) for binary tasks, K + 1 (softmax) for others."""
        return len(self.classes) + 1 if self.classes else 1

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain JSON types."""
        return {"kind": self.kind, "classes": list(self.classes)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Task:
        """Make a task from what `to_dict` gave."""
        return cls(values["kind"], tuple(values.get("classes", ())))


@dataclass(frozen=True, eq=False)
class DensePrediction:
    """The prediction of a binary or semantic model for one clip.

    It keeps logits at the network's resolution; each method makes a full-size picture of one frame when it is called.

    Examples:
        >>> import torch
        >>> from avseg import DensePrediction
        >>> prediction = DensePrediction("clip", torch.tensor([[[[4.0, -4.0]]]]), size=(1, 2))  # one frame of 1 x 2
        >>> prediction.labels(0).tolist(), prediction.foreground(0).round(decimals=2).tolist()
        ([[1, 0]], [[0.9800000190734863, 0.019999999552965164]])
    """

    id: str
    """The id of the clip."""
    logits: Tensor
    """(T, C, h, w) at the network's resolution; C = 1 (sigmoid) or K + 1 (softmax)."""
    size: tuple[int, int]
    """(H, W) of the pictures that the methods make."""

    def __post_init__(self) -> None:
        check_tensor("prediction logits", self.logits, ("T", "C", "h", "w"))

    def full_logits(self, frame: int) -> Tensor:
        """(C, H, W) float32 logits of one frame, resized bilinearly to `size`."""
        return _sized(self.logits[frame].float(), self.size)

    def probabilities(self, frame: int) -> Tensor:
        """(C, H, W) sigmoid (C = 1) or softmax probabilities of one frame."""
        logits = self.full_logits(frame)
        return logits.sigmoid() if logits.shape[0] == 1 else logits.softmax(0)

    def foreground(self, frame: int) -> Tensor:
        """(H, W) probabilities that a pixel belongs to any sounding object."""
        probabilities = self.probabilities(frame)
        return probabilities[0] if probabilities.shape[0] == 1 else 1 - probabilities[0]

    def labels(self, frame: int, threshold: float = 0.5) -> Tensor:
        """(H, W) int64 class ids of one frame; in binary tasks, probabilities above `threshold` are foreground."""
        if self.logits.shape[1] == 1:
            return (self.probabilities(frame)[0] > threshold).long()
        logits = self.logits[frame].float()
        # Interpolation is linear: a class below the background everywhere on the small map never wins.
        rivals = ((logits - logits[:1]).flatten(1).amax(1) >= 0).nonzero()[:, 0]  # (R,), the background among them
        if len(rivals) < 2:
            return torch.zeros(self.size, dtype=torch.int64, device=logits.device)
        # The indices of max are those of argmax, found several times faster along a first axis.
        return rivals[_sized(logits[rivals], self.size).max(0).indices]


def _sized(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """(C, h, w) logits brought to `size` by bilinear interpolation, where that differs."""
    if tuple(logits.shape[-2:]) == tuple(size):
        return logits
    return F.interpolate(logits[None], size=size, mode="bilinear", align_corners=False)[0]


@dataclass(frozen=True, eq=False)
class InstancePrediction:
    """The prediction of an instance model for one clip: N tracks of T frames.

    Examples:
        >>> import torch
        >>> from avseg import InstancePrediction
        >>> mask, one = {"size": [1, 2], "counts": "01"}, torch.ones(1, dtype=torch.int64)
        >>> InstancePrediction("clip", [[mask, None]], one.float(), one, one, size=(1, 2)).masks[0][1]  # silent
    """

    id: str
    """The id of the clip."""
    masks: list[list[Rle | None]]
    """N tracks of T entries. None stands for a silent frame and differs from an empty mask."""
    scores: Tensor
    """(N,) float32."""
    classes: Tensor
    """(N,) int64, 1..K."""
    track_ids: Tensor
    """(N,) int64."""
    size: tuple[int, int]
    """(H, W) of the masks."""

    def __post_init__(self) -> None:
        for name in ("scores", "classes", "track_ids"):
            check_tensor(f"prediction {name}", getattr(self, name), (len(self.masks),))


Prediction: TypeAlias = DensePrediction | InstancePrediction


@dataclass(frozen=True)
class Draw:
    """Seed and epoch, for models that draw random numbers in training."""

    seed: int
    """The seed of the run."""
    epoch: int
    """The epoch, from 0."""

    def generator(self, *more: int) -> torch.Generator:
        """A CPU generator that follows (seed, epoch, *more)."""
        from random import Random

        key = ":".join(map(str, (self.seed, self.epoch, *more)))
        return torch.Generator().manual_seed(Random(key).getrandbits(63))


@dataclass(frozen=True, eq=False)
class Clip:
    """One clip: frames, their times, and sound on the same clock.

    Raises:
        ValueError: A tensor of another shape or type, more than two channels of sound, or a target or audio features
            for another number of frames.

    Examples:
        >>> import torch
        >>> from avseg import Clip
        >>> frames = torch.zeros(5, 3, 224, 224, dtype=torch.uint8)
        >>> clip = Clip("silent", frames, torch.arange(5.0, dtype=torch.float64), torch.zeros(1, 80000), 16000)
        >>> clip.rate, clip.end, clip.result_size, clip.take([0, 2]).times.tolist()
        (1.0, 5.0, (224, 224), [0.0, 2.0])
    """

    id: str
    """A name that is unique in its data set."""
    frames: Tensor
    """(T, 3, H, W) uint8 RGB."""
    times: Tensor
    """(T,) float64 s, the nominal time of each frame; its window of sound is placed relative to this time."""
    audio: Tensor
    """(A, S) float32 in [-1, 1]; A = 1 (mono) or 2 (left, right)."""
    sample_rate: int
    """Hz of the sound."""
    audio_start: float = 0.0
    """Time of the first sample in s; sound may begin before the first frame and end after the last."""
    target: Target | None = None
    """The ground truth, if there is one."""
    audio_features: Tensor | None = None
    """(T, ...) log-mel patches or embeddings that a data set ships, used in place of the sound."""
    output_size: tuple[int, int] | None = None
    """(H, W) of predictions; None is the size of the frames."""
    shown: Tensor | None = None
    """(T,) float64 s, when each frame is shown, if that differs from its nominal time: a method may take the picture at
    another moment of its window (`avseg.config.Temporal.shown_after`)."""

    def __post_init__(self) -> None:
        name = f"clip {self.id!r}"
        check_tensor(f"{name} frames", self.frames, ("T", 3, "H", "W"), torch.uint8)
        check_tensor(f"{name} times", self.times, (self.frames.shape[0],), torch.float64)
        check_tensor(f"{name} audio", self.audio, ("A", "S"), torch.float32)
        if self.shown is not None:
            check_tensor(f"{name} shown", self.shown, (self.frames.shape[0],), torch.float64)
        if self.audio.shape[0] not in (1, 2):
            raise ValueError(f"{name} has {self.audio.shape[0]} audio channels, wanted 1 or 2; mix them down first")
        if self.sample_rate <= 0:
            raise ValueError(f"{name} has sample rate {self.sample_rate}, wanted a positive number of Hz")
        if self.target is not None and self.target.annotated.shape[0] != self.frames.shape[0]:
            raise ValueError(f"{name} has {len(self.frames)} frames but truth for {len(self.target.annotated)}")
        if self.audio_features is not None and self.audio_features.shape[0] != self.frames.shape[0]:
            raise ValueError(
                f"{name} has {len(self.frames)} frames but audio features for {self.audio_features.shape[0]}"
            )

    @property
    def result_size(self) -> tuple[int, int]:
        """(H, W) of predictions: `output_size`, or the size of the frames."""
        return self.output_size or (self.frames.shape[2], self.frames.shape[3])

    @property
    def shown_at(self) -> Tensor:
        """(T,) float64 times in s at which the frames are shown."""
        return self.times if self.shown is None else self.shown

    @property
    def rate(self) -> float:
        """Frames per second on average; 1 for a clip of one frame."""
        span = float(self.shown_at[-1] - self.shown_at[0])
        return (len(self.frames) - 1) / span if span > 0 else 1.0

    @property
    def end(self) -> float:
        """End of the last frame in s: one average step after its begin, or the end of the sound if that is earlier."""
        last = float(self.shown_at[-1])
        sound = self.audio_start + self.audio.shape[1] / self.sample_rate
        return min(last + 1 / self.rate, sound if sound > last else math.inf)

    def take(self, frames: Sequence[int]) -> Clip:
        """Keep some frames with their features and targets; the sound stays whole, since windows are cut by time."""
        index = torch.as_tensor(list(frames), dtype=torch.int64)
        return replace(
            self,
            frames=self.frames[index],
            times=self.times[index],
            shown=None if self.shown is None else self.shown[index],
            target=None if self.target is None else self.target.take(index),
            audio_features=None if self.audio_features is None else self.audio_features[index],
        )


@dataclass(frozen=True, eq=False)
class Batch:
    """B clips of T frames, padded to one shape.

    Examples:
        >>> import torch
        >>> from avseg import Batch, Clip
        >>> def clip(name, frames):
        ...     pictures = torch.zeros(frames, 3, 32, 32, dtype=torch.uint8)
        ...     return Clip(name, pictures, torch.arange(frames).double(), torch.zeros(1, 16000 * frames), 16000)
        >>> batch = Batch.collate([clip("short", 1), clip("long", 2)])
        >>> len(batch), tuple(batch.frames.shape), batch.valid.tolist()
        (2, (2, 2, 3, 32, 32), [[True, False], [True, True]])
    """

    ids: list[str]
    """(B,) ids of the clips."""
    frames: Tensor
    """(B, T, 3, H, W) uint8, zero-padded right and below."""
    times: Tensor
    """(B, T) float64 s, the nominal times of the frames."""
    valid: Tensor
    """(B, T) bool, False for padded frames."""
    sizes: Tensor
    """(B, 2) int64, (H, W) before padding."""
    audio: Tensor
    """(B, A, S) float32, zero-padded at the end."""
    audio_lengths: Tensor
    """(B,) int64, samples before padding."""
    audio_start: Tensor
    """(B,) float64 s, times of the first samples."""
    sample_rate: int
    """Hz of the sound."""
    output_sizes: list[tuple[int, int]]
    """(H, W) of the predictions of each clip."""
    targets: list[Target] | None = None
    """Ground truth of each clip, padded to T frames."""
    audio_features: Tensor | None = None
    """(B, T, ...) audio features, zero-padded."""
    draw: Draw | None = None
    """Seed and epoch, which a loader adds for training."""
    index: list[int] = field(default_factory=list)
    """Places of the clips in their data set, if a loader made the batch."""

    @classmethod
    def collate(cls, clips: Sequence[Clip], frames: int | None = None) -> Batch:
        """Stack clips and pad them to `frames` frames, or to the longest clip.

        Raises:
            ValueError: No clip, a clip with more frames, or clips that differ in sample rate, channels or features.
        """
        if not clips:
            raise ValueError("a batch needs at least one clip, got none")
        length = frames or max(len(clip.frames) for clip in clips)
        for clip in clips:
            _check_alike(clip, clips[0], length)
        height = max(clip.frames.shape[2] for clip in clips)
        width = max(clip.frames.shape[3] for clip in clips)
        samples = max(clip.audio.shape[1] for clip in clips)
        pictures = clips[0].frames.new_zeros(len(clips), length, 3, height, width)
        sound = clips[0].audio.new_zeros(len(clips), clips[0].audio.shape[0], samples)
        for i, clip in enumerate(clips):
            t, _, h, w = clip.frames.shape
            pictures[i, :t, :, :h, :w] = clip.frames
            sound[i, :, : clip.audio.shape[1]] = clip.audio
        counts = torch.tensor([len(clip.frames) for clip in clips])
        return cls(
            ids=[clip.id for clip in clips],
            frames=pictures,
            times=torch.stack([_continued(clip.times, length) for clip in clips]),
            valid=torch.arange(length)[None] < counts[:, None],
            sizes=torch.tensor([clip.frames.shape[2:] for clip in clips]),
            audio=sound,
            audio_lengths=torch.tensor([clip.audio.shape[1] for clip in clips]),
            audio_start=torch.tensor([clip.audio_start for clip in clips], dtype=torch.float64),
            sample_rate=clips[0].sample_rate,
            output_sizes=[clip.result_size for clip in clips],
            targets=_collate_targets(clips, length),
            audio_features=_collate_features(clips, length),
        )

    @property
    def judged(self) -> Tensor:
        """(B, T) bool, the frames that exist and are annotated; only for batches with targets."""
        annotated = torch.stack([on_host(target.annotated) for target in self.targets or []])
        return sent(annotated & on_host(self.valid), self.valid.device)

    def to(self, device: torch.device | str) -> Batch:
        """Copy the batch to a device; the host keeps its own copy of flags (`avseg.host`)."""
        moved: dict[str, Any] = {
            f.name: sent(getattr(self, f.name), device)
            for f in fields(self)
            if isinstance(getattr(self, f.name), Tensor)
        }
        if self.targets is not None:
            moved["targets"] = [target.to(device) for target in self.targets]
        return replace(self, **moved)

    def __len__(self) -> int:
        return len(self.ids)


def _check_alike(clip: Clip, first: Clip, length: int) -> None:
    if not 1 <= len(clip.frames) <= length:
        raise ValueError(f"clip {clip.id!r} has {len(clip.frames)} frames, wanted 1 to {length}")
    for what in ("sample_rate", "audio channels", "audio features", "target"):
        a, b = _trait(clip, what), _trait(first, what)
        if a != b:
            raise ValueError(f"clips {first.id!r} and {clip.id!r} differ in {what} ({b} and {a}); a batch needs one")


def _trait(clip: Clip, what: str) -> Any:
    if what == "sample_rate":
        return clip.sample_rate
    if what == "audio channels":
        return clip.audio.shape[0]
    if what == "target":
        return type(clip.target).__name__
    return None if clip.audio_features is None else tuple(clip.audio_features.shape[1:])


def _collate_targets(clips: Sequence[Clip], length: int) -> list[Target] | None:
    targets = [clip.target.padded(length) for clip in clips if clip.target is not None]
    return targets if targets else None


def _collate_features(clips: Sequence[Clip], length: int) -> Tensor | None:
    features = [clip.audio_features for clip in clips if clip.audio_features is not None]
    return torch.stack([padded_frames(f, length - len(f)) for f in features]) if features else None


def _continued(times: Tensor, length: int) -> Tensor:
    """Times of padded frames go on in the clip's last step (one second where there is but one frame)."""
    step = times[-1] - times[-2] if len(times) > 1 else times.new_tensor(1.0)
    more = torch.arange(1, length - len(times) + 1, dtype=times.dtype) * step + times[-1]
    return torch.cat([times, more])
