"""What experiments share: worlds and runs that are there are not made again, and figures of several runs."""

from __future__ import annotations

import importlib
import json
import math
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("experiment")


def test_a_world_is_written_once(module: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    it = module.Experiment(tmp_path, 1)
    place = it.world("single", 3, 4, size=32, workers=1)
    assert place == tmp_path / "3" and json.loads((place / "truth.json").read_text())["seed"] == 3
    made, told = it.made, capsys.readouterr().out
    assert made > 0 and "4" in told
    stamp = (place / "truth.json").stat().st_mtime_ns
    assert it.world("single", 3, 4, size=32, workers=1) == place
    assert (place / "truth.json").stat().st_mtime_ns == stamp and capsys.readouterr().out == ""
    assert it.world("single", 3, 4, folder="heard/3", size=32, workers=1) == tmp_path / "heard" / "3"
    with pytest.raises(ValueError, match=r"holds the world of .*'clips': 4.* wanted .*'clips': 5"):
        it.world("single", 3, 5, size=32, workers=1)


def test_finished_runs_are_not_begun_again(module: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[list[str]] = []

    def start(words: list[str], *, check: bool, env: dict[str, str]) -> None:
        assert check and env["OMP_NUM_THREADS"] == "1"
        begun.append(words[3:])
        folder = Path(words[words.index("--out") + 1])
        folder.mkdir(parents=True)
        (folder / "summary.json").write_text(json.dumps({"seconds_since_resume": 1.25 + len(begun)}))

    monkeypatch.setattr(module.subprocess, "run", start)
    it = module.Experiment(tmp_path, 1, ["--train.steps", "3"])
    one = module.Run("demo", "plain-1", 1, ("--model.no-quantise",), world="")
    other = module.Run("cavp_stereo_small", "a/b", 0, world="heard/0")
    assert it.train([one]) == {one: {"seconds": 2.2}}
    assert it.train([one, other]) == {one: {"seconds": 2.2}, other: {"seconds": 3.2}}
    out = str(tmp_path / "runs" / "plain-1")
    assert begun[0] == ["train", "demo", "--train.seed", "1", "--out", out, "--model.no-quantise", "--train.steps", "3"]
    assert begun[1][:4] == ["train", "cavp_stereo_small", "--data.root", str(tmp_path / "heard" / "0")]
    assert len(begun) == 2 and it.model(other) == tmp_path / "runs" / "a" / "b" / "last.safetensors"


def test_figures_of_several_runs_are_joined(module: ModuleType) -> None:
    found = module.over_seeds([{"J": 0.5, "by": {"F": 1}}, {"J": 0.7, "by": {"F": 3}}])
    assert found == {"J": {"mean": 0.6, "deviation": 0.1414}, "by": {"F": {"mean": 2, "deviation": 1.4142}}}
    missing = module.over_seeds([0.25, math.nan])
    assert math.isnan(missing["mean"]) and math.isnan(missing["deviation"])
    assert module.over_seeds([0.25]) == {"mean": 0.25, "deviation": 0.0}
    assert module.average([{"J": 0.5}, {"J": 0.25}]) == {"J": 0.375}
    assert module.lead({"J": 0.5, "F": 0.1}, {"J": 0.25, "F": 0.3}) == {"J": 0.25, "F": -0.2}
    told = module.rounded({"J": 0.123456, "F": 1.0}, ("J", "mAP"))
    assert told["J"] == 0.1235 and told["mAP"] != told["mAP"] and "F" not in told
    assert module.rounded({"J": 0.123456, "F": 1.0}) == {"J": 0.1235, "F": 1.0}
    assert module.spread([0.5, 0.7], 2) == "0.60 ± 0.14" and module.spread([0.5], 3) == "0.500"
    assert module.table(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"
    assert module.table(["a"], []) == ""


def test_the_words_that_no_option_takes_go_to_the_training(
    module: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["x", "--root", str(tmp_path / "kept"), "--seeds", "4", "--train.steps", "7"]
    monkeypatch.setattr(module.sys, "argv", words)
    with module.opened(module.parser("What it asks.", seeds=(0, 1))) as (it, options):
        assert (it.root, it.beside, it.changes, options.seeds) == (tmp_path / "kept", 2, ("--train.steps", "7"), [4])
        it.tell({"models": {"a": 1}})
    told = json.loads(capsys.readouterr().out)
    assert told["models"] == {"a": 1} and told["making_seconds"] == 0 and told["seconds"] >= 0
    assert json.loads((tmp_path / "kept" / "figures.json").read_text()) == told
