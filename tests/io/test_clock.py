"""Stamps that start anew, jump, go back or repeat: picture, sound and copied packets stay on one clock."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest

from avseg.inference import Segmenter
from avseg.io.clock import Clock, believed
from avseg.io.video import VideoWriter, iter_frames, probe, read_audio
from inference.fake import fake
from inference.recordings import beeps, flashes, multiplex, programme, record, remux, restamped, shown_at

HOUR = 3600.0


def joined(folder: Path, first: Path, second: Path) -> Path:
    """Two transport streams byte by byte, as `cat` joins them."""
    path = folder / "joined.ts"
    path.write_bytes(first.read_bytes() + second.read_bytes())
    return path


def overlay(path: Path) -> Path:
    """The overlay of a video by a model that marks nothing."""
    return Segmenter(fake(), fps=1).predict(path).save_video(path.with_name("overlay.mp4"))


def test_joined_recordings_go_on_evenly(tmp_path: Path) -> None:
    one, two = record(tmp_path / "1.ts", 3, [1.0]), record(tmp_path / "2.ts", 3, [0.6])
    path = joined(tmp_path, one, two)
    pictures = iter_frames(path)
    times = [time for time, _ in pictures]
    assert len(times) == 150 and pictures.end == pytest.approx(6.0, abs=0.1)
    assert max(later - earlier for earlier, later in pairwise(times)) < 0.09
    for file in (path, overlay(path)):
        assert flashes(file) == pytest.approx([1.0, 3.6], abs=0.06)
        assert beeps(file) == pytest.approx([1.0, 3.6], abs=0.06)


def test_after_a_cut_picture_and_sound_stay_together_though_one_ended_before(tmp_path: Path) -> None:
    one, two = record(tmp_path / "1.ts", 3, [1.0], sound=2.0), record(tmp_path / "2.ts", 3, [1.0])
    path = joined(tmp_path, one, two)
    for file in (path, overlay(path)):
        seen, heard = flashes(file), beeps(file)
        assert seen == pytest.approx([1.0, 4.0], abs=0.06) and heard == pytest.approx(seen, abs=0.06)


@pytest.mark.parametrize("jump", [60.0, -60.0, 11.0])
def test_a_clock_of_a_transport_stream_that_jumps_is_a_cut(tmp_path: Path, jump: float) -> None:
    path = record(tmp_path / "a.ts", 8, [2.0, 6.0])
    for kind in (0xE0, 0xC0):
        restamped(path, kind, lambda time, _: 100 + time + (jump if time > 4 else 0))
    result = Segmenter(fake(), fps=5).predict(path)
    assert len(result.frames) == 40 and result.duration == pytest.approx(8.0, abs=0.1)
    for file in (path, result.save_video(tmp_path / "overlay.mp4")):
        assert flashes(file) == pytest.approx([2.0, 6.0], abs=0.1)
        assert beeps(file) == pytest.approx(flashes(file), abs=0.06)


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_a_long_still_of_a_format_whose_clock_does_not_restart_is_kept(tmp_path: Path, suffix: str) -> None:
    path = shown_at(tmp_path / f"a.{suffix}", [0, 40, 80, 20_000, 20_040])
    assert [time for time, _ in iter_frames(path)] == pytest.approx([0, 0.04, 0.08, 20.0, 20.04], abs=0.002)


def test_a_hole_of_some_seconds_is_kept_in_a_transport_stream(tmp_path: Path) -> None:
    path = record(tmp_path / "a.ts", 4, [3.0])
    for kind in (0xE0, 0xC0):
        restamped(path, kind, lambda time, _: time + (5 if time > 2.5 else 0))
    assert flashes(path) == pytest.approx([8.0], abs=0.06) and beeps(path) == pytest.approx([8.0], abs=0.06)


@pytest.mark.parametrize("wrong", [5.0, HOUR * 5, -HOUR * 5, -2.0])
@pytest.mark.parametrize("kind", [0xE0, 0xC0])
def test_one_broken_stamp_of_a_transport_stream_moves_nothing_else(tmp_path: Path, kind: int, wrong: float) -> None:
    path = record(tmp_path / "a.ts", 4, [1.0, 3.0])
    for other in (0xE0, 0xC0):
        restamped(path, other, lambda time, _: time + HOUR * 6)
    restamped(path, kind, lambda time, number: time + (wrong if number == 5 else 0))
    result = Segmenter(fake(), fps=5).predict(path)
    assert len(result.frames) == 20 and result.duration == pytest.approx(4.0, abs=0.1)
    for file in (path, result.save_video(tmp_path / "overlay.mp4")):
        assert flashes(file) == pytest.approx([1.0, 3.0], abs=0.06)
        assert beeps(file) == pytest.approx([1.0, 3.0], abs=0.06)


def test_one_picture_of_matroska_far_ahead_moves_nothing_else(tmp_path: Path) -> None:
    path = remux(record(tmp_path / "a.mp4", 4, [1.0, 3.0], b_frames=0), tmp_path / "a.mkv", lambda packet, _: packet)
    content = bytearray(path.read_bytes())
    with av.open(str(path)) as held:
        wrong = [bytes(packet) for packet in held.demux(held.streams.video[0]) if packet.size][30]
    at = content.index(wrong) - 3  # milliseconds in two bytes and a byte of flags stand before the picture
    content[at : at + 2] = (int.from_bytes(content[at : at + 2], "big") + 20_000).to_bytes(2, "big")
    path.write_bytes(content)
    with av.open(str(path)) as held:
        assert max(packet.pts or 0 for packet in held.demux(held.streams.video[0])) > 20_000
    result = Segmenter(fake(), fps=5).predict(path)
    assert len(result.frames) == 20 and result.duration == pytest.approx(4.0, abs=0.1)
    assert flashes(path) == pytest.approx([1.0, 3.0], abs=0.06)


def test_a_stamp_far_ahead_is_believed_unless_time_goes_back() -> None:
    told = [("a", 0.0), ("b", 0.04), ("c", 20.0), ("d", 0.12), ("e", 30.0), ("f", 30.04), ("g", None), ("h", 90.0)]
    stamps = [0.0, 0.04, None, 0.12, 30.0, 30.04, None, 90.0]
    assert list(believed(told)) == list(zip("abcdefgh", stamps, strict=True))


def test_a_repeated_stamp_of_sound_costs_nothing(tmp_path: Path) -> None:
    last = [0]

    def repeat(packet, number):
        if packet.stream.type == "audio":
            if number == 60:
                packet.pts = packet.dts = last[0]
            last[0] = packet.pts
        return packet

    path = remux(record(tmp_path / "a.mp4", 4, [1.0, 3.0]), tmp_path / "a.mkv", repeat)
    out = overlay(path)
    assert beeps(path) == pytest.approx([1.0, 3.0], abs=0.06) and beeps(out) == pytest.approx([1.0, 3.0], abs=0.06)
    sound = probe(out).sound
    assert sound is not None and sound.codec == "aac" and sound.sample_rate == 48000


def test_sound_that_cannot_be_copied_is_coded_anew(tmp_path: Path) -> None:
    """AAC of a transport stream whose speakers change: MP4 has one header for all of it."""
    one, two = record(tmp_path / "1.ts", 3, [1.0], channels=1), record(tmp_path / "2.ts", 3, [1.0], channels=2)
    path = joined(tmp_path, one, two)
    out = overlay(path)
    assert beeps(out) == pytest.approx([1.0, 4.0], abs=0.06)
    before, after = (read_audio(file, 16000, 1) for file in (path, out))
    assert before is not None and after is not None
    for moment in (1.0, 4.0):
        part = slice(round((moment + 0.05) * 16000), round((moment + 0.15) * 16000))
        assert after[0][0, part].abs().max() == pytest.approx(float(before[0][0, part].abs().max()), rel=0.1)


def fakes(stamps: list[float | None], stream: int = 0, length: float = 0.04) -> list[SimpleNamespace]:
    ticks = [None if stamp is None else round(stamp * 1000) for stamp in stamps]
    return [
        SimpleNamespace(
            stream=SimpleNamespace(index=stream), pts=t, dts=t, duration=round(length * 1000), size=1, time_base=0.001
        )
        for t in ticks
    ]


def repaired(stamps: list[float | None], may_restart: bool = True) -> list[float]:
    clock = Clock(may_restart)
    return [packet.dts / 1000 for packet in clock.repaired(fakes(stamps), {0})]


EVEN = [i * 0.04 for i in range(100)]


@pytest.mark.parametrize(
    "change",
    [
        lambda i, t: t + 7200 if i == 30 else t,
        lambda i, t: t - 7200 if i == 30 else t,
        lambda i, t: t + 5 if 30 <= i < 38 else t,
        lambda i, t: t + 7200 if 30 <= i < 60 else t,
        lambda i, t: t - 0.8 if 30 <= i < 60 else t,
        lambda i, t: t + 90 if i >= 30 else t,
        lambda i, t: t - 1.2 if i >= 30 else t,
        lambda i, t: t + 60 if i >= 30 and i < 60 else t + 120 if i >= 60 else t,
    ],
)
def test_stamps_come_out_even(change: Callable[[int, float], float]) -> None:
    stamps = [change(i, time) for i, time in enumerate(EVEN)]
    assert repaired(stamps) == pytest.approx(EVEN, abs=0.002)


def test_what_a_format_may_state_is_kept() -> None:
    still = [*EVEN[:30], *(time + 30 for time in EVEN[30:])]
    assert repaired(still, may_restart=False) == pytest.approx(still, abs=0.002)
    hole = [*EVEN[:30], *(time + 3 for time in EVEN[30:])]
    assert repaired(hole) == pytest.approx(hole, abs=0.002)
    slow = [float(i) for i in range(40)]
    assert repaired(slow) == slow


def test_streams_that_are_cut_together_stay_together() -> None:
    clock = Clock(may_restart=True)
    picture = fakes([*EVEN[:50], *(time - 2 for time in EVEN[50:])], 0)
    sound = fakes([*EVEN[:40], *(time - 2 for time in EVEN[50:])], 1)
    order = [*picture[:50], *sound[:40], *sound[40:60], *picture[50:], *sound[60:]]
    done = list(clock.repaired(order, {0, 1}))
    assert clock.cuts == 1
    for stream, expected in ((0, EVEN), (1, [*EVEN[:40], *EVEN[50:]])):
        assert [p.dts / 1000 for p in done if p.stream.index == stream] == pytest.approx(expected, abs=0.002)


def test_packets_without_stamps_pass_in_their_place() -> None:
    stamps: list[float | None] = [*EVEN[:10], None, None, *EVEN[12:]]
    clock = Clock(may_restart=True)
    done = list(clock.repaired(fakes(stamps), {0}))
    assert [packet.dts is None for packet in done] == [stamp is None for stamp in stamps]


def test_packets_that_state_no_duration_last_as_long_as_the_step_before_them() -> None:
    clock = Clock(may_restart=True)
    list(clock.repaired(fakes(list(EVEN), length=0.0), {0}))
    assert clock.end() == pytest.approx(EVEN[-1] + 0.04, abs=1e-6)
    assert clock.decoding(0) == pytest.approx(EVEN[-1] + 0.04, abs=1e-6)


def test_programmes_do_not_share_a_clock(tmp_path: Path) -> None:
    one = record(tmp_path / "1.ts", 3, [1.0], options=programme(1))
    two = record(tmp_path / "2.ts", 3, [2.0], options=programme(2))
    for kind in (0xE0, 0xC0):
        restamped(two, kind, lambda time, _: time + 500)
    path = multiplex(tmp_path / "both.ts", [one, two])
    assert flashes(path) == pytest.approx([1.0], abs=0.06) and beeps(path) == pytest.approx([1.0], abs=0.06)
    with VideoWriter(tmp_path / "o.mp4", 25, sound=path) as writer:
        for time, picture in iter_frames(path):
            writer.write(picture, time)
    assert beeps(tmp_path / "o.mp4") == pytest.approx([1.0], abs=0.06)
    assert np.isfinite(probe(tmp_path / "o.mp4").duration)


@pytest.mark.parametrize("suffix", ["avi", "asf"])
def test_pictures_that_wait_for_later_ones_are_even_where_the_file_says_when_they_are_decoded(
    tmp_path: Path, suffix: str
) -> None:
    path = record(tmp_path / f"a.{suffix}", 4, [1.0, 3.0], b_frames=3)
    times = [time for time, _ in iter_frames(path)]
    assert np.diff(times) == pytest.approx(0.04, abs=0.002) and len(times) == 100
    assert flashes(path) == pytest.approx([1.0, 3.0], abs=0.002)
