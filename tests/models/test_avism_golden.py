"""The published network's numbers at full size, through our converter; weights by formulas
(docs/explanation/golden.md)."""

from __future__ import annotations

import json
import math
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from avseg.config import InputSpec
from avseg.io.rle import decode
from avseg.models.avism.config import AVISMOptions
from avseg.models.avism.convert import convert
from avseg.models.avism.model import AVISM
from avseg.models.avism.network import AVISMNetwork, Watched
from avseg.types import Batch, Clip, InstancePrediction

GOLDEN = Path(__file__).parents[1] / "golden/avism"
SIZE, PADDED, OUTPUT = (90, 120), (96, 128), (180, 240)
HALVES = ("query_feat.weight", "query_embed.weight", "level_embed", "level_embed.weight", "fq_pos.weight")


def seeded(key: str, shape: list[int]) -> Tensor:
    r = np.random.RandomState(zlib.crc32(key.encode())).standard_normal(shape)
    if key.endswith("running_var"):
        r = 1 + 0.1 * np.abs(r)
    elif key.endswith("running_mean"):
        r *= 0.1
    elif key.endswith("sampling_offsets.bias"):
        r *= 2
    elif key.endswith((*HALVES, "relative_position_bias_table")):
        r *= 0.5
    elif len(shape) == 1:
        r = 1 + 0.1 * r if key.endswith("weight") else 0.05 * r
    else:
        r /= math.sqrt(math.prod(shape[1:]))
    return torch.from_numpy(np.asarray(r, dtype=np.float32))


def seeded_model(name: str) -> AVISM:
    """Pictures are taken as they are, and every candidate is kept."""
    keys = json.loads((GOLDEN / f"keys_{name}.json").read_text(encoding="utf-8"))
    made = [(k, s) for k, s in keys if not k.endswith(("relative_position_index", "empty_weight"))]
    with ThreadPoolExecutor(2) as pool:
        state = dict(zip([k for k, _ in made], pool.map(lambda entry: seeded(*entry), made), strict=True))
    model = convert(state, input=InputSpec(rule="keep"))
    assert isinstance(model, AVISM)
    model.options = AVISMOptions(score=0.0)
    return model


@dataclass
class Published:
    figures: Any
    network: AVISMNetwork
    outputs: dict[str, Any]
    """Of the network's parts, as the model called them to predict."""
    audio: Tensor
    watched: Watched
    tracks: InstancePrediction


PARTS = ("backbone", "pixel_decoder", "detector", "video.mask_features")


@pytest.fixture(scope="module", params=["avism_r50", "avism_swinl"])
def published(request: pytest.FixtureRequest) -> Published:
    """One backbone at a time: a gigabyte of weights."""
    figures = json.loads((GOLDEN / "golden_forward.json").read_text(encoding="utf-8"))["golden"][request.param]
    model = seeded_model(request.param)
    network, outputs = model.network, {}
    clip = Clip(
        "golden",
        torch.from_numpy(np.random.RandomState(0).randint(0, 256, (8, 3, *SIZE)).astype(np.uint8)),
        torch.arange(8, dtype=torch.float64),
        torch.zeros(1, 16000),
        16000,
        audio_features=torch.from_numpy(np.abs(np.random.RandomState(1).standard_normal((8, 128))).astype(np.float32)),
        output_size=OUTPUT,
    )
    hooks = [network.get_submodule(name).register_forward_hook(kept_in(outputs, name)) for name in PARTS]
    (tracks,) = model.predict(Batch.collate([clip]))
    for hook in hooks:
        hook.remove()
    assert isinstance(tracks, InstancePrediction) and clip.audio_features is not None
    with torch.inference_mode():
        queries, _ = outputs["detector"]
        watched = network.video(queries[:, None], clip.audio_features[None], similarity=True)
    return Published(figures, network, outputs, clip.audio_features, watched, tracks)


def kept_in(outputs: dict[str, Any], name: str) -> Any:
    def hook(module: nn.Module, inputs: Any, output: Any) -> None:
        assert name not in outputs
        outputs[name] = output

    return hook


def check(record: Any, tensor: Tensor, tolerance: float) -> None:
    """Sixteen values spread over the whole, its mean and its deviation; against the largest of the values."""
    assert list(tensor.shape) == record["shape"]
    whole = tensor.double().flatten()
    wanted = torch.tensor(record["samples"], dtype=torch.float64)
    places = [i * (len(whole) - 1) // 15 for i in range(16)]
    slack = tolerance * float(wanted.abs().max())
    assert float((whole[places] - wanted).abs().max()) < slack
    assert float(whole.mean()) == pytest.approx(record["mean"], abs=slack)
    assert float(whole.std(correction=0)) == pytest.approx(record["std"], rel=tolerance)


EXACT, MASKED = 1e-5, 1e-4
"""Before any mask is cut at a half, and behind it, where one pixel may fall to the other side."""


def test_maps_of_backbone_and_pixel_decoder(published: Published) -> None:
    figures, pixels = published.figures, published.outputs["pixel_decoder"]
    for index, tensor in enumerate(published.outputs["backbone"]):
        check(figures[f"backbone.res{index + 2}"], tensor, EXACT)
    for index, tensor in enumerate(pixels.coarse):
        check(figures[f"pixel_decoder.multi_scale.{index}"], tensor, EXACT)
    check(figures["pixel_decoder.fpn_stride4"], pixels.fine, EXACT)
    check(figures["pixel_decoder.mask_features"], pixels.masks, EXACT)
    check(figures["video.mask_features"], published.outputs["video.mask_features"], EXACT)


def test_frame_decoder(published: Published) -> None:
    figures, detector, pixels = published.figures, published.network.detector, published.outputs["pixel_decoder"]
    tracked, _ = published.outputs["detector"]
    with torch.inference_mode():
        detector.train()
        queries, predictions = detector(pixels.coarse, pixels.masks, published.audio, kept=3)
        detector.eval()
        second_last = detector.classify(queries[1])
    assert len(predictions) == 10 and torch.equal(queries[-1], tracked[0])
    assert torch.equal(second_last, predictions[8].class_logits)
    check(figures["frame.queries"], tracked[0], MASKED)
    check(figures["frame.pred_logits"], predictions[9].class_logits, MASKED)
    check(figures["frame.pred_masks"], predictions[9].mask_logits, MASKED)
    check(figures["frame.aux0.pred_logits"], predictions[0].class_logits, EXACT)
    check(figures["frame.aux4.pred_logits"], predictions[4].class_logits, MASKED)
    check(figures["frame.aux8.pred_logits"], predictions[8].class_logits, MASKED)


def test_video_module(published: Published) -> None:
    figures, watched = published.figures, published.watched
    last = watched.predictions[-1]
    assert watched.frame_similarity is not None and watched.clip_similarity is not None
    check(figures["video.pred_logits"], last.class_logits, MASKED)
    check(figures["video.pred_mask_embed"], last.mask_embeddings, MASKED)
    check(figures["video.pred_fq_embed"], watched.frame_similarity, MASKED)
    check(figures["video.pred_cq_embed"], watched.clip_similarity, MASKED)


def test_scores_and_areas_of_tracks(published: Published) -> None:
    """By the published formulas, written out; and the model's own tracks."""
    figures, last = published.figures, published.watched.predictions[-1]
    probabilities, place = last.class_logits[0, 0].softmax(-1)[:, :-1].flatten().topk(100)
    embeddings = last.mask_embeddings[0, 0][place // 26]
    logits = torch.einsum("qd,tdhw->qthw", embeddings, published.outputs["video.mask_features"])
    logits = F.interpolate(logits, PADDED, mode="bilinear", align_corners=False)[..., : SIZE[0], : SIZE[1]]
    hard = logits.sigmoid() > 0.5
    quality = (logits.sigmoid() * hard).sum((1, 2, 3)) / (hard.sum((1, 2, 3)) + 1e-6)
    scores = probabilities * quality
    check(figures["rescored_top100_before_threshold"], scores, MASKED)
    assert scores[:10].tolist() == pytest.approx(figures["rescored_first10"], rel=MASKED)
    assert (place[:10] % 26).tolist() == figures["labels_first10"]
    assert figures["final"]["n"] == int((scores > 0.3).sum())

    tracks, best = published.tracks, scores.sort(descending=True).values
    assert tracks.scores.tolist() == pytest.approx(best.tolist(), rel=MASKED)
    assert sorted(tracks.classes.tolist()) == sorted((place % 26 + 1).tolist())
    for number, area in enumerate(figures["area_first5_at_output_size"]):
        track = tracks.masks[int((tracks.scores - scores[number]).abs().argmin())]
        drawn = sum(int(decode(mask).sum()) for mask in track if mask is not None)
        assert drawn == pytest.approx(area, rel=MASKED)
