"""Packing and reading shards: the form of the files, order and augmentation, other places, and what is refused."""

from __future__ import annotations

import json
import shutil
import tarfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from alike import same
from avseg.cli import run
from avseg.config import InputSpec
from avseg.data import make_loader, train_transforms
from avseg.datasets import build_dataset, data_config, folders
from avseg.io import remote
from avseg.shards.pack import pack
from own_videos import make_video, put_masks


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVSEG_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve clips in the layout of S4."""
    root: Path = tmp_path_factory.mktemp("s4")
    folders.write("s4", root, 12, seed=1, workers=1, size=(32, 40))
    return root


@pytest.fixture(scope="module")
def packed(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Their shards; a megabyte holds six of them."""
    shards = tmp_path_factory.mktemp("packed") / "shards"
    pack(data_config("s4", root=root), str(shards), shard_megabytes=1)
    return shards


@pytest.fixture
def shards(packed: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return shutil.copytree(packed, tmp_path / "shards")


def opened(shards: Path | str, split: str = "train", **options: Any) -> Any:
    return build_dataset(data_config("s4", shards=str(shards), **options), split)


def test_the_tar_files_are_webdataset(packed: Path, root: Path) -> None:
    index = json.loads((packed / "index.json").read_text())
    assert len(index["shardlist"]) > 3
    rows = {row["id"]: row for row in map(json.loads, (packed / "clips.jsonl").read_text().splitlines())}
    samples: dict[str, dict[str, bytes]] = {}
    for shard in index["shardlist"]:
        before = set(samples)
        with tarfile.open(packed / shard["url"]) as tar:
            last = ""
            for member in tar:
                key, _, extension = member.name.partition(".")
                assert key == last or key not in samples, "the members of a sample stand together"
                content = tar.extractfile(member)
                assert content is not None
                samples.setdefault(key, {})[extension] = content.read()
                last = key
        assert len(set(samples) - before) == shard["nsamples"]
    assert len(samples) == len(rows) == 12
    for sample in samples.values():
        head = json.loads(sample["json"])
        assert {file["member"] for file in head["files"]} == set(sample) - {"json"}
        assert {"frame.0000.png", "frame.0004.png", "label.0000.png", "sound.0000.wav"} <= set(sample)
        for file in head["files"]:
            assert (root / file["name"]).read_bytes() == sample[file["member"]]
    for line in (packed / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split("  ")
        assert sha256((packed / name).read_bytes()).hexdigest() == digest


def test_the_same_folder_gives_the_same_bytes(packed: Path, root: Path, tmp_path: Path) -> None:
    pack(data_config("s4", root=root), str(tmp_path / "again"), shard_megabytes=1)
    files = {path.name: path.read_bytes() for path in (tmp_path / "again").iterdir()}
    assert files == {path.name: path.read_bytes() for path in packed.iterdir()}


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_are_those_of_the_folder(packed: Path, root: Path, workers: int) -> None:
    augment = ("flip", "colour", "mute", "scale", "crop")
    made = []
    for place in ({"root": root}, {"shards": str(packed)}):
        config = data_config("s4", augment=augment, **place)
        dataset = build_dataset(config, "train")
        transforms = train_transforms(config, InputSpec((24, 24)))
        loader = make_loader(dataset, transforms, batch_size=3, seed=5, shuffle=True, workers=workers)
        for epoch, step in ((0, 0), (3, 1)):
            loader.set_position(epoch, step)
            made.append(list(loader))
    same(made[2:], made[:2])


def test_object_storage_is_read_and_written(root: Path, packed: Path) -> None:
    place = "memory://bucket/s4"
    pack(data_config("s4", root=root), place, shard_megabytes=1)
    assert remote.listed(place) == sorted(path.name for path in packed.iterdir())
    assert all(remote.read(f"{place}/{path.name}") == path.read_bytes() for path in packed.iterdir())
    same([opened(place)[index] for index in range(3)], [opened(packed)[index] for index in range(3)])
    with pytest.raises(ValueError, match="already holds shards"):
        pack(data_config("s4", root=root), place)
    remote.remove(f"{place}/train-000000.tar")
    with pytest.raises(FileNotFoundError, match=r"the shard memory://bucket/s4/train-000000\.tar is missing"):
        opened(place)[0]


def test_the_command_packs_and_evaluates(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    words = ["data", "pack", "--data.name", "s4", "--data.root", str(root), "--out", str(out), "--splits", "test"]
    assert run(words) == 0
    assert "2 clips of s4 (2 test) packed into 1 shard of" in capsys.readouterr().out
    assert (
        run(
            [
                "data",
                "view",
                "--data.name",
                "s4",
                "--data.shards",
                str(out),
                "--split",
                "test",
                "-o",
                str(tmp_path / "p.html"),
            ]
        )
        == 0
    )
    with pytest.raises(ValueError, match="hold test but not train; pack that split as well"):
        opened(out)


def test_nothing_is_left_of_a_data_set_that_lacks_a_file(root: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(root, tmp_path / "copy")
    gone = sorted(copy.rglob("gt_masks/val/**/*_3.png"))[0]
    gone.unlink()
    with pytest.raises(
        FileNotFoundError, match=rf"{gone.name} of the clip .* is missing, so the data set was not packed"
    ):
        pack(data_config("s4", root=copy), str(tmp_path / "out"))
    assert not [path for path in tmp_path.iterdir() if "out" in path.name]
    gone.write_bytes(b"")
    with pytest.raises(ValueError, match="has zero bytes, so the data set was not packed"):
        pack(data_config("s4", root=copy), str(tmp_path / "out"))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="already exists and is not empty"):
        pack(data_config("s4", root=root), str(tmp_path / "full"))
    assert (tmp_path / "full" / "notes.txt").read_text() == "mine"


def test_files_that_some_clips_lack_are_told_before_training(root: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(root, tmp_path / "copy")
    next(copy.rglob("audio_log_mel/train/**/*.pkl")).unlink()
    pack(data_config("s4", root=copy), str(tmp_path / "out"))
    opened(tmp_path / "out")
    with pytest.raises(
        FileNotFoundError, match="hold log_mel of 11 of 12 clips, but the options of 's4' need it for all"
    ):
        opened(tmp_path / "out", audio="log_mel")


def test_what_cannot_be_packed_says_so(root: Path, packed: Path, tmp_path: Path) -> None:
    for config, sentence in (
        (data_config("synth"), "does not list its files"),
        (data_config("s4", shards=str(packed)), "is already in shards"),
    ):
        with pytest.raises(ValueError, match=sentence):
            pack(config, str(tmp_path / "out"))
    with pytest.raises(ValueError, match="made in memory and has no shards"):
        build_dataset(data_config("synth", shards=str(packed)), "train")
    with pytest.raises(ValueError, match=r"leave out --data\.root or --data\.shards"):
        opened(packed, root=root)
    with pytest.raises(ValueError, match="hold the data set 's4', not 'ms3'"):
        build_dataset(data_config("ms3", shards=str(packed)), "train")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-2000])


def replaced(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


FAULTS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "a shard that is cut": (
        lambda at: cut(at / "train-000000.tar"),
        r"the shard .*train-000000\.tar has \d+ bytes, but the index says",
    ),
    "a shard that is gone": (
        lambda at: (at / "train-000000.tar").unlink(),
        r"the shard .*train-000000\.tar is missing",
    ),
    "no index": (lambda at: (at / "index.json").unlink(), r"index\.json is missing; --data\.shards must be a folder"),
    "half an index": (lambda at: cut(at / "index.json"), r"index\.json is not complete JSON"),
    "another JSON": (lambda at: (at / "index.json").write_text("[]"), "is not an index of shards"),
    "a later format": (
        lambda at: replaced(at / "index.json", '"format_version": 1', '"format_version": 2'),
        "is of format 2, this version of avseg reads 1",
    ),
    "an index with a wrong field": (
        lambda at: replaced(at / "index.json", '"name": "s4"', '"name": 4'),
        r"index\.json is damaged \(PackIndex\.name is 4",
    ),
    "clips of another index": (
        lambda at: replaced(at / "clips.jsonl", '"offset": 0', '"offset": 1'),
        r"clips\.jsonl does not fit index\.json",
    ),
    "no clips": (lambda at: (at / "clips.jsonl").unlink(), r"clips\.jsonl is missing"),
    "tables that are cut": (lambda at: cut(at / "tables.tar"), r"tables\.tar does not fit index\.json"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_shards_that_do_not_fit_are_refused_at_once(fault: str, shards: Path) -> None:
    damage, sentence = FAULTS[fault]
    damage(shards)
    with pytest.raises((ValueError, FileNotFoundError), match=sentence):
        opened(shards)


@pytest.mark.parametrize("place", [100, 700, 40_000])
def test_a_damaged_clip_names_its_shard(place: int, shards: Path) -> None:
    """In the header of the first member, in its text, and in a picture."""
    path = shards / "train-000000.tar"
    content = bytearray(path.read_bytes())
    content[place] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"the shard .*train-000000\.tar is damaged at byte 0"):
        [opened(shards)[0].frames, opened(shards)[0].audio]


def test_a_folder_of_videos_is_read_with_the_options_it_was_packed_with(tmp_path: Path) -> None:
    """The sound of a long video is cut to its clips, and the videos themselves are not packed."""
    root = tmp_path / "videos"
    make_video(root / "long.mp4", seconds=9, fps=4)
    make_video(root / "still.mp4", seconds=4, fps=4, sound=False)
    put_masks(root / "long", ("000001", "000008"))
    put_masks(root / "still", ("000003",))
    (root / "split.csv").write_text("name,split\nlong,train\nstill,train\n")
    options = {"clip_seconds": 3.0, "cache": tmp_path / "elsewhere"}
    wanted = build_dataset(data_config("folder", root=root, **options), "train")
    clips = [wanted[index] for index in range(len(wanted))]
    summary = pack(data_config("folder", root=root, **options), str(tmp_path / "out"))
    assert sum(shard.filesize for shard in summary.index.shardlist) < 9 * 2 * 16000 + 40_000
    shutil.rmtree(root)
    shutil.rmtree(tmp_path / "elsewhere")
    found = build_dataset(data_config("folder", shards=str(tmp_path / "out"), clip_seconds=3.0), "train")
    same([found[index] for index in range(len(found))], clips)
    with pytest.raises(ValueError, match=r"hold no frames of long for these options \(--data\.fps 2"):
        build_dataset(data_config("folder", shards=str(tmp_path / "out"), fps=2.0), "train")
