"""S4 and MS3 as they lie on disk: tables, masks, sound, and every fault with its sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from avseg.config import InputSpec
from avseg.data import build_dataset, make_loader, train_transforms
from avseg.datasets import data_config
from avseg.datasets.avsbench.classes import s4_categories
from avseg.datasets.avsbench.reader import ms3_mask
from pictures import read_rgb


def open_s4(writer: Any, split: str = "train", **options: Any) -> Any:
    return build_dataset(data_config("s4", root=writer.root, **options), split)


def open_ms3(writer: Any, split: str = "train", **options: Any) -> Any:
    return build_dataset(data_config("ms3", root=writer.root, **options), split)


def test_s4_splits_keep_the_order_of_the_table(s4: Any) -> None:
    assert open_s4(s4).ids == ["aa_1", "dd_4"]
    assert open_s4(s4, "val").ids == ["bb_2"]
    assert len(open_s4(s4, "test")) == 1
    assert open_s4(s4).suite == "avsbench_object"
    assert open_s4(s4).task.kind == "binary"


def test_s4_training_clips_carry_the_truth_of_the_first_frame(s4: Any) -> None:
    clip = open_s4(s4)[0]
    place = "train/dog_barking/aa_1"
    assert clip.frames.shape == (5, 3, 24, 32)
    assert torch.equal(clip.frames[4], read_rgb(s4.root / f"s4_data/visual_frames/{place}/aa_1_5.png"))
    assert clip.target.annotated.tolist() == [True] + [False] * 4
    assert np.array_equal(clip.target.labels[0].numpy(), s4.truth[f"s4_data/gt_masks/{place}/aa_1_1.png"])
    assert clip.target.labels[1:].sum() == 0
    assert clip.times.tolist() == [0, 1, 2, 3, 4]


def test_s4_test_clips_carry_five_truths(s4: Any) -> None:
    target = open_s4(s4, "test")[0].target
    assert target.annotated.all()
    for k in range(5):
        truth = s4.truth[f"s4_data/gt_masks/test/dog_barking/cc_3/cc_3_{k + 1}.png"]
        assert np.array_equal(target.labels[k].numpy(), truth)


def test_s4_category_sounds_all_the_time(s4: Any) -> None:
    dataset = open_s4(s4)
    assert dataset.categories == s4_categories()
    sounding = dataset[1].target.sounding
    assert sounding.shape == (5, 23)
    assert sounding.nonzero()[:, 1].unique().tolist() == [s4_categories().index("race_car")]
    assert sounding.sum() == 5


def test_other_categories_than_the_published_are_taken_from_the_table(s4: Any) -> None:
    table = s4.root / "s4_meta_data.csv"
    table.write_text(table.read_text().replace("helicopter", "zeppelin"))
    assert open_s4(s4).categories == ("dog_barking", "race_car", "zeppelin")


def test_sound_is_averaged_or_kept_stereo(s4: Any) -> None:
    truth = s4.truth["s4_data/audio_wav/train/dog_barking/aa_1.wav"].T / 32768
    assert np.allclose(open_s4(s4)[0].audio.numpy(), truth.mean(0, keepdims=True), atol=1e-7)
    assert np.allclose(open_s4(s4, stereo=True)[0].audio.numpy(), truth, atol=1e-7)


def test_log_mel_windows_come_from_the_pickles(s4: Any, tmp_path: Path) -> None:
    clip = open_s4(s4, audio="log_mel")[0]
    assert torch.equal(clip.audio_features, s4.truth["s4_data/audio_log_mel/train/dog_barking/aa_1.pkl"])
    assert clip.audio.shape == (1, 0)


def test_a_grey_s4_mask_is_read_as_a_bitmap_like_the_published_reader(s4: Any) -> None:
    name = "s4_data/gt_masks/train/dog_barking/aa_1/aa_1_1.png"
    s4.save(name, s4.random.integers(0, 256, (24, 32), dtype=np.uint8))
    with Image.open(s4.root / name) as image:
        wanted = np.array(image.convert("1"))
    labels = open_s4(s4)[0].target.labels[0]
    assert np.array_equal(labels.numpy(), wanted)
    assert labels.unique().tolist() == [0, 1]


def test_ms3_has_truth_for_every_frame_and_tells_no_category(ms3: Any) -> None:
    clip = open_ms3(ms3)[0]
    assert clip.id == "x1"
    assert clip.target.annotated.all()
    assert clip.target.sounding is None
    assert torch.equal(clip.frames[0], read_rgb(ms3.root / "ms3_data/visual_frames/x1/x1.mp4_1.png"))
    for k in range(5):
        assert np.array_equal(clip.target.labels[k].numpy(), ms3.truth[f"ms3_data/gt_masks/train/x1/x1_{k + 1}.png"])
    assert open_ms3(ms3, "val", audio="log_mel")[0].audio_features.shape == (5, 1, 96, 64)


@pytest.mark.parametrize("mode", ["auto", "nonzero", "upstream"])
def test_black_and_white_masks_read_the_same_in_every_mode(ms3: Any, mode: Any) -> None:
    ms3.mask("ms3_data/gt_masks/train/x1/x1_2.png", mode="1")
    truth = ms3.truth["ms3_data/gt_masks/train/x1/x1_2.png"]
    assert np.array_equal(open_ms3(ms3, mask_mode=mode)[0].target.labels[1].numpy(), truth)


def paletted() -> Image.Image:
    image = Image.fromarray(np.array([[0, 1], [1, 0]], np.uint8))
    image.putpalette([0, 0, 0, 255, 255, 255])
    return image


def test_a_paletted_mask_reads_differently_so_the_default_refuses_it() -> None:
    path = Path("m.png")
    assert ms3_mask(paletted(), "nonzero", path).tolist() == [[0, 1], [1, 0]]
    assert ms3_mask(paletted(), "upstream", path).tolist() == [[0, 0], [0, 0]]  # 1/255
    with pytest.raises(ValueError, match=r"m\.png \(mode P\).*0\.004 instead of 1.*--data\.mask-mode"):
        ms3_mask(paletted(), "auto", path)


def test_a_white_rgb_mask_has_the_published_value_of_web_palette_index_225() -> None:
    image = Image.fromarray(np.array([[[0, 0, 0], [255, 255, 255]]], np.uint8))
    assert ms3_mask(image, "upstream", Path("m.png")).tolist() == [[0, 1]]
    with pytest.raises(ValueError, match=r"0\.882"):
        ms3_mask(image, "auto", Path("m.png"))


@pytest.mark.parametrize("column", ["category", "split"])
def test_a_missing_column_is_named(s4: Any, column: str) -> None:
    table = s4.root / "s4_meta_data.csv"
    table.write_text(table.read_text().replace(column, "other", 1))
    with pytest.raises(ValueError, match=rf"s4_meta_data\.csv has the columns .*other.*but no '{column}'"):
        open_s4(s4)


@pytest.mark.parametrize("text", ["", "name,start,category,split\naa_1,3\n"])
def test_an_empty_table_and_a_short_row_are_named(s4: Any, text: str) -> None:
    (s4.root / "s4_meta_data.csv").write_text(text)
    with pytest.raises(ValueError, match=r"s4_meta_data\.csv (has the columns \(none\)|line 2 has 2 fields)"):
        open_s4(s4)


@pytest.mark.parametrize("name", ["../aa_1", "/etc/passwd", "..", "a/b", "C:\\x", "..\\x", ""])
def test_names_that_lead_out_of_the_folder_are_refused(ms3: Any, name: str) -> None:
    (ms3.root / "ms3_meta_data.csv").write_text(f"name,split\n{name},train\n")
    with pytest.raises(ValueError, match=r"ms3_meta_data\.csv line 2 has the name .* plain file names"):
        open_ms3(ms3)


def test_a_missing_folder_table_and_file_are_named(s4: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"--data\.root"):
        build_dataset(data_config("s4"), "train")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        build_dataset(data_config("s4"), "train", tmp_path / "nowhere")
    (s4.root / "s4_data/visual_frames/train/dog_barking/aa_1/aa_1_5.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"aa_1_5\.png is missing"):
        open_s4(s4)[0]
    (s4.root / "s4_meta_data.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"s4_meta_data\.csv is missing.*--data\.root"):
        open_s4(s4)


def test_a_mask_of_another_size_is_named(s4: Any) -> None:
    s4.mask("s4_data/gt_masks/train/dog_barking/aa_1/aa_1_1.png", (12, 16))
    with pytest.raises(ValueError, match=r"aa_1_1\.png is \(12, 16\).*\(24, 32\)"):
        open_s4(s4)[0]


def test_a_frame_of_another_size_is_named(s4: Any) -> None:
    s4.picture("s4_data/visual_frames/train/dog_barking/aa_1/aa_1_3.png", (12, 16))
    with pytest.raises(ValueError, match=r"aa_1_3\.png is \(12, 16\).*aa_1_1\.png \(24, 32\)"):
        open_s4(s4)[0]


def test_log_mel_of_another_shape_is_named(s4: Any) -> None:
    from avseg.io.pickles import write_tensor

    write_tensor(s4.root / "s4_data/audio_log_mel/train/dog_barking/aa_1.pkl", torch.zeros(4, 1, 96, 64))
    with pytest.raises(ValueError, match=r"aa_1\.pkl.*\(4, 1, 96, 64\), wanted \(5, 1, 96, 64\)"):
        open_s4(s4, audio="log_mel")[0]


def test_unknown_names_get_the_nearest() -> None:
    with pytest.raises(ValueError, match="did you mean 'avss'"):
        build_dataset(data_config("avs"), "train")


@pytest.mark.parametrize("frames", [[3], [4, 0]])
def test_some_frames_are_those_of_the_clip(s4: Any, frames: list[int]) -> None:
    for split, audio in (("train", "wav"), ("test", "log_mel")):
        dataset: Any = build_dataset(data_config("s4", root=s4.root, audio=audio), split)  # type: ignore[arg-type]
        part, whole = dataset.read(0, None, frames), dataset[0].take(frames)
        for name in ("frames", "times", "audio", "audio_features"):
            a, b = getattr(part, name), getattr(whole, name)
            assert a is b is None or torch.equal(a, b)
        for name in ("labels", "annotated", "sounding"):
            assert torch.equal(getattr(part.target, name), getattr(whole.target, name))
        assert list(dataset.annotated(0)) == list(range(1 if split == "train" else 5))


def test_one_frame_of_a_training_clip_is_the_annotated_one(s4: Any) -> None:
    config = data_config("s4", root=s4.root, augment=("one_frame",))
    dataset = build_dataset(config, "train")
    place = dataset.files(0)  # type: ignore[attr-defined]
    for path in place.frames[1:]:
        path.unlink()
    loader = make_loader(dataset, train_transforms(config, InputSpec((8, 8))), batch_size=1)
    assert next(iter(loader)).frames.shape == (1, 1, 3, 8, 8)


def test_the_published_sounds_of_frames(ms3: Any) -> None:
    def sound(*compat: Any) -> torch.Tensor:
        return build_dataset(data_config("ms3", root=ms3.root, compat=compat), "test")[0].audio[0]

    whole = sound()
    assert torch.equal(sound("audio_window"), whole[40000:].repeat(4))
    both = sound("audio_window", "audio_hop")
    second = 16000
    for frame, start in enumerate((2.5, 4.5, 4.0, 3.5, 3.0)):
        heard = both[frame * second : (frame + 1) * second]
        begin = int(start * second)
        wanted = whole[begin : begin + second] if frame != 1 else torch.cat([whole[begin:], whole[40000:48000]])
        assert torch.equal(heard, wanted)


def test_options_that_cannot_be_kept_are_refused(s4: Any) -> None:
    def open_s4(**options: Any) -> Any:
        return build_dataset(data_config("s4", root=s4.root, **options), "test")

    with pytest.raises(ValueError, match=r"audio_window .* changes the sound of 's4', which --data\.audio log_mel"):
        open_s4(audio="log_mel", compat=("audio_window",))
    with pytest.raises(ValueError, match="'s4' has no option parts"):
        open_s4(parts=("v1s",))
    assert open_s4(suite="vpo").suite == "vpo"
    for path in (s4.root / "s4_data/audio_wav").rglob("*.wav"):
        s4.sound(path.relative_to(s4.root))
    with pytest.raises(ValueError, match="is mono but the recipe needs stereo"):
        open_s4(stereo=True)[0]
