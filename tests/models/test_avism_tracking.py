"""Clips in pieces, drawn by parts and only where it counts, give what the published way gives: all of them, densely."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from avseg.config import InputSpec
from avseg.io.rle import decode, encode
from avseg.models.avism.config import AVISMConfig, AVISMOptions
from avseg.models.avism.network import AVISMNetwork
from avseg.models.avism.session import AVISMSession
from avseg.models.avism.spool import Spool
from avseg.models.avism.tracks import Candidates, make_tracks
from avseg.nn.frames import normalised
from avseg.types import Batch, Clip, InstancePrediction
from small import DEAF, small_config

CLASSES = 3
SMALL: AVISMConfig = small_config(
    "avism",
    **DEAF,
    input=InputSpec((48, 48), rule="shorter_side"),
    clip_queries=40,
    clip_layers=1,
    window=AVISMConfig().window,
    frames_at_once=18,
)


@dataclass
class Parts:
    """The parts of a model that tracking speaks to, with a small network of random weights."""

    network: AVISMNetwork
    config: AVISMConfig = SMALL

    def features(self, batch: Batch) -> Tensor:
        assert batch.audio_features is not None
        return batch.audio_features

    def normalised(self, batch: Batch) -> Tensor:
        return padded(normalised(batch.frames))


def padded(images: Tensor) -> Tensor:
    return F.pad(images, (0, -images.shape[-1] % 32, 0, -images.shape[-2] % 32))


@pytest.fixture(scope="module")
def parts() -> Parts:
    """A network that is sure of some classes, and whose masks are neither empty nor full."""
    torch.manual_seed(0)
    network = AVISMNetwork(CLASSES, SMALL).eval()
    network.video.decoder.classify.weight.data.mul_(8)
    return Parts(network)


def clip(frames: int, seed: int = 0) -> Clip:
    generator = torch.Generator().manual_seed(seed)
    small = torch.rand(frames, 3, 4, 5, generator=generator) * 255
    return Clip(
        id="c",
        frames=F.interpolate(small, (48, 68), mode="bilinear").to(torch.uint8),
        times=torch.arange(frames, dtype=torch.float64),
        audio=torch.zeros(1, 16000 * frames),
        sample_rate=16000,
        audio_features=torch.rand(frames, 8, generator=generator),
        output_size=(90, 128),
    )


@torch.inference_mode()
def published(parts: Parts, of: Clip, candidates: int = 100, cut: float = 0.3) -> list[tuple[float, int, Tensor]]:
    """(score, class id, masks (T, H, W)) as section 3 of the paper's supplement and its code go: all frames, all
    candidates, dense masks, and only then the cut."""
    assert of.audio_features is not None and of.output_size is not None
    height, width = of.frames.shape[-2:]
    queries, maps = [], []
    for begin in range(0, len(of.frames), 18):
        images = padded(normalised(of.frames[begin : begin + 18]))
        seen = parts.network.look(images, of.audio_features[begin : begin + 18])
        queries.append(seen.queries)
        maps.append(seen.clip_features)
    watched = parts.network.watch(torch.cat(queries, 1)[:, None], of.audio_features[None]).predictions[-1]
    probabilities = watched.class_logits[-1, 0].softmax(-1)[:, :-1].flatten()
    best, index = probabilities.topk(min(candidates, len(probabilities)), sorted=False)
    embeddings = watched.mask_embeddings[-1, 0][index // CLASSES]
    inside, pixels, masks = torch.zeros(len(best)), torch.zeros(len(best)), []
    for part in torch.cat(maps).split(5):
        logits = torch.einsum("qc,tchw->qthw", embeddings, part)
        logits = F.interpolate(logits, images.shape[-2:], mode="bilinear", align_corners=False)[..., :height, :width]
        soft = logits.sigmoid()
        hard = (soft > 0.5).float()
        inside += (soft * hard).flatten(1).sum(1)
        pixels += hard.flatten(1).sum(1)
        masks.append(F.interpolate(logits, of.output_size, mode="bilinear", align_corners=False) > 0)
    scores = best * inside / (pixels + 1e-6)
    whole = torch.cat(masks, 1)
    kept = [(float(scores[n]), int(index[n]) % CLASSES + 1, whole[n]) for n in range(len(best)) if scores[n] > cut]
    return sorted(kept, key=lambda one: -one[0])


def track(
    parts: Parts, of: Clip, pieces: list[int] | None = None, at_once: int = 18, **options: Any
) -> InstancePrediction:
    """The tracks of a clip that is shown in pieces of these lengths; None: whole."""
    session = AVISMSession(Parts(parts.network, replace(SMALL, frames_at_once=at_once)), AVISMOptions(**options))
    begin = 0
    for length in pieces or [len(of.frames)]:
        session.step(Batch.collate([of.take(range(begin, begin + length))]))
        begin += length
    assert begin == len(of.frames) and of.output_size is not None
    (found,) = session.finish(of.output_size)
    assert isinstance(found, InstancePrediction)
    return found


def assert_published(found: InstancePrediction, expected: list[tuple[float, int, Tensor]]) -> None:
    assert found.scores.tolist() == pytest.approx([score for score, _, _ in expected], rel=1e-4)
    assert found.classes.tolist() == [class_id for _, class_id, _ in expected]
    assert found.track_ids.tolist() == list(range(1, len(expected) + 1))
    for rles, (_, _, masks) in zip(found.masks, expected, strict=True):
        assert len(rles) == len(masks)
        for rle, mask in zip(rles, masks, strict=True):
            drawn = np.zeros(found.size, bool) if rle is None else decode(rle)
            assert (drawn != mask.numpy()).mean() < 1e-3
            assert (rle is None) == (not mask.any())


@pytest.mark.parametrize("frames", [1, 7, 20])
def test_tracks_are_those_of_the_published_way(parts: Parts, frames: int) -> None:
    of = clip(frames)
    expected = published(parts, of)
    assert len(expected) >= 3 and len({class_id for _, class_id, _ in expected}) > 1
    assert any(0.02 < float(masks.float().mean()) < 0.98 for _, _, masks in expected)
    assert_published(track(parts, of), expected)


@pytest.mark.parametrize("pieces", [[1] * 9, [4, 5], [8, 1], [2, 7]])
def test_pieces_of_any_size_give_the_same_tracks(parts: Parts, pieces: list[int]) -> None:
    of = clip(9, seed=1)
    assert_published(track(parts, of, pieces), published(parts, of))
    assert_published(track(parts, of, at_once=2), published(parts, of))


def test_long_and_short_clips_agree_to_half_precision(parts: Parts) -> None:
    of = clip(8, seed=2)
    inside, outside = track(parts, of), track(parts, of, [3, 5], frames_in_memory=4)
    assert len(inside.masks) > 2 and inside.classes.tolist() == outside.classes.tolist()
    assert outside.scores.tolist() == pytest.approx(inside.scores.tolist(), abs=2e-3)
    empty = np.zeros(inside.size, bool)
    for one, other in zip(inside.masks, outside.masks, strict=True):
        for a, b in zip(one, other, strict=True):
            drawn = [empty if rle is None else decode(rle) for rle in (a, b)]
            assert (drawn[0] != drawn[1]).mean() < 5e-3


@pytest.mark.parametrize("in_memory", [0, 3, 100])
def test_maps_come_back_in_order_however_large(in_memory: int) -> None:
    spool = Spool(in_memory)
    maps = torch.randn(7, 4, 5, 6, generator=torch.Generator().manual_seed(0))
    maps[5] *= 1e7  # more than half precision holds
    for begin, end in ((0, 2), (2, 5), (5, 6), (6, 7)):
        spool.add(maps[begin:end])
    back = list(spool.pieces(2))
    assert all(len(piece) <= 2 and piece.dtype == torch.float32 for piece in back)
    assert torch.allclose(torch.cat(back), maps, rtol=2e-3, atol=2e-3)
    assert torch.equal(torch.cat(list(spool.pieces(5))), torch.cat(back))


def test_a_query_with_two_classes_is_two_tracks_of_one_mask() -> None:
    candidates = Candidates.of(torch.tensor([[2.0, 2.0, 0.0], [0.0, 0.0, 9.0]]), 100, 0.3)
    assert candidates.queries.tolist() == [0] and sorted(candidates.classes) == [1, 2]
    found = make_tracks("c", candidates, [torch.full((1, 2, 8, 8), 9.0)], (32, 30), (64, 60), 0.3)
    assert found.masks == [[encode(np.ones((64, 60), bool))] * 2] * 2 and found.scores[0] == found.scores[1]


def test_what_lies_in_the_padding_alone_is_nothing() -> None:
    candidates = Candidates.of(torch.tensor([[9.0, 0.0]]), 100, 0.3)
    logits = torch.full((1, 1, 8, 8), -9.0)
    logits[..., 6:] = 9.0
    found = make_tracks("c", candidates, [logits], (32, 20), (32, 20), 0.3)
    assert found.masks == [] and found.scores.shape == (0,) and found.size == (32, 20)


def test_tracking_wants_one_clip_of_one_size(parts: Parts) -> None:
    session = AVISMSession(parts, AVISMOptions())
    with pytest.raises(ValueError, match="no frame was seen"):
        session.finish((10, 10))
    with pytest.raises(ValueError, match="a batch of 2 clips"):
        session.step(Batch.collate([clip(1), clip(1)]))
