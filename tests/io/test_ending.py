"""When a video ends: the end of its last decoded frame, whatever headers say."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from avseg.inference import Segmenter, predict_folder
from avseg.io import media
from avseg.io.video import VideoWriter, iter_frames, probe
from inference.fake import fake
from inference.media import make, tone
from inference.recordings import FPS, beep, flash, record, shown_at
from inference.test_segmenter import bright

RATE = 16000


def end_of(path: Path) -> float:
    pictures = iter_frames(path)
    for _ in pictures:
        pass
    return pictures.end


class Pipe:
    """A file that cannot seek, as a browser records into."""

    def __init__(self, path: Path) -> None:
        self.file = path.open("wb")
        self.write, self.close = self.file.write, self.file.close


def recorded_into_a_pipe(path: Path, seconds: float) -> Path:
    """WebM that states no duration."""
    pipe = Pipe(path)
    with av.open(pipe, "w", format="webm") as out:
        stream = out.add_stream("libvpx", rate=10)
        stream.height, stream.width, stream.pix_fmt = 64, 96, "yuv420p"
        sound = out.add_stream("libopus", rate=48000)
        sound.codec_context.layout = "mono"
        for picture in bright(seconds):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        frame = av.AudioFrame.from_ndarray(tone(seconds, 48000), format="fltp", layout="mono")
        frame.sample_rate = 48000
        for coder, given in ((stream, None), (sound, frame), (sound, None)):
            out.mux(coder.encode(given))
    pipe.close()
    with av.open(str(path)) as held:
        assert not held.duration
    return path


def test_a_file_that_states_no_duration_ends_with_its_last_picture(tmp_path: Path) -> None:
    path = recorded_into_a_pipe(tmp_path / "camera.webm", 4)
    predict_folder(Segmenter(fake(), fps=2), [path], tmp_path / "out", overlay=True)
    found = json.loads((tmp_path / "out" / "camera" / "result.json").read_text(encoding="utf-8"))
    assert found["video"]["duration"] == pytest.approx(4.0, abs=0.01) and found["video"]["fps"] == pytest.approx(10)
    assert found["sounding"][0]["intervals"] == [[0.0, pytest.approx(4.0, abs=0.01)]]
    assert end_of(tmp_path / "out" / "camera" / "overlay.mp4") == pytest.approx(4.0, abs=0.01)


def test_nothing_sounds_where_there_is_no_picture(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = make(tmp_path / "long.mkv", bright(2), sound=tone(5, RATE), audio=("flac", "mono", RATE))
    with caplog.at_level(logging.WARNING):
        result = Segmenter(fake(), fps=2).predict(path)
    assert result.duration == pytest.approx(2.0, abs=0.01)
    assert result.sounding[0]["intervals"] == [[0.0, pytest.approx(2.0, abs=0.01)]]
    assert not caplog.records


@pytest.mark.parametrize("suffix", ["mkv", "webm", "mp4"])
def test_a_file_cut_in_half_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture, suffix: str) -> None:
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 255, (48, 64, 3), dtype=np.uint8) for _ in range(60)]
    codec = ("libvpx", "yuv420p") if suffix == "webm" else ("libx264", "yuv420p")
    path = make(tmp_path / f"a.{suffix}", noise, None, codec, tone(6, 48000), ("libopus", "mono", 48000))
    if suffix == "mp4":
        path = with_its_index_in_front(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with caplog.at_level(logging.WARNING):
        report = predict_folder(Segmenter(fake(), fps=2), [path], tmp_path / "out", overlay=True)
    assert report.exit_code == 0
    # Older torchvision has FFmpeg's own lines logged too.
    (warning,) = (record.getMessage() for record in caplog.records if record.name.startswith("avseg"))
    assert "of 6.0 s; the file is truncated" in warning
    found = json.loads((tmp_path / "out" / "a" / "result.json").read_text(encoding="utf-8"))
    assert 0.5 < found["video"]["duration"] < 5.5


def with_its_index_in_front(path: Path) -> Path:
    """An MP4 that still opens when its end is missing."""
    copy = path.with_name("front.mp4")
    with av.open(str(path)) as held, av.open(str(copy), "w", options={"movflags": "+faststart"}) as out:
        streams = {stream.index: out.add_stream_from_template(stream) for stream in held.streams}
        for packet in held.demux():
            if packet.size:
                packet.stream = streams[packet.stream.index]
                out.mux(packet)
    return copy.replace(path)


@pytest.mark.parametrize("b_frames", [0, 3])
def test_the_last_picture_stays_as_long_as_the_file_says(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, b_frames: int
) -> None:
    path = shown_at(tmp_path / "slides.mp4", [0, 40, 80, 120, 160, 200], last=9800, b_frames=b_frames)
    with caplog.at_level(logging.WARNING):
        result = Segmenter(fake(), fps=1).predict(path)
        out = result.save_video(tmp_path / "o.mp4")
    assert result.duration == pytest.approx(10.0, abs=0.25) and len(result.frames) == 10
    assert end_of(out) == pytest.approx(result.duration, abs=0.002)
    assert probe(out).duration == pytest.approx(result.duration, abs=0.002)
    assert not [record for record in caplog.records if "truncated" in record.getMessage()]


@pytest.mark.parametrize("suffix", ["mkv", "webm"])
def test_a_header_that_claims_a_thousand_pictures_a_second_is_not_believed(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libvpx", rate=1000)
        stream.height, stream.width, stream.pix_fmt = 64, 96, "yuv420p"
        for i, picture in enumerate(flash(2, [1.0])):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = i * 40
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    with av.open(str(path)) as held:
        assert held.streams.video[0].average_rate == 1000
    assert probe(path).fps == 25
    result = Segmenter(fake(), fps=1).predict(path)
    assert result.duration == pytest.approx(2.0, abs=0.01) and result.measured.fps == pytest.approx(FPS, rel=0.01)
    out_path = result.save_video(tmp_path / "o.mp4")
    assert end_of(out_path) == pytest.approx(2.0, abs=0.01) and probe(out_path).fps == pytest.approx(FPS, rel=0.01)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "mov"])
@pytest.mark.parametrize("b_frames", [0, 3])
@pytest.mark.parametrize(
    ("times", "end"),
    [
        ([*range(0, 1000, 40), 11_000, 11_040], 11.08),
        ([0, 1000, 3000], 3.04),
        ([*range(0, 1000, 40)], 1.0),
        ([0, 100, 200, 300, 1000, 1040], 1.08),
    ],
)
def test_irregular_times_end_where_the_last_picture_ends(
    tmp_path: Path, times: Sequence[int], end: float, b_frames: int, suffix: str
) -> None:
    path = shown_at(tmp_path / f"a.{suffix}", times, b_frames=b_frames)
    # Where pictures wait for later ones, MP4 does not hold how long the last one stays.
    assert end_of(path) == pytest.approx(end, abs=0.07 if b_frames and suffix != "mkv" else 0.001)
    grid = [time for time, _ in iter_frames(path, fps=1)]
    assert grid == [float(k) for k in range(int(end) + (end % 1 > 0))]


def test_a_written_video_states_the_end_of_its_pictures(tmp_path: Path) -> None:
    times = [*(i * 0.04 for i in range(25)), 11.0, 11.04]
    with VideoWriter(tmp_path / "a.mp4", 25) as writer:
        for number, time in enumerate(times):
            writer.write(np.random.default_rng(number).integers(0, 255, (48, 64, 3), dtype=np.uint8), time)
    with av.open(str(tmp_path / "a.mp4")) as held:
        stream = held.streams.video[0]
        assert float(stream.duration * stream.time_base) == pytest.approx(11.08, abs=1e-3)
        assert [float(f.duration * f.time_base) for f in held.decode(stream)][-3:] == pytest.approx([10.04, 0.04, 0.04])
    writer = VideoWriter(tmp_path / "b.mp4", 25)
    for time in (0, 0.04):
        writer.write(flash(0.04)[0], time)
    writer.close(end=7.5)
    assert probe(tmp_path / "b.mp4").duration == pytest.approx(7.5) and end_of(tmp_path / "b.mp4") == pytest.approx(7.5)


def test_streams_that_are_not_used_do_not_make_a_file_cut_short(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Matroska states one duration for all its streams: here that of a second sound."""
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as out:
        streams = [out.add_stream("mpeg4", rate=FPS), out.add_stream("flac", rate=48000), out.add_stream("flac", 48000)]
        streams[0].height, streams[0].width, streams[0].pix_fmt = 64, 96, "yuv420p"
        frames = [av.VideoFrame.from_ndarray(picture, format="rgb24") for picture in flash(2)]
        for stream, seconds in zip(streams[1:], (2, 6), strict=True):
            stream.codec_context.layout = "mono"
            sound = av.AudioFrame.from_ndarray((beep(seconds) * 32767).astype(np.int16), format="s16", layout="mono")
            sound.sample_rate, sound.pts, sound.time_base = 48000, 0, Fraction(1, 48000)
            frames.append(sound)
        packets = [packet for frame in frames[:-2] for packet in streams[0].encode(frame)] + streams[0].encode(None)
        for stream, frame in zip(streams[1:], frames[-2:], strict=True):
            packets += [*stream.encode(frame), *stream.encode(None)]
        for packet in packets:
            out.mux(packet)
    with caplog.at_level(logging.WARNING):
        assert end_of(path) == pytest.approx(2.0, abs=0.01)
    assert not caplog.records


def test_fragments_without_the_first_of_them_are_no_file_cut_short(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What is left of a live stream: fragments of MP4 that begin in its middle."""
    path = record(tmp_path / "a.mp4", 6, b_frames=0, options={"movflags": "frag_keyframe+empty_moov+default_base_moof"})
    content = path.read_bytes()
    begins = [at - 4 for at in range(len(content)) if content[at : at + 4] == b"moof"]
    path.write_bytes(content[: begins[0]] + content[begins[3] :])
    with caplog.at_level(logging.WARNING):
        assert 1.9 < end_of(path) < 4.1
    assert not caplog.records


def test_one_picture_with_a_longer_sound_is_no_file_cut_short(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """FFmpeg takes the length of the file for that of a picture stream whose length it cannot find out."""
    path = tmp_path / "a.mkv"
    record(tmp_path / "a.mp4", 0.04, sound=6.0, b_frames=2)
    with av.open(str(tmp_path / "a.mp4")) as held, av.open(str(path), "w") as out:
        streams = {stream: out.add_stream_from_template(stream) for stream in held.streams}
        for packet in held.demux():
            if packet.size:
                packet.stream = streams[packet.stream]
                out.mux(packet)
    with av.open(str(path)) as held:
        stream = held.streams.video[0]
        assert stream.duration is not None and stream.duration * stream.time_base > 5
    with caplog.at_level(logging.WARNING):
        assert end_of(path) == pytest.approx(0.04, abs=0.001)
    assert not caplog.records


def test_pictures_that_the_decoder_holds_when_a_file_breaks_off_are_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault of the container ends the packets before the one that tells the decoder to give what it holds."""
    path = shown_at(tmp_path / "a.mp4", list(range(0, 1000, 40)))
    with av.open(str(path)) as held:
        stamps = sorted(packet.pts * packet.time_base for packet in held.demux() if packet.size)
    read = media._demuxed
    monkeypatch.setattr(media, "_demuxed", lambda *words: (packet for packet in read(*words) if packet.size))
    assert [time for time, _ in iter_frames(path)] == pytest.approx([float(stamp) for stamp in stamps], abs=1e-6)
