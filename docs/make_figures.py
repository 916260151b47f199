"""Every picture of README.md and of the documentation, made offline and the same each time.

    python docs/make_figures.py                    all of them, into docs/images (a minute on two cores)
    python docs/make_figures.py film metrics       only these

`film`: the demo's model on a synthetic film (overlay.gif, sheet.jpg, spectrogram.png). `metrics`: what scores make of a
known fault (metrics_shift.svg, metrics_silence.svg). `page`: `avseg ui` in Chromium by Playwright (ui.jpg); it is left
out where one of the two is missing. `drawings`: `make(out)` of every module in docs/figures. The plot
qdformer_noise.svg comes from trained models: benchmarks/qdformer_works.py.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from avseg import Segmenter
from avseg.demo.film import FPS, SECONDS, draw_film, write_film
from avseg.demo.listening import HELD_OUT_SEED
from avseg.demo.page import spectrum
from avseg.inference.result import Result
from avseg.metrics import f_score, j_score
from avseg.render.overlay import overlay
from avseg.render.palette import palette
from avseg.render.plot import Curve, line_plot
from avseg.render.sheet import Bar, contact_sheet, stacked_pictures, timeline
from avseg.synth import CLASSES
from avseg.synth.picture import iter_frames
from avseg.synth.soundtrack import render_sound

DOCS = Path(__file__).resolve().parent
IMAGES = DOCS / "images"
MASKS = 5.0
"""A second, in the film."""
SIZE = (252, 448)
"""(H, W) of a picture of the film here."""
STRIP, ROW, GAP = 56, 12, 4
"""Heights in pixels: of the spectrum, of an object's bar, of the space between them."""
CURSOR, DARK = (255, 255, 255), (24, 28, 36)
Picture = NDArray[np.uint8]


def film(out: Path) -> None:
    """An animation, a contact sheet, and the spectrum above the spans of truth and prediction."""
    with tempfile.TemporaryDirectory() as folder:
        result = Segmenter.load("demo", fps=MASKS).predict(write_film(Path(folder) / "scene.mp4", HELD_OUT_SEED))
    pictures = painted(result)
    bar = sound_bar(result)
    animation = [Image.fromarray(np.concatenate([one, cursor(bar, time)])) for one, time in pictures]
    save_gif(animation, out / "overlay.gif")
    chosen = pictures[2 :: max(len(pictures) // 12, 1)][:12]
    sheet = contact_sheet([one for one, _ in chosen], [f"{time:.1f} s" for _, time in chosen], columns=4, tile=300)
    Image.fromarray(sheet).save(out / "sheet.jpg", quality=88)
    Image.fromarray(spans(result)).save(out / "spectrogram.png", optimize=True)


def painted(result: Result) -> list[tuple[Picture, float]]:
    """The pictures of the film with their masks, and when each is shown in s."""
    scene, _ = draw_film(HELD_OUT_SEED)
    times = [round(frame.time * FPS) / FPS for frame in result.frames]
    colours, found = palette(result.task), []
    for (picture, _), frame in zip(iter_frames(scene, times, SIZE), result.frames, strict=True):
        labels = np.asarray(Image.fromarray(frame.labels).resize(SIZE[::-1], Image.Resampling.NEAREST))
        # A name beside a few stray pixels would hide more than it tells.
        names = {one.id: one.name for one in frame.objects if (labels == one.id).mean() > 0.005}
        found.append((overlay(picture, labels, names, colours), frame.time))
    return found


def heard() -> NDArray[np.float32]:
    """The sound of the film."""
    return render_sound(*draw_film(HELD_OUT_SEED)).astype(np.float32)


def sound_bar(result: Result) -> Picture:
    """The spectrum, and under it a bar for each object in the seconds in which it is marked."""
    width, colours = SIZE[1], palette(result.task)
    told = [one for one in result.sounding if sum(end - begin for begin, end in one["intervals"]) >= 0.5]
    strip = np.asarray(Image.fromarray(spectrum(heard(), width)).resize((width, STRIP)))
    bars = Image.new("RGB", (width, len(told) * (ROW + GAP) + GAP), DARK)
    draw = ImageDraw.Draw(bars)
    for row, one in enumerate(told):
        top = GAP + row * (ROW + GAP)
        for begin, end in one["intervals"]:
            left, right = (round(width * time / SECONDS) for time in (begin, end))
            draw.rectangle((left, top, max(right - 2, left), top + ROW - 1), fill=tuple(colours[one["id"]].tolist()))
    return np.concatenate([strip, np.asarray(bars)])


def cursor(bar: Picture, time: float) -> Picture:
    """The bar with a line at `time` s."""
    x = min(round(bar.shape[1] * time / SECONDS), bar.shape[1] - 2)
    marked = bar.copy()
    marked[:, x : x + 2] = CURSOR
    return marked


def save_gif(frames: list[Image.Image], path: Path, colours: int = 192) -> None:
    """One palette for all frames, which keeps the colours of small areas, without dithering: nothing flickers."""
    width, height = frames[0].size
    every = frames[:: max(len(frames) // 8, 1)]
    joined = Image.new("RGB", (width, height * len(every)))
    for place, frame in enumerate(every):
        joined.paste(frame, (0, place * height))
    shared = joined.quantize(colours, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    small = [frame.quantize(palette=shared, dither=Image.Dither.NONE) for frame in frames]
    small[0].save(path, save_all=True, append_images=small[1:], duration=round(1000 / MASKS), loop=0, optimize=True)


def spans(result: Result) -> Picture:
    """Spectrum and timeline: when each shape sounds, and when it is marked."""
    _, track = draw_film(HELD_OUT_SEED)
    colours = palette(result.task)
    marked = {one["class"]: one for one in result.sounding}
    bars = []
    for source in track.sources:
        name = CLASSES[source.kind - 1]
        found = marked.get(name)
        colour = tuple(colours[source.kind].tolist())
        bars.append(Bar(f"{name} sounds", (150, 156, 164), source.intervals))
        bars.append(Bar(f"{name} marked", colour, found["intervals"] if found else []))
    rows = timeline(bars, float(SECONDS))
    # The axis of `timeline` begins where its first vertical line is.
    left = int(np.flatnonzero((rows[0] != 255).any(1))[0])
    strip = np.full((110, rows.shape[1], 3), 255, np.uint8)
    room = rows.shape[1] - left - 24
    strip[:, left : left + room] = np.asarray(Image.fromarray(spectrum(heard(), room)).resize((room, 110)))
    return stacked_pictures([strip, rows])


def metrics(out: Path) -> None:
    """J and F of a disc that lies beside the truth, and J of a model that never falls silent."""
    shifts = (0, 2, 4, 8, 12, 16, 24, 32, 40)
    truth, discs = disc()[None], [disc(shift)[None] for shift in shifts]
    lines = [
        Curve("J", [j_score(one, truth, protocol="repaired") for one in discs]),
        Curve("F", [f_score(one.float(), truth, protocol="repaired") for one in discs]),
    ]
    plot = line_plot("A disc of 40 pixels that is predicted beside its place", list(map(str, shifts)), lines,
                     "pixels between prediction and truth, radius 20", "score")  # fmt: skip
    (out / "metrics_shift.svg").write_text(plot, encoding="utf-8")
    silent = (0, 1, 2, 3, 4, 5)
    always, right = disc()[None].expand(5, -1, -1), []
    for count in silent:
        clip = always.clone()
        clip[5 - count :] = False
        right.append(clip)
    lines = [
        Curve(protocol, [j_score(always, clip, protocol=protocol) for clip in right])
        for protocol in ("published", "repaired")
    ]
    plot = line_plot("J of a mask that is right and never falls silent", [f"{count} of 5" for count in silent], lines,
                     "silent frames in the clip", "J")  # fmt: skip
    (out / "metrics_silence.svg").write_text(plot, encoding="utf-8")


def disc(shift: int = 0, side: int = 224, radius: int = 20) -> torch.Tensor:
    """(H, W) bool."""
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    return (x - side // 2 - shift) ** 2 + (y - side // 2) ** 2 <= radius**2


def page(out: Path) -> None:
    """The page of `avseg ui` with a result, as a browser shows it."""
    browser = shutil.which("chromium")
    if browser is None or find_spec("playwright") is None or find_spec("gradio") is None:
        sys.stderr.write("ui.jpg is left as it is: it wants Chromium, and the extras ui and browser\n")
        return
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        film = write_film(Path(folder) / "four-shapes.mp4", HELD_OUT_SEED)
        words = [sys.executable, "-m", "avseg", "ui", "--port", "0"]
        server = subprocess.Popen(words, env={**os.environ, "TMPDIR": folder}, stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            address = next(found[0] for line in server.stdout if (found := re.search(r"http://[\d.]+:\d+/", line)))
            shown = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
            tab = shown.new_page(viewport={"width": 1280, "height": 900})
            tab.set_default_timeout(300_000)
            tab.goto(address)
            tab.locator("#avseg-video input[type=file]").set_input_files(film)
            tab.wait_for_selector("#avseg-run:not([disabled])")
            tab.click("#avseg-run")
            tab.wait_for_selector(".avseg-timeline")
            tab.wait_for_selector("#avseg-run:not([disabled])")
            tab.evaluate("document.querySelector('#avseg-player video').currentTime = 5")
            tab.wait_for_timeout(1500)
            tab.screenshot(path=out / "ui.jpg", type="jpeg", quality=82, full_page=True)
            shown.close()
        finally:
            server.terminate()
            server.wait()


def drawings(out: Path) -> None:
    """What the modules of docs/figures draw."""
    for path in sorted((DOCS / "figures").glob("*.py")):
        spec = spec_from_file_location(f"figures_{path.stem}", path)
        assert spec is not None and spec.loader is not None
        sys.modules[spec.name] = module = module_from_spec(spec)
        spec.loader.exec_module(module)
        module.make(out)


FIGURES: dict[str, Callable[[Path], None]] = {"film": film, "metrics": metrics, "page": page, "drawings": drawings}


def main() -> None:
    """Make what is named, or all."""
    IMAGES.mkdir(exist_ok=True)
    for name in sys.argv[1:] or FIGURES:
        FIGURES[name](IMAGES)


if __name__ == "__main__":
    main()
