"""What the command line says of wrong words and of errors: one sentence, which names the nearest right word."""

from __future__ import annotations

import json
import pickle
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from safetensors import SafetensorError

from avseg import cli
from avseg.cli import _COMMANDS, main, run
from avseg.commands.errors import said
from avseg.config import did_you_mean
from avseg.recipes import RECIPES

MISUSES = [
    ("trian tpavi_s4_r50", "did you mean train?"),
    ("--verison", "did you mean --version?"),
    ("data syth s4", "did you mean synth?"),
    ("convert cvp x.pth -o y", "did you mean cavp?"),
    ("data synth s5 --root x", "there is no data set 's5'; did you mean s4?"),
    ("data synth vpo_mz --root x", "did you mean vpo_ms?"),
    ("data check avism --root x", "did you mean aviseg?"),
    ("data check s4", "--root DIR is missing"),
    ("data synth --root x", "the data set comes first, got '--root'; known: s4, ms3,"),
    ("data synth s4 --root x --seconds 3 4", "there is no option --seconds"),
    ("predict", "VIDEO is missing"),
    ("predict --model demo", "VIDEO is missing"),
    ("predict --model demo --", "VIDEO is missing"),
    ("predict a.mp4 --model", "--model needs MODEL after it, got nothing"),
    ("predict a.mp4 --model demo --mask png", "there is no option --mask; did you mean --masks?"),
    (
        "predict a.mp4 --model demo --masks pngg",
        "--masks got 'pngg', which is none of png, rle, npz, none; did you mean png?",
    ),
    ("predict a.mp4 --model demo --fps fast", "--fps wants a number, got 'fast'"),
    ("predict a.mp4 --model demo --overlay yes", "--overlay is a switch and takes no value, got 'yes'"),
    ("evaluate demo --split tset", "did you mean test?"),
    ("evaluate demo --data.augment flip", "--data.augment is for training only"),
    ("evaluate demo --batch-size 1.5", "--batch-size wants a whole number, got '1.5'"),
    ("demo 3", "unexpected word '3'"),
    ("train demo --epochs 3", "there is no option --epochs; did you mean --train.epochs?"),
    ("train demo --optim.lr fast", "--optim.lr wants a number, got 'fast'"),
    ("train demo --train.precision fp23", "did you mean fp32?"),
    ("train demo --data.augment flip flp", "--data.augment got 'flp'"),
    ("train demo --optim.betas 0.9", "--optim.betas needs X X after it, got 0.9"),
    ("train demo --optim.lag -1", "optim.lag is -1"),
    ("train demo --model.group=a", "--model.group wants a whole number, got 'a'"),
    ("train demo --sweep train.seed=0,x", "--train.seed wants a whole number, got 'x'"),
    ("train demo --sweep model.self_attention=Tru", "did you mean True?"),
    ("completion bsh", "did you mean bash?"),
    (
        f"train demo --model.audio-width {'9' * 30}",
        "--model.audio-width got a number of 30 digits; the largest allowed is",
    ),
    ("data synth s4 --root x --seed 9223372036854775808", "--seed got a number of 19 digits"),
]


@pytest.mark.parametrize(("words", "sentence"), MISUSES, ids=[words for words, _ in MISUSES])
def test_wrong_words_are_one_sentence(words: str, sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        run(words.split())
    printed = capsys.readouterr()
    assert end.value.code == 2 and not printed.out
    assert printed.err.count("\n") == 1 and sentence in printed.err and "--help" in printed.err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("train tpavi_s4_r5", "did you mean 'tpavi_s4_r50'?"),
        ("train demo --sweep train.sed=1,2", "did you mean 'train.seed'?"),
        ("train demo --data.name synt", "did you mean 'synth'?"),
        ("train demo --train.trackers tensorbord", "did you mean 'tensorboard'?"),
        ("evaluate demo --data.name mms3 --data.root .", "did you mean 'ms3'?"),
    ],
)
def test_wrong_names_are_one_sentence_with_the_nearest(words: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence)) as error:
        run([*words.split(), "--out", str(tmp_path / "out")] if "evaluate" not in words else words.split())
    assert "\n" not in said(error.value) and not (tmp_path / "out").exists()


def test_a_word_without_letters_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run(["data", ""])
    assert "there is no command ''" in capsys.readouterr().err


def test_no_long_list_stands_beside_a_near_name() -> None:
    assert did_you_mean("tpavi_s4_r5", RECIPES) == "did you mean 'tpavi_s4_r50'?"
    assert did_you_mean("bash_", ["bash", "zsh"]) == "did you mean 'bash'? Known: bash, zsh"
    assert did_you_mean("qqqq", RECIPES).startswith("known: avism_r50, ")


class OddError(Exception):
    """Of a library that nobody thought of."""


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (ValueError("clips is 0, wanted 1 or more"), "clips is 0, wanted 1 or more"),
        (FileNotFoundError(2, "No such file or directory", "a.mp4"), "a.mp4: No such file or directory"),
        (RuntimeError("first line\n\n  second line"), "first line second line"),
        (
            RuntimeError(
                "Caught it in worker 0.\nOriginal Traceback (most recent call last):\n  x\nValueError: bad.wav"
            ),
            "ValueError: bad.wav",
        ),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), "can't decode byte 0xff"),
        (json.JSONDecodeError("Expecting value", "x", 0), "Expecting value"),
        (ModuleNotFoundError("No module named 'ray'"), "No module named 'ray'"),
        (MemoryError(), "this machine does not have enough memory"),
        (KeyError("pred_masks"), "unexpected KeyError: 'pred_masks'; set AVSEG_DEBUG=1"),
        (TypeError("unsupported operand"), "unexpected TypeError: unsupported operand; set AVSEG_DEBUG=1"),
        (AttributeError("no attribute 'x'"), "AVSEG_DEBUG=1"),
        (IndexError(), "unexpected IndexError; set AVSEG_DEBUG=1"),
        (AssertionError(), "unexpected AssertionError; set AVSEG_DEBUG=1"),
        (RecursionError("maximum recursion depth exceeded"), "unexpected RecursionError"),
        (SafetensorError("header too large"), "SafetensorError: header too large; set AVSEG_DEBUG=1"),
        (zipfile.BadZipFile("no zip"), "BadZipFile: no zip"),
        (pickle.UnpicklingError("invalid load key"), "UnpicklingError: invalid load key"),
        (OddError("odd\nthing " * 400), "unexpected OddError: odd thing odd thing"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_no_error_ends_in_a_traceback(
    error: Exception, sentence: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails() -> int:
        raise error

    monkeypatch.setitem(_COMMANDS, "models", fails)
    monkeypatch.setattr(sys, "argv", ["avseg", "models"])
    monkeypatch.setattr(cli.signal, "signal", lambda *_: None)
    monkeypatch.delenv("AVSEG_DEBUG", raising=False)
    with pytest.raises(SystemExit) as end:
        main()
    printed = capsys.readouterr().err
    assert end.value.code == 1 and printed.startswith("avseg: ") and sentence in printed
    assert printed.count("\n") == 1 and len(printed) < 1200
    monkeypatch.setenv("AVSEG_DEBUG", "1")
    with pytest.raises(type(error)):
        main()


def program(*words: str, stdin: Any = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "avseg", *words], capture_output=True, text=True, stdin=stdin)


def test_odd_files_are_one_sentence(tmp_path: Path) -> None:
    odd = {
        "text.pth": b"not weights\n",
        "empty.pth": b"",
        "picture.pth": b"\xff\xd8\xff\xe0" + bytes(100),
        "header.safetensors": (1 << 40).to_bytes(8, "little") + b"{}",
        "cut.safetensors": (200).to_bytes(8, "little") + b'{"a": {"dtype": "F32"',
        "text.safetensors": b"x" * 100,
    }
    for name, content in odd.items():
        (tmp_path / name).write_bytes(content)
    with zipfile.ZipFile(tmp_path / "zip.pth", "w") as archive:
        archive.writestr("a", "b")
    with (tmp_path / "list.pkl").open("wb") as file:
        pickle.dump([1, "two"], file)
    (tmp_path / "folder.pth").mkdir()
    for name in (*odd, "zip.pth", "list.pkl", "folder.pth", "absent.pth"):
        with pytest.raises((ValueError, OSError)) as error:
            run(["convert", "cavp", str(tmp_path / name), "-o", str(tmp_path / "out.safetensors")])
        sentence = said(error.value)
        assert name in sentence and "\n" not in sentence and "unexpected" not in sentence, name
    assert not (tmp_path / "out.safetensors").exists()


def test_the_program_ends_with_a_sentence_and_a_status(tmp_path: Path) -> None:
    wrong = program("predict", str(tmp_path / "absent.mp4"), "--model", str(tmp_path / "absent.safetensors"))
    assert wrong.returncode == 1 and wrong.stderr.count("\n") == 1 and "absent.mp4" in wrong.stderr
    misused = program("predict", "--masks", "pngg")
    assert misused.returncode == 2 and misused.stderr.count("\n") == 1 and not misused.stdout


def test_a_reader_that_goes_is_no_error() -> None:
    words = f"{sys.executable} -m avseg recipes | head -1"
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {words}"], capture_output=True, text=True)
    assert done.stdout.strip() == "recipes" and not done.stderr
