"""`avseg ui`: a page in the browser."""

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
    """Serve a page on which one drops or records a video and sees what sounds in it (docs/how-to/ui.md).

    Args:
        model: Model files, or names that open without one, that the page offers. Names whose weights are in the cache,
            and the demo's model, are offered in any case.
        host: The address to serve at. The default is for this machine alone; there is no password.
        port: The port; 0 takes any that is free.
        root_path: The path below which a reverse proxy shows the page, such as /avseg.
        max_megabytes: The largest file that is taken.
        max_seconds: The longest video that is taken.
        keep_minutes: Files of a page are removed when it is closed, or after this time without a sign of it.
        running: Where models run, and what computes them.
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
            print("Whoever reaches that address can use it: there is no password.", flush=True)
        threading.Event().wait()
    print("The page is closed; what was uploaded is deleted.")
    return 0
