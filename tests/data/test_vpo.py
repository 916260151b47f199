"""VPO as it lies on disk: rows to samples, mask ids to classes, sounds to their places."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from avseg.config import InputSpec
from avseg.data import build_dataset, eval_transforms, make_loader
from avseg.data.geometry import Geometry
from avseg.datasets import data_config
from avseg.datasets.vpo.classes import vpo_classes, vpo_mask_ids
from avseg.types import Task

RATE = 16000
IDS = dict(zip(vpo_classes(), vpo_mask_ids(), strict=True))


def open_vpo(writer: Any, name: str = "vpo_ms", split: str = "train", **options: Any) -> Any:
    return build_dataset(data_config(name, root=writer.root, **options), split)


def middle(writer: Any, sound: str) -> np.ndarray[Any, Any]:
    """The three seconds in the middle of ten."""
    return writer.truth[sound][56000:104000, 0].astype(np.float32) / 32768


def classes_of(mask: Any) -> Any:
    """Class ids of mask ids, one class after the other."""
    labels = np.zeros(mask.shape, np.int64)
    for class_id, value in enumerate(vpo_mask_ids()):
        labels[mask == value] = class_id
    return labels


def sounding(clip: Any) -> list[str]:
    return [vpo_classes()[1:][place] for place in clip.target.sounding[0].nonzero().flatten()]


def test_the_table_of_classes() -> None:
    assert len(vpo_classes()) == 22
    assert list(vpo_classes()[1:]) == sorted(vpo_classes()[1:])
    assert (IDS["background"], IDS["car"], IDS["airplane"], IDS["male"], IDS["baby"]) == (0, 3, 5, 92, 94)


def test_single_source_has_a_sample_for_every_row(vpo: Any) -> None:
    dataset = open_vpo(vpo, "vpo_ss")
    assert dataset.ids == ["000000000007_000000000071", "000000000007_000000000072"]
    assert dataset.task == Task("semantic", vpo_classes()[1:])
    assert dataset.suite == "vpo"
    clip = dataset[1]
    assert clip.frames.shape == (1, 3, 24, 32)
    assert clip.times.tolist() == [0.0]
    assert (clip.audio.shape, clip.sample_rate, clip.audio_start) == ((1, 48000), RATE, -1.5)
    mask = vpo.truth["VPO/VPO-SS/mask/dog/000000000007_000000000072.png"]
    assert np.array_equal(clip.target.labels[0].numpy(), classes_of(mask))
    assert clip.target.annotated.tolist() == [True]
    assert sounding(clip) == ["dog"]
    assert np.array_equal(clip.audio[0].numpy(), middle(vpo, "d_000000"))


def test_the_picture_is_that_of_the_file(vpo: Any) -> None:
    clip = open_vpo(vpo, "vpo_ss", "val")[0]
    image = Image.open(vpo.root / "VPO/VPO-SS/data/cell phone/000000000008.jpg")
    assert np.array_equal(clip.frames[0].permute(1, 2, 0).numpy(), np.array(image))
    assert clip.output_size == (24, 32)


def test_single_source_keeps_the_class_of_its_row_where_the_mask_is_empty(vpo: Any) -> None:
    vpo.save("VPO/VPO-SS/mask/car/000000000007_000000000071.png", np.zeros((24, 32), np.uint8))
    assert sounding(open_vpo(vpo, "vpo_ss")[0]) == ["car"]


def test_rows_of_one_picture_are_one_sample(vpo: Any) -> None:
    dataset = open_vpo(vpo)
    assert dataset.ids == ["000000000005", "000000000006"]
    clip = dataset[0]
    mask = vpo.truth["VPO/VPO-MS/mask/000000000005.png"]
    assert np.array_equal(clip.target.labels[0].numpy(), classes_of(mask))
    assert sounding(clip) == ["airplane", "car"]
    assert np.allclose(clip.audio[0].numpy(), middle(vpo, "c_000010") + middle(vpo, "a_000000"), atol=1e-7)


def test_stereo_pans_each_source_before_the_sum(vpo: Any) -> None:
    clip = open_vpo(vpo, stereo=True)[0]
    car, airplane = middle(vpo, "c_000010"), middle(vpo, "a_000000")
    wanted = np.stack([0.8 * car + 0.2 * airplane, 0.2 * car + 0.8 * airplane])
    assert np.allclose(clip.audio.numpy(), wanted, atol=1e-7)


def test_msmi_borrows_pictures_of_ms_where_no_class_comes_twice(vpo: Any) -> None:
    dataset = open_vpo(vpo, "vpo_msmi", stereo=True)
    assert dataset.ids == ["000000000005", "000000000002"]
    assert dataset.samples[0].image == vpo.root / "VPO/VPO-MS/data/000000000005.jpg"
    assert dataset.samples[1].mask == vpo.root / "VPO/VPO-MSMI/mask/000000000002.png"
    assert torch.equal(dataset[0].frames, open_vpo(vpo)[0].frames)
    dogs = dataset[1]
    assert sounding(dogs) == ["dog"]
    dog = middle(vpo, "d_000000")
    assert np.allclose(dogs.audio.numpy(), np.stack([dog, dog]), atol=1e-7)  # 0.1 and 0.9 together


@pytest.mark.parametrize("name", ["vpo_ss", "vpo_ms", "vpo_msmi"])
def test_val_is_a_split_of_its_own_or_with_test_as_published(vpo: Any, name: str) -> None:
    val, test = (open_vpo(vpo, name, split).ids for split in ("val", "test"))
    assert (len(val), len(test)) == (1, 1)
    for split in ("val", "test"):
        assert sorted(open_vpo(vpo, name, split, compat=("merged_val",)).ids) == sorted(val + test)
    assert open_vpo(vpo, name, compat=("merged_val",)).ids == open_vpo(vpo, name).ids


def test_cars_become_airplanes_beside_airplanes_only_as_published(vpo: Any) -> None:
    repaired, published = open_vpo(vpo)[0], open_vpo(vpo, compat=("relabel",))[0]
    car, airplane = vpo_classes().index("car"), vpo_classes().index("airplane")
    assert (repaired.target.labels == car).any()
    wanted = torch.where(repaired.target.labels == car, airplane, repaired.target.labels)
    assert torch.equal(published.target.labels, wanted)
    assert sounding(published) == ["airplane"]
    alone = open_vpo(vpo, "vpo_ss", compat=("relabel",))[0]
    assert sounding(alone) == ["car"]
    assert (alone.target.labels == car).any()


def test_relabelling_follows_the_published_order_for_all_classes(vpo: Any) -> None:
    mask = np.zeros((24, 32), np.uint8)
    mask[0, :22] = vpo_mask_ids()
    vpo.save("VPO/VPO-MS/mask/000000000005.png", mask)
    published = mask.astype(np.int64)
    for value in sorted(vpo_mask_ids()):  # in place, id after id
        published[published == value] = vpo_mask_ids().index(value)
    assert np.array_equal(open_vpo(vpo, compat=("relabel",))[0].target.labels[0].numpy(), published)
    assert open_vpo(vpo)[0].target.labels[0, 0, :22].tolist() == list(range(22))


def test_pixels_of_255_are_not_judged_and_paletted_masks_are_read(vpo: Any) -> None:
    path = vpo.root / "VPO/VPO-MS/mask/000000000006.png"
    values = vpo.truth["VPO/VPO-MS/mask/000000000006.png"].copy()
    values[0] = 255
    image = Image.fromarray(values)
    image.putpalette([7] * 768)
    image.save(path)
    clip = open_vpo(vpo)[1]
    assert clip.target.labels[0, 0].tolist() == [255] * 32
    assert sounding(clip) == ["dog"]


@pytest.mark.parametrize(
    "geometry",
    [
        Geometry(InputSpec((16, 16), interpolation="bicubic")),
        Geometry(InputSpec((16, 16)), resize_labels=False),
        Geometry(InputSpec((512, 512), rule="keep")),
    ],
)
def test_sizing_while_reading_gives_the_same_bits(vpo: Any, geometry: Geometry) -> None:
    dataset = open_vpo(vpo)
    now, later = dataset.read(0, geometry), geometry(dataset[0])
    assert torch.equal(now.frames, later.frames)
    assert torch.equal(now.target.labels, later.target.labels)
    assert now.output_size == later.output_size


def test_a_loader_gives_batches_at_the_size_of_the_files(vpo: Any) -> None:
    dataset = open_vpo(vpo, "vpo_msmi", stereo=True)
    transforms = eval_transforms(dataset.config, InputSpec((512, 512), rule="keep"))
    batch = next(iter(make_loader(dataset, transforms, batch_size=2)))
    assert batch.frames.shape == (2, 1, 3, 24, 32)
    assert batch.audio.shape == (2, 2, 48000)
    assert batch.audio_start.tolist() == [-1.5, -1.5]


def test_sounds_may_lie_elsewhere(vpo: Any) -> None:
    wanted = open_vpo(vpo)[0].audio
    (vpo.root / vpo.sounds).rename(vpo.root / "elsewhere")
    assert torch.equal(open_vpo(vpo, sounds=vpo.root / "elsewhere")[0].audio, wanted)
    with pytest.raises(FileNotFoundError, match=r"audios of the sounds of VPO does not exist; give --data.sounds"):
        open_vpo(vpo)


@pytest.mark.parametrize(
    ("name", "old", "new", "words"),
    [
        ("SS", "0.25", "1.2", r"line 2 has the audio_pos '1.2', wanted a number from 0 \(left\) to 1"),
        ("SS", "0.25", "-0.1", "audio_pos '-0.1'"),
        ("SS", "0.25", "nan", "audio_pos 'nan'"),
        ("MS", "0.8", "right", "line 4 has the audio_pos 'right'"),
        ("SS", ",dog,", ",doge,", "line 3 has the class 'doge', which is not in VPO; did you mean 'dog'"),
        ("SS", ",car,", ",background,", "the class 'background'"),
        ("SS", "71,3,", "71,5,", "has the cateId 5 for 'car', wanted 3"),
        ("SS", "7,71,", "7,x1,", "the ann_Ids 'x1', wanted a whole number"),
        ("MS", "5,51,", "-5,51,", "the img_Id '-5', wanted a whole number"),
        ("SS", "c_000010", "../c", "plain file names"),
        ("SS", "audio_pos", "position", "no 'audio_pos'"),
        ("MSMI", "0.8,0", "0.8,1", "000000000005 the multi_instance '0' and '1'.*the same in all its rows"),
        ("MSMI", "0.3,1", "0.3,2", "multi_instance '2', wanted 0"),
    ],
)
def test_wrong_rows_are_named(vpo: Any, name: str, old: str, new: str, words: str) -> None:
    vpo.table(name, old, new)
    with pytest.raises(ValueError, match=words):
        open_vpo(vpo, f"vpo_{name.lower()}", "val")


def test_masks_with_values_of_no_class_are_named(vpo: Any) -> None:
    mask = vpo.truth["VPO/VPO-MS/mask/000000000006.png"].copy()
    mask[-1, -1] = 1
    vpo.save("VPO/VPO-MS/mask/000000000006.png", mask)
    with pytest.raises(ValueError, match=r"000000000006\.png holds 1, which is the id of no class"):
        open_vpo(vpo)[1]
    with pytest.raises(ValueError, match="holds 1"):
        open_vpo(vpo).read(1, Geometry(InputSpec((2, 2))))  # also where sizing would lose the pixel


@pytest.mark.parametrize(("values", "words"), [(np.zeros((24, 31), np.uint8), "must agree"), (None, "the mode RGB")])
def test_masks_that_do_not_fit_are_named(vpo: Any, values: Any, words: str) -> None:
    values = np.zeros((24, 32, 3), np.uint8) if values is None else values
    vpo.save("VPO/VPO-MS/mask/000000000006.png", values)
    with pytest.raises(ValueError, match=words):
        open_vpo(vpo)[1]


def test_missing_files_are_named(vpo: Any) -> None:
    (vpo.root / vpo.sounds / "d_000000.wav").unlink()
    with pytest.raises(FileNotFoundError, match=r"d_000000\.wav of the class 'dog' in sample 000000000006 is missing"):
        open_vpo(vpo)[1]
    (vpo.root / "VPO/VPO-MS/data/000000000005.jpg").unlink()
    with pytest.raises(FileNotFoundError, match=r"000000000005\.jpg is missing"):
        open_vpo(vpo)[0]
    (vpo.root / "VPO/VPO-MS/vpo_ms_data_stereo.csv").unlink()
    with pytest.raises(FileNotFoundError, match="vpo_ms_data_stereo"):
        open_vpo(vpo)


@pytest.mark.parametrize(
    "options", [{"parts": ("v1s",)}, {"binary": True}, {"audio": "log_mel"}, {"compat": ("audio_hop",)}]
)
def test_options_of_other_data_sets_are_refused(vpo: Any, options: Any) -> None:
    with pytest.raises(ValueError, match=r"'vpo_ms' has no option|of the data set 'vpo_ms' is none of"):
        open_vpo(vpo, **options)


def test_the_suite_can_be_chosen(vpo: Any) -> None:
    assert open_vpo(vpo, suite="avsbench_semantic").suite == "avsbench_semantic"


def test_files_lists_what_a_check_looks_for(vpo: Any) -> None:
    files = open_vpo(vpo).files(0)
    assert [path.is_file() for path in (*files.frames, *files.labels, files.sound)] == [True] * 3
    assert dataclasses.asdict(files)["log_mel"] is None
