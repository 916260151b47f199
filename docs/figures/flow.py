"""Drawings of how data flow through each method: SVG, made of plain strings.

`make(folder)` writes them; `python docs/figures/flow.py` writes those of the documentation into docs/images. A drawing
is 440 units wide, so that its text can be read on a phone, and has its own background, so that it can be read on a dark
page.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

WIDTH, GAP, WIDE_GAP, TOP = 440, 40, 54, 16
LEFT, RIGHT, WHOLE = (24, 212), (228, 416), (24, 416)
"""Sides of the boxes of a column, in units of the drawing."""
LANES = {"left": 12, "middle": 220, "right": 428}
TITLE, DETAIL = 17, 15
"""Heights of a line."""
COLOURS = {
    "data": ("#ffffff", "#5f6b76"),
    "picture": ("#dcebf8", "#2a6aa8"),
    "sound": ("#fde6d2", "#b3590f"),
    "both": ("#e2f1dd", "#3b7a30"),
}
"""Fill and border of what works on pictures, on sound, on both; and of what goes in and out."""
Route = tuple[list[tuple[int, int]], tuple[int, int, str]]
"""The points of an arrow, and where its label stands: x, y and the anchor of the text."""
LEGEND = (24, "picture", "pictures"), (124, "sound", "sound"), (208, "both", "both"), (284, "data", "input, output")
GROUND = "#f7f8f6"
FONT = "font-size='12.5' font-family='system-ui, -apple-system, Segoe UI, Roboto, Helvetica, Arial, sans-serif'"


@dataclass(frozen=True)
class Box:
    """A part of a method, or what goes in or out."""

    key: str
    row: int
    sides: tuple[int, int]
    kind: str
    text: str
    """A title, and details below it."""

    @property
    def height(self) -> int:
        return 12 + TITLE + DETAIL * self.text.count("\n")


@dataclass(frozen=True)
class Arrow:
    """From one box to another, with the shape of what flows."""

    source: str
    target: str
    label: str = ""
    x: int | None = None
    """Where a straight arrow goes down; None: the middle of what both boxes share."""
    side: str = "right"
    """Where the label of an arrow stands."""
    lane: str = ""
    """Where an arrow past other boxes goes down; empty: straight down, or sideways within a row."""
    label_at: float = 0.5
    """How far along a lane the label stands."""

    def crosses(self, boxes: Mapping[str, Box]) -> bool:
        """Whether it goes from one column to the other, between two rows."""
        source, target = boxes[self.source].sides, boxes[self.target].sides
        return not self.lane and (source[1] <= target[0] or target[1] <= source[0])


@dataclass(frozen=True)
class Flow:
    """A drawing."""

    name: str
    title: str
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]


def _chain(text: str) -> tuple[Arrow, ...]:
    """Arrows from box to box: a box, the label of the arrow, the next box, and so on, with > between them."""
    words = text.split(" > ")
    return tuple(Arrow(words[k], words[k + 2], words[k + 1]) for k in range(0, len(words) - 2, 2))


FLOWS = (
    Flow(
        "tpavi",
        "TPAVI: pictures and sound meet at four stages",
        (
            Box("pictures", 0, LEFT, "data", "5 pictures\none a second"),
            Box("sound", 0, RIGHT, "data", "Sound\n16 kHz, one channel"),
            Box("backbone", 1, LEFT, "picture", "Backbone\nResNet-50 or PVT-v2-b5"),
            Box("mel", 1, RIGHT, "sound", "Log-mel\n0.975 s for each picture"),
            Box("neck", 2, LEFT, "picture", "Neck\n4 dilated convolutions"),
            Box("vggish", 2, RIGHT, "sound", "VGGish\nfrozen"),
            Box("attention", 3, WHOLE, "both", "TPAVI attention at each of 4 stages\npixels × sounds of all 5 frames"),
            Box("decoder", 4, WHOLE, "picture", "Decoder\nfrom coarse to fine, doubles the size at each stage"),
            Box("head", 5, WHOLE, "picture", "Head\ntwo 3×3 convolutions, classifier"),
            Box("logits", 6, WHOLE, "data", "Logits of each picture"),
        ),
        (
            *_chain("pictures > (5, 3, 224, 224) > backbone > strides 4, 8, 16, 32 > neck"),
            *_chain("neck > 4 × (5, 256, h, w) > attention > 4 × (5, 256, h, w) > decoder"),
            *_chain("decoder > (5, 256, 112, 112) > head > (5, C, 224, 224) > logits"),
            *_chain("sound > (1, S) > mel > (5, 1, 96, 64) > vggish > (5, 128) > attention"),
        ),
    ),
    Flow(
        "avsegformer",
        "AVSegFormer: the sound makes queries, their products with the pixels make masks",
        (
            Box("picture", 0, LEFT, "data", "Picture"),
            Box("sound", 0, RIGHT, "data", "0.975 s of sound"),
            Box("backbone", 1, LEFT, "picture", "Backbone\nResNet-50 or PVT-v2-b5"),
            Box("vggish", 1, RIGHT, "sound", "VGGish\nfrozen; then 128 → 256"),
            Box("encoder", 2, LEFT, "picture", "Encoder, 6 layers\ndeformable attention"),
            Box("queries", 2, RIGHT, "sound", "Query layers, 6\n300 queries attend to\neach other and the sound"),
            Box("feature", 3, LEFT, "both", "Mask feature F\n1/4 map + encoder's 1/8,\n× a factor of the sound"),
            Box("decoder", 3, RIGHT, "both", "Decoder, 6 layers\nqueries attend to each\nother and all tokens"),
            Box("head", 4, WHOLE, "both", "Mask head\nF × 300 queries → perceptron; + F; convolutions"),
            Box("logits", 5, WHOLE, "data", "Logits of the picture"),
        ),
        (
            *_chain("picture > (3, 224, 224) > backbone > 1/8, 1/16, 1/32 > encoder"),
            *_chain("sound > (1, 96, 64) > vggish > (256) > queries"),
            Arrow("backbone", "feature", "1/4", lane="left", label_at=0.62),
            Arrow("encoder", "feature", "1/8", x=80),
            Arrow("vggish", "feature", lane="middle"),
            *_chain("encoder > (1029, 256) > decoder"),
            Arrow("queries", "decoder", "(300, 256)", x=345),
            *_chain("feature > (256, 56, 56) > head > (C, 224, 224) > logits"),
            *_chain("decoder > (300, 256) > head"),
        ),
    ),
    Flow(
        "cavp",
        "CAVP: every pixel attends to one vector of sound",
        (
            Box("picture", 0, LEFT, "data", "Picture"),
            Box("sound", 0, RIGHT, "data", "1 or 3 s of sound\nmono or stereo"),
            Box("backbone", 1, LEFT, "picture", "Backbone\nResNet, HRNet or PVT"),
            Box("mel", 1, RIGHT, "sound", "Log-mel in decibels\n96 or 300 frames"),
            Box("decoder", 2, LEFT, "picture", "Decoder\nDeepLabV3+, HRNet or OCR"),
            Box("audio", 2, RIGHT, "sound", "Audio network\nVGGish or ResNet-18"),
            Box("projector", 3, LEFT, "picture", "Projector\ntwo linear layers"),
            Box("fusion", 4, WHOLE, "both", "Fusion\nevery pixel × the sound, a sigmoid for each head"),
            Box("classifier", 5, LEFT, "picture", "Classifier"),
            Box("logits", 6, LEFT, "data", "Logits at a quarter"),
            Box("contrast", 5, RIGHT, "both", "Contrastive loss\nin training"),
        ),
        (
            *_chain("picture > (3, H, W) > backbone > 2 or 4 maps > decoder > (D, H/4, W/4) > projector"),
            *_chain("projector > (D, H/4, W/4) > fusion > (D, H/4, W/4) > classifier > (K + 1, H/4, W/4) > logits"),
            *_chain("sound > (A, S) > mel > (A, L, 64) > audio > (D) > fusion > (D, H/4, W/4) > contrast"),
        ),
    ),
    Flow(
        "avism",
        "AVISM: look at each picture, then watch the clip",
        (
            Box("pictures", 0, LEFT, "data", "T pictures\none a second"),
            Box("sound", 0, RIGHT, "data", "T seconds of sound"),
            Box("backbone", 1, LEFT, "picture", "Backbone\nResNet-50 or Swin-L"),
            Box("vggish", 1, RIGHT, "sound", "VGGish, or the\nfeatures of the data set"),
            Box("pixels", 2, LEFT, "picture", "Pixel decoder\n6 deformable layers"),
            Box(
                "frames", 3, WHOLE, "both", "look: frame decoder, 9 layers\n100 queries for each picture and its sound"
            ),
            Box(
                "windows",
                4,
                WHOLE,
                "both",
                "watch: window encoder, 6 + 6 layers\nqueries of 6 frames, and their sounds",
            ),
            Box("clips", 5, WHOLE, "both", "watch: clip decoder, 3 layers\n100 clip queries attend to all of them"),
            Box("masks", 6, WHOLE, "both", "Product of embedding and map at 1/4"),
            Box("tracks", 7, WHOLE, "data", "Tracks\nclass, score, a mask in each frame or none"),
        ),
        (
            *_chain("pictures > (T, 3, H, W) > backbone > strides 4 to 32 > pixels > 1/32, 1/16, 1/8 > frames"),
            *_chain("sound > (T, 1, 96, 64) > vggish > (T, 128) > frames"),
            Arrow("pixels", "masks", "(T, 256, H/4, W/4)", lane="left", label_at=0.42),
            Arrow("vggish", "windows", lane="right"),
            *_chain("frames > (T, 100, 256) > windows > (T, 100, 256) and (T, 256) > clips"),
            *_chain("clips > (100, 256) and (100, K + 1) > masks > (100, T, H/4, W/4) > tracks"),
        ),
    ),
    Flow(
        "catr",
        "CATR: two encoders of pixels and sounds, one mask of 50 queries",
        (
            Box("pictures", 0, LEFT, "data", "5 pictures\nenlarged to 448 × 448"),
            Box("sound", 0, RIGHT, "data", "Sound\n0.975 s for each picture"),
            Box("backbone", 1, LEFT, "picture", "Backbone\nPVT-v2-b5 or ResNet-50"),
            Box("vggish", 1, RIGHT, "sound", "VGGish\nfrozen"),
            Box("neck", 2, LEFT, "picture", "Neck\n4 dilated convolutions"),
            Box("project", 2, RIGHT, "sound", "Linear layer and norm"),
            Box("tokens", 3, WHOLE, "both", "Tokens of each picture\nits 3136 pixels at 1/8, and all 5 sounds"),
            Box("temporal", 4, LEFT, "both", "Temporal encoder\n5 frames' pixels × sounds,\n3 layers, two gates"),
            Box("spatial", 4, RIGHT, "both", "Spatial encoder\ntokens of one frame,\n3 layers"),
            Box("features", 5, LEFT, "both", "Mask features\nfused map + maps\nat 1/16 and 1/32"),
            Box("queries", 5, RIGHT, "both", "Query decoder\n3 layers, 50 queries: a\nkernel and a score each"),
            Box("masks", 6, WHOLE, "both", "Product of kernels and mask features"),
            Box("logits", 7, WHOLE, "data", "Mask of the best query of each picture"),
        ),
        (
            *_chain("pictures > (5, 3, 448, 448) > backbone > strides 8, 16, 32 > neck"),
            *_chain("neck > (5, 256, 56, 56) > tokens > (5, 3141, 256) > temporal > (5, 256, 56, 56) > features"),
            *_chain("sound > (5, 1, 96, 64) > vggish > (5, 128) > project > (5, 256) > tokens"),
            *_chain("tokens > (5, 3141, 256) > spatial > (5, 3141, 256) > queries"),
            Arrow("neck", "features", "1/16, 1/32", lane="left", label_at=0.87),
            *_chain("features > (5, 64, 28, 28) > masks > (5, 50, 28, 28) → (5, 1, 28, 28) > logits"),
            *_chain("queries > (5, 50, 64) > masks"),
        ),
    ),
    Flow(
        "qdformer",
        "QDFormer: a mixture becomes a few tokens of one codebook",
        (
            Box("pictures", 0, LEFT, "data", "T pictures"),
            Box("sound", 0, RIGHT, "data", "T seconds of sound"),
            Box("backbone", 1, LEFT, "picture", "Backbone\nResNet-50 or Swin-T"),
            Box("audio", 1, RIGHT, "sound", "Sound of each second\nVGGish, frozen; 128 → 256"),
            Box("global", 2, RIGHT, "sound", "Global decomposition\n5 prototypes × all seconds\n→ codebook of 512"),
            Box("fusion", 3, LEFT, "both", "Early fusion\nmaps × 5 tokens"),
            Box("local", 3, RIGHT, "sound", "Local calibration\n5 tokens × one second\n→ the same codebook"),
            Box("encoder", 4, LEFT, "picture", "Encoder, 4 layers\ndeformable attention"),
            Box("pixels", 5, LEFT, "both", "Pixel decoder\ncoarsest map × 5 tokens,\nthen from coarse to fine"),
            Box("decoder", 5, RIGHT, "both", "Object decoder\n4 layers; a second's tokens\nare its frame's queries"),
            Box("heads", 6, WHOLE, "both", "Heads: class, box, mask of each query"),
            Box("map", 7, WHOLE, "data", "A binary or semantic map of each picture"),
        ),
        (
            *_chain("pictures > (T, 3, H, W) > backbone"),
            *_chain("sound > (T, 1, 96, 64) > audio > (T, 256) > global"),
            Arrow("audio", "local", lane="right"),
            Arrow("backbone", "fusion", "1/8 to 1/64", x=80),
            Arrow("backbone", "pixels", "1/4", lane="left", label_at=0.85),
            Arrow("global", "fusion", "(5, 256)", side="left"),
            Arrow("global", "pixels", lane="middle"),
            *_chain("global > (5, 256) > local"),
            *_chain("fusion > 4 maps of 256 > encoder"),
            Arrow("encoder", "pixels", "1/8 to 1/32", x=80),
            *_chain("encoder >  > decoder"),
            Arrow("local", "decoder", "(T, 5, 256)", x=360),
            *_chain("pixels > (T, 256, H/4, W/4) > heads > (T, 5, H/4, W/4) → (T, C, H, W) > map"),
            *_chain("decoder > (T, 5, 256) > heads"),
        ),
    ),
    Flow(
        "zeroshot",
        "Zero-shot models: hear, name, find, follow, switch",
        (
            Box("pictures", 0, LEFT, "data", "Pictures\n1 or 5 a second"),
            Box("sound", 0, RIGHT, "data", "Sound\nwindows of 1 to 3 s"),
            Box("tagger", 1, RIGHT, "sound", "Tagger\nAST, CLAP or YAMNet"),
            Box("names", 2, RIGHT, "sound", "Names\nsounds → visible things"),
            Box("gate", 3, RIGHT, "sound", "Gate\non at 0.35, off below 0.15"),
            Box("finder", 4, LEFT, "both", "Finder\nGroundingDINO or OWLv2\nlooks for nouns that sound"),
            Box("follower", 5, LEFT, "picture", "Follower\nSAM 2.1 or EdgeTAM"),
            Box("switch", 6, WHOLE, "both", "Masks of a track while its noun sounds"),
            Box("out", 7, WHOLE, "data", "Tracks, one mask, or classes"),
        ),
        (
            *_chain("sound > (S, samples) > tagger > (S, labels) > names > (S, nouns) > gate"),
            Arrow("pictures", "finder", "some: (3, H, W)", x=110),
            Arrow("pictures", "follower", "all", lane="left", label_at=0.93),
            *_chain("gate > nouns > finder"),
            Arrow("gate", "switch", "(S, nouns)", x=322),
            *_chain("finder > boxes (n, 4) > follower > tracks of masks (H, W) > switch >  > out"),
        ),
    ),
)


def make(out: Path) -> list[Path]:
    """Write one drawing a method, `flow-NAME.svg`, into a folder; their paths."""
    out.mkdir(parents=True, exist_ok=True)
    paths = [out / f"flow-{flow.name}.svg" for flow in FLOWS]
    for path, flow in zip(paths, FLOWS, strict=True):
        path.write_text(drawn(flow), encoding="utf-8", newline="\n")
    return paths


def drawn(flow: Flow) -> str:
    """The SVG of a drawing."""
    tops, bottom = _tops(flow)
    boxes = {box.key: box for box in flow.boxes}
    height = bottom + 40
    label = escape(flow.title, {"'": "&#39;"})
    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {height}' width='{WIDTH}' height='{height}' "
        f"role='img' aria-label='{label}' {FONT}>",
        f"<title>{label}</title>",
        "<defs><marker id='tip' viewBox='0 0 8 8' refX='7' refY='4' markerWidth='8' markerHeight='8' orient='auto' "
        "markerUnits='userSpaceOnUse'><path d='M0 0L8 4L0 8z' fill='#3a4650'/></marker></defs>",
        f"<rect width='{WIDTH}' height='{height}' rx='10' fill='{GROUND}'/>",
    ]
    routes = [_route(arrow, boxes, tops) for arrow in flow.arrows]
    parts += [
        f"<path d='M{'L'.join(f'{x} {y}' for x, y in points)}' fill='none' stroke='#3a4650' stroke-width='1.4' "
        "marker-end='url(#tip)'/>"
        for points, _ in routes
    ]
    parts += [_boxed(box, tops[box.row]) for box in flow.boxes]
    parts += [_labelled(a.label, place) for a, (_, place) in zip(flow.arrows, routes, strict=True) if a.label]
    return "\n".join([*parts, _legend(bottom + 14), "</svg>", ""])


def _tops(flow: Flow) -> tuple[dict[int, int], int]:
    """Where each row begins, and where the last one ends."""
    boxes = {box.key: box for box in flow.boxes}
    wide = {boxes[arrow.target].row for arrow in flow.arrows if arrow.crosses(boxes)}
    tops: dict[int, int] = {}
    bottom = TOP - GAP
    for row in sorted({box.row for box in flow.boxes}):
        tops[row] = bottom + (WIDE_GAP if row in wide else GAP)
        bottom = tops[row] + max(box.height for box in flow.boxes if box.row == row)
    return tops, bottom


def _route(arrow: Arrow, boxes: Mapping[str, Box], tops: Mapping[int, int]) -> Route:
    source, target = boxes[arrow.source], boxes[arrow.target]
    top, bottom = tops[target.row] - 1, tops[source.row] + source.height
    beside, anchor = (6, "start") if arrow.side == "right" else (-6, "end")
    if arrow.lane:
        return _lane(arrow, source, target, tops)
    if arrow.crosses(boxes):
        # To the other column: down, across between the rows, down.
        leaving, arriving = (sum(box.sides) // 2 for box in (source, target))
        toward = 60 if arriving > leaving else -60
        leaving, arriving, turn = leaving + toward, arriving - toward, top - 23
        points = [(leaving, bottom), (leaving, turn), (arriving, turn), (arriving, top)]
        return points, (arriving + beside, top - 7, anchor)
    x = (max(source.sides[0], target.sides[0]) + min(source.sides[1], target.sides[1])) // 2
    x = x if arrow.x is None else arrow.x
    y = (bottom + top) // 2 + 4 if target.row == source.row + 1 else bottom + GAP // 2 + 4
    return [(x, bottom), (x, top)], (x + beside, y, anchor)


def _lane(arrow: Arrow, source: Box, target: Box, tops: Mapping[int, int]) -> Route:
    lane = LANES[arrow.lane]
    ends = [(box.sides[0] if lane < sum(box.sides) / 2 else box.sides[1]) for box in (source, target)]
    ys = [tops[box.row] + box.height // 2 + more for box, more in ((source, 6), (target, -6))]
    place = (lane + 6, round(ys[0] + arrow.label_at * (ys[1] - ys[0])), "start")
    return [(ends[0], ys[0]), (lane, ys[0]), (lane, ys[1]), (ends[1], ys[1])], place


def _boxed(box: Box, top: int) -> str:
    left, right = box.sides
    fill, border = COLOURS[box.kind]
    middle, y = (left + right) // 2, top + 19
    title, *details = box.text.split("\n")
    centred = "text-anchor='middle' fill='#15202a'"
    return "\n".join(
        [
            f"<rect x='{left}' y='{top}' width='{right - left}' height='{box.height}' rx='6' fill='{fill}' "
            f"stroke='{border}' stroke-width='1.4'/>",
            _text(middle, y, title, f"{centred} font-size='14' font-weight='600'"),
            *(_text(middle, y + 2 + DETAIL * k, line, centred) for k, line in enumerate(details, 1)),
        ]
    )


def _labelled(label: str, place: tuple[int, int, str]) -> str:
    halo = f"stroke='{GROUND}' stroke-width='4' stroke-linejoin='round' paint-order='stroke'"
    return _text(place[0], place[1], label, f"text-anchor='{place[2]}' fill='#15202a' {halo}")


def _text(x: int, y: int, text: str, style: str) -> str:
    return f"<text x='{x}' y='{y}' {style}>{escape(text)}</text>"


def _legend(top: int) -> str:
    return "\n".join(
        f"<rect x='{x}' y='{top}' width='14' height='12' rx='3' fill='{COLOURS[kind][0]}' stroke='{COLOURS[kind][1]}'/>"
        + _text(x + 20, top + 11, name, "fill='#15202a'")
        for x, kind, name in LEGEND
    )


if __name__ == "__main__":
    make(Path(__file__).parents[1] / "images")
