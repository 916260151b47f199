"""Data sets made by the tasks of a Ray cluster: the files are those of one process."""

from __future__ import annotations

import gc
import os
from multiprocessing import get_context
from pathlib import Path

import pytest

from avseg.cli import run
from avseg.datasets import folders
from coco_world import usual
from extras import needs
from ray_work import end_once, refuse

pytestmark = pytest.mark.extra


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needs("ray")
    monkeypatch.chdir(tmp_path)
    folders.write("s4", Path("raw"), 6, seed=0, size=(32, 40), video=True, workers=1)


def files(folder: str) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


def test_prepare_gives_the_files_of_one_process(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["data", "prepare", "s4", "--raw", "raw"]
    assert run([*command, "--root", "one", "--workers", "1"]) == 0
    assert run([*command, "--root", "ray", "--runner", "ray"]) == 0
    assert files("one") == files("ray") and len(files("one")) > 30
    assert "6" in capsys.readouterr().out


def test_build_vpo_gives_the_files_of_one_process() -> None:
    instances, images, sounds = map(str, usual(Path("inputs"), 6).inputs)
    command = ["data", "build-vpo", "ms", "--instances", instances, "--images", images, "--sounds", sounds]
    command += ["--fractions", "0.5", "0.25", "0.25", "--examples", "1"]
    assert run([*command, "--out", "one", "--workers", "1"]) == 0
    assert run([*command, "--out", "ray", "--runner", "ray"]) == 0
    assert files("one") == files("ray") and len(files("one")) > 12


def test_lost_processes_are_begun_again_and_errors_come_through(monkeypatch: pytest.MonkeyPatch) -> None:
    from avseg.ray_cluster import run_on_ray

    paths = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))  # processes of the cluster import the jobs
    found = dict(run_on_ray(end_once, [Path("a"), Path("b")]))
    assert sorted(found) == [0, 1] and os.getpid() not in found.values()
    with pytest.raises(ValueError, match="a is refused"):
        list(run_on_ray(refuse, ["a"]))
    child = get_context("fork").Process(target=gc.collect)  # as a worker of a loader that is begun later
    child.start()
    child.join()
    assert child.exitcode == 0


def test_a_cluster_that_does_not_start_in_time_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    from avseg import ray_cluster

    def late(**_: object) -> None:
        raise Exception("The current node timed out during startup.")

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(ray_cluster.ray, "init", late)
    with pytest.raises(OSError, match=r"no Ray cluster answers at this machine \(The current node timed out"):
        ray_cluster.connect(None)
