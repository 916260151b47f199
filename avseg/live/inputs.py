"""The inputs of a stream: an address, a file, or a camera and a microphone."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import av

from avseg.io.media import OPTIONS, MediaError, any_metadata

NETWORK = "http,https,httpproxy,tcp,tls,crypto,rtsp,rtsps,rtp,srtp,udp,rtmp,rtmps,srt,data"
"""Protocols of addresses; a remote playlist may not open local files."""
OPENING, SILENCE = 10.0, 5.0
"""Time limit in s for opening, and time in s without a packet after which a stream counts as stalled."""


@dataclass(frozen=True)
class Input:
    """One input for FFmpeg."""

    address: str
    name: str
    """Its name in messages, without password and query."""
    format: str | None = None
    """FFmpeg's name of the device format; None: FFmpeg detects the format."""
    options: Mapping[str, str] = field(default_factory=dict)
    """Options for FFmpeg."""
    gives: frozenset[str] = frozenset({"picture", "sound"})
    stamped_by_wall: bool = False
    """Whether its timestamps are wall-clock times, which are comparable between devices."""
    is_file: bool = False

    def opened(self) -> Any:
        """Open the container.

        Raises:
            MediaError: it cannot be opened.
        """
        try:
            return av.open(
                self.address,
                format=self.format,
                options=dict(self.options),
                timeout=(OPENING, SILENCE),
                **any_metadata(),
            )
        except (av.error.FFmpegError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            if isinstance(error, av.error.ExitError):
                reason = f"no answer for {OPENING:g} s"
            raise MediaError(f"{self.name} cannot be opened ({reason})") from error


def inputs_of(
    source: str | None = None,
    *,
    camera: str | None = None,
    microphone: str | None = None,
    options: Sequence[str] = (),
) -> tuple[Input, ...]:
    """Return the inputs in the order in which to open them.

    Args:
        source: an address (rtsp, http, https, udp, tcp, rtmp, srt ...) or a video file, which plays in real time.
        camera: a device such as /dev/video0, in place of `source`.
        microphone: an ALSA device such as `default`, beside a camera.
        options: of FFmpeg's reader of the source or the camera, each as NAME=VALUE.

    Raises:
        ValueError: nothing, or both, or an option that is none.
        MediaError: no such file, or an FFmpeg without devices.
    """
    more = dict(_option(text) for text in options)
    if source is not None and (camera is not None or microphone is not None):
        raise ValueError(
            "both a source and a device are given; give an address or a file, or --camera and --microphone"
        )
    if source is not None:
        return (_source(source, more),)
    if camera is None:
        raise ValueError("there is no video source; give an address, a video file, or --camera /dev/video0")
    devices = [_device("camera", "v4l2", camera, {"timestamps": "abs", **more}, "picture")]
    if microphone is not None:
        devices.append(_device("microphone", "alsa", microphone, {}, "sound"))
    return tuple(devices)


def _source(source: str, more: Mapping[str, str]) -> Input:
    scheme = re.match(r"[a-z][a-z0-9+]+:(?=//)", source, re.IGNORECASE)
    if scheme is None:
        path = Path(source)
        if not path.is_file():
            raise MediaError(f"{source} is neither a file nor an address such as rtsp://HOST/PATH or udp://@:PORT")
        return Input(str(path.resolve()), path.name, options={**OPTIONS, **more}, is_file=True)
    usual = {"protocol_whitelist": NETWORK, "merge_pmt_versions": "1"}
    if scheme[0].lower().startswith("rtsp"):
        usual["rtsp_transport"] = "tcp"
    if scheme[0].lower().startswith("http"):
        usual["multiple_requests"] = "1"  # without it FFmpeg 9 takes the end of a stream in chunks for a fault
    return Input(source, shown(source), options={**usual, **more})


def shown(address: str) -> str:
    """Return an address without user, password and query, which may contain secrets."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _device(what: str, kind: str, address: str, options: Mapping[str, str], gives: str) -> Input:
    try:
        av.format.ContainerFormat(kind, "r")
    except ValueError as error:
        raise MediaError(
            f"the FFmpeg in this PyAV ({av.__version__}) has no {kind} input, so it cannot "
            f"open a {what}; PyAV's wheels for Linux have it (pip "
            "install --force-reinstall av); on other systems use the address of a streaming program"
        ) from error
    return Input(address, f"{what} {address}", kind, options, frozenset({gives}), stamped_by_wall=True)


def _option(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise ValueError(f"the FFmpeg option {text!r} is not of the form NAME=VALUE, such as video_size=1280x720")
    return name, value
