"""The page is one valid file that needs no other, and escapes what it is told."""

from __future__ import annotations

import base64
import io
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from avseg.render import Page
from killed_writer import half_written

VOID = {"meta", "img", "br", "link"}


class Tags(HTMLParser):
    """Checks that tags are closed in order and gathers attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def parsed(page: Page) -> Tags:
    tags = Tags()
    tags.feed(page.html())
    assert tags.open == []
    return tags


def picture() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (8, 12, 3), dtype=np.uint8)


def test_a_page_of_everything_is_well_formed_and_self_contained(tmp_path: Path) -> None:
    (tmp_path / "v.mp4").write_bytes(b"film")
    page = Page("Masks & sounds", "What **sounds** here?")
    page.heading("Scores").text("Plain <b>text</b>.")
    page.table(["clip", "J", "frames"], [["a", 0.71239, 5], ["b", np.float64(1.0), 5]], "by clip")
    page.gallery([(picture(), "a dog", "**dog**"), (picture()[..., 0], "a mask", "")])
    page.picture(picture(), "one").video(tmp_path / "v.mp4", "overlay", "with sound")
    html, tags = page.html(), parsed(page)
    assert "&lt;b&gt;text&lt;/b&gt;" in html and "<title>Masks &amp; sounds</title>" in html
    assert "What <strong>sounds</strong> here?" in html and '<td class="number">0.712</td>' in html
    sources = [attrs["src"] for _, attrs in tags.seen if "src" in attrs]
    assert len(sources) == 4 and all(source and source.startswith("data:") for source in sources)
    assert all(attrs.get("alt") for tag, attrs in tags.seen if tag == "img")
    assert "prefers-color-scheme: dark" in html and "http" not in html.replace("http-equiv", "")


def test_pictures_are_embedded_without_loss(tmp_path: Path) -> None:
    Image.fromarray(picture()).save(tmp_path / "a.png")
    for given in (picture(), tmp_path / "a.png"):
        (source,) = (attrs["src"] for tag, attrs in parsed(Page("t").picture(given, "alt")).seen if tag == "img")
        assert source is not None
        content = base64.b64decode(source.removeprefix("data:image/png;base64,"))
        assert np.array_equal(np.array(Image.open(io.BytesIO(content))), picture())


def test_quotes_cannot_break_out_of_attributes() -> None:
    tags = parsed(Page("t").picture(picture(), 'a "dog" onerror="x'))
    (image,) = (attrs for tag, attrs in tags.seen if tag == "img")
    assert image["alt"] == 'a "dog" onerror="x' and "onerror" not in image


def test_a_picture_needs_words() -> None:
    with pytest.raises(ValueError, match="alternative text"):
        Page("t").picture(picture(), "", "a caption")


def test_a_video_can_lie_beside_the_page(tmp_path: Path) -> None:
    page = Page("t").video(tmp_path / "o.mp4", "overlay", embed=False)
    written = page.write(tmp_path / "page.html").read_text(encoding="utf-8")
    assert 'src="o.mp4"' in written and written.startswith("<!doctype html>")


def test_charts_say_their_numbers_and_samples_can_be_played() -> None:
    page = Page("A set").bars(("train", "test"), [("dog", [3, 1]), ("<cat>", [2, 0])]).columns([0, 5], "left", "right")
    page.listen([(np.full((8, 8, 3), 90, np.uint8), "a dog", "**dog**", b"RIFF")])
    seen = parsed(page).seen
    widths = [a["style"] for tag, a in seen if tag == "span" and "width" in (a.get("style") or "")]
    assert widths == ["width: 75.00%", "width: 25.00%", "width: 50.00%"]
    heights = [a["style"] for tag, a in seen if tag == "span" and "height" in (a.get("style") or "")]
    assert heights == ["height: 0.0%", "height: 80.0%"]
    assert "<div>4</div>" in page.html() and "&lt;cat&gt;" in page.html()
    assert [a["src"] for tag, a in seen if tag == "audio"] == ["data:audio/wav;base64,UklGRg=="]
    assert [a["alt"] for tag, a in seen if tag == "img"] == ["a dog"]


def test_what_a_killed_process_left_beside_a_page_is_cleared(tmp_path: Path) -> None:
    half_written(tmp_path / "codes.html")
    path = Page("Codes", "").write(tmp_path / "codes.html")
    assert list(tmp_path.iterdir()) == [path] and path.read_text(encoding="utf-8").startswith("<!doctype html>")
