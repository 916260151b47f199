"""Every script in `benchmarks` starts, the quick ones measure something, and what they share counts right."""

from __future__ import annotations

import json
import os
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
STARTS = ("ArgumentParser", "options_of(", "opened(")
SHARED = ("harness", "experiment")
SCRIPTS = sorted(
    path.stem
    for path in BENCHMARKS.glob("*.py")
    if any(word in path.read_text(encoding="utf-8") for word in STARTS) and path.stem not in SHARED
)
SMALL = {
    "dataset_scores": "--frames 1 --height 36 --width 64 --classes 4 --loops 1",
    "decibel": "--windows 2 --seconds 1 --repeats 1",
    "deform": "--size 64 64 --repeats 1",
    "f_measure": "--masks 2 --size 32 --loops 1",
    "log_mel": "--seconds 1 --rates 16000 44100 --repeats 1",
    "predict": "--seconds 10 --width 64 --height 48 --video-fps 5 --threads 1",
    "read_aviseg": "--videos 2 --runs 1 --size 64 96",
    "read_clip": "--repeats 1 --quick",
    "read_vpo": "--samples 2 --repeats 1",
    "track_scores": "--videos 2 --distinct 1 --part 1 --frames 6 --tracks 2 --height 48 --width 64",
}
LARGER = {
    "avsegformer": "--quick --threads 1",
    "catr": "--quick --threads 1",
    "contrast": "--quick --threads 1",
    "cavp": "--quick --cases avss_224 --threads 1",
    "long_video": "--frames 2 --published 2 --size 64 96 --side 64 --threads 1",
    "qdformer": "--quick --threads 1",
    "tpavi": "--quick --threads 1",
}
"""Those that take up to a minute: AVSEG_BENCHMARKS=1 runs them."""
ASKED = pytest.mark.skipif(not os.environ.get("AVSEG_BENCHMARKS"), reason="takes a minute; AVSEG_BENCHMARKS=1 runs it")


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    threads = torch.get_num_threads()
    with patch.dict(os.environ):
        yield
    torch.set_num_threads(threads)


def run(name: str, words: str) -> None:
    with patch.object(sys, "argv", [name, *words.split()]):
        runpy.run_path(str(BENCHMARKS / f"{name}.py"), run_name="__main__")


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_says_what_it_does(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(name, "--help")
    assert ended.value.code == 0 and capsys.readouterr().out.startswith(f"usage: {name}")


def figures(value: Any) -> list[float]:
    """All numbers in what a script tells."""
    if isinstance(value, (dict, list)):
        inner = value.values() if isinstance(value, dict) else value
        return [number for one in inner for number in figures(one)]
    return [value] if isinstance(value, (int, float)) and not isinstance(value, bool) else []


@pytest.mark.parametrize(
    ("name", "words"), [*SMALL.items(), *(pytest.param(*one, marks=ASKED) for one in LARGER.items())]
)
def test_scripts_measure(name: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(name, f"{words} --out {tmp_path / 'told.json'}")
    printed = capsys.readouterr().out
    told = json.loads((tmp_path / "told.json").read_text(encoding="utf-8"))
    assert json.loads(printed) == told
    numbers = figures(told)
    assert len(numbers) >= 6 and all(number == number for number in numbers)


def harness() -> Any:
    import harness

    return harness


class Clock:
    """Stands for the module `time`: it goes on only when it is told to."""

    def __init__(self) -> None:
        self.wall = self.cpu = 0.0

    def perf_counter(self) -> float:
        return self.wall

    def process_time(self) -> float:
        return self.cpu


def test_sides_run_in_turn_and_the_first_round_is_for_warmth(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(harness(), "time", clock)
    order: list[str] = []

    def side(name: str, seconds: list[float]) -> Any:
        def run() -> int:
            passed = seconds[sum(one == name for one in order)]
            clock.wall, clock.cpu = clock.wall + passed, clock.cpu + passed / 4
            order.append(name)
            return len(order)

        return run

    runs = {"a": side("a", [8.0, 2.0, 4.0]), "b": side("b", [1.0, 32.0, 16.0])}
    found = harness().in_turn(runs, 2)
    assert order == ["a", "b"] * 3 and (found["a"].result, found["b"].result) == (5, 6)
    assert (found["a"].wall, found["a"].cpu, found["b"].wall, found["b"].cpu) == (2.0, 0.5, 16.0, 4.0)
    assert (found["a"].of("wall"), found["b"].of("cpu")) == (2.0, 4.0)
    order.clear()
    single = harness().spent(side("c", [64.0]))
    assert (single.wall, single.result) == (64.0, 1)


def test_the_peak_of_a_run_is_what_it_holds_at_once() -> None:
    def run() -> None:
        for _ in range(3):
            first = torch.ones(250_000)  # 1 MB
            first = first + 1  # two at once
            del first

    assert harness().peak_bytes(run) == pytest.approx(2e6, rel=0.01)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_a_process_of_its_own_has_its_own_peak(tmp_path: Path) -> None:
    script = tmp_path / "one.py"
    code = (
        f"import json, sys\nsys.path.insert(0, {str(BENCHMARKS)!r})\nfrom harness import peak_mib\n"
        "before = peak_mib()\nblock = b'x' * (int(sys.argv[1]) << 20)\nprint('said before')\n"
        "print(json.dumps(peak_mib() - before))\n"
    )
    script.write_text(code, encoding="utf-8")
    assert harness().in_own_process(str(script), ["100"]) == pytest.approx(100, abs=15)
