"""Pictures and sound in memory: the result of a lossless file that holds the same."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from avseg.config import AudioWindow, Temporal
from avseg.inference import Result, Segmenter
from avseg.io.video import iter_frames, read_audio
from avseg.models.base import Model
from inference.fake import fake
from inference.media import make, tone
from inference.tracker import tracker

RATE, LATE, SECONDS = 44100, 0.9375, 5.4


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    """(54, 64, 96, 3), ten a second: a bright square that moves above a red one that stands."""
    pictures = np.full((round(10 * SECONDS), 64, 96, 3), 20, np.uint8)
    for i, picture in enumerate(pictures):
        picture[4:30, i : i + 30] = 235
        picture[34:60, 40:80] = (230, 20, 20)
    return pictures


@pytest.fixture(scope="module")
def sound() -> np.ndarray:
    """(1, S) int16, loud from 1 to 4 s; it ends 1.5 s before the pictures."""
    wave = tone(SECONDS - 1.5, RATE)
    time = np.arange(wave.shape[1]) / RATE
    return np.round(np.where((time > 1) & (time < 3.5), wave, 0) * 32767).astype(np.int16)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory, pictures: np.ndarray, sound: np.ndarray) -> Path:
    """The same as RGB and FLAC, without loss."""
    path = tmp_path_factory.mktemp("v") / "frames.mkv"
    wave = sound.astype(np.float32) / 32768
    return make(path, list(pictures), video=("ffv1", "bgr0"), sound=wave, audio=("flac", "mono", RATE))


def told(result: Result) -> list[object]:
    return [result.frames, result.sounding, result.times.tolist(), result.measured.to_dict()]


def models() -> dict[str, Callable[[], Model]]:
    window = AudioWindow(1.0, anchor="frame", offset=-0.5, missing="silence")
    return {
        "block": lambda: fake(temporal=Temporal("block", 5, shown_after=LATE)),
        "frame": lambda: fake(temporal=Temporal("frame", 1, shown_after=LATE), audio=window),
        "clip": lambda: fake(temporal=Temporal("clip", None, shown_after=0.5)),
        "tracks": tracker,
    }


@pytest.mark.parametrize("fps", [0.5, 4])
@pytest.mark.parametrize("name", models())
def test_frames_give_what_a_lossless_file_of_them_gives(
    name: str, fps: float, video: Path, pictures: np.ndarray, sound: np.ndarray
) -> None:
    of_file = [picture for _, picture in iter_frames(video)]
    assert (np.stack(of_file) == pictures).all()
    segmenter = Segmenter(models()[name](), fps=fps)
    wanted, found = segmenter.predict(video), segmenter.predict(frames=pictures, audio=sound, fps=10, sample_rate=RATE)
    assert any(frame.objects for frame in wanted.frames) and wanted.duration == pytest.approx(SECONDS)
    assert told(found) == told(wanted)
    assert (
        [clip.tolist() for clip in found.source.frames.permute(0, 2, 3, 1)]
        == [  # type: ignore[union-attr]
            picture.tolist() for _, picture in iter_frames(video, fps, float(wanted.times[0]))
        ][: len(wanted.frames)]
    )


def test_any_form_of_frames_and_sound_is_the_same(pictures: np.ndarray, sound: np.ndarray) -> None:
    segmenter = Segmenter(fake(), fps=1)
    wanted = segmenter.predict(frames=pictures, audio=sound, fps=10, sample_rate=RATE)
    channels_first = torch.from_numpy(pictures).permute(0, 3, 1, 2)
    waves: list[Any] = [sound[0], torch.from_numpy(sound), sound / 32768, (sound[0] / 32768).astype(np.float32)]
    for frames, wave in zip(
        [channels_first, list(pictures), list(torch.from_numpy(pictures)), iter(pictures)], waves, strict=True
    ):
        found = segmenter.predict(frames=frames, audio=wave, fps=10, sample_rate=RATE)
        assert told(found) == told(wanted)


def test_of_a_generator_only_pictures_with_masks_are_kept(pictures: np.ndarray) -> None:
    given: list[int] = []

    def some() -> Iterator[np.ndarray]:
        for i, picture in enumerate(pictures):
            given.append(i)
            yield picture.copy()

    result = Segmenter(fake(), fps=1).predict(frames=some(), audio=None, fps=10)
    assert given == list(range(54)) and result.source.frames.shape == (5, 3, 64, 96)  # type: ignore[union-attr]
    assert result.times.tolist() == pytest.approx([0.9375, 1.9375, 2.9375, 3.9375, 4.9375])


def test_no_sound_is_silence_with_a_warning(pictures: np.ndarray, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        result = Segmenter(fake(), fps=1).predict(frames=pictures, fps=10)
    assert caplog.messages == ["frames come without sound; the model gets silence and may mark nothing"]
    assert not any(frame.objects for frame in result.frames)


def test_a_result_of_frames_is_saved(tmp_path: Path, pictures: np.ndarray, sound: np.ndarray) -> None:
    result = Segmenter(fake(), fps=5).predict(frames=pictures, audio=sound, fps=10, sample_rate=RATE)
    folder = result.save(tmp_path / "r", save=("overlay", "masks", "explain"))
    assert len(list((folder / "masks").iterdir())) == len(result.frames) == 27 and (folder / "explain.html").is_file()
    heard = read_audio(folder / "overlay.mp4")
    assert heard is not None and heard[0].shape[1] / heard[1] == pytest.approx(SECONDS - 1.5, abs=0.07)
    assert sum(1 for _ in iter_frames(folder / "overlay.mp4")) == 27


PICTURE = np.zeros((3, 8, 8, 3), np.uint8)
WAVE = np.zeros(16000, np.float32)
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "fps": ({"frames": PICTURE}, r"fps is None, wanted the frames per second, such as fps=25"),
    "zero fps": ({"frames": PICTURE, "fps": 0}, r"fps is 0, wanted"),
    "text fps": ({"frames": PICTURE, "fps": "25"}, r"fps is '25', wanted the frames per second"),
    "true fps": ({"frames": PICTURE, "fps": True}, r"fps is True, wanted"),
    "tiny fps": ({"frames": PICTURE, "fps": 1e-6}, r"fps is 1e-06, wanted"),
    "ragged": ({"frames": [[[1, 2], [3]]], "fps": 1}, r"picture 0 of frames has rows of different lengths"),
    "endless rate": (
        {"frames": PICTURE, "fps": 1, "audio": WAVE, "sample_rate": float("inf")},
        r"sample_rate is inf, w",
    ),
    "text rate": ({"frames": PICTURE, "fps": 1, "audio": WAVE, "sample_rate": "9"}, r"sample_rate is '9', wanted"),
    "ragged sound": ({"frames": PICTURE, "fps": 1, "audio": [[0.0], [0.0, 1]], "sample_rate": 9}, r"audio has rows of"),
    "samples of a file": (
        {"video": "a.mp4", "audio": WAVE},
        r"audio has the type ndarray, wanted the path of a file",
    ),
    "list of times": ({"video": "a.mp4", "start": [1]}, r"start is \[1\], wanted seconds from the beginning"),
    "rate": (
        {"frames": PICTURE, "fps": 1, "audio": WAVE},
        r"sample_rate is None, wanted the sample rate of audio in Hz",
    ),
    "float": ({"frames": PICTURE / 255, "fps": 1}, r"is float64, wanted uint8 .*\(frames \* 255\)\.round\(\) as uint8"),
    "int64": ({"frames": PICTURE.astype(np.int64), "fps": 1}, r"is int64, wanted uint8 from 0 to 255; give 8 bit"),
    "one": ({"frames": PICTURE[0], "fps": 1}, r"shape \(8, 8, 3\), wanted \(T, H, W, 3\).*frames\[None\]"),
    "grey": ({"frames": PICTURE[..., 0], "fps": 1}, r"frames has the shape \(3, 8, 8\), wanted"),
    "none": ({"frames": iter([]), "fps": 1}, r"frames is empty; give at least one picture"),
    "no frames": ({"frames": PICTURE[:0], "fps": 1}, r"frames is empty"),
    "sizes": ({"frames": [PICTURE[0], PICTURE[0, :4]], "fps": 1}, r"picture 1 of frames has the shape \(4, 8, 3\) but"),
    "turned": (
        {"frames": [PICTURE[0].T], "fps": 1},
        r"picture 0 of frames has the shape \(3, 8, 8\), wanted \(H, W, 3",
    ),
    "text": ({"frames": "a.mp4", "fps": 1}, r"frames has the type str, wanted an array"),
    "samples": ({"frames": PICTURE, "fps": 1, "audio": WAVE.astype(int), "sample_rate": 9}, r"audio is int64, wanted"),
    "loud": ({"frames": PICTURE, "fps": 1, "audio": WAVE + 900, "sample_rate": 9}, r"audio reaches 900, wanted float"),
    "nan": ({"frames": PICTURE, "fps": 1, "audio": WAVE * np.nan, "sample_rate": 9}, r"audio reaches nan, wanted"),
    "columns": (
        {"frames": PICTURE, "fps": 1, "audio": np.stack([WAVE] * 2, 1), "sample_rate": 9},
        r"audio has the shape \(16000, 2\), wanted \(S,\) or \(A, S\); channels come first, so give audio\.T",
    ),
    "file": ({"frames": PICTURE, "fps": 1, "audio": "a.wav", "sample_rate": 9}, r"with frames=, audio is an array"),
    "part": ({"frames": PICTURE, "fps": 1, "start": 1}, r"start and end apply to files"),
    "both": ({"video": "a.mp4", "frames": PICTURE}, r"both video and frames= are given; give one of them"),
    "nothing": ({}, r"nothing to segment"),
    "array": ({"video": PICTURE}, r"video has the type ndarray, wanted a file.* as frames=, with fps="),
    "fps of a file": ({"video": "a.mp4", "fps": 5}, r"fps= and sample_rate= of predict belong to frames="),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_used_is_refused_in_one_sentence(name: str) -> None:
    given, sentence = WRONG[name]
    with pytest.raises(ValueError, match=sentence) as error:
        Segmenter(fake(), fps=1).predict(**given)
    assert "\n" not in str(error.value)


def test_numbers_of_other_libraries_are_numbers(pictures: np.ndarray, sound: np.ndarray) -> None:
    plain = Segmenter(fake(), fps=1).predict(frames=pictures, fps=10, audio=sound, sample_rate=RATE)
    numbers = Segmenter(fake(), fps=np.float32(1)).predict(  # type: ignore[arg-type]
        frames=pictures, fps=np.float32(10), audio=sound, sample_rate=np.int64(RATE)
    )
    assert told(numbers) == told(plain)
    half = torch.zeros(16000, dtype=torch.bfloat16)
    Segmenter(fake(), fps=1).predict(frames=PICTURE, fps=1, audio=half, sample_rate=16000)


@pytest.mark.parametrize("model", [None, PICTURE, 3])
def test_what_is_no_model_is_refused(model: Any) -> None:
    with pytest.raises(ValueError, match=r"model has the type \w+, wanted a model, or its file, Hub id or name"):
        Segmenter(model)


def test_mono_sound_is_refused_where_left_and_right_are_heard() -> None:
    with pytest.raises(ValueError, match="frames has mono sound, but this model needs stereo"):
        Segmenter(fake(audio_channels=2), fps=1).predict(frames=PICTURE, fps=1, audio=WAVE, sample_rate=16000)


def test_a_list_gives_a_list(video: Path) -> None:
    segmenter = Segmenter(fake(), fps=1)
    one = segmenter.predict(video)
    both = segmenter.predict([video, str(video)])
    assert [told(result) for result in both] == [told(one)] * 2 and segmenter.predict([]) == []


def test_a_segmenter_opens_what_load_model_opens() -> None:
    opened = Segmenter("demo", fps=2)
    assert opened.name == "demo" and opened.describe() == Segmenter.load("demo", fps=2).describe()
    assert Segmenter("demo", name="mine").name == "mine"
