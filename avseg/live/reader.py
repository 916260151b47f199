"""A thread that reads and decodes one input and reconnects when the connection is lost."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from av.error import ExitError, FFmpegError

from avseg.inference.source import warn_of_silence
from avseg.io.clock import Clock
from avseg.io.media import DECODED_AT, MediaError, time_of
from avseg.io.streams import picture_stream, sound_stream, sound_streams, stated_rate
from avseg.live.inputs import SILENCE, Input
from avseg.live.stage import LivePicture, Stage
from avseg.live.timeline import Timeline

FIRST_WAIT, LONGEST_WAIT = 0.5, 8.0
"""Wait in s before the first attempt to reconnect, and the longest wait; each is twice as long as the one before."""
HELD = 1024
"""Frames of sound to keep until the first picture."""


@dataclass(frozen=True)
class Patience:
    """How long to try to reconnect to a lost source."""

    seconds: float = 60.0
    """Time in s to try to reconnect to a source that stalls or disconnects."""
    after_end: bool = False
    """Time in s to try to reconnect to a source that reports its end."""

    def __post_init__(self) -> None:
        if not self.seconds >= 0:
            raise ValueError(f"patience is {self.seconds:g} s, wanted 0 or more")


class Reader(threading.Thread):
    """Reads one input into a stage until it ends or the stage is stopped."""

    def __init__(self, source: Input, stage: Stage, timeline: Timeline, patience: Patience) -> None:
        super().__init__(name=f"reader of {source.name}", daemon=True)
        self._source, self._stage, self._timeline, self._patience = source, stage, timeline, patience
        self._held: deque[tuple[Any, float | None]] = deque(maxlen=HELD)
        self._packets = 0
        self._arrival = 0.0
        """Arrival time of the last packet."""

    def run(self) -> None:
        """Read until the end; an error ends the stage."""
        try:
            error = self._read_on()
        except Exception as wrong:  # noqa: BLE001  it is raised where the stage is read
            error = wrong
        self._stage.end(error)

    def _read_on(self) -> Exception | None:
        """Read, and return the reason if reading ended with a fault."""
        lost, wait, packets = 0.0, FIRST_WAIT, -1
        while not self._stage.stop.is_set():
            try:
                with self._source.opened() as container:
                    self._stage.say(f"{self._source.name} is open", is_open=True)
                    reason = self._read(container)
            except MediaError as error:
                if not self._packets:
                    return error
                reason = str(error)
            ended = reason == ""
            if self._stage.stop.is_set() or (ended and (self._source.is_file or not self._patience.after_end)):
                return None
            if self._packets != packets:  # something came since it was lost before
                lost, wait, packets = time.monotonic(), FIRST_WAIT, self._packets
            if time.monotonic() - lost + wait > self._patience.seconds:
                return None if ended else self._given_up(reason)
            self._stage.say(f"{reason or f'{self._source.name} has ended'}; reconnecting in {wait:g} s")
            self._stage.stop.wait(wait)
            wait = min(2 * wait, LONGEST_WAIT)
        return None

    def _given_up(self, reason: str) -> Exception | None:
        if self._patience.after_end:
            self._stage.say(f"{reason}; it did not come back within {self._patience.seconds:g} s")
            return None
        return MediaError(f"{reason}, and it did not come back within {self._patience.seconds:g} s")

    def _read(self, container: Any) -> str:
        """Read once and return why reading ended, as a sentence; empty if the source has ended."""
        source = self._source
        picture = picture_stream(container, source.name) if "picture" in source.gives else None
        sound = self._sound_of(container, picture)
        used = [stream for stream in (picture, sound) if stream is not None]
        for stream in used:
            stream.codec_context.copy_opaque = True
        if not source.stamped_by_wall:
            self._timeline.restart()
        self._held.clear()
        step = 1 / (stated_rate(picture) or 25.0) if picture is not None else 0.0
        is_recording = source.is_file or container.duration is not None
        packets = self._arriving(container, picture, _Pace() if is_recording else None)
        try:
            for packet in Clock.of(container).repaired(packets, {stream.index for stream in used}):
                if self._stage.stop.is_set():
                    return ""
                self._decode(packet, picture, step)
        except ExitError:
            return f"{source.name} has sent nothing for {SILENCE:g} s"
        except FFmpegError as error:
            return f"{source.name} disconnected ({error.strerror})"
        return ""

    def _sound_of(self, container: Any, picture: Any | None) -> Any | None:
        """Return the audio stream, and announce it to the stage before the first picture."""
        if "sound" not in self._source.gives:
            return None
        sound = sound_stream(container, picture)
        if sound is not None:
            self._stage.hear(self._source.name, sound.codec_context.layout.nb_channels)
            return sound
        if "picture" not in self._source.gives:
            raise MediaError(f"{self._source.name} has no sound")
        self._stage.awaits_sound = False
        undecoded = bool(sound_streams(container, picture))
        warn_of_silence(
            self._source.name, "has only sound that this FFmpeg cannot decode" if undecoded else "has no sound"
        )
        return None

    def _arriving(self, container: Any, picture: Any | None, pace: _Pace | None) -> Iterator[Any]:
        """Yield packets with their arrival times; packets of a recording arrive in real time."""
        guessed = container.format.name in DECODED_AT
        for packet in container.demux():
            if pace is not None and packet.size and packet.dts is not None:
                self._stage.stop.wait(pace.early(float(packet.dts * packet.time_base)))
            if packet.size:
                self._arrival = time.monotonic()
                self._packets += 1
            packet.opaque = self._arrival
            if guessed and picture is not None and packet.stream.index == picture.index:
                packet.pts = None
            yield packet

    def _decode(self, packet: Any, picture: Any | None, step: float) -> None:
        try:
            frames = packet.decode()
        except FFmpegError:
            return  # damaged; the next one is tried
        for frame in frames:
            frame.time_base = frame.time_base or packet.time_base
            if picture is not None and packet.stream.index == picture.index:
                self._show(frame, step)
            else:
                self._hear(frame, time_of(frame))

    def _show(self, frame: Any, step: float) -> None:
        arrival = self._arrival if frame.opaque is None else frame.opaque
        at = self._timeline.of_picture(time_of(frame), arrival, step)
        if at is None:
            return
        self._stage.show(LivePicture(at, frame, arrival))
        while self._held:
            self._hear(*self._held.popleft())

    def _hear(self, frame: Any, stamp: float | None) -> None:
        shift = self._timeline.shift
        if shift is None:
            self._held.append((frame, stamp))
        elif stamp is not None:
            self._stage.sound(frame, stamp + shift)


class _Pace:
    """Plays a recording in real time."""

    OFF = 2.0
    """Largest difference in s between a timestamp and its moment; beyond it (slow machine, cut in the recording)
    pacing restarts.
    """

    def __init__(self) -> None:
        self._begin: float | None = None

    def early(self, stamp: float) -> float:
        """Return the time in s until the moment of a timestamp."""
        now = time.monotonic()
        if self._begin is None or abs(self._begin + stamp - now) > self.OFF:
            self._begin = now - stamp
        return max(self._begin + stamp - now, 0.0)
