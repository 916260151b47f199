"""What goes to the Hub, by a client that keeps what it is given: the file as it is, and a card that is true."""

from __future__ import annotations

import inspect
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import HfApi, ModelCard

from avseg.cli import run
from avseg.engine import publish
from avseg.engine.evaluation.scored import read_scores
from avseg.engine.publish import model_card, push_file
from avseg.metrics.bootstrap import bootstrap_interval
from avseg.models import build_model, load_model, save_model
from avseg.models.header import read_header
from avseg.types import Task
from small import small_config

SCORES = {"J": 0.7, "F": 0.8, "J_sounding": 0.6, "missing": None}
CLIPS = [0.5, 0.6, 0.7, 0.8, 0.9]


class FakeHub:
    """Has the calls of `HfApi` that are made, with its signatures."""

    given: list[tuple[str, dict[str, Any]]]
    error: Exception | None = None

    def __init__(self, token: str | None = None) -> None:
        self.token = token

    def create_repo(self, *args: Any, **options: Any) -> str:
        return self._keep("create_repo", args, options)

    def upload_folder(self, *args: Any, **options: Any) -> str:
        folder = Path(options["folder_path"])
        options["content"] = {path.name: path.read_bytes() for path in folder.iterdir()}
        return self._keep("upload_folder", args, options)

    def _keep(self, name: str, args: Any, options: dict[str, Any]) -> str:
        if self.error:
            raise self.error
        real = {key: value for key, value in options.items() if key != "content"}
        bound = inspect.signature(getattr(HfApi, name)).bind(None, *args, **real).arguments
        type(self).given.append((name, {**bound, "token": self.token, "content": options.get("content")}))
        return f"https://huggingface.co/{bound['repo_id']}"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> type[FakeHub]:
    monkeypatch.setattr(FakeHub, "given", [], raising=False)
    monkeypatch.setattr(publish, "HfApi", FakeHub)
    monkeypatch.setattr(publish, "get_token", lambda: "secret")
    return FakeHub


@pytest.fixture
def file(tmp_path: Path) -> Path:
    model = build_model(small_config("tpavi"), Task("semantic", ("dog", "a|b *c*")))
    return save_model(model, tmp_path / "best.safetensors", {"origin": "somewhere", "licence": "CC-BY-NC-4.0"})


@pytest.fixture
def scores(tmp_path: Path, file: Path) -> Path:
    told = {
        "kind": "avseg.evaluation",
        "protocols": ["repaired"],
        "suites": ["avsbench_object"],
        "scores": SCORES,
        "clips": len(CLIPS),
        "model": str(file),
        "data": {"name": "s4", "split": "test"},
    }
    folder = tmp_path / "scores"
    folder.mkdir()
    (folder / "result.json").write_text(json.dumps(told), encoding="utf-8")
    rows = [f"repaired,{n},clip{n},{score},{'' if n else 'nan'}" for n, score in enumerate(CLIPS)]
    (folder / "clips.csv").write_text("\n".join(["protocols,index,id,J,F", *rows]) + "\n", encoding="utf-8")
    return folder / "result.json"


def test_the_file_and_a_card_go_to_a_repository_that_is_made(hub: type[FakeHub], file: Path, scores: Path) -> None:
    assert push_file(file, "me/ears", scores=scores, token="own") == "https://huggingface.co/me/ears"
    (made, repo), (sent, upload) = hub.given
    assert (made, repo["repo_id"], repo["private"], repo["exist_ok"]) == ("create_repo", "me/ears", None, True)
    assert sent == "upload_folder" and upload["repo_id"] == "me/ears" and upload["token"] == "own"
    assert upload["content"]["model.safetensors"] == file.read_bytes() and len(upload["content"]) == 2
    assert not Path(upload["folder_path"]).exists()


def test_the_card_says_what_the_file_is(file: Path, scores: Path) -> None:
    text = model_card(read_header(file), "me/ears", read_scores(scores), "mine")
    card = ModelCard(text)
    assert card.data.license == "cc-by-nc-4.0" and card.data.library_name == "avseg"
    assert {"tpavi", "semantic"} <= set(card.data.tags or ())
    low, high = bootstrap_interval(CLIPS)
    for line in (
        "| task | semantic |",
        r"| classes | dog, a\|b \*c\* |",
        "| trained on | mine |",
        "| origin of the weights | somewhere |",
        "| licence of the weights' origin | CC-BY-NC-4.0 |",
        "On 5 clips of s4, split test; suite avsbench_object, protocol repaired.",
        f"| J | 0.7000 | 0.7000 [{low:.4f}, {high:.4f}] |",
        r"| J\_sounding | 0.6000 |  |",
        'import avseg\nmodel = avseg.load_model("me/ears")',
    ):
        assert line in text, line
    assert "| missing" not in text and "| F | 0.8000 |  |" in text


@pytest.mark.parametrize(
    ("notes", "licence", "line"),
    [
        ({}, "unknown", "| licence of the weights' origin | not stated |"),
        ({"license": "Our own: no cars"}, "other", "| licence of the weights' origin | Our own: no cars |"),
    ],
)
def test_a_licence_is_told_as_the_file_has_it(notes: dict[str, str], licence: str, line: str, tmp_path: Path) -> None:
    path = save_model(build_model(small_config("tpavi"), Task("binary")), tmp_path / "m.safetensors", notes)
    text = model_card(read_header(path), "me/ears")
    assert ModelCard(text).data.license == licence and line in text
    assert "No scores were given." in text and "| trained on | not stated |" in text


def test_a_run_tells_what_the_model_was_trained_on(hub: type[FakeHub], file: Path) -> None:
    file.with_name("recipe.json").write_text(json.dumps({"data": {"name": "my_dogs"}}), encoding="utf-8")
    push_file(file, "me/ears")
    assert rb"| trained on | my\_dogs |" in hub.given[1][1]["content"]["README.md"]


def test_a_dry_run_leaves_a_folder_that_opens(
    hub: type[FakeHub], file: Path, scores: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "dry"
    assert run(["push", str(file), "me/ears", "--scores", str(scores.parent), "--dry-run", str(out)]) == 0
    assert "holds the files for me/ears" in capsys.readouterr().out and hub.given == []
    assert sorted(path.name for path in out.iterdir()) == ["README.md", "model.safetensors"]
    assert load_model(out).task.classes[0] == "dog"
    with pytest.raises(ValueError, match="already exists; use a new or empty folder for --dry-run"):
        push_file(file, "me/ears", dry_run=out)


def test_a_model_in_memory_goes_the_same_way(hub: type[FakeHub]) -> None:
    build_model(small_config("tpavi"), Task("binary")).push_to_hub("me/ears", private=True)
    assert hub.given[0][1]["private"] is True
    assert set(hub.given[1][1]["content"]) == {"README.md", "model.safetensors"}


def test_the_command_prints_the_address(hub: type[FakeHub], file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["push", str(file), "me/ears", "--private"]) == 0
    assert capsys.readouterr().out == "https://huggingface.co/me/ears\n" and hub.given[0][1]["private"] is True


def test_what_cannot_be_pushed_is_one_sentence(
    hub: type[FakeHub], file: Path, scores: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match="'ears' is not the name of a repository, wanted USER/NAME"):
        push_file(file, "ears")
    with pytest.raises(FileNotFoundError, match="there is no model file"):
        push_file(tmp_path / "no.safetensors", "me/ears")
    other = Path(shutil.copyfile(file, tmp_path / "other.safetensors"))
    with pytest.raises(ValueError, match=r"the scores belong to .*best\.safetensors, not to .*other\.safetensors"):
        push_file(other, "me/ears", scores=scores)
    with pytest.raises(FileNotFoundError, match="there is no file of scores"):
        push_file(file, "me/ears", scores=tmp_path / "no.json")
    for content in ("[]", "{", '{"kind": "avseg.listen"}'):
        (tmp_path / "odd.json").write_text(content, encoding="utf-8")
        with pytest.raises(ValueError, match=r"odd\.json holds no scores of avseg evaluate"):
            push_file(file, "me/ears", scores=tmp_path / "odd.json")
    scores.with_name("clips.csv").write_text("protocols,index,id,J\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"clips\.csv beside it has 0 clips and not 5"):
        push_file(file, "me/ears", scores=scores)
    monkeypatch.setattr(hub, "error", OSError("no such user"))
    with pytest.raises(ValueError, match="the Hub refused me/ears: no such user"):
        push_file(file, "me/ears")
    monkeypatch.setattr(publish, "get_token", lambda: None)
    with pytest.raises(
        ValueError, match="no token for the Hugging Face Hub found; run `hf auth login`, or set HF_TOKEN"
    ):
        push_file(file, "me/ears")
    assert hub.given == []


def test_scores_without_a_table_of_clips_have_no_interval(scores: Path) -> None:
    scores.with_name("clips.csv").unlink()
    assert [figure.value for figure in read_scores(scores).figures] == [0.7, 0.8, 0.6]
    assert all(figure.low != figure.low for figure in read_scores(scores).figures)
