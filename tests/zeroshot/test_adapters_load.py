"""Every adapter loads weights at a known commit and imports what transformers has."""

from __future__ import annotations

import ast
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from avseg.models.zeroshot.config import Part
from avseg.models.zeroshot.hub import origin as module
from avseg.models.zeroshot.hub.origin import origin
from extras import needs

HUB = sorted(Path(module.__file__).parent.glob("*.py"))


def calls_of(tree: ast.AST, name: str) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == name:
            yield node


def names_a_commit(call: ast.Call) -> bool:
    """Whether a call has `**origin(part)`, or `**` of a name that stands for it, or `revision=`."""
    spread = [ast.unparse(keyword.value) for keyword in call.keywords if keyword.arg is None]
    return any("origin" in text for text in spread) or any(keyword.arg == "revision" for keyword in call.keywords)


@pytest.mark.parametrize("path", HUB, ids=lambda path: path.stem)
def test_weights_are_loaded_at_a_known_commit_alone(path: Path) -> None:
    for call in calls_of(ast.parse(path.read_text(encoding="utf-8")), "from_pretrained"):
        assert names_a_commit(call), f"{path.name}:{call.lineno} {ast.unparse(call)}"


@pytest.mark.parametrize(
    ("code", "named"),
    [
        ("A.from_pretrained(**origin(part))", True),
        ("A.from_pretrained(name, revision=commit)", True),
        ("A.from_pretrained(part.checkpoint)", False),
        ("A.from_pretrained(**options)", False),
    ],
)
def test_the_rule_tells_calls_apart(code: str, named: bool) -> None:
    assert [names_a_commit(call) for call in calls_of(ast.parse(code), "from_pretrained")] == [named]


@pytest.mark.extra
@pytest.mark.parametrize("path", HUB, ids=lambda path: path.stem)
def test_transformers_has_what_is_imported(path: Path) -> None:
    needs("transformers")
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "transformers":
            there = importlib.import_module(node.module or "")
            assert [alias.name for alias in node.names if not hasattr(there, alias.name)] == []


LOADED = """
import json, sys
from pathlib import Path
from huggingface_hub import constants
from transformers import ASTConfig, ASTFeatureExtractor, ASTForAudioClassification, BertTokenizer
from avseg.models.zeroshot.config import Part
from avseg.models.zeroshot.hub.cache import fetch, located
from avseg.models.zeroshot.hub.origin import origin
sys.path.insert(0, sys.argv[1])
from zeroshot.fake_hub import FakeHub, serving

def files(bias):
    folder = Path(sys.argv[2]) / str(bias)
    shape = dict(hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8, num_labels=3)
    model = ASTForAudioClassification(ASTConfig(**shape, max_length=32))
    model.classifier.dense.bias.data.fill_(bias)
    model.save_pretrained(folder)
    ASTFeatureExtractor(max_length=32).save_pretrained(folder)
    (folder / "vocab.txt").write_text("[PAD]\\n[UNK]\\n[CLS]\\n[SEP]\\n[MASK]\\ndog\\n")
    return {path.name: path.read_bytes() for path in folder.iterdir()}

hub = FakeHub()
first = hub.add("lab/ast", files(1.0))
with serving(hub):
    constants.ENDPOINT = hub.url
    constants.HUGGINGFACE_CO_URL_TEMPLATE = hub.url + "/{repo_id}/resolve/{revision}/{filename}"
    constants.HF_HUB_OFFLINE = False
    part = fetch(Part("ast", "lab/ast"))
    second = hub.add("lab/ast", files(2.0))
    fetch(Part("ast", "lab/ast"))
    constants.HF_HUB_OFFLINE = True
kept = [located(Part("ast", "lab/ast", commit)) for commit in (first, second)]
biases = [float(ASTForAudioClassification.from_pretrained(**origin(p)).classifier.dense.bias[0]) for p in kept]
rows = ASTFeatureExtractor.from_pretrained(**origin(part)).max_length
words = len(BertTokenizer.from_pretrained(**origin(part)))
print(json.dumps([part.revision == first, biases, rows, words]))
"""


@pytest.mark.extra
def test_transformers_loads_what_was_fetched_at_its_commit_and_offline(tmp_path: Path) -> None:
    needs("transformers")
    tests = str(Path(__file__).parents[1])
    environment = {**os.environ, "HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "0"}
    code = [sys.executable, "-c", LOADED, tests, str(tmp_path)]
    work = subprocess.run(code, env=environment, capture_output=True, text=True)
    assert work.returncode == 0, work.stderr
    assert json.loads(work.stdout) == [True, [1.0, 2.0], 32, 6]


def test_a_part_without_a_commit_is_not_loaded() -> None:
    with pytest.raises(
        ValueError, match=r"the commit of lab/tagger is not known; open the model with avseg.load_model"
    ):
        origin(Part("clap", "lab/tagger"))
    assert origin(Part("clap", "lab/tagger", "abc")) == {
        "pretrained_model_name_or_path": "lab/tagger",
        "revision": "abc",
        "local_files_only": True,
    }
