"""Streams served in real time on this machine: sound and picture in step, sources that stall, end and come back."""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from avseg.config import AudioWindow, Temporal
from avseg.inference.segmenter import Segmenter
from avseg.io.media import MediaError
from avseg.io.pictures import Pictures
from avseg.io.video_sound import read_audio
from avseg.live import reader
from avseg.live.inputs import Input, inputs_of
from avseg.live.reader import Patience
from avseg.live.recording import Recording
from avseg.live.run import run_live
from avseg.live.stream import LiveFrame, LiveStream
from inference.fake import fake
from served_films import FLASH, flashes, free_port, over_http, over_rtsp


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return flashes(tmp_path_factory.mktemp("film") / "flashes.mp4", 2.0)


def listening(offset: float = -0.04) -> Segmenter:
    """Marks what is white while the 0.08 s around it are loud."""
    window = AudioWindow(seconds=0.08, anchor="frame", offset=offset, missing="silence")
    return Segmenter(fake(audio=window, temporal=Temporal("frame", 1)))


def check_in_step(frames: Sequence[LiveFrame]) -> None:
    """Of a film of flashes, white pictures are marked in the middle of a flash, and nothing without its sound."""
    white = [frame for frame in frames if frame.picture.mean() > 200]
    middle = [one for one in white if FLASH[0] + 0.06 <= one.result.time % 1 <= FLASH[1] - 0.06]
    assert middle, [frame.result.time for frame in frames]
    assert all(frame.result.mask.mean() > 0.9 for frame in middle)
    assert all(FLASH[0] - 0.05 <= frame.result.time % 1 <= FLASH[1] + 0.05 for frame in white)
    assert not any(frame.result.mask.any() for frame in frames if frame.picture.mean() < 50)


def test_a_film_over_http_is_masked_in_step_and_ends(film: Path, tmp_path: Path) -> None:
    port = free_port()
    with over_http(film, port):
        begun = time.monotonic()
        with LiveStream(listening(), inputs_of(f"http://127.0.0.1:{port}/film.ts")) as stream:
            frames = list(stream)
        assert stream.is_open and stream.name == f"http://127.0.0.1:{port}/film.ts"
    assert time.monotonic() - begun > 1.5
    check_in_step(frames)
    times = [frame.result.time for frame in frames]
    assert times == sorted(set(times)) and times[-1] > 1.5
    told = stream.figures.to_dict()
    assert told["masks"] == len(frames) <= told["frames"] <= 50 and told["latency_median_ms"] > 0


def test_a_film_over_rtsp_is_masked_in_step_and_ends(film: Path) -> None:
    with over_rtsp(film, free_port()) as address, LiveStream(listening(), inputs_of(address)) as stream:
        check_in_step(list(stream))


def onsets(path: Path) -> tuple[list[float], list[float]]:
    """s, when pictures turn white and when the sound begins in a film of flashes."""
    lit = [(at, picture.mean() > 128) for at, picture in Pictures(path)]
    seen = [at for (_, before), (at, now) in pairwise(lit) if now and not before]
    found = read_audio(path)
    assert found is not None
    loud = np.convolve(np.abs(found[0][0].numpy()) > 0.1, np.ones(480), "same") > 0
    return seen, (np.flatnonzero(loud[1:] & ~loud[:-1]) / found[1]).tolist()


def check_file(path: Path, length: float) -> None:
    """Flashes that were painted begin with a tone or within it; the file lasts so many s."""
    seen, heard = onsets(path)
    late = [picture - sound for picture in seen for sound in heard if abs(picture - sound) < 0.5]
    assert late and all(-0.045 < one < FLASH[1] - FLASH[0] for one in late)
    assert list(Pictures(path))[-1][0] == pytest.approx(length, abs=0.3)


def test_a_file_plays_in_real_time_and_is_recorded_in_step(film: Path, tmp_path: Path) -> None:
    out = tmp_path / "out" / "live.mp4"
    begun = time.monotonic()
    told = run_live(listening(), inputs_of(str(film)), recording=Recording(out))
    assert time.monotonic() - begun > 1.5 and told["masks"] > 5
    check_file(out, 1.9)
    with pytest.raises(ValueError, match="already exists"):
        Recording(out)
    with pytest.raises(ValueError, match="not the name of an MP4 file"):
        Recording(tmp_path / "live.avi")


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short times, so that nobody waits."""
    monkeypatch.setattr("avseg.live.inputs.SILENCE", 1.0)
    monkeypatch.setattr(reader, "SILENCE", 1.0)
    monkeypatch.setattr(reader, "FIRST_WAIT", 0.25)


def test_a_source_that_stalls_and_comes_back_goes_on(
    film: Path, hasty: None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    port, recording = free_port(), Recording(tmp_path / "live.mp4")
    inputs, every = inputs_of(f"http://127.0.0.1:{port}/film.ts"), list[tuple[float, LiveFrame]]()
    stream = LiveStream(listening(), inputs, patience=Patience(20.0), keeps_sound=True)

    def take(until: float) -> None:
        for frame in stream:
            every.append((time.monotonic() - frame.latency, frame))
            recording.write(frame, stream.sound)
            if frame.result.time > until:
                return

    with over_http(film, port, seconds=60) as server, stream:
        take(until=0.8)
        server.send_signal(signal.SIGSTOP)
        while stream.is_open:
            time.sleep(0.05)
        server.kill()
        with over_http(film, port, awaited=True):
            take(until=1e6)
    recording.close()
    assert "has sent nothing for 1 s; reconnecting in 0.25 s" in caplog.text
    steps = [late[1].result.time - early[1].result.time for early, late in pairwise(every)]
    place = int(np.argmax(steps))
    (before, _), (after, _) = every[place : place + 2]
    assert steps[place] > 1.0 and steps[place] == pytest.approx(after - before, abs=0.6)
    # The second connection has stamps of its own, by which its flashes are in step again, in the file as well.
    white = [frame for _, frame in every[place + 1 :] if frame.picture.mean() > 200]
    assert sum(frame.result.mask.any() for frame in white) > len(white) / 2
    length = every[-1][1].result.time - every[0][1].result.time
    check_file(recording.path, length)


def test_a_source_that_does_not_come_back_is_an_error_after_a_while(film: Path, hasty: None) -> None:
    port = free_port()
    with over_http(film, port, seconds=60) as server:
        stream = LiveStream(listening(), inputs_of(f"http://127.0.0.1:{port}/film.ts"), patience=Patience(1.0))
        with stream, pytest.raises(MediaError, match="and it did not come back within 1 s"):
            list(filter(None, (frame.result.time > 0.3 and server.send_signal(signal.SIGSTOP) for frame in stream)))


def test_a_source_that_ends_is_waited_for_where_that_is_wanted(
    hasty: None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    port, short = free_port(), flashes(tmp_path / "short.mp4", 1.0)
    stream = LiveStream(listening(), inputs_of(f"http://127.0.0.1:{port}/film.ts"), patience=Patience(3.0, True))
    with over_http(short, port), stream:
        times = [next(stream).result.time]
        with over_http(short, port, awaited=True):
            times += [frame.result.time for frame in stream]
    assert "film.ts has ended; reconnecting in 0.25 s" in caplog.text
    assert "it did not come back within 3 s" in caplog.text
    assert times == sorted(times) and max(late - early for early, late in pairwise(times)) > 0.2 and times[-1] > 1.5


def test_what_cannot_be_opened_is_an_error_at_once() -> None:
    with (
        LiveStream(listening(), inputs_of(f"http://127.0.0.1:{free_port()}/film.ts")) as stream,
        pytest.raises(MediaError, match="cannot be opened"),
    ):
        next(stream)


def test_two_devices_are_heard_and_seen_on_one_clock(film: Path) -> None:
    """Two inputs that are stamped alike: one gives the picture, the other the sound."""
    camera, microphone = (
        Input(str(film), gives, gives=frozenset({gives}), stamped_by_wall=True, is_file=True)
        for gives in ("picture", "sound")
    )
    with LiveStream(listening(), [camera, microphone]) as stream:
        check_in_step(list(stream))


def test_a_slow_model_leaves_pictures_out_and_does_not_fall_behind(film: Path) -> None:
    segmenter = listening()
    quick = segmenter.last_of

    def slow(*words: object) -> object:
        time.sleep(0.4)
        return quick(*words)  # type: ignore[arg-type]

    segmenter.last_of = slow  # type: ignore[assignment,method-assign]
    with LiveStream(segmenter, inputs_of(str(film)), seconds=2.0) as stream:
        frames = list(stream)
    told = stream.figures.to_dict()
    assert len(frames) <= 12 and told["dropped"] > 0.5
    assert frames[-1].result.time > 1.0  # with a queue it would have come to the twelfth picture


def test_a_silent_film_is_masked_without_waiting(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    silent = flashes(tmp_path / "silent.mp4", 0.6, silent=True)
    with LiveStream(listening(), inputs_of(str(silent))) as stream:
        frames = list(stream)
    assert frames and not any(frame.result.mask.any() for frame in frames)
    assert "has no sound; the model gets silence" in caplog.text
