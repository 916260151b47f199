"""AVISeg: every form of truth, what training leaves out, and one sentence for every kind of broken folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import wavfile

from aviseg_folder import SIZE, A, AVISegFolder, B, C, make, mask
from avseg.config import InputSpec
from avseg.data import build_dataset, eval_transforms
from avseg.data.geometry import Geometry
from avseg.datasets import data_config
from avseg.datasets.aviseg.classes import aviseg_classes, aviseg_palette
from avseg.datasets.aviseg.reader import AVISeg
from avseg.io.rle import decode
from avseg.types import Clip, TrackTarget


@pytest.fixture
def folder(tmp_path: Path) -> AVISegFolder:
    return make(tmp_path)


def open_split(folder: AVISegFolder, split: str = "test", **options: Any) -> AVISeg:
    folder.save()
    dataset = build_dataset(data_config("aviseg", root=folder.root, **options), split)
    assert isinstance(dataset, AVISeg)
    return dataset


def tracks_of(clip: Clip) -> TrackTarget:
    assert isinstance(clip.target, TrackTarget)
    return clip.target


def assert_masks(target: TrackTarget, wanted: list[list[Any]]) -> None:
    assert [[m is not None for m in track] for track in target.masks] == [
        [box is not None for box in t] for t in wanted
    ]
    for track, boxes in zip(target.masks, wanted, strict=True):
        for found, box in zip(track, boxes, strict=True):
            if found is not None:
                assert np.array_equal(decode(found), mask(box, target.size))


def test_a_video_is_read_as_it_lies(folder: AVISegFolder) -> None:
    dataset = open_split(folder)
    assert dataset.knows_frames
    assert dataset.suite == "aviseg" and dataset.task.kind == "instance"
    assert dataset.task.classes == ("person", "guitar", "violin") and dataset.category_ids == (3, 5, 7)
    assert dataset.ids == ["dd", "ee"] and dataset.video_ids == {"dd": 4, "ee": 14}
    assert dataset.extent(0) == (4, SIZE)
    clip = dataset[0]
    assert clip.frames.shape == (4, 3, *SIZE) and clip.output_size == SIZE
    assert [round(float(frame[:, :, 0].float().mean()) / 20) for frame in clip.frames] == [0, 1, 2, 3]
    assert clip.times.tolist() == [0.0, 1.0, 2.0, 3.0]
    assert clip.audio.shape == (1, 4 * 16000) and clip.sample_rate == 16000 and clip.audio_features is None
    _, sound = wavfile.read(folder.root / "test/WAVAudios/dd.wav")
    assert torch.allclose(clip.audio[0].double(), torch.from_numpy(sound.mean(1) / 32768), atol=1e-7)
    target = tracks_of(clip)
    assert_masks(target, [[A, None, C, None], [None, None, B, B]])
    assert target.classes.tolist() == [3, 3] and target.track_ids.tolist() == [11, 12] and target.size == SIZE
    assert target.areas is not None
    assert target.areas.nan_to_num(-1).tolist() == [[48.5, -1, 120.5, -1], [-1, -1, 270.5, 270.5]]


def test_a_silent_video_has_no_tracks(folder: AVISegFolder) -> None:
    target = tracks_of(open_split(folder)[1])
    assert target.masks == [] and target.annotated.tolist() == [True, True]
    assert target.areas is not None and target.areas.shape == (0, 2)


def test_a_track_that_is_null_everywhere_is_kept_for_judging_and_left_out_of_training(folder: AVISegFolder) -> None:
    folder.track("test", "dd", 3, [None] * 4)
    folder.track("train", "quiet", 3, [None] * 3)
    assert_masks(tracks_of(open_split(folder)[0]), [[A, None, C, None], [None, None, B, B], [None] * 4])
    assert open_split(folder, "train").ids == ["aa"]


def test_polygons_numbers_and_text_tell_the_same(folder: AVISegFolder) -> None:
    target = tracks_of(open_split(folder, "train")[0])
    assert_masks(target, [[A, A, None, B, None, None], [None, B, B, None, None, None], [None] * 5 + [C]])
    assert target.classes.tolist() == [3, 1, 2]


def test_training_leaves_out_what_the_published_one_does(folder: AVISegFolder) -> None:
    assert open_split(folder, "train").ids == ["aa"]
    assert open_split(folder, "train", silent_videos=True).ids == ["aa", "quiet"]
    folder.truth["train"]["annotations"][0]["bboxes"][1] = None
    folder.truth["train"]["annotations"][1]["iscrowd"] = 1
    folder.truth["train"]["annotations"][2]["bboxes"] = None  # a file without boxes has none to ask for
    assert_masks(tracks_of(open_split(folder, "train")[0]), [[A, None, None, B, None, None], [None] * 5 + [C]])


def test_evaluation_counts_masks_without_a_box_and_crowds(folder: AVISegFolder) -> None:
    folder.truth["test"]["annotations"][0]["bboxes"][2] = None
    folder.truth["test"]["annotations"][1]["iscrowd"] = 1
    assert_masks(tracks_of(open_split(folder)[0]), [[A, None, C, None], [None, None, B, B]])


def test_short_and_odd_polygons_are_dropped(folder: AVISegFolder) -> None:
    masks = folder.truth["test"]["annotations"][0]["segmentations"]
    masks[0] += [[1, 2, 3, 4], [1, 2, 3, 4, 5, 6, 7]]
    masks[2] = [[1, 2, 3, 4]]
    assert_masks(tracks_of(open_split(folder)[0]), [[A, None, None, None], [None, None, B, B]])


def test_polygons_of_one_mask_are_united(folder: AVISegFolder) -> None:
    masks = folder.truth["test"]["annotations"][0]["segmentations"]
    masks[0] += masks[2]
    found = tracks_of(open_split(folder)[0]).masks[0][0]
    assert found is not None and np.array_equal(decode(found), mask(A) | mask(C))


def test_missing_height_and_width_are_those_of_the_video_or_of_the_annotations_or_of_the_frames(
    folder: AVISegFolder,
) -> None:
    video, [first, second] = folder.truth["test"]["videos"][0], folder.truth["test"]["annotations"]
    for side in ("height", "width"):
        del first[side], second[side]
    assert tracks_of(open_split(folder)[0]).size == SIZE
    (first["height"], first["width"]), video["height"], video["width"] = SIZE, None, None
    dataset = open_split(folder)
    assert tracks_of(dataset[0]).size == SIZE and dataset.extent(0) == (4, SIZE)
    del first["height"]
    dataset = open_split(folder)
    assert tracks_of(dataset[0]).size == SIZE and dataset.extent(0) == (4, SIZE)


def test_areas_are_left_out_where_an_annotation_has_none(folder: AVISegFolder) -> None:
    del folder.truth["test"]["annotations"][1]["areas"]
    assert tracks_of(open_split(folder)[0]).areas is None


def test_some_frames_are_read_alone(folder: AVISegFolder) -> None:
    dataset = open_split(folder, audio="features")
    whole = dataset[0]
    for k in (0, 3):
        (folder.root / f"test/JPEGImages/dd/{k:05d}.jpg").unlink()
    some = dataset.read(0, None, [1, 2, 2])
    assert torch.equal(some.frames, whole.frames[[1, 2, 2]]) and some.times.tolist() == [1.0, 2.0, 2.0]
    assert_masks(tracks_of(some), [[None, C, C], [None, B, B]])
    assert some.audio_features is not None and whole.audio_features is not None
    assert torch.equal(some.audio_features, whole.audio_features[[1, 2, 2]])


def test_frames_are_sized_while_they_are_read(folder: AVISegFolder) -> None:
    dataset = open_split(folder)
    [sized] = eval_transforms(dataset.config, InputSpec((12, 12), rule="shorter_side", longest=15))
    assert isinstance(sized, Geometry)
    wanted, found = sized(dataset[0]), dataset.read(0, sized)
    assert found.frames.shape == (4, 3, 11, 15) and found.frames.is_contiguous()
    assert torch.equal(found.frames, wanted.frames)
    assert found.output_size == wanted.output_size == SIZE == tracks_of(found).size


def test_features_take_the_place_of_sound(folder: AVISegFolder) -> None:
    (folder.root / "test/WAVAudios/dd.wav").unlink()
    clip = open_split(folder, audio="features")[0]
    assert clip.audio.shape == (1, 0)
    stored = np.load(folder.root / "test/FEATAudios/dd.npy")
    assert clip.audio_features is not None and np.array_equal(clip.audio_features.numpy(), stored)


def test_a_video_of_one_frame(folder: AVISegFolder) -> None:
    clip = open_split(folder, "val")[0]
    assert len(clip.frames) == 1
    assert_masks(tracks_of(clip), [[A]])


def test_mono_sound_of_another_rate(folder: AVISegFolder) -> None:
    wavfile.write(folder.root / "val/WAVAudios/cc.wav", 8000, np.zeros(8000, np.int16))
    assert open_split(folder, "val")[0].audio.shape == (1, 16000)


def test_names_that_are_not_plain_ascii_move_no_place(folder: AVISegFolder) -> None:
    for category in folder.truth["test"]["categories"]:
        category["name"] += " é中"
    dataset = open_split(folder)
    assert dataset.task.classes[0] == "person é中"
    assert_masks(tracks_of(dataset[0]), [[A, None, C, None], [None, None, B, B]])
    text = (folder.root / "test.json").read_bytes()
    (folder.root / "test.json").write_bytes(b"\xef\xbb\xbf" + text)
    dataset = build_dataset(dataset.config, "test")
    assert len(tracks_of(dataset[0]).masks) == 2


def test_the_class_table_has_26_names_and_colours() -> None:
    assert len(set(aviseg_classes())) == len(set(aviseg_palette())) == 26
    assert aviseg_classes()[0] == "person" and {"lawn_mover", "tree_harvester"} < set(aviseg_classes())


def shorten_masks(folder: AVISegFolder) -> None:
    folder.truth["test"]["annotations"][1]["segmentations"].pop()


def shorten_areas(folder: AVISegFolder) -> None:
    folder.truth["test"]["annotations"][1]["areas"].pop()


def lose_a_frame(folder: AVISegFolder) -> None:
    (folder.root / "test/JPEGImages/dd/00002.jpg").unlink()


def lose_the_sound(folder: AVISegFolder) -> None:
    (folder.root / "test/WAVAudios/dd.wav").unlink()


def empty_the_sound(folder: AVISegFolder) -> None:
    wavfile.write(folder.root / "test/WAVAudios/dd.wav", 16000, np.zeros(0, np.int16))


def another_category(folder: AVISegFolder) -> None:
    folder.truth["test"]["annotations"][0]["category_id"] = 4


def another_video(folder: AVISegFolder) -> None:
    folder.truth["test"]["annotations"][0]["video_id"] = 99


def another_length(folder: AVISegFolder) -> None:
    folder.truth["test"]["videos"][0]["length"] = 9


def another_size(folder: AVISegFolder) -> None:
    folder.truth["test"]["annotations"][0]["height"] = 99


def another_mask_size(folder: AVISegFolder) -> None:
    folder.truth["test"]["annotations"][1]["segmentations"][2]["size"] = [32, 24]


def broken_counts(folder: AVISegFolder) -> None:
    folder.truth["test"]["annotations"][1]["segmentations"][2]["counts"] += "1"


def another_frame_size(folder: AVISegFolder) -> None:
    Image.new("RGB", (40, 30)).save(folder.root / "test/JPEGImages/dd/00001.jpg")


def leave_the_folder(folder: AVISegFolder) -> None:
    folder.truth["test"]["videos"][0]["file_names"][1] = "dd/../../x.jpg"


def two_of_a_name(folder: AVISegFolder) -> None:
    folder.truth["test"]["videos"][1]["file_names"][0] = "dd/00000.jpg"


def no_frames(folder: AVISegFolder) -> None:
    folder.truth["test"]["videos"][1] |= {"file_names": [], "length": 0}


def no_categories(folder: AVISegFolder) -> None:
    folder.truth["test"]["categories"] = []


def no_table(folder: AVISegFolder) -> None:
    del folder.truth["test"]["videos"]


def infinite_polygon(folder: AVISegFolder) -> None:
    folder.truth["test"]["annotations"][0]["segmentations"][0][0][3] = float("inf")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (shorten_masks, r"annotation 12 has 3 segmentations, wanted one \(or null\) for each of 4 frames"),
        (shorten_areas, r"annotation 12 has 3 areas, wanted one"),
        (lose_a_frame, r"00002.jpg is missing"),
        (lose_the_sound, r"the sound .*dd.wav is missing"),
        (empty_the_sound, r"dd.wav .*samples"),
        (another_category, r"annotation 11 has the category 4; the file's table has 3, 5, 7"),
        (another_video, r"annotation 11 has the video 99, which the file does not list"),
        (another_length, r"its length is 9, but 4 frames are named"),
        (another_size, r"annotation 11 .*99 pixels high and 32 wide, the video \(24, 32\)"),
        (another_mask_size, r"annotation 12, frame 2: a mask has the size \[32, 24\], wanted \[24, 32\]"),
        (broken_counts, r"annotation 12, frame 2: .*not run lengths of 24 x 32 pixels"),
        (
            another_frame_size,
            r"00001.jpg is 30 pixels high and 40 wide, but the ground truth of its video has 24 and 32",
        ),
        (leave_the_folder, r"'dd/../../x.jpg' leads out of the folder"),
        (two_of_a_name, r"the videos 4 and 14 have frames in one folder"),
        (no_frames, r"the video has no frames"),
        (no_categories, r"empty table of categories"),
        (no_table, r"has no 'videos'"),
        (infinite_polygon, r"annotation 11, frame 0: a polygon has corners far outside"),
    ],
)
def test_a_broken_folder_is_told_in_a_sentence(folder: AVISegFolder, change: Any, sentence: str) -> None:
    change(folder)
    with pytest.raises((ValueError, FileNotFoundError), match=sentence):
        open_split(folder)[0]


@pytest.mark.parametrize("rows", [3, 5])
def test_features_of_another_length_than_the_frames(folder: AVISegFolder, rows: int) -> None:
    np.save(folder.root / "test/FEATAudios/dd.npy", np.zeros((rows, 128), np.float32))
    with pytest.raises(ValueError, match=rf"dd.npy are \({rows}, 128\), wanted \(4, 128\)"):
        open_split(folder, audio="features")[0]


def test_features_that_are_none(folder: AVISegFolder) -> None:
    path = folder.root / "test/FEATAudios/dd.npy"
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match=r"dd.npy is not a complete NPY file of numbers"):
        open_split(folder, audio="features")[0]
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"1 of 2 files .*dd\.npy; make them with .*--vggish FILE"):
        open_split(folder, audio="features")[0]


@pytest.mark.parametrize("text", ["", "[]", '{"videos": [', '{"videos": 3, "categories": [], "annotations": []}', "{]"])
def test_a_file_of_truth_that_is_none(folder: AVISegFolder, text: str) -> None:
    (folder.root / "test.json").write_text(text)
    with pytest.raises(ValueError, match=r"test.json is not a complete file of ground truth"):
        build_dataset(data_config("aviseg", root=folder.root), "test")
    (folder.root / "test.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"test.json is missing"):
        build_dataset(data_config("aviseg", root=folder.root), "test")


def test_a_file_that_changes_while_it_is_in_use(folder: AVISegFolder) -> None:
    dataset = open_split(folder)
    path = folder.root / "test.json"
    path.write_text(json.dumps({"more": "x" * 50} | folder.truth["test"]))
    with pytest.raises(ValueError, match=r"was changed while in use"):
        dataset[0]


@pytest.mark.parametrize(
    "options", [{"audio": "log_mel"}, {"binary": True}, {"compat": ("relabel",)}, {"labels_at": "input"}]
)
def test_options_of_other_data_sets_are_refused(folder: AVISegFolder, options: Any) -> None:
    with pytest.raises(ValueError, match=r"no option|is none of|leave out --data.labels-at"):
        open_split(folder, **options)


@pytest.mark.parametrize("options", [{"audio": "features"}, {"silent_videos": True}, {"compat": ("replacement",)}])
@pytest.mark.parametrize("name", ["s4", "vpo_ms"])
def test_other_data_sets_refuse_its_options(folder: AVISegFolder, name: str, options: Any) -> None:
    with pytest.raises(ValueError, match=r"has no option|is none of"):
        build_dataset(data_config(name, root=folder.root, **options), "test")
