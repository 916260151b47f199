"""Recordings with flashes and beeps, and what live recorders, editors and broken transfers do to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import zip_longest
from pathlib import Path

import av
import numpy as np

from avseg.io.video import iter_frames, read_audio

FPS, RATE = 25, 48000
MS = Fraction(1, 1000)
TICKS = 90000
"""MPEG's stamps count these a second."""
PACKET = 188
"""Bytes of a packet of MPEG-TS."""


def flash(seconds: float, at: Sequence[float] = (), size: tuple[int, int] = (64, 96)) -> list[np.ndarray]:
    """Dark noise, 25 pictures a second, white for 0.2 s from each moment of `at` on."""
    noise = np.random.default_rng(0).integers(0, 60, (*size, 3), dtype=np.uint8)
    white = np.full_like(noise, 235)
    return [
        white if any(moment <= i / FPS + 1e-6 < moment + 0.2 for moment in at) else noise
        for i in range(round(seconds * FPS))
    ]


def beep(seconds: float, at: Sequence[float] = (), channels: int = 1) -> np.ndarray:
    """(A, S) silence at 48 kHz, a tone of 1 kHz for 0.2 s from each moment of `at` on."""
    time = np.arange(round(seconds * RATE)) / RATE
    wave = 0.5 * np.sin(2 * np.pi * 1000 * time) * sum((time >= m) & (time < m + 0.2) for m in at)
    return np.repeat(np.asarray(wave, np.float32)[None], channels, 0)


def record(
    path: Path,
    seconds: float = 3.0,
    at: Sequence[float] = (1.0,),
    *,
    sound: float | None = None,
    channels: int = 1,
    audio: str = "aac",
    options: dict[str, str] | None = None,
    b_frames: int | None = None,
) -> Path:
    """A flash and a beep at each moment of `at`; `sound`: s, where it does not last as long as the picture."""
    with av.open(str(path), "w", options=options or {}) as out:
        stream = out.add_stream("libx264", rate=FPS, options={"x264-params": "keyint=25:b-adapt=0"})
        stream.height, stream.width, stream.pix_fmt = 64, 96, "yuv420p"
        if b_frames is not None:
            stream.codec_context.max_b_frames = b_frames
        packets = []
        for i, picture in enumerate(flash(seconds, at)):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = i, Fraction(1, FPS)
            packets += stream.encode(frame)
        packets += stream.encode(None)
        if channels:
            packets += _sound(out, audio, beep(seconds if sound is None else sound, at, channels))
        for packet in sorted(packets, key=lambda one: float(one.dts * one.time_base)):
            out.mux(packet)
    return path


def _sound(out: av.container.OutputContainer, codec: str, sound: np.ndarray) -> list[av.Packet]:
    layout = {1: "mono", 2: "stereo", 6: "5.1"}[len(sound)]
    stream = out.add_stream(codec, rate=RATE)
    stream.codec_context.layout = layout
    packets = []
    step = stream.codec_context.frame_size or 1024
    for begin in range(0, sound.shape[1], step):
        piece = np.ascontiguousarray(sound[:, begin : begin + step])
        frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = RATE, begin, Fraction(1, RATE)
        packets += stream.encode(frame)
    return [*packets, *stream.encode(None)]


def shown_at(path: Path, times: Sequence[int], last: int | None = None, rate: int = FPS, b_frames: int = 3) -> Path:
    """Noise pictures shown at `times` in ms, the packet that comes last lasting `last` ms."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=rate, options={"x264-params": "b-adapt=0"})
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        stream.codec_context.time_base, stream.codec_context.max_b_frames = MS, b_frames
        packets = []
        for number, time in enumerate(times):
            noise = np.random.default_rng(number).integers(0, 255, (48, 64, 3), dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(noise, format="rgb24")
            frame.pts, frame.time_base = time, MS
            packets += stream.encode(frame)
        packets += stream.encode(None)
        if last is not None:
            packets[-1].duration = round(last * MS / packets[-1].time_base)
        for packet in packets:
            out.mux(packet)
    return path


def remux(source: Path, path: Path, change: Callable[[av.Packet, int], av.Packet | None]) -> Path:
    """The packets of `source` again; `change(packet, its number in its stream)` alters or drops each."""
    with av.open(str(source)) as held, av.open(str(path), "w") as out:
        streams = {stream.index: out.add_stream_from_template(stream) for stream in held.streams}
        counts = dict.fromkeys(streams, 0)
        for packet in held.demux():
            index = packet.stream.index
            if packet.dts is None:
                continue
            counts[index] += 1
            changed = change(packet, counts[index] - 1)
            if changed is not None:
                changed.stream = streams[index]
                out.mux(changed)
    return path


def later(kind: str, seconds: float) -> Callable[[av.Packet, int], av.Packet]:
    """A change for `remux`: all packets of the picture ("video") or sound ("audio") come later."""

    def change(packet: av.Packet, number: int) -> av.Packet:
        if packet.stream.type == kind:
            packet.pts += round(seconds / packet.time_base)
            packet.dts += round(seconds / packet.time_base)
        return packet

    return change


def restamped(path: Path, kind: int, change: Callable[[float, int], float]) -> Path:
    """A transport stream with other stamps: `change(s, number of the block)` of each block of picture (0xE0) or sound
    (0xC0)."""
    content = bytearray(path.read_bytes())
    number = 0
    for begin in range(0, len(content), PACKET):
        at = content.find(bytes([0, 0, 1, kind]), begin, begin + PACKET)
        if at < 0 or not content[begin + 1] & 0x40:
            continue
        for place in range(at + 9, at + 9 + 5 * ((content[at + 7] >> 7) + ((content[at + 7] >> 6) & 1)), 5):
            _write_stamp(content, place, round(change(_read_stamp(content, place) / TICKS, number) * TICKS))
        number += 1
    path.write_bytes(content)
    return path


def _read_stamp(content: bytearray, at: int) -> int:
    a, b, c, d, e = content[at : at + 5]
    return (a >> 1 & 7) << 30 | b << 22 | c >> 1 << 15 | d << 7 | e >> 1


def _write_stamp(content: bytearray, at: int, stamp: int) -> None:
    content[at] = content[at] & 0xF1 | stamp >> 29 & 0x0E
    content[at + 1] = stamp >> 22 & 0xFF
    content[at + 2] = stamp >> 14 & 0xFE | 1
    content[at + 3] = stamp >> 7 & 0xFF
    content[at + 4] = stamp << 1 & 0xFE | 1


def programme(number: int) -> dict[str, str]:
    """Options for `record`: the stream's programme, with identifiers of its own."""
    return {
        "mpegts_start_pid": str(0x100 * number),
        "mpegts_pmt_start_pid": str(0x1000 + number),
        "mpegts_service_id": str(number),
    }


def multiplex(path: Path, parts: Sequence[Path]) -> Path:
    """Transport streams of `programme` 1, 2, ... as one with as many programmes."""
    table = bytes([0, 1, 0xC1, 0, 0])
    for number in range(1, len(parts) + 1):
        table += number.to_bytes(2, "big") + (0xE000 | 0x1000 + number).to_bytes(2, "big")
    table = b"\x00" + (0xB000 | len(table) + 4).to_bytes(2, "big") + table
    table += _checksum(table).to_bytes(4, "big")
    rows = [[c[i : i + PACKET] for i in range(0, len(c), PACKET)] for c in (part.read_bytes() for part in parts)]
    written, tables = [], 0
    for row in zip_longest(*rows):
        for place, packet in enumerate(row):
            pid = -1 if packet is None else (packet[1] & 0x1F) << 8 | packet[2]
            if pid == 0 and place == 0:
                written.append((bytes([0x47, 0x40, 0, 0x10 | tables]) + b"\0" + table).ljust(PACKET, b"\xff"))
                tables = (tables + 1) % 16
            elif pid > 0x11:
                written.append(packet)
    path.write_bytes(b"".join(written))
    return path


def _checksum(data: bytes) -> int:
    """CRC-32 of MPEG-2."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ (0x04C11DB7 if value & 0x80000000 else 0)) & 0xFFFFFFFF
    return value


def renamed(path: Path, old: bytes, new: bytes) -> Path:
    """Another name for a codec inside the file, one that FFmpeg does not know."""
    content = path.read_bytes()
    assert content.count(old) >= 1
    path.write_bytes(content.replace(old, new, 1))
    return path


def flashes(path: Path) -> list[float]:
    """s, when each white stretch of the picture begins."""
    white = [(time, picture.mean() > 150) for time, picture in iter_frames(path)]
    return [time for (_, before), (time, now) in zip([(0.0, False), *white], white, strict=False) if now and not before]


def beeps(path: Path) -> list[float]:
    """s, when each beep begins."""
    heard = read_audio(path, 16000, 1)
    if heard is None:
        return []
    loud = np.flatnonzero(np.abs(heard[0].numpy()[0]) > 0.15) / 16000
    return [float(loud[i]) for i in range(len(loud)) if i == 0 or loud[i] - loud[i - 1] > 0.1]
