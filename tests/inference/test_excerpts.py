"""Results of parts, of other sound and of pictures; and which objects are told of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from avseg.cli import complete, run
from avseg.config import Temporal
from avseg.datasets.folder.find import read_annotations
from avseg.datasets.folder.masks import read_masks
from avseg.inference import Result, Segmenter, predict_folder
from avseg.io.audio import write_wav
from avseg.io.video import iter_audio, iter_frames, read_audio
from avseg.types import Task
from inference.fake import fake
from inference.media import make, tone
from inference.tracker import tracker

RATE = 16000
FFV1, FLAC = ("ffv1", "bgr0"), ("flac", "mono", RATE)


def moving(count: int) -> list[np.ndarray]:
    """Ten a second: a bright square that moves above a red one that stands."""
    pictures = []
    for i in range(count):
        picture = np.full((64, 96, 3), 20, np.uint8)
        picture[4:30, i : i + 30] = 235
        picture[34:60, 40:80] = (230, 20, 20)
        pictures.append(picture)
    return pictures


def bursts(seconds: float, *spans: tuple[float, float]) -> np.ndarray:
    """(1, S): a tone in these spans, else silence."""
    wave = tone(seconds, RATE)
    time = np.arange(wave.shape[1]) / RATE
    loud = np.any([(time >= begin) & (time < end) for begin, end in spans], axis=0)
    return np.where(loud, wave, 0).astype(np.float32)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six seconds, loud from 3 to 5 s, without loss."""
    path = tmp_path_factory.mktemp("v") / "square.mkv"
    return make(path, moving(60), video=FFV1, sound=bursts(6, (3, 5)), audio=FLAC)


@pytest.fixture(scope="module")
def cut(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """From 2 to 5 s of it, in a file of its own."""
    path = tmp_path_factory.mktemp("v") / "cut.mkv"
    return make(path, moving(60)[20:50], video=FFV1, sound=bursts(6, (3, 5))[:, 2 * RATE : 5 * RATE], audio=FLAC)


def told(result: Result) -> list[object]:
    return [result.frames, result.sounding, result.times.tolist(), result.measured.to_dict()]


def long(path: Path) -> tuple[float, float]:
    """s of picture and of sound."""
    pictures = iter_frames(path)
    assert sum(1 for _ in pictures)
    heard = read_audio(path)
    assert heard is not None
    return pictures.end, heard[0].shape[1] / heard[1]


@pytest.mark.parametrize("name", ["block", "clip", "tracks"])
def test_a_part_is_as_a_file_of_its_own(video: Path, cut: Path, name: str) -> None:
    model = {"block": fake, "clip": lambda: fake(temporal=Temporal("clip", None)), "tracks": tracker}[name]()
    segmenter = Segmenter(model, fps=2)
    wanted, found = segmenter.predict(cut), segmenter.predict(video, start=2, end="0:05")
    assert any(frame.objects for frame in wanted.frames) and len(wanted.frames) == 6
    assert told(found) == told(wanted)
    assert list(segmenter.stream(video, start=2, end=5)) == list(wanted.frames)


def test_outputs_are_of_the_part(video: Path, tmp_path: Path) -> None:
    report = predict_folder(
        Segmenter(fake(), fps=2), [video], tmp_path, save=["overlay", "masks", "explain"], start=2, end=5
    )
    assert report.exit_code == 0
    assert long(tmp_path / "square" / "overlay.mp4") == pytest.approx((3, 3), abs=0.07)
    painted = next(iter_frames(tmp_path / "square" / "overlay.mp4"))[1].astype(int)
    assert painted[10, 20:50].mean() > 150 and painted[10, :18].mean() < 60  # the square has moved by 20 pixels
    loud = [float(np.abs(piece).max()) > 0.1 for _, piece, _ in iter_audio(tmp_path / "square" / "overlay.mp4")]
    assert not any(loud[:14]) and all(loud[17:-2])  # pieces of 64 ms; silent up to 3 s of the whole
    head = json.loads((tmp_path / "square" / "result.json").read_text())["video"]
    assert head["part"] == [2.0, 5.0] and head["duration"] == 3.0 and "audio" not in head


def test_annotations_of_a_part_lie_on_the_clock_of_the_whole_video(video: Path, tmp_path: Path) -> None:
    kinds = ("masks", "coco", "youtube_vis", "cvat", "label_studio", "eaf")
    predict_folder(Segmenter(fake(), fps=2), [video], tmp_path, save=kinds, start=1.5, end=4)
    folder = tmp_path / video.stem
    told = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    times = [1.5 + frame["time"] for frame in told["frames"]]
    assert times[0] > 1.5 and len(times) >= 4
    for name in ("coco.json", "youtube_vis.json", "cvat.xml"):
        (labels,) = read_annotations(folder / name, "cvat").items()
        found = [frame.when.value for frame in labels[1].frames]
        assert labels[0].removesuffix(".mkv") == video.stem
        assert found == pytest.approx([int(time * 10 + 1e-5) for time in times] if name == "cvat.xml" else times), name
    tasks = json.loads((folder / "label_studio" / "tasks.json").read_text(encoding="utf-8"))
    assert [task["data"]["time"] for task in tasks] == pytest.approx(times)
    assert 'TIME_ORIGIN="1500"' in (folder / "sounding.eaf").read_text(encoding="utf-8")
    assert [frame.when.value for frame in read_masks(folder, False).frames] == pytest.approx(times)
    stored = Result.load(folder).to_coco()
    assert [image["time"] for image in stored["images"]] == pytest.approx(times)


def test_results_of_other_parts_and_sounds_are_told_apart(video: Path, tmp_path: Path) -> None:
    segmenter = Segmenter(fake(), fps=1)
    sound = make(tmp_path / "s.wav", sound=bursts(9, (0, 9)), audio=("pcm_s16le", "mono", RATE))
    choices: list[dict[str, Any]] = [{}, {"start": 1}, {"start": 1, "end": 5}, {"audio": sound}]
    for first in choices:
        out = tmp_path / str(len(list(tmp_path.iterdir())))
        assert predict_folder(segmenter, [video], out, **first).done
        for other in choices:
            report = predict_folder(segmenter, [video], out, **other)
            if other == first:
                assert report.skipped
            else:
                part = (first.get("start"), first.get("end")) != (other.get("start"), other.get("end"))
                assert f"holds a result of another {'part' if part else 'sound'} of square" in report.failed[video]
    assert predict_folder(segmenter, [video], out, start=1, overwrite=True).done


def test_a_stored_result_has_its_part_and_its_sound(video: Path, tmp_path: Path) -> None:
    sound = tmp_path / "other.wav"
    write_wav(sound, torch.from_numpy(tone(3, 16000)), 16000)
    segmenter = Segmenter(fake(), fps=2)
    predict_folder(segmenter, [video], tmp_path / "part", start=0.5, end=1.5)
    predict_folder(segmenter, [video], tmp_path / "heard", audio=sound)
    part = Result.load(tmp_path / "part" / video.stem, video)
    assert long(part.save_video(tmp_path / "part.mp4"))[0] == pytest.approx(1.0, abs=0.05)
    heard = Result.load(tmp_path / "heard" / video.stem, video, sound)
    heard.save_video(tmp_path / "heard.mp4")
    original, rate, _ = read_audio(tmp_path / "heard.mp4", 16000, 1)
    assert rate == 16000 and float(original[0, 1000:8000].std()) == pytest.approx(0.4 / 2**0.5, rel=0.05)
    with pytest.raises(ValueError, match=r"was made with the sound of other\.wav; pass that file as audio="):
        Result.load(tmp_path / "heard" / video.stem, video)
    with pytest.raises(ValueError, match="was made with the sound of its own; leave audio= out"):
        Result.load(tmp_path / "part" / video.stem, video, sound)


def test_another_sound_is_heard_and_ends_with_the_picture(video: Path, tmp_path: Path) -> None:
    sound = make(tmp_path / "s.mp3", sound=bursts(9, (0, 2)), audio=("mp3", "mono", RATE))
    segmenter = Segmenter(fake(temporal=Temporal("frame", 1)), fps=2)
    loud = [bool(frame.objects) for frame in segmenter.predict(video, audio=sound).frames]
    assert all(loud[:3]) and not any(loud[5:]) and [bool(f.objects) for f in segmenter.predict(video).frames] != loud
    assert predict_folder(segmenter, [video], tmp_path, audio=sound, overlay=True).done
    assert long(tmp_path / "square" / "overlay.mp4") == pytest.approx((6, 6), abs=0.15)


def test_a_picture_with_sound_is_a_video(tmp_path: Path) -> None:
    sound = make(tmp_path / "s.wav", sound=bursts(4, (1, 2.5)), audio=("pcm_s16le", "mono", RATE))
    Image.fromarray(moving(1)[0]).save(tmp_path / "p.png")
    still = make(tmp_path / "still.mkv", moving(1) * 40, video=FFV1, sound=bursts(4, (1, 2.5)), audio=FLAC)
    segmenter = Segmenter(fake(), fps=4)
    found = segmenter.predict(tmp_path / "p.png", audio=sound)
    assert told(found) == told(segmenter.predict(still)) and any(frame.objects for frame in found.frames)
    report = predict_folder(segmenter, [tmp_path / "p.png"], tmp_path / "out", audio=sound, overlay=True)
    assert report.exit_code == 0 and long(tmp_path / "out" / "p" / "overlay.mp4") == pytest.approx((4, 4), abs=0.07)


def test_a_clip_has_no_parts(video: Path) -> None:
    clip = Segmenter(fake(), fps=1).predict(frames=moving(3), fps=1).source
    with pytest.raises(ValueError, match="a clip has its own sound and length; audio, start and end apply to files"):
        Segmenter(fake()).predict(clip, start=1)  # type: ignore[call-overload]


SEMANTIC = Task("semantic", ("red", "green"))


@pytest.fixture
def colours() -> dict[str, Any]:
    """Two pictures of a red and a green square, and a loud sound."""
    picture = np.full((32, 48, 3), 20, np.uint8)
    picture[4:28, 2:20, 0] = 250
    picture[4:28, 26:46, 1] = 160
    return {"frames": [picture] * 4, "fps": 1, "audio": tone(4, RATE), "sample_rate": RATE}


def test_only_these_classes_are_told_of(colours: dict[str, Any]) -> None:
    model = fake(SEMANTIC)
    assert Segmenter(model, fps=1).predict(**colours).classes == ("red", "green")
    for classes in ("green", ["green"], "green, green"):
        result = Segmenter(model, fps=1, classes=classes).predict(**colours)
        assert result.classes == ("green",) and {one["id"] for one in result.sounding} == {2}
        assert set(np.unique(result.labels[0]).tolist()) == {0, 2}


def test_only_objects_above_the_threshold_are_told_of(colours: dict[str, Any]) -> None:
    scores = {n: s.max() for n, s in Segmenter(fake(SEMANTIC), fps=1).predict(**colours).scores.items()}
    assert 0.9 < scores[2] < scores[1]
    between = float(scores[1] + scores[2]) / 2
    assert Segmenter(fake(SEMANTIC), fps=1, threshold=between).predict(**colours).classes == ("red",)
    assert Segmenter(fake(SEMANTIC), fps=1, threshold=0).predict(**colours).classes == ("red", "green")


def test_a_threshold_is_the_score_of_models_that_have_one(video: Path) -> None:
    model = tracker()
    with_option, with_threshold = Segmenter(model, options={"score": 0.25}), Segmenter(model, threshold=0.25)
    assert with_option.options == with_threshold.options and with_option.describe() == with_threshold.describe()
    assert told(with_option.predict(video)) == told(with_threshold.predict(video))


def test_choices_of_objects_are_part_of_the_fingerprint() -> None:
    model = fake(SEMANTIC)
    every = [Segmenter(model, **more) for more in ({}, {"classes": "red"}, {"classes": "green"}, {"threshold": 0.5})]
    assert len({one.describe()["fingerprint"] for one in every}) == 4
    assert "only" not in every[0].describe() and every[1].describe()["only"] == {"classes": ["red"]}
    assert Segmenter(model, classes="green,red").describe() == Segmenter(model, classes=["red", "green"]).describe()


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"classes": "gren"}, "this model has no class 'gren'; did you mean 'green'?"),
        ({"classes": []}, "classes is empty; name at least one class"),
        ({"threshold": 1.0}, "threshold is 1.0, wanted 0 or more and below 1"),
        ({"threshold": float("nan")}, "threshold is nan, wanted"),
        ({"threshold": "0.5"}, "threshold is '0.5', wanted"),
        ({"classes": 3}, "classes is 3, wanted a list of names"),
        ({"classes": [1]}, "this model has no class 1; known: green, red"),
        ({"classes": " , "}, "classes is empty"),
        ({"fps": "2"}, "fps is '2', wanted a positive number of masks per second"),
        ({"fps": float("inf")}, "fps is inf, wanted"),
    ],
)
def test_choices_that_cannot_be_are_refused(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Segmenter(fake(SEMANTIC), **given)
    with pytest.raises(ValueError, match="no class 'dog'; known: sounding"):
        Segmenter(fake(), classes="dog")


def test_names_of_classes_may_hold_commas() -> None:
    model = fake(Task("semantic", ("speech, male", "speech", "male")))
    for text, names in (
        ("speech, male", ["speech, male"]),
        ("speech,male,speech", ["speech, male", "speech"]),
        ("male,speech,", ["speech", "male"]),
    ):
        assert Segmenter(model, classes=text).describe()["only"] == {"classes": names}


def test_the_command_line_hands_all_of_it_on(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, Any]] = []

    def predict_paths(*_: Any, **given: Any) -> Any:
        seen.append(given)
        raise ValueError("enough")

    monkeypatch.setattr("avseg.inference.folder.predict_paths", predict_paths)
    names = ("start", "end", "audio", "classes", "threshold", "options")
    words = ["--start", "1:02", "--end=70", "--audio", "a.wav", "--classes", "dog,cat", "--threshold", "0.4"]
    for more in (words, ["--score", "0.3"], []):
        with pytest.raises(ValueError, match="enough"):
            run(["predict", "a.mp4", "--model", "m", *more])
    assert [{name: given.get(name) for name in names} for given in seen] == [
        dict(zip(names, ("1:02", "70", Path("a.wav"), "dog,cat", 0.4, {}), strict=True)),
        dict(zip(names, (None, None, None, None, 0.3, {}), strict=True)),
        dict(zip(names, (None, None, None, None, None, {}), strict=True)),
    ]
    assert {"--start", "--score"} <= set(complete(["predict", "--s"]))


def test_bad_choices_are_told_before_any_video(video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, sentence in (
        (["--start", "5", "--end", "4"], "end 4 s is not after start 5 s"),
        (["--end", "soon"], "end is 'soon', wanted seconds"),
        (["--audio", str(tmp_path / "none.wav")], "none.wav is not a file"),
        (["--classes", "dog"], "no class 'dog'"),
        (["--threshold", "2"], "threshold is 2.0"),
    ):
        with pytest.raises(ValueError, match=sentence):
            run(["predict", str(video), "--model", "demo", "--out", str(tmp_path / "out"), *words])
    assert not (tmp_path / "out" / "square").exists()
