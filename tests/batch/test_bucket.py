"""A bucket of a real S3 server (tests/buckets.py) for videos and results."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from avseg.batch import BatchPlan, read_manifest, run_batch, unpack
from avseg.batch.run import BatchReport
from batch_drivers import kill_at, words
from batch_films import FPS, InThisProcess, files_of
from buckets import KEY, SECRET, keys_for, keys_refused, s3_server

pytestmark = pytest.mark.extra


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with s3_server() as address:
        yield address


@pytest.fixture(autouse=True)
def _address(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with keys_for(server, monkeypatch):
        yield


def bucket(name: str, folder: Path) -> Any:
    """A new bucket with the films below `clips`; what opens it."""
    from s3fs import S3FileSystem

    files = S3FileSystem()
    files.mkdir(name)
    for path in folder.rglob("*.mp4"):
        files.put_file(str(path), f"{name}/clips/{path.relative_to(folder).as_posix()}")
    files.pipe_file(f"{name}/clips/.hidden.mp4", b"none")
    return files


def below(files: Any, root: str) -> dict[str, bytes]:
    files.invalidate_cache()
    found = [path for path, entry in files.find(root, detail=True).items() if entry["type"] == "file"]
    return {path.removeprefix(f"{root}/"): files.cat_file(path) for path in found}


def batch(name: str, **more: Any) -> BatchReport:
    plan = BatchPlan("demo", f"s3://{name}/out", fps=FPS, devices=("cpu",), **more)
    return run_batch(plan, [f"s3://{name}/clips"], InThisProcess(plan))


def test_a_bucket_to_a_bucket_gives_the_bytes_of_a_folder(
    folder: Path, expected: dict[str, bytes], tmp_path: Path
) -> None:
    files = bucket("whole", folder)
    report = batch("whole", masks="parquet", parts=2)
    assert (report.done, report.exit_code) == (5, 0), report
    assert below(files, "whole/out/videos") == expected
    plan = BatchPlan("demo", str(tmp_path / "out"), fps=FPS, masks="parquet", parts=2, devices=("cpu",))
    text = tmp_path / "list.csv"
    rows = [f"s3://whole/clips/{path.relative_to(folder).as_posix()}" for path in folder.rglob("*.mp4")]
    text.write_text("path,id\n" + "".join(f"{row},{row.removeprefix('s3://whole/clips/')}\n" for row in rows))
    run_batch(plan, [str(text)], InThisProcess(plan))
    assert files_of(tmp_path / "out/masks") == below(files, "whole/out/masks")
    assert {row["status"] for row in read_manifest("s3://whole/out")} == {"done"}
    unpacked = unpack("s3://whole/out", "film 0.mp4", tmp_path / "unpacked")
    assert files_of(unpacked)["masks.jsonl"] == expected["film 0.mp4/masks.jsonl"]
    again = batch("whole", masks="parquet", parts=2)
    assert (again.done, again.there) == (0, 5)


def results_of(files: Any) -> list[str]:
    return [name for name in below(files, "killed/out") if name.endswith("result.json")]


def test_a_killed_driver_leaves_whole_results(folder: Path, expected: dict[str, bytes]) -> None:
    files = bucket("killed", folder)
    kill_at(words("s3://killed/clips", "s3://killed/out"), lambda: bool(results_of(files)))
    made = results_of(files)
    assert 1 <= len(made) < 5
    report = batch("killed")
    assert report.there >= len(made) and report.done + report.there == 5
    assert below(files, "killed/out/videos") == expected


def test_denied_and_unreachable_places_are_one_sentence_without_keys(
    server: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket("denied", folder)
    with pytest.raises(FileNotFoundError, match="s3://nowhere/clips"):
        batch("nowhere")
    with (
        keys_refused(server, monkeypatch) as wrong,
        pytest.raises(PermissionError, match="s3://denied/clips cannot be reached: access is denied") as denied,
    ):
        batch("denied")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(OSError, match="s3://denied/clips cannot be reached") as lost:
        batch("denied")
    for error in (denied, lost):
        told = str(error.value)
        assert "\n" not in told and not any(secret in told for secret in (SECRET, wrong, KEY))
