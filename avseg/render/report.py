"""A page that needs nothing but itself: pictures and videos are inside, light and dark follow the reader."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from avseg.io.files import clear_stale, write_text
from avseg.io.image import open_image
from avseg.render.palette import Colour

_STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #5b6570; --line: #d5dae0; --paper: #ffffff; --card: #f5f7f9;
  --accent: #b4430f; --heat: #e58a4e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8ebee; --soft: #a3adb8; --line: #39414a; --paper: #14181c;
  --card: #1e2429; --accent: #ff9a62; --heat: #a8440f; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1rem 4rem; max-width: 68rem; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { font-size: 1.8rem; line-height: 1.2; margin: 0 0 .5rem; }
h2 { font-size: 1.25rem; margin: 2.2rem 0 .5rem; }
p { max-width: 46rem; }
.lead { color: var(--soft); font-size: 1.05rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; margin: .8rem 0; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--soft); padding-bottom: .3rem; }
th, td { padding: .35rem .9rem .35rem 0; border-bottom: 1px solid var(--line); text-align: left; }
td.number, th.number { text-align: right; }
.gallery { display: grid; gap: .9rem; margin: .9rem 0; }
.gallery { grid-template-columns: repeat(auto-fill, minmax(min(100%, var(--tile)), 1fr)); }
figure { margin: 0; background: var(--card); border: 1px solid var(--line); border-radius: 8px; overflow: hidden; }
figure img, figure video, figure svg { display: block; width: 100%; height: auto; }
.chart { display: block; min-width: 44rem; width: 100%; height: auto; margin: .6rem 0; }
figure audio { display: block; width: calc(100% - 1.2rem); height: 2.2rem; margin: .6rem .6rem 0; }
.bars { display: grid; grid-template-columns: max-content 1fr max-content; gap: .2rem .8rem; align-items: center; }
.bars { margin: .8rem 0; font-variant-numeric: tabular-nums; }
.bars > :nth-child(3n) { text-align: right; }
.bar { display: flex; height: .95rem; gap: 2px; }
.bar span, .key::before { background: var(--hue); border-radius: 2px; }
.key { margin-right: 1.2rem; color: var(--soft); }
.key::before { content: ""; display: inline-block; width: .8rem; height: .8rem; margin-right: .4rem; }
.hue0 { --hue: #3a78b8; } .hue1 { --hue: #d18a1d; } .hue2 { --hue: #8a5bb0; }
.columns { display: flex; align-items: flex-end; gap: 3px; height: 11rem; margin: .8rem 0 0; max-width: 46rem; }
.columns div { flex: 1; display: flex; flex-direction: column; justify-content: flex-end; height: 100%; }
.columns div { text-align: center; font-size: .72rem; color: var(--soft); }
.columns span { display: block; background: #3a78b8; border-radius: 2px 2px 0 0; }
.ends { display: flex; justify-content: space-between; max-width: 46rem; color: var(--soft); font-size: .88rem; }
.ends { border-top: 1px solid var(--line); padding-top: .2rem; }
.timeline { border-collapse: separate; border-spacing: 3px; table-layout: fixed; font-size: .8rem; }
.timeline th, .timeline td { padding: 0; border: 0; text-align: center; vertical-align: middle; }
.timeline th { font-weight: 400; color: var(--soft); white-space: nowrap; padding-right: .5rem; }
.timeline td { min-width: 5.5rem; }
.timeline img { display: block; width: 100%; height: auto; border-radius: 4px; }
.chip { display: block; border-radius: 4px; padding: .1rem .3rem; border: 2px solid transparent; }
.chip.marked { border: 2px dashed var(--accent); }
figcaption { white-space: pre-line; padding: .45rem .6rem; font-size: .88rem; color: var(--soft); }
strong { color: var(--accent); }
"""


@dataclass(frozen=True, eq=False)
class Cell:
    """One place of a timeline: words, on a colour or not, or a picture."""

    text: str = ""
    colour: Colour | None = None
    marked: bool = False
    """Has a dashed border."""
    title: str = ""
    """Tooltip of the element."""
    picture: NDArray[np.uint8] | None = None
    """(H, W, 3); `text` says what it shows."""


class Page:
    """Builds one HTML file, part by part. Text is escaped; `**bold**` is the only markup."""

    def __init__(self, title: str, lead: str = "", language: str = "en") -> None:
        self.title = title
        self._language = language
        self._parts: list[str] = [f"<h1>{_text(title)}</h1>"]
        if lead:
            self._parts.append(f'<p class="lead">{_text(lead)}</p>')

    def heading(self, text: str) -> Page:
        self._parts.append(f"<h2>{_text(text)}</h2>")
        return self

    def text(self, text: str) -> Page:
        self._parts.append(f"<p>{_text(text)}</p>")
        return self

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[object]], caption: str = "") -> Page:
        """Rows of cells; numbers stand to the right, floats with three decimals."""
        numeric = [bool(rows) and all(_is_number(row[i]) for row in rows) for i in range(len(columns))]
        classes = [' class="number"' if number else "" for number in numeric]
        head = "".join(f'<th scope="col"{c}>{_text(name)}</th>' for c, name in zip(classes, columns, strict=True))
        lines = [
            "".join(f"<td{c}>{_text(_cell(value))}</td>" for c, value in zip(classes, row, strict=True)) for row in rows
        ]
        body = "".join(f"<tr>{line}</tr>" for line in lines)
        title = f"<caption>{_text(caption)}</caption>" if caption else ""
        self._parts.append(
            f'<div class="scroll"><table>{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
        )
        return self

    def picture(self, picture: NDArray[np.uint8] | Path, alt: str, caption: str = "") -> Page:
        """One picture: an (H, W, 3) or (H, W) uint8 array, or a PNG or JPEG file."""
        return self.gallery([(picture, alt, caption)], tile=640)

    def gallery(
        self,
        pictures: Sequence[tuple[NDArray[np.uint8] | Path, str, str]],
        tile: int = 200,
        *,
        photographs: bool = False,
    ) -> Page:
        """Pictures side by side: (picture, alternative text, caption).

        Args:
            tile: CSS pixels.
            photographs: Make JPEG of them, which takes a fifth of the bytes of PNG.
        """
        figures = []
        for picture, alt, caption in pictures:
            if not alt:
                raise ValueError(f"the picture with the caption {caption!r} has no alternative text; say what it shows")
            source = photograph(picture) if photographs else _embedded(picture)
            image = f'<img src="{source}" alt="{escape(alt, quote=True)}" loading="lazy">'
            figures.append(_figure(image, caption))
        self._parts.append(f'<div class="gallery" style="--tile: {tile}px">{"".join(figures)}</div>')
        return self

    def part(self, html: str) -> Page:
        """A part whose text is escaped already."""
        self._parts.append(html)
        return self

    def drawing(self, svg: str) -> Page:
        """One SVG over the whole width, whose text is escaped already; a narrow window scrolls it."""
        self._parts.append(f'<div class="scroll">{svg}</div>')
        return self

    def drawings(self, drawings: Sequence[tuple[str, str]], tile: int = 240) -> Page:
        """SVGs side by side: (text that is escaped already, caption); `tile` in CSS pixels."""
        figures = "".join(_figure(svg, caption) for svg, caption in drawings)
        self._parts.append(f'<div class="gallery" style="--tile: {tile}px">{figures}</div>')
        return self

    def video(self, path: Path, label: str, caption: str = "", *, embed: bool = True) -> Page:
        """An MP4 with controls, inside the page, or (embed=False) beside it by its file name."""
        source = _data("video/mp4", path.read_bytes()) if embed else escape(path.name, quote=True)
        video = f'<video controls preload="metadata" aria-label="{escape(label, quote=True)}" src="{source}"></video>'
        self._parts.append(f'<div class="gallery" style="--tile: 640px">{_figure(video, caption)}</div>')
        return self

    def listen(self, samples: Sequence[tuple[NDArray[np.uint8], str, str, bytes]], tile: int = 300) -> Page:
        """Pictures, each with a sound to play: (picture, alternative text, caption, bytes of a WAV file)."""
        figures = []
        for picture, alt, caption, sound in samples:
            words = escape(alt, quote=True)
            image = f'<img src="{photograph(picture)}" alt="{words}" loading="lazy">'
            player = f'<audio controls preload="none" aria-label="{words}" src="{_data("audio/wav", sound)}"></audio>'
            figures.append(_figure(image + player, caption))
        self._parts.append(f'<div class="gallery" style="--tile: {tile}px">{"".join(figures)}</div>')
        return self

    def bars(self, keys: Sequence[str], rows: Sequence[tuple[str, Sequence[int]]]) -> Page:
        """One bar for each row, put together of its counts; `keys` (three at most) name these."""
        longest = max((sum(counts) for _, counts in rows), default=0) or 1
        cells = []
        for name, counts in rows:
            parts = "".join(
                f'<span class="hue{i}" style="width: {100 * count / longest:.2f}%" title="{count} {escape(keys[i])}">'
                "</span>"
                for i, count in enumerate(counts)
                if count
            )
            cells.append(f'<div>{_text(name)}</div><div class="bar">{parts}</div><div>{sum(counts)}</div>')
        legend = "".join(f'<span class="key hue{i}">{_text(key)}</span>' for i, key in enumerate(keys))
        self._parts.append(f'<p>{legend}</p><div class="bars">{"".join(cells)}</div>')
        return self

    def columns(self, counts: Sequence[int], left: str, right: str) -> Page:
        """Upright columns side by side; the words stand below the first and the last."""
        highest = max(counts, default=0) or 1
        columns = "".join(
            f'<div>{count}<span style="height: {80 * count / highest:.1f}%"></span></div>' for count in counts
        )
        ends = f'<div class="ends"><span>{_text(left)}</span><span>{_text(right)}</span></div>'
        self._parts.append(f'<div class="columns">{columns}</div>{ends}')
        return self

    def timeline(self, columns: Sequence[str], rows: Sequence[tuple[str, Sequence[Cell]]], caption: str = "") -> Page:
        """Named rows of cells over columns that are moments; wide ones scroll."""
        head = "".join(f'<th scope="col">{_text(name)}</th>' for name in ("", *columns))
        body = "".join(
            f'<tr><th scope="row">{_text(name)}</th>{"".join(f"<td>{_placed(cell)}</td>" for cell in cells)}</tr>'
            for name, cells in rows
        )
        title = f"<caption>{_text(caption)}</caption>" if caption else ""
        self._parts.append(
            f'<div class="scroll"><table class="timeline">{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody>'
            "</table></div>"
        )
        return self

    def html(self) -> str:
        """The whole page."""
        body = "\n".join(self._parts)
        return (
            f'<!doctype html>\n<html lang="{self._language}">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<title>{escape(self.title)}</title>\n<style>{_STYLE}</style>\n</head>\n"
            f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
        )

    def write(self, path: Path) -> Path:
        """Write the page, whole or not at all; what killed processes left half-written beside it is removed."""
        clear_stale(path.parent)
        write_text(path, self.html())
        return path


def _figure(content: str, caption: str) -> str:
    below = f"<figcaption>{_text(caption)}</figcaption>" if caption else ""
    return f"<figure>{content}{below}</figure>"


def _placed(cell: Cell) -> str:
    if cell.picture is not None:
        if not cell.text:
            raise ValueError("a picture of a timeline has no words; say what it shows")
        return f'<img src="{photograph(cell.picture)}" alt="{escape(cell.text, quote=True)}" loading="lazy">'
    if cell.colour is None:
        return _text(cell.text)
    red, green, blue = cell.colour
    ink = "#000" if 0.299 * red + 0.587 * green + 0.114 * blue > 115 else "#fff"
    kind = "chip marked" if cell.marked else "chip"
    style = f"background: rgb({red}, {green}, {blue}); color: {ink}"
    return f'<span class="{kind}" style="{style}" title="{escape(cell.title, quote=True)}">{_text(cell.text)}</span>'


def _text(text: str) -> str:
    parts = escape(text, quote=False).split("**")
    return "".join(f"<strong>{part}</strong>" if i % 2 and i < len(parts) - 1 else part for i, part in enumerate(parts))


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool)


def _cell(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, (float, np.floating)) else str(value)


def _embedded(picture: NDArray[np.uint8] | Path) -> str:
    if isinstance(picture, Path):
        kind = "jpeg" if picture.suffix.lower() in (".jpg", ".jpeg") else "png"
        return _data(f"image/{kind}", picture.read_bytes())
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG", optimize=True)
    return _data("image/png", buffer.getvalue())


def photograph(picture: NDArray[np.uint8] | Path, quality: int = 90) -> str:
    """A data URI of (H, W, 3), or of a picture's file, as JPEG: a fifth of the bytes of PNG, and of the time."""
    buffer = io.BytesIO()
    image = open_image(picture, "RGB") if isinstance(picture, Path) else Image.fromarray(picture)
    image.save(buffer, format="JPEG", quality=quality)
    return _data("image/jpeg", buffer.getvalue())


def _data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
