"""The used part of a video: a time span, another sound, or one picture for the length of a sound."""

from __future__ import annotations

from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path

from avseg.io.media import MediaError, SoundInfo, VideoInfo, open_media, probe, sound_info
from avseg.io.orientation import Orientation
from avseg.io.part import STILLS, part_of
from avseg.io.pictures import STILL_RATE, read_still
from avseg.io.video_sound import iter_audio


@dataclass(frozen=True)
class Excerpt:
    """The part and sound to use of every video."""

    part: tuple[float, float] | None = None
    """s, begin and end; see `VideoInfo.part`."""
    audio: Path | None = None
    """The file whose sound stands in place of their own."""
    sound: SoundInfo | None = None
    """Facts of its sound."""

    @classmethod
    def wanted(
        cls,
        start: float | str | None = None,
        end: float | str | None = None,
        audio: str | PathLike[str] | None = None,
    ) -> Excerpt:
        """See `excerpt`.

        Raises:
            MediaError: `audio` has no sound that can be decoded.
            ValueError: times that are none, or an end that is not after the start.
        """
        part = part_of(start, end)
        return cls(part) if audio is None else cls(part, Path(audio), _sound_of(Path(audio)))

    def of(self, path: Path) -> VideoInfo:
        """Return the part of a file that is used.

        Raises:
            MediaError: a file that cannot be used, a picture without `audio`, or one whose sound ends before the part.
        """
        info = _still(path, self.audio, self.sound) if path.suffix.lower() in STILLS else probe(path)
        if self.audio is not None:
            info = replace(info, sound=self.sound, silent="", other_sound=self.audio)
        if self.part is None:
            return info
        begin, end = self.part
        if info.still and begin >= info.still:
            raise MediaError(f"{self.audio} ends at {info.still:.2f} s, before the part that begins at {begin:.2f} s")
        duration = max(min(info.duration, end) - begin, 0.0) if info.duration else 0.0
        return replace(info, part=self.part, duration=duration)


def excerpt(
    path: str | PathLike[str],
    start: float | str | None = None,
    end: float | str | None = None,
    audio: str | PathLike[str] | None = None,
) -> VideoInfo:
    """Return the wanted part of a video file.

    Args:
        path: a video; with `audio` also a picture, which is shown as long as the sound lasts.
        start: s from the first picture, or `1:02.5`; None: the beginning.
        end: the same; None: the end.
        audio: any file FFmpeg can open; its sound stands in place of the video's own, from the first picture on.

    Raises:
        MediaError: a file that cannot be used, or a picture without `audio`.
        ValueError: times that are none, or an end that is not after the start.
    """
    return Excerpt.wanted(start, end, audio).of(Path(path))


def _sound_of(path: Path) -> SoundInfo:
    """
    Raises:
        MediaError: no file, or none with sound that can be decoded.
    """
    if not path.is_file():
        raise MediaError(f"{path} is not a file; give the path of a sound file, such as WAV or MP3, or of a video")
    try:
        with open_media(path) as media:
            if media.sound is not None:
                return sound_info(media.sound)
    except MediaError as error:
        raise MediaError(
            str(error).replace("as a video", "for its sound").replace("not a video", "no sound")
        ) from error
    raise MediaError(
        f"{path} has no sound that can be decoded; give a sound file, such as WAV or MP3, or another video"
    )


def _still(path: Path, audio: Path | None, sound: SoundInfo | None) -> VideoInfo:
    """A picture as a video as long as its sound.

    Raises:
        MediaError: no whole picture, no sound beside it, or one of which nothing can be decoded.
    """
    if audio is None or sound is None:
        raise MediaError(f"{path} is a picture; give a sound for it (--audio FILE), or use a video")
    if not path.is_file():
        raise MediaError(f"{path} is not a file; give the path of a picture")
    height, width = read_still(path).shape[:2]
    seconds = 0.0
    for time, piece, rate in iter_audio(audio):
        seconds = time + piece.shape[1] / rate
    if not seconds:
        raise MediaError(f"the sound of {audio} cannot be decoded; give another sound file")
    kind = path.suffix.lower().removeprefix(".")
    return VideoInfo(path, width, height, STILL_RATE, seconds, kind, Orientation(), 1.0, 0.0, sound, still=seconds)
