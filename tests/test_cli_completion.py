"""What shells are told may stand at the cursor."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from avseg.cli import commands, complete, run
from avseg.commands.completion import FILES, SCRIPTS
from avseg.data import DATASETS
from avseg.recipes import RECIPES


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("pr", ["predict"]),
        ("data ", ["synth", "prepare", "build-vpo", "check", "view", "pack", "convert", "--help"]),
        ("data synth vpo_m", ["vpo_ms", "vpo_msmi"]),
        ("data synth s4 --dif", ["--difficulty"]),
        ("data view ", [FILES]),
        ("data view --data.name vpo_m", ["vpo_ms", "vpo_msmi"]),
        ("train finetune --init.model d", ["demo", FILES]),
        ("data synth s4 --difficulty ", ["easy", "standard", "hard"]),
        ("train tpavi_ms3_r", ["tpavi_ms3_r50", "tpavi_ms3_r50_from_s4"]),
        ("train tpavi_s4_r50 --optim.sch", ["--optim.schedule"]),
        ("train tpavi_s4_r50 --optim.schedule p", ["poly"]),
        ("train tpavi_s4_r50 --optim.lr 1e-4 --optim.sch", ["--optim.schedule"]),
        ("train tpavi_s4_r50 --data.name vpo_m", ["vpo_ms", "vpo_msmi"]),
        ("train tpavi_s4_r50 --data.augment flip c", ["colour", "crop"]),
        ("train tpavi_s4_r50 --train.trackers ", ["tensorboard", "wandb"]),
        ("train tpavi_s4_r50 --init.vggish ", [FILES]),
        ("train avism_small --model.frame-q", ["--model.frame-queries"]),
        ("train tpavi_s4_r50 --model.frame-q", []),
        ("predict ", [FILES]),
        ("predict a.mp4 --model d", ["demo", FILES]),
        ("predict a.mp4 --model z", ["zeroshot", "zeroshot-gpu", "zeroshot-cpu", FILES]),
        ("predict a.mp4 --masks=r", ["--masks=rle"]),
        ("predict a.mp4 --masks = r", ["rle"]),
        ("predict a.mp4 --no-o", ["--no-overlay", "--no-overwrite"]),
        ("evaluate demo --data.aug", []),
        ("evaluate demo --split ", ["train", "val", "test"]),
        ("evaluate demo --protocol published r", ["repaired"]),
        ("convert cavp x.pth --variant vpo", ["vpo", "vpo_stereo"]),
        ("completion ", ["bash", "zsh", "fish"]),
        ("trian ", []),
        ("data syth ", []),
        ("models ", []),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_may_stand_at_the_cursor(typed: str, found: list[str]) -> None:
    assert complete(typed.split(" ")) == found


def test_everything_is_offered_where_nothing_is_typed() -> None:
    assert complete([""]) == [*commands(), "--help", "--version"]
    assert complete(["train", ""]) == [*RECIPES, "--help"]
    assert complete(["evaluate", "demo", "--data.name", ""]) == list(DATASETS)


def test_a_script_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    for shell, script in SCRIPTS.items():
        assert run(["completion", shell]) == 0
        assert capsys.readouterr().out == script


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With two files to complete, and avseg as a program in `bin`."""
    program = tmp_path / "bin" / "avseg"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m avseg "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    (tmp_path / "my clip.mp4").touch()
    (tmp_path / "model.safetensors").touch()
    return tmp_path


def shell(name: str, folder: Path, script: str) -> list[str]:
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not on this machine")
    quiet = {"bash": ["--norc"], "zsh": ["-f"], "fish": ["--no-config"]}[name]
    path = f"{folder / 'bin'}:/usr/bin:/bin"
    words = [shutil.which(name) or name, *quiet, "-c", script]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, env={"PATH": path, "HOME": str(folder)})
    assert done.returncode == 0 and not done.stderr, done.stderr
    return done.stdout.splitlines()


def test_bash_completes(folder: Path) -> None:
    lines = shell(
        "bash",
        folder,
        """
        eval "$(avseg completion bash)"
        try() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _avseg; (IFS="|"; echo "${COMPREPLY[*]}"); }
        complete -p avseg
        try avseg pre
        try avseg train tpavi_avss_
        try avseg predict my
        try avseg predict a.mp4 --masks = r
        try avseg predict a.mp4 --model mod
        """,
    )
    assert lines == [
        "complete -F _avseg avseg",
        "predict",
        "tpavi_avss_r50|tpavi_avss_pvt",
        "my clip.mp4",
        "rle",
        "model.safetensors",
    ]


def test_fish_completes(folder: Path) -> None:
    lines = shell(
        "fish",
        folder,
        """
        avseg completion fish | source
        complete -C "avseg pre"
        complete -C "avseg train tpavi_avss_"
        complete -C "avseg predict my" | string match -r "^my.*mp4"
        complete -C "avseg predict a.mp4 --masks=r"
        """,
    )
    assert lines == ["predict", "tpavi_avss_pvt", "tpavi_avss_r50", "my clip.mp4", "--masks=rle"]  # as fish sorts them


def test_zsh_completes(folder: Path) -> None:
    """What zsh adds, told by a `compadd` and `_files` that print; the line editor itself needs a terminal."""
    lines = shell(
        "zsh",
        folder,
        """
        compdef() { print "compdef $@" }
        compadd() { print -l -- ${(P)${@[-1]}} }
        _files() { print files }
        eval "$(avseg completion zsh)"
        words=(avseg pre); CURRENT=2; _avseg
        words=(avseg train tpavi_avss_); CURRENT=3; _avseg
        words=(avseg predict my); CURRENT=3; _avseg
        words=(avseg nonsense ""); CURRENT=3; _avseg || true
        """,
    )
    assert lines == ["compdef _avseg avseg", "predict", "tpavi_avss_r50", "tpavi_avss_pvt", "files"]
