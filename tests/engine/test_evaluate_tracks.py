"""Evaluation of tracks: a model on a folder of videos, the file that it leaves, and files that do not fit."""

from __future__ import annotations

import csv
import json
import math
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, distributed, nn

from avseg.cli import run
from avseg.config import InputSpec, ModelConfig
from avseg.data import build_dataset
from avseg.data.config import DataConfig
from avseg.datasets import data_config
from avseg.engine import evaluate, evaluate_file, score
from avseg.engine.evaluation.evaluate import _merge_processes
from avseg.engine.evaluation.files import KeptTracks, read_tracks
from avseg.io.audio import write_wav
from avseg.metrics import SUITES, metrics_of
from avseg.models.base import Model
from avseg.types import Batch, InstancePrediction, Task, TrackTarget
from track_world import random_video

aviseg = SUITES["aviseg"]

CLASSES = ("person", "violin", "dog")
NUMBERS = (3, 5, 9)
"""Category ids of the folder."""
SIZE, FRAMES, VIDEOS = (60, 80), 4, 5
Pair = tuple[InstancePrediction, TrackTarget]


@pytest.fixture(scope="module")
def pairs() -> list[Pair]:
    return [random_video(seed, FRAMES, size=SIZE) for seed in range(1, VIDEOS + 1)]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, pairs: list[Pair]) -> Path:
    """A folder of AVISeg whose test split is of these videos."""
    root = tmp_path_factory.mktemp("aviseg")
    videos, annotations = [], []
    for number, (prediction, truth) in enumerate(pairs, 11):
        names = [f"{prediction.id}/{t:05d}.jpg" for t in range(FRAMES)]
        for t, name in enumerate(names):
            path = root / "test/JPEGImages" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((*SIZE, 3), 40 * t, np.uint8)).save(path)
        sound = root / "test/WAVAudios" / f"{prediction.id}.wav"
        sound.parent.mkdir(exist_ok=True)
        write_wav(sound, torch.zeros(1, 16000 * FRAMES), 16000)
        size = {"height": SIZE[0], "width": SIZE[1]}
        videos.append({"id": number, **size, "length": FRAMES, "file_names": names})
        for masks, rank in zip(truth.masks, truth.classes.tolist(), strict=True):
            entry = {"id": len(annotations) + 1, "video_id": number, "category_id": NUMBERS[rank - 1], "iscrowd": 0}
            boxes = [None if mask is None else [0, 0, 9, 9] for mask in masks]
            annotations.append({**entry, **size, "segmentations": masks, "bboxes": boxes})
    categories = [{"id": number, "name": name} for number, name in zip(NUMBERS, CLASSES, strict=True)]
    text = json.dumps({"videos": videos, "categories": categories, "annotations": annotations})
    (root / "test.json").write_text(text)
    return root


class Knows(Model[Tensor]):
    """Gives predictions that were made before."""

    Config = ModelConfig
    tasks = frozenset({"instance"})

    def __init__(self, pairs: list[Pair]) -> None:
        super().__init__(ModelConfig(input=InputSpec(size=SIZE)), Task("instance", CLASSES))
        self.network = nn.Linear(1, 1)
        self.known = {prediction.id: prediction for prediction, _ in pairs}

    def forward(self, batch: Batch) -> Tensor:
        return self.network(batch.frames.new_zeros(1, 1, dtype=torch.float32))

    def losses(self, output: Tensor, batch: Batch) -> dict[str, Tensor]:
        return {"mean": output.mean()}

    def postprocess(self, output: Tensor, batch: Batch) -> list[Any]:
        assert batch.output_sizes == [SIZE] * len(batch)
        return [self.known[name] for name in batch.ids]

    def param_groups(self) -> dict[str, list[nn.Parameter]]:
        return {"all": list(self.parameters())}


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch, pairs: list[Pair]) -> Knows:
    """The model that any model file holds."""
    model = Knows(pairs)
    monkeypatch.setattr("avseg.engine.evaluation.files.load_model", lambda *_, **__: model)
    return model


def config_of(root: Path) -> DataConfig:
    return data_config("aviseg", root=root)


def by_hand(pairs: list[Pair], protocol: str) -> dict[str, float]:
    metric: Any = aviseg(Task("instance", CLASSES), protocol)[0]
    for index, pair in enumerate(pairs):
        metric.update(*pair, index)
    scores: dict[str, float] = metric.compute()
    return scores


@pytest.mark.parametrize(("batch_size", "workers"), [(1, 0), (3, 0), (2, 2)])
def test_tracks_go_the_way_of_all_predictions(pairs: list[Pair], root: Path, batch_size: int, workers: int) -> None:
    dataset = build_dataset(config_of(root), "test")
    metrics = metrics_of(dataset.task, [dataset.suite], ["published", "aviseg"])
    options: Any = {"batch_size": batch_size, "workers": workers, "device": "cpu"}
    kept = KeptTracks(metrics[0])
    scores = evaluate(Knows(pairs), dataset, [*metrics, kept], **options)
    wanted = {
        f"{name}/{key}": value for name in ("aviseg_upstream", "aviseg") for key, value in by_hand(pairs, name).items()
    }
    assert repr(scores) == repr(wanted) and 0 < scores["aviseg/FSLA"] < 1
    assert [kept.tracks[index].id for index in range(VIDEOS)] == [prediction.id for prediction, _ in pairs]


def test_a_model_leaves_its_tracks_and_they_score_as_it_does(
    loaded: Knows, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, protocols = config_of(root), ["aviseg", "aviseg_upstream"]
    report = evaluate_file("any.safetensors", data, protocol=protocols, out=tmp_path, overlays=1, device="cpu")
    assert report.protocols == ("aviseg", "aviseg_upstream") and "protocols aviseg + aviseg_upstream" in str(report)
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["scores"] == {k: None if math.isnan(v) else v for k, v in report.scores.items()}
    rows = list(csv.DictReader((tmp_path / "clips.csv").open()))
    assert len(rows) == VIDEOS and {"aviseg/FSLA", "aviseg_upstream/HOTA", "aviseg/mAP"} <= set(rows[0])
    tracks = json.loads((tmp_path / "predictions.json").read_text())
    assert {entry["category_id"] for entry in tracks} <= set(NUMBERS)
    assert {entry["video_id"] for entry in tracks} <= set(range(11, 11 + VIDEOS))
    pictures = sorted((tmp_path / "overlays").iterdir())
    assert [path.name.split("_")[0] for path in pictures] == ["best", "worst"]
    assert all(Image.open(path).size == (FRAMES * SIZE[1], 3 * SIZE[0] + 5 * 24) for path in pictures)
    with monkeypatch.context() as patch:
        patch.setattr("avseg.datasets.aviseg.reader._read_frames", lambda *_: pytest.fail("a picture was opened"))
        again = evaluate_file(tmp_path / "predictions.json", data, protocol=protocols)
    assert repr(again.scores) == repr(report.scores) and again.rows == report.rows


def test_pictures_show_tracks_in_different_colours(loaded: Knows, root: Path, tmp_path: Path) -> None:
    evaluate_file("any.safetensors", config_of(root), out=tmp_path, overlays=VIDEOS, device="cpu")
    for path in (tmp_path / "overlays").glob("best*"):
        picture = np.asarray(Image.open(path)).astype(int)
        coloured = (picture.max(2) - picture.min(2)) > 20
        prediction = loaded.known[path.stem[path.stem.index("video") :]]
        assert coloured[-SIZE[0] :].any() == any(mask is not None for track in prediction.masks for mask in track)


def test_the_command_line_scores_a_file_of_tracks(
    loaded: Knows, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ["--data.name", "aviseg", "--data.root", str(root), "--device", "cpu", "--workers", "0"]
    assert run(["evaluate", "any.safetensors", *data, "--out", str(tmp_path)]) == 0
    first = capsys.readouterr().out
    assert "suite aviseg, protocol aviseg_upstream" in first
    assert run(["evaluate", str(tmp_path / "predictions.json"), *data]) == 0
    assert capsys.readouterr().out == first
    assert run(["evaluate", str(tmp_path / "predictions.json"), *data, "--protocol", "repaired"]) == 0
    assert "protocol aviseg\n" in capsys.readouterr().out


def test_processes_share_what_they_keep(pairs: list[Pair], monkeypatch: pytest.MonkeyPatch) -> None:
    def part(indices: list[int]) -> list[Any]:
        metrics: list[Any] = aviseg(Task("instance", CLASSES), "aviseg")
        metrics.append(KeptTracks(metrics[0]))
        for index in indices:
            for metric in metrics:
                metric.update(*pairs[index], index)
        return metrics

    mine, other = part([0, 2, 4]), part([1, 3, 0])
    gathered = pickle.loads(pickle.dumps([mine, other]))
    monkeypatch.setattr(distributed, "all_gather_object", lambda into, _: into.__setitem__(slice(None), gathered))
    _merge_processes(mine, 2)
    assert mine[0].compute() == by_hand(pairs, "aviseg") and sorted(mine[1].tracks) == list(range(VIDEOS))


def test_saved_tracks_are_scored_in_python(pairs: list[Pair], root: Path) -> None:
    dataset = build_dataset(config_of(root), "test")
    metrics = metrics_of(dataset.task, ["aviseg"], ["aviseg"])
    predictions = [prediction for prediction, _ in pairs]
    assert score(predictions, dataset, metrics) == by_hand(pairs, "aviseg")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"video_id": 99}, "video 99"),
        ({"category_id": 4}, "category 4"),
        ({"segmentations": [None]}, f"1 masks.*{FRAMES} frames"),
        ({"segmentations": [{"size": [8, 8], "counts": "P2"}] * FRAMES}, r"8"),
    ],
    ids=["video", "category", "length", "size"],
)
def test_files_that_do_not_fit_are_refused(root: Path, tmp_path: Path, change: dict[str, Any], sentence: str) -> None:
    entry = {"video_id": 11, "category_id": 3, "score": 0.5, "segmentations": [None] * FRAMES}
    path = tmp_path / "results.json"
    path.write_text(json.dumps([entry, {**entry, **change}]))
    with pytest.raises(ValueError, match=sentence):
        evaluate_file(path, config_of(root))


def test_a_file_of_tracks_needs_a_data_set_of_tracks(root: Path, tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text("[]")
    with pytest.raises(ValueError, match="the data set 'synth' has no tracks"):
        evaluate_file(path, data_config("synth", held_out_clips=1))
    dataset = build_dataset(config_of(root), "test")
    assert all(not prediction.masks for prediction in read_tracks(path, dataset).values())  # type: ignore[union-attr]
    with pytest.raises(ValueError, match=r"suite avsbench_object judges .* got an instance one"):
        evaluate_file(path, replace(config_of(root), suite="avsbench_object"))


def test_a_model_of_tracks_is_no_judge_s_of_binary_masks(loaded: Knows) -> None:
    with pytest.raises(ValueError, match=r"the model solves an instance task of .* 'synth' has a binary task"):
        evaluate_file("any.safetensors", data_config("synth", held_out_clips=1), device="cpu")


def test_no_clips_and_no_batch_are_said(pairs: list[Pair], root: Path, tmp_path: Path) -> None:
    dataset = build_dataset(config_of(root), "test")
    with pytest.raises(ValueError, match="batch_size is 0, wanted at least 1"):
        evaluate(Knows(pairs), dataset, [], batch_size=0, device="cpu")
    with pytest.raises(ValueError, match="workers is -1, wanted 0"):
        evaluate(Knows(pairs), dataset, metrics_of(dataset.task, ["aviseg"], ["aviseg"]), workers=-1, device="cpu")
    truth = json.loads((root / "test.json").read_text())
    (tmp_path / "test.json").write_text(json.dumps({**truth, "videos": [], "annotations": []}))
    with pytest.raises(ValueError, match="'aviseg' has no clips in this split"):
        evaluate(Knows(pairs), build_dataset(config_of(tmp_path), "test"), [], device="cpu")
