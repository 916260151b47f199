"""A data set with replaced sounds, and several of these as one data set."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from avseg.config import did_you_mean
from avseg.data.base import ClipDataset, need_dataset
from avseg.data.geometry import Geometry
from avseg.data.manifest import Manifest, write_manifest
from avseg.data.scenarios import SCENARIOS, Entry, SoundRules, draw_donors, ranks
from avseg.types import Clip, Draw, Target

DELAY = 2.0
"""Seconds by which a delayed sound comes later."""
QUIET = 10 ** (-30 / 20)
"""RMS in place of the clip's own level if its sound is silent."""
PUBLISHED_NOISE = 10 ** (-5 / 20)
"""RMS of the published noise."""


class Heard(ClipDataset):
    """A data set under one scenario: frames and ground truth are kept, the sound is replaced, ids are `ID@SCENARIO`.

    Shipped features are dropped, also under `own`: every sound goes through the model's own front end.
    """

    def __init__(self, dataset: ClipDataset, scenario: str, entries: Sequence[Entry]) -> None:
        """
        Args:
            dataset: Of any task.
            scenario: One of `SCENARIOS`.
            entries: One for each clip; `plan` makes them.
        """
        self.dataset, self.scenario, self.entries = dataset, scenario, list(entries)
        _share(self, dataset)
        self.ids = [f"{clip_id}@{scenario}" for clip_id in dataset.ids]
        self._ranks = ranks(dataset.ids)
        self._places = {clip_id: place for place, clip_id in reversed(list(enumerate(dataset.ids)))}

    def read(self, index: int, geometry: Geometry | None = None, frames: Sequence[int] | None = None) -> Clip:
        """A clip with the sound of the scenario.

        Raises:
            ValueError: the data set gives features and no sound, or clips of different rates or channels.
        """
        clip = self.dataset.read(index, geometry, frames)
        if clip.audio_features is not None and not clip.audio.shape[1]:
            raise ValueError(
                f"clip {clip.id!r} has audio features instead of sound, so its sound cannot "
                "be replaced; read its sound (--data.audio wav)"
            )
        return replace(clip, id=self.ids[index], audio=self._heard(index, clip), audio_features=None)

    def annotated(self, index: int) -> Sequence[int]:
        return self.dataset.annotated(index)

    def length(self, index: int) -> int:
        return self.dataset.length(index)

    def target(self, index: int) -> Target:
        return self.dataset.target(index)

    def heard_classes(self, index: int) -> frozenset[str]:
        return self.dataset.heard_classes(index)

    def _heard(self, index: int, clip: Clip) -> Tensor:
        """(A, S), as many channels and samples as the clip's own sound."""
        own, entry = clip.audio, self.entries[index]
        if self.scenario == "silence":
            return torch.zeros_like(own)
        if self.scenario == "noise":
            level = PUBLISHED_NOISE if entry.level == "published" else _level(own)
            noise = torch.randn(own.shape, generator=Draw(entry.seed, 0).generator(self._ranks[index]))
            return (noise * level).clamp(-1, 1)
        if self.scenario == "offscreen":
            foreign = self._donated(entry, clip) if entry.donor else self.dataset.unseen_sound(index, entry.seed)
            assert foreign is not None
            found = fitted(foreign, own.shape[1])
            return found if entry.level == "as_is" else _at_level(found, _level(own))
        if self.scenario == "swapped":
            return fitted(self._donated(entry, clip), own.shape[1])
        if self.scenario == "delayed":
            later = min(round(DELAY * clip.sample_rate), own.shape[1])
            return torch.cat([own.new_zeros(len(own), later), own[:, : own.shape[1] - later]], 1)
        return own.flip(0) if self.scenario == "mirrored" else own

    def _donated(self, entry: Entry, clip: Clip) -> Tensor:
        """The sound of another clip."""
        audio, rate = self.dataset.sound(self._places[str(entry.donor)])
        if rate != clip.sample_rate or len(audio) != len(clip.audio):
            raise ValueError(
                f"clip {clip.id!r} has sound of {len(clip.audio)} channels at {clip.sample_rate} Hz, its donor "
                f"{entry.donor!r} of {len(audio)} at {rate} Hz; a data set must give all its sounds alike"
            )
        return audio


class Scenarios(ClipDataset):
    """A data set under several scenarios as one of n times as many clips: clip i under scenario s is s * n + i.

    Scenarios that the data set cannot have are in `left_out`, with the reason.
    """

    def __init__(
        self,
        dataset: ClipDataset,
        scenarios: Sequence[str] = tuple(SCENARIOS),
        rules: SoundRules | None = None,
    ) -> None:
        """
        Args:
            dataset: Of any task.
            scenarios: Names of `SCENARIOS`.
            rules: How sounds are made; `rules.manifest` is read.

        Raises:
            ValueError: an unknown scenario, one named twice, none that the data set can have, no clips, or a manifest
                of another data set.
            FileNotFoundError: no such manifest.
        """
        need_dataset(dataset)
        for name in scenarios:
            if name not in SCENARIOS:
                raise ValueError(f"there is no scenario {name!r}; {did_you_mean(name, SCENARIOS)}")
        if len(set(scenarios)) < len(scenarios):
            raise ValueError(f"the scenarios {', '.join(scenarios)} repeat one; name each once")
        if not len(dataset):
            raise ValueError(f"the data set {dataset.config.name!r} has no clips in this split")
        self.dataset, self.left_out = dataset, dict[str, str]()
        _share(self, dataset)
        self.parts: list[Heard] = []
        rules = rules or SoundRules()
        manifest = None if rules.manifest is None else Manifest.read(rules.manifest)
        for name in scenarios:
            entries = plan(dataset, name, rules, manifest)
            if isinstance(entries, str):
                self.left_out[name] = entries
            else:
                self.parts.append(Heard(dataset, name, entries))
        if not self.parts:
            raise ValueError("; ".join(f"{name} is left out, because {why}" for name, why in self.left_out.items()))
        self.ids = [clip_id for part in self.parts for clip_id in part.ids]

    @property
    def names(self) -> tuple[str, ...]:
        """The scenarios that there are, in their order."""
        return tuple(part.scenario for part in self.parts)

    def place(self, index: int) -> tuple[Heard, int]:
        """The scenario of a clip, and its place in the data set."""
        scenario, place = divmod(index, len(self.dataset))
        return self.parts[scenario], place

    def read(self, index: int, geometry: Geometry | None = None, frames: Sequence[int] | None = None) -> Clip:
        part, place = self.place(index)
        return part.read(place, geometry, frames)

    def annotated(self, index: int) -> Sequence[int]:
        return self.dataset.annotated(index % len(self.dataset))

    def length(self, index: int) -> int:
        return self.dataset.length(index % len(self.dataset))

    def target(self, index: int) -> Target:
        return self.dataset.target(index % len(self.dataset))

    def heard_classes(self, index: int) -> frozenset[str]:
        return self.dataset.heard_classes(index % len(self.dataset))

    def write_manifest(self, path: Path) -> None:
        """Write which clip gets which sound."""
        write_manifest(path, [entry for part in self.parts for entry in part.entries], self.left_out)


def plan(dataset: ClipDataset, scenario: str, rules: SoundRules, manifest: Manifest | None = None) -> list[Entry] | str:
    """Return the sound of every clip in a scenario, or why the data set cannot have it.

    Raises:
        ValueError: a manifest that names clips which the data set does not have, or has the own sound as a donor's.
    """
    made = _PLANS[scenario](dataset, rules) if scenario in _PLANS else _plain(dataset, scenario, rules)
    given = {clip_id: entry for (name, clip_id), entry in (manifest or Manifest()).entries.items() if name == scenario}
    if not given:
        return made
    known = set(dataset.ids)
    for entry in given.values():
        for name in (entry.id, entry.donor):
            if name is not None and name not in known:
                raise ValueError(f"the manifest names the clip {name!r}, which is not in the data set")
        lent = scenario == "swapped" or (scenario == "offscreen" and dataset.unseen_sound(0, rules.seed) is None)
        if lent and entry.donor is None:
            raise ValueError(f"the manifest has no donor for the clip {entry.id!r} under {scenario}; name one")
        if entry.donor == entry.id:
            raise ValueError(f"in the manifest the clip {entry.id!r} is its own donor; name another one")
    if isinstance(made, str):
        missing = [clip_id for clip_id in dataset.ids if clip_id not in given]
        return made if missing else [given[clip_id] for clip_id in dataset.ids]
    return [given.get(entry.id, entry) for entry in made]


def _plain(dataset: ClipDataset, scenario: str, rules: SoundRules, level: str = "") -> list[Entry]:
    return [Entry(scenario, clip_id, None, rules.seed, level) for clip_id in dataset.ids]


def _noise(dataset: ClipDataset, rules: SoundRules) -> list[Entry]:
    return _plain(dataset, "noise", rules, rules.noise_level)


def _mirrored(dataset: ClipDataset, rules: SoundRules) -> list[Entry] | str:
    if len(dataset.sound(0)[0]) != 2:
        return "the sound has one channel (--data.stereo reads two where a data set has them)"
    return _plain(dataset, "mirrored", rules)


def _swapped(dataset: ClipDataset, rules: SoundRules) -> list[Entry] | str:
    ids = dataset.ids
    if len(set(ids)) < 2:
        return "there is only one clip, and each needs the sound of another one"
    return [
        Entry("swapped", clip_id, next(other for other in [*ids[place + 1 :], *ids] if other != clip_id), rules.seed)
        for place, clip_id in enumerate(ids)
    ]


def _offscreen(dataset: ClipDataset, rules: SoundRules) -> list[Entry] | str:
    """Sound of what the picture does not show, where the data set can make it; else that of a contrasting clip."""
    if rules.rule == "auto" and dataset.unseen_sound(0, rules.seed) is not None:
        return _plain(dataset, "offscreen", rules, rules.donor_level)
    contrast = None if rules.rule == "disjoint" else dataset.contrast
    if rules.rule == "published" and contrast is None:
        return f"no published rule exists for the data set {dataset.config.name!r}; use --rule disjoint"
    classes = [dataset.heard_classes(index) for index in range(len(dataset))]
    donors = draw_donors(dataset.ids, classes, rules.seed, contrast)
    entries = []
    for clip_id, donor in zip(dataset.ids, donors, strict=True):
        if donor is None:
            return f"no clip has a sound that contrasts with that of {clip_id!r}"
        entries.append(Entry("offscreen", clip_id, dataset.ids[donor], rules.seed, rules.donor_level))
    return entries


_PLANS: Mapping[str, Callable[[ClipDataset, SoundRules], list[Entry] | str]] = {
    "noise": _noise,
    "mirrored": _mirrored,
    "swapped": _swapped,
    "offscreen": _offscreen,
}
"""Scenarios that not every data set can have, or that want more than a seed."""


def fitted(audio: Tensor, samples: int) -> Tensor:
    """(A, S) cut to `samples`, or repeated up to them; silence where there is no sound at all."""
    if not audio.shape[1]:
        return audio.new_zeros(len(audio), samples)
    return audio.repeat(1, -(-samples // audio.shape[1]))[:, :samples]


def _rms(audio: Tensor) -> float:
    return float(audio.double().square().mean().sqrt()) if audio.numel() else 0.0


def _level(own: Tensor) -> float:
    """RMS of a clip's own sound; that of a quiet one where it is silent."""
    return _rms(own) or QUIET


def _at_level(audio: Tensor, level: float) -> Tensor:
    """A sound at an RMS, clipped to [-1, 1]; silence stays silence."""
    rms = _rms(audio)
    return (audio * (level / rms)).clamp(-1, 1) if rms else audio


def _share(own: ClipDataset, dataset: ClipDataset) -> None:
    """Copy the attributes that a data set keeps under other sounds."""
    own.task, own.suite, own.config = dataset.task, dataset.suite, dataset.config
    own.batch_frames, own.knows_frames, own.contrast = dataset.batch_frames, dataset.knows_frames, dataset.contrast
