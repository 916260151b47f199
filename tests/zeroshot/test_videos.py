"""Real files through a zero-shot model: results, bounded memory, other rates."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from avseg.data.geometry import Geometry
from avseg.inference import Segmenter
from avseg.inference.plan import FramePlan
from avseg.inference.source import clips_of
from avseg.io.media import probe
from avseg.io.video import write_video
from avseg.models import load_model, save_model
from avseg.models.zeroshot.config import GateConfig, hearing
from avseg.types import Task
from extras import needs
from peaks import peaks
from zeroshot_parts import stub_model

TASK = Task("instance", ("dog", "cat"))
GATE: dict[str, Any] = {"gate": GateConfig(on=0.1, off=0.05), "audio": hearing(1.0)}


def video(path: Path, seconds: int, fps: int = 1, loud: Any = lambda second: second % 10 < 6) -> Path:
    """A picture with a square that moves, and noise in the seconds that are loud."""
    noise = np.random.default_rng(0).normal(0, 0.2, (1, 16000 * seconds)).astype(np.float32)
    noise *= np.repeat([loud(second) for second in range(seconds)], 16000)

    def pictures() -> Any:
        for k in range(seconds * fps):
            picture = np.full((64, 96, 3), 40, np.uint8)
            picture[16:40, 8 + k % 40 : 32 + k % 40] = 220
            yield picture

    write_video(path, pictures(), fps, noise, 16000)
    return path


def test_a_video_is_marked_while_it_sounds(tmp_path: Path) -> None:
    path = video(tmp_path / "a.mp4", 12, fps=5)
    for fps in (1, 5):
        result = Segmenter(stub_model(TASK, **GATE), fps=fps).predict(path)
        assert len(result.frames) == 12 * fps
        marked = {frame.time for frame in result.frames if frame.objects}
        assert marked == {frame.time for frame in result.frames if frame.time < 6 or frame.time >= 10}
        dog = next(one for one in result.sounding if one["class"] == "dog")
        assert np.allclose(dog["intervals"], [[0, 6], [10, 12]], atol=0.5 / fps + 1e-6)


@pytest.mark.parametrize("kind", ["instance", "semantic"])
def test_the_explanation_lists_the_tracks_of_classes_that_are_told_of(tmp_path: Path, kind: Any) -> None:
    path, task = video(tmp_path / "a.mp4", 3), Task(kind, ("dog", "cat"))
    every = Segmenter(stub_model(task, **GATE), fps=1).predict(path).explanation["tracks"]
    assert {(track["class"], track["class_id"]) for track in every} == {("dog", 1), ("cat", 2)}
    cats = Segmenter(stub_model(task, **GATE), fps=1, classes="cat")
    stream = cats.stream(path)
    assert list(stream) and stream.notes["tracks"] == cats.predict(path).explanation["tracks"]
    assert stream.notes["tracks"] == [track for track in every if track["class"] == "cat"]
    assert stream.notes["seconds"] and stream.notes["parts"]
    binary = Segmenter(stub_model(Task("binary"), **GATE, vocabulary=("dog", "cat")), fps=1, classes="sounding")
    assert len(binary.predict(path).explanation["tracks"]) == 2


def test_a_video_without_sound_is_marked_nowhere(tmp_path: Path) -> None:
    path = tmp_path / "mute.mp4"
    write_video(path, [np.full((64, 96, 3), 40, np.uint8)] * 3, 1)
    result = Segmenter(stub_model(TASK, **GATE)).predict(path)
    assert result.tracks == () and all(not frame.objects for frame in result.frames)


def test_a_model_file_is_a_header_that_tells_results_apart(tmp_path: Path) -> None:
    model = stub_model(TASK, **GATE)
    path = save_model(model, tmp_path / "model.safetensors")
    assert path.stat().st_size < 10_000
    again = load_model(path)
    assert again.config == model.config and again.task == TASK
    assert Segmenter(again).describe() == Segmenter(model).describe()
    other = stub_model(TASK, **{**GATE, "gate": GateConfig(on=0.2, off=0.05)})
    assert Segmenter(other).describe()["fingerprint"] != Segmenter(model).describe()["fingerprint"]


def test_sound_comes_from_the_file_at_the_rate_that_the_tagger_hears(tmp_path: Path) -> None:
    model = stub_model(TASK, **GATE)
    path = video(tmp_path / "a.mp4", 2)
    config = model.config
    assert config.sound_rate == 16000
    clap = type(config)()
    assert clap.sound_rate == 16000
    words = type(config)(tagger=type(config.tagger)("clap"))
    (clip,) = clips_of(probe(path), words, FramePlan.of(1, words.temporal), None)
    assert clip.sample_rate == words.sound_rate == 48000
    assert clip.audio.shape[1] >= 2 * 48000 and Geometry(words.input)(clip).frames.shape == (2, 3, 64, 96)


@pytest.mark.parametrize("seconds", [1.0, 3.0])
def test_pieces_of_any_length_hear_the_same(seconds: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.mp4"
    sound = np.random.default_rng(0).normal(0, 0.2, (1, 16000 * 6)).astype(np.float32)
    sound[:, (np.arange(16000 * 6) // 4000) % 5 > 1] = 0.0  # half a second on, three quarters off
    write_video(path, [np.full((64, 96, 3), 40, np.uint8)] * 18, 3, sound, 16000)
    gate, found = GateConfig(on=0.15, off=0.1), []
    for frames in (1, 5, 100):
        monkeypatch.setattr("avseg.models.zeroshot.session.FRAMES_AT_ONCE", frames)
        result = Segmenter(stub_model(TASK, gate=gate, audio=hearing(seconds)), fps=3).predict(path)
        found.append([[frame.time, [(one.id, one.area) for one in frame.objects]] for frame in result.frames])
    assert found[0] == found[1] == found[2] and any(objects for _, objects in found[0])


@pytest.mark.parametrize("kind", ["binary", "semantic"])
def test_maps_of_a_video_follow_its_sound(tmp_path: Path, kind: Any) -> None:
    task = Task(kind, TASK.classes if kind == "semantic" else ())
    path = video(tmp_path / "a.mp4", 12)
    result = Segmenter(stub_model(task, **GATE, vocabulary=TASK.classes)).predict(path)
    assert [bool(frame.objects) for frame in result.frames] == [t < 6 or t >= 10 for t in range(12)]


@pytest.mark.extra
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
def test_ten_minutes_need_at_most_forty_megabytes_more_than_one(tmp_path: Path) -> None:
    videos = [str(video(tmp_path / f"{minutes}.mp4", 60 * minutes)) for minutes in (1, 10)]
    needs("transformers")
    script = Path(__file__).with_name("peak_zeroshot.py")
    one, ten = peaks(script, str(tmp_path / "out"), *videos)
    assert ten - one < 40, (one, ten)
    frames = json.loads((tmp_path / "out" / "10" / "result.json").read_text())["frames"]
    assert len(frames) == 600 and sum(bool(frame["objects"]) for frame in frames) == 360
