"""Other sounds for the pictures of any data set: what is heard, who lends it, and the file that says so."""

from __future__ import annotations

import json
import math
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from avseg.data import build_dataset
from avseg.data.base import ClipDataset, Subset
from avseg.data.heard import DELAY, Scenarios
from avseg.data.manifest import MANIFEST, Manifest
from avseg.data.scenarios import SCENARIOS, SoundRules, draw_donors
from avseg.datasets import data_config
from avseg.datasets.avsbench.classes import s4_categories
from avseg.datasets.avsbench.contrast import MS3_CONTRAST, S4_CONTRAST
from avseg.datasets.world import clips as world
from avseg.datasets.world.clips import SynthDataset
from avseg.types import Clip, DenseTarget, Task

RATE = 1000


class Sounds(ClipDataset):
    """Clips of one second of one class each; names, classes and sounds are given."""

    task = Task("binary")

    def __init__(self, classes: dict[str, str], channels: int = 1, seconds: int = 4) -> None:
        self.ids, self.classes = list(classes), list(classes.values())
        self.shape = (channels, seconds * RATE)

    def __getitem__(self, index: int) -> Clip:
        generator = torch.Generator().manual_seed(sum(map(ord, self.ids[index])))
        audio = torch.rand(self.shape, generator=generator) * 0.4 - 0.2
        labels = torch.ones(1, 4, 4, dtype=torch.int64)
        target = DenseTarget(labels, torch.ones(1, dtype=torch.bool))
        return Clip(self.ids[index], torch.zeros(1, 3, 4, 4, dtype=torch.uint8), torch.zeros(1).double(), audio, RATE,
                    target=target)  # fmt: skip

    def heard_classes(self, index: int) -> frozenset[str]:
        return frozenset({self.classes[index]} - {""})


def sounds(channels: int = 1) -> Sounds:
    return Sounds({"a": "dog", "b": "car", "c": "dog", "d": "bell"}, channels)


def level(audio: torch.Tensor) -> float:
    return 20 * math.log10(float(audio.double().square().mean().sqrt()))


def test_every_scenario_changes_the_sound_alone() -> None:
    inner, n = sounds(2), 4
    dataset = Scenarios(inner)
    assert dataset.names == tuple(SCENARIOS) and len(dataset) == n * len(SCENARIOS) and not dataset.left_out
    for number, scenario in enumerate(SCENARIOS):
        for i in range(n):
            clip, own = dataset[number * n + i], inner[i]
            assert clip.id == dataset.ids[number * n + i] == f"{own.id}@{scenario}"
            assert torch.equal(clip.frames, own.frames) and torch.equal(clip.target.labels, own.target.labels)
            assert clip.audio.shape == own.audio.shape
            assert torch.equal(clip.audio, own.audio) == (scenario == "own")
    heard = {name: dataset[number * n + 1].audio for number, name in enumerate(dataset.names)}
    own, later = inner[1].audio, round(DELAY * RATE)
    assert not heard["silence"].any()
    assert level(heard["noise"]) == pytest.approx(level(own), abs=0.3)
    assert abs(float(torch.corrcoef(torch.stack([heard["noise"][0], own[0]]))[0, 1])) < 0.1
    assert torch.equal(heard["swapped"], inner[2].audio)
    assert not heard["delayed"][:, :later].any() and torch.equal(heard["delayed"][:, later:], own[:, :-later])
    assert torch.equal(heard["mirrored"], own.flip(0))
    assert level(heard["offscreen"]) == pytest.approx(level(own), abs=0.01)


def test_levels_of_noise_and_of_donors() -> None:
    inner = sounds()
    loud = Scenarios(inner, ["noise"], SoundRules(noise_level="published"))[0].audio
    assert level(loud) == pytest.approx(-5.65, abs=0.15) and loud.abs().max() == 1, "clipping takes 0.65 dB"
    dataset = Scenarios(inner, ["offscreen"], SoundRules(donor_level="as_is"))
    donor = inner.ids.index(str(dataset.parts[0].entries[0].donor))
    assert torch.equal(dataset[0].audio, inner[donor].audio)
    quiet = Subset(inner, range(4))
    quiet.read = lambda *a: replace(inner[a[0]], audio=torch.zeros(1, 4 * RATE))  # type: ignore[method-assign]
    for scenario in ("noise", "offscreen"):
        assert level(Scenarios(quiet, [scenario])[0].audio) == pytest.approx(-30, abs=0.3)


def test_donors_share_no_class_and_follow_from_names_alone() -> None:
    names = {f"clip{i:02d}": f"class{i % 5}" for i in range(40)}
    ids, classes = list(names), [frozenset({name}) for name in names.values()]
    donors = dict(zip(ids, draw_donors(ids, classes, 42), strict=True))
    assert all(ids[place] != own and names[ids[place]] != names[own] for own, place in donors.items())
    assert len(set(donors.values())) > 15
    listing = random.Random(0).sample(ids, len(ids))
    again = draw_donors(listing, [frozenset({names[name]}) for name in listing], 42)
    assert {own: listing[place] for own, place in zip(listing, again, strict=True)} == {
        own: ids[place] for own, place in donors.items()
    }
    assert draw_donors(ids, classes, 43) != list(donors.values())
    # Another draw would change what others compare with.
    assert [donors[name] for name in ids[:5]] == [17, 34, 28, 17, 35]


def test_noise_follows_from_names_too() -> None:
    shuffled = Sounds({"d": "bell", "b": "car", "c": "dog", "a": "dog"})
    one, other = Scenarios(sounds(), ["noise"]), Scenarios(shuffled, ["noise"])
    heard = {other.ids[i]: other[i].audio for i in range(4)}
    assert all(torch.equal(one[i].audio, heard[one.ids[i]]) for i in range(4))
    assert not torch.equal(one[0].audio, Scenarios(sounds(), ["noise"], SoundRules(seed=1))[0].audio)


S4_DONORS = {
    "music": {"animal", "device"},
    "human": {"animal", "device"},
    "animal": {"music", "device"},
    "device": {"music", "human", "animal"},
}


def test_the_published_rule_of_s4_for_all_its_categories() -> None:
    group = {name: g for g, members in S4_CONTRAST.groups.items() for name in members}
    assert set(group) == set(s4_categories()) and [len(m) for m in S4_CONTRAST.groups.values()] == [6, 3, 6, 8]
    ids = [f"{name}_{i:03d}" for name in s4_categories() for i in range(60)]
    classes = [frozenset({name.rsplit("_", 1)[0]}) for name in ids]
    donors = draw_donors(ids, classes, 42, S4_CONTRAST)
    for own in s4_categories():
        drawn = [next(iter(classes[d])) for k, d in zip(classes, donors, strict=True) if k == {own} and d is not None]
        assert len(drawn) == 60 and {group[name] for name in drawn} == S4_DONORS[group[own]], own
    # A category is drawn first: one with few clips is as likely as one with many.
    few = [i for i, k in enumerate(classes) if k != {"baby_laughter"} or ids[i].endswith("_000")]
    lent = draw_donors([ids[i] for i in few], [classes[i] for i in few], 42, S4_CONTRAST)
    babies = [d for i, d in zip(few, lent, strict=True) if group[next(iter(classes[i]))] == "device"]
    share = sum(ids[few[d]] == "baby_laughter_000" for d in babies if d is not None) / len(babies)
    assert share == pytest.approx(1 / 15, abs=0.03)


def test_the_published_rule_of_ms3() -> None:
    clips = [{"guitar"}, {"man", "dog"}, {"car"}, {"emergency-car"}, {"cat"}, {"tree"}]
    classes = [frozenset(clip) for clip in clips]
    found = [MS3_CONTRAST.candidates(own, classes) for own in classes]
    assert found[0] == [2, 3, 4, 5], "music avoids people and itself; what is in no group contrasts"
    assert found[1] == [2, 3, 5], "people avoid music; animals avoid people and animals"
    assert found[2] == [1, 4, 5], "devices avoid music and devices"
    assert found[5] is None
    donors = draw_donors([str(i) for i in range(2)], [frozenset({"man"}), frozenset({"guitar"})], 42, MS3_CONTRAST)
    assert donors == [1, 0], "where no clip contrasts, any other"


def test_objects_of_ms3_are_read_where_the_table_of_avss_lies(ms3: Any) -> None:
    config = data_config("ms3", root=ms3.root)
    ids = build_dataset(config, "train").ids
    assert build_dataset(config, "train").heard_classes(0) == frozenset()
    (ms3.root / "metadata.csv").write_text(f"vid,uid,a_obj,split,label\nx,{ids[0]},man_emergency-car,train,v1m\n")
    assert build_dataset(config, "train").heard_classes(0) == {"man", "emergency-car"}
    assert build_dataset(config, "train").contrast is MS3_CONTRAST


def test_what_a_data_set_cannot_have_is_left_out_with_the_reason() -> None:
    alike = Sounds({"a": "dog", "b": "dog"})
    dataset = Scenarios(alike)
    assert dataset.names == ("own", "silence", "noise", "swapped", "delayed")
    assert "one channel" in dataset.left_out["mirrored"]
    assert "contrasts with that of 'a'" in dataset.left_out["offscreen"]
    assert "each needs the sound of another" in Scenarios(Sounds({"a": "x"})).left_out["swapped"]
    with pytest.raises(ValueError, match="mirrored is left out, because the sound has one channel"):
        Scenarios(alike, ["mirrored"])
    assert "no published rule exists" in Scenarios(
        alike, ["own", "offscreen"], SoundRules(rule="published")
    ).left_out["offscreen"]  # fmt: skip
    unknown = Scenarios(Sounds({"a": "", "b": ""}), ["offscreen"])
    assert [entry.donor for entry in unknown.parts[0].entries] == ["b", "a"], "where nobody knows classes, any other"


@pytest.mark.parametrize(
    ("scenarios", "words"),
    [(["loud"], "there is no scenario 'loud'"), (["own", "own"], "repeat one")],
)
def test_wrong_scenarios_are_refused(scenarios: list[str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Scenarios(sounds(), scenarios)


def test_features_without_sound_are_refused() -> None:
    shipped = sounds()
    plain = Sounds.__getitem__
    shipped.read = lambda i, *_: replace(  # type: ignore[method-assign]
        plain(shipped, i), audio=torch.zeros(1, 0), audio_features=torch.zeros(1, 8)
    )
    with pytest.raises(ValueError, match=r"features instead of sound.*--data\.audio wav"):
        Scenarios(shipped, ["silence"])[0]
    own = replace(plain(shipped, 0), audio_features=torch.zeros(1, 8))
    shipped.read = lambda *_: own  # type: ignore[method-assign]
    assert Scenarios(shipped, ["own"])[0].audio_features is None, "every sound goes through the model's own front end"


def test_a_manifest_gives_the_same_sounds_whatever_the_rules(tmp_path: Path) -> None:
    first = Scenarios(sounds(), rules=SoundRules(seed=7, donor_level="as_is"))
    first.write_manifest(tmp_path / MANIFEST)
    content = json.loads((tmp_path / MANIFEST).read_text(encoding="utf-8"))
    assert content["left_out"].keys() == {"mirrored"} and len(content["clips"]) == len(first)
    again = Scenarios(sounds(), rules=SoundRules(seed=8, manifest=tmp_path / MANIFEST))
    drawn = Scenarios(sounds(), rules=SoundRules(seed=8))
    assert all(torch.equal(first[i].audio, again[i].audio) for i in range(len(first)))
    assert any(not torch.equal(first[i].audio, drawn[i].audio) for i in range(len(first)))


def test_somebodys_own_pairs_are_taken(tmp_path: Path) -> None:
    pairs = tmp_path / "pairs.json"
    pairs.write_text(json.dumps({"clips": [{"scenario": "offscreen", "id": "a", "donor": "c"}]}))
    dataset = Scenarios(sounds(), ["offscreen"], SoundRules(manifest=pairs))
    assert dataset.parts[0].entries[0].donor == "c" and dataset.parts[0].entries[1].donor is not None


@pytest.mark.parametrize(
    ("clips", "words"),
    [
        ([{"scenario": "offscreen", "id": "a", "donor": "z"}], "the clip 'z', which is not in the data set"),
        ([{"scenario": "offscreen", "id": "a", "donor": "a"}], "its own donor"),
        ([{"scenario": "offscreen", "id": "a"}], "no donor for the clip 'a'"),
        ([{"scenario": "loud", "id": "a"}], "the scenario 'loud'"),
        ([{"id": "a"}], "is not a manifest"),
        (3, "is not a manifest"),
    ],
)
def test_a_wrong_manifest_is_refused(tmp_path: Path, clips: Any, words: str) -> None:
    path = tmp_path / "pairs.json"
    path.write_text(json.dumps({"clips": clips}))
    with pytest.raises(ValueError, match=words):
        Scenarios(sounds(), ["offscreen"], SoundRules(manifest=path))
    with pytest.raises(FileNotFoundError, match="no manifest"):
        Manifest.read(tmp_path / "nothing.json")


def test_the_world_makes_sounds_of_classes_that_it_does_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = SynthDataset(12, 3, split="test", size=16, frames=2)
    asked: list[list[int]] = []
    make = world.soundtrack_for

    def noted(scene: Any, kinds: list[int], **options: Any) -> Any:
        asked.append(kinds)
        return make(scene, kinds, **options)

    monkeypatch.setattr(world, "soundtrack_for", noted)
    heard = Scenarios(dataset, ["offscreen"])
    asked.clear()
    for i in range(12):
        clip = heard[i]
        assert torch.equal(clip.audio, heard[i].audio) and clip.audio.abs().max() > 0.01
        assert len(asked[-1]) == 1 and asked[-1][0] not in dataset.world(i).classes.tolist()
    assert len({kind for (kind,) in asked}) > 3
