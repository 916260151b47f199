"""The page of codes says what fired when, marks what the clip has not, and escapes what it is told."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from avseg.models.qdformer.inspect.page import CodedClip, codes_page, heard_with, shared
from avseg.render.report import Cell, Page
from avseg.render.spectrum import BRIGHT, DARK, paint_log_mel


class Tags(HTMLParser):
    """Gathers (tag, attributes, text that follows)."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None], str]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs), ""))

    def handle_data(self, data: str) -> None:
        if self.seen:
            tag, attributes, text = self.seen[-1]
            self.seen[-1] = (tag, attributes, text + data)


def clip(name: str = "a") -> CodedClip:
    """Two frames, two tokens; in the second frame token 2 has a code that the whole clip has not."""
    pictures = np.random.default_rng(0).integers(0, 255, (2, 8, 12, 3), dtype=np.uint8)
    return CodedClip(
        id=name,
        times=(0.0, 1.0),
        marked=pictures,
        truth=pictures,
        spectra=np.arange(2 * 6 * 4, dtype=np.float32).reshape(2, 6, 4),
        clip_codes=np.array([3, 7]),
        frame_codes=np.array([[3, 7], [3, 9]]),
        sounding=(("dog",), ("dog", "<cat>")),
    )


def test_every_token_has_a_row_and_codes_that_the_clip_has_not_are_dashed() -> None:
    page = codes_page("m", [clip("<clip>")], [["frames", 4, 3, 2.5, "8%", "50%"]])
    html, seen = page.html(), Tags(page.html()).seen
    chips = [(text, (a["class"] or "").split()) for tag, a, text in seen if tag == "span"]
    assert [text for text, _ in chips] == ["3", "3", "3", "7", "7", "9"]
    assert [text for text, kinds in chips if "marked" in kinds] == ["9"]
    assert "&lt;clip&gt;" in html and "&lt;cat&gt;" in html and "<cat>" not in html
    sources = [a["src"] or "" for tag, a, _ in seen if tag == "img"]
    assert len(sources) == 6 and all(source.startswith("data:image/") for source in sources)
    assert all(a.get("alt") for tag, a, _ in seen if tag == "img") and "http" not in html.replace("http-equiv", "")


def test_one_code_has_one_colour_everywhere() -> None:
    page = codes_page("m", [clip("a"), replace(clip("b"), clip_codes=np.array([9, 700]))], [])
    colours: dict[str, set[str | None]] = {}
    for tag, attributes, text in Tags(page.html()).seen:
        if tag == "span":
            colours.setdefault(text, set()).add(attributes["style"])
    assert set(colours) == {"3", "7", "9", "700"} and all(len(styles) == 1 for styles in colours.values())
    assert len(set.union(*colours.values())) == 4


def test_what_a_code_stands_for_is_what_sounds_while_it_fires() -> None:
    heard = heard_with([clip(), replace(clip(), sounding=None)])
    assert heard[3] == {"dog": 2, "<cat>": 1} and heard[7] == {"dog": 1} and heard[9] == {"dog": 1, "<cat>": 1}
    whole = heard_with([replace(clip(), frame_codes=None)])
    assert whole == {3: {"dog": 1, "<cat>": 1}, 7: {"dog": 1, "<cat>": 1}}


def test_shared_is_the_share_of_frame_codes_that_the_clip_has() -> None:
    assert shared([clip()]) == 0.75
    assert shared([replace(clip(), frame_codes=None)]) is None


def test_a_clip_without_sound_truth_or_local_codes_has_a_page_too() -> None:
    bare = replace(clip(), truth=None, spectra=None, frame_codes=None, sounding=None)
    seen = Tags(codes_page("m", [bare], []).html()).seen
    assert sum(tag == "img" for tag, _, _ in seen) == 2
    assert [text for tag, _, text in seen if tag == "span"] == ["3", "7"]


def test_a_picture_of_a_timeline_needs_words() -> None:
    with pytest.raises(ValueError, match="no words"):
        Page("t").timeline(["now"], [("row", [Cell(picture=np.zeros((2, 2, 3), np.uint8))])])


def test_low_tones_are_below_and_loud_ones_bright() -> None:
    log_mel = np.zeros((5, 8), np.float32)
    log_mel[:, 0] = 4.0
    picture = paint_log_mel(log_mel, (8, 5))
    assert picture.shape == (8, 5, 3)
    assert np.array_equal(picture[-1, 0], BRIGHT) and np.array_equal(picture[0, 0], DARK)
    assert paint_log_mel(log_mel, (8, 5), (0.0, 8.0))[-1, 0].sum() < BRIGHT.sum()
