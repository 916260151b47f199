"""Masks of all videos in Parquet files; the hash of a video's id selects its file.

The files are built from the folders of the videos and can be rebuilt at any time.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from avseg.batch.plan import NOTE
from avseg.batch.results import RESULT, Results, name_of, open_results
from avseg.batch.videos import part_of_id
from avseg.lazy import imported
from avseg.progress import Progress

log = logging.getLogger(__name__)

LINES = "masks.jsonl"
"""Run lengths in the folder of a video (docs/reference/result.md)."""
TOGETHER = 32
"""Videos whose files are read at once."""
AGAIN = 5
"""Attempts to rewrite a file when other runs add videos at the same time."""


def shard_name(part: int, parts: int) -> str:
    """`masks/00003-of-00064.parquet`."""
    return f"masks/{part:05d}-of-{parts:05d}.parquet"


def gather(results: Results, ids: Sequence[str], parts: int, ready: set[int]) -> int:
    """Write the Parquet files that are incomplete and return their number.

    Args:
        ids: of all videos that may have a result.
        parts: number of files; one without any video is not written.
        ready: those that may be written.

    Raises:
        ImportError: pyarrow is not installed.
    """
    written, waiting = 0, sorted(ready)
    with Progress(len(waiting), "gather masks", "file") as progress:
        for _ in range(AGAIN):
            left = [
                part
                for part, videos in _videos(results, ids, parts, waiting).items()
                if _lacks(results, part, parts, videos)
            ]
            if not left:
                break
            for part in left:
                # Listed anew for each file: other runs may have added videos since.
                videos = _videos(results, ids, parts, [part])[part]
                imported("avseg.batch.parquet:write_masks")(
                    results, shard_name(part, parts), _signature(videos), _rows(results, sorted(videos))
                )
                written += 1
                progress.advance()
            waiting = left  # whoever writes last looks again, so that no video is left out
        progress.at(progress.total or 0)
    return written


def _videos(results: Results, ids: Sequence[str], parts: int, wanted: Sequence[int]) -> dict[int, dict[str, int]]:
    """Return by file the videos with masks and the sizes of these."""
    chosen = [key for key in ids if part_of_id(key, parts) in set(wanted)]
    sizes = results.sizes(chosen, (RESULT, LINES))
    found: dict[int, dict[str, int]] = {part: {} for part in wanted}
    for key, size in sizes[LINES].items():
        if key in sizes[RESULT]:
            found[part_of_id(key, parts)][key] = size
    return found


def _signature(videos: Mapping[str, int]) -> str:
    return sha256(json.dumps(sorted(videos.items())).encode()).hexdigest()[:32] if videos else ""


def _lacks(results: Results, part: int, parts: int, videos: Mapping[str, int]) -> bool:
    file = results.open(shard_name(part, parts)) if videos else None
    if file is None:
        return bool(videos)
    with file:
        there: str = imported("avseg.batch.parquet:signature_of")(file)
    return there != _signature(videos)


def _rows(results: Results, ids: Sequence[str]) -> Iterator[dict[str, Any]]:
    for begin in range(0, len(ids), TOGETHER):
        some = ids[begin : begin + TOGETHER]
        files = results.read_all([name_of(key, name) for key in some for name in (RESULT, LINES)])
        for key in some:
            head, lines = files.get(name_of(key, RESULT)), files.get(name_of(key, LINES))
            if head is None or lines is None:
                raise FileNotFoundError(f"the result of {key} is no longer in {results.shown}; run the batch again")
            yield from rows_of(key, json.loads(head), lines.decode())


def rows_of(key: str, head: Mapping[str, Any], lines: str) -> Iterator[dict[str, Any]]:
    """Return the masks of a video as rows.

    Args:
        head: its result.json.
        lines: its masks.jsonl.
    """
    frames = {frame["index"]: frame for frame in head["frames"]}
    for line in lines.splitlines():
        entry = json.loads(line)
        frame = frames[entry["index"]]
        objects = {one["id"]: one for one in frame["objects"]}
        for mask in entry["masks"]:
            one, (height, width) = objects[mask["id"]], mask["rle"]["size"]
            yield {
                "id": key,
                "frame": entry["index"],
                "time": frame["time"],
                "object": mask["id"],
                "class_id": one["class_id"],
                "class": one["class"],
                "score": one["score"],
                "height": height,
                "width": width,
                "counts": mask["rle"]["counts"],
            }


def unpack(out: str | Path, key: str, folder: str | Path) -> Path:
    """Write the folder of one video, as by `avseg predict --masks rle`, from its result.json and the Parquet files.

    Raises:
        FileNotFoundError: no such batch or video.
        ImportError: pyarrow is not installed.
    """
    results, folder = open_results(str(out)), Path(folder)
    note, head = results.read(NOTE), results.read(name_of(key, RESULT))
    if note is None or head is None:
        raise FileNotFoundError(f"{results.shown} holds no {'batch' if note is None else f'result of {key}'}")
    parts = int(json.loads(note)["parts"])
    file = results.open(name := shard_name(part_of_id(key, parts), parts))
    if file is None:
        raise FileNotFoundError(f"{results.shown} has no {name}; run avseg batch with --masks parquet to write it")
    frames: dict[int, list[dict[str, Any]]] = {frame["index"]: [] for frame in json.loads(head)["frames"]}
    with file:
        rows = imported("avseg.batch.parquet:masks_of")(file, key)
    for row in rows:
        rle = {"size": [row["height"], row["width"]], "counts": row["counts"]}
        frames[row["frame"]].append({"id": row["object"], "rle": rle})
    folder.mkdir(parents=True, exist_ok=True)
    lines = (json.dumps({"index": index, "masks": masks}) + "\n" for index, masks in frames.items())
    (folder / LINES).write_text("".join(lines), encoding="utf-8", newline="\n")
    (folder / RESULT).write_bytes(head)
    return folder
