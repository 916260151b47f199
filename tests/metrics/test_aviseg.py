"""The suite of AVISeg: what the published evaluation printed, merging, rows, names of protocols."""

from __future__ import annotations

import itertools
import math
import random
from typing import Any

import pytest
import torch

from avseg.metrics import SUITES
from avseg.types import InstancePrediction, Rle, Task, TrackTarget
from track_world import found_of, random_video, truth_of

aviseg = SUITES["aviseg"]

CASES = (
    "perfect_empty_rle_kept",
    "perfect_empty_null",
    "three_persons_identity",
    "three_persons_cyclic",
    "one_gt_two_preds",
    "random_six_videos",
)
PRINTED = {"AP_all": "mAP", "AP_s": "mAP_s", "AP_m": "mAP_m", "AP_l": "mAP_l", "AR_all": "AR"}
PRINTED |= {"FA": "FSLA", "FAn": "FSLAn", "FAs": "FSLAs", "FAm": "FSLAm"}
COUNTED = {f"FA{group}_{what}": (group, what) for group in "nsm" for what in ("count", "all")}
TASK = Task("instance", ("person", "violin", "dog"))


def tracks_of(polygons: list[Any], height: int, width: int) -> list[Rle | None]:
    from pycocotools import mask as coco

    track: list[Rle | None] = []
    for frame in polygons:
        rle = None if frame is None else coco.merge(coco.frPyObjects(frame, height, width))
        track.append(None if rle is None else {"size": [height, width], "counts": rle["counts"].decode()})
    return track


def pair_of(case: dict[str, Any], video: dict[str, Any]) -> tuple[InstancePrediction, TrackTarget]:
    size = (video["height"], video["width"])
    true = [entry for entry in case["gt"]["annotations"] if entry["video_id"] == video["id"]]
    found = [entry for entry in case["pred"] if entry["video_id"] == video["id"]]
    areas = [[math.nan if area is None else area for area in entry["areas"]] for entry in true]
    truth = TrackTarget(
        [tracks_of(entry["segmentations"], *size) for entry in true],
        torch.tensor([entry["category_id"] for entry in true], dtype=torch.int64),
        torch.tensor([entry["id"] for entry in true], dtype=torch.int64),
        torch.ones(video["length"], dtype=torch.bool),
        size,
        torch.tensor(areas, dtype=torch.float64).reshape(len(true), video["length"]),
    )
    prediction = InstancePrediction(
        video["file_names"][0].split("/")[0],
        [entry["segmentations"] for entry in found],
        torch.tensor([entry["score"] for entry in found]),
        torch.tensor([entry["category_id"] for entry in found], dtype=torch.int64),
        torch.arange(1, len(found) + 1),
        size,
    )
    return prediction, truth


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("turned", [False, True], ids=["in order", "last first"])
def test_every_figure_is_the_published_one_to_the_digit(golden: Any, name: str, turned: bool) -> None:
    case = next(case for case in golden("avism/metric_cases.json")["cases"] if case["name"] == name)
    task = Task("instance", tuple(category["name"] for category in case["gt"]["categories"]))
    metric: Any = aviseg(task, silent="absent" if name == "perfect_empty_null" else "empty")[0]
    videos = list(enumerate(case["gt"]["videos"]))
    for index, video in videos[::-1] if turned else videos:
        metric.update(*pair_of(case, video), index)
    figures, frames = metric.compute(), metric.frame_counts()
    for printed, value in case["upstream"].items():
        if printed in COUNTED:
            group, what = COUNTED[printed]
            assert (math.floor(frames[group][0] + 1e-9) if what == "count" else frames[group][1]) == value, printed
            continue
        figure = figures[PRINTED.get(printed, printed)]
        assert (None if math.isnan(figure) else round(100 * figure, 2)) == value, printed
    assert len(case["upstream"]) == 13 + 10


def test_all_cases_are_looked_at(golden: Any) -> None:
    assert tuple(case["name"] for case in golden("avism/metric_cases.json")["cases"]) == CASES


@pytest.mark.parametrize("name", CASES[:4])
def test_perfect_tracks_are_perfect_when_repaired(golden: Any, name: str) -> None:
    case = next(case for case in golden("avism/metric_cases.json")["cases"] if case["name"] == name)
    metric: Any = aviseg(TASK, "aviseg")[0]
    for index, video in enumerate(case["gt"]["videos"]):
        metric.update(*pair_of(case, video), index)
    assert set(metric.compute().values()) == {1.0}


@pytest.mark.parametrize("protocol", ["aviseg_upstream", "aviseg"])
@pytest.mark.parametrize("seed", range(4))
def test_parts_merged_in_any_order_give_the_same_bits(protocol: str, seed: int) -> None:
    draw = random.Random(seed)
    pairs = [random_video(100 * seed + i, ties=True) for i in range(9)]
    places = list(range(9))

    def fed(indices: list[int]) -> Any:
        metric = aviseg(TASK, protocol)[0]
        for index in indices:
            metric.update(*pairs[index], index)
        return metric

    whole = fed(places)
    draw.shuffle(places)
    parts = [fed(places[first::3] + places[:2]) for first in range(3)]  # some are seen by all
    for other in parts[1:]:
        parts[0].merge(other)
    assert repr(parts[0].compute()) == repr(whole.compute())
    assert repr(parts[0].rows()) == repr(whole.rows())


def test_of_two_entries_for_one_video_the_same_stays_in_any_order() -> None:
    box = (2, 3, 10, 12)
    truth = truth_of([[box, box]], [1])
    entries = [found_of([[box, box]], [1]), found_of([[box, None]], [1])]
    kept = []
    for order in itertools.permutations(entries):
        metric: Any = aviseg(TASK, "aviseg")[0]
        for prediction in order:
            metric.update(prediction, truth, 0)
        kept.append(metric.compute())
    assert kept[0] == kept[1]


def test_rows_are_the_figures_of_each_video_alone() -> None:
    pairs = [random_video(i) for i in range(5)]
    metric: Any = aviseg(TASK, "aviseg")[0]
    for index, pair in enumerate(pairs):
        metric.update(*pair, index)
    for index, row in enumerate(metric.rows()):
        alone: Any = aviseg(TASK, "aviseg")[0]
        alone.update(*pairs[index], index)
        assert row == {"index": index, "id": f"video{index:03d}", "frames": 7, **alone.compute()}


def test_figures_come_in_the_order_of_the_published_table() -> None:
    metric: Any = aviseg(TASK)[0]
    metric.update(*random_video(1), 0)
    names = list(metric.compute())
    assert names[:8] == ["FSLA", "HOTA", "mAP", "FSLAn", "FSLAs", "FSLAm", "AssA", "DetA"]
    assert set(names[8:]) == {"DetRe", "DetPr", "AssRe", "AssPr", "LocA", "mAP_s", "mAP_m", "mAP_l", "AR"}


def test_a_test_set_of_nothing_but_silence_has_figures() -> None:
    metric: Any = aviseg(TASK, "aviseg")[0]
    metric.update(found_of([], []), truth_of([], [], frames=3), 0)
    assert metric.compute() == {"FSLA": 1.0, "FSLAn": 1.0}
    published: Any = aviseg(TASK)[0]
    published.update(found_of([], []), truth_of([], [], frames=3), 0)
    figures = published.compute()
    assert figures["FSLAn"] == 1 and figures["HOTA"] == 0 and figures["mAP"] == -1
    with pytest.raises(ValueError, match="there was no clip"):
        aviseg(TASK)[0].compute()


def test_published_and_repaired_are_names_for_the_suites_own_protocols() -> None:
    assert aviseg.own_name("published") == aviseg(TASK, "published")[0].protocol == "aviseg_upstream"
    assert aviseg.own_name("repaired") == aviseg(TASK, "repaired")[0].protocol == "aviseg"
    assert SUITES["vpo"].own_name("published") == "published"
    assert aviseg.has("repaired") and not aviseg.has("cavp")
    with pytest.raises(ValueError, match="the suite aviseg has no protocol 'cavp'; use aviseg_upstream or aviseg"):
        aviseg(TASK, "cavp")
