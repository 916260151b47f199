"""The first pictures of a part late in a long video: passing over what comes before, beside decoding all of it.

Makes a video with FFmpeg (H.264 with B-frames and a keyframe every ten seconds, AAC), then reads one second near its
end. The floor is reading the packets alone. All three give way to each other in turn; both sides must give the same
bytes. Prints JSON.

    python benchmarks/late_part.py --minutes 60 --height 1080 --width 1920
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import Any

from harness import in_turn, options_of, parser, tell

from avseg.io import pictures
from avseg.io.excerpt import excerpt
from avseg.io.late import late_frames
from avseg.io.media import open_media
from avseg.io.video import iter_frames

SOURCE = "testsrc2=size={width}x{height}:rate=25,noise=alls=6:allf=t"


def make(path: Path, minutes: float, height: int, width: int) -> Path:
    """A video with sound."""
    seconds, picture = str(minutes * 60), SOURCE.format(width=width, height=height)
    inputs = ["-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000"]
    coded = ["-c:v", "libx264", "-preset", "veryfast", "-bf", "3", "-g", "250", "-pix_fmt", "yuv420p", "-c:a", "aac"]
    subprocess.run(["ffmpeg", "-v", "error", *inputs, "-t", seconds, *coded, str(path)], check=True)
    return path


def read(path: Path, start: float, late: Any) -> list[bytes]:
    """One second of pictures."""
    pictures.late_frames = late
    return [picture.tobytes() for _, picture in iter_frames(excerpt(path, start, start + 1))]


def packets(path: Path) -> int:
    """The floor."""
    with open_media(path) as media:
        return sum(1 for _ in media.packets())


def main() -> None:
    words = parser(__doc__, threads=1)
    words.add_argument("--minutes", type=float, default=2.0)
    words.add_argument("--height", type=int, default=360)
    words.add_argument("--width", type=int, default=640)
    given = options_of(words)
    with tempfile.TemporaryDirectory() as folder:
        path = make(Path(folder) / "long.mp4", given.minutes, given.height, given.width)
        start = given.minutes * 60 - 3.5
        runs = {
            "passed_over": lambda: read(path, start, late_frames),
            "all_decoded": lambda: read(path, start, lambda media, _: media.frames(media.seen())),
            "packets": lambda: packets(path),
        }
        spent = in_turn(runs, warm=False)
        assert spent["passed_over"].result == spent["all_decoded"].result
        seconds = {name: one.wall for name, one in spent.items()}
        ratio = seconds["all_decoded"] / seconds["passed_over"]
        cpu = {name: one.cpu for name, one in spent.items()}
        size = {"minutes": given.minutes, "height": given.height, "width": given.width}
        tell({**size, "seconds": seconds, "cpu": cpu, "ratio": ratio}, given.out)


if __name__ == "__main__":
    main()
