"""Start and end of the page's server; uploaded files are removed at the end."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from avseg.engines.records import FAST, Choice
from avseg.io.files import clear_stale, folder_aside
from avseg.jobs import Limits, Worker
from avseg.lazy import imported
from avseg.ui.desk import Desk
from avseg.ui.offers import offers
from avseg.ui.script import SCRIPT, STYLE

FONTS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")
FOLDER = "avseg-ui"
"""Prefix of the temporary folder of all files."""


POLICY = (
    "default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'self'"
)
"""Content policy of the page: the browser connects to no other machine."""


class Guarded:
    """An ASGI application that sends `POLICY` with every answer and ignores disconnected browsers."""

    def __init__(self, app: Any, gone: type[Exception]) -> None:
        """`gone`: what is raised where a browser goes away."""
        self._app, self._gone = app, gone

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """See the ASGI specification."""

        async def guarded(message: Any) -> None:
            if message["type"] == "http.response.start":
                more = [(b"content-security-policy", POLICY.encode()), (b"referrer-policy", b"same-origin")]
                message = {**message, "headers": [*message.get("headers", ()), *more]}
            await send(message)

        with suppress(self._gone):
            await self._app(scope, receive, guarded)


@dataclass(frozen=True)
class Address:
    """Address of the page."""

    host: str = "127.0.0.1"
    port: int = 7860
    """The port; 0 takes a free one."""
    root_path: str = ""
    """Path under which a reverse proxy publishes the page."""

    def free_port(self) -> int:
        """
        Raises:
            OSError: it is taken, or the machine has no such address.
        """
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((self.host, self.port))
            except OSError as error:
                raise OSError(
                    f"the page cannot be served at {self.host}, port {self.port} "
                    f"({error.strerror}); choose another --port or --host"
                ) from error
            return int(probe.getsockname()[1])


@contextmanager
def running(
    models: Sequence[str],
    place: Address,
    limits: Limits,
    *,
    device: str = "auto",
    choice: Choice = FAST,
    keep: float = 3600.0,
) -> Iterator[str]:
    """Serve the page during the block; yields its address.

    Args:
        models: see `avseg.ui.offers.offers`.
        place: where.
        limits: what is taken.
        device: where models run.
        choice: engine and precision.
        keep: s after which files of a page from which nothing is heard are removed.

    Raises:
        ImportError: gradio or the engine is not installed.
        OSError: the port is taken, or a model file is not there.
        ValueError: no model file, or an engine without such a precision.
    """
    choice.check()
    if find_spec("gradio") is None:
        raise ImportError('the page needs gradio, which is not installed; run: pip install "avseg[ui]"')
    found, port = offers(models), place.free_port()
    temporary = Path(tempfile.gettempdir())
    clear_stale(temporary)
    with folder_aside(temporary / FOLDER) as folder:
        folder.chmod(0o700)
        desk = Desk(folder, Worker(device, choice), limits, keep=keep)
        try:
            desk.warm()
            blocks = _launched(desk, folder, (found, limits), Address(place.host, port, place.root_path))
            try:
                yield f"http://{place.host}:{port}/"
            finally:
                blocks.close(verbose=False)
        finally:
            desk.close()


def _launched(desk: Desk, folder: Path, offered: tuple[Any, Limits], place: Address) -> Any:
    # Read by gradio when it is imported: nothing is sent to its makers, and uploads lie where we remove them.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["GRADIO_TEMP_DIR"] = str(desk.uploads)
    examples = folder / "examples"
    examples.mkdir()
    gradio: Any = imported("avseg.ui.page:gr")
    gradio.set_static_paths([desk.results, examples])  # served from where they lie, and gone when they are removed
    found, limits = offered
    blocks = imported("avseg.ui.page:VideoPage")(desk, found, limits, examples).blocks()
    gone = imported("starlette.requests:ClientDisconnect")
    blocks.queue(default_concurrency_limit=None, max_size=200)
    blocks.launch(
        server_name=place.host,
        server_port=place.port,
        root_path=place.root_path,
        max_file_size=limits.bytes,
        theme=gradio.themes.Default(font=FONTS, font_mono=("ui-monospace", "Consolas", "monospace")),
        css=STYLE,
        head=SCRIPT,
        app_kwargs={"middleware": [imported("starlette.middleware:Middleware")(Guarded, gone=gone)]},
        footer_links=[],
        run_history=False,
        share=False,
        ssr_mode=False,
        mcp_server=False,
        enable_monitoring=False,
        quiet=True,
        prevent_thread_lock=True,
    )
    return blocks
