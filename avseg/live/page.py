"""A local page that shows a stream as motion JPEG with its figures, without external content."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from avseg.live.html import PAGE

HOST = "127.0.0.1"
NAMES = ("127.0.0.1", "localhost")
"""Host names that a browser may use for this machine; other names are refused."""
VIEWERS = 8
"""Largest number of browsers."""
QUALITY = 80
"""JPEG quality."""
PATIENCE = 5.0
"""Time limit in s for sending one picture."""
POLICY = "default-src 'none'; img-src 'self' data:; connect-src 'self'; " + "; ".join(
    f"{what}-src 'unsafe-inline'" for what in ("style", "script")
)


class _Shown:
    """The last picture, encoded once for all viewers, and only if there is a viewer."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._picture: NDArray[np.uint8] | None = None
        self._coded: bytes | None = None
        self._number = 0

    def put(self, picture: NDArray[np.uint8]) -> None:
        with self._changed:
            self._picture, self._coded = picture, None
            self._number += 1
            self._changed.notify_all()

    def after(self, number: int) -> tuple[int, bytes] | None:
        """Return number and JPEG of a picture later than `number`; None if none arrives within a second."""
        with self._changed:
            self._changed.wait_for(lambda: self._number > number, 1.0)
            if self._picture is None or self._number <= number:
                return None
            if self._coded is None:
                held = io.BytesIO()
                Image.fromarray(self._picture).save(held, "jpeg", quality=QUALITY)
                self._coded = held.getvalue()
            return self._number, self._coded


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # Another process must not take the port over while this one has it.
    allow_reuse_address = True

    def __init__(self, port: int, shown: _Shown, figures: Callable[[], dict[str, Any]]) -> None:
        super().__init__((HOST, port), _Handler)
        self.shown, self.figures = shown, figures
        self.places = threading.BoundedSemaphore(VIEWERS)
        self.closing = threading.Event()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore disconnected browsers."""


class _Handler(BaseHTTPRequestHandler):
    timeout = PATIENCE
    server: _Server
    routes: ClassVar[dict[str, str]] = {"/": "_page", "/figures": "_figures", "/stream": "_stream"}

    def do_GET(self) -> None:
        name = (self.headers.get("Host") or "").rpartition(":")[0] or self.headers.get("Host") or ""
        if name not in NAMES:
            self._send(403, "text/plain", f"this page is only available as http://{HOST}\n".encode())
            return
        route = self.routes.get(self.path.partition("?")[0])
        if route is None:
            self._send(404, "text/plain", b"there is no such page; the stream is at /\n")
            return
        getattr(self, route)()

    def log_message(self, *args: Any) -> None:
        """Log nothing."""

    def _page(self) -> None:
        self._send(200, "text/html; charset=utf-8", PAGE.encode())

    def _figures(self) -> None:
        self._send(200, "application/json", json.dumps(self.server.figures()).encode())

    def _send(self, status: int, kind: str, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self._close_head()
        self.wfile.write(content)

    def _close_head(self) -> None:
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()

    def _stream(self) -> None:
        if not self.server.places.acquire(blocking=False):
            self._send(503, "text/plain", f"{VIEWERS} browsers are connected already; close one\n".encode())
            return
        try:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=picture")
            self._close_head()
            number = 0
            while not self.server.closing.is_set():
                found = self.server.shown.after(number)
                if found is None:
                    continue
                number, picture = found
                head = f"--picture\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
                self.wfile.write(head.encode() + picture + b"\r\n")
        finally:
            self.server.places.release()


class LivePage:
    """Serves the page on 127.0.0.1 for the length of the block."""

    def __init__(self, port: int, figures: Callable[[], dict[str, Any]]) -> None:
        """
        Args:
            port: 0 takes a free one.
            figures: what the page shows beside the picture, in plain JSON.

        Raises:
            ValueError: a port that another program has.
        """
        self._shown = _Shown()
        try:
            self._server = _Server(port, self._shown, figures)
        except (OSError, OverflowError) as error:
            raise ValueError(f"port {port} of {HOST} cannot be used ({error}); choose another with --port") from error
        self.address = f"http://{HOST}:{self._server.server_address[1]}/"

    def show(self, picture: NDArray[np.uint8]) -> None:
        """Show the newest picture, (H, W, 3) RGB."""
        self._shown.put(picture)

    def __enter__(self) -> LivePage:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.closing.set()
        self._server.shutdown()
        self._server.socket.close()
