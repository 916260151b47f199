"""Reading and writing video: containers, clocks, rotation, sound layouts, and files that are none."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image

from avseg.io.media import MediaError
from avseg.io.video import VideoWriter, iter_audio, iter_frames, probe, read_audio, write_video
from avseg.io.voice import voice_of
from inference.media import counting, make, number_of, tone, turn

Streams = tuple[tuple[str, str], tuple[str, str, int]]
KINDS: dict[str, Streams] = {
    "mp4": (("libx264", "yuv420p"), ("aac", "mono", 16000)),
    "mkv": (("ffv1", "bgr0"), ("flac", "stereo", 44100)),
    "webm": (("libvpx-vp9", "yuv420p"), ("libopus", "stereo", 48000)),
    "avi": (("mpeg4", "yuv420p"), ("pcm_s16le", "stereo", 44100)),
    "mov": (("mjpeg", "yuvj444p"), ("pcm_s16le", "mono", 22050)),
    "ts": (("libx264", "yuv420p"), ("aac", "stereo", 48000)),
}
DEEP = ("libx265", "yuv420p10le")


@pytest.mark.parametrize("kind", KINDS)
def test_every_container_gives_its_frames_times_and_sound(tmp_path: Path, kind: str) -> None:
    video, audio = KINDS[kind]
    channels = 2 if audio[1] == "stereo" else 1
    path = make(tmp_path / f"a.{kind}", counting(20), None, video, tone(2.0, audio[2], channels), audio)
    info = probe(path)
    assert (info.width, info.height) == (64, 48) and info.fps == pytest.approx(10)
    assert info.duration == pytest.approx(2.0, abs=0.15)
    assert info.sound is not None and (info.sound.sample_rate, info.sound.channels) == (audio[2], channels)
    frames = list(iter_frames(path))
    assert [number_of(picture) for _, picture in frames] == list(range(20))
    assert [time for time, _ in frames] == pytest.approx([i / 10 for i in range(20)], abs=0.002)
    heard = read_audio(path, sample_rate=16000, channels=1)
    assert heard is not None
    sound, rate, start = heard
    assert rate == 16000 and sound.dtype == torch.float32 and sound.shape[0] == 1
    assert start == pytest.approx(0, abs=0.06) and sound.shape[1] / rate == pytest.approx(2.0, abs=0.1)
    spectrum = torch.fft.rfft(sound[0, 8000:24000]).abs()
    assert int(spectrum.argmax()) == 440
    level = 0.4 if channels == 1 else 0.3
    assert sound[0, 8000:24000].abs().max() == pytest.approx(level, rel=0.15)


def test_ten_bit_pictures_become_eight_bit_rgb(tmp_path: Path) -> None:
    path = make(tmp_path / "deep.mkv", counting(3), None, DEEP)
    assert [number_of(picture) for _, picture in iter_frames(path)] == [0, 1, 2]
    assert read_audio(path) is None and list(iter_audio(path)) == []


def test_variable_rate_keeps_every_time_and_the_grid_shows_the_last_frame(tmp_path: Path) -> None:
    times = [0.0, 0.1, 0.15, 0.9, 1.0, 2.4]
    path = make(tmp_path / "vfr.mkv", counting(6), times)
    assert [time for time, _ in iter_frames(path)] == pytest.approx(times, abs=0.002)
    grid = [(round(time, 3), number_of(picture)) for time, picture in iter_frames(path, fps=2)]
    assert grid[:5] == [(0.0, 0), (0.5, 2), (1.0, 4), (1.5, 4), (2.0, 4)]
    later = [(round(time, 4), number_of(picture)) for time, picture in iter_frames(path, fps=1, offset=0.9375)]
    assert later[:2] == [(0.9375, 3), (1.9375, 4)]


def test_a_grid_denser_than_the_video_repeats_frames(tmp_path: Path) -> None:
    path = make(tmp_path / "a.mp4", counting(4))
    assert [number_of(picture) for _, picture in iter_frames(path, fps=20)] == [0, 0, 1, 1, 2, 2, 3, 3]


def test_a_video_that_ends_before_the_grid_begins_gives_its_last_frame(tmp_path: Path) -> None:
    path = make(tmp_path / "a.mp4", counting(3))
    frames = list(iter_frames(path, fps=1, offset=0.9375))
    assert len(frames) == 1 and number_of(frames[0][1]) == 2 and frames[0][0] == pytest.approx(0.2)


def test_the_clock_begins_at_the_first_picture_and_sound_keeps_its_distance(tmp_path: Path) -> None:
    sound = tone(3.0, 16000)
    path = make(tmp_path / "late.mkv", counting(20), [1.0 + i / 10 for i in range(20)], sound=sound)
    assert probe(path).start == pytest.approx(1.0, abs=0.01)
    assert next(iter(iter_frames(path)))[0] == 0.0
    heard = read_audio(path)
    assert heard is not None and heard[2] == 0.0 and heard[0].shape[1] / heard[1] == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize(
    ("matrix", "corner"),
    [
        ((1, 0, 0, 1), (0, 0)),
        ((0, 1, -1, 0), (0, -1)),  # a quarter clockwise: top left goes to top right
        ((-1, 0, 0, -1), (-1, -1)),
        ((0, -1, 1, 0), (-1, 0)),
        ((-1, 0, 0, 1), (0, -1)),  # mirrored, as from a front camera
    ],
)
def test_rotation_and_mirroring_are_applied(
    tmp_path: Path, matrix: tuple[int, int, int, int], corner: tuple[int, int]
) -> None:
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:12, :12] = 255
    path = turn(make(tmp_path / "r.mp4", [picture] * 3), *matrix)
    shown = next(iter(iter_frames(path)))[1]
    info = probe(path)
    assert shown.shape[:2] == (info.height, info.width) == ((64, 48) if matrix[1] else (48, 64))
    bright = shown[..., 0] > 128
    assert bright[corner] and bright.sum() == pytest.approx(144, abs=30)


@pytest.mark.parametrize(("size", "written"), [((48, 64), (48, 64)), ((47, 63), (48, 64)), ((1, 1), (2, 2))])
def test_written_video_reads_back_with_even_sides(
    tmp_path: Path, size: tuple[int, int], written: tuple[int, int]
) -> None:
    path = write_video(tmp_path / "w.mp4", counting(30, *size), 30, tone(1.0, 16000), 16000)
    info = probe(path)
    assert (info.height, info.width) == written and info.codec == "h264" and info.fps == pytest.approx(30)
    assert [number_of(picture) for _, picture in iter_frames(path)] == list(range(30))
    content = path.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


def test_colours_survive_writing_and_reading(tmp_path: Path) -> None:
    picture = np.zeros((64, 96, 3), np.uint8)
    colours = np.array([(220, 40, 40), (40, 200, 60), (50, 60, 230)], np.uint8)
    for i, colour in enumerate(colours):
        picture[:, 32 * i : 32 * i + 32] = colour
    path = write_video(tmp_path / "c.mp4", [picture] * 5, 10)
    back = list(iter_frames(path))[2][1]
    for i, colour in enumerate(colours):
        assert np.abs(back[32, 32 * i + 16].astype(int) - colour).max() <= 6


def test_five_point_one_is_mixed_by_sides_without_clipping(tmp_path: Path) -> None:
    sound = np.zeros((6, 16000), np.float32)  # FL FR FC LFE BL BR
    sound[0], sound[3] = 0.8, 0.9
    path = make(tmp_path / "s.mkv", counting(10), sound=sound, audio=("flac", "5.1", 16000))
    kept, stereo, mono = read_audio(path), read_audio(path, channels=2), read_audio(path, channels=1)
    assert kept is not None and stereo is not None and mono is not None
    assert kept[0].shape[0] == 6
    middle = stereo[0][:, 8000]
    assert middle.tolist() == pytest.approx([0.8 / 2.7071, 0.0], abs=1e-3)
    assert mono[0][:, 8000].tolist() == pytest.approx([0.4 / 2.7071], abs=1e-3)


def test_mono_is_spread_and_stereo_averaged(tmp_path: Path) -> None:
    one = make(tmp_path / "m.mkv", counting(5), sound=tone(0.5, 16000), audio=("flac", "mono", 16000))
    two = make(tmp_path / "s.mkv", counting(5), sound=tone(0.5, 16000, 2), audio=("flac", "stereo", 16000))
    spread, kept, mean = read_audio(one, channels=2), read_audio(two), read_audio(two, channels=1)
    assert spread is not None and kept is not None and mean is not None
    assert torch.equal(spread[0][0], spread[0][1])
    assert torch.allclose(mean[0][0], kept[0].mean(0), atol=1e-6)
    with pytest.raises(ValueError, match="1 or 2 channels"):
        read_audio(make(tmp_path / "5.mkv", sound=tone(0.1, 16000, 6), audio=("flac", "5.1", 16000)), channels=3)


def test_a_sound_file_without_picture_is_read_from_its_own_beginning(tmp_path: Path) -> None:
    path = make(tmp_path / "a.wav", sound=tone(1.0, 44100, 2), audio=("pcm_s16le", "stereo", 44100))
    heard = read_audio(path)
    assert heard is not None and heard[0].shape == (2, 44100) and heard[1:] == (44100, 0.0)


def test_pieces_join_to_the_whole(tmp_path: Path) -> None:
    path = make(tmp_path / "a.mkv", counting(10), sound=tone(1.0, 44100, 2), audio=("flac", "stereo", 44100))
    whole = read_audio(path, 16000)
    pieces = list(iter_audio(path, 16000))
    assert whole is not None and len(pieces) > 5
    assert np.array_equal(np.concatenate([piece for _, piece, _ in pieces], 1), whole[0].numpy())
    ends = [time + piece.shape[1] / rate for time, piece, rate in pieces]
    assert [time for time, _, _ in pieces[1:]] == pytest.approx(ends[:-1])


MP3 = (("mpeg4", "yuv420p"), ("libmp3lame", "stereo", 44100))


@pytest.mark.parametrize(
    ("suffix", "streams", "copied"),
    [("mp4", KINDS["mp4"], True), ("ts", KINDS["ts"], True), ("mkv", MP3, True), ("webm", KINDS["webm"], False)],
)
def test_the_original_sound_is_kept(tmp_path: Path, suffix: str, streams: Streams, copied: bool) -> None:
    video, audio = streams
    channels = 2 if audio[1] == "stereo" else 1
    source = make(tmp_path / f"a.{suffix}", counting(20), None, video, tone(2.0, audio[2], channels), audio)
    path = tmp_path / "kept.mp4"
    with VideoWriter(path, 10, sound=source) as writer:
        for time, picture in iter_frames(source):
            writer.write(picture, time)
    before, after = probe(source).sound, probe(path).sound
    assert before is not None and after is not None
    assert after.codec.startswith(before.codec.removesuffix("float") if copied else "aac")
    one, two = read_audio(source, 16000, 1), read_audio(path, 16000, 1)
    assert one is not None and two is not None
    a, b = one[0][0], two[0][0]
    shift = round((two[2] - one[2]) * 16000)
    assert abs(shift) < 1000 and len(b) / 16000 == pytest.approx(2.0, abs=0.15)
    lags = range(-40, 41)
    fits = [
        float(torch.corrcoef(torch.stack([a[8000:16000], b[8000 - shift + lag : 16000 - shift + lag]]))[0, 1])
        for lag in lags
    ]
    assert max(fits) > 0.99


def test_five_point_one_becomes_stereo_aac(tmp_path: Path) -> None:
    source = make(tmp_path / "a.mkv", counting(10), sound=tone(1, 48000, 6), audio=("flac", "5.1", 48000))
    with VideoWriter(tmp_path / "b.mp4", 10, sound=source) as writer:
        for picture in counting(10):
            writer.write(picture)
    sound = probe(tmp_path / "b.mp4").sound
    assert sound is not None and (sound.codec, sound.channels) == ("aac", 2)


def test_writing_nothing_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one frame"):
        write_video(tmp_path / "a.mp4", [], 25)
    with pytest.raises(ValueError, match="sample_rate"):
        write_video(tmp_path / "a.mp4", counting(2), 25, tone(1, 16000))
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_while_writing_leaves_nothing(tmp_path: Path) -> None:
    def stopped() -> object:
        yield from counting(20)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_video(tmp_path / "a.mp4", stopped(), 25)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def _truncated(folder: Path) -> Path:
    path = make(folder / "cut.mp4", counting(20))
    path.write_bytes(path.read_bytes()[:-400])
    return path


def _written(folder: Path, name: str, content: bytes) -> Path:
    (folder / name).write_bytes(content)
    return folder / name


def _no_frames(folder: Path) -> Path:
    path = make(folder / "none.avi", counting(5), None, ("mjpeg", "yuvj420p"))
    content = path.read_bytes()
    begin = content.index(b"movi") + 4
    return _written(folder, "none.avi", content[:begin])


BAD = {
    "truncated": (_truncated, "truncated"),
    "empty": (lambda folder: _written(folder, "a.mp4", b""), "is empty"),
    "text": (lambda folder: _written(folder, "a.mp4", b"This is no video.\n" * 40), "cannot be opened as a video"),
    "playlist": (
        lambda folder: _written(folder, "a.mp4", b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n"),
        "a.mp4",
    ),
    "sound only": (lambda folder: make(folder / "a.m4a", sound=tone(1, 16000)), "has no picture"),
    "no frames": (_no_frames, "none.avi"),
    "missing": (lambda folder: folder / "gone.mp4", "is not a file"),
    "folder": (lambda folder: folder, "is not a file"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_video_is_said_in_one_sentence(tmp_path: Path, name: str) -> None:
    make_bad, words = BAD[name]
    path = make_bad(tmp_path)
    for use in (probe, lambda path: list(iter_frames(path))):
        with pytest.raises(MediaError, match=words) as caught:
            use(path)
        assert path.name in str(caught.value) and "\n" not in str(caught.value)


def test_a_cut_end_is_told_and_what_came_before_is_used(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 255, (48, 64, 3), dtype=np.uint8) for _ in range(40)]
    path = write_video(tmp_path / "a.mp4", noise, 10)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with caplog.at_level(logging.WARNING):
        frames = list(iter_frames(path))
    assert 5 < len(frames) < 35 and "truncated" in caplog.text


def test_sound_is_written_beside_the_picture_it_belongs_to(tmp_path: Path) -> None:
    pieces = [(k / 2, np.zeros((1, 8000), np.float32), 16000) for k in range(4)]
    with av.open(str(tmp_path / "a.mp4"), "w") as out:
        voice = voice_of(out, iter(pieces))
        assert voice is not None
        given = [[packet.pts * packet.time_base for packet in voice.until(time)] for time in (0.0, 0.0, 1.0)]
    # AAC gives a packet when two more have come; each call reads on up to its time.
    assert given[0] and max(given[0]) < 0.5 and not given[1] and 0.8 < max(given[2]) < 1.5


def test_the_quality_is_that_of_nineteen_by_default(tmp_path: Path) -> None:
    pictures = np.random.default_rng(0).integers(0, 255, (4, 48, 64, 3), dtype=np.uint8)
    for name, options in (("default", {}), ("19", {"crf": 19}), ("18", {"crf": 18})):
        with VideoWriter(tmp_path / f"{name}.mp4", 10, **options) as writer:
            for picture in pictures:
                writer.write(picture)
    written = {path.stem: path.read_bytes() for path in tmp_path.iterdir()}
    assert written["default"] == written["19"] != written["18"]


def test_a_wrong_rate_is_refused(tmp_path: Path) -> None:
    path = make(tmp_path / "a.mp4", counting(2))
    with pytest.raises(ValueError, match="positive"):
        next(iter(iter_frames(path, fps=0)))


def test_equal_pictures_give_equal_bytes_whatever_memory_held(tmp_path: Path) -> None:
    code = (
        "import sys, numpy as np\nfrom pathlib import Path\nfrom avseg.io.video import write_video\n"
        "y, x = np.mgrid[:224, :224]\n"
        "def frame(i):\n"
        "    wave = 60 * np.sin(x / 9 + i / 5) + 50 * np.cos(y / 13 - i / 7)\n"
        "    disc = 80.0 * ((x - 60 - i) ** 2 + (y - 90 - i / 2) ** 2 < 900)\n"
        "    return np.repeat((120 + (wave + disc) / 2)[..., None], 3, 2).astype(np.uint8)\n"
        "write_video(Path(sys.argv[1]), map(frame, range(60)), 16.0)\n"
    )
    written = []
    for fill in ("1", "170"):  # glibc fills fresh memory with it; elsewhere the two runs are plain repetitions
        path = tmp_path / f"{fill}.mp4"
        subprocess.run([sys.executable, "-c", code, str(path)], check=True, env={**os.environ, "MALLOC_PERTURB_": fill})
        written.append(path.read_bytes())
    assert written[0] == written[1]


@pytest.mark.parametrize(("number", "red"), [(1, "top"), (3, "bottom"), (6, "right"), (8, "left")])
def test_photographs_are_turned_as_their_exif_says(tmp_path: Path, number: int, red: str) -> None:
    """PyAV does not open the data of a frame that bears EXIF."""
    picture = Image.new("RGB", (96, 64))
    picture.paste((255, 0, 0), (0, 0, 96, 32))
    exif = Image.Exif()
    exif[0x112] = number
    picture.save(tmp_path / "a.jpg", exif=exif)
    info, (_, shown) = probe(tmp_path / "a.jpg"), next(iter_frames(tmp_path / "a.jpg"))
    assert (info.width, info.height) == ((96, 64) if red in ("top", "bottom") else (64, 96))
    sides = {"top": shown[:20], "bottom": shown[-20:], "left": shown[:, :20], "right": shown[:, -20:]}
    assert max(sides, key=lambda side: float(sides[side][..., 0].mean())) == red
