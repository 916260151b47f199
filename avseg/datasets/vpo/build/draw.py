"""Which objects sound in which pictures, and with which clips: balanced over classes, by one seed."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from avseg.datasets.vpo.build.instances import AnnotatedPicture, Instance
from avseg.datasets.vpo.build.options import FOLDERS, BuildOptions
from avseg.datasets.vpo.build.sounds import LabelledClip, Pools
from avseg.datasets.vpo.build.splits import SPLITS, assign, quotas, rank


@dataclass(frozen=True)
class SoundingObject:
    """A sounding object."""

    instance: Instance
    sound: LabelledClip


@dataclass(frozen=True)
class DrawnSample:
    """A picture with its sounding objects."""

    id: str
    split: str
    picture: AnnotatedPicture
    sources: tuple[SoundingObject, ...]

    @property
    def silent(self) -> list[Instance]:
        """Objects of VPO's classes that could sound and do not."""
        loud = {source.instance.annotation for source in self.sources}
        return [instance for instance in self.picture.instances if instance.annotation not in loud]


def split_pictures(pictures: Sequence[AnnotatedPicture], options: BuildOptions, seed: int) -> dict[int, str]:
    """The split of every picture, the same for SS, MS and MSMI; the rarest class that it shows is spread evenly."""
    frequency = Counter(name for picture in pictures for name in {i.category for i in picture.instances})
    splits, strata = {}, defaultdict(list)
    for picture in pictures:
        classes = {instance.category for instance in picture.instances}
        if picture.split and options.keep_splits:
            splits[picture.id] = picture.split
        else:
            rarest = min(classes, key=lambda name: (frequency[name], name))
            strata[is_ambiguous(picture, classes), len(classes) > 1, rarest].append(str(picture.id))
    drawn = assign(strata.values(), options.fractions, seed, "picture")
    return splits | {int(name): split for name, split in drawn.items()}


def is_ambiguous(picture: AnnotatedPicture, classes: set[str]) -> bool:
    """Whether a picture shows two objects of one of these classes, such that sound without place cannot tell."""
    return any(len(picture.of(name)) + len(picture.rivals(name)) > 1 for name in classes)


def loud_candidates(picture: AnnotatedPicture, category: str, separation: float) -> list[Instance]:
    """Instances of a class that may sound: all others of the class lie `separation` to their side at least."""
    instances, rivals = picture.of(category), picture.rivals(category)
    if any(rival.position is None for rival in rivals):
        return []
    places = [(None, rival.position) for rival in rivals] + [(i.annotation, i.position) for i in instances]
    return [
        instance
        for instance in instances
        if all(
            annotation == instance.annotation or abs(instance.position - (position or 0.0)) >= separation
            for annotation, position in places
        )
    ]


@dataclass
class SampleDraw:
    """Draws the samples of one kind."""

    kind: str
    pictures: Sequence[AnnotatedPicture]
    splits: Mapping[int, str]
    pools: Pools
    options: BuildOptions
    seed: int

    def samples(self) -> tuple[list[DrawnSample], list[str]]:
        """All samples by split and id, and notes on what ran out.

        Raises:
            ValueError: nothing can be drawn for a split, or less than was asked for; the classes are named.
        """
        samples: list[DrawnSample] = []
        notes: list[str] = []
        caps = quotas(self.options.cap, self.options.fractions) if self.options.cap else {}
        wanted = quotas(self.options.samples, self.options.fractions) if self.options.samples else {}
        for split in SPLITS:
            own = [picture for picture in self.pictures if self.splits[picture.id] == split]
            drawn = _SplitDraw(self, split, own, caps.get(split), wanted.get(split))
            found = sorted(drawn.run(), key=lambda sample: sample.id)
            samples += found
            self._judge(split, len(found), wanted.get(split), drawn, notes)
        if not samples:
            raise ValueError(f"no sample of {FOLDERS[self.kind]} can be drawn: {self.explain()}")
        return samples, notes

    def _judge(self, split: str, found: int, wanted: int | None, drawn: _SplitDraw, notes: list[str]) -> None:
        """Say that a split fell short: an error where a number was asked for."""
        share = self.options.fractions[SPLITS.index(split)]
        if wanted is not None and found < wanted:
            ran_out = ", ".join(f"{name} after {drawn.counts[name]}" for name in sorted(drawn.seen))
            raise ValueError(
                f"{wanted} samples of {FOLDERS[self.kind]} were wanted for {split} but only {found} can be drawn; used "
                f"up: {ran_out or self.explain()}; request fewer or give more pictures"
            )
        if found == 0 and share > 0:
            notes.append(f"{split} is empty: it has no usable picture")

    def explain(self) -> str:
        """For every class: instances, pictures that fit, clips."""
        instances = Counter(instance.category for picture in self.pictures for instance in picture.instances)
        fitting = Counter(name for picture in self.pictures for name in self.heads(picture, None))
        return "; ".join(
            f"{name}: {instances[name]} instances, {fitting[name]} pictures that fit, {count} sounds"
            for name, count in self.pools.counts.items()
        )

    def heads(self, picture: AnnotatedPicture, split: str | None) -> dict[str, list[Instance]]:
        """Classes that a sample of this picture may be drawn for, and their instances that may sound."""
        loud = self.loud(picture, split)
        classes = {instance.category for instance in picture.instances} & self.pools.classes
        repeated = [name for name in loud if len(picture.of(name)) > 1]
        if self.kind == "msmi":
            return {name: loud[name] for name in repeated}
        if is_ambiguous(picture, classes) or len(loud) < self.options.sources_of(self.kind)[0]:
            return {}
        return loud

    def loud(self, picture: AnnotatedPicture, split: str | None) -> dict[str, list[Instance]]:
        """Instances that may sound, by class; those without clips in the split are left out."""
        found = {}
        for name in sorted({instance.category for instance in picture.instances}):
            has_sound = self.pools.of(name, split) if split else self.pools.counts.get(name)
            if has_sound and (candidates := loud_candidates(picture, name, self.options.separation)):
                found[name] = candidates
        return found


class _SplitDraw:
    """One split: the class with the fewest sounding objects so far is served next."""

    def __init__(
        self, draw: SampleDraw, split: str, pictures: Sequence[AnnotatedPicture], cap: int | None, wanted: int | None
    ) -> None:
        self._draw, self._split, self._cap, self._wanted = draw, split, cap, wanted
        self._rng = np.random.default_rng(int(rank(draw.seed, draw.kind, split)[:16], 16))
        self._queues: dict[str, deque[AnnotatedPicture]] = defaultdict(deque)
        ordered = sorted(pictures, key=lambda picture: rank(draw.seed, draw.kind, picture.id))
        for picture in ordered:
            for name in draw.heads(picture, split):
                self._queues[name].append(picture)
        self.seen = set(self._queues)
        self.counts: Counter[str] = Counter()
        self._used: Counter[int] = Counter()
        self._clips = {name: self._cycle(draw.pools.of(name, split)) for name in sorted(draw.pools.classes)}

    def run(self) -> Iterator[DrawnSample]:
        done = 0
        while self._queues and (self._wanted is None or done < self._wanted):
            name = min(self._queues, key=lambda name: (self.counts[name], name))
            if not self._queues[name] or (self._cap is not None and self.counts[name] >= self._cap):
                del self._queues[name]
                continue
            sample = self._sample(self._queues[name].popleft(), name)
            if sample:
                done += 1
                yield sample

    def _sample(self, picture: AnnotatedPicture, head: str) -> DrawnSample | None:
        most = (self._draw.options.per_image or len(picture.instances)) if self._draw.kind == "ss" else 1
        if self._used[picture.id] >= most:
            return None
        chosen = self._choose(picture, head)
        if not chosen:
            return None
        self._used[picture.id] += 1
        self.counts.update(instance.category for instance in chosen)
        taken: set[str] = set()
        sources = tuple(SoundingObject(instance, self._clip(instance.category, taken)) for instance in chosen)
        name = f"{picture.id:012d}" + (f"_{chosen[0].annotation:012d}" if self._draw.kind == "ss" else "")
        return DrawnSample(name, self._split, picture, sources)

    def _choose(self, picture: AnnotatedPicture, head: str) -> list[Instance]:
        """One instance of the head's class, and of the rarest other classes one each; empty where too few are left."""
        least, most = self._draw.options.sources_of(self._draw.kind)
        loud = self._draw.loud(picture, self._split)
        order = self._rng.permutation(len(loud))
        others = [name for name in (sorted(loud)[i] for i in order) if name != head and self._has_room(name)]
        others.sort(key=lambda name: self.counts[name])
        if 1 + len(others) < least:
            return []
        count = int(self._rng.integers(least, min(most, 1 + len(others)) + 1))
        names = [head, *others[: count - 1]]
        chosen = [loud[name][int(self._rng.integers(len(loud[name])))] for name in names]
        return sorted(chosen, key=lambda instance: instance.annotation)

    def _has_room(self, name: str) -> bool:
        return self._cap is None or self.counts[name] < self._cap

    def _cycle(self, pool: Sequence[LabelledClip]) -> Iterator[LabelledClip]:
        """The pool in a new random order time after time, so that all clips are heard equally often."""
        while pool:
            for i in self._rng.permutation(len(pool)):
                yield pool[int(i)]

    def _clip(self, category: str, taken: set[str]) -> LabelledClip:
        """The next clip of a class, another one than those of the same sample where there is another."""
        pool = self._draw.pools.of(category, self._split)
        sound = next(self._clips[category])
        if sound.stem in taken and any(other.stem not in taken for other in pool):
            while sound.stem in taken:
                sound = next(self._clips[category])
        taken.add(sound.stem)
        return sound
