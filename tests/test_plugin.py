"""`--plugin FILE`: a data set and a suite of a file on the path, judged by the commands."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import pytest

from avseg import registry
from avseg.cli import run
from avseg.datasets import DATASETS
from avseg.metrics import SUITES

PLUGIN = '''
import torch
from avseg.data.base import ClipDataset
from avseg.data.config import DataConfig
from avseg.datasets import DATASETS, DatasetSpec
from avseg.metrics import SUITES, SuiteSpec
from avseg.types import Clip, DenseTarget, Task


class Halves(ClipDataset):
    def __init__(self, config, split, root):
        self.config, self.task, self.ids = config, Task("binary"), ["a", "b"]

    def __getitem__(self, index):
        labels = torch.zeros(2, 64, 64, dtype=torch.int64)
        labels[:, :32] = 1
        target = DenseTarget(labels, torch.ones(2, dtype=torch.bool))
        frames = torch.full((2, 3, 64, 64), 90, dtype=torch.uint8)
        return Clip(self.ids[index], frames, torch.arange(2).double(), torch.zeros(1, 32000), 16000, target=target)


class Truth:
    """The share of pixels that is to be marked."""

    suite, protocol = "shares_of_mine", "plain"

    def __init__(self):
        self.clips = {}

    def update(self, prediction, target, index):
        self.clips[index] = (prediction.id, float((target.labels > 0).float().mean()))

    def merge(self, other):
        self.clips |= other.clips

    def compute(self):
        return {"share": sum(value for _, value in self.clips.values()) / len(self.clips)}

    def rows(self):
        return [{"index": i, "id": name, "share": value} for i, (name, value) in sorted(self.clips.items())]


def shares(task, protocol):
    return [Truth()]


name, suite, here = "halves_of_mine", "shares_of_mine", __name__
DATASETS.add(name, DatasetSpec(name, DataConfig, f"{here}:Halves", in_memory=True, suite=suite, what="Halves."))
SUITES.add(suite, SuiteSpec(suite, ("binary",), {"plain": "as it is"}, f"{here}:shares", foreground_only=True))
'''


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that adds a data set and a suite; nothing of it stays behind."""
    path = tmp_path / "plugged_in_by_a_test.py"
    path.write_text(PLUGIN, encoding="utf-8")
    monkeypatch.setenv(registry.PLUGINS, "")
    monkeypatch.setattr(sys, "path", [*sys.path])
    for known in (DATASETS, SUITES):
        monkeypatch.setattr(known, "_added", {})
    return path


def test_a_data_set_and_a_suite_of_a_file_are_judged(plugin: Path, tmp_path: Path) -> None:
    words = ["evaluate", "demo", "--data.name", "halves_of_mine", "--protocol", "plain", "--out", str(tmp_path / "out")]
    assert run([*words, "--plugin", str(plugin)]) == 0
    assert json.loads((tmp_path / "out" / "result.json").read_text(encoding="utf-8"))["scores"]["share"] == 0.5


def test_a_plugin_that_is_not_there_is_one_sentence_and_not_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(registry.PLUGINS, "")
    with pytest.raises(ValueError, match=r"the plug-in .*nowhere\.py cannot be imported"):
        run(["models", "--plugin", "nowhere.py"])
    assert os.environ[registry.PLUGINS] == ""


def test_a_variable_that_names_a_plugin_is_named_where_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(registry.PLUGINS, "gone_from_here.py")
    with pytest.raises(ValueError, match=r"has no such file; the variable AVSEG_PLUGINS names it"):
        run(["models"])
    monkeypatch.setenv(registry.PLUGINS, "gone_from_here")
    with pytest.raises(ValueError, match=r"the variable AVSEG_PLUGINS wants a module"):
        run(["models"])


def test_a_file_with_the_name_of_another_module_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(registry.PLUGINS, "")
    (tmp_path / "json.py").write_text("found = 1\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"there is another module json; rename the file"):
        run(["models", "--plugin", str(tmp_path / "json.py")])


def test_plugin_wants_a_name(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run(["models", "--plugin"])
    assert "--plugin needs the name of a module" in capsys.readouterr().err


def test_the_page_on_extending_shows_the_package_as_it_is() -> None:
    root = Path(__file__).parents[1]
    toy = root / "examples" / "toy_family"
    paths = (toy / "pyproject.toml", *toy.glob("*.py"), *toy.glob("toy_family/*.py"))
    sources = "".join(path.read_text(encoding="utf-8") for path in paths)
    page = (root / "docs" / "how-to" / "extending.md").read_text(encoding="utf-8")
    blocks = re.findall(r"(?:lines of examples/toy_family.*?\n```python|```toml)\n(.*?)```", page, re.DOTALL)
    shown = [line for block in blocks for line in block.splitlines() if "FAMILIES" not in line and line.strip()]
    assert len(shown) > 5 and [line for line in shown if line not in sources] == []
    assert sources.count("\n") < 120
