"""The training loop: what a run leaves behind, what a step is made of, what is refused."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tiny_run
import torch
from safetensors.torch import load_file
from timm.layers import BatchNormAct2d
from tiny_run import Stop, TinyConfig, TinyModel, TinyWorld, assert_same_run, recipe, rows, run, run_hooked
from torch import Tensor, nn

from avseg.engine.config import GroupConfig, OptimConfig
from avseg.engine.training import train as train_module
from avseg.engine.training.accelerator import share_statistics
from avseg.engine.training.checkpoint import newest_checkpoint, read_checkpoint, write_checkpoint
from avseg.engine.training.objective import in_float32
from avseg.engine.training.train import train
from avseg.models.compiled import compiled_calls
from avseg.models.header import read_header
from avseg.types import Clip, Task

EXACT = TinyConfig(dropout=0.0, frozen=True, double=True)


def test_a_run_leaves_what_the_docs_say(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    best = run(tmp_path / "run", recipe(accumulate=2))
    assert best == tmp_path / "run" / "best.safetensors"
    names = {path.name for path in best.parent.iterdir()}
    assert names == {
        *("best.safetensors", "last.safetensors", "metrics.jsonl", "recipe.json", "environment.json", "summary.json"),
        *("checkpoints", ".lock"),
    }
    steps = rows(best.parent)
    assert [row["step"] for row in steps] == [1, 2, 3, 4, 5, 6]
    assert [row["epoch"] for row in steps] == [0, 0, 0, 1, 1, 1]
    assert set(steps[0]) == {"event", "step", "epoch", "lr", "terms", "loss"}
    assert set(steps[0]["terms"]) == {"bce", "size"} and set(steps[0]["lr"]) == {"stem", "head"}
    assert steps[0]["loss"] == pytest.approx(sum(steps[0]["terms"].values()))
    checks = rows(best.parent, "validation")
    assert [row["epoch"] for row in checks] == [0, 1] and checks[0]["protocol"] == "published"
    summary = json.loads((best.parent / "summary.json").read_text(encoding="utf-8"))
    assert summary["steps"] == 6 and summary["last_figures"] == checks[-1]["figures"]
    assert summary["best"]["best.safetensors"] == max(row["figures"]["J"] for row in checks)
    assert [path.name for path in sorted((best.parent / "checkpoints").iterdir())] == [
        "step-000000004.pt",
        "step-000000006.pt",
    ]
    assert read_header(best).notes["step"] in ("3", "6")
    printed = capsys.readouterr().err
    assert "epoch 1  step 6/6  loss" in printed and "epoch 0  published  J" in printed
    assert printed.startswith("training tiny on synth: 14 clips, 4 to validate\n")
    assert "  length  6 steps in 2 epochs, 6 clips a step\n" in printed and f"  folder  {best.parent}\n" in printed
    assert "resuming" not in printed


def test_a_run_that_goes_on_says_from_where(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    of = recipe(save_every=3, model=TinyConfig())
    with pytest.raises(KeyboardInterrupt):
        run_hooked(tmp_path, of, Stop(8))
    assert f"in {tmp_path} from its newest checkpoint" in caplog.text
    with pytest.raises(KeyboardInterrupt):
        run_hooked(tmp_path / "early", of, Stop(1))
    assert "early from the first step" in caplog.text
    capsys.readouterr()
    run_hooked(tmp_path, of, None)
    printed = capsys.readouterr().err
    assert "\nresuming from step 6 of 84\n" in printed
    # Far fewer lines than the 39 times that rows are written every other step.
    assert 8 <= sum("  loss " in line for line in printed.splitlines()) <= 11


def test_a_run_learns(tmp_path: Path) -> None:
    run(tmp_path, recipe(epochs=25, eval_from=24, model=TinyConfig(dropout=0.0), optim=OptimConfig(lr=3e-2)))
    losses = [row["loss"] for row in rows(tmp_path)]
    assert losses[-1] < 0.7 * losses[0]
    assert [row["epoch"] for row in rows(tmp_path, "validation")] == [24]
    assert rows(tmp_path, "validation")[0]["figures"]["J"] > 0.7


@pytest.mark.parametrize(("batch", "accumulate"), [(2, 3), (4, 2), (1, 6)])
def test_accumulated_batches_make_the_step_of_one_large_batch(tmp_path: Path, batch: int, accumulate: int) -> None:
    """Also in the last step of an epoch of 14 clips, where batch and window are short."""
    optim = OptimConfig(lr=0.1, algorithm="sgd", clip_norm=0.5)
    of: dict[str, Any] = {"model": EXACT, "optim": optim, "eval_from": 9}
    run(tmp_path / "large", recipe(batch_size=batch * accumulate, **of))
    run(tmp_path / "small", recipe(batch_size=batch, accumulate=accumulate, **of))
    large, small = (load_file(tmp_path / name / "last.safetensors") for name in ("large", "small"))
    for name, value in large.items():
        torch.testing.assert_close(small[name], value, rtol=0, atol=1e-12)
    for one, other in zip(rows(tmp_path / "large"), rows(tmp_path / "small"), strict=True):
        assert one["terms"] == pytest.approx(other["terms"], abs=1e-12)


def test_clips_that_fill_no_batch_may_be_left_out(tmp_path: Path) -> None:
    """Of 14 clips 12 make four batches: a step of three of them and a step of one, each the mean over its clips."""
    still = OptimConfig(algorithm="sgd", lr=0.0)
    of: dict[str, Any] = {"model": EXACT, "optim": still, "epochs": 1, "drop_last": True, "eval_from": 9}
    run(tmp_path / "three", recipe(batch_size=3, accumulate=3, **of))
    run(tmp_path / "one", recipe(batch_size=3, **of))
    three, one = ([row["terms"]["bce"] for row in rows(tmp_path / name)] for name in ("three", "one"))
    assert three == pytest.approx([sum(one[:3]) / 3, one[3]], abs=1e-12)
    with pytest.raises(ValueError, match="14 clips do not fill one batch of 15"):
        run(tmp_path / "none", recipe(batch_size=15, **of))


def test_without_validation_the_last_model_is_the_result(tmp_path: Path) -> None:
    assert run(tmp_path, recipe(), val=0) == tmp_path / "last.safetensors"
    assert not (tmp_path / "best.safetensors").exists()


def test_validation_judges_and_keeps_the_moving_average(tmp_path: Path) -> None:
    run(tmp_path, recipe(ema=0.9, also_best=("J", "F")))
    checkpoint = newest_checkpoint(tmp_path / "checkpoints")
    assert checkpoint is not None
    state = read_checkpoint(checkpoint)
    kept = load_file(tmp_path / "last.safetensors")
    assert all(torch.equal(kept[name], value) for name, value in state["average"]["shadow"].items())
    assert not torch.equal(kept["network.0.weight"], state["model"]["network.0.weight"])
    assert (tmp_path / "best_J_and_F.safetensors").exists()


def test_losses_are_taken_in_float32_under_bf16(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[torch.dtype] = []
    forward, losses = TinyModel.forward, TinyModel.losses

    def watched_forward(self: TinyModel, batch: Any) -> Any:
        output = forward(self, batch)
        seen.append(output.logits.dtype)
        return output

    def watched_losses(self: TinyModel, output: Any, batch: Any) -> dict[str, Tensor]:
        terms = losses(self, output, batch)
        seen.extend([output.logits.dtype, terms["bce"].dtype, (output.logits @ output.logits).dtype])
        return terms

    monkeypatch.setattr(TinyModel, "forward", watched_forward)
    monkeypatch.setattr(TinyModel, "losses", watched_losses)
    run(tmp_path, recipe(precision="bf16", epochs=1), val=0)
    assert seen[:4] == [torch.bfloat16, torch.float32, torch.float32, torch.float32]


def test_half_precision_is_lifted_in_every_nest() -> None:
    half = torch.ones(2, dtype=torch.bfloat16)
    lifted = in_float32({"a": [half, (half, 3)], "b": tiny_run.TinyOutput(half), "c": torch.ones(1).long()})
    assert lifted["a"][0].dtype == lifted["a"][1][0].dtype == lifted["b"].logits.dtype == torch.float32
    assert lifted["a"][1][1] == 3 and lifted["c"].dtype == torch.int64


def test_a_compiled_network_gives_the_same_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def backend(graph: Any, _: Any) -> Any:
        seen.append(graph)
        return graph.forward

    monkeypatch.setattr(train_module, "compiled_calls", partial(compiled_calls, backend=backend))
    of: dict[str, Any] = {"model": TinyConfig(dropout=0.0), "epochs": 1}
    run(tmp_path / "plain", recipe(**of))
    assert not seen
    run(tmp_path / "compiled", recipe(compile=True, **of))
    assert seen
    plain, other = (load_file(tmp_path / name / "last.safetensors") for name in ("plain", "compiled"))
    assert plain.keys() == other.keys()
    for name, value in plain.items():
        torch.testing.assert_close(other[name], value)


def test_a_family_that_calls_nothing_of_what_it_compiles_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TinyModel, "compiles", ("postprocess",))
    with pytest.raises(ValueError, match=r"the family tiny calls none of its compiled parts \(postprocess\)"):
        run(tmp_path, recipe(compile=True), val=0)


class ShortWorld(TinyWorld):
    """Ends in the middle of the first epoch."""

    def __getitem__(self, index: int) -> Clip:
        self.reads = getattr(self, "reads", 0) + 1
        if self.reads > 12:
            raise KeyboardInterrupt
        return super().__getitem__(index)


def compiled_whole(model: TinyModel) -> Any:
    return torch.compile(model, backend="eager")


def compiled_in_part(model: TinyModel) -> Any:
    model.network[0] = torch.compile(model.network[0], backend="eager")
    return model


def as_it_is(model: TinyModel) -> Any:
    return model


@pytest.mark.parametrize("compiled", [compiled_whole, compiled_in_part])
def test_plain_and_compiled_models_go_on_from_each_other(tmp_path: Path, compiled: Callable[[TinyModel], Any]) -> None:
    """Checkpoints, averages and model files have the names of the plain model."""
    of = recipe(epochs=1, ema=0.9, model=TinyConfig(dropout=0.0))

    def go(folder: Path, change: Callable[[TinyModel], Any], world: TinyWorld) -> dict[str, Tensor]:
        torch.manual_seed(0)
        train(change(TinyModel(TinyConfig(dropout=0.0), Task("binary"))), world, None, of, folder)
        return load_file(folder / "last.safetensors")

    wanted = go(tmp_path / "plain", as_it_is, TinyWorld(14))
    for first, then in ((as_it_is, compiled), (compiled, as_it_is)):
        folder = tmp_path / first.__name__
        with pytest.raises(KeyboardInterrupt):
            go(folder, first, ShortWorld(14))
        assert newest_checkpoint(folder / "checkpoints") is not None
        found = go(folder, then, TinyWorld(14))
        assert found.keys() == wanted.keys()
        for name, value in wanted.items():
            torch.testing.assert_close(found[name], value)


def test_shared_statistics_keep_parameters_names_and_activations() -> None:
    """The conversion alone: torch has the layer on GPUs only."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 1), BatchNormAct2d(4), nn.Sequential(nn.BatchNorm2d(4), nn.BatchNorm1d(4)))
    before, names = dict(model.named_parameters()), list(model.state_dict())
    x = torch.randn(2, 3, 4, 4)
    wanted = model[:2].eval()(x)
    alone, several, gpus = (
        SimpleNamespace(num_processes=count, device=torch.device(kind))
        for count, kind in ((1, "cpu"), (2, "cpu"), (2, "cuda"))
    )
    share_statistics(alone, model)  # type: ignore[arg-type]
    assert not any(isinstance(module, nn.SyncBatchNorm) for module in model.modules())
    with pytest.raises(ValueError, match="sync_batch_norm works across GPUs only"):
        share_statistics(several, model)  # type: ignore[arg-type]
    share_statistics(gpus, model)  # type: ignore[arg-type]
    assert sum(isinstance(module, nn.SyncBatchNorm) for module in model.modules()) == 3
    assert list(model.state_dict()) == names
    assert all(parameter is before[name] for name, parameter in model.named_parameters())
    assert torch.equal(model[:2].eval()(x), wanted) and wanted.min() == 0  # its ReLU is still there


def test_validation_comes_more_often_towards_the_end(tmp_path: Path) -> None:
    run(tmp_path, recipe(epochs=7, eval_every=3, eval_always_from=5))
    assert [row["epoch"] for row in rows(tmp_path, "validation")] == [0, 3, 5, 6]


def test_sgd_and_adam_go_on_bit_for_bit_from_any_checkpoint(tmp_path: Path) -> None:
    of = recipe(optim=tiny_run.SGD_AND_ADAM, save_every=1, accumulate=2, epochs=1)
    run_hooked(tmp_path / "whole", of, None)
    steps = rows(tmp_path / "whole")
    assert steps[0]["lr"] == steps[1]["lr"] == {"stem": 1e-2, "head": 2e-2}
    total = len(steps)
    wanted = [1e-2 * (1 - max(k - 1, 0) / total) ** 0.9 for k in range(total)]
    assert [row["lr"]["stem"] for row in steps] == pytest.approx(wanted, rel=1e-12)
    assert {row["lr"]["head"] for row in steps} == {2e-2}
    for batch in (1, 4, 19, 42):
        folder = tmp_path / f"stopped{batch}"
        with pytest.raises(KeyboardInterrupt):
            run_hooked(folder, of, Stop(batch))
        run_hooked(folder, of, None)
        assert_same_run(tmp_path / "whole", folder)


def test_after_an_interrupt_the_run_goes_on_bit_for_bit(tmp_path: Path) -> None:
    of = recipe(epochs=1, accumulate=2, ema=0.9, save_every=3)
    run_hooked(tmp_path / "whole", of, None)
    with pytest.raises(KeyboardInterrupt):
        run_hooked(tmp_path / "stopped", of, Stop(26))
    assert newest_checkpoint(tmp_path / "stopped" / "checkpoints").name == "step-000000012.pt"  # type: ignore[union-attr]
    run_hooked(tmp_path / "stopped", of, None)
    assert_same_run(tmp_path / "whole", tmp_path / "stopped")


def _without_summary(folder: Path) -> None:
    """Make a finished run look as if it had been stopped at its very end."""
    (folder / "summary.json").unlink()


def test_a_folder_belongs_to_one_run(tmp_path: Path) -> None:
    run(tmp_path, recipe(epochs=1))
    with pytest.raises(ValueError, match="holds a finished run"):
        run(tmp_path, recipe(epochs=1))
    _without_summary(tmp_path)
    with pytest.raises(ValueError, match=r"another recipe \(train.epochs was 1 and is 2\)"):
        run(tmp_path, recipe(epochs=2))
    with pytest.raises(ValueError, match="holds an unfinished run"):
        run(tmp_path, recipe(epochs=1), resume=False)
    before = (tmp_path / "metrics.jsonl").read_bytes()
    run(tmp_path, recipe(epochs=1, log_every=1, save_every=7))
    assert (tmp_path / "metrics.jsonl").read_bytes() == before


def test_a_run_without_a_checkpoint_leaves_its_folder_free(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_hooked(tmp_path, recipe(epochs=1), Stop(1))
    assert (tmp_path / "recipe.json").exists()
    run(tmp_path, recipe(epochs=2))
    assert json.loads((tmp_path / "recipe.json").read_text(encoding="utf-8"))["train"]["epochs"] == 2


def test_a_run_of_an_older_version_goes_on(tmp_path: Path) -> None:
    """Settings that it did not have count as their defaults; no other change passes."""
    run(tmp_path, recipe(epochs=1, optim=OptimConfig(lr=1e-2, parts={"head": GroupConfig(lr=1e-3)})))
    _without_summary(tmp_path)
    path = tmp_path / "recipe.json"
    written = json.loads(path.read_text(encoding="utf-8"))
    for part, names in {"optim": ("lag", "floor", "decay"), "train": ("drop_last",), "data": ("labels_at",)}.items():
        for name in names:
            del written[part][name]
    del written["optim"]["parts"]["head"]["algorithm"]
    path.write_text(json.dumps(written), encoding="utf-8")
    optim = OptimConfig(lr=1e-2, parts={"head": GroupConfig(lr=1e-3)})
    with pytest.raises(ValueError, match=r"another recipe \(optim.lag was 0 and is 1\)"):
        run(tmp_path, recipe(epochs=1, optim=replace(optim, lag=1)))
    run(tmp_path, recipe(epochs=1, optim=optim))
    assert (tmp_path / "summary.json").exists()
    assert json.loads(path.read_text(encoding="utf-8"))["optim"]["lag"] == 0


def test_a_checkpoint_of_more_processes_is_refused(tmp_path: Path) -> None:
    run(tmp_path, recipe(epochs=1))
    _without_summary(tmp_path)
    path = newest_checkpoint(tmp_path / "checkpoints")
    assert path is not None
    state = read_checkpoint(path)
    torch.save({**state, "random": state["random"] * 2}, path)
    with pytest.raises(ValueError, match="written by 2 processes, but now there are 1"):
        run(tmp_path, recipe(epochs=1))


def test_damaged_and_foreign_checkpoints_are_refused(tmp_path: Path) -> None:
    run(tmp_path / "run", recipe(epochs=1))
    path = newest_checkpoint(tmp_path / "run" / "checkpoints")
    assert path is not None
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="cannot be read as a checkpoint"):
        read_checkpoint(path)

    class Malicious:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "ran",)

    path.write_bytes(pickle.dumps(Malicious()))
    with pytest.raises(ValueError, match="cannot be read as a checkpoint"):
        read_checkpoint(path)
    torch.save({"weights": torch.ones(1)}, path)
    with pytest.raises(ValueError, match="not a checkpoint of format 1"):
        read_checkpoint(path)
    assert not (tmp_path / "ran").exists()


def test_a_term_that_is_no_number_stops_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    losses, calls = TinyModel.losses, []

    def spoilt(self: TinyModel, output: Any, batch: Any) -> dict[str, Tensor]:
        terms = losses(self, output, batch)
        calls.append(1)
        return {**terms, "size": terms["size"] * float("nan")} if len(calls) == 7 else terms

    monkeypatch.setattr(TinyModel, "losses", spoilt)
    with pytest.raises(FloatingPointError, match=r"loss term 'size' became nan at step 7 \(epoch 1\)"):
        run(tmp_path, recipe(log_every=100, save_every=100))
    checkpoint = newest_checkpoint(tmp_path / "checkpoints")
    assert checkpoint is not None and checkpoint.name == "step-000000005.pt"
    assert all(torch.isfinite(value).all() for value in read_checkpoint(checkpoint)["model"].values())


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"strategy": "fsdp2"}, "shards over GPUs, and this machine has none; use ddp"),
        ({"precision": "fp16"}, "needs a GPU"),
        ({"trackers": ("tensorbord",)}, "did you mean 'tensorboard'"),
        ({"ema": 1.0}, "a decay between 0 and 1"),
        ({"also_best": ("mIoU",)}, "also_best names 'mIoU'"),
        ({"protocol": "publisht"}, "did you mean 'published'"),
        ({"optim": OptimConfig(parts={"haed": GroupConfig(lr=0.1)})}, "did you mean 'head'"),
    ],
)
def test_a_recipe_that_cannot_run_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], sentence: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match=sentence):
        run(tmp_path, recipe(**changes))


@pytest.mark.parametrize(("clips", "val", "which"), [(0, 4, "training"), (4, None, "validation")])
def test_an_empty_data_set_is_refused(tmp_path: Path, clips: int, val: int | None, which: str) -> None:
    model, val_set = TinyModel(TinyConfig(), Task("binary")), TinyWorld(0 if val is None else val)
    with pytest.raises(ValueError, match=f"the {which} set has no clips"):
        train(model, TinyWorld(clips), val_set, recipe(), tmp_path)
    assert not (tmp_path / "recipe.json").exists()


def test_short_epochs_are_not_each_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a large model writing takes longer than the few steps of an epoch: validation, `save_every` and the end do."""
    kept: list[int] = []

    def write(folder: Path, step: int, state: dict[str, Any]) -> Path:
        kept.append(step)
        return write_checkpoint(folder, step, state)

    monkeypatch.setattr("avseg.engine.training.train.write_checkpoint", write)
    of = recipe(epochs=9, batch_size=4, eval_every=5, save_every=3)
    train(TinyModel(of.model, Task("binary")), TinyWorld(4), TinyWorld(2), of, tmp_path)  # type: ignore[arg-type]
    assert kept == [1, 4, 6, 9]
