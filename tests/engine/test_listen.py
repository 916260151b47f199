"""Does a model listen: the two ends on the synthetic world, models that hear nothing, and the command."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import torch
from torch import Tensor, nn

from avseg.cli import run
from avseg.config import InputSpec, ModelConfig
from avseg.data import ClipDataset, build_dataset
from avseg.data.heard import Scenarios
from avseg.data.scenarios import SCENARIOS, SoundRules
from avseg.datasets import data_config
from avseg.datasets.world.clips import SynthDataset
from avseg.demo import MODEL_FILE
from avseg.engine import evaluate, listen, listen_file
from avseg.engine.evaluation.listen import SUITE
from avseg.io.rle import decode
from avseg.metrics import SUITES
from avseg.metrics.scenarios import ByScenario
from avseg.models import load_model
from avseg.models.base import Model
from avseg.types import Batch, Clip, DensePrediction, DenseTarget, InstancePrediction, Rle, Task, TrackTarget
from small import DEAF, small
from track_world import random_video

SIZE = 32
FOUR = ("own", "silence", "noise", "offscreen")


class Knows(Model[Tensor]):
    """Marks what sounds in a clip's own sound: always, or (listens) only while it hears that."""

    Config = ModelConfig
    tasks = frozenset({"binary"})

    def __init__(self, dataset: ClipDataset, listens: bool) -> None:
        super().__init__(ModelConfig(input=InputSpec(rule="keep")), Task("binary"))
        self.network = nn.Identity()
        self.nothing = nn.Parameter(torch.zeros(1))
        self.clips, self.listens = {clip_id: dataset[i] for i, clip_id in enumerate(dataset.ids)}, listens

    def forward(self, batch: Batch) -> Tensor:
        return torch.stack([self._logits(name, heard) for name, heard in zip(batch.ids, batch.audio, strict=True)])

    def _logits(self, name: str, heard: Tensor) -> Tensor:
        clip = self.clips[name.rpartition("@")[0]]
        marked = clip.target.labels[:, None] > 0  # type: ignore[union-attr]
        return torch.where(marked & (not self.listens or torch.equal(heard, clip.audio)), 9.0, -9.0)

    def losses(self, output: Tensor, batch: Batch) -> dict[str, Tensor]:
        return {"mean": output.mean()}

    def postprocess(self, output: Tensor, batch: Batch) -> list[Any]:
        return [DensePrediction(name, output[i], batch.output_sizes[i]) for i, name in enumerate(batch.ids)]

    def param_groups(self) -> dict[str, list[nn.Parameter]]:
        return {"all": list(self.parameters())}


@pytest.fixture(scope="module")
def forty() -> SynthDataset:
    dataset = SynthDataset(40, 11, split="test", size=SIZE)
    dataset.keep = True
    return dataset


def test_a_perfect_listener_is_the_one_end(forty: SynthDataset) -> None:
    found = listen(Knows(forty, True), Scenarios(forty, FOUR), ["repaired"], batch_size=8, device="cpu")
    scores = found.suite["repaired"]
    assert scores["G_mIoU"] >= 0.97 and scores["leak"] <= 0.01 and scores["FPR"] == 0 and scores["flip"] == 1
    assert found.scenarios["repaired"]["own"]["J"] == 1
    assert all(found.scenarios["repaired"][name]["marked"] == 0 for name in FOUR[1:])


def test_a_deaf_oracle_is_the_other_end(forty: SynthDataset) -> None:
    found = listen(Knows(forty, False), Scenarios(forty), ["repaired", "published"], batch_size=8, device="cpu")
    repaired, published = found.suite["repaired"], found.suite["published"]
    assert repaired["leak"] == repaired["mIoU"] == 1 and repaired["flip"] == 0
    assert repaired["G_mIoU"] == pytest.approx(repaired["G_mIoU_deaf"], abs=1e-12)
    assert published["mIoU_negative"] == pytest.approx(published["mIoU"], abs=1e-12)
    rows = found.scenarios["repaired"]
    assert set(rows) == set(SCENARIOS) - {"mirrored"} and all(row == rows["own"] for row in rows.values())


def test_the_model_of_the_demo_listens() -> None:
    forty = SynthDataset(40, 9001, split="test", task="semantic")
    scores = listen(load_model(MODEL_FILE), Scenarios(forty, FOUR), ["repaired"], batch_size=8, device="cpu").suite
    figures = scores["repaired"]
    assert figures["leak_silence"] <= 0.02
    assert figures["G_mIoU"] >= figures["G_mIoU_deaf"] + 0.2


class Unhearing(Model[Any]):
    """A model whose network is given silence, whatever the clip sounds like."""

    Config, tasks = ModelConfig, frozenset({"binary", "semantic"})

    def __init__(self, inner: Model[Any]) -> None:
        super().__init__(inner.config, inner.task)
        self.inner, self.network = inner, inner.network

    def forward(self, batch: Batch) -> Any:
        batch.audio.zero_()
        return self.inner(batch)

    def losses(self, output: Any, batch: Batch) -> dict[str, Tensor]:
        return self.inner.losses(output, batch)

    def postprocess(self, output: Any, batch: Batch) -> list[Any]:
        return self.inner.postprocess(output, batch)

    def param_groups(self) -> dict[str, list[nn.Parameter]]:
        return self.inner.param_groups()


def test_a_model_that_hears_nothing_gives_equal_rows_bit_for_bit() -> None:
    few = SynthDataset(4, 5, split="test", task="semantic", size=64)
    model, dataset = load_model(MODEL_FILE), Scenarios(few, FOUR)
    found = [listen(m, dataset, ["published"], batch_size=4, device="cpu") for m in (model, Unhearing(model))]
    heard, unheard = (list(scores.scenarios["published"].values()) for scores in found)
    assert all(row == unheard[0] for row in unheard) and 0 < unheard[0]["F"] < 1
    assert any(row != heard[0] for row in heard)
    suite = found[1].suite["published"]
    assert suite["F_silence"] == suite["F_noise"] == suite["F_offscreen"]


def test_scores_depend_on_no_batch_size_no_worker_and_no_order_of_merging(forty: SynthDataset) -> None:
    few = SynthDataset(5, 11, split="test", size=SIZE)
    model, dataset = Knows(few, True), Scenarios(few, ("own", "noise", "swapped", "silence"))
    found = [
        listen(model, dataset, ["published"], batch_size=size, workers=workers, device="cpu")
        for size, workers in ((1, 0), (3, 0), (7, 2))
    ]
    assert found[0].suite == found[1].suite == found[2].suite
    assert found[0].scenarios == found[1].scenarios == found[2].scenarios
    # A pass over one scenario alone gives what the row of it says.
    metrics = SUITES["avsbench_object"](few.task, "published")
    alone = evaluate(model, Scenarios(few, ["swapped"]), metrics, device="cpu")
    assert {name: found[0].scenarios["published"]["swapped"][name] for name in alone} == alone


def test_tracks_are_judged_by_their_union() -> None:
    (tracks,), (dense,) = (SUITES[SUITE](Task("binary"), "published") for _ in range(2))
    for seed in range(4):
        found, target = random_video(seed)
        assert isinstance(found, InstancePrediction) and isinstance(target, TrackTarget)
        frames = len(target.annotated)
        marked, wanted = (union(masks, frames, found.size) for masks in (found.masks, target.masks))
        for place, name in enumerate(("own", "noise")):
            tracks.update(replace(found, id=f"{seed}@{name}"), target, 10 * place + seed)
            prediction = DensePrediction(f"{seed}@{name}", marked.float()[:, None] * 400 - 200, found.size)
            dense.update(prediction, DenseTarget(wanted.long(), target.annotated), 10 * place + seed)
    assert tracks.compute() == dense.compute() and 0 < tracks.compute()["mIoU"] < 1


def union(masks: list[list[Rle | None]], frames: int, size: tuple[int, int]) -> Tensor:
    """(T, H, W) bool, mask by mask."""
    found = torch.zeros(frames, *size, dtype=torch.bool)
    for track in masks:
        for frame, mask in enumerate(track):
            found[frame] |= torch.from_numpy(decode(mask)) if mask is not None else False
    return found


def test_models_that_track_are_heard_as_well() -> None:
    data = data_config("synth", kind="instance", frames=3, size=48, held_out_clips=2)
    dataset = build_dataset(data, "test")
    model = small("avism", dataset.task)
    found = listen(model, Scenarios(dataset, ("own", "silence", "swapped", "offscreen")), ["repaired"], device="cpu")
    assert set(found.scenarios["repaired"]) | set(found.left_out) == {"own", "silence", "swapped", "offscreen"}
    assert "G_mIoU" in found.suite["repaired"] and 0 <= found.scenarios["repaired"]["own"]["marked"] <= 1


def test_what_cannot_be_tested_is_refused(forty: SynthDataset, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="only audio features of a data set"):
        listen(small("avism", Task("instance", ("dog",)), **DEAF), Scenarios(forty), device="cpu")
    with pytest.raises(ValueError, match="none of them is selected"):
        listen(Knows(forty, True), Scenarios(forty, ["swapped"]), ["repaired"], device="cpu")
    with pytest.raises(ValueError, match="holds predictions, whose sound cannot be replaced"):
        listen_file(tmp_path / "tracks.json", data_config("synth"))
    with pytest.raises(SystemExit) as ended:
        run(["listen", "demo", "--data.name", "synth", "--scenarios", "loud"])
    assert ended.value.code == 2
    with pytest.raises(ValueError, match=f"suite {SUITE} scores clips under several sounds.*avseg listen"):
        run(["evaluate", "demo", "--data.name", "synth", "--suites", SUITE])


SMALL = ["demo", "--data.name", "synth", "--data.kind", "semantic", "--data.size", "48", "--data.held-out-clips", "4"]
SMALL += ["--workers", "0", "--device", "cpu"]


def test_the_command_writes_table_plot_and_manifest_and_takes_it_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two, three = (tmp_path / name for name in ("one", "two", "three"))
    assert run(["listen", *SMALL, "--protocol", "published", "--out", str(one)]) == 0
    printed = capsys.readouterr().out
    assert [line.split()[0] for line in printed.splitlines() if line.split()[:1] and line.split()[0] in SCENARIOS] == [
        *(name for name in SCENARIOS if name != "mirrored"),
        "mirrored",
    ]
    assert "mirrored is left out: the sound has one channel" in printed
    assert "suite avsbench_robust, protocol published" in printed and "G_mIoU_deaf" in printed
    told = json.loads((one / "listen.json").read_text(encoding="utf-8"))
    assert (told["format_version"], told["kind"], told["clips"]) == (1, "avseg.listening", 4)
    assert told["left_out"].keys() == {"mirrored"} and told["rules"]["seed"] == 42
    ElementTree.fromstring((one / "listen.svg").read_text(encoding="utf-8"))
    again = ["listen", *SMALL, "--protocol", "published", "--seed", "43"]
    assert run([*again, "--manifest", str(one / "robust.json"), "--out", str(two)]) == 0
    assert run([*again, "--out", str(three)]) == 0
    same, other = (json.loads((out / "listen.json").read_text(encoding="utf-8")) for out in (two, three))
    assert same["suite"] == told["suite"] and same["scenarios"] == told["scenarios"]
    assert other["scenarios"]["published"]["noise"] != told["scenarios"]["published"]["noise"]
    assert (two / "robust.json").read_bytes() == (one / "robust.json").read_bytes()


def test_rules_reach_the_scenarios() -> None:
    few = SynthDataset(2, 1, split="test", size=16)
    assert {e.level for e in Scenarios(few, ["noise"], SoundRules(noise_level="published")).parts[0].entries} == {
        "published"
    }
    clip: Clip = Scenarios(few, ["noise"], SoundRules(noise_level="published"))[0]
    assert clip.audio.abs().max() == 1


def test_parts_of_a_pass_come_together_in_any_order(forty: SynthDataset) -> None:
    dataset, model = Scenarios(forty, FOUR), Knows(forty, True)
    indices = [place * 40 + i for place in range(4) for i in range(6)]
    whole, *parts = (ByScenario("published", FOUR, 40) for _ in range(4))
    for number, index in enumerate(indices):
        batch = Batch.collate([dataset[index]])
        pair = model.predict(batch)[0], dataset.target(index)
        whole.update(*pair, index)
        parts[number % 3].update(*pair, index)
        parts[(number + 1) % 3].update(*pair, index)  # seen twice, counted once
    parts[2].merge(parts[0])
    parts[2].merge(parts[1])
    assert parts[2].compute() == whole.compute() and parts[2].rows() == whole.rows()
    assert [row["index"] for row in whole.rows()] == indices and whole.rows()[0]["J"] == pytest.approx(1)
