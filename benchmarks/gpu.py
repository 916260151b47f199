"""Every family on one GPU in at most four minutes: frames a second, memory, precisions, compiling, sharding, losses.

    python benchmarks/gpu.py --out gpu.json             all of it
    python benchmarks/gpu.py --device cpu --quick       the same with small networks, to see that nothing is broken

It wants PyTorch, torchvision, timm, accelerate and scipy alone. Rows are measured from the most wanted to the least; a
row that fails holds its error, and one that no time is left for says so. A second run finds compiled graphs in
PyTorch's cache. The table goes to the standard error stream, JSON to the standard output and to `--out`.
"""

from __future__ import annotations

import gc
import math
import os
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from gpu_subjects import HALVES, SETTINGS, Trainer, autocast, batch_of, compiled, model_of
from harness import options_of, parser, tell
from torch import distributed
from torch.distributed.fsdp import fully_shard
from torch.profiler import ProfilerActivity, profile

from avseg.models.base import Model
from avseg.types import Batch

BEGIN = time.monotonic()
SECONDS = 235.0
TO_COMPILE = 40.0
"""s that a row may take which compiles a network that is not in PyTorch's cache."""
AIM = {"frames_per_second": 365, "step_ratio": 0.35}
"""TPAVI with ResNet-50 at batch 1; a step of training to that of eager fp32."""
Row = dict[str, Any]


class Bench:
    """Rows, and the time that is left for more of them."""

    def __init__(self, device: torch.device, quick: bool, seconds: float) -> None:
        self.device, self.quick, self.end = device, quick, BEGIN + seconds
        self.rows: list[Row] = []
        self.models: dict[str, Model[Any]] = {}
        self.batches: dict[tuple[str, int], Batch] = {}
        self.backend = "eager" if quick else "inductor"

    def model(self, family: str) -> Model[Any]:
        """On the device; made once, so that its weights go on from row to row."""
        if family not in self.models:
            self.models[family] = model_of(family, self.quick).to(self.device)
        return self.models[family]

    def batch(self, family: str, clips: int, size: tuple[int, int] | None = None, seed: int = 0) -> Batch:
        """On the device."""
        setting = SETTINGS[family]
        size = (64, 64) if self.quick else size or setting.size
        return batch_of(self.model(family), clips, size, setting.frames, seed).to(self.device)

    def same_batch(self, family: str, clips: int) -> Batch:
        """The same; made once, and no other of the family is kept beside it."""
        if (family, clips) not in self.batches:
            self.batches = {key: batch for key, batch in self.batches.items() if key[0] != family}
            self.batches[family, clips] = self.batch(family, clips)
        return self.batches[family, clips]

    def row(self, facts: Row, measure: Callable[[], Row], needs: float = 0.0) -> None:
        """Measure one row, if `needs` s are left; what goes wrong costs this one alone."""
        begin = time.monotonic()
        if begin + needs > self.end:
            facts = {**facts, "error": "no time was left"}
        else:
            try:
                facts = {**facts, **measure()}
            except Exception as error:  # noqa: BLE001  it is told in the row
                facts = {
                    **facts,
                    "error": f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}",
                }
        self.rows.append({**facts, "took": round(time.monotonic() - begin, 1)})
        print(line(self.rows[-1]), file=sys.stderr, flush=True)
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def timed(self, run: Callable[[], Any], frames: int) -> Row:
        """Frames a second, ms of a run and peak of memory, after two runs for warmth."""
        least, most = (0.05, 2) if self.quick else (0.6, 50)
        for _ in range(2):
            run()
        self.wait()
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        begin, runs = time.perf_counter(), 0
        while runs < most and time.perf_counter() - begin < least:
            run()
            runs += 1
            if runs % 5 == 0:
                self.wait()
        self.wait()
        seconds = (time.perf_counter() - begin) / runs
        peak = torch.cuda.max_memory_allocated() / 2**20 if self.device.type == "cuda" else None
        told: Row = {"ms": round(1000 * seconds, 2), "frames_per_second": round(frames / seconds, 1)}
        return {**told, **({} if peak is None else {"peak_mib": round(peak)})}


def measured(bench: Bench, family: str, what: str, precision: str, clips: int, compile_: bool) -> Row:
    """A forward pass, or a step of training."""
    model, batch = bench.model(family), bench.same_batch(family, clips)
    frames = batch.valid.numel()
    with compiled(model, compile_, bench.device, bench.backend):
        if what == "step":
            trainer = Trainer(model, precision, bench.device)

            def step() -> None:
                if compile_:
                    torch.compiler.cudagraph_mark_step_begin()
                trainer.step(batch)

            return bench.timed(step, frames)
        model.eval()
        with torch.inference_mode(), autocast(bench.device, HALVES[precision]):
            return bench.timed(lambda: model(batch), frames)


def speed(bench: Bench, families: list[str], precision: str, clips: int, compile_: bool = False) -> None:
    """A forward pass and a step of each family."""
    for family in families:
        for what in ("forward", "step"):
            facts = {"family": family, "what": what, "precision": precision, "batch": clips, "compile": compile_}
            bench.row(
                facts,
                lambda f=family, w=what: measured(bench, f, w, precision, clips, compile_),  # type: ignore[misc]
                needs=TO_COMPILE if compile_ and not bench.quick else 0.0,
            )


def channels_last(bench: Bench, families: list[str], clips: int) -> None:
    """A step in bf16 with all maps channels last; most networks have them so anyway."""
    for family in families:

        def step(family: str = family) -> Row:
            bench.model(family).to(memory_format=torch.channels_last)
            return measured(bench, family, "step", "bf16", clips, False)

        bench.row({"family": family, "what": "step", "precision": "bf16", "batch": clips, "layout": "last"}, step)


def attention(bench: Bench, family: str) -> Row:
    """Which kernels attention takes in a step in bf16, and their share of the step's time."""
    batch, trainer = bench.batch(family, 2), Trainer(bench.model(family), "bf16", bench.device)
    trainer.step(batch)
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if bench.device.type == "cuda" else [])]
    with profile(activities=activities) as recorded:
        trainer.step(batch)
        bench.wait()
    averages = recorded.key_averages()
    calls = {one.key: one.count for one in averages if one.key.startswith("aten::_scaled_dot_product")}
    whole = sum(one.count for one in averages if one.key == "aten::scaled_dot_product_attention")
    fused = sum(count for key, count in calls.items() if "backward" not in key and "math" not in key)
    self_time = "self_device_time_total" if bench.device.type == "cuda" else "self_cpu_time_total"
    total = sum(getattr(one, self_time, 0) for one in averages)
    words = ("flash", "fmha", "efficient_attention", "scaled_dot_product", "cudnn_attention")
    own = sum(getattr(one, self_time, 0) for one in averages if any(word in one.key.lower() for word in words))
    return {
        "attention_calls": whole,
        "fused_share": round(fused / whole, 3) if whole else None,
        "time_share": round(own / total, 4) if total else None,
        "kernels": {key.removeprefix("aten::_scaled_dot_product_"): count for key, count in sorted(calls.items())},
    }


def sharded(bench: Bench) -> Row:
    """FSDP2 in one process: its loss is that of the plain model, step for step."""
    model, twin = (model_of("tpavi", bench.quick).to(bench.device) for _ in range(2))
    twin.load_state_dict(model.state_dict())
    model.to(memory_format=torch.contiguous_format)  # FSDP2 shards no weights that have their channels last
    batch = bench.batch("tpavi", 2)
    plain = Trainer(twin, "bf16", bench.device)
    distributed.init_process_group(
        "nccl" if bench.device.type == "cuda" else "gloo", store=distributed.HashStore(), rank=0, world_size=1
    )
    try:
        mesh = distributed.init_device_mesh(bench.device.type, (1,))
        fully_shard(model, mesh=mesh)
        trainer = Trainer(model, "bf16", bench.device)
        fully_shard(trainer.objective, mesh=mesh)
        losses = [(float(trainer.step(batch)), float(plain.step(batch))) for _ in range(3)]
        told = bench.timed(lambda: trainer.step(batch), 10)
    finally:
        distributed.destroy_process_group()
    apart = max(abs(one - other) / max(abs(other), 1e-6) for one, other in losses)
    return {**told, "loss_apart": round(apart, 5), "fine": apart < 0.02}


def learns(bench: Bench, steps: int) -> Row:
    """AVISM with ResNet-50 in bf16 on sixteen clips of two, again and again: losses must fall."""
    batches = [bench.batch("avism", 2, (192, 320), seed) for seed in range(8)]
    trainer = Trainer(model_of("avism", bench.quick).to(bench.device), "bf16", bench.device)
    begin = time.perf_counter()
    losses = torch.stack([trainer.step(batches[step % len(batches)]) for step in range(steps)]).float().cpu()
    tenth = max(steps // 10, 1)
    curve = [round(float(part.mean()), 4) for part in losses.split(tenth)]
    told = {"steps": steps, "losses": curve, "seconds": round(time.perf_counter() - begin, 1)}
    return {**told, "fine": math.isfinite(curve[-1]) and curve[-1] < curve[0]}


def scaled(bench: Bench, family: str, steps: int) -> Row:
    """fp16 with a scaled loss: finite, and how often a step was left out."""
    batch, trainer = (
        bench.batch(family, 2),
        Trainer(model_of(family, bench.quick).to(bench.device), "fp16", bench.device),
    )
    losses, scales = [], [trainer.scaler.get_scale()]
    for _ in range(steps):
        losses.append(float(trainer.step(batch)))
        scales.append(trainer.scaler.get_scale())
    left_out = sum(after < before for before, after in pairwise(scales))
    return {
        "first": round(losses[0], 4),
        "last": round(losses[-1], 4),
        "left_out": left_out,
        "scale": scales[-1],
        "fine": all(map(math.isfinite, losses)) and left_out < steps,
    }


def line(row: Row) -> str:
    """A row of the table."""
    names = ("family", "what", "precision", "batch")
    head = " ".join(f"{row.get(name, '')!s:<{width}}" for name, width in zip(names, (12, 10, 5, 3), strict=True))
    marks = ["compiled"] * bool(row.get("compile")) + ["channels last"] * ("layout" in row)
    rest = {k: v for k, v in row.items() if k not in (*names, "compile", "layout")}
    return f"{head} {' '.join(marks):<14} " + "  ".join(f"{key} {value}" for key, value in rest.items())


def verdicts(rows: list[Row]) -> Row:
    """What was aimed at."""

    def best(what: str, value: str, pick: Callable[..., Any], **wanted: Any) -> float | None:
        facts = {"family": "tpavi", "what": what, "batch": 1, **wanted}
        found = [row[value] for row in rows if value in row and all(row.get(k) == v for k, v in facts.items())]
        return pick(found) if found else None

    rate = best("forward", "frames_per_second", max)
    slow, quick = best("step", "ms", min, precision="fp32", compile=False), best("step", "ms", min)
    ratio = round(quick / slow, 3) if slow and quick else None
    return {
        "tpavi_forward_frames_per_second": {"found": rate, "wanted": AIM["frames_per_second"]},
        "tpavi_step_to_eager_fp32": {"found": ratio, "wanted": AIM["step_ratio"]},
        "failed_rows": sum("error" in row for row in rows),
        "rows": len(rows),
    }


def run_all(bench: Bench, families: list[str], batches: list[int]) -> None:
    """Rows in the order of how much they are wanted."""
    for clips in batches[:2]:
        for precision in ("fp32", "bf16"):
            speed(bench, families, precision, clips)
    speed(bench, families[:1], "bf16", batches[0], compile_=True)
    steps = 4 if bench.quick else 500
    if "avism" in families:
        bench.row({"family": "avism", "what": "learns", "precision": "bf16", "batch": 2}, lambda: learns(bench, steps))
    for family in [name for name in ("tpavi", "avism") if name in families]:
        facts = {"family": family, "what": "scaled", "precision": "fp16", "batch": 2}
        bench.row(facts, lambda f=family: scaled(bench, f, 2 if bench.quick else 20))  # type: ignore[misc]
    if "tpavi" in families:
        bench.row({"family": "tpavi", "what": "fsdp2", "precision": "bf16", "batch": 2}, lambda: sharded(bench))
    for family in families:
        facts = {"family": family, "what": "attention", "precision": "bf16", "batch": 2}
        bench.row(facts, lambda f=family: attention(bench, f))  # type: ignore[misc]
    for clips in batches[2:]:
        for precision in ("fp32", "bf16"):
            speed(bench, families, precision, clips)
    channels_last(bench, families, batches[len(batches) // 2])
    speed(bench, families[1:], "bf16", batches[0], compile_=True)
    for clips in batches[1:]:
        speed(bench, families, "bf16", clips, compile_=True)


def main() -> None:
    shared = parser(__doc__, threads=max(1, (os.cpu_count() or 2) // 2))
    shared.add_argument("--device", default="cuda")
    shared.add_argument("--quick", action="store_true", help="small networks, one batch, two runs each")
    shared.add_argument("--families", nargs="+", default=list(SETTINGS), choices=list(SETTINGS))
    shared.add_argument("--batches", type=int, nargs="+", help="clips at once; by default 1, 8 and 32")
    shared.add_argument("--seconds", type=float, default=SECONDS, help="when no more row is begun")
    options = options_of(shared)
    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        sys.exit("this machine has no GPU that PyTorch can use; try --device cpu --quick")
    bench = Bench(device, options.quick, options.seconds)
    run_all(bench, options.families, options.batches or ([2] if options.quick else [1, 8, 32]))
    name = torch.cuda.get_device_name() if device.type == "cuda" else "cpu"
    facts = {"device": name, "torch": torch.__version__, "quick": options.quick, "threads": options.threads}
    tell({"benchmark": "gpu", **facts, "verdicts": verdicts(bench.rows), "rows": bench.rows}, options.out)


if __name__ == "__main__":
    main()
