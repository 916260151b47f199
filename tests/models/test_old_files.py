"""Model files that an earlier version wrote open for good and say the same (tests/golden/models_4cf0a38)."""

from __future__ import annotations

import json
import lzma
from pathlib import Path

import pytest
import torch

from avseg.models import load_model
from avseg.types import Batch, Clip, DensePrediction, InstancePrediction

FOLDER = Path(__file__).parents[1] / "golden" / "models_4cf0a38"
SAID = json.loads((FOLDER / "said.json").read_text(encoding="utf-8"))["said"]


def a_clip() -> Clip:
    g = torch.Generator().manual_seed(7)
    frames = torch.randint(0, 256, (5, 3, 64, 64), generator=g, dtype=torch.uint8)
    return Clip(
        "clip", frames, torch.arange(5, dtype=torch.float64), torch.rand(1, 96000, generator=g) * 0.2 - 0.1, 16000
    )


@pytest.mark.parametrize("family", sorted(SAID))
def test_an_old_file_opens_and_says_the_same(family: str, tmp_path: Path) -> None:
    path = tmp_path / f"{family}.safetensors"
    path.write_bytes(lzma.decompress((FOLDER / f"{family}.safetensors.xz").read_bytes()))
    model, said = load_model(path), SAID[family]
    assert len(model.state_dict()) == said["keys"]
    clip = a_clip().take([0]) if said.get("shape", [5])[0] == 1 else a_clip()
    (prediction,) = model.predict(Batch.collate([clip]))
    if isinstance(prediction, InstancePrediction):
        assert prediction.classes.tolist() == said["classes"]
        got = prediction.scores
    else:
        assert isinstance(prediction, DensePrediction) and list(prediction.logits.shape) == said["shape"]
        got = prediction.logits.flatten()[:: max(1, prediction.logits.numel() // 16)]
    assert torch.allclose(got, torch.tensor(said["values"]), atol=1e-4)
