"""Results in COCO's form, as pycocotools reads them."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from pycocotools.coco import COCO

import avseg
from avseg.inference import Segmenter
from avseg.types import Clip
from inference.fake import fake


@pytest.fixture(scope="module")
def content() -> dict[str, Any]:
    """Two frames, bright in their left half."""
    frames = torch.full((2, 3, 32, 48), 20, dtype=torch.uint8)
    frames[..., :24] = 235
    sound = torch.sin(torch.arange(32000) / 4)[None]
    clip = Clip("c", frames, torch.arange(2, dtype=torch.float64), sound, 16000)
    read: dict[str, Any] = json.loads(json.dumps(Segmenter(fake(), fps=1).predict(clip).to_coco()))
    return read


def read(content: dict[str, Any]) -> COCO:
    coco = COCO()
    coco.dataset = content
    coco.createIndex()
    return coco


def test_info_names_the_library_and_no_date(content: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert set(content["info"]) == {"description", "version"} and content["licenses"] == []
    assert content["info"]["version"] == avseg.__version__
    read(content).info()
    assert content["info"]["description"] in capsys.readouterr().out


def test_annotations_come_back_through_load_res(content: dict[str, Any]) -> None:
    coco = read(content)
    again = coco.loadRes(content["annotations"])
    assert again.dataset["info"] == content["info"] and again.imgs == coco.imgs
    assert len(coco.anns) == 2
    for number, annotation in coco.anns.items():
        assert all(again.anns[number][key] == annotation[key] for key in annotation)
