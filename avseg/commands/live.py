"""`avseg live`: masks of a camera or a stream while it plays."""

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
    """Where the stream comes from."""

    camera: _Device = None
    """A camera in place of SOURCE, such as /dev/video0 (Linux: Video4Linux)."""
    microphone: _Device = None
    """The sound that goes with the camera: an ALSA device such as default, or hw:1."""
    ffmpeg: Annotated[tuple[str, ...], arg(metavar="NAME=VALUE")] = ()
    """Options of FFmpeg's reader of the source or camera, such as video_size=1280x720 framerate=30."""
    patience: _Seconds = 60.0
    """How long it is tried to connect again to a source that stalls or breaks off, before live ends with an error."""
    follow: bool = False
    """Also wait for a source that says that it has ended; when it does not come back, live ends without an error."""


@dataclasses.dataclass(frozen=True)
class LiveOutput:
    """Where the masks go; without any of it to a page."""

    page: bool = False
    """Serve a page with the painted pictures and the figures; this machine alone can open it."""
    port: int = 8765
    """Of the page; 0 takes a free one."""
    out: Annotated[Path | None, arg(metavar="FILE.mp4", aliases=["-o"])] = None
    """Write the painted pictures with the sound. The file plays up to its last second, whatever ends avseg."""
    overwrite: bool = False
    """Replace a file that is there."""
    seconds: Annotated[float | None, arg(metavar="SECONDS")] = None
    """End so long after the first picture; by default it goes on until the source ends or Ctrl-C."""


@dataclasses.dataclass(frozen=True)
class LiveObjects:
    """Which objects are marked."""

    classes: Annotated[str | None, arg(metavar="NAMES")] = None
    """Mark only these classes; their names with commas between them."""
    threshold: Annotated[float | None, arg(metavar="X")] = None
    """Leave out masks whose score (0 to 1) is not above this."""


def live(
    source: _Source = None,
    *,
    model: Annotated[str, arg(metavar="MODEL")],
    of: Annotated[LiveInput, arg(name="")] = LiveInput(),
    output: Annotated[LiveOutput, arg(name="")] = LiveOutput(),
    objects: Annotated[LiveObjects, arg(name="")] = LiveObjects(),
    running: Annotated[LiveRunning, arg(name="")] = LiveRunning(),
) -> int:
    """Mask what sounds in a camera's picture or a stream while it plays: as many pictures as the model can, the rest
    is left out.

    Args:
        source: An address that FFmpeg opens (rtsp, http, https, udp, tcp, rtmp, srt ...), or a video file, which plays
            in real time. Nothing where --camera is given.
        model: A model file, a Hugging Face Hub id, or "demo" for the small model of the synthetic world. It must see
            single pictures or a few at a time; models that look at a whole video are refused.
        of: Where the stream comes from.
        output: Where the masks go.
        objects: Which objects are marked.
        running: Where the model runs, and what computes it.
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
    """End at once, with status 0. All is written by now; Python would take PyTorch down first, which may take longer
    than somebody wants to wait who pressed Ctrl-C, and a reader may still wait inside FFmpeg for a packet."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def refuse_whole(model: str) -> None:
    """Refuse a model that opens by name and sees whole videos, before weights are asked for.

    Raises:
        ValueError: it is one.
    """
    named = opening_of(model)
    if named is None or named[0].opening is None:
        return
    config, _ = imported(named[0].opening.setting)(named[1], None, choices_of(named[0], {}))
    imported("avseg.live.window:LiveWindow")(config)


def summary(found: dict[str, float]) -> str:
    """One line of the figures at the end."""
    if not found["masks"]:
        return "no picture came"
    return (
        f"{found['masks']} of {found['frames']} pictures masked ({100 * found['dropped']:.0f} % left out), latency "
        f"{found['latency_median_ms']:.0f} ms (median), {found['latency_95_ms']:.0f} ms (95 %)"
    )
