"""A folder of one's own videos: pictures under masks, clips, classes, splits, the cache, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from avseg.data import build_dataset
from avseg.datasets import data_config
from avseg.datasets.folder.splits import hash_splits
from avseg.datasets.folders import check
from avseg.io.image import write_png
from own_videos import RATE, SIZE, everything, make_video, number_of, put_masks, square


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make_video(tmp_path / "cat.mp4")
    return tmp_path


@pytest.mark.parametrize(
    ("names", "pictures"),
    [
        (("000000", "000002"), [0, 10, 20]),
        (("0s", "1.55s", "2.9s"), [0, 15, 29]),
        (("frame_000004", "frame_000013"), [4, 13, 20]),
    ],
)
def test_a_mask_lies_on_the_picture_that_its_name_says(root: Path, names: Any, pictures: list[int]) -> None:
    put_masks(root / "cat", names)
    clip = everything(root)[0]
    assert [number_of(frame) for frame in clip.frames] == pictures
    assert clip.times.tolist() == [0, 1, 2]
    assert clip.shown_at.tolist() == pytest.approx([n / 10 for n in pictures], abs=0.051)
    known = [int(name.removeprefix("frame_").split(".")[0].rstrip("s")) for name in names]
    labelled = [n // 10 for n in known] if "frame" in names[0] else known
    assert clip.target.annotated.nonzero().flatten().tolist() == labelled
    for place, second in enumerate(labelled):
        assert np.array_equal(clip.target.labels[second].numpy(), square(2 + 4 * place))


def test_numbers_are_steps_of_the_rate(root: Path) -> None:
    put_masks(root / "cat", ("000001", "000003"))
    clip = everything(root, fps=2)[0]
    assert [number_of(frame) for frame in clip.frames] == [0, 5, 10, 15, 20, 25]
    assert clip.target.annotated.tolist() == [False, True, False, True, False, False]


def test_long_videos_are_cut_and_pieces_without_labels_are_left_out(tmp_path: Path) -> None:
    make_video(tmp_path / "long.mp4", seconds=9, fps=4)
    put_masks(tmp_path / "long", ("000001", "000008"))
    dataset = everything(tmp_path, clip_seconds=3)
    assert dataset.ids == ["long_000000", "long_000006"]
    clip = dataset[1]
    assert [number_of(frame) for frame in clip.frames] == [24, 28, 32] and clip.times.tolist() == [0, 1, 2]
    assert clip.audio.shape == (1, 3 * RATE)
    for second in range(3):
        part = clip.audio[0, second * RATE + 4000 : second * RATE + 12000]
        assert int(torch.fft.rfft(part).abs().argmax()) * 2 == 200 * (6 + second + 1)
    assert sorted(path.name for path in dataset.pieces[0].decoded.folder.glob("*.jpg")) == [
        f"{step:06d}.jpg" for step in (0, 1, 2, 6, 7, 8)
    ]


def test_classes_are_named_by_a_file_and_255_is_not_judged(root: Path) -> None:
    mask = square(2, value=2)
    mask[0] = 255
    write_png(root / "cat" / "0.png", mask)
    (root / "classes.txt").write_text("dog\nviolin\n")
    dataset = everything(root)
    assert (dataset.task.kind, dataset.task.classes, dataset.suite) == (
        "semantic",
        ("dog", "violin"),
        "avsbench_semantic",
    )
    clip = dataset[0]
    assert np.array_equal(clip.target.labels[0].numpy(), mask)
    assert clip.target.sounding.tolist() == [[False, True], [False, False], [False, False]]
    binary = everything(root, task="binary")
    assert binary.task.kind == "binary" and binary.suite == "avsbench_object"
    assert binary[0].target.labels[0].unique().tolist() == [0, 1, 255]


def test_without_names_everything_but_zero_is_foreground(root: Path) -> None:
    write_png(root / "cat" / "0.png", square(2, value=255))
    dataset = everything(root)
    assert dataset.task.kind == "binary" and int(dataset[0].target.labels.sum()) == 100
    with pytest.raises(ValueError, match=r"they cannot be used with --data\.task semantic"):
        everything(root, task="semantic")


def test_what_predict_wrote_can_be_corrected_and_read(root: Path) -> None:
    from avseg import Segmenter

    result = Segmenter.load("demo", fps=1).predict(root / "cat.mp4")
    result.save(root / "cat", "png")
    mask = square(5, value=3)
    write_png(root / "cat" / "masks" / "000002.png", mask)
    dataset = everything(root)
    clip = dataset[0]
    assert clip.target.annotated.all() and len(clip.frames) == len(result.frames) == 3
    names = {one["id"]: one["name"] for one in json.loads((root / "cat/result.json").read_text())["classes"]}
    expected = dataset.task.classes.index(names[3]) + 1 if len(names) > 1 else 1
    assert np.array_equal(clip.target.labels[2].numpy(), (mask > 0) * expected)


def test_a_video_is_decoded_once_and_again_when_its_labels_move(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from avseg.datasets.folder import decode

    put_masks(root / "cat", ("000000",))
    passes: list[Any] = []
    plain = decode._fill
    monkeypatch.setattr(decode, "_fill", lambda *given: (passes.append(given), plain(*given)))
    first = everything(root)[0]
    assert torch.equal(everything(root)[0].frames, first.frames) and len(passes) == 1
    write_png(root / "cat" / "000000.png", square(20))  # another mask of the same moment
    assert int(everything(root)[0].target.labels[0, 10, 25]) == 1 and len(passes) == 1
    put_masks(root / "cat", ("000001",))
    assert everything(root)[0].target.annotated.tolist() == [True, True, False] and len(passes) == 2
    assert len(list((root / ".avseg" / "cat").iterdir())) == 1


def test_the_cache_may_lie_elsewhere(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    put_masks(root / "cat", ("000000",))
    other = tmp_path_factory.mktemp("cache")
    everything(root, cache=other)
    assert list(other.iterdir()) == [other / "cat"] and not (root / ".avseg").exists()
    blocked = other / "file"
    blocked.write_text("")
    with pytest.raises((ValueError, OSError)):
        everything(root, cache=blocked)


def test_a_folder_that_cannot_be_written_names_the_option(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from avseg.datasets.folder import decode

    def refuse(_: Path) -> Any:
        raise PermissionError(13, "Permission denied")

    put_masks(root / "cat", ("000000",))
    monkeypatch.setattr(decode, "folder_aside", refuse)
    with pytest.raises(ValueError, match=r"cannot be written to .*\.avseg \(Permission denied\); .*--data.cache DIR"):
        everything(root)


def test_splits_follow_from_names_and_none_is_empty() -> None:
    names = [f"video{number}" for number in range(200)]
    splits = hash_splits(names)
    counts = [sum(split == one for split in splits.values()) for one in ("train", "val", "test")]
    assert sum(counts) == 200 and 130 < counts[0] < 185 and min(counts) > 8
    assert hash_splits(list(reversed(names))) == splits
    more = hash_splits([*names, "another"])
    assert all(more[name] == splits[name] for name in names)
    for count in range(3, 40):
        for start in range(0, 160, 20):
            assert set(hash_splits(names[start : start + count]).values()) == {"train", "val", "test"}
    assert hash_splits(["a"]) == {"a": "train"} and sorted(hash_splits(["a", "b"]).values()) == ["test", "train"]


def test_silent_and_stereo_videos(tmp_path: Path) -> None:
    make_video(tmp_path / "mute.mp4", sound=False)
    put_masks(tmp_path / "mute", ("000000",))
    dataset = everything(tmp_path)
    assert not dataset[0].audio.any() and dataset[0].audio.shape == (1, 3 * RATE)
    assert any("no sound" in note for note in check("folder", tmp_path, workers=1).notes)
    make_video(tmp_path / "wide.mp4", channels=2)
    put_masks(tmp_path / "wide", ("000000",))
    assert everything(tmp_path, stereo=True)[1].audio.shape == (2, 3 * RATE)


def empty(root: Path) -> None:
    (root / "split.csv").write_text("name,split\ncat,val\n")


def shrunk(root: Path) -> None:
    write_png(root / "cat" / "0.png", square(2, value=9))
    (root / "classes.txt").write_text("\n".join("abcdefgh") + "\n")


def all_ignored(root: Path) -> None:
    write_png(root / "cat" / "0.png", square(2, value=255))
    (root / "classes.txt").write_text("a\n")


def of_another_size(root: Path) -> None:
    write_png(root / "cat" / "0.png", np.ones((30, 48), np.uint8))


BAD: dict[str, tuple[Any, str]] = {
    "no masks": (
        lambda root: (root / "cat" / "0.png").unlink(),
        "has no masks and no annotations; draw some",
    ),
    "no video": (lambda root: put_masks(root / "dog", ("0",)), "but no video of that name; known: cat"),
    "late": (lambda root: put_masks(root / "cat", ("0", "7")), "is of step 7, but cat.mp4 ends at 3.00 s and has 30"),
    "late picture": (lambda root: put_masks(root / "cat", ("frame_30",)), "is of picture 30, but cat.mp4 ends at"),
    "no time": (lambda root: put_masks(root / "cat", ("best",)), "best.png gives no time; name it NUMBER"),
    "twice": (lambda root: put_masks(root / "cat", ("1", "001")), "belong to the same picture; remove one of them"),
    "size": (of_another_size, "is 30 high and 48 wide, but its video is 32 and 48; they must agree"),
    "shrunk": (shrunk, "0.png holds 9, but classes.txt has 8 names; add one there"),
    "no names": (lambda root: (root / "classes.txt").write_text("\na\n"), "must name 1 to 254 classes, one per line"),
    "all ignored": (
        lambda root: (
            write_png(root / "cat" / "0.png", square(2, value=255)),
            (root / "classes.txt").write_text("a\n"),
        ),
        "but 255, which is not judged; write class ids",
    ),
    "split": (lambda root: (root / "split.csv").write_text("name,split\ncat,trian\n"), "has the split 'trian', wanted"),
    "split with semicolons": (
        lambda root: (root / "split.csv").write_text("name;split\ncat;train\n"),
        "does not separate its columns with commas: 'name;split'; save it with commas",
    ),
    "split name": (lambda root: (root / "split.csv").write_text("name,split\ncta,train\n"), "did you mean 'cat'?"),
    "split twice": (
        lambda root: (root / "split.csv").write_text("name,split\ncat,train\ncat.mp4,val\n"),
        "names the video 'cat' again",
    ),
    "empty": (empty, "this split has no video with labels"),
    "colours": (
        lambda root: write_png(root / "cat" / "0.png", np.zeros((*SIZE, 3), np.uint8)),
        "has the mode RGB, wanted a one-channel picture",
    ),
    "broken video": (lambda root: (root / "cat.mp4").write_bytes(b"no video"), "cannot be opened as a video"),
    "two sources": (
        lambda root: (root / "cat.json").write_text('{"images": [{"id": 1, "file_name": "0.png"}], "categories": []}'),
        "has labels in",
    ),
    "same name": (lambda root: make_video(root / "cat.mov", 1), "has the same name; rename one of the two videos"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_is_one_sentence_of_the_check(root: Path, case: str) -> None:
    spoil, sentence = BAD[case]
    put_masks(root / "cat", ("0",))
    (root / "split.csv").write_text("name,split\ncat,train\n")
    spoil(root)
    report = check("folder", root, workers=1)
    reasons = [fault.reason for fault in report.faults]
    assert report.exit_code == 1 and any(sentence in reason for reason in reasons) is True, reasons
    assert all("\n" not in reason for reason in reasons)


def test_opening_says_the_first_fault_and_how_many_more(root: Path) -> None:
    make_video(root / "dog.mp4", 1)
    with pytest.raises(ValueError, match=r"cat: the video has no masks.*\(1 more such faults: avseg data check folder"):
        everything(root)
    put_masks(root / "cat", ("0",))
    put_masks(root / "dog", ("0",))
    (root / "split.csv").write_text("name,split\ncat,train\n")
    assert build_dataset(data_config("folder", root=root), "train").ids == ["cat"]
    with pytest.raises(ValueError, match=r"the split test of .* has no video \(1 train, 0 val, 0 test\)"):
        build_dataset(data_config("folder", root=root), "test")


def test_an_empty_folder_says_what_is_wanted(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="holds no video"):
        build_dataset(data_config("folder", root=tmp_path), "train")
    with pytest.raises(ValueError, match="wanted positive numbers"):
        data_config("folder", root=tmp_path, fps=0.0)
