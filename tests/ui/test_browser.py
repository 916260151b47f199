"""The page in a real browser: Debian's Chromium with its fake camera and microphone, driven by Playwright."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest

from extras import needs
from ui.served import MEGABYTES, SECONDS, Served, behind_proxy, chromium, served, write_long_film, write_short_film

pytestmark = [pytest.mark.extra, pytest.mark.timeout(300)]

FLAGS = ("--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
PLAYER = "document.querySelector('#avseg-player video')"
STATE = "document.querySelector('#avseg-state').innerText"
PATIENCE = 120_000
"""ms that anything may take on a busy machine."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    needs("gradio")
    needs("playwright")
    program = chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield found
        found.close()


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("films")
    broken, large = folder / "broken.mp4", folder / "large.mp4"
    broken.write_bytes(b"this is no video" * 1000)
    large.write_bytes(bytes((MEGABYTES + 1) * 1_000_000))
    return {
        "short": write_short_film(folder / "Mein Film (1) #2 ü.mp4"),
        "other": write_short_film(folder / "other.mp4", 2.0),
        "long": write_long_film(folder / "long.mp4"),
        "too long": write_long_film(folder / "endless.mp4", SECONDS + 5),
        "broken": broken,
        "large": large,
    }


@pytest.fixture(scope="module")
def server(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("served")) as found:
        yield found


@pytest.fixture
def page(browser: Any, server: Served) -> Iterator[Any]:
    found = opened(browser, server.address)
    yield found
    found.context.close()


def opened(browser: Any, address: str, width: int = 1280) -> Any:
    """The page, with `asked` for what it requests and `faults` for errors of its scripts."""
    context = browser.new_context(viewport={"width": width, "height": 900}, accept_downloads=True)
    context.set_default_timeout(PATIENCE)
    found = context.new_page()
    found.asked, found.faults = [], []
    found.on("request", lambda request: found.asked.append(request.url))
    found.on("pageerror", lambda error: found.faults.append(str(error)))
    found.goto(address)
    found.wait_for_selector("#avseg-run")
    return found


def upload(page: Any, path: Path) -> None:
    page.locator("#avseg-video input[type=file]").set_input_files(path)


def ready(page: Any) -> None:
    page.wait_for_selector("#avseg-run:not([disabled])")


def segment(page: Any, path: Path) -> None:
    upload(page, path)
    ready(page)
    page.click("#avseg-run")
    page.wait_for_selector(".avseg-timeline")
    ready(page)


def take(page: Any, kind: str) -> str:
    """Make a kind of output and download it; the name of its file, which is not empty."""
    page.locator("#avseg-kind input").click()
    page.get_by_role("option", name=f"{kind}: ").first.click()
    page.wait_for_selector("#avseg-file", state="hidden")
    page.click("#avseg-make")
    page.wait_for_selector("#avseg-file")
    with page.expect_download() as found:
        page.click("#avseg-file")
    path = Path(found.value.path())
    assert path.stat().st_size
    if found.value.suggested_filename.endswith(".zip"):
        with zipfile.ZipFile(path) as archive:
            assert archive.testzip() is None and archive.namelist()
    return str(found.value.suggested_filename)


def hosts(page: Any) -> set[str | None]:
    """Machines that were asked for something."""
    return {urlsplit(url).hostname for url in page.asked if url.startswith("http")}


def left(page: Any, server: Served, room: str, names: list[str]) -> None:
    """Wait until these files and no others lie in a room."""
    for _ in range(300):
        if server.files(room) == names:
            return
        page.wait_for_timeout(100)
    assert server.files(room) == names


def test_upload_run_play_jump_and_take_files(page: Any, server: Served, films: dict[str, Path]) -> None:
    segment(page, films["short"])
    assert " sounds 0 s to " in page.locator(".avseg-told p").inner_text()
    assert films["short"].name in page.locator(".avseg-told small").inner_text()
    assert page.locator(".avseg-objects img").count() == page.locator(".avseg-objects button").count() > 0
    page.wait_for_function(f"{PLAYER}.readyState === 4")
    assert page.evaluate(f"[{PLAYER}.videoWidth, {PLAYER}.currentTime, {PLAYER}.paused]") == [256, 0, True]

    lane = page.locator(".avseg-lane").first
    lane.scroll_into_view_if_needed()
    box = lane.bounding_box()
    page.mouse.click(box["x"] + 0.75 * box["width"], box["y"] + 4)
    page.wait_for_function(f"{PLAYER}.currentTime > 3.2")
    first = page.locator(".avseg-objects button").first
    first.click()
    begin = float(first.get_attribute("data-time"))
    page.wait_for_function(f"{PLAYER}.currentTime > {begin} && {PLAYER}.currentTime < {begin} + 1 && !{PLAYER}.paused")

    assert take(page, "masks") == "Mein Film (1) _2 ü-masks.zip"
    assert take(page, "srt") == "Mein Film (1) _2 ü.srt"
    assert hosts(page) == {"127.0.0.1"} and page.faults == []
    page.locator("#avseg-video button[aria-label=Clear]").click()
    left(page, server, "uploads", [])
    left(page, server, "results", [])
    page.wait_for_selector(".avseg-timeline", state="hidden")


def test_cancel_stops_the_work(page: Any, server: Served, films: dict[str, Path]) -> None:
    upload(page, films["long"])
    ready(page)
    page.get_by_text("More choices").click()
    page.get_by_label("Masks per second").fill("25")
    page.click("#avseg-run")
    page.wait_for_function(f"{STATE}.includes(' of 110 s')")
    page.click("#avseg-cancel")
    page.wait_for_function(f"{STATE}.includes('Cancelled')")
    ready(page)
    assert server.files("results") == [] and page.locator(".avseg-timeline").count() == 0


def test_refusals_are_sentences_and_leave_nothing(page: Any, server: Served, films: dict[str, Path]) -> None:
    assert f"up to {MEGABYTES} MB and 2 min" in page.locator(".avseg-note").first.inner_text()
    for name, words in (("broken", "cannot be opened as a video"), ("too long", "the limit is 120 s")):
        upload(page, films[name])
        page.wait_for_selector(f".avseg-fault:has-text('{words}')")
        assert films[name].name in page.locator(".avseg-fault").inner_text()
        left(page, server, "uploads", [])
    upload(page, films["large"])
    page.get_by_text("large.mp4").first.wait_for()
    assert server.files("uploads") == [] and page.locator("#avseg-run[disabled]").count() == 1

    upload(page, films["other"])
    ready(page)
    assert page.locator(".avseg-fault").count() == 0
    page.get_by_text("More choices").click()
    page.get_by_label("Masks per second").fill("-3")
    page.click("#avseg-run")
    page.wait_for_selector(".avseg-fault:has-text('asks per second is')")
    for path in server.folder.glob(".avseg-ui.*/uploads/**/other.mp4"):
        path.unlink()
    page.get_by_label("Masks per second").fill("")
    page.click("#avseg-run")
    page.wait_for_selector(".avseg-fault:has-text('upload it again')")


def test_two_pages_at_once_each_have_their_own(browser: Any, server: Served, films: dict[str, Path]) -> None:
    first, second = (opened(browser, server.address) for _ in range(2))
    upload(first, films["short"])
    upload(second, films["other"])
    for page in (first, second):
        ready(page)
    for page in (first, second):
        page.click("#avseg-run")
    for page, name in ((first, "short"), (second, "other")):
        page.wait_for_selector(".avseg-timeline")
        assert films[name].name in page.locator(".avseg-told small").inner_text()
    first.context.close()
    left(second, server, "uploads", ["other.mp4"])
    ready(second)
    assert take(second, "srt") == "other.srt"  # what belonged to the other page is gone, and nothing else
    second.context.close()


def test_other_files_of_the_machine_are_not_served(server: Served) -> None:
    (private,) = server.folder.glob(".avseg-ui.*")
    for path in ("/etc/passwd", __file__, private, f"{private}/uploads/../../secret", f"{private}/results"):
        with pytest.raises(HTTPError, match=r"40[34]"):
            urlopen(f"{server.address}gradio_api/file={path}", timeout=60)


def test_camera_and_microphone_are_recorded(page: Any) -> None:
    page.locator("#avseg-video button[aria-label='Capture from camera']").click()
    page.get_by_text("Click to Access Webcam").click()
    page.get_by_role("button", name="start recording").click()
    page.wait_for_timeout(2500)
    page.get_by_role("button", name="start recording").click()
    ready(page)
    page.click("#avseg-run")
    page.wait_for_selector(".avseg-timeline")
    page.wait_for_function(f"{PLAYER}.readyState === 4 && {PLAYER}.duration > 0.5")
    assert page.evaluate(f"{PLAYER}.captureStream().getAudioTracks().length") == 1
    assert hosts(page) == {"127.0.0.1"}


def test_the_example_fits_a_small_screen(browser: Any, server: Served) -> None:
    page = opened(browser, server.address, width=390)
    page.get_by_role("button", name="Four other shapes").click()
    ready(page)
    page.get_by_text("More choices").click()
    page.get_by_label("Masks per second").fill("1")
    page.click("#avseg-run")
    page.wait_for_selector(".avseg-timeline")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    names = "[...document.querySelectorAll('.avseg-row > span')]"
    assert page.evaluate(f"{names}.every((name) => name.scrollWidth <= name.clientWidth)")  # none is cut
    page.context.close()


def test_behind_a_reverse_proxy_and_gone_at_the_end(browser: Any, films: dict[str, Path], tmp_path: Path) -> None:
    with served(tmp_path, "--root-path", "/sub/avseg") as own, behind_proxy(own.address, "/sub/avseg") as outside:
        page = opened(browser, outside)
        segment(page, films["other"])
        page.wait_for_function(f"{PLAYER}.readyState === 4")
        assert take(page, "csv") == "other.csv"
        asked = [url for url in page.asked if url.startswith("http")]
        assert {urlsplit(url).port for url in asked} == {urlsplit(outside).port}
        assert all("/sub/avseg/" in url for url in asked)
        assert own.files("uploads") and own.files("results")
        assert "uploaded files are deleted" in own.ended()
        assert list(tmp_path.iterdir()) == []
        page.context.close()
