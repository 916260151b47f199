"""Sound whose speakers change in mid-stream, of very many channels, and sound that does not begin with the picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from avseg.io.downmix import laid_out, mixed
from avseg.io.video import VideoWriter, iter_audio, iter_frames, read_audio
from inference.media import counting, make, tone
from inference.recordings import beeps, later, record, remux

RATE = 48000
CODECS = {"adts": "aac", "ac3": "ac3"}


def raw(path: Path, codec: str, channels: int, level: float) -> bytes:
    """A second of a tone of that level, coded without a container."""
    layout = {1: "mono", 2: "stereo", 6: "5.1"}[channels]
    sound = np.repeat(tone(1, RATE)[:1] / 0.4 * level, channels, 0)
    with av.open(str(path), "w", format=codec) as out:
        stream = out.add_stream(CODECS[codec], rate=RATE)
        stream.codec_context.layout, stream.codec_context.bit_rate = layout, 96_000 * channels
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound), format="fltp", layout=layout)
        frame.sample_rate = RATE
        out.mux([*stream.encode(frame), *stream.encode(None)])
    return path.read_bytes()


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize(("first", "second"), [(2, 1), (1, 2), (6, 2), (2, 6)])
@pytest.mark.parametrize("channels", [None, 1, 2])
def test_a_change_of_speakers_changes_no_loudness(
    tmp_path: Path, codec: str, first: int, second: int, channels: int | None
) -> None:
    parts = [raw(tmp_path / "part", codec, count, 0.5) for count in (first, second)]
    path = tmp_path / f"a.{codec}"
    path.write_bytes(parts[0] + parts[1])
    heard = read_audio(path, RATE, channels)
    assert heard is not None and len(heard[0]) == (channels or first)
    assert heard[0].shape[1] / RATE == pytest.approx(2.0, abs=0.1)
    for begin in (0.4, 1.4):
        loud = heard[0][:2, round(begin * RATE) : round((begin + 0.3) * RATE)].abs().amax(1)
        assert loud.tolist() == pytest.approx([0.5] * len(loud), rel=0.1)


def test_more_than_eight_channels_are_read(tmp_path: Path) -> None:
    levels = [0.05 * (channel + 1) for channel in range(16)]
    path = tmp_path / "many.wav"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("pcm_s16le", rate=RATE)
        stream.codec_context.layout = "hexadecagonal"
        packed = (np.repeat(np.array(levels)[None], RATE, 0) * 32767).astype(np.int16).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(packed, format="s16", layout="hexadecagonal")
        frame.sample_rate = RATE
        out.mux(stream.encode(frame))
    kept, mono, stereo = (read_audio(path, channels=channels) for channels in (None, 1, 2))
    assert kept is not None and mono is not None and stereo is not None
    assert kept[0].shape == (16, RATE) and kept[0][:, 1000].tolist() == pytest.approx(levels, abs=1e-4)
    assert mono[0][0, 1000] == pytest.approx(np.mean(levels), abs=1e-4)
    assert stereo[0].shape == (2, RATE)


@pytest.mark.parametrize("names", [["LFE", "LFE2", "LFE"], ["FL", "FR"], ["FL", "SL", "LFE"]])
def test_speakers_that_leave_a_side_empty_are_averaged(names: list[str]) -> None:
    sound = np.array([[0.3, 0.0], [0.6, 0.3], [0.0, 0.6]], np.float32)
    for channels in (1, 2):
        assert np.allclose(mixed(sound, names, channels), np.full((channels, 2), 0.3), atol=1e-7)


def test_speakers_keep_their_names_where_the_layout_changes() -> None:
    front, surround = ["FL", "FR"], ["FL", "FR", "FC", "LFE", "BL", "BR"]
    two = np.array([[0.5], [0.25]], np.float32)
    assert laid_out(two, front, None, surround)[:, 0].tolist() == [0.5, 0.25, 0, 0, 0, 0]
    assert laid_out(two[:1], ["FC"], None, surround)[:, 0].tolist() == [0, 0, 0.5, 0, 0, 0]
    assert laid_out(two, ["SL", "SR"], None, surround)[:, 0].tolist() == [0.5, 0.25, 0, 0, 0, 0]
    assert laid_out(two, front, None, ["FC"])[:, 0].tolist() == [0.375]
    assert laid_out(two[:1], ["FC"], None, front)[:, 0].tolist() == [0.5, 0.5]
    assert laid_out(two, front, None, front) is two


@pytest.mark.parametrize("seconds", [2.0, 0.3, 0.02])
def test_sound_that_begins_after_the_picture_is_led_to_by_silence(tmp_path: Path, seconds: float) -> None:
    path = remux(record(tmp_path / "a.mp4", 3, [1.0]), tmp_path / "late.mkv", later("audio", seconds))
    assert beeps(path) == pytest.approx([1.0 + seconds], abs=0.03)
    pieces = list(iter_audio(path, 16000, 1))
    assert pieces[0][0] == 0.0 and not pieces[0][1].any()
    ends = [time + piece.shape[1] / rate for time, piece, rate in pieces]
    assert [time for time, _, _ in pieces[1:]] == pytest.approx(ends[:-1])


@pytest.mark.parametrize("seconds", [0.5, 0.02])
def test_sound_before_the_picture_is_left_out(tmp_path: Path, seconds: float) -> None:
    path = remux(record(tmp_path / "a.mp4", 3, [1.0]), tmp_path / "late.mkv", later("video", seconds))
    assert beeps(path) == pytest.approx([1.0 - seconds], abs=0.03)


def test_a_long_hole_is_silence_a_second_at_a_time(tmp_path: Path) -> None:
    def hole(packet, number):
        if packet.stream.type == "audio" and packet.pts * packet.time_base > 1.5:
            return later("audio", 120)(packet, number)
        return packet

    path = remux(record(tmp_path / "a.mp4", 3, [1.0, 2.0]), tmp_path / "hole.mkv", hole)
    assert max(piece.shape[1] for _, piece, _ in iter_audio(path, 16000, 1)) <= 16000
    assert beeps(path) == pytest.approx([1.0, 122.0], abs=0.03)


@pytest.mark.parametrize("change", [later("audio", 0.7), later("video", 0.7)])
def test_the_overlay_keeps_the_distance_of_picture_and_sound(tmp_path: Path, change: Callable) -> None:
    for audio in ("aac", "flac"):
        path = remux(record(tmp_path / "a.mkv", 3, [1.0], audio=audio), tmp_path / "moved.mkv", change)
        out = tmp_path / f"{audio}.mp4"
        with VideoWriter(out, 25, sound=path) as writer:
            for time, picture in iter_frames(path):
                writer.write(picture, time)
        assert beeps(out) == pytest.approx(beeps(path), abs=0.03)


def test_sound_that_holds_nothing_is_silence(tmp_path: Path) -> None:
    path = make(tmp_path / "a.mkv", counting(10), sound=np.zeros((1, 0), np.float32), audio=("flac", "mono", 16000))
    assert read_audio(path) is None
