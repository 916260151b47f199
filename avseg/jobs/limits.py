"""Limits for files, checked from their headers without decoding."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from avseg.io.media import Media, MediaError, open_media, stated_duration
from avseg.io.part import STILLS
from avseg.jobs.errors import JobError, sentence_of

MEGABYTE = 1_000_000
REFERRING = frozenset({"concat", "dash", "hls", "imf", "image2", "sdp", "rtsp", "rtp", "tee", "webm_dash_manifest"})
"""FFmpeg formats whose files name other files, which FFmpeg would read from this machine."""


@dataclass(frozen=True)
class Limits:
    """Limits of accepted files; a file above any of them is refused before decoding."""

    bytes: int = 500 * MEGABYTE
    """Largest size of a file."""
    seconds: float = 600.0
    """Longest video in s."""
    pixels: int = 3840 * 2160
    """Largest picture in pixels."""
    work: float = 3600.0
    """Time limit in s for the work on one video."""

    def check(self, path: Path) -> None:
        """
        Raises:
            JobError: if a file is above a limit or cannot be opened. The message contains only its name.
        """
        path = Path(path)
        try:
            self.check_bytes(path.name, path.stat().st_size)
            if path.suffix.lower() in STILLS:
                self.check_pixels(path.name, *_size_of_still(path))
            else:
                with open_media(path) as media:
                    _check_holds_all(media)
                    self._check_media(media)
        except (MediaError, OSError) as error:
            raise JobError(sentence_of(error).replace(str(path), path.name)) from error

    def check_bytes(self, name: str, size: int) -> None:
        """
        Raises:
            JobError: too many.
        """
        if size > self.bytes:
            raise JobError(
                f"{name} has {size / MEGABYTE:.1f} MB, the limit is {self.bytes / MEGABYTE:g} "
                "MB; send a shorter or smaller video"
            )

    def check_seconds(self, name: str, seconds: float) -> None:
        """
        Raises:
            JobError: too many.
        """
        if seconds > self.seconds:
            raise JobError(f"{name} lasts {seconds:.1f} s, the limit is {self.seconds:g} s; send a part of it")

    def check_pixels(self, name: str, width: int, height: int) -> None:
        """
        Raises:
            JobError: too many.
        """
        if width * height > self.pixels:
            raise JobError(
                f"{name} has pictures of {width} x {height} pixels, the limit is "
                f"{self.pixels / 1e6:.3g} megapixels; scale it down"
            )

    def check_sound(self, path: Path) -> None:
        """Check a file of which only the sound is used.

        Raises:
            JobError: see `check`.
        """
        path = Path(path)
        try:
            self.check_bytes(path.name, path.stat().st_size)
            with open_media(path) as media:
                _check_holds_all(media)
                self.check_seconds(path.name, float(media.container.duration or 0) / 1e6)
        except (MediaError, OSError) as error:
            raise JobError(sentence_of(error).replace(str(path), path.name)) from error

    def _check_media(self, media: Media) -> None:
        name, context = media.path.name, media.seen().codec_context
        if not context.width * context.height:  # FFmpeg drops a size that no picture can have
            raise JobError(f"{name} has no valid picture size; it is damaged, truncated or not a video")
        self.check_pixels(name, context.width, context.height)
        self.check_seconds(name, max(stated_duration(media), float(media.container.duration or 0) / 1e6))


def _check_holds_all(media: Media) -> None:
    """
    Raises:
        JobError: a playlist.
    """
    if REFERRING.intersection(media.container.format.name.split(",")):
        raise JobError(f"{media.path.name} is a playlist, which names other files; send the video itself")


def _size_of_still(path: Path) -> tuple[int, int]:
    """Return width and height from the header of a picture file.

    Raises:
        MediaError: no picture.
    """
    try:
        with Image.open(path) as image:
            return image.size
    except Image.DecompressionBombError as error:
        raise MediaError(f"{path} has far more pixels than the limit; scale it down") from error
    except (SyntaxError, ValueError, EOFError, OSError) as error:
        raise MediaError(f"{path} is not a complete picture ({error})") from error


USUAL_LIMITS = Limits()
