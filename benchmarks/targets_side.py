"""One side of `targets.py`: a process that builds what a row times, and runs it once each time it is told to.

It is started by `targets.py` with a tree of avseg on the path of Python, reads a word a line (run, floor, profile), and
answers with a line of JSON. `--peak` runs `avseg` with the words behind it instead, and tells the most memory it had.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from typing import Any

import torch
from harness import peak_mib

TOP = 8
"""Kinds of work in a profile."""


def seconds_of(run: Any) -> dict[str, float]:
    """By the clock and of processor time."""
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


class Side:
    """A row's work, open."""

    def __init__(self, name: str, options: dict[str, Any]) -> None:
        from targets_cases import CASES

        self.work = CASES[name](**options)
        self.trains = "step" in name
        if self.work.model is not None:  # or torch cannot count operations where a part is given a parameter
            self.work.model.requires_grad_(False)

    def run(self) -> dict[str, float]:
        with torch.inference_mode(not self.trains):
            return seconds_of(self.work.run)

    def floor(self) -> dict[str, Any]:
        """What the row cannot do without."""
        if self.work.video is not None:
            return self._film_floor()
        assert self.work.plain is not None
        with torch.inference_mode(not self.trains):
            return self._network_floor(self.work.plain, self.work.precision)

    def _network_floor(self, plain: Any, precision: str) -> dict[str, Any]:
        from avseg.engines.speed import flops, matrix_flops

        count, peak = flops(plain), matrix_flops(precision, torch.device("cpu"), 2.0)
        assert peak is not None
        return {
            "bound": "products of matrices alone",
            "seconds": count / peak,
            "gflop": count / 1e9,
            "gflop_per_second": peak / 1e9,
        }

    def _film_floor(self) -> dict[str, Any]:
        from avseg.engines.speed import flops, matrix_flops
        from avseg.inference import Segmenter
        from avseg.inference.source import clips_of
        from avseg.io.media import probe
        from avseg.io.video import VideoWriter, iter_frames
        from avseg.types import Batch

        video, model = self.work.video, self.work.model
        assert video is not None
        info = probe(video)
        pictures = [picture for _, picture in iter_frames(video)]

        def encode() -> None:
            with VideoWriter(video.with_suffix(".encoded.mp4"), info.fps) as writer:
                for picture in pictures:
                    writer.write(picture)

        decoding, encoding = seconds_of(lambda: [None for _ in iter_frames(video)]), seconds_of(encode)
        pictures.clear()
        segmenter = Segmenter(model, fps=5, device="cpu", engine="torch", precision="fp32")
        clip = next(iter(clips_of(info, model.config, segmenter.plan, segmenter.plan.span(5))))
        length = 5 if model.config.temporal.kind == "block" else 1
        part = Batch.collate([clip.take(range(length))])
        peak = matrix_flops(self.work.precision, torch.device("cpu"), 2.0)
        assert peak is not None
        network = flops(lambda: model.predict(part)) / length * info.duration * 5 / peak
        threads = torch.get_num_threads()
        every = (decoding["cpu"] + encoding["cpu"]) / (os.cpu_count() or 1) + network * threads / (os.cpu_count() or 1)
        parts = {"decode": decoding["wall"], "encode": encoding["wall"], "network": network}
        longest = max(parts, key=lambda name: parts[name])
        side_by_side = max(parts[longest], every)
        bound = f"{longest} alone" if side_by_side == parts[longest] else "all of them on all cores"
        return {"bound": bound, "seconds": side_by_side, "parts": parts, "processor": decoding["cpu"] + encoding["cpu"]}

    def profile(self) -> list[dict[str, Any]]:
        """Where the time goes, the longest first."""
        if self.work.video is not None:
            return self._film_profile()
        return self._engine_profile() if self.work.seam else self._torch_profile()

    def _torch_profile(self) -> list[dict[str, Any]]:
        from torch.profiler import ProfilerActivity, profile

        with torch.inference_mode(not self.trains), profile(activities=[ProfilerActivity.CPU]) as recorded:
            self.work.run()
        events = sorted(recorded.key_averages(), key=lambda event: -event.self_cpu_time_total)
        total = sum(event.self_cpu_time_total for event in events)
        return [{"what": e.key, "share": e.self_cpu_time_total / total, "calls": e.count} for e in events[:TOP]]

    def _engine_profile(self) -> list[dict[str, Any]]:
        """Of OpenVINO's graph of the part for one usual group, by the kind of its nodes."""
        import openvino

        from avseg.engines import ports, trace

        model, name = self.work.model, self.work.seam
        given = ports.parts_of(model, sizes=False)[name].calls[0][0]
        graph = openvino.convert_model(trace.of_shape(model, name, given))
        settings = {"INFERENCE_PRECISION_HINT": self.work.precision, "PERF_COUNT": True}
        request = openvino.Core().compile_model(graph, "CPU", settings).create_infer_request()
        for _ in range(3):
            request.infer([tensor.numpy() for tensor in given])
        spent: dict[str, float] = {}
        for node in request.profiling_info:
            kind = f"{node.node_type} {node.exec_type}"
            spent[kind] = spent.get(kind, 0.0) + node.real_time.total_seconds()
        total = sum(spent.values())
        first = sorted(spent, key=lambda kind: -spent[kind])[:TOP]
        return [{"what": kind, "share": spent[kind] / total} for kind in first]

    def _film_profile(self) -> list[dict[str, Any]]:
        """The same film with less to do, as shares of the whole."""
        from avseg.inference import Segmenter, predict_folder

        video = self.work.video
        assert video is not None
        choice = {"engine": "openvino", "precision": "bf16"} if self.work.precision == "bf16" else {}
        segmenter = Segmenter(self.work.model, fps=5, device="cpu", **choice)
        whole = self.run()["wall"]
        ways = {
            "masks in memory": lambda: [None for _ in segmenter.stream(video)],
            "masks as PNG": lambda: predict_folder(segmenter, [video], video.parent / "masks", overwrite=True),
        }
        return [{"what": name, "share": seconds_of(way)["wall"] / whole} for name, way in ways.items()]


def peak(words: list[str]) -> float:
    """MiB of this process after `avseg WORDS`."""
    from avseg.cli import run

    status = run(words)
    assert status == 0, f"avseg ended with {status}"
    return peak_mib()


def answered(work: Any, lacks: tuple[type[Exception], ...] = ()) -> dict[str, Any]:
    """What work gives, or why it cannot be; errors of the kinds `lacks` say what this machine has not."""
    try:
        return {"answer": work()}
    except lacks as error:
        traceback.print_exc()
        return {"absent": " ".join(str(error).split())}
    except Exception as error:  # noqa: BLE001  told by the other process
        traceback.print_exc()
        return {"failed": f"{type(error).__name__}: {error}"}


def main() -> None:
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what is printed is no answer

    def say(found: dict[str, Any]) -> None:
        print(json.dumps(found), file=channel, flush=True)

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    if sys.argv[1] == "--peak":
        say(answered(lambda: peak(sys.argv[2:])))
        return
    if sys.argv[1] == "--avism":
        from targets_cases import avism_file

        say(answered(lambda: avism_file(**json.loads(sys.argv[2]))))
        return
    opened: list[Side] = []
    said = answered(lambda: opened.append(Side(sys.argv[1], json.loads(sys.argv[2]))), (ImportError, ValueError))
    say(said)
    for line in sys.stdin if opened else ():
        say(answered(getattr(opened[0], line.strip())))


if __name__ == "__main__":
    main()
