"""One clock: a clip and its file give equal results, and an overlay is as long as its sound."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from avseg.config import AudioWindow, Temporal
from avseg.inference import Result, Segmenter
from avseg.inference.plan import FramePlan
from avseg.io.media import open_media
from avseg.io.video import iter_audio, iter_frames, read_audio
from avseg.models.base import Model
from avseg.types import Clip
from inference.fake import fake
from inference.media import make, tone
from inference.tracker import tracker

RATE, LATE, SECONDS = 16000, 0.9375, 6.0


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six seconds: a bright square that moves above a red one that stands, loud from 1 to 4 s."""
    pictures = []
    for i in range(round(10 * SECONDS)):
        picture = np.full((64, 96, 3), 20, np.uint8)
        picture[4:30, i : i + 30] = 235
        picture[34:60, 40:80] = (230, 20, 20)
        pictures.append(picture)
    sound = tone(SECONDS, RATE)
    time = np.arange(sound.shape[1]) / RATE
    sound = np.where((time > 1) & (time < 4), sound, 0).astype(np.float32)
    path = tmp_path_factory.mktemp("v") / "square.mkv"  # FLAC, as AAC would add some silence at the end
    return make(path, pictures, sound=sound, audio=("flac", "mono", RATE))


def clip_of(video: Path, fps: float, late: float) -> Clip:
    """The same material: pictures `late` s after their nominal times, and all of the sound."""
    timed = list(iter_frames(video, fps, FramePlan.of(fps, Temporal("frame", 1, shown_after=late)).offset))
    shown = torch.tensor([time for time, _ in timed], dtype=torch.float64)
    sound = torch.from_numpy(np.concatenate([piece[1] for piece in iter_audio(video, RATE, 1)], axis=1))
    frames = torch.from_numpy(np.stack([picture for _, picture in timed])).permute(0, 3, 1, 2).contiguous()
    return Clip(video.stem, frames, (shown - late).clamp(min=0), sound, RATE, shown=shown if late else None)


def said(result: Result) -> list[object]:
    return [result.frames, result.sounding, result.times.tolist(), result.duration]


def models() -> dict[str, Model]:
    window = AudioWindow(1.0, anchor="frame", offset=-0.5, missing="silence")
    return {
        "block": fake(temporal=Temporal("block", 5, shown_after=LATE)),
        "block at once": fake(temporal=Temporal("block", 5)),
        "short block": fake(temporal=Temporal("block", 3, spacing=0.5, shown_after=0.25)),
        "frame": fake(temporal=Temporal("frame", 1, shown_after=LATE), audio=window),
        "clip": fake(temporal=Temporal("clip", None, shown_after=0.5)),
        "tracks": tracker(),
    }


@pytest.mark.parametrize("name", models())
@pytest.mark.parametrize("fps", [2, 10])
def test_a_clip_and_its_file_give_equal_results(video: Path, name: str, fps: float) -> None:
    model = models()[name]
    segmenter = Segmenter(model, fps=fps)
    clip = clip_of(video, fps, model.config.temporal.shown_after)
    of_file, of_clip = segmenter.predict(video), segmenter.predict(clip)
    assert len(of_file.frames) == fps * SECONDS and any(frame.objects for frame in of_file.frames)
    assert not all(frame.objects for frame in of_file.frames)
    assert said(of_clip) == said(of_file)


@pytest.mark.parametrize("fps", [1, 5])
def test_a_clip_that_says_no_other_time_is_shown_at_its_nominal_times(video: Path, fps: float) -> None:
    """Whatever rate the segmenter has for videos."""
    clip = replace(clip_of(video, 1, LATE), shown=None)
    result = Segmenter(fake(), fps=fps).predict(clip)
    assert result.times.tolist() == clip.times.tolist() == [0, 1, 2, 3, 4, 5] and result.duration == SECONDS
    assert [frame.labels.tolist() for frame in result.frames] == [
        frame.labels.tolist() for frame in Segmenter(fake(), fps=1).predict(video).frames
    ]


@pytest.mark.parametrize(("fps", "late"), [(1, 0.0), (1, LATE), (5, LATE), (2, 0.0)])
@pytest.mark.parametrize("of_videos", [1, 5])
def test_an_overlay_of_a_clip_is_as_long_as_its_sound(
    video: Path, tmp_path: Path, fps: float, late: float, of_videos: float
) -> None:
    clip = clip_of(video, fps, late)
    path = Segmenter(fake(), fps=of_videos).predict(clip).save_video(tmp_path / "c.mp4")
    pictures = iter_frames(path)
    shown = [time for time, _ in pictures]
    wanted = [0.0, *(time for time in clip.shown_at.tolist()[1:])]
    assert shown == pytest.approx(wanted, abs=2e-3) and pictures.end == pytest.approx(SECONDS, abs=2e-3)
    with open_media(path) as media:
        (picture,) = media.container.streams.video
        assert float(picture.duration * picture.time_base) == pytest.approx(SECONDS, abs=0.07)
    heard = read_audio(path)
    assert heard is not None and heard[0].shape[1] / heard[1] == pytest.approx(SECONDS, abs=0.07)


def test_times_go_along_when_frames_are_taken(video: Path) -> None:
    clip = clip_of(video, 5, LATE)
    part = clip.take([3, 9])
    assert part.times.tolist() == pytest.approx([0.0, 1.0]) and part.shown is not None
    assert part.shown.tolist() == pytest.approx([0.7375, 1.9375]) and part.shown_at is part.shown
    with pytest.raises(ValueError, match=r"shown has shape \(30,\), wanted \(2\)"):
        replace(part, shown=clip.shown)
