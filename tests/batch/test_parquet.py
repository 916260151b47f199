"""Masks of a batch in Parquet files: rows in order, the same bytes whoever writes them, and back again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from avseg.batch import BatchPlan, run_batch, unpack
from avseg.batch.inputs import find_batch_videos
from batch_films import FPS, InThisProcess, files_of, film, films, predicted
from extras import needs

pytestmark = pytest.mark.extra


@pytest.fixture(autouse=True)
def _parquet() -> None:
    needs("pyarrow")


def batch(folder: Path, out: Path, parts: int = 2, shard: tuple[int, int] | None = None) -> None:
    plan = BatchPlan("demo", str(out), masks="parquet", fps=FPS, parts=parts, devices=("cpu",))
    run_batch(plan, [str(folder)], InThisProcess(plan), shard)


def rows_of(out: Path) -> list[dict[str, Any]]:
    from pyarrow.parquet import read_table

    return [row for path in sorted((out / "masks").glob("*.parquet")) for row in read_table(path).to_pylist()]


def test_masks_are_gathered_in_order_and_come_out_again(tmp_path: Path) -> None:
    ids = films(tmp_path / "films", 4)
    expected = predicted(tmp_path / "films", ids, tmp_path / "expected")
    for index in (1, 0):  # in two runs, the last of which gathers
        batch(tmp_path / "films", tmp_path / "shards", shard=(index, 2))
    batch(tmp_path / "films", tmp_path / "whole")
    whole = files_of(tmp_path / "whole/masks")
    assert files_of(tmp_path / "shards/masks") == whole
    assert sorted(whole) == ["00000-of-00002.parquet", "00001-of-00002.parquet"]
    rows = rows_of(tmp_path / "whole")
    assert len(rows) > 4 and {row["id"] for row in rows} <= set(ids)
    for part in (tmp_path / "whole/masks").glob("*"):
        keys = [(row["id"], row["frame"]) for row in rows_of_file(part)]
        assert keys == sorted(keys)
    for name in ids:
        folder = unpack(tmp_path / "whole", name, tmp_path / "unpacked" / name)
        assert files_of(folder) == {
            key.removeprefix(f"{name}/"): value for key, value in expected.items() if key.startswith(name)
        }


def rows_of_file(path: Path) -> list[dict[str, Any]]:
    from pyarrow.parquet import read_table

    found: list[dict[str, Any]] = read_table(path).to_pylist()
    return found


def test_only_files_that_lack_something_are_written_again(tmp_path: Path) -> None:
    for kind in range(3):
        film(tmp_path / "films" / f"{kind}.mp4", kind)
    batch(tmp_path / "films", tmp_path / "out", parts=3)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out/masks").iterdir()}
    film(tmp_path / "films/more.mp4", 4)
    batch(tmp_path / "films", tmp_path / "out", parts=3)
    after = {path: path.stat().st_mtime_ns for path in (tmp_path / "out/masks").iterdir()}
    assert sum(before.get(path) != moment for path, moment in after.items()) == 1
    batch(tmp_path / "films", tmp_path / "anew", parts=3)
    assert files_of(tmp_path / "out/masks") == files_of(tmp_path / "anew/masks")
    with pytest.raises(ValueError, match="holds results with 3 Parquet files, not 4"):
        batch(tmp_path / "films", tmp_path / "out", parts=4)


def test_the_manifest_is_a_table_too(tmp_path: Path) -> None:
    film(tmp_path / "films/a.mp4", 1)
    (tmp_path / "films/b.mp4").write_bytes(b"none")
    batch(tmp_path / "films", tmp_path / "out")
    rows = rows_of_file(tmp_path / "out/manifest.parquet")
    assert [(row["id"], row["status"]) for row in rows] == [("a.mp4", "done"), ("b.mp4", "failed")]
    assert "cannot be opened" in rows[1]["error"]


def test_a_list_may_be_a_table(tmp_path: Path) -> None:
    from pyarrow import table
    from pyarrow.parquet import write_table

    write_table(table({"video": ["a.mp4", "s3://bucket/b.mp4"], "id": ["one", "two"]}), tmp_path / "list.parquet")
    found = find_batch_videos([str(tmp_path / "list.parquet")])
    assert [(video.id, video.source) for video in found] == [("one", f"{tmp_path}/a.mp4"), ("two", "s3://bucket/b.mp4")]
    (tmp_path / "bad.parquet").write_bytes(b"none")
    with pytest.raises(ValueError, match=r"bad\.parquet cannot be read as a Parquet file"):
        find_batch_videos([str(tmp_path / "bad.parquet")])
