"""AVSS as it lies on disk: three parts, 71 colours, sizes while reading."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from avseg.config import InputSpec
from avseg.data import build_dataset, make_loader
from avseg.data.geometry import Geometry
from avseg.datasets import data_config
from avseg.datasets.avss.classes import avss_classes, avss_palette
from avseg.datasets.avss.reader import decode_colours
from avseg.types import Task


def open_avss(writer: Any, split: str = "train", **options: Any) -> Any:
    return build_dataset(data_config("avss", root=writer.root, **options), split)


def test_the_palette_is_the_bit_interleaved_one() -> None:
    for index, colour in enumerate(avss_palette()):
        channels = [0, 0, 0]
        for bit in range(8):
            channels[bit % 3] |= (index >> bit & 1) << (7 - bit // 3)
        assert colour == tuple(channels)
    assert avss_palette()[70] == (32, 128, 128)
    assert len(set(avss_palette())) == len(avss_classes()) == 71
    assert (avss_classes()[0], avss_classes()[70]) == ("background", "woman")


def test_colours_decode_by_exact_match_as_a_loop_would() -> None:
    palette = np.array(avss_palette(), np.uint8)
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    rgb[0] = palette[rng.integers(0, 71, (64, 64))]
    rgb[1] = palette[rng.integers(0, 71, (64, 64))] + rng.integers(0, 2, (64, 64, 3), dtype=np.uint8)
    rgb[2] &= 0xE0
    wanted = np.zeros(rgb.shape[:-1], np.uint8)
    for index, colour in enumerate(palette):
        wanted[(rgb == colour).all(-1)] = index
    assert np.array_equal(decode_colours(rgb), wanted)
    assert wanted[0].max() == 70
    assert (wanted[1] == 0).mean() > 0.5  # a colour of no class is background


@pytest.mark.parametrize(
    ("split", "index", "frames", "annotated"),
    [("train", 0, 5, 1), ("test", 0, 5, 5), ("train", 1, 5, 5), ("train", 2, 10, 10), ("test", 1, 10, 10)],
)
def test_the_three_parts(avss: Any, split: str, index: int, frames: int, annotated: int) -> None:
    dataset = open_avss(avss, split)
    clip = dataset[index]
    row = dataset.rows[index]
    assert clip.frames.shape == (frames, 3, 24, 32)
    assert clip.target.annotated.tolist() == [True] * annotated + [False] * (frames - annotated)
    for k in range(annotated):
        truth = avss.truth[f"{row['label']}/{row['uid']}/labels_rgb/{k}.png"]
        assert np.array_equal(clip.target.labels[k].numpy(), truth)
    assert clip.target.labels[annotated:].sum() == 0
    assert clip.audio.shape == (1, 16000 * frames)
    assert dataset.suite == "avsbench_semantic"
    assert dataset.task.classes == avss_classes()[1:]


def test_sounding_names_the_classes_that_the_labels_show(avss: Any) -> None:
    avss.labels("v1s/u1/labels_rgb/0.png", highest=2)
    sounding = open_avss(avss)[0].target.sounding
    assert sounding.shape == (5, 70)
    assert sounding[0].nonzero().flatten().tolist() == [0, 1]
    assert not sounding[1:].any()


def test_every_batch_has_ten_frames(avss: Any) -> None:
    batch = next(iter(make_loader(open_avss(avss), batch_size=3)))
    assert batch.frames.shape == (3, 10, 3, 24, 32)
    assert batch.valid.sum(1).tolist() == [5, 5, 10]
    assert batch.targets is not None
    assert [int(target.annotated.sum()) for target in batch.targets] == [1, 5, 10]
    short = next(iter(make_loader(open_avss(avss, "val"), batch_size=1)))
    assert short.frames.shape[1] == 10


@pytest.mark.parametrize(
    "geometry",
    [
        Geometry(InputSpec((16, 16))),
        Geometry(InputSpec((16, 16)), crop=True),
        Geometry(InputSpec((20, 12), interpolation="nearest"), crop=True),
        Geometry(InputSpec((16, 16)), resize_labels=False),
        Geometry(InputSpec((48, 48), rule="longer_side", multiple_of=8)),
    ],
)
def test_sizing_while_reading_gives_the_same_bits(avss: Any, geometry: Geometry) -> None:
    dataset = open_avss(avss, "test")
    now, later = dataset.read(1, geometry), geometry(dataset[1])
    assert torch.equal(now.frames, later.frames)
    assert torch.equal(now.target.labels, later.target.labels)
    assert now.output_size == later.output_size


def test_paletted_label_files_read_like_rgb_ones(avss: Any) -> None:
    path = avss.root / "v2/u5/labels_rgb/3.png"
    wanted = open_avss(avss, "test")[1].target.labels
    image = Image.fromarray(avss.truth["v2/u5/labels_rgb/3.png"])
    image.putpalette([value for colour in avss_palette() for value in colour])
    image.save(path)
    assert torch.equal(open_avss(avss, "test")[1].target.labels, wanted)


def test_class_names_follow_the_folder(avss: Any) -> None:
    path = avss.root / "label2idx.json"
    numbers = json.loads(path.read_text())
    path.write_text(json.dumps({("gnome" if name == "woman" else name): n for name, n in numbers.items()}))
    assert open_avss(avss).task.classes[-1] == "gnome"
    path.unlink()
    assert open_avss(avss).task.classes[-1] == "woman"


MIXED = json.dumps({str(number): number if number else "x" for number in range(71)})


@pytest.mark.parametrize("text", ['{"background": 1}', "[1, 2]", "{", MIXED, MIXED.replace('"x"', "null"), "[" * 10**5])
def test_a_wrong_class_list_is_named(avss: Any, text: str) -> None:
    (avss.root / "label2idx.json").write_text(text)
    with pytest.raises(ValueError, match=r"label2idx\.json"):
        open_avss(avss)


@pytest.mark.parametrize(("old", "new", "words"), [("v1s", "v9", "'v9', wanted one of"), ("u3", "../u3", "plain file")])
def test_wrong_parts_and_names_are_refused(avss: Any, old: str, new: str, words: str) -> None:
    table = avss.root / "metadata.csv"
    table.write_text(table.read_text().replace(old, new))
    with pytest.raises(ValueError, match=words):
        open_avss(avss)


def test_faulty_files_are_named(avss: Any) -> None:
    avss.labels("v1s/u2/labels_rgb/3.png", (12, 16))
    with pytest.raises(ValueError, match=r"3\.png is \(12, 16\).*0\.jpg is \(24, 32\)"):
        open_avss(avss, "test")[0]
    (avss.root / "v1s/u2/labels_rgb/3.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"3\.png is missing"):
        open_avss(avss, "test")[0]
    picture = avss.root / "v2/u5/frames/9.jpg"
    picture.write_bytes(picture.read_bytes()[:200])
    with pytest.raises(ValueError, match=r"9\.jpg is not a complete picture"):
        open_avss(avss, "test")[1]
    (avss.root / "v1m/u6/audio.wav").write_bytes(b"")
    with pytest.raises(ValueError, match="zero bytes"):
        open_avss(avss, "val")[0]


def test_log_mel_pickles_do_not_exist_here(avss: Any) -> None:
    with pytest.raises(ValueError, match="'avss' has no option audio"):
        open_avss(avss, audio="log_mel")


def test_parts_of_the_data_set(avss: Any) -> None:
    assert open_avss(avss, parts=("v1s",)).ids == ["u1"]
    assert open_avss(avss, parts=("v1m", "v2")).ids == ["u3", "u4"]
    with pytest.raises(ValueError, match="compat 'audio_hop' of the data set 'avss' is none of"):
        open_avss(avss, compat=("audio_hop",))


def test_binary_labels_keep_the_classes_that_sound(avss: Any) -> None:
    semantic, binary = open_avss(avss, "test"), open_avss(avss, "test", binary=True)
    assert binary.task == Task("binary")
    assert (semantic.suite, binary.suite) == ("avsbench_semantic", "avsbench_object")
    assert open_avss(avss, binary=True, suite="vpo").suite == "vpo"
    for index in range(2):
        target, wanted = binary[index].target, semantic[index].target
        assert torch.equal(target.labels, (wanted.labels > 0).long())
        assert torch.equal(target.sounding, wanted.sounding)
        assert target.sounding.any()


def with_class_ids(avss: Any) -> Any:
    """The same clip with its labels as class ids, some pixels not judged, and no colours."""
    folder = avss.root / "v2/u5"
    for number in range(10):
        values = avss.truth[f"v2/u5/labels_rgb/{number}.png"].copy()
        values[0, :4] = 255
        avss.save(f"v2/u5/labels_semantic/{number}.png", values)
        (folder / f"labels_rgb/{number}.png").unlink()
    (folder / "labels_rgb").rmdir()
    return avss


def test_class_ids_are_read_where_there_are_no_colours(avss: Any) -> None:
    wanted = open_avss(avss, "test")[1].target
    target = open_avss(with_class_ids(avss), "test")[1].target
    assert (target.labels[:, 0, :4] == 255).all()
    assert torch.equal(target.labels[:, 1:], wanted.labels[:, 1:])
    assert target.sounding.shape == (10, 70)
    assert not (target.sounding & ~wanted.sounding).any()
    binary = open_avss(avss, "test", binary=True)[1].target
    assert (binary.labels[:, 0, :4] == 255).all()
    assert torch.equal(binary.labels[:, 1:], (wanted.labels[:, 1:] > 0).long())


@pytest.mark.parametrize(
    ("values", "words"),
    [(np.full((24, 32), 71, np.uint8), "hold 71, wanted class ids"), (np.zeros((24, 32, 3), np.uint8), "mode RGB")],
)
def test_class_ids_that_are_none_are_named(avss: Any, values: Any, words: str) -> None:
    with_class_ids(avss).save("v2/u5/labels_semantic/4.png", values)
    with pytest.raises(ValueError, match=words):
        open_avss(avss, "test")[1]


def test_the_published_sound_of_a_short_clip_is_its_second_half_again_and_again(avss: Any) -> None:
    whole = open_avss(avss)[0].audio
    kept = open_avss(avss, compat=("audio_window",))[0].audio
    assert kept.shape == (1, 160000)
    assert torch.equal(kept, whole[:, 40000:].repeat(1, 4))
    assert torch.equal(open_avss(avss, compat=("audio_window",))[2].audio, open_avss(avss)[2].audio)  # ten seconds


def test_a_mono_file_for_a_stereo_recipe_is_named(avss: Any) -> None:
    with pytest.raises(ValueError, match=r"u1/audio\.wav is mono but the recipe needs stereo"):
        open_avss(avss, stereo=True)[0]
    avss.sound("v1s/u1/audio.wav", 5, channels=2)
    assert open_avss(avss, stereo=True)[0].audio.shape == (2, 80000)


@pytest.mark.parametrize("geometry", [None, Geometry(InputSpec((16, 12))), Geometry(InputSpec((16, 12)), crop=True)])
@pytest.mark.parametrize("frames", [[7], [2, 0], [4, 4, 9]])
def test_some_frames_are_those_of_the_clip(avss: Any, geometry: Any, frames: list[int]) -> None:
    dataset = open_avss(avss)
    part, whole = dataset.read(2, geometry, frames), dataset.read(2, geometry).take(frames)
    for name in ("frames", "times", "audio"):
        assert torch.equal(getattr(part, name), getattr(whole, name))
    for name in ("labels", "annotated", "sounding"):
        assert torch.equal(getattr(part.target, name), getattr(whole.target, name))
    assert part.output_size == whole.output_size


@pytest.mark.parametrize("resize_labels", [True, False])
def test_frames_without_labels_have_blank_ones(avss: Any, resize_labels: bool) -> None:
    dataset, geometry = open_avss(avss), Geometry(InputSpec((8, 8)), resize_labels=resize_labels)
    assert list(dataset.annotated(0)) == [0]
    part, whole = dataset.read(0, geometry, [3]), dataset.read(0, geometry).take([3])
    assert torch.equal(part.target.labels, whole.target.labels)
    assert not part.target.annotated.any()
