"""The parts of a stream: the ring of sound, the clock, the stage between two threads, and what a model gets."""

from __future__ import annotations

import time
from fractions import Fraction
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
import torch

from avseg.config import AudioWindow, Temporal
from avseg.inference.segmenter import Segmenter
from avseg.io.media import MediaError
from avseg.io.pictures import Converter
from avseg.live.figures import Figures
from avseg.live.inputs import inputs_of, shown
from avseg.live.ring import SoundRing
from avseg.live.stage import FRESH, LivePicture, Memory, Stage
from avseg.live.stream import LiveStream
from avseg.live.timeline import BARE, Timeline
from avseg.live.window import LiveWindow
from inference.fake import fake


def sound(samples: np.ndarray, rate: int = 1000) -> av.AudioFrame:
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples, np.float32)[None], format="fltp", layout="mono")
    frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
    return frame


def test_a_ring_gives_back_its_last_seconds_and_zeros_elsewhere() -> None:
    ring = SoundRing(2.0, 1, 1000)
    signal = np.arange(1, 3501, dtype=np.float32)
    for begin in range(0, 3500, 700):
        ring.append(signal[None, begin : begin + 700])
    assert ring.end == 3.5
    assert np.array_equal(ring.read(1500, 3500)[0], signal[1500:])
    assert np.array_equal(ring.read(1400, 1600)[0], [*[0] * 100, *signal[1500:1600]])
    assert np.array_equal(ring.read(3400, 3700)[0], [*signal[3400:], *[0] * 200])
    assert not ring.read(-100, 0).any()
    ring.append(np.full((1, 9000), 7, np.float32))
    assert (ring.read(10500, 12500) == 7).all() and ring.end == 12.5


def test_a_ring_goes_by_stamps_that_leave_its_count() -> None:
    ring = SoundRing(5.0, 1, 1000)
    ring.add(sound(np.ones(100)), -0.05)  # half of it lies before the first picture
    assert ring.end == pytest.approx(0.05)
    ring.add(sound(np.ones(100)), 0.06)  # 10 ms later than counted: within the tolerance
    assert ring.end == pytest.approx(0.15)
    ring.add(sound(np.ones(100)), 0.18)  # 30 ms: a hole
    assert ring.end == pytest.approx(0.28)
    assert not ring.read(150, 180).any() and ring.read(180, 280).all()
    ring.add(sound(np.full(100, 2.0)), 0.23)  # 50 ms overlap
    assert ring.end == pytest.approx(0.33) and (ring.read(280, 330) == 2).all()


def test_a_sound_card_whose_clock_is_wrong_never_drifts_further_than_two_hundredths() -> None:
    """Ten minutes of sound that comes 0.02 % slower than it is stamped, 120 ms in all."""
    ring = SoundRing(5.0, 1, 1000)
    off = []
    for second in range(600):
        begin = second * 1.0002
        ring.add(sound(np.full(1000, second + 1.0)), begin)
        at = int(np.flatnonzero(ring.read(round(ring.end * 1000) - 2000, round(ring.end * 1000))[0] == second + 1)[0])
        off.append(round(ring.end * 1000) - 2000 + at - 1000 * begin)
    assert max(map(abs, off)) <= 21 and min(off) < -15


def test_sound_for_a_file_has_no_holes_and_says_when_there_is_no_more() -> None:
    ring = SoundRing(3.0, 1, 1000)
    ring.append(np.ones((1, 2500), np.float32))
    pieces = ring.pieces(0.3)
    got = list(islice(pieces, 4))
    assert [(time, piece.shape[1]) for time, piece, _ in got] == [(0.0, 1000), (1.0, 1000), (2.0, 200), (2.2, 0)]
    ring.append(np.ones((1, 6000), np.float32))  # more than is held was read too late
    late = list(islice(pieces, 7))
    assert sum(piece.shape[1] for _, piece, _ in late) == 6000
    assert not late[0][1].any() and late[-2][1].all()


def test_the_clock_of_a_stream_goes_on_over_new_connections() -> None:
    line = Timeline()
    assert line.shift is None
    assert line.of_picture(90.0, 1000.0, 0.04) == 0.0
    assert line.of_picture(90.5, 1000.52, 0.04) == 0.5  # the source's stamps count, not when they came
    line.restart()
    assert line.shift is None
    assert line.of_picture(3.0, 1007.52, 0.04) == pytest.approx(7.5)  # 7 s were missed, by the machine's clock
    assert line.of_picture(3.1, 1009.0, 0.04) == pytest.approx(7.6)


def test_a_picture_without_a_stamp_waits_for_those_with_one() -> None:
    line = Timeline()
    assert line.of_picture(None, 1.0, 0.04) is None
    assert line.of_picture(5.0, 1.1, 0.04) == 0.0
    assert line.of_picture(None, 1.2, 0.04) == pytest.approx(0.04)
    bare = Timeline()
    times = [bare.of_picture(None, number / 25, 0.04) for number in range(BARE + 2)]
    assert times[:BARE] == [None] * BARE and times[BARE:] == [0.0, pytest.approx(0.04)]


def stage(ahead: float = 0.1, before: int = 0) -> Stage:
    return Stage(Memory(ahead, 1.0, before), lambda name, channels: (SoundRing(10.0, 1, 1000),))


def picture(at: float, age: float = 0.0) -> LivePicture:
    return LivePicture(at, SimpleNamespace(), time.monotonic() - age)


def test_the_newest_picture_with_its_sound_is_taken_and_older_ones_are_dropped() -> None:
    one = stage()
    one.hear("film", 1)
    for number in range(10):
        one.show(picture(number / 10))
    one.sound(sound(np.ones(620)), 0.0)  # up to 0.62 s: the picture at 0.5 s hears to 0.6 s
    time.sleep(0.05)  # all are due
    found = one.newest()
    assert found is not None and found.time == 0.5 and one.frames == 10
    assert one.newest(until=0.0) is None  # no later one has its sound
    one.sound(sound(np.ones(400)), 0.62)
    time.sleep(0.1)
    found = one.newest()
    assert found is not None and found.time == 0.9
    one.end()
    assert one.newest() is None


def test_pictures_get_a_steady_delay_where_sound_comes_in_lumps() -> None:
    one = stage()
    one.hear("film", 1)
    for number in range(10):  # ten a second, the first of which came 0.9 s ago
        one.show(picture(number / 10, age=0.9 - number / 10))
    one.sound(sound(np.ones(1000)), 0.0)
    assert one.delay == pytest.approx(0.9, abs=0.1)
    found = one.newest()
    assert found is not None and found.time == 0.0  # the others are not due yet
    begin = found.arrival + one.delay
    assert [one._is_due(other, begin + 0.25) for other in one._fresh][:3] == [True, True, False]


def test_pictures_go_on_without_sound_that_does_not_come() -> None:
    one = stage()
    one.hear("film", 1)
    one.show(picture(0.0, age=0.5))
    assert one.newest(until=0.0) is None
    one.show(picture(0.04, age=3.0))
    found = one.newest(until=0.0)
    assert found is not None and found.time == 0.04


def test_a_stage_holds_few_pictures_however_long_nobody_takes_them() -> None:
    heard, deaf = stage(ahead=1.5), stage(ahead=1.5, before=4)
    heard.hear("film", 1)
    for number in range(2000):
        heard.show(picture(number / 100))
        deaf.show(picture(number / 100))
    assert len(heard._fresh) == FRESH and len(deaf._fresh) <= 2
    assert heard._fresh[-1].time - heard._fresh[0].time > 1.5
    assert len(deaf._past) <= 17 and deaf._past[-1].time - deaf._past[0].time >= 4.0
    found = deaf.newest()
    assert found is not None
    assert [one.time for one in deaf.before(found)] == pytest.approx([15.99, 16.99, 17.99, 18.99, 19.99], abs=0.26)


def test_the_first_picture_stands_for_those_before_it() -> None:
    one = stage(before=4)
    one.show(picture(0.0))
    found = one.newest()
    assert found is not None and [p.time for p in one.before(found)] == [0.0] * 5


def test_a_fault_of_the_reader_is_raised_after_the_last_picture() -> None:
    one = stage()
    one.show(picture(0.0))
    one.end(MediaError("gone"))
    assert one.newest() is not None
    with pytest.raises(MediaError, match="gone"):
        one.newest()


KINDS: list[dict[str, Any]] = [
    {"temporal": Temporal("frame", 1), "audio": AudioWindow(seconds=1.0, anchor="frame", offset=-0.5)},
    {"temporal": Temporal("frame", 1, shown_after=0.9375), "audio": AudioWindow(anchor="frame")},
    {"temporal": Temporal("block", 3, shown_after=0.9375), "audio": AudioWindow(missing="silence")},
]


@pytest.mark.parametrize(
    ("kind", "span"),
    zip(KINDS, [(4.5, 5.5), (4.0625, 5.0375), (3.9825, 4.9575)], strict=True),
    ids=["around", "before", "block"],
)
def test_each_picture_gets_the_sound_around_it(kind: dict[str, Any], span: tuple[float, float]) -> None:
    model = fake(**kind)
    window = LiveWindow(model.config)
    rate = model.config.sound_rate
    ring = SoundRing(20.0, 1, rate)
    ring.append((np.arange(rate * 10, dtype=np.float32) / (rate * 10))[None])  # every sample tells when it is
    shown_at = [3.0, 4.0, 5.0][-(window.memory.before + 1) :]
    pictures = [LivePicture(at, av.VideoFrame(64, 48, "rgb24"), 0.0) for at in shown_at]
    clip = window.clip("film", pictures, Converter("film"), ring)
    assert clip.output_size == (48, 64) and clip.frames.shape[2:] == (32, 48) and float(clip.shown_at[-1]) == 5.0
    result = Segmenter(model).last_of(model.session(), clip, 7)
    begin, end = result.heard
    heard = clip.audio[0, round((begin - clip.audio_start) * rate) : round((end - clip.audio_start) * rate)]
    assert torch.allclose(heard, torch.linspace(begin / 10, end / 10, len(heard)), atol=1e-4)
    assert (result.time, result.index) == (5.0, 7)
    assert (begin, end) == pytest.approx(span)
    assert window.memory.ahead == pytest.approx(end - 5.0)


def test_models_that_need_a_whole_video_are_refused() -> None:
    whole = Segmenter(fake(temporal=Temporal("clip", None)))
    with pytest.raises(ValueError, match="need the whole video before they predict"):
        LiveStream(whole, inputs_of(__file__))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({}, "there is no video source"),
        ({"source": "a", "camera": "b"}, "both a source and a device are given"),
        ({"microphone": "default"}, "there is no video source"),
        ({"source": "missing.mp4"}, "neither a file nor an address"),
        ({"camera": "/dev/video0", "options": ("size",)}, "'size' is not of the form NAME=VALUE"),
    ],
)
def test_inputs_that_are_none_are_refused_in_one_sentence(words: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        inputs_of(**words)


def test_passwords_are_not_told_and_playlists_open_no_files() -> None:
    (one,) = inputs_of("rtsp://user:secret@10.0.0.1:554/cam?token=abc", options=("rtsp_transport=udp",))
    assert one.name == shown(one.address) == "rtsp://10.0.0.1:554/cam"
    assert one.options["rtsp_transport"] == "udp" and "file" not in one.options["protocol_whitelist"].split(",")


def test_a_camera_and_a_microphone_are_stamped_by_one_clock() -> None:
    try:
        camera, microphone = inputs_of(camera="/dev/video99", microphone="default", options=("framerate=30",))
    except MediaError as error:
        pytest.skip(str(error))
    assert camera.options == {"timestamps": "abs", "framerate": "30"} and camera.gives == {"picture"}
    assert microphone.gives == {"sound"} and camera.stamped_by_wall and microphone.stamped_by_wall
    with pytest.raises(MediaError, match="camera /dev/video99 cannot be opened"):
        camera.opened()


def test_a_microphone_is_stamped_by_the_time_of_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ALSA's device that is always silent and never waits; it needs no sound card."""
    config = tmp_path / "asound.conf"
    config.write_text("pcm.silent { type null }\n")
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(config))
    try:
        _, microphone = inputs_of(camera="/dev/video99", microphone="silent")
    except MediaError as error:
        pytest.skip(str(error))
    with microphone.opened() as container:
        frame = next(container.decode(audio=0))
        assert frame.pts * frame.time_base == pytest.approx(time.time(), abs=60)


def test_figures_count_what_was_left_out() -> None:
    figures = Figures()
    assert figures.to_dict()["dropped"] == 0.0
    for number in range(1, 21):
        figures.add(number / 5, number / 100, number * 5, ["dog"])
    told = figures.to_dict()
    assert (told["masks"], told["frames"], told["dropped"], told["sounding"]) == (20, 100, 0.8, ["dog"])
    assert (told["latency_ms"], told["latency_median_ms"], told["latency_95_ms"]) == (200.0, 105.0, 190.5)
