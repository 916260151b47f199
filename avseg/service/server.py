"""The service as a process: uvicorn on one address."""

from __future__ import annotations

import logging
import os
import socket
import tempfile
from contextlib import suppress
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from avseg.config import did_you_mean
from avseg.models.opening import opening_names, opening_of
from avseg.service.app import SAFE, make_app
from avseg.service.door import Door, is_loopback
from avseg.service.keys import VARIABLE, Keys
from avseg.service.lingering import Lingering
from avseg.service.logged import Logged
from avseg.service.service import Service
from avseg.service.settings import Settings

log = logging.getLogger(__name__)

GRACE = 5
"""Time in s for running answers when the service stops."""
CONNECTIONS = 512
"""Largest number of connections; more are answered with 503."""


def serve(
    settings: Settings,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    keys: Path | None = None,
    anyone: bool = False,
    root_path: str = "",
) -> None:
    """Serve until the process is stopped.

    Args:
        settings: see there.
        host: address to listen on.
        port: of it.
        keys: file of API keys; None: those of the environment variable.
        anyone: serve without keys on an address that other machines reach.
        root_path: path under which a reverse proxy shows the service.

    Raises:
        FileNotFoundError: a model file that is missing, or a name that opens no model.
        ValueError: an address that other machines reach, and no keys; one at which nothing can listen; or a folder in
            which another service works.
        OSError: a folder or a file that cannot be used.
    """
    known = Keys.read(keys)
    if not known and not anyone and not is_loopback(host):
        raise ValueError(
            f"other machines can reach {host}, but there are no API keys; give them with "
            f"--keys FILE or in {VARIABLE}, or use --anyone"
        )
    for model in settings.models:
        _check_model(model)
    listening = _listening(host, port)
    service = Service(settings)
    tempfile.tempdir = str(service.uploads)  # an upload needs room that the usual place may not have
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # it tells of every form that is none
    app: ASGIApp = make_app(service, known)
    app = Lingering(Logged(app if known else Door(app, anyone=anyone), SAFE))
    there = f"[{host}]" if ":" in host else host
    log.info(
        "serving %s on http://%s:%d (%s)", ", ".join(settings.named), there, listening.getsockname()[1], _who(known)
    )
    config = uvicorn.Config(
        app,
        root_path=root_path,
        log_level="warning",
        access_log=False,
        server_header=False,
        http="h11",  # it bounds the bytes of headers, which httptools does not
        limit_concurrency=CONNECTIONS,
        timeout_graceful_shutdown=GRACE,
    )
    server = uvicorn.Server(config)
    with suppress(KeyboardInterrupt):
        server.run([listening])
    if not server.started:
        raise RuntimeError("the service could not start; see the lines above")


def _listening(host: str, port: int) -> socket.socket:
    """Open a listening socket.

    Raises:
        ValueError: an address at which this process cannot listen.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=2048)
    except (OSError, OverflowError) as error:
        number = getattr(error, "errno", None) or 0
        why = "a port is 0 to 65535" if not number else os.strerror(number) if number > 0 else "no such name"
        raise ValueError(f"cannot listen on {host}, port {port} ({why}); choose another --host or --port") from error


def _check_model(model: str) -> None:
    """
    Raises:
        FileNotFoundError: neither a file or folder, nor a name, nor what may be the id of a model of the Hub.
    """
    if model == "demo" or Path(model).exists() or opening_of(model) is not None:
        return
    if Path(model).suffix:
        raise FileNotFoundError(f"the model file {model} is missing")
    if model.count("/") != 1:
        known = ("demo", *opening_names())
        raise FileNotFoundError(f"there is no file or model {model!r}; {did_you_mean(model, known)}")


def _who(keys: Keys) -> str:
    return "API keys required" if keys else "no API key required"
