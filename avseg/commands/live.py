"""`avseg live`: segment a camera or a stream while it plays."""

from __future__ import annotations

import dataclasses
import logging
import os
import sys
from pathlib import Path
from typing import Annotated, Optional

from tyro.conf import Positional, arg

from avseg.commands.running import LiveRunning
from avseg.io.stages import share_cores
from avseg.lazy import imported
from avseg.models.opening import choices_of, opening_of

_Source = Positional[Annotated[Optional[str], arg(metavar="SOURCE")]]  # noqa: UP045  tyro reads it inside the others
_Device = Annotated[str | None, arg(metavar="DEVICE")]
_Seconds = Annotated[float, arg(metavar="SECONDS")]


@dataclasses.dataclass(frozen=True)
class LiveInput:
    """Source of the stream."""

    camera: _Device = None
    """Camera to use instead of SOURCE, such as /dev/video0 (Linux: Video4Linux)."""
    microphone: _Device = None
    """Microphone for the camera: an ALSA device such as default or hw:1."""
    ffmpeg: Annotated[tuple[str, ...], arg(metavar="NAME=VALUE")] = ()
    """Options for FFmpeg's input, such as video_size=1280x720 framerate=30."""
    patience: _Seconds = 60.0
    """How long to try to reconnect to a source that stalls or disconnects before live ends with an error."""
    follow: bool = False
    """Also reconnect to a source that reports its end; if it does not come back, live ends without an error."""


@dataclasses.dataclass(frozen=True)
class LiveOutput:
    """Output of the masks; a page if nothing is given."""

    page: bool = False
    """Serve a page with the overlay and the figures; only this machine can open it."""
    port: int = 8765
    """Port of the page; 0 takes a free port."""
    out: Annotated[Path | None, arg(metavar="FILE.mp4", aliases=["-o"])] = None
    """Write the overlay with the sound to a file. The file stays playable however avseg ends."""
    overwrite: bool = False
    """Replace an existing file."""
    seconds: Annotated[float | None, arg(metavar="SECONDS")] = None
    """Stop this long after the first picture. The default is to run until the source ends or Ctrl-C."""


@dataclasses.dataclass(frozen=True)
class LiveObjects:
    """Objects to mark."""

    classes: Annotated[str | None, arg(metavar="NAMES")] = None
    """Mark only these classes; separate their names with commas."""
    threshold: Annotated[float | None, arg(metavar="X")] = None
    """Leave out masks with a score (0 to 1) at or below this value."""


def live(
    source: _Source = None,
    *,
    model: Annotated[str, arg(metavar="MODEL")],
    of: Annotated[LiveInput, arg(name="")] = LiveInput(),
    output: Annotated[LiveOutput, arg(name="")] = LiveOutput(),
    objects: Annotated[LiveObjects, arg(name="")] = LiveObjects(),
    running: Annotated[LiveRunning, arg(name="")] = LiveRunning(),
) -> int:
    """Segment sounding objects in a camera or stream while it plays, skipping frames that the model has no time for.

    Args:
        source: An address that FFmpeg opens (rtsp, http, https, udp, tcp, rtmp, srt ...), or a video file, which plays
            in real time. Leave it out with --camera.
        model: A model file, a Hugging Face Hub id, or "demo" for the small model of the synthetic world. It must
            predict single frames or a few at a time; models that need the whole video are refused.
        of: Source of the stream.
        output: Output of the masks.
        objects: Objects to mark.
        running: Device and engine of the model.
    """
    share_cores()
    inputs = imported("avseg.live.inputs:inputs_of")(
        source, camera=of.camera, microphone=of.microphone, options=of.ffmpeg
    )
    recording = output.out and imported("avseg.live.recording:Recording")(output.out, output.overwrite)
    refuse_whole(model)
    segmenter = imported("avseg.inference.segmenter:Segmenter").load(
        model, classes=objects.classes, threshold=objects.threshold, **dataclasses.asdict(running)
    )
    found = imported("avseg.live.run:run_live")(
        segmenter,
        inputs,
        recording=recording,
        port=output.port if output.page or output.out is None else None,
        patience=imported("avseg.live.reader:Patience")(of.patience, of.follow),
        seconds=output.seconds,
    )
    print(summary(found))
    if found["stopped"]:
        end_process()
    return 0


def end_process() -> None:
    """End the process at once with status 0.

    All output is written by now. A normal exit would first shut down PyTorch, which can take long after Ctrl-C, and a
    reader thread may still block inside FFmpeg."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def refuse_whole(model: str) -> None:
    """Refuse a model that opens by name and needs whole videos, before the download of its weights is offered.

    Raises:
        ValueError: if the model needs whole videos.
    """
    named = opening_of(model)
    if named is None or named[0].opening is None:
        return
    config, _ = imported(named[0].opening.setting)(named[1], None, choices_of(named[0], {}))
    imported("avseg.live.window:LiveWindow")(config)


def summary(found: dict[str, float]) -> str:
    """Return one line of figures for the end of the run."""
    if not found["masks"]:
        return "no picture arrived"
    return (
        f"{found['masks']} of {found['frames']} pictures masked ({100 * found['dropped']:.0f} % left out), latency "
        f"{found['latency_median_ms']:.0f} ms (median), {found['latency_95_ms']:.0f} ms (95 %)"
    )
