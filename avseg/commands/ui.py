"""`avseg ui`: a page for the browser."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Annotated

from tyro.conf import arg

from avseg.commands.running import LiveRunning
from avseg.jobs import Limits
from avseg.lazy import imported

MEGABYTE = 1_000_000


def ui(
    model: Annotated[tuple[str, ...], arg(metavar="MODEL")] = (),
    host: Annotated[str, arg(metavar="ADDRESS")] = "127.0.0.1",
    port: int = 7860,
    root_path: Annotated[str, arg(metavar="PREFIX")] = "",
    max_megabytes: float = 200,
    max_seconds: float = 300,
    keep_minutes: float = 60,
    running: Annotated[LiveRunning, arg(name="")] = LiveRunning(),
) -> int:
    """Serve a web page: drop or record a video and see its sounding objects (docs/how-to/ui.md).

    Args:
        model: Models that the page offers: files, or names that open without a file. Names with cached weights and the
            demo's model are always offered.
        host: The address to serve at. With the default only this machine can open the page; there is no password.
        port: The port; 0 takes a free port.
        root_path: The path under which a reverse proxy publishes the page, such as /avseg.
        max_megabytes: The largest file to accept.
        max_seconds: The longest video to accept.
        keep_minutes: The files of a page are removed when it is closed, or after this time without a request from it.
        running: Device and engine of the models.
    """
    limits = Limits(bytes=round(max_megabytes * MEGABYTE), seconds=max_seconds)
    place = imported("avseg.ui.start:Address")(host, port, root_path)
    page = imported("avseg.ui.start:running")(
        model, place, limits, device=running.device, choice=running.choice, keep=60 * keep_minutes
    )
    with page as address, suppress(KeyboardInterrupt):
        below = f" (shown below {root_path})" if root_path else ""
        print(f"The page is at {address}{below}; Ctrl-C ends it.", flush=True)
        if host not in ("127.0.0.1", "localhost", "::1"):
            print("Anyone who can reach this address can use it: there is no password.", flush=True)
        threading.Event().wait()
    print("The page is closed; uploaded files are deleted.")
    return 0
