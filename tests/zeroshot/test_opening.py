"""Models that open by name: nothing is fetched unasked, commits are kept, files hold no weights, commands ask."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

import zeroshot_parts
from avseg.cli import main, run
from avseg.commands.opening import OptionalModel
from avseg.inference import Segmenter
from avseg.models import FAMILIES, ModelSource, load_model, read_header, save_model
from avseg.models.files import fetch_weights, find_file
from avseg.models.opening import opening_names, opening_of
from avseg.models.zeroshot.config import Part
from avseg.types import Task
from extras import needs
from inference.media import counting, make, tone
from zeroshot.fake_hub import FakeHub

WHOLE = {"config.json": b"{}", "preprocessor_config.json": b"{}", "model.safetensors": b"first"}
PARTS = "tagger=stub:lab/tagger,finder=stub:lab/finder,follower=stub:lab/follower"
CHOICES = {"parts": PARTS, "vocabulary": "dog,guitar"}
FETCH = f"avseg weights fetch zeroshot-cpu --parts {PARTS}"


@pytest.fixture
def lab(hub: FakeHub) -> FakeHub:
    """A Hub with weights for the stubs, which they do not read."""
    for stage in ("tagger", "finder", "follower"):
        hub.add(f"lab/{stage}", {**WHOLE, "config.json": json.dumps(stage).encode()})
    return hub


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return make(tmp_path / "band.mp4", counting(20), sound=tone(2, 16000))


@pytest.fixture
def all_packages(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if all packages of the extra were installed; nothing of them is imported before a video is seen."""
    monkeypatch.setattr("avseg.models.zeroshot.weights.find_spec", lambda name: name)


def commits(hub: FakeHub) -> dict[str, str]:
    return {f"lab/{stage}": hub.repositories[f"lab/{stage}"].main for stage in ("tagger", "finder", "follower")}


def test_names_that_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert opening_names() == ["zeroshot", "zeroshot-gpu", "zeroshot-cpu"]
    for name in opening_names():
        found = opening_of(name)
        assert found is not None and found[0] is FAMILIES["zeroshot"] and found[1] == (name[9:] or None)
    assert [opening_of(name) for name in ("demo", "avism", "./zeroshot", Path("zeroshot"), "a/zeroshot")] == [None] * 5
    with pytest.raises(ValueError, match=r"no model opens as 'zeroshot-gpuu'; did you mean 'zeroshot-gpu'\?"):
        load_model("zeroshot-gpuu")
    with pytest.raises(FileNotFoundError, match="zeroshot is the name of a model that has no file"):
        find_file("zeroshot")
    with pytest.raises(FileNotFoundError, match=r"no model file zeroshot .*a name that opens without one"):
        read_header("zeroshot")
    monkeypatch.chdir(tmp_path)
    Path("zeroshot-old").mkdir()
    with pytest.raises(FileNotFoundError, match=r"there is no model file zeroshot-old.model.safetensors"):
        load_model("zeroshot-old")


def test_nothing_is_fetched_unasked(lab: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = (
        r"open weights are not in the Hub's cache, or not whole: lab/tagger \(licence and size: read its card\), "
        rf"lab/finder .*; `{FETCH}` fetches them"
    )
    with pytest.raises(FileNotFoundError, match=wanted):
        load_model("zeroshot-cpu", choices=CHOICES)
    with pytest.raises(FileNotFoundError, match=rf"nothing was fetched; `{FETCH}` does it later"):
        load_model("zeroshot-cpu", choices=CHOICES, download=lambda _: False)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(
        FileNotFoundError, match=f"HF_HUB_OFFLINE forbids to fetch them: run `HF_HUB_OFFLINE=0 {FETCH}` once"
    ):
        load_model("zeroshot-cpu", choices=CHOICES, download=True)
    assert not lab.served and not Path(constants.HF_HUB_CACHE).exists()


def test_the_question_tells_parts_licences_and_sizes(all_packages: None) -> None:
    asked: list[str] = []

    def ask(text: str) -> bool:
        asked.append(text)
        return False

    with pytest.raises(FileNotFoundError):
        fetch_weights(ModelSource("zeroshot-gpu", {"parts": "tagger=stub:lab/tagger,follower=sam3"}, ask))
    assert asked[0].splitlines() == [
        "zeroshot-gpu --parts tagger=stub:lab/tagger,follower=sam3 "
        "needs open weights that are not in the Hub's cache (3.4 GB and what is not known):",
        "  tagger    lab/tagger     licence and size: read its card",
        "  follower  facebook/sam3  3.4 GB, licence: SAM License, access on request",
    ]


def test_a_model_keeps_the_commits_that_it_was_opened_with(lab: FakeHub, tmp_path: Path) -> None:
    first = commits(lab)
    model = load_model("zeroshot-cpu", choices=CHOICES, download=True)
    config: Any = model.config
    assert {part.checkpoint: part.revision for part in config.parts.values()} == first
    assert model.task == Task("instance", ("dog", "guitar"))
    path = save_model(model, tmp_path / "heard.safetensors")
    assert path.stat().st_size < 10_000 and read_header(path).config["tagger"]["revision"] == first["lab/tagger"]

    lab.add("lab/tagger", {**WHOLE, "model.safetensors": b"second"})
    assert load_model("zeroshot-cpu", choices=CHOICES).config == config  # nobody asked for another commit
    moved = replace(config, tagger=Part("stub", "lab/tagger", commits(lab)["lab/tagger"]))
    assert load_model(path).config == config and load_model(path).task == model.task
    other = save_model(type(model)(moved, model.task), tmp_path / "other.safetensors")
    with pytest.raises(FileNotFoundError, match=f"`avseg weights fetch {other}` fetches them"):
        load_model(other)
    assert fetch_weights(ModelSource(other, download=True)) == moved == load_model(other).config
    told = [Segmenter(load_model(file)).describe() for file in (path, other)]
    assert told[0]["fingerprint"] != told[1]["fingerprint"]
    assert told[0]["weights"]["tagger"] == f"stub lab/tagger@{first['lab/tagger']}"
    assert load_model(path).config == config


def test_a_full_cache_opens_offline(lab: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    load_model("zeroshot-cpu", choices=CHOICES, download=True)
    sent = len(lab.served)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    model = Segmenter.load("zeroshot-cpu", choices=CHOICES, device="cpu")
    assert model.name == "zeroshot-cpu" and model.fps == 1.0 and len(lab.served) == sent


def test_choices_belong_to_names(tmp_path: Path) -> None:
    path = save_model(zeroshot_parts.stub_model(Task("binary")), tmp_path / "a.safetensors")
    with pytest.raises(ValueError, match=r"vocabulary can be chosen of a model that opens by name \(zeroshot, .*leave"):
        load_model(path, choices={"vocabulary": "dog"})
    with pytest.raises(ValueError, match=r"models of zeroshot have no choice 'vocab'; did you mean 'vocabulary'\?"):
        load_model("zeroshot", choices={"vocab": "dog"})
    with pytest.raises(ValueError, match="has its weights in it; wanted a model without, such as zeroshot,"):
        fetch_weights(ModelSource("demo"))
    assert load_model(path, task=Task("instance", ("dog",))).task == Task("binary")
    assert run(["weights", "verify", str(path)]) == 0


def test_a_missing_package_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "yamnet.onnx"
    file.touch()
    monkeypatch.setattr("avseg.models.zeroshot.weights.find_spec", lambda name: None)
    for parts, package in ((f"tagger=yamnet:{file}", "onnxruntime"), ("tagger=clap", "transformers")):
        wanted = rf'needs {package}, which is not installed; run: pip install "avseg\[zeroshot\]"'
        with pytest.raises(ImportError, match=wanted):
            load_model("zeroshot-cpu", choices={"parts": parts}, download=True)
    monkeypatch.setattr("avseg.models.spec.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r'no model given; .* needs no file: pip install "avseg\[zeroshot\]"'):
        run(["predict", str(file)])


def test_the_default_is_the_first_name_whose_packages_are_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("avseg.models.spec.find_spec", lambda name: name)
    assert OptionalModel().source.name == "zeroshot" and OptionalModel(model="demo").source.name == "demo"
    assert OptionalModel(vocabulary="dog", parts=None).source.choices == {"vocabulary": "dog"}


def test_without_a_terminal_yes_downloads_and_predicts(
    lab: FakeHub,
    video: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["predict", str(video), "--model", "zeroshot-cpu", "--parts", PARTS, "--vocabulary", "dog"]
    words += ["--out", str(tmp_path / "out"), "--no-overlay"]
    monkeypatch.setattr(sys, "argv", ["avseg", *words])
    with pytest.raises(SystemExit) as end:
        main()
    told = capsys.readouterr().err
    assert end.value.code == 1 and told.startswith("avseg: open weights are not in the Hub's cache")
    assert f"`{FETCH}` fetches them" in told and told.count("\n") == 1 and not lab.served
    assert run([*words, "--yes"]) == 0
    found = json.loads((tmp_path / "out" / "band" / "result.json").read_text(encoding="utf-8"))
    assert [one["name"] for one in found["classes"]] == ["dog"] and found["model"]["name"] == "zeroshot-cpu"
    weights = {f"lab/{stage}": text for stage, text in found["model"]["weights"].items()}
    assert weights == {name: f"stub {name}@{commit}" for name, commit in commits(lab).items()}
    assert run(words) == 0  # all is there, nobody is asked
    assert "1 already there" in capsys.readouterr().out


def test_a_data_set_gives_its_classes(lab: FakeHub, tmp_path: Path) -> None:
    data, out = ["--data.name", "synth", "--data.held-out-clips", "2"], tmp_path / "scores"
    words = ["zeroshot-cpu", "--parts", PARTS, "-y", "--out", str(out), "--workers", "0", "--device", "cpu"]
    assert run(["evaluate", *words, *data, "--data.kind", "semantic"]) == 0
    found = json.loads((out / "result.json").read_text(encoding="utf-8"))
    assert found["model"] == "zeroshot-cpu" and found["weights"]["finder"].endswith(commits(lab)["lab/finder"])
    assert set(found["scores"]) and found["clips"] == 2
    assert run(["listen", *words, *data, "--data.kind", "binary", "--scenarios", "own", "silence"]) == 0
    assert "lab/tagger@" in (out / "listen.json").read_text(encoding="utf-8")


def test_weights_are_fetched_and_listed_by_commands(
    lab: FakeHub, all_packages: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert run(["weights", "fetch", "zeroshot-cpu", "--parts", PARTS]) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [
        f"{stage}: stub lab/{stage}@{commits(lab)[f'lab/{stage}']}" for stage in ("tagger", "finder", "follower")
    ]
    assert "lab/finder    licence and size" in printed.err
    sent = len(lab.served)
    assert run(["weights", "fetch", "zeroshot-cpu", "--parts", PARTS]) == 0 and len(lab.served) == sent
    commit = lab.add("google/owlv2-base-patch16-ensemble", WHOLE)
    assert run(["weights", "fetch", "zeroshot", "--parts", "tagger=stub,finder=owlv2,follower=stub"]) == 0
    capsys.readouterr()
    assert run(["weights", "list"]) == run(["doctor"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["finder=owlv2", "google/owlv2-base-patch16-ensemble", "Apache-2.0", "620", "MB", commit[:12]] in lines
    assert ["follower=edgetam", "yonigozlan/EdgeTAM-hf", "read", "its", "card", "56", "MB", "no"] in lines
    assert ["finder=owlv2", "google/owlv2-base-patch16-ensemble", "at", commit[:12]] in lines


@pytest.mark.extra
def test_folders_of_real_parts_open_and_predict(video: Path, tmp_path: Path) -> None:
    needs("transformers")
    from zeroshot.tiny_finders import grounding_dino
    from zeroshot.tiny_followers import sam2
    from zeroshot.tiny_taggers import save_clap

    made = {"tagger=clap": save_clap, "finder=grounding_dino": grounding_dino, "follower=sam2": sam2}
    folders = {kind: tmp_path / kind.partition("=")[2] for kind in made}
    for kind, make_it in made.items():
        folders[kind].mkdir()
        make_it(folders[kind])
    parts = ",".join(f"{kind}:{folder}" for kind, folder in folders.items())
    words = ["--model", "zeroshot-cpu", "--parts", parts, "--vocabulary", "dog,red square", "--no-overlay"]
    assert run(["predict", str(video), *words, "--device", "cpu", "--out", str(tmp_path / "out")]) == 0
    found = json.loads((tmp_path / "out" / "band" / "result.json").read_text(encoding="utf-8"))
    assert len(found["frames"]) == 2 and [one["name"] for one in found["classes"]] == ["dog", "red square"]
    for kind, folder in folders.items():
        stage, name = kind.split("=")
        assert found["model"]["weights"][stage].startswith(f"{name} {folder}@sha256:")


ASK = "from avseg.commands.opening import ask\nprint('answer', ask('weights, 3 MB'))"


def on_a_terminal(code: list[str], typed: bytes, **environment: str) -> tuple[str, str, int]:
    """What a program shows on a terminal on which `typed` is typed, what it prints to a pipe, and its exit status."""
    import pty

    ours, theirs = pty.openpty()
    work = subprocess.Popen(
        code, stdin=theirs, stderr=theirs, stdout=subprocess.PIPE, env={**os.environ, "TERM": "xterm", **environment}
    )
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 4096):
            shown += piece
            if typed and b"[Y/n]" in shown:
                os.write(ours, typed)
                typed = b""
    except OSError:  # Linux ends a terminal whose other side is closed so
        pass
    os.close(ours)
    printed = work.communicate()[0].decode()
    return shown.decode().replace("\r\n", "\n"), printed, work.returncode


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals of this kind")
@pytest.mark.parametrize(
    ("typed", "answer"),
    [(b"y\n", True), (b"\n", True), (b"YES\n", True), (b"n\n", False), (b"\x04", False), (b"what?\nno\n", False)],
)
def test_a_terminal_is_asked(typed: bytes, answer: bool) -> None:
    shown, printed, status = on_a_terminal([sys.executable, "-c", ASK], typed)
    assert shown.startswith("weights, 3 MB\nDownload them now? [Y/n] ") and status == 0
    assert printed.strip() == f"answer {answer}" and shown.count("[Y/n]") == 1 + (b"what?" in typed)


def test_without_a_terminal_nobody_is_asked() -> None:
    work = subprocess.run([sys.executable, "-c", ASK], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert (work.stdout.strip(), work.stderr) == ("answer None", "")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals of this kind")
def test_the_program_asks_fetches_and_predicts(lab: FakeHub, video: Path, tmp_path: Path) -> None:
    plugin = ["--plugin", zeroshot_parts.__file__]
    code = [sys.executable, "-m", "avseg", *plugin, "predict", str(video), "--parts", PARTS, "--vocabulary", "dog"]
    code += ["--model", "zeroshot-cpu", "--no-overlay", "--out", str(tmp_path / "out"), "--device", "cpu"]
    environment = {"HF_ENDPOINT": lab.url, "HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "0"}
    shown, printed, status = on_a_terminal(code, b"\n", **environment)
    assert status == 0 and printed.startswith("1 segmented") and "  finder    lab/finder" in shown
    assert (tmp_path / "out" / "band" / "result.json").is_file()


def test_compare_hands_choices_to_the_names_that_open(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[ModelSource] = []

    def compare_files(a: ModelSource, b: ModelSource, *_: object, **__: object) -> None:
        seen.extend((a, b))
        raise ValueError("enough")

    monkeypatch.setattr("avseg.engine.compare_files", compare_files)
    words = ["compare", "demo", "zeroshot-cpu", "--data.name", "synth", "--vocabulary", "dog", "--parts", PARTS]
    with pytest.raises(ValueError, match="enough"):
        run(words)
    assert [str(one) for one in seen] == ["demo", "zeroshot-cpu"]
    assert [one.choices for one in seen] == [{}, {"vocabulary": "dog", "parts": PARTS}]
    with pytest.raises(ValueError, match="vocabulary can be chosen of a model that opens by name"):
        run(["compare", "demo", "a.safetensors", "--data.name", "synth", "--vocabulary", "dog"])
