"""`--save dataset:NAME`: videos with a model's masks as truth, whole folders that pass their check and train."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from avseg.cli import run
from avseg.data import build_dataset
from avseg.datasets import data_config
from avseg.datasets.folders import check
from avseg.engine.training.run import train_recipe
from avseg.engine.training.train import train
from avseg.inference import Segmenter, predict_folder
from avseg.inference.folder import FolderReport
from avseg.io.image import open_image
from avseg.io.rle import decode
from avseg.io.video import iter_frames, write_video
from avseg.losses.config import SetConfig
from avseg.prepare.pseudo import Gathering
from avseg.recipes import get_recipe
from avseg.types import Task
from engine.tiny_run import TinyModel, recipe, rows
from inference.fake import fake
from inference.media import tone
from inference.test_tracks import FPS as SCENE_FPS
from inference.test_tracks import scene, sound
from inference.tracker import tracker

RATE, FPS = 16000, 16
"""At 16 pictures a second the one 15/16 s into each second is the last of it."""


def film(path: Path, seconds: float, loud: Any = lambda second: True) -> Path:
    """A bright square on a ground whose blue tells the second and whose green tells the picture in it."""
    pictures = []
    for i in range(round(seconds * FPS)):
        picture = np.zeros((96, 160, 3), np.uint8)
        picture[..., 1], picture[..., 2] = 8 * (i % FPS), 12 * (i // FPS)
        picture[24:72, 40:120] = 240
        pictures.append(picture)
    wave = tone(seconds, RATE) * np.repeat([loud(s) for s in range(int(seconds) + 1)], RATE)[: round(seconds * RATE)]
    return write_video(path, pictures, FPS, wave.astype(np.float32), RATE)


def gather(segmenter: Segmenter, videos: list[Path], out: Path, name: str, **options: Any) -> FolderReport:
    report = predict_folder(segmenter, videos, out, save=[f"dataset:{name}"], **options)
    assert report.exit_code == 0, report
    assert check(name, out / f"dataset_{name}", workers=1).ok
    return report


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.parametrize("fps", [1, 4])
def test_s4_has_pieces_of_five_seconds_on_its_clock(tmp_path: Path, fps: int) -> None:
    """12.5 s: five that sound after one, five silent ones, and too little for a third piece."""
    path, out = film(tmp_path / "a.mp4", 12.5, lambda s: 1 <= s < 5), tmp_path / "out"
    report = gather(Segmenter(fake(), fps=fps), [path], out, "s4")
    root = out / "dataset_s4"
    (told,) = report.notes
    assert "holds 1 video as clips: 1 train, 0 val, 0 test, 2 pieces left out as too short or" in told
    assert told in report.summary
    dataset = build_dataset(data_config("s4", root=root), "train")
    assert dataset.ids == ["a_00000"] and list(dataset.annotated(0)) == [0]
    clip = dataset[0]
    assert clip.frames.shape == (5, 3, 224, 224) and clip.audio.shape == (1, 5 * RATE)
    ground = clip.frames[:, 1:, 5, 5].float()  # green and blue
    assert torch.allclose(ground[:, 0], torch.full((5,), 120.0), atol=6)  # picture 15 of 16
    assert torch.allclose(ground[:, 1], 12 * torch.arange(5.0), atol=6)
    loud = clip.audio.reshape(5, RATE).square().mean(1).sqrt() > 0.1
    assert loud.tolist() == [False, True, True, True, True]
    assert not clip.target.labels[0].any()  # type: ignore[union-attr]  silent in its first second, which is annotated


def test_masks_of_s4_are_the_union_of_what_sounds(tmp_path: Path) -> None:
    """The second video is of val, whose clips have a mask for each frame."""
    red = np.zeros((96, 160, 3), np.uint8)
    red[:48, :80], red[60:, 100:] = (230, 20, 20), (20, 230, 20)
    videos = [write_video(tmp_path / f"{n}.mp4", [red] * 9, 2, tone(4.5, RATE), RATE) for n in "ab"]
    segmenter = Segmenter(fake(Task("semantic", ("drum", "flute"))), fps=1)
    gather(segmenter, videos, tmp_path / "out", "s4")
    dataset = build_dataset(data_config("s4", root=tmp_path / "out" / "dataset_s4"), "val")
    assert dataset.ids == ["b_00000"] and len(dataset.annotated(0)) == 5  # four seconds, the last of them twice
    labels = dataset[0].target.labels  # type: ignore[union-attr]
    result = segmenter.predict(videos[1])
    for k in range(5):
        mask = result.frames[min(k, 3)].mask
        assert labels[k].float().mean() == pytest.approx(mask.mean(), abs=0.01) and mask.any()
    assert dataset.categories == ("drum",)  # type: ignore[attr-defined]  its area is the larger one
    wave = dataset[0].audio[0]
    assert wave[: 4 * RATE].abs().max() > 0.3 and not wave[4 * RATE :].any()


def test_aviseg_has_whole_videos_with_the_tracks_of_every_second(tmp_path: Path) -> None:
    videos = [
        write_video(tmp_path / f"{n}.mp4", scene(7), SCENE_FPS, np.repeat(sound(7, (0, 4), (2, 7)), 2, 0), RATE)
        for n in "ab"
    ]
    segmenter, out = Segmenter(tracker(), fps=2), tmp_path / "out"
    report = gather(segmenter, videos, out, "aviseg")
    assert "2 videos as clips: 1 train, 1 val, 0 test; test is empty" in report.notes[0]
    root = out / "dataset_aviseg"
    dataset = build_dataset(data_config("aviseg", root=root, stereo=True), "val")
    assert dataset.ids == ["b"] and dataset.task == Task("instance", ("drum", "flute"))
    clip = dataset[0]
    assert clip.frames.shape == (7, 3, 96, 160) and clip.audio.shape == (2, 7 * RATE)
    result = segmenter.predict(videos[1])
    pictures = [picture for _, picture in iter_frames(videos[1], 1, 0.5)]
    for second in range(7):
        frame = result.frames[2 * second + 1]
        assert frame.heard[0] == second and frame.time == second + 0.5
        want = {one.class_id: one.mask for one in frame.objects}
        truth = zip(clip.target.classes.tolist(), clip.target.masks, strict=True)  # type: ignore[union-attr]
        have = {k: decode(masks[second]) for k, masks in truth if masks[second] is not None}
        assert want.keys() == have.keys() and all(np.array_equal(want[k], have[k]) for k in want)
        stored = clip.frames[second].permute(1, 2, 0).numpy().astype(int)
        assert np.abs(stored - pictures[second].astype(int)).mean() < 3
    assert clip.audio[0].numpy() == pytest.approx(sound(7, (0, 4), (2, 7))[0], abs=0.1)


def test_a_second_run_adds_videos_and_a_rerun_takes_their_place(tmp_path: Path) -> None:
    one, two, three = (film(tmp_path / f"{n}.mp4", 5) for n in "abc")
    out, segmenter = tmp_path / "out", Segmenter(fake(), fps=1)
    root = out / "dataset_s4"
    gather(segmenter, [one], out, "s4")
    first = files(root)
    assert json.loads((out / "a" / "result.json").read_text())["saved"] == {"dataset:s4": "../dataset_s4/videos/a.json"}
    gather(segmenter, [one, two], out, "s4")
    both = files(root)
    assert {k: v for k, v in both.items() if k in first and k != "s4_meta_data.csv"} == {
        k: v for k, v in first.items() if k != "s4_meta_data.csv"
    }
    assert predict_folder(segmenter, [one, two], out, save=["dataset:s4"]).skipped.keys() == {one, two}
    assert files(root) == both
    other = Segmenter(segmenter.model, fps=2)
    gather(other, [one, three], out, "s4", overwrite=True)
    table = (root / "s4_meta_data.csv").read_text().splitlines()[1:]
    assert table == ["a_00000,0,sounding,train", "b_00000,0,sounding,val", "c_00000,0,sounding,train"]
    (root / "videos" / "a.json").unlink()
    assert predict_folder(other, [one, three], out, save=["dataset:s4"]).done.keys() == {one}
    assert files(root).keys() >= both.keys() and (root / "s4_data/gt_masks/train/sounding/c_00000").is_dir()


def test_a_video_that_is_judged_anew_leaves_no_clip_behind(tmp_path: Path) -> None:
    path, out = film(tmp_path / "a.mp4", 10), tmp_path / "out"
    gather(Segmenter(fake(), fps=1), [path], out, "s4")
    root = out / "dataset_s4"
    assert any("a_00005" in name for name in files(root))
    film(path, 10, lambda s: s < 5)
    gather(Segmenter(fake(), fps=1), [path], out, "s4", overwrite=True)
    assert not any("a_00005" in name for name in files(root)) and any("a_00000" in name for name in files(root))
    assert not list(root.rglob("*.part*"))


def test_wherever_a_run_is_stopped_the_folder_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Judging a video anew is stopped at steps that put it into the folder; the next run goes on."""
    path, out, segmenter = film(tmp_path / "a.mp4", 10), tmp_path / "out", Segmenter(fake(), fps=1)
    gather(segmenter, [path], out, "s4")
    whole, left = files(out), [0]

    def counted(method: Any) -> Any:
        def step(self: Path, *words: Any, **options: Any) -> Any:
            if "_00005_3" in self.name or self.parent.name == "videos" or self.suffix == ".csv":
                left[0] -= 1
            if left[0] < 0:
                raise KeyboardInterrupt
            return method(self, *words, **options)

        return step

    states = set()
    for left[0] in (5, 7, 8, 11):
        with monkeypatch.context() as stopped:
            stopped.setattr(Gathering, "close", lambda self: "")  # a process that is killed gets no further
            stopped.setattr(Path, "unlink", counted(Path.unlink))
            stopped.setattr(Path, "replace", counted(Path.replace))
            with pytest.raises(KeyboardInterrupt):
                predict_folder(segmenter, [path], out, save=["dataset:s4"], overwrite=True)
        assert check("s4", out / "dataset_s4", workers=1).ok
        found = {name for name in files(out) if ".part" not in name}
        states.add((len(found), (out / "dataset_s4/s4_meta_data.csv").read_text().count("\n")))
        gather(segmenter, [path], out, "s4")
        assert {k: v for k, v in files(out).items() if ".part" not in k} == whole
    assert len(states) == 4, states  # they were different moments


def test_what_does_not_fit_is_refused_before_work(tmp_path: Path) -> None:
    path, out = film(tmp_path / "a.mp4", 5), tmp_path / "out"
    with pytest.raises(
        ValueError, match=r"labels for the data set aviseg cannot be made: .* a binary model does not separate"
    ):
        predict_folder(Segmenter(fake(), fps=1), [path], out, save=["dataset:aviseg"])
    with pytest.raises(ValueError, match=r"needs a mask for every second, but fps is 0\.5; use --fps 1 or more"):
        predict_folder(Segmenter(fake(), fps=0.5), [path], out, save=["dataset:s4"])
    with pytest.raises(ValueError, match=r"dataset:s4 collects all videos of a run"):
        Segmenter(fake(), fps=1).predict(path).save(out / "r", save=["dataset:s4"])
    assert not out.exists()
    (out / "dataset_s4").mkdir(parents=True)
    (out / "dataset_s4" / "mine.txt").write_text("mine")
    with pytest.raises(ValueError, match="dataset_s4 is not a folder of labels written by avseg"):
        predict_folder(Segmenter(fake(), fps=1), [path], out, save=["dataset:s4"])
    assert [p.name for p in out.iterdir()] == ["dataset_s4"]


def test_one_folder_has_one_list_of_classes(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", scene(2), SCENE_FPS, sound(2, (0, 2)), RATE)
    model = tracker()
    gather(Segmenter(model, fps=1), [path], tmp_path / "out", "aviseg")
    model.task = Task("instance", ("drum", "whistle"))
    with pytest.raises(ValueError, match="holds labels of other classes than the model's"):
        predict_folder(Segmenter(model, fps=1), [path], tmp_path / "out", save=["dataset:aviseg"], overwrite=True)


def test_a_video_without_sound_or_tracks_gives_no_clip(tmp_path: Path) -> None:
    mute = write_video(tmp_path / "mute.mp4", scene(5), SCENE_FPS)
    quiet = write_video(tmp_path / "quiet.mp4", scene(5), SCENE_FPS, sound(5), RATE)
    loud = write_video(tmp_path / "loud.mp4", scene(5), SCENE_FPS, sound(5, (0, 5)), RATE)
    report = gather(Segmenter(tracker(), fps=1), [mute, quiet, loud], tmp_path / "out", "aviseg")
    assert report.notes[0] == "mute has no sound, so no clips are made of it"
    assert "3 videos as clips: 1 train, 0 val, 0 test, " in report.notes[1]
    assert build_dataset(data_config("aviseg", root=tmp_path / "out" / "dataset_aviseg"), "train").ids == ["loud"]


def test_the_command_gathers_and_checks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from avseg.demo.film import write_film

    path, out = write_film(tmp_path / "film.mp4", 0), tmp_path / "out"
    words = ["predict", str(path), "--model", "demo", "--fps", "1", "--out", str(out), "--save", "dataset:s4"]
    assert run(words) == 0
    assert "dataset_s4 holds 1 video as clips: 2 train" in capsys.readouterr().out
    assert run(["data", "check", "s4", "--root", str(out / "dataset_s4"), "--workers", "1"]) == 0
    assert "ground truth made by a model, checked against its own table" in capsys.readouterr().out
    dataset = build_dataset(data_config("s4", root=out / "dataset_s4"), "train")
    first = out / "dataset_s4/s4_data/gt_masks/train/star/film_00000/film_00000_1.png"
    assert dataset.files(0).labels == (first,) and np.array(open_image(first)).any()


def test_models_train_on_what_was_gathered(tmp_path: Path) -> None:
    videos = [film(tmp_path / f"{n}.mp4", 5) for n in "ab"]
    gather(Segmenter(fake(), fps=1), videos, tmp_path / "out", "s4")
    of, root = recipe(epochs=None, steps=1, batch_size=1), tmp_path / "out" / "dataset_s4"
    train_set, val_set = (build_dataset(data_config("s4", root=root), split) for split in ("train", "val"))
    train(TinyModel(of.model, Task("binary")), train_set, val_set, of, tmp_path / "run")  # type: ignore[arg-type]
    assert len(rows(tmp_path / "run")) == 1 and len(rows(tmp_path / "run", "validation")) == 1


def test_a_tracker_trains_on_what_was_gathered(tmp_path: Path) -> None:
    videos = [write_video(tmp_path / f"{n}.mp4", scene(4), SCENE_FPS, sound(4, (0, 4)), RATE) for n in "ab"]
    gather(Segmenter(tracker(), fps=1), videos, tmp_path / "out", "aviseg")
    of = get_recipe("avism_small")
    model = replace(of.model, width=32, heads=4, frame_queries=5, clip_queries=4, criterion=SetConfig(points=32))  # type: ignore[call-arg]
    steps = replace(of.train, steps=1, batch_size=1, workers=0, log_every=1)
    data = replace(of.data, root=tmp_path / "out" / "dataset_aviseg")
    train_recipe(replace(of, model=model, data=data, train=steps), tmp_path / "run")
    assert len(rows(tmp_path / "run")) == 1 and len(rows(tmp_path / "run", "validation")) == 1
