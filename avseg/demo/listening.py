"""A test of whether a model uses the sound: the same pictures with their own sound, another clip's sound, and
silence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avseg.data import ClipDataset, DataConfig
from avseg.data.geometry import Geometry
from avseg.data.heard import Heard, Scenarios
from avseg.datasets.world.clips import SynthDataset
from avseg.engine import listen
from avseg.models.base import Model
from avseg.synth import CLASSES, SynthClip, ensemble
from avseg.synth.world import ClipSpec
from avseg.types import Batch, Clip, DensePrediction

HELD_OUT_SEED = 9001
"""Seed of the world of the demo; training uses another one (`avseg.recipes.demo`)."""
SUITE = "avsbench_object"
PROTOCOLS = ("published", "repaired")
FIGURES = (
    ("published", "J"),
    ("published", "F"),
    ("repaired", "J"),
    ("repaired", "J_sounding"),
    ("repaired", "F"),
)
SOUNDS = {"own": "own", "swapped": "swapped", "muted": "silence"}
"""The demo's names of some scenarios, and their names in `avseg.data.scenarios`."""
AT_ONCE = 8
"""Clips in one call of the network."""


class HeldOut(ClipDataset):
    """Synthetic clips that were not used in training, made once and kept."""

    suite = SUITE

    def __init__(self, clips: int, seed: int = HELD_OUT_SEED) -> None:
        """
        Raises:
            ValueError: fewer clips than can swap their sounds.
        """
        if clips < 2:
            raise ValueError(
                f"got {clips} clips, wanted 2 or more, because each clip also gets the sound of another one"
            )
        world = SynthDataset(clips, seed, split="test", task="semantic", difficulty="standard")
        self.task, self.ids = world.task, world.ids
        self.config: DataConfig = world.config
        self.clips = [world[index] for index in range(clips)]

    def heard(self, sound: str) -> Heard:
        """Return the clips with one of `SOUNDS`; the ground truth is still that of their own sound."""
        return Scenarios(self, [SOUNDS[sound]]).parts[0]

    def __getitem__(self, index: int) -> Clip:
        return self.clips[index]


def scores(model: Model[Any], held_out: HeldOut, device: str) -> dict[str, dict[str, float]]:
    """Return scores by sound and `protocol/figure`: J and F of the foreground, and J_sounding."""
    dataset = Scenarios(held_out, list(SOUNDS.values()))
    found = listen(model, dataset, PROTOCOLS, suite=False, batch_size=AT_ONCE, device=device).scenarios
    return {
        sound: {f"{protocol}/{name}": found[protocol][scenario][name] for protocol, name in FIGURES}
        for sound, scenario in SOUNDS.items()
    }


@dataclass(frozen=True, eq=False)
class Answer:
    """The prediction for a picture while one class sounds."""

    clip: SynthClip
    wanted: str
    """Class that sounds."""
    marked: str | None
    """Class of the object with the highest IoU, None if that is below one half."""
    iou: float
    """IoU of the mask and the sounding object."""
    labels: NDArray[np.uint8]
    """(H, W) predicted class ids."""

    @property
    def fits(self) -> bool:
        return self.marked == self.wanted


def eight_soundtracks(model: Model[Any], seed: int = HELD_OUT_SEED) -> list[Answer]:
    """Predict one picture with an object of each class under the sound of each class.

    The model gets one frame, the same for all; an answer names the object whose visible part has the highest IoU with
    everything marked, if that is at least one half.
    """
    clips = ensemble(seed, ClipSpec(frames=1))
    predictions = predict(model, [clip.to_clip("semantic") for clip in clips])
    return [_answer(clip, kind, given) for clip, kind, given in zip(clips, CLASSES, predictions, strict=True)]


def predict(model: Model[Any], clips: Sequence[Clip]) -> list[DensePrediction]:
    """Return the predictions of a dense model for clips of one length and size, at the size of their frames."""
    sized = Geometry(model.config.input, resize_labels=False)
    device = next(model.parameters()).device
    found = model.predict(Batch.collate([sized(clip) for clip in clips]).to(device))
    return [prediction for prediction in found if isinstance(prediction, DensePrediction)]


def _answer(clip: SynthClip, wanted: str, prediction: DensePrediction) -> Answer:
    labels = prediction.labels(0).cpu().numpy().astype(np.uint8)
    marked, bodies = labels > 0, clip.masks[:, 0]
    iou = (bodies & marked).sum((1, 2)) / np.maximum((bodies | marked).sum((1, 2)), 1)  # (N,)
    names = [CLASSES[kind - 1] for kind in clip.classes]
    best = names[int(iou.argmax())] if iou.max() >= 0.5 else None
    return Answer(clip, wanted, best, float(iou[names.index(wanted)]), labels)
