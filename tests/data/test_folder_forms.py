"""Annotation files beside videos: the same truth in every form, and a sentence for every foreign file."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from avseg.datasets.folder.cvat import counts_of
from avseg.datasets.folder.label_studio import decode_brush
from avseg.datasets.folders import check
from avseg.io.rle import decode
from own_videos import SIZE, everything, make_video, number_of, square

BIRD, CAT = square(4) > 0, square(30, side=6) > 0
"""What second 0 (both) and second 2 (the cat alone) show; second 1 is looked at, and nothing sounds."""
CLASSES = ("bird", "cat")
HEIGHT, WIDTH = SIZE


def corners(mask: Any) -> list[float]:
    """The four corners of a square, on the borders of its pixels."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    left, top, right, bottom = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
    return [float(value) for value in (left, top, right, top, right, bottom, left, bottom)]


def brush(mask: Any) -> list[int]:
    """The packing of Label Studio: every pixel four times, runs of one value."""
    values = np.repeat(mask.ravel() * 255, 4).tolist()
    bits = format(len(values), "032b") + format(7, "05b") + "".join(format(size - 1, "04b") for size in (3, 4, 8, 16))
    at = 0
    while at < len(values):
        end = at
        while end < len(values) and values[end] == values[at] and end - at < 2**16:
            end += 1
        if end - at > 2:
            bits += "1" + "11" + format(end - at - 1, "016b") + format(values[at], "08b")
        else:
            bits += "0" + "00" + format(end - at - 1, "03b") + "".join(format(v, "08b") for v in values[at:end])
        at = end
    bits += "0" * (-len(bits) % 8)
    return [int(bits[place : place + 8], 2) for place in range(0, len(bits), 8)]


def coco(root: Path) -> None:
    images = [
        {"id": 1, "file_name": "clip/0s.png", "height": HEIGHT, "width": WIDTH},
        {"id": 2, "file_name": "whatever.png", "video": "clip.mp4", "frame": 10},
        {"id": 3, "file_name": "elsewhere/clip/x.png", "time": 2.0},
    ]
    found = [(1, 1, [corners(BIRD)]), (1, 5, counts_of(CAT)), (3, 5, [corners(CAT)])]
    annotations = [
        {"id": n, "image_id": image, "category_id": kind, "segmentation": shape}
        for n, (image, kind, shape) in enumerate(found, 1)
    ]
    categories = [{"id": 1, "name": "bird"}, {"id": 5, "name": "cat"}]
    text = json.dumps({"images": images, "annotations": annotations, "categories": categories})
    (root / "labels.json").write_text(text)


def youtube_vis(root: Path) -> None:
    video = {"id": 7, "height": HEIGHT, "width": WIDTH, "file_names": [f"clip/{k:05d}.jpg" for k in range(3)]}
    masks = [counts_of(CAT), None, [corners(CAT)]]
    annotations = [
        {"id": 1, "video_id": 7, "category_id": 2, "segmentations": masks},
        {"id": 2, "video_id": 7, "category_id": 1, "segmentations": [counts_of(BIRD), None, None]},
    ]
    categories = [{"id": 1, "name": "bird"}, {"id": 2, "name": "cat"}]
    (root / "clip.json").write_text(
        json.dumps({"videos": [video], "annotations": annotations, "categories": categories})
    )


def polygon(mask: Any, more: str) -> str:
    flat = corners(mask)
    points = ";".join(f"{x:.2f},{y:.2f}" for x, y in zip(flat[::2], flat[1::2], strict=True))
    return f'<polygon points="{points}" z_order="0" {more}></polygon>'


def drawn_mask(mask: Any, more: str) -> str:
    left, top, right, bottom = (int(corners(mask)[place]) for place in (0, 1, 4, 5))
    flat = mask[top:bottom, left:right].ravel()
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flat]).astype(int)))
    runs = np.diff([0, *edges, flat.size]).tolist()
    return (
        f'<mask rle="{", ".join(map(str, runs))}" left="{left}" top="{top}" width="{right - left}" '
        f'height="{bottom - top}" z_order="0" {more}></mask>'
    )


def cvat_video(root: Path) -> None:
    shown = 'keyframe="1" outside="0" frame="{}"'
    gone = 'keyframe="1" outside="1" frame="{}"'
    cat = [polygon(CAT, shown.format(0)), polygon(CAT, gone.format(10)), polygon(CAT, shown.format(20))]
    bird = [drawn_mask(BIRD, shown.format(0)), drawn_mask(BIRD, gone.format(10))]
    meta = (
        "<meta><task><size>3</size><mode>interpolation</mode><start_frame>0</start_frame><stop_frame>20</stop_frame>"
        f"<frame_filter>step=10</frame_filter><original_size><width>{WIDTH}</width><height>{HEIGHT}</height>"
        "</original_size><source>clip.mp4</source></task></meta>"
    )
    tracks = f'<track id="0" label="cat">{"".join(cat)}</track><track id="1" label="bird">{"".join(bird)}</track>'
    (root / "job.xml").write_text(f"<annotations><version>1.1</version>{meta}{tracks}</annotations>")


def cvat_images(root: Path) -> None:
    size = f'width="{WIDTH}" height="{HEIGHT}"'
    shapes = (polygon(CAT, 'label="cat"') + drawn_mask(BIRD, 'label="bird"'), "", drawn_mask(CAT, 'label="cat"'))
    names = ("frame_000000", "frame_000010", "frame_000020")
    images = [
        f'<image id="{n}" name="{name}.PNG" {size}>{shape}</image>'
        for n, (name, shape) in enumerate(zip(names, shapes, strict=True))
    ]
    text = f"<annotations><version>1.1</version><meta><task/></meta>{''.join(images)}</annotations>"
    (root / "clip.xml").write_text(text)


def label_studio(root: Path) -> None:
    def result(kind: str, label: str, value: Any) -> dict[str, Any]:
        whole = {"original_width": WIDTH, "original_height": HEIGHT, "image_rotation": 0}
        return {**whole, "type": kind, "value": {**value, kind: [label]}}

    flat = corners(CAT)
    points = [[x / WIDTH * 100, y / HEIGHT * 100] for x, y in zip(flat[::2], flat[1::2], strict=True)]
    bird = result("brushlabels", "bird", {"format": "rle", "rle": brush(BIRD)})
    cat = result("polygonlabels", "cat", {"points": points})
    data: Sequence[tuple[dict[str, Any], list[Any]]] = (
        ({"image": "/data/local-files/?d=all/clip/000000.png"}, [bird, cat]),
        ({"image": "/data/upload/3/ab12.png", "video": "clip.mp4", "frame": 10}, []),
        ({"image": "https://host/x.png", "video": "clip", "time": 2}, [cat]),
    )
    tasks = [{"id": n, "data": one, "annotations": [{"result": found}]} for n, (one, found) in enumerate(data, 1)]
    tasks.append({"id": 9, "data": {"image": "clip/000001.png"}, "annotations": [], "predictions": [{"result": [cat]}]})
    (root / "export.json").write_text(json.dumps(tasks))


FORMS: dict[str, tuple[Callable[[Path], None], str]] = {
    "COCO": (coco, "semantic"),
    "YouTube-VIS": (youtube_vis, "instance"),
    "CVAT for video": (cvat_video, "instance"),
    "CVAT for images": (cvat_images, "semantic"),
    "Label Studio": (label_studio, "semantic"),
}


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("forms")
    make_video(root / "clip.mp4")
    return root


@pytest.fixture
def root(videos: Path, tmp_path: Path) -> Path:
    (tmp_path / "clip.mp4").write_bytes((videos / "clip.mp4").read_bytes())
    return tmp_path


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_masks(root: Path, form: str) -> None:
    write, kind = FORMS[form]
    write(root)
    dataset = everything(root, task="semantic")
    assert dataset.task.classes == CLASSES
    clip = dataset[0]
    assert [number_of(frame) for frame in clip.frames] == [0, 10, 20] and clip.target.annotated.all()
    expected = np.zeros((3, *SIZE), np.uint8)
    expected[0] = BIRD + 2 * CAT
    expected[2] = 2 * CAT
    assert np.array_equal(clip.target.labels.numpy(), expected)
    report = check("folder", root, workers=1)
    assert any(note.startswith(f"{kind}, because") for note in report.notes)
    assert {fault.clip for fault in report.faults} <= {"split.csv"}  # val and test are empty


@pytest.mark.parametrize("form", ["YouTube-VIS", "CVAT for video"])
def test_forms_that_tell_objects_apart_give_tracks(root: Path, form: str) -> None:
    FORMS[form][0](root)
    dataset = everything(root)
    assert dataset.task.kind == "instance" and dataset.suite == "aviseg" and dataset.video_ids == {"clip": 1}
    target = dataset[0].target
    assert target.classes.tolist() == [2, 1] and target.size == SIZE
    shown = [[None if mask is None else decode(mask) for mask in track] for track in target.masks]
    assert [[mask is not None for mask in track] for track in shown] == [[True, False, True], [True, False, False]]
    assert np.array_equal(shown[0][2], CAT) and np.array_equal(shown[1][0], BIRD)


def test_tracks_need_every_second(root: Path) -> None:
    youtube_vis(root)
    content = json.loads((root / "clip.json").read_text())
    content["videos"][0]["file_names"][1] = "clip/00000.jpg"
    content["videos"][0]["file_names"] = ["clip/0.jpg", "clip/0.5s.jpg", "clip/2.jpg"]
    (root / "clip.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"has no labels at step 1 of 0 to 2 \(fps 1\); tracks need every step"):
        everything(root)
    assert everything(root, task="semantic")[0].target.annotated.tolist() == [True, False, True]


def test_a_brush_mask_of_label_studio_is_read_bit_by_bit() -> None:
    # The head of a mask that Label Studio itself has written: 3332 x 2527 pixels of four values, words of 8 bits.
    head = bytes([2, 1, 233, 240, 57, 27, 255])
    assert int.from_bytes(head[:4], "big") == 3332 * 2527 * 4
    with pytest.raises(ValueError, match="breaks off"):
        decode_brush(head + bytes([255, 255, 255]), 3332 * 2527 * 4)
    with pytest.raises(ValueError, match="holds 33679856 values, wanted 8"):
        decode_brush(head, 8)
    # A square of 3 x 4 in 7 x 9 pixels, packed by `encode_rle` of label-studio-sdk 2.1.2.
    packed = bytes([0, 0, 0, 252, 57, 27, 254, 83, 0, 191, 255, 132, 192, 47, 255, 225, 48, 11, 255, 249, 60, 0])
    square_of_it = np.zeros((7, 9), bool)
    square_of_it[2:5, 3:7] = True
    assert np.array_equal(decode_brush(packed, 4 * 63).reshape(7, 9, 4)[..., 3] > 0, square_of_it)
    mask = np.random.default_rng(0).random((9, 13)) > 0.5
    assert np.array_equal(decode_brush(bytes(brush(mask)), 4 * mask.size).reshape(9, 13, 4)[..., 3] > 0, mask)


def edit(form: str, change: Callable[[str], str]) -> Callable[[Path], None]:
    def write(root: Path) -> None:
        FORMS[form][0](root)
        path = next(path for path in root.iterdir() if path.suffix in (".json", ".xml"))
        path.write_text(change(path.read_text()))

    return write


def put(name: str, text: str) -> Callable[[Path], None]:
    return lambda root: (root / name).write_text(text) and None


def with_short_list(root: Path) -> None:
    coco(root)
    (root / "classes.txt").write_text("bird\n")


FOREIGN: dict[str, tuple[Callable[[Path], None], str]] = {
    "no JSON": (put("clip.json", "{"), "is not a complete file of annotations"),
    "JSON of something else": (put("clip.json", '{"a": 1}'), "has none of the known formats, COCO, YouTube-VIS and"),
    "no tasks": (put("clip.json", "[1, 2]"), "is not a list of tasks of Label Studio"),
    "no XML": (put("clip.xml", "<annotations>"), "is not complete XML"),
    "Pascal VOC": (
        put("clip.xml", "<annotation><object/></annotation>"),
        "and is not a file of CVAT; export as CVAT for",
    ),
    "entities": (put("clip.xml", '<!DOCTYPE a [<!ENTITY b "c">]><annotations/>'), "has a document type"),
    "COCO boxes": (
        edit("COCO", lambda text: text.replace('"segmentation"', '"bbox"')),
        "is a box without a mask (segmentation); draw polygons or masks instead",
    ),
    "COCO category": (
        edit("COCO", lambda text: text.replace('"id": 5', '"id": 6')),
        "has the category 5; the",
    ),
    "COCO time": (
        edit("COCO", lambda text: text.replace('"frame"', '"frames"')),
        "does not give the time of the picture",
    ),
    "COCO image": (
        edit("COCO", lambda text: text.replace('"image_id": 3', '"image_id": 8')),
        "of the image 8, which",
    ),
    "COCO twice": (
        edit("COCO", lambda text: text.replace('"time": 2.0', '"time": 0.0')),
        "has two pictures",
    ),
    "COCO without ids": (edit("COCO", lambda text: text.replace('"id"', '"ids"')), "lacks a field of its format"),
    "COCO size": (
        edit("COCO", lambda text: text.replace(f'"height": {HEIGHT}', '"height": 99')),
        "the labels are for 99 x 48 pixels (height x width), but the video has 32 x 48",
    ),
    "COCO number of two images": (
        edit("COCO", lambda text: text.replace('"id": 3, "file_name"', '"id": 2, "file_name"')),
        "has two entries with the image number 2; give each its own",
    ),
    "COCO number of two categories": (
        put("clip.json", '{"images": [], "categories": [{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]}'),
        "has two entries with the category number 1",
    ),
    "COCO without a name": (
        put("clip.json", '{"images": [], "categories": [{"id": 1, "name": " "}]}'),
        "has the category 1 without a name; give it one",
    ),
    "COCO half a frame": (
        edit("COCO", lambda text: text.replace('"frame": 10', '"frame": 10.5')),
        "has the frame 10.5 of 'clip.mp4'; wanted a whole number",
    ),
    "VIS video twice": (
        put(
            "clip.json",
            '{"categories": [], "videos": [{"id": 1, "file_names": ["clip/0.png"]}, '
            '{"id": 2, "file_names": ["clip/1.png"]}]}',
        ),
        "has two entries of the video 'clip'; put their frames into one",
    ),
    "CVAT size": (
        edit("CVAT for images", lambda text: re.sub(r'width="\d+" height="\d+"', 'width="9" height="9999999"', text)),
        "has pictures of 9999999 x 9 pixels (height x width), wanted 1 to 16384",
    ),
    "CVAT task's size": (
        edit("CVAT for video", lambda text: text.replace("<height>", "<height>9999")),
        "wanted 1 to 16384 on each side",
    ),
    "CVAT mask outside": (
        edit("CVAT for images", lambda text: re.sub(r'left="\d+"', 'left="-1"', text)),
        "has a mask that extends outside its picture",
    ),
    "CVAT without a label": (
        edit("CVAT for video", lambda text: re.sub(r' label="[a-z]+"', "", text)),
        "has shapes of a class without a name; give it one",
    ),
    "VIS length": (
        edit("YouTube-VIS", lambda text: text.replace(', "clip/00002.jpg"', "")),
        "has 3 segmentations, wanted one (or null) for 2 frames",
    ),
    "another video": (edit("YouTube-VIS", lambda text: text.replace("clip/", "dog/")), "labels of the video 'dog'"),
    "CVAT boxes": (
        edit("CVAT for video", lambda text: text.replace("<polygon", "<box").replace("</polygon", "</box")),
        "has shapes of the kind box, which are not masks; draw polygons or masks",
    ),
    "CVAT runs": (edit("CVAT for images", lambda text: text.replace('rle="', 'rle="9, ')), "run lengths do not fill"),
    "Studio boxes": (
        edit("Label Studio", lambda text: text.replace("polygonlabels", "rectanglelabels")),
        "has a result of the type 'rectanglelabels', which is not a mask",
    ),
    "Studio cut": (
        edit("Label Studio", lambda text: text.replace('"rle": [0, ', '"rle": [1, ')),
        "has a brush mask that holds",
    ),
    "a class of no list": (
        with_short_list,
        "has the class 'cat', which",
    ),
    "overlap": (
        edit("COCO", lambda text: text.replace(json.dumps([corners(BIRD)]), json.dumps([corners(CAT)]))),
        "'bird' and 'cat' cover the same pixels",
    ),
}


@pytest.mark.parametrize("case", FOREIGN)
def test_a_foreign_file_is_one_sentence(root: Path, case: str) -> None:
    write, sentence = FOREIGN[case]
    write(root)
    (root / "split.csv").write_text("name,split\nclip,train\n")
    report = check("folder", root, workers=1)
    reasons = [fault.reason for fault in report.faults]
    assert [reason for reason in reasons if sentence in reason], reasons
    assert report.exit_code == 1 and all("\n" not in reason for reason in reasons)
