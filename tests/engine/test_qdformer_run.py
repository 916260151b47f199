"""QDFormer in training: several processes, stopped runs, half precision, and what each leaves of the codebook."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from launch import run_two
from safetensors.torch import load_file
from small_qdformer import FRAMES, SMALL, VARIANTS, LocalPath, batch_of, built, local_steps, recipe, run
from tiny_run import Stop, assert_same_run, rows

from avseg.engine.training.objective import Objective
from avseg.models import load_model
from avseg.models.qdformer.config import QDFormerConfig
from avseg.models.qdformer.model import QDFormer

SCRIPT = Path(__file__).parent / "small_qdformer.py"
TERMS = {"class", "box", "giou", "mask", "dice", "commitment"}
EACH = pytest.mark.parametrize("config", VARIANTS.values(), ids=VARIANTS)


def test_two_processes_train_as_one(tmp_path: Path) -> None:
    """Half the batch in each: the same steps, codes counted together, and one codebook, of moving averages too.

    Restarted codes are drawn from the first process's tokens, so with them both processes are alike, but not one.
    """
    printed = run_two(SCRIPT, "train", str(tmp_path / "two"), "2")
    assert printed.split("\n").count("same codebook") == 2 * len(VARIANTS)
    for name in ("grad", "ema"):
        run(tmp_path / "one" / name, recipe(VARIANTS[name]))
        one, two = (load_file(tmp_path / p / name / "last.safetensors") for p in ("one", "two"))
        assert one.keys() == two.keys() and "network.quantizer.codebook" in one
        for key, value in one.items():
            torch.testing.assert_close({key: two[key]}, {key: value}, rtol=1e-3, atol=1e-5)
        single, double = (rows(tmp_path / p / name) for p in ("one", "two"))
        assert len(single) == len(double) == 4
        for a, b in zip(single, double, strict=True):
            assert b["loss"] == pytest.approx(a["loss"], rel=1e-4)
            assert b["measures"] == pytest.approx(a["measures"])


def test_the_local_path_leaves_the_codebook_alone_in_two_processes() -> None:
    assert run_two(SCRIPT, "local").split("\n").count("codebook as it was") == 2 * len(VARIANTS)


@EACH
def test_the_local_path_leaves_the_codebook_alone(config: QDFormerConfig) -> None:
    local_steps(config, LocalPath(built(config)))


@EACH
def test_the_global_path_moves_the_codebook(config: QDFormerConfig, tmp_path: Path) -> None:
    """Otherwise it would be no news that the local one does not."""
    before = built(config).network.quantizer.codebook.clone()  # type: ignore[union-attr]
    model = built(config)
    run(tmp_path, recipe(config, steps=1), model=model)
    assert not torch.equal(before, model.network.quantizer.codebook)  # type: ignore[union-attr]


@EACH
def test_an_interrupted_run_goes_on_bit_for_bit(config: QDFormerConfig, tmp_path: Path) -> None:
    """Dropout, averaged weights, and a codebook with averages and idle steps in buffers and restarts that are drawn."""
    config = replace(config, dropout=0.1)
    of = recipe(config, epochs=3, batch_size=2, accumulate=2, ema=0.9)
    run(tmp_path / "whole", of, val=2)
    stop, model = Stop(7), built(config)

    def hook(module: QDFormer, _: Any) -> None:
        if module.training:
            stop()

    model.register_forward_pre_hook(hook)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "stopped", of, val=2, model=model)
    run(tmp_path / "stopped", of, val=2)
    assert_same_run(tmp_path / "whole", tmp_path / "stopped")
    assert len(rows(tmp_path / "whole")) == 6


def test_rows_say_how_the_codebook_is_used(tmp_path: Path) -> None:
    run(tmp_path, recipe(epochs=1), val=2)
    steps = rows(tmp_path)
    assert len(steps) == 2 and set(steps[0]["terms"]) >= TERMS
    ends = ("perplexity", "largest_share", "unused")
    assert set(steps[0]["measures"]) == {f"{path}_codes_{end}" for path in ("global", "local") for end in ends}
    for row in steps:
        for path in ("global", "local"):
            assert 1 <= row["measures"][f"{path}_codes_perplexity"] <= 8
            assert 0 < row["measures"][f"{path}_codes_largest_share"] <= 1
            assert 0 <= row["measures"][f"{path}_codes_unused"] <= 7
    model = built(SMALL).train()
    batch = batch_of(4)
    counts = model.measures(model(batch))
    assert {name: float(taken.sum()) for name, taken in counts.items()} == {
        "global_codes": 4 * 3,
        "local_codes": 4 * FRAMES * 3,
    }
    assert not any(taken.requires_grad for taken in counts.values())


@pytest.mark.parametrize("changes", [{"quantise": False}, {"local_calibration": False}], ids=str)
def test_what_is_switched_off_has_no_measures(changes: dict[str, bool], tmp_path: Path) -> None:
    run(tmp_path, recipe(replace(SMALL, **changes), steps=1))  # type: ignore[arg-type]
    [row] = rows(tmp_path)
    names = {name.split("_")[0] for name in row.get("measures", {})}
    assert names == (set() if "quantise" in changes else {"global"})


@EACH
def test_training_in_half_precision_stays_finite(config: QDFormerConfig, tmp_path: Path) -> None:
    run(tmp_path, recipe(config, steps=2, precision="bf16"), val=2)
    assert len(rows(tmp_path)) == 2  # a term that is not finite would have stopped the run
    last = load_model(tmp_path / "last.safetensors")
    assert all(bool(torch.isfinite(value).all()) for value in last.state_dict().values())


@pytest.mark.parametrize("scale", [1.0, 3000.0])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_half_precision_finds_the_codes_of_float32(dtype: torch.dtype, scale: float) -> None:
    """Also of tokens whose squared distance float16 cannot hold; what is not finite there would be code 0."""
    model = built(SMALL).eval()
    quantizer = model.network.quantizer
    assert quantizer is not None
    with torch.no_grad(), torch.autocast("cpu", dtype):
        output = model(batch_of(4))
        far = quantizer((output.clip_tokens.raw * scale).to(dtype), learns=True)
    assert all(bool(layer.mask_logits.isfinite().all()) for layer in output.layers)
    for coded in (output.clip_tokens, far):
        wanted = torch.cdist(coded.raw.double(), quantizer.codebook.double()).argmin(-1)
        assert coded.codes is not None and torch.equal(coded.codes, wanted)
        assert coded.commitment_loss is not None and bool(coded.commitment_loss.isfinite())
    assert len(far.codes.unique()) > 1  # type: ignore[union-attr]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_gradients_in_half_precision_are_finite(dtype: torch.dtype) -> None:
    """Terms in float32 whatever the model ran in; without the scaler that a GPU has, gradients may be small but not
    broken."""
    model = built(SMALL).train()
    objective = Objective(model)
    with torch.autocast("cpu", dtype):
        terms = objective(batch_of(4))
    assert all(term.dtype == torch.float32 and bool(term.isfinite()) for term in terms.values())
    torch.stack(list(terms.values())).sum().backward()
    assert all(bool(p.grad.isfinite().all()) for p in model.parameters() if p.grad is not None)


def test_a_frozen_backbone_stays_as_it_was(tmp_path: Path) -> None:
    model = built(replace(SMALL, freeze_visual=True))
    before = {name: value.clone() for name, value in model.network.backbone.state_dict().items()}
    of = recipe(replace(SMALL, freeze_visual=True), steps=2)
    run(tmp_path, of, model=model)
    assert all(torch.equal(before[name], value) for name, value in model.network.backbone.state_dict().items())
    assert "backbone" not in rows(tmp_path)[0]["lr"]
    assert json.loads((tmp_path / "recipe.json").read_text(encoding="utf-8"))["model"]["freeze_visual"]
