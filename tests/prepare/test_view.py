"""The page of a data set: clips with truth and sound, of any kind, in one file."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import wavfile

from avseg.cli import run
from avseg.data import ClipDataset
from avseg.data.base import Subset
from avseg.datasets.folders import only_fitting, write
from avseg.prepare.view import SPECTRUM, TALLEST, Truth, write_view
from avseg.types import IGNORE, Clip, DenseTarget, InstanceTarget, Task


class Given(ClipDataset):
    """Clips that a test made."""

    def __init__(self, clips: list[Clip], task: Task) -> None:
        self.clips, self.task, self.ids = clips, task, [clip.id for clip in clips]

    def __getitem__(self, index: int) -> Clip:
        return self.clips[index]


def clip(target: Any, count: int = 4, name: str = "one", **changes: Any) -> Clip:
    generator = torch.Generator().manual_seed(0)
    made = Clip(
        name,
        torch.randint(0, 256, (count, 3, 40, 60), generator=generator, dtype=torch.uint8),
        torch.arange(count).double(),
        torch.rand(1, 8000 * count, generator=generator) - 0.5,
        8000,
        target=target,
    )
    return replace(made, **changes)


def page(folder: Path, dataset: ClipDataset, **options: Any) -> str:
    return write_view(dataset, "title", folder / "page.html", **options).page.read_text(encoding="utf-8")


def chips(text: str) -> list[tuple[str, bool]]:
    """The words of chips on a colour, and whether their border is dashed."""
    return [
        (unescape(word), "marked" in kind) for kind, word in re.findall(r'<span class="(chip[^"]*)"[^>]*>([^<]*)', text)
    ]


def labels(*ids: int) -> DenseTarget:
    """Frames that show one id each in their left half."""
    maps = torch.zeros(len(ids), 40, 60, dtype=torch.int64)
    for frame, number in enumerate(ids):
        maps[frame, :, :30] = number
    return DenseTarget(maps, torch.ones(len(ids), dtype=torch.bool))


def test_a_page_tells_what_sounds_when_and_what_is_not_to_be_seen(tmp_path: Path) -> None:
    sounding = torch.tensor([[1, 0], [1, 1], [0, 1], [0, 0]], dtype=torch.bool)
    text = page(
        tmp_path, Given([clip(replace(labels(1, 1, 0, 0), sounding=sounding))], Task("semantic", ("dog", "bell & co")))
    )
    assert chips(text) == [("dog", False), ("dog", False), ("bell & co", True), ("bell & co", True)]
    assert "<strong>dog</strong>: 0 to 2 s" in text and "<strong>bell &amp; co</strong>: 1 to 3 s" in text
    assert "silent" in text and "title" in text and "4 frames of 60 x 40 pixels; 4.0 s of sound, mono, 8000 Hz" in text


def test_the_sound_in_the_page_is_that_of_the_clip(tmp_path: Path) -> None:
    made = clip(labels(0, 1, 1, 0), audio=torch.rand(2, 32000) - 0.5)
    text = page(tmp_path, Given([made], Task("binary")))
    (sound,) = re.findall(r'src="data:audio/wav;base64,([^"]+)"', text)
    rate, samples = wavfile.read(io.BytesIO(base64.b64decode(sound)))
    assert rate == 8000 and samples.shape == (32000, 2)
    assert np.abs(samples.T / 32768 - made.audio.numpy()).max() < 1e-4
    assert "<strong>sounding</strong>: 1 to 3 s" in text


def test_the_truth_is_painted_where_it_is(tmp_path: Path) -> None:
    frame = torch.zeros(2, 3, 40, 60, dtype=torch.uint8)
    text = page(tmp_path, Given([clip(labels(0, 1), 2, frames=frame)], Task("binary")))
    pictures = [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(code))))
        for code in re.findall(r'src="data:image/jpeg;base64,([^"]+)"', text)
    ]
    plain, sounding = pictures[2:4]
    assert plain.shape == (TALLEST, 240, 3) and plain.max() < 8
    assert sounding[:, 10:100].mean() > 30 and sounding[:, 140:].max() < 16
    assert pictures[4].shape[1] == SPECTRUM[1]
    stripe = pictures[4][-4].mean(-1)
    assert stripe[:300].min() > 240 > 160 > stripe[340:].max()


def test_tracks_of_one_class_are_told_apart(tmp_path: Path) -> None:
    masks = torch.zeros(3, 4, 40, 60, dtype=torch.bool)
    masks[0, 0, :10], masks[1, 1:3, 20:], masks[2, 3, :5, :5] = True, True, True
    target = InstanceTarget(masks, torch.tensor([1, 1, 2]), torch.tensor([5, 6, 7]), torch.ones(4, dtype=torch.bool))
    text = page(tmp_path, Given([clip(target)], Task("instance", ("dog", "bell"))))
    assert [word for word, _ in chips(text)] == ["dog 1", "dog 2", "dog 2", "bell"]
    assert "<strong>dog 2</strong>: 1 to 3 s" in text


def test_what_is_not_annotated_or_ignored_is_no_truth(tmp_path: Path) -> None:
    target = labels(1, 1, IGNORE, 0)
    target = replace(target, annotated=torch.tensor([True, False, True, True]))
    truth = Truth.of(target, Task("semantic", ("dog",)))
    assert truth.sounding[:, 1].tolist() == [True, False, False, False]
    assert page(tmp_path, Given([clip(target)], Task("semantic", ("dog",)))).count("no truth") == 1


def test_clips_without_truth_or_sound_and_of_one_frame_are_shown(tmp_path: Path) -> None:
    deaf = clip(labels(1, 0, 0, 0), name="deaf", audio=torch.zeros(1, 0), audio_features=torch.zeros(4, 8))
    around = clip(labels(1), 1, name="still", audio=torch.rand(1, 24000), audio_start=-1.0)
    text = page(tmp_path, Given([clip(None, name="bare"), deaf, around], Task("binary")))
    assert text.count("<h2>") == 3 and text.count("<audio") == 2
    assert "audio features" in text and "<strong>sounding</strong>: -1 to 2 s" in text and "1 frame of" in text


def test_clips_come_from_all_over_the_split(tmp_path: Path) -> None:
    many = Given([clip(labels(1, 0, 0, 0), name=f"c{n}") for n in range(9)], Task("binary"))
    text = page(tmp_path, many, limit=3)
    assert re.findall(r"<h2>(\w+)</h2>", text) == ["c0", "c4", "c8"] and "3 of 9 clips" in text
    for dataset, limit, sentence in ((many, 0, "--limit is 0"), (Subset(many, []), 3, "the split has no clips")):
        with pytest.raises(ValueError, match=sentence):
            write_view(dataset, "t", tmp_path / "none.html", limit=limit)
    assert not (tmp_path / "none.html").exists()


@pytest.mark.parametrize("kind", ["binary", "semantic", "instance"])
def test_the_synthetic_world_is_shown_by_a_command(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "page.html"
    words = ["data", "view", "--data.name", "synth", "--data.kind", kind, "--data.held-out-clips", "3"]
    assert run([*words, "--split", "val", "--limit", "2", "-o", str(out)]) == 0
    assert capsys.readouterr().out == f"{out} shows 2 of 3 clips; open it in a browser\n"
    assert out.read_text(encoding="utf-8").count("<audio controls") == 2


def test_a_folder_tells_which_data_set_it_holds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write("ms3", tmp_path / "ms3", 3, size=32, workers=1)
    assert only_fitting(tmp_path / "ms3", "train") == "ms3"
    assert run(["data", "view", str(tmp_path / "ms3"), "-o", str(tmp_path / "page.html")]) == 0
    assert "<h1>ms3, train</h1>" in (tmp_path / "page.html").read_text(encoding="utf-8")
    for folder, kind, sentence in (
        (
            tmp_path,
            ValueError,
            "has no known layout of a data set with clips in train; name the data set with --data.name",
        ),
        (tmp_path / "no", FileNotFoundError, "does not exist"),
    ):
        with pytest.raises(kind, match=sentence):
            run(["data", "view", str(folder)])
    with pytest.raises(ValueError, match=r"given twice, as .* and as --data\.root"):
        run(["data", "view", str(tmp_path), "--data.root", "x"])
    with pytest.raises(ValueError, match="no data set given"):
        run(["data", "view"])
