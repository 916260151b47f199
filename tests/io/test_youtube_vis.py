"""Tracks in the form of YouTube-VIS: written, read back, and refused where they do not fit the data set."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from aviseg_folder import SIZE, A, B, compressed, mask, polygon, uncompressed
from avseg.io.rle import decode, encode
from avseg.io.youtube_vis import read_results, write_results
from avseg.types import InstancePrediction, Rle

ZEROS = encode(np.zeros(SIZE))


@dataclass
class Two:
    """Videos a (3 frames) and b (1 frame), and one that is left out."""

    ids: list[str] = field(default_factory=lambda: ["a", "b"])
    video_ids: dict[str, int] = field(default_factory=lambda: {"out": 7, "a": 4, "b": 9})
    category_ids: tuple[int, ...] = (3, 5)

    def extent(self, index: int) -> tuple[int, tuple[int, int]]:
        return (3, 1)[index], SIZE


def prediction(name: str, masks: list[list[Rle | None]], scores: list[float], classes: list[int]) -> InstancePrediction:
    ids = torch.arange(5, 5 + len(masks))
    return InstancePrediction(name, masks, torch.tensor(scores), torch.tensor(classes, dtype=torch.int64), ids, SIZE)


def rle(box: Any) -> Rle:
    return encode(mask(box))


def some() -> list[InstancePrediction]:
    as_bytes: Rle = {"size": list(SIZE), "counts": str(rle(B)["counts"]).encode()}
    first = prediction("a", [[rle(A), None, ZEROS], [None, as_bytes, None]], [0.25, 0.75], [2, 1])
    return [prediction("b", [[rle(A)]], [0.3], [1]), first]


def write(path: Path, entries: Any) -> Path:
    path.write_text(json.dumps(entries))
    return path


def entry(**changes: Any) -> dict[str, Any]:
    return {"video_id": 4, "score": 0.5, "category_id": 3, "segmentations": [None, compressed(A), None]} | changes


def read(tmp_path: Path, *entries: Any) -> list[InstancePrediction]:
    return list(read_results(write(tmp_path / "results.json", list(entries)), Two()))


def test_tracks_come_back_in_the_order_of_the_data_set(tmp_path: Path) -> None:
    path = write_results(iter(some()), tmp_path / "new" / "results.json", Two().video_ids, categories=(3, 5))
    entries = json.loads(path.read_text())
    assert [(one["video_id"], one["category_id"]) for one in entries] == [(9, 3), (4, 5), (4, 3)]
    assert entries[1]["score"] == 0.25 and entries[1]["segmentations"] == [rle(A), None, ZEROS]
    first, second = read_results(path, Two())
    assert (first.id, second.id) == ("a", "b") and first.size == SIZE
    assert first.scores.tolist() == [0.25, 0.75] and first.scores.dtype == torch.float32
    assert first.classes.tolist() == [2, 1] and first.track_ids.tolist() == [1, 2]
    assert first.masks == [[rle(A), None, ZEROS], [None, rle(B), None]]
    assert second.masks == [[rle(A)]]


def test_silence_may_be_written_as_zeros(tmp_path: Path) -> None:
    path = write_results(some(), tmp_path / "results.json", Two().video_ids, "rle")
    entries = json.loads(path.read_text())
    assert [one["category_id"] for one in entries] == [1, 2, 1]  # class ids, where no numbers are given
    assert entries[1]["segmentations"] == [rle(A), ZEROS, ZEROS]
    assert not decode(entries[1]["segmentations"][1]).any()


def test_no_tracks_at_all(tmp_path: Path) -> None:
    path = write_results([prediction("a", [], [], [])], tmp_path / "results.json", Two().video_ids)
    assert json.loads(path.read_text()) == []
    found = [(one.id, one.masks, one.classes.tolist()) for one in read_results(path, Two())]
    assert found == [("a", [], []), ("b", [], [])]


def test_masks_of_every_form_are_read_and_tracks_of_videos_that_are_left_out_are_not(tmp_path: Path) -> None:
    masks = [polygon(A), uncompressed(A), compressed(A)]
    first, second = read(tmp_path, entry(segmentations=masks), entry(video_id=7, segmentations=[]))
    assert first.masks == [[rle(A)] * 3] and second.masks == []


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"video_id": 5}, r"results.json, track 1 has the video 5, which is not in the data set"),
        ({"video_id": "a"}, r"has the video 'a', which is not in the data set"),
        ({"video_id": [4]}, r"has the video \[4\]"),
        ({"category_id": 4}, r"track 1 has the category 4, wanted one of 3, 5"),
        ({"category_id": None}, r"has the category None"),
        ({"score": None}, r"has the score None, wanted a number"),
        ({"score": float("nan")}, r"has the score nan"),
        ({"segmentations": [None]}, r"video 'a', track 1 has 1 masks, wanted one \(or null\) for each of 3 frames"),
        ({"segmentations": None}, r"has no list of segmentations"),
        (
            {"segmentations": [None, None, compressed((0, 0, 1, 1), (32, 24))]},
            r"video 'a', track 1, frame 2: a mask has the size \[32, 24\], wanted \[24, 32\]",
        ),
        ({"segmentations": [None, None, {"size": list(SIZE), "counts": "33"}]}, r"not run lengths of 24 x 32 pixels"),
        ({"segmentations": [None, None, {"size": list(SIZE), "counts": None}]}, r"not run lengths"),
    ],
)
def test_what_does_not_fit_the_data_set_is_told_in_a_sentence(tmp_path: Path, changes: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        read(tmp_path, entry(), entry(**changes))


def test_files_that_are_no_results(tmp_path: Path) -> None:
    incomplete = entry()
    del incomplete["score"]
    with pytest.raises(ValueError, match="track 0 has no 'score'"):
        read(tmp_path, incomplete)
    for text in ('{"a": 1}', "[1]"):
        (tmp_path / "results.json").write_text(text)
        with pytest.raises(ValueError, match="is not a list of tracks"):
            read_results(tmp_path / "results.json", Two())
    (tmp_path / "results.json").write_text("[{")
    with pytest.raises(ValueError, match="is not complete JSON"):
        read_results(tmp_path / "results.json", Two())
    with pytest.raises(FileNotFoundError, match="there is no file of results"):
        read_results(tmp_path / "none.json", Two())


def test_what_cannot_be_written_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path, ids = write(tmp_path / "results.json", [1]), Two().video_ids
    one = some()[0]
    with pytest.raises(ValueError, match="the video 'b' of a prediction has no number"):
        write_results([some()[1], one], path, {"a": 4})
    with pytest.raises(ValueError, match="two predictions are for the video 'b'"):
        write_results([one, one], path, ids)
    with pytest.raises(ValueError, match="has class 2; the classes are 1 to 1"):
        write_results(some(), path, ids, categories=(3,))
    with pytest.raises(ValueError, match="null or rle, not as 'none'"):
        write_results([one], path, ids, "none")  # type: ignore[arg-type]
    assert path.read_text() == "[1]" and list(tmp_path.iterdir()) == [path]
