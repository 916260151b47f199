"""Clips of the synthetic world: picture, sound and truth from one seed; one picture with many soundtracks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from avseg.synth.classes import CLASSES
from avseg.synth.difficulty import get_difficulty
from avseg.synth.options import LONGEST_SIDE
from avseg.synth.picture import Picture, render
from avseg.synth.scene import Body, Scene, Swing, draw_backdrop, draw_colours, draw_scene, generator
from avseg.synth.soundtrack import Soundtrack, draw_soundtrack, render_sound, soundtrack_for
from avseg.synth.timbres import SAMPLE_RATE
from avseg.types import Clip, DenseTarget, InstanceTarget, Task

SHOWN_AFTER = 15 / 16
"""A frame that stands for [t, t + 1) is the picture at t + 15/16 s, as in the published extraction of AVSBench."""
TASKS = {
    "binary": Task("binary"),
    "semantic": Task("semantic", CLASSES),
    "instance": Task("instance", CLASSES),
}
Kind = Literal["binary", "semantic", "instance"]
SPLITS = {"train": 0, "val": 1_000_000_000, "test": 2_000_000_000}
"""Where the clip numbers of each split begin; no clip is in two splits of one seed."""


@dataclass(frozen=True)
class ClipSpec:
    """The properties of a clip."""

    difficulty: str = "standard"
    frames: int = 5
    """Length in seconds, which is the number of frames at one frame a second."""
    size: int | tuple[int, int] = 224
    """The side in pixels, or (H, W)."""
    stereo: bool = False
    fps: float = 1.0
    sources: int | None = None
    """How many bodies sound at some time; drawn when None."""

    def __post_init__(self) -> None:
        sized = min(self.shape) >= 1 and max(self.shape) <= LONGEST_SIDE
        if self.frames < 1 or not sized or self.fps <= 0 or (self.sources or 0) < 0:
            raise ValueError(
                f"got frames {self.frames}, size {self.size}, fps {self.fps}, sources {self.sources}; "
                f"frames, size and fps must be positive, sides at most {LONGEST_SIDE} pixels, and sources not negative"
            )

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W)."""
        return (self.size, self.size) if isinstance(self.size, int) else self.size


@dataclass(frozen=True, eq=False)
class SynthClip:
    """A rendered clip with all that is known of it. N bodies, T frames."""

    id: str
    scene: Scene
    soundtrack: Soundtrack
    picture: Picture
    times: NDArray[np.float64]
    """(T,) s; frame t stands for [times[t], times[t] + span)."""
    span: float = 1.0
    stereo: bool = False

    @cached_property
    def audio(self) -> NDArray[np.float32]:
        """(A, S) at 16 kHz, made when first asked for; A is 1 or 2."""
        return render_sound(self.scene, self.soundtrack, stereo=self.stereo)

    @property
    def frames(self) -> NDArray[np.uint8]:
        """(T, H, W, 3) RGB."""
        return self.picture.frames

    @property
    def classes(self) -> NDArray[np.int64]:
        """(N,) class ids 1..8."""
        return np.array([body.kind for body in self.scene.bodies], np.int64)

    @property
    def track_ids(self) -> NDArray[np.int64]:
        """(N,) ids 1..N."""
        return np.arange(1, len(self.scene.bodies) + 1)

    @cached_property
    def masks(self) -> NDArray[np.bool_]:
        """(N, T, H, W) visible part of each body, sounding or not."""
        masks: NDArray[np.bool_] = self.picture.owners[None] == self.track_ids[:, None, None, None].astype(np.uint8)
        return masks

    @property
    def sounding(self) -> NDArray[np.bool_]:
        """(N, T) which bodies sound while a frame lasts."""
        return self.soundtrack.bodies_sounding(len(self.scene.bodies), self.times, self.span)

    @property
    def heard(self) -> NDArray[np.bool_]:
        """(T, 8) which classes are to be heard, off-screen ones included."""
        return self.soundtrack.classes_heard(self.times, self.span)

    @property
    def positions(self) -> NDArray[np.float32]:
        """(N, T) horizontal positions in [0, 1] at the moments that the pictures show."""
        return self.scene.positions(self.times + SHOWN_AFTER * self.span)

    @property
    def intervals(self) -> list[list[tuple[float, float]]]:
        """For each body, when it sounds: (start, end) in seconds."""
        count = range(len(self.scene.bodies))
        return [[i for s in self.soundtrack.sources if s.body == body for i in s.intervals] for body in count]

    @cached_property
    def labels(self) -> NDArray[np.uint8]:
        """(T, H, W) class id of the sounding body that a pixel shows, 0 elsewhere."""
        table = np.zeros((len(self.times), len(self.scene.bodies) + 1), np.uint8)
        table[:, 1:] = self.sounding.T * self.classes
        return table[np.arange(len(self.times))[:, None, None], self.picture.owners]

    def with_soundtrack(self, soundtrack: Soundtrack, *, name: str | None = None) -> SynthClip:
        """Return the clip with another sound and its ground truth."""
        return replace(self, id=name or self.id, soundtrack=soundtrack)

    def to_clip(self, kind: Kind = "binary") -> Clip:
        """The clip as the library's type, all frames annotated. Dense targets carry `sounding` = `heard`."""
        return Clip(
            id=self.id,
            frames=torch.from_numpy(np.ascontiguousarray(self.frames.transpose(0, 3, 1, 2))),
            times=torch.from_numpy(self.times),
            audio=torch.from_numpy(self.audio),
            sample_rate=SAMPLE_RATE,
            target=self._instances() if kind == "instance" else self._dense(kind),
        )

    def _dense(self, kind: Kind) -> DenseTarget:
        labels = torch.from_numpy((self.labels > 0 if kind == "binary" else self.labels).astype(np.int64))
        annotated = torch.ones(len(labels), dtype=torch.bool)
        return DenseTarget(labels, annotated, torch.from_numpy(self.heard))

    def _instances(self) -> InstanceTarget:
        """The bodies that sound at some time, masks empty where they are silent."""
        loud = np.flatnonzero(self.sounding.any(1))
        masks = self.masks[loud] & self.sounding[loud][:, :, None, None]
        classes, tracks = (torch.from_numpy(values[loud]) for values in (self.classes, self.track_ids))
        return InstanceTarget(torch.from_numpy(masks), classes, tracks, torch.ones(len(self.times), dtype=torch.bool))


def make_clip(seed: int, index: int, spec: ClipSpec | None = None, **changes: Any) -> SynthClip:
    """Clip number `index` of the world `seed`: the same arguments give the same bytes in any process.

    `changes` replace fields of `spec`: `make_clip(0, 7, difficulty="easy", size=112)`.

    Raises:
        ValueError: an unknown difficulty, or a seed, index, size or count out of range.
    """
    spec = replace(spec or ClipSpec(), **changes)
    return realise(*draw(seed, index, spec), f"synth_{seed}_{index:06d}", spec)


def draw(seed: int, index: int, spec: ClipSpec) -> tuple[Scene, Soundtrack]:
    """Return the scene and the sound of clip `index` of the world `seed`."""
    difficulty = get_difficulty(spec.difficulty)
    height, width = spec.shape
    rng = generator(seed, index, 0)
    scene = draw_scene(rng, difficulty, spec.frames, aspect=width / height, twins=spec.stereo)
    return scene, draw_soundtrack(generator(seed, index, 1), scene, difficulty, spec.sources)


def realise(scene: Scene, soundtrack: Soundtrack, name: str, spec: ClipSpec) -> SynthClip:
    """The clip of a scene and a soundtrack."""
    times = np.arange(round(scene.seconds * spec.fps)) / spec.fps
    shown = times + SHOWN_AFTER / spec.fps
    picture = render(scene, list(shown), spec.shape)
    return SynthClip(name, scene, soundtrack, picture, times, 1 / spec.fps, spec.stereo)


def ensemble(seed: int, spec: ClipSpec | None = None, *, classes: Sequence[int] = range(1, 9)) -> list[SynthClip]:
    """One picture with one body of each of the given classes, and as many clips of it: in the k-th, the k-th sounds."""
    spec = spec or ClipSpec()
    scene = draw_ensemble(seed, list(classes), spec)
    silent = realise(scene, Soundtrack((), snr=20.0, seed=seed), f"ensemble_{seed}", spec)
    return [
        silent.with_soundtrack(
            soundtrack_for(scene, [kind], seed=seed + k), name=f"ensemble_{seed}_{CLASSES[kind - 1]}"
        )
        for k, kind in enumerate(classes)
    ]


def draw_ensemble(seed: int, classes: list[int], spec: ClipSpec) -> Scene:
    """A scene with the given classes on a loose grid, so that all are well seen.

    Raises:
        ValueError: more than nine classes.
    """
    if not 1 <= len(classes) <= 9:
        raise ValueError(f"got {len(classes)} classes for one picture, wanted 1 to 9")
    rng = generator(seed, 0, 2)
    height, width = spec.shape
    side = 2 if len(classes) <= 4 else 3
    aspect, cell = width / height, 1 / side
    sizes = (0.14, 0.18) if side == 2 else (0.125, 0.14)
    bodies = []
    for place, kind in zip(rng.permutation(side * side), classes, strict=False):
        x, y = (
            _sway(rng, (k + 0.5) * cell * extent, 0.06 * cell)
            for k, extent in ((place % side, aspect), (place // side, 1))
        )
        radius = float(rng.uniform(*sizes)) * min(1.0, aspect)
        angle, spin = float(rng.uniform(0, 6.3)), float(rng.uniform(-0.7, 0.7))
        bodies.append(Body(kind, radius, x, y, angle, spin, draw_colours(rng)))
    return Scene(tuple(bodies), draw_backdrop(rng, get_difficulty(spec.difficulty).contrast), spec.frames, aspect)


def _sway(rng: np.random.Generator, centre: float, reach: float) -> Swing:
    return Swing(centre, reach, float(rng.uniform(4, 9)), float(rng.uniform(0, 7)))
