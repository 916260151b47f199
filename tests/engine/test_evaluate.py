"""Evaluation of a model, of a model file, of saved predictions; in one process and in two."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from launch import run_two
from PIL import Image
from torch import Tensor, nn

from avseg.cli import run
from avseg.config import InputSpec, ModelConfig
from avseg.data.base import ClipDataset
from avseg.datasets import data_config
from avseg.device import find_device
from avseg.engine import evaluate, evaluate_file, score
from avseg.engine.evaluation.evaluate import share_of
from avseg.engine.evaluation.report import computed
from avseg.metrics import SUITES, metrics_of
from avseg.models.base import Model
from avseg.types import Batch, Clip, DensePrediction, DenseTarget, Task
from extras import needs
from killed_writer import half_written
from small import small

avsbench_object = SUITES["avsbench_object"]

SIZE = 16


class Clips(ClipDataset):
    """Seven clips of one to five frames whose brightness is a noisy picture of their truth."""

    task, suite, config = Task("binary"), "avsbench_object", data_config("synth")

    def __init__(self, clips: int = 7) -> None:
        self.ids = [f"clip{i}" for i in range(clips)]

    def __getitem__(self, index: int) -> Clip:
        generator = torch.Generator().manual_seed(index)
        frames = 1 + index % 5
        labels = torch.randint(0, 2, (frames, SIZE, SIZE), generator=generator) * (index % 3 > 0)
        noise = torch.randint(0, 200, (frames, 3, SIZE, SIZE), generator=generator)
        return Clip(
            id=self.ids[index],
            frames=(55 * labels[:, None] + noise).to(torch.uint8),
            times=torch.arange(frames, dtype=torch.float64),
            audio=torch.zeros(1, 16),
            sample_rate=16000,
            target=DenseTarget(labels, torch.arange(frames) < 4),
        )


class Brightness(Model[Tensor]):
    """Predicts foreground where the picture is bright."""

    Config = ModelConfig
    tasks = frozenset({"binary"})

    def __init__(self) -> None:
        super().__init__(ModelConfig(input=InputSpec(size=(SIZE, SIZE))), Task("binary"))
        self.network = nn.Conv2d(3, 1, 1)
        nn.init.constant_(self.network.weight, 2**-6)  # exact in float32, whatever order the sums run in
        nn.init.constant_(self.network.bias, -5.25)

    def forward(self, batch: Batch) -> Tensor:
        assert not self.training
        return self.network(batch.frames.flatten(0, 1).float()).unflatten(0, batch.frames.shape[:2])

    def losses(self, output: Tensor, batch: Batch) -> dict[str, Tensor]:
        return {"mean": output.mean()}

    def postprocess(self, output: Tensor, batch: Batch) -> list[Any]:
        return [
            DensePrediction(name, output[i, batch.valid[i]], batch.output_sizes[i]) for i, name in enumerate(batch.ids)
        ]

    def param_groups(self) -> dict[str, list[nn.Parameter]]:
        return {"all": list(self.parameters())}


def metrics_for(suites: list[str], protocols: list[str]) -> list[Any]:
    return metrics_of(Task("binary"), suites, protocols)


def object_metrics(protocol: str = "published") -> list[Any]:
    return SUITES["avsbench_object"](Task("binary"), protocol)


@pytest.mark.parametrize("protocol", ["published", "repaired"])
def test_scores_depend_on_no_batch_size_and_no_worker(protocol: str) -> None:
    wanted = evaluate(Brightness(), Clips(), object_metrics(protocol), device="cpu")
    assert 0 < wanted["J"] < 1 and 0 < wanted["F"] < 1
    for size, workers in ((3, 0), (4, 2), (7, 0)):
        got = evaluate(Brightness(), Clips(), object_metrics(protocol), batch_size=size, workers=workers, device="cpu")
        assert got == wanted


def test_scores_are_those_of_clips_fed_by_hand() -> None:
    model, clips, metrics = Brightness(), Clips(), object_metrics()
    for index in range(len(clips)):
        clip = clips[index]
        for metric in metrics:
            metric.update(model.predict(Batch.collate([clip]))[0], clip.target, index)
    assert evaluate(model, clips, object_metrics(), batch_size=2, device="cpu") == computed(metrics)


def test_a_training_model_goes_on_training() -> None:
    model = Brightness().train()
    evaluate(model, Clips(2), object_metrics(), device="cpu")
    assert model.training and model.network.training


@pytest.mark.parametrize(("clips", "batch_size", "world"), [(7, 1, 2), (7, 3, 2), (5, 2, 4), (1, 4, 3), (8, 2, 2)])
def test_shares_hold_the_batches_of_one_process(clips: int, batch_size: int, world: int) -> None:
    def batches(indices: list[int]) -> list[tuple[int, ...]]:
        return [tuple(indices[i : i + batch_size]) for i in range(0, len(indices), batch_size)]

    alone = batches(share_of(clips, batch_size, 0, 1))
    shares = [batches(share_of(clips, batch_size, rank, world)) for rank in range(world)]
    assert sum(alone, ()) == tuple(range(clips))
    assert {batch for share in shares for batch in share} == set(alone)
    assert len({len(share) for share in shares}) == 1


def predictions_of(clips: Clips) -> list[DensePrediction]:
    model = Brightness()
    return [model.predict(Batch.collate([clips[i]]))[0] for i in range(len(clips))]  # type: ignore[misc]


def test_saved_predictions_score_as_the_model_does() -> None:
    clips = Clips()
    shuffled = predictions_of(clips)[::-1]
    assert score(shuffled, clips, object_metrics()) == evaluate(Brightness(), clips, object_metrics(), device="cpu")


def test_predictions_must_fit_the_data_set() -> None:
    clips = Clips(3)
    predictions = predictions_of(clips)
    with pytest.raises(ValueError, match="2 of 3 clips have no prediction: clip1, clip2"):
        score(predictions[:1], clips, object_metrics())
    with pytest.raises(ValueError, match="two predictions are for clip 'clip0'"):
        score([predictions[0], *predictions], clips, object_metrics())
    with pytest.raises(ValueError, match="'other', which is not in the data set"):
        score([replace(predictions[0], id="other")], clips, object_metrics())


def test_scores_of_several_protocols_keep_apart() -> None:
    names = evaluate(Brightness(), Clips(), [*object_metrics("published"), *object_metrics("repaired")], device="cpu")
    assert list(names) == ["published/J", "published/F", "repaired/J", "repaired/J_sounding", "repaired/F"]
    metrics = [*object_metrics(), *object_metrics()]
    with pytest.raises(ValueError, match="two metrics give the score 'J'"):
        evaluate(Brightness(), Clips(1), metrics, device="cpu")
    with pytest.raises(ValueError, match="no metric"):
        score([], Clips(0), [])


def test_device_auto_says_what_it_is(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        assert find_device("auto").type in caplog.text
    assert find_device("cpu") == torch.device("cpu")


DATA = data_config("synth", held_out_clips=3, frames=5, size=64)


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from avseg.models import save_model

    path = tmp_path_factory.mktemp("model") / "small.safetensors"
    save_model(small("tpavi", Task("binary")), path)
    return path


def test_a_model_file_leaves_a_table_a_json_a_csv_and_pictures(model_file: Path, tmp_path: Path) -> None:
    report = evaluate_file(model_file, DATA, out=tmp_path, device="cpu", overlays=1, protocol="repaired")
    result = json.loads((tmp_path / "result.json").read_text())
    assert (result["format_version"], result["protocols"], result["clips"]) == (2, ["repaired"], 3)
    odd = replace(report, seconds=1.23456)
    assert odd.to_dict()["seconds"] == 1.235
    assert result["suites"] == ["avsbench_object"]
    assert result["scores"] == report.scores and list(report.scores) == ["J", "J_sounding", "F"]
    assert result["data"]["name"] == "synth" and result["data"]["split"] == "test"
    rows = list(csv.DictReader((tmp_path / "clips.csv").open()))
    assert [row["index"] for row in rows] == ["0", "1", "2"]
    assert list(rows[0]) == ["protocols", "index", "id", "frames", "J", "F"] and rows[0]["protocols"] == "repaired"
    table = str(report)
    assert "protocol repaired" in table and f"{report.scores['J_sounding']:.4f}" in table
    pictures = sorted(path.name for path in (tmp_path / "overlays").iterdir())
    scores = sorted(float(row["J"]) for row in rows)
    assert [name.split("_")[:4] for name in pictures] == [
        ["best", "01", "J", f"{scores[-1]:.3f}"],
        ["worst", "01", "J", f"{scores[0]:.3f}"],
    ]
    assert all("repaired" in name for name in pictures)
    assert Image.open(tmp_path / "overlays" / pictures[0]).size == (5 * 64, 3 * 64 + 5 * 24)


def test_several_suites_and_protocols_are_judged_in_one_pass(model_file: Path, tmp_path: Path) -> None:
    suites, protocols = ["avsbench_object", "vpo"], ["published", "cavp"]
    report = evaluate_file(model_file, DATA, suites=suites, protocol=protocols, out=tmp_path, device="cpu", overlays=1)
    alone = [
        ("avsbench_object", "published"),
        ("avsbench_object", "cavp"),
        ("vpo", "published"),
    ]
    wanted, rows = {}, []
    for suite, protocol in alone:
        part = evaluate_file(model_file, DATA, suites=[suite], protocol=protocol, device="cpu")
        wanted |= {f"{suite}/{protocol}/{name}": value for name, value in part.scores.items()}
        rows.append(
            {f"{suite}/{protocol}/{name}": v for name, v in part.rows[0].items() if name not in ("index", "id")}
        )
    assert report.scores == wanted
    assert report.rows[0] == {"index": 0, "id": report.rows[0]["id"], **rows[0], **rows[1], **rows[2]}
    result = json.loads((tmp_path / "result.json").read_text())
    assert (result["suites"], result["protocols"], result["scores"]) == (suites, protocols, wanted)
    assert "3 clips, suites avsbench_object + vpo, protocols published + cavp" in str(report)
    assert len(list((tmp_path / "overlays").glob("*_avsbench_object-published-J_*.png"))) == 2
    kept = evaluate_file(model_file, DATA, suites=["vpo", "avsbench_object"], protocol="repaired", device="cpu")
    assert next(iter(kept.scores)) == "vpo/mIoU"


def test_the_command_line_takes_several_suites_and_protocols(model_file: Path, capsys: Any) -> None:
    data = ["--data.name", "synth", "--data.held-out-clips", "2", "--data.frames", "5", "--data.size", "64"]
    judged = ["--suites", "vpo", "avsbench_object", "--protocol", "published", "cavp"]
    assert run(["evaluate", str(model_file), *data, *judged, "--workers", "0", "--device", "cpu"]) == 0
    shown = capsys.readouterr().out
    assert "vpo/published/FDR" in shown and "avsbench_object/cavp/J" in shown and "vpo/cavp" not in shown
    assert run(["evaluate", str(model_file), *data, "--workers", "0", "--device", "cpu"]) == 0
    assert "suite avsbench_object, protocol published" in capsys.readouterr().out


def test_saved_predictions_are_scored_by_several_suites() -> None:
    clips = Clips()
    scores = score(predictions_of(clips), clips, metrics_for(["vpo", "avsbench_object"], ["repaired"]))
    assert scores["vpo/mIoU"] == score(predictions_of(clips), clips, metrics_for(["vpo"], ["repaired"]))["mIoU"]
    assert "avsbench_object/J_sounding" in scores


@pytest.mark.parametrize(
    ("suites", "protocols", "sentence"),
    [
        (["vpoo"], ["published"], "there is no metric suite 'vpoo'; did you mean 'vpo'"),
        (["vpo"], ["publisht"], "there is no protocol 'publisht'; did you mean 'published'"),
        (["vpo"], ["cavp"], "the suite vpo has no protocol 'cavp'; use published or repaired"),
        (["vpo"], ["published", "cavp"], "none of the suites vpo has the protocol 'cavp'"),
        (["avsbench_object", "vpo"], ["cavp"], "the suite vpo has no protocol 'cavp'"),
        ([], ["published"], "give one or more suites"),
    ],
)
def test_suites_and_protocols_must_fit(suites: list[str], protocols: list[str], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        metrics_for(suites, protocols)


def test_protocols_that_judge_other_sizes_are_not_mixed() -> None:
    clips = Clips(1)
    clips.config = data_config("avss")
    with pytest.raises(ValueError, match="published and repaired score 'avss' at labels of different sizes"):
        evaluate(Brightness(), clips, [*object_metrics("published"), *object_metrics("repaired")], device="cpu")


def test_two_processes_give_the_bits_of_one(model_file: Path, tmp_path: Path) -> None:
    data = {"name": "synth", "held_out_clips": 5, "frames": 5, "size": 64}
    script = Path(__file__).with_name("two_evaluators.py")
    run_two(script, str(model_file), str(tmp_path), json.dumps(data), "2")
    torch.set_num_threads(1)
    try:
        alone = evaluate_file(model_file, data_config(**data), batch_size=2, device="cpu")  # type: ignore[arg-type]
    finally:
        torch.set_num_threads(2)
    for rank in range(2):
        facts = json.loads((tmp_path / f"rank{rank}.json").read_text())
        assert facts == {"main": rank == 0, "scores": alone.scores, "rows": alone.rows}
    assert json.loads((tmp_path / "report" / "result.json").read_text())["scores"] == alone.scores


def test_what_a_killed_evaluation_left_is_cleared_by_the_next_one(model_file: Path, tmp_path: Path) -> None:
    (tmp_path / "overlays").mkdir()
    pieces = half_written(
        tmp_path / "result.json", tmp_path / "predictions.json", tmp_path / "overlays" / "best_01.png"
    )
    (tmp_path / ".mine.part").touch()
    evaluate_file(model_file, replace(DATA, held_out_clips=1), out=tmp_path, device="cpu")
    assert not any(piece.exists() for piece in pieces)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".mine.part",
        "clips.csv",
        "overlays",
        "result.json",
        "sums.npz",
    ]


def test_scores_are_of_pytorch_in_fp32_unless_somebody_asks(
    monkeypatch: pytest.MonkeyPatch, model_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AVSEG_ENGINE", "openvino")  # what auto means in predictions
    words = ["evaluate", str(model_file), "--data.name", "synth", "--data.held-out-clips", "1", "--data.size", "64"]
    words += ["--device", "cpu", "--out", str(tmp_path)]
    assert run(words) == 0
    told = json.loads((tmp_path / "result.json").read_text())
    assert "fp32" not in capsys.readouterr().out and not {"engine", "precision"} & told.keys()
    assert run([*words, "--precision", "bf16"]) == 0
    told = json.loads((tmp_path / "result.json").read_text())
    assert (told["engine"], told["precision"]) == ("torch", "bf16")
    assert capsys.readouterr().out.splitlines()[0].endswith("protocol published, torch in bf16")


@pytest.mark.extra
def test_scores_of_another_engine_name_it(model_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    needs("openvino")
    words = ["evaluate", str(model_file), "--data.name", "synth", "--data.held-out-clips", "2", "--data.size", "64"]
    words += ["--device", "cpu", "--out", str(tmp_path)]
    found = []
    for more in ([], ["--engine", "openvino"]):
        assert run([*words, *more]) == 0
        found.append(json.loads((tmp_path / "result.json").read_text()))
    assert found[1]["scores"] == pytest.approx(found[0]["scores"], abs=1e-3)
    assert (found[1]["engine"], found[1]["precision"]) == ("openvino", "fp32")
    assert "openvino in fp32" in capsys.readouterr().out


def test_a_model_of_classes_is_judged_and_shown_by_its_foreground(tmp_path: Path) -> None:
    own = evaluate_file("demo", replace(DATA, kind="semantic"), suites=["avsbench_object"], device="cpu")
    binary = evaluate_file("demo", DATA, out=tmp_path, device="cpu", overlays=1)
    assert binary.scores["J"] == pytest.approx(own.scores["J"]) and own.scores["J"] > 0.2
    assert sorted(path.name[:5] for path in (tmp_path / "overlays").iterdir()) == ["best_", "worst"]


def test_overlays_need_a_folder(model_file: Path) -> None:
    with pytest.raises(ValueError, match="--out"):
        evaluate_file(model_file, DATA, overlays=1)


def test_a_model_of_another_task_is_refused(model_file: Path) -> None:
    with pytest.raises(ValueError, match="the model solves a binary task"):
        evaluate_file(model_file, replace(DATA, kind="semantic"), device="cpu")


def test_engine_keeps_its_functions_whatever_was_imported_first() -> None:
    code = (
        "import avseg.engine.evaluation.evaluate, avseg.engine.training.train\n"
        "from avseg.engine import evaluate\nimport avseg\n"
        "print(callable(evaluate), avseg.evaluate is evaluate)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.split() == [
        "True",
        "True",
    ]
    with pytest.raises(AttributeError, match="nothing"):
        __import__("avseg.engine").engine.nothing  # noqa: B018


def test_metrics_are_by_default_those_of_the_data_sets_own_suite() -> None:
    def by_hand(protocol: str) -> dict[str, float]:
        return evaluate(Brightness(), Clips(), object_metrics(protocol), device="cpu")

    assert evaluate(Brightness(), Clips(), device="cpu") == by_hand("published")
    assert evaluate(Brightness(), Clips(), protocol="repaired", device="cpu") == by_hand("repaired")
    predictions = [
        Brightness().predict(Batch.collate([clip]))[0] for clip in map(Clips().__getitem__, range(len(Clips())))
    ]
    assert score(predictions, Clips(), protocol="cavp") == score(predictions, Clips(), object_metrics("cavp"))
    nameless = Clips()
    nameless.suite = ""
    with pytest.raises(ValueError, match="the data set Clips has no metric suite; set its `suite`, or give metrics"):
        evaluate(Brightness(), nameless, device="cpu")
    with pytest.raises(ValueError, match="metrics have protocols of their own; leave out protocol='cavp'"):
        evaluate(Brightness(), Clips(), object_metrics(), protocol="cavp", device="cpu")


def test_group_of_the_published_scores_is_no_affair_of_the_loader() -> None:
    apart = evaluate(Brightness(), Clips(), avsbench_object(Task("binary"), group=1), batch_size=4, device="cpu")
    together = evaluate(Brightness(), Clips(), avsbench_object(Task("binary"), group=4), batch_size=1, device="cpu")
    assert apart["F"] != together["F"]
