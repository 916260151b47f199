"""Which streams of a file are used: those that belong together and can be decoded."""

from __future__ import annotations

import logging
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition

from avseg.inference import Segmenter, predict_folder
from avseg.io.media import MediaError
from avseg.io.video import iter_frames, probe, read_audio
from inference.fake import fake
from inference.media import counting, make, tone
from inference.recordings import beeps, flashes, multiplex, programme, record, renamed


def test_the_sound_is_that_of_the_picture_s_programme(tmp_path: Path) -> None:
    """The other programme has more channels, so that FFmpeg takes it for the best sound of the file."""
    parts = [
        record(tmp_path / "1.ts", 3, [1.0], channels=1, options=programme(1)),
        record(tmp_path / "2.ts", 3, [2.0], channels=2, options=programme(2)),
    ]
    path = multiplex(tmp_path / "both.ts", parts)
    info = probe(path)
    assert info.sound is not None and info.sound.channels == 1
    assert flashes(path) == pytest.approx([1.0], abs=0.06) and beeps(path) == pytest.approx([1.0], abs=0.06)


def test_a_programme_without_sound_is_silent_beside_one_with_sound(tmp_path: Path) -> None:
    parts = [
        record(tmp_path / "1.ts", 3, [1.0], channels=0, options=programme(1)),
        record(tmp_path / "2.ts", 3, [2.0], channels=2, options=programme(2)),
    ]
    path = multiplex(tmp_path / "both.ts", parts)
    assert probe(path).sound is None and probe(path).silent == "has no sound" and read_audio(path) is None


def test_sound_that_cannot_be_decoded_is_silence_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = renamed(record(tmp_path / "phone.mov", 2, audio="pcm_s16le"), b"sowt", b"apac")
    assert read_audio(path) is None
    with caplog.at_level(logging.WARNING):
        report = predict_folder(Segmenter(fake(), fps=1), [path], tmp_path / "out", overlay=True)
    assert report.exit_code == 0 and probe(tmp_path / "out" / "phone" / "overlay.mp4").sound is None
    (warning,) = (record.getMessage() for record in caplog.records)
    assert warning.replace("apple_apac", "apac") == (  # FFmpeg 9 puts the maker's name before it
        "phone.mov has only sound of codec apac, which this FFmpeg cannot decode; "
        "the model gets silence and may mark nothing"
    )


def test_a_second_sound_that_can_be_decoded_is_taken(tmp_path: Path) -> None:
    one = record(tmp_path / "1.mov", 2, [0.5], audio="pcm_s16le", channels=2)
    two = record(tmp_path / "2.mov", 2, [1.0], audio="aac")
    path = tmp_path / "phone.mov"
    with av.open(str(one)) as first, av.open(str(two)) as second, av.open(str(path), "w") as out:
        copies = {stream: out.add_stream_from_template(stream) for stream in (*first.streams, second.streams.audio[0])}
        for held in (first, second):
            for packet in held.demux():
                if packet.size and packet.stream in copies:
                    packet.stream = copies[packet.stream]
                    out.mux(packet)
    renamed(path, b"sowt", b"apac")
    info = probe(path)
    assert info.sound is not None and (info.sound.codec, info.silent) == ("aac", "")
    assert beeps(path) == pytest.approx([1.0], abs=0.06)
    result = Segmenter(fake(), fps=1).predict(path)
    assert beeps(result.save_video(tmp_path / "o.mp4")) == pytest.approx([1.0], abs=0.06)


def test_a_picture_that_cannot_be_decoded_is_named_by_its_codec(tmp_path: Path) -> None:
    path = renamed(record(tmp_path / "a.mov", 1), b"avc1", b"zzzz")
    for use in (probe, lambda path: next(iter_frames(path))):
        with pytest.raises(MediaError, match=r"a.mov has a picture of codec zzzz, which this FFmpeg cannot decode"):
            use(path)


@pytest.mark.parametrize("suffix", ["mp4", "mp3"])
def test_a_song_with_a_cover_has_no_picture(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    make(tmp_path / "a.mkv", sound=tone(2, 44100), audio=("aac" if suffix == "mp4" else "mp3", "mono", 44100))
    make(tmp_path / "b.mkv", counting(1), video=("mjpeg", "yuvj420p"))
    parts = (tmp_path / "a.mkv", tmp_path / "b.mkv")
    with av.open(str(parts[0])) as song, av.open(str(parts[1])) as cover, av.open(str(path), "w") as out:
        streams = {stream: out.add_stream_from_template(stream) for stream in (*song.streams, *cover.streams)}
        streams[cover.streams[0]].disposition = Disposition.attached_pic
        for packet in (*song.demux(), *cover.demux()):
            if packet.size:
                packet.stream = streams[packet.stream]
                out.mux(packet)
    with pytest.raises(MediaError, match=r"has no picture stream \(it holds audio, cover\)"):
        probe(path)
    heard = read_audio(path)
    assert heard is not None and heard[0].shape[1] / 44100 == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize("suffix", ["ts", "mpg", "flv"])
def test_sound_that_begins_late_is_heard(tmp_path: Path, suffix: str) -> None:
    """FFmpeg looks for streams in the first 5 MB alone; those it finds later made PyAV fail at the end of the file."""
    path = tmp_path / f"a.{suffix}"
    noise = np.random.default_rng(0).integers(0, 255, (8, 480, 640, 3), dtype=np.uint8)
    with av.open(str(path), "w") as out:
        picture = out.add_stream("flv" if suffix == "flv" else "mpeg2video", rate=25)
        picture.height, picture.width, picture.pix_fmt = 480, 640, "yuv420p"
        picture.codec_context.bit_rate, picture.codec_context.gop_size = 40_000_000, 1
        sound = out.add_stream("mp3" if suffix == "flv" else "mp2", rate=44100)
        sound.codec_context.layout = "mono"
        for number in range(100):
            frame = av.VideoFrame.from_ndarray(noise[number % 8], format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            out.mux(picture.encode(frame))
        out.mux(picture.encode(None))
        for number, begin in enumerate(range(0, 44100, 1152)):
            wave = np.ascontiguousarray(tone(1, 44100)[:, begin : begin + 1152])
            form = "s16p" if suffix == "flv" else "s16"
            frame = av.AudioFrame.from_ndarray((wave * 32767).astype(np.int16), format=form, layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = 44100, 3 * 44100 + number * 1152, Fraction(1, 44100)
            out.mux(sound.encode(frame))
        out.mux(sound.encode(None))
    assert path.stat().st_size > 6_000_000
    assert len(list(iter_frames(path))) == 100
    heard = read_audio(path, 16000, 1)
    assert heard is not None and beeps(path)[0] == pytest.approx(3.0, abs=0.1)


def test_streams_of_joined_recordings_may_have_other_numbers(tmp_path: Path) -> None:
    one, two = record(tmp_path / "1.ts", 3, [1.0]), tmp_path / "2.ts"
    record(two, 3, [1.0], options={"mpegts_start_pid": "512"})
    three = record(tmp_path / "3.ts", 3, [1.0], options=programme(2))
    path = tmp_path / "a.ts"
    path.write_bytes(one.read_bytes() + two.read_bytes() + three.read_bytes())
    seen, heard = flashes(path), beeps(path)
    assert seen == pytest.approx([1.0, 4.0, 7.0], abs=0.06) and heard == pytest.approx(seen, abs=0.06)
