"""Video with alpha, decoded by FFmpeg: opacity is the mask, the picture and its times are those of the video."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from inference.known import COUNT, FPS, SIZE, SOUNDS, clip_result, mask, pictures, result


def opened(path: Path) -> tuple[list[np.ndarray], list[float], tuple[str, int] | None]:
    """(H, W, 4) pictures, their times in s, and codec and rate of the sound."""
    shown, times = [], []
    with av.open(str(path)) as media:
        stream = media.streams.video[0]
        context = stream.codec_context
        if context.name.startswith("vp9"):  # FFmpeg's own decoder of VP9 knows no alpha
            context = av.CodecContext.create("libvpx-vp9", "r")
            context.extradata = stream.codec_context.extradata
        for packet in [*(p for p in media.demux(stream) if p.size), None]:
            for frame in context.decode(packet):
                shown.append(frame.to_ndarray(format="rgba"))
                times.append(float(frame.pts * stream.time_base))
        sound = media.streams.audio[0].codec_context if media.streams.audio else None
        return shown, times, (sound.name, sound.sample_rate) if sound is not None else None


def marked(index: int) -> np.ndarray:
    """(H, W) bool of all that sounds in a frame."""
    of = [mask(number, index) for number, there in SOUNDS.items() if index in there]
    return np.logical_or.reduce(of) if of else np.zeros(SIZE, bool)


@pytest.mark.parametrize(("kind", "sound"), [("mov", "aac"), ("webm", "opus")])
def test_what_is_silent_is_transparent(kind: str, sound: str, tmp_path: Path) -> None:
    folder = result(tmp_path).save(tmp_path / "out", save=[f"alpha:{kind}"])
    shown, times, heard = opened(folder / f"alpha.{kind}")
    assert heard is not None and heard[0].removeprefix("lib").removesuffix("float") == sound
    assert len(shown) == 30 and np.allclose(times, np.arange(30) / 10, atol=2e-3)
    for number, picture in enumerate(shown):
        # Masks are at 0.25, 0.75 ... s; the picture at half-way has the one before it.
        truth = marked(min(max(int(np.ceil(number / 10 * FPS - 1e-9)) - 1, 0), COUNT - 1))
        assert np.abs(picture[..., 3] - 255.0 * truth).mean() < (0.5 if kind == "mov" else 4)
        assert ((picture[..., 3] > 127) == truth).mean() > 0.995
        assert np.abs(picture[..., :3].astype(float) - pictures()[number])[truth].sum() <= 5 * 3 * truth.sum()


def test_a_clip_keeps_its_own_times(tmp_path: Path) -> None:
    folder = clip_result().save(tmp_path / "out", save=["alpha:mov"])
    shown, times, heard = opened(folder / "alpha.mov")
    assert np.allclose(times, np.arange(COUNT) / FPS) and heard is not None
    assert all(((one[..., 3] > 127) == marked(index)).all() for index, one in enumerate(shown))
