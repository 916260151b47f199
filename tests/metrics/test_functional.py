"""Metrics on plain tensors: the examples are true, and the figures are those of the suites to the last bit."""

from __future__ import annotations

import doctest
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from avseg import metrics
from avseg.io.rle import decode
from avseg.metrics import SUITES, f_score, fsla, functional, hota, j_score, miou, video_map
from avseg.types import DensePrediction, DenseTarget, Rle, Task
from track_world import random_video

NAMES = ("f_score", "fsla", "hota", "j_score", "miou", "video_map")
OBJECT, SEMANTIC, TRACKS = SUITES["avsbench_object"], SUITES["avsbench_semantic"], SUITES["aviseg"]
FRAMES = (1, 4, 3, 5, 2, 4)


@pytest.mark.parametrize("name", NAMES)
def test_the_example_of_every_function_is_true(name: str) -> None:
    function = getattr(metrics, name)
    assert name in metrics.__all__
    (test,) = (test for test in doctest.DocTestFinder().find(function, name, globs={name: function}) if test.examples)
    result = doctest.DocTestRunner().run(test)
    assert result.failed == 0 and result.attempted >= 3


def dense_clips(channels: int, ignored: bool = True) -> list[tuple[DensePrediction, DenseTarget]]:
    generator = torch.Generator().manual_seed(channels)
    pairs = []
    for index, frames in enumerate(FRAMES):
        logits = 2 * torch.randn(frames, channels, 9, 7, generator=generator)
        labels = torch.randint(0, max(channels, 2), (frames, 9, 7), generator=generator) * (index != 2)
        labels[:, :2, 0] = 255 if ignored else 0
        pairs.append((DensePrediction(str(index), logits, (9, 7)), DenseTarget(labels, torch.ones(frames).bool())))
    return pairs


def by_suite(suite: Any, task: Task, protocol: str, pairs: Any, **options: Any) -> dict[str, float]:
    made = suite(task, protocol, **options)
    for metric in made:
        for index, pair in enumerate(pairs):
            metric.update(*pair, index)
    return {name: value for metric in made for name, value in metric.compute().items()}


@pytest.mark.parametrize("protocol", OBJECT.protocols)
@pytest.mark.parametrize("group", [None, 2])
def test_j_and_f_are_those_of_the_suite(protocol: str, group: int | None) -> None:
    pairs = dense_clips(1)
    suite = by_suite(OBJECT, Task("binary"), protocol, pairs, group=group)
    masks = [torch.stack([p.labels(t) for t in range(len(p.logits))]) for p, _ in pairs]
    probabilities = [torch.stack([p.foreground(t) for t in range(len(p.logits))]) for p, _ in pairs]
    labels = [target.labels for _, target in pairs]
    assert j_score(masks, labels, protocol=protocol, group=group) == suite["J"]
    assert j_score(probabilities, labels, protocol=protocol, group=group) == suite["J"]
    assert f_score(probabilities, labels, protocol=protocol, group=group) == suite["F"]
    assert 0.2 < suite["J"] < 0.8 and 0.2 < suite["F"] < 0.9
    alone = by_suite(OBJECT, Task("binary"), protocol, pairs[:1])
    assert j_score(masks[0].bool(), labels[0], protocol=protocol) == alone["J"]
    assert f_score(probabilities[0].numpy(), labels[0].numpy(), protocol=protocol) == alone["F"]  # type: ignore[arg-type]


@pytest.mark.parametrize("protocol", SEMANTIC.protocols)
def test_miou_is_that_of_the_suite(protocol: str) -> None:
    pairs = dense_clips(4)
    suite = by_suite(SEMANTIC, Task("semantic", ("dog", "car", "bell")), protocol, pairs)
    maps = [torch.stack([p.labels(t) for t in range(len(p.logits))]) for p, _ in pairs]
    assert miou(maps, [target.labels for _, target in pairs], 4, protocol=protocol) == suite["mIoU"]
    assert 0.1 < suite["mIoU"] < 0.8


def tracks_of(masks: list[list[Rle | None]], frames: int, size: tuple[int, int]) -> Tensor:
    """(N, T, H, W) bool."""
    found = [[np.zeros(size, bool) if mask is None else decode(mask) for mask in track] for track in masks]
    return torch.from_numpy(np.array(found, bool).reshape(len(masks), frames, *size))


@pytest.mark.parametrize("protocol", [*TRACKS.protocols, *TRACKS.aliases])
def test_figures_of_tracks_are_those_of_the_suite(protocol: str) -> None:
    videos = [random_video(seed) for seed in range(8)]
    pairs = [(p, replace(t, track_ids=torch.arange(1, len(t.masks) + 1))) for p, t in videos]
    suite = by_suite(TRACKS, Task("instance", ("a", "b", "c")), protocol, pairs)
    pred = [tracks_of(p.masks, 7, p.size) for p, _ in pairs]
    target = [list(tracks_of(t.masks, 7, t.size)) or torch.zeros(0, 7, *t.size).bool() for _, t in pairs]
    options: Any = {
        "pred_classes": [p.classes for p, _ in pairs],
        "target_classes": [t.classes.tolist() for _, t in pairs],
        "num_classes": 3,
        "protocol": protocol,
    }
    figures = hota(pred, target, **options) | fsla(pred, target, **options)
    figures |= video_map(pred, target, [p.scores for p, _ in pairs], **options)
    assert figures == suite and 0 < figures["HOTA"] < 1 and 0 < figures["mAP"] < 1
    one = {key: value[3] if isinstance(value, list) else value for key, value in options.items()}
    alone = by_suite(TRACKS, Task("instance", ("a", "b", "c")), protocol, pairs[3:4])
    assert hota(list(pred[3]), target[3], **one).items() <= alone.items()


def test_bad_input_is_one_sentence() -> None:
    masks, track = torch.zeros(2, 4, 5).bool(), torch.ones(3, 4, 5).bool()
    with pytest.raises(ValueError, match=r"clip 0: pred has shape \(2, 4, 5\) and target of \(2, 4, 4\), wanted one"):
        j_score(masks, masks[..., 1:])
    with pytest.raises(ValueError, match="pred has 2 clips and target 1; give as many"):
        miou([masks.long()] * 2, [masks.long()], 2)
    with pytest.raises(ValueError, match=r"clip 0: pred spans -2\.\.-2, wanted probabilities from 0 to 1; put logits"):
        f_score(masks.float() - 2, masks)
    with pytest.raises(ValueError, match=r"clip 0: pred spans 5\.\.5, wanted 0\.\.1"):
        miou(masks.long() + 5, masks.long(), 2)
    with pytest.raises(ValueError, match="there was no clip"):
        j_score([], [])
    for function in (j_score, f_score):
        with pytest.raises(ValueError, match="the suite avsbench_object has no protocol 'x'; use published"):
            function(masks.float(), masks, protocol="x")
    with pytest.raises(
        ValueError, match=r"video 0: the tracks have the shapes \(2, 4, 5\) and \(3, 4, 5\); wanted one"
    ):
        hota([track[1:]], [track])
    with pytest.raises(ValueError, match=r"video 0: the tracks have the shapes none: give a tensor \(0, T, H, W\)"):
        fsla([], [])
    with pytest.raises(ValueError, match=r"video 0: scores has shape \(1,\), wanted \(2,\), one a track"):
        video_map([track, track], [track], scores=[0.5])
    with pytest.raises(ValueError, match=r"clip 'video 000000': predicted classes span 4\.\.4, wanted 1\.\.3"):
        hota([track], [track], pred_classes=[4], num_classes=3)


def test_silence_that_is_seen_as_such_is_right() -> None:
    nothing = torch.zeros(0, 3, 4, 5).bool()
    assert fsla(nothing, nothing, protocol="aviseg") == {"FSLA": 1.0, "FSLAn": 1.0}
    assert hota(nothing, nothing)["HOTA"] == 0  # as published: a class that occurs nowhere counts 0


def test_names_of_functions_load_no_torch() -> None:
    code = (
        "import sys, avseg.metrics as m; dir(m); print('torch' in sys.modules); m.hota; print('torch' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert out.split() == ["False", "True"]


def test_functions_take_arrays_of_numpy() -> None:
    track = np.zeros((3, 4, 5), bool)
    track[:, :2] = True
    assert hota([track], [track], protocol="aviseg")["HOTA"] == 1.0  # type: ignore[list-item]
    assert functional.miou(track.astype(int), track.astype(int), 2, protocol="repaired") == 1.0  # type: ignore[arg-type]
