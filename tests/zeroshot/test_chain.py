"""Finders of the Hub within a whole model, between a tagger and a follower without weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from avseg.models.zeroshot.config import FindConfig, GateConfig, Part, hearing
from avseg.models.zeroshot.parts import Found
from avseg.types import Batch, Clip, Task
from extras import needs
from zeroshot import tiny_finders as tiny
from zeroshot_parts import stub_model

pytestmark = pytest.mark.extra
RATE, SECONDS = 16000, 4


def sounding_clip() -> Clip:
    """(4, 3, 48, 72) pictures, one a second, and noise in the seconds 1 and 2."""
    sound = torch.zeros(1, SECONDS * RATE)
    sound[:, RATE : 3 * RATE] = torch.randn(2 * RATE, generator=torch.Generator().manual_seed(0)) * 0.3
    times = torch.arange(SECONDS, dtype=torch.float64)
    return Clip("noise", tiny.pictures(SECONDS), times, sound, RATE)


@pytest.mark.parametrize("kind", list(tiny.BUILT))
def test_what_is_found_while_it_sounds_begins_tracks(kind: str, tmp_path: Path) -> None:
    needs("transformers")
    part = Part(kind, str(tiny.BUILT[kind](tmp_path)), "local")
    parts: dict[str, Any] = {"finder": part, "find": FindConfig(box=0.005, side=64, objects=3)}
    model = stub_model(Task("instance", ("dog", "cat")), gate=GateConfig(on=0.1, off=0.05), audio=hearing(1.0), **parts)
    stages = model.stages(torch.device("cpu"))
    seen: list[list[Found]] = []
    finder = stages.finder

    class Watched:
        def find(self, frames: Any, nouns: Any) -> list[list[Found]]:
            found = finder.find(frames, nouns)
            seen.extend(found)
            return found

    model.use(replace(stages, finder=Watched()))
    (prediction,) = model.predict(Batch.collate([sounding_clip()]))
    best = {noun: max(one.score for found in seen for one in found if one.noun == noun) for noun in (0, 1)}
    assert len(seen) == 2, "it looks when the nouns begin, and a second later"
    assert 0 < len(prediction.masks) <= 2 * 3 * len(seen)
    for track in prediction.masks:
        assert track[0] is None and track[3] is None and track[2] is not None
    assert float(prediction.scores.max()) <= max(best.values())
