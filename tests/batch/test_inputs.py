"""What the words of a batch mean, what results are called, and that no key is ever shown."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from avseg.batch.inputs import find_batch_videos
from avseg.batch.videos import part_of_id
from avseg.io.address import clean, shown


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files that nobody opens."""
    for name in ("a.mp4", "b.MKV", "dogs/a.mp4", "dogs/.hidden.mp4", ".trash/c.mp4", "notes.txt", "out/videos/x.mp4"):
        path = tmp_path / "clips" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"12345")
    return tmp_path / "clips"


def ids(*inputs: str | Path, out: Path | None = None) -> list[str]:
    return [video.id for video in find_batch_videos(list(map(str, inputs)), None if out is None else str(out))]


def test_a_folder_gives_what_lies_in_it_and_no_results(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ids(folder, out=folder / "out") == ["a.mp4", "b.MKV", "dogs/a.mp4"]
    assert [video.bytes for video in find_batch_videos([str(folder)], str(folder / "out"))] == [5, 5, 5]
    assert ids(f"file://{folder}", out=folder / "out") == ["a.mp4", "b.MKV", "dogs/a.mp4"]
    monkeypatch.chdir(folder)
    assert ids(".", out=Path("out")) == ["a.mp4", "b.MKV", "dogs/a.mp4"]


def test_ids_of_a_pattern_begin_at_its_first_wildcard(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ids(folder / "dogs/*.mp4") == ["a.mp4"]
    assert ids(folder / "d*/*.mp4") == ["dogs/a.mp4"]
    monkeypatch.chdir(folder)
    assert ids("*.mp4") == ["a.mp4"] and ids("**/*.MKV") == ["b.MKV"]
    with pytest.raises(FileNotFoundError, match=r"'\*\.webm' is not a video, a folder with videos"):
        ids("*.webm")


def test_lists_name_videos_and_may_name_their_results(folder: Path, tmp_path: Path) -> None:
    text = tmp_path / "list.txt"
    text.write_text(
        f"clips/a.mp4\n\n{folder}/dogs/a.mp4\ns3://bucket/more/c d.mp4\nhttps://me:pw@host/e.mp4?key=s3cret\n"
    )
    found = {video.id: video.source for video in find_batch_videos([str(text)])}
    assert found == {
        "clips/a.mp4": f"{tmp_path}/clips/a.mp4",
        f"{folder}/dogs/a.mp4".lstrip("/"): f"{folder}/dogs/a.mp4",
        "bucket/more/c d.mp4": "s3://bucket/more/c d.mp4",
        "host/e.mp4": "https://me:pw@host/e.mp4?key=s3cret",
    }
    table = tmp_path / "list.csv"
    table.write_text("id,label,path\nrex,dog,clips/dogs/a.mp4\ntom,cat,clips/a.mp4\n", encoding="utf-8-sig")
    assert ids(table) == ["rex", "tom"]


def test_a_video_that_is_listed_twice_is_taken_once(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = tmp_path / "list.txt"
    text.write_text("clips/a.mp4\nclips/a.mp4\nclips/b.MKV\n")
    with caplog.at_level(logging.WARNING):
        assert ids(text) == ["clips/a.mp4", "clips/b.MKV"]
    assert "1 entries repeat a video" in caplog.text
    with pytest.raises(ValueError, match=r"two videos have the id a\.mp4: .*dogs/a\.mp4.* a list \(CSV\)"):
        ids(folder / "a.mp4", folder / "dogs")


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.csv", b"name,label\nx,y\n", "has the columns name, label; wanted one of path, video, file, url"),
        ("b.csv", b"path,id\nx.mp4,../../etc\n", r"entry 1: '\.\./\.\./etc' cannot name a result"),
        ("c.csv", b'path\n""\nx.mp4\n', "entry 1 is empty"),
        ("d.txt", b"\xff\xfe\x00", "is not UTF-8 text"),
        ("e.txt", b"\n", "is not a video, a folder with videos, a list"),
        ("f.txt", b"../x.mp4\n", "cannot name a result; give a list with a column id"),
    ],
)
def test_bad_lists_are_one_sentence(name: str, content: bytes, sentence: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises((ValueError, FileNotFoundError), match=sentence):
        find_batch_videos([str(tmp_path / name)])


def test_the_part_of_a_video_is_the_same_everywhere() -> None:
    assert [part_of_id(name, 64) for name in ("a.mp4", "dogs/rex.mp4", "ü")] == [6, 35, 50]
    counts = [0] * 8
    for number in range(4000):
        counts[part_of_id(f"clip {number}.mp4", 8)] += 1
    assert min(counts) > 400 and max(counts) < 600


def test_keys_are_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG")
    text = (
        "cannot open https://me:pass@host/a.mp4?X-Amz-Signature=abcdef (wJalrXUtnFEMI/K7MDENG of AKIAIOSFODNN7EXAMPLE)"
    )
    assert clean(text) == "cannot open https://host/a.mp4 (*** of ***)"
    assert shown("s3://bucket/a b.mp4") == "s3://bucket/a b.mp4"
    assert shown("https://me:pass@host/a b.mp4?X-Amz-Signature=abcdef") == "https://host/a b.mp4"
