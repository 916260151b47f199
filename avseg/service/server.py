"""The service as a process: uvicorn on one address."""

from __future__ import annotations

import ipaddress
import logging
import tempfile
from pathlib import Path

import uvicorn

from avseg.service.app import SAFE, make_app
from avseg.service.keys import VARIABLE, Keys
from avseg.service.logged import Logged
from avseg.service.service import Service
from avseg.service.settings import Settings

log = logging.getLogger(__name__)

GRACE = 5
"""s that answers may take to end when the service is stopped."""
CONNECTIONS = 512
"""At once; more are answered with 503."""


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
        FileNotFoundError: a model file that is missing.
        ValueError: an address that other machines reach, and no keys; or a folder in which another service works.
        OSError: a folder or a file that cannot be used.
    """
    known = Keys.read(keys)
    if not known and not anyone and not _is_loopback(host):
        raise ValueError(
            f"other machines reach {host}, and there are no API keys: give them with --keys FILE or in {VARIABLE}, or "
            "say --anyone"
        )
    for model in settings.models:
        if Path(model).suffix and not Path(model).is_file():
            raise FileNotFoundError(f"the model file {model} is missing")
    uploads = Path(settings.folder) / "uploads"
    uploads.mkdir(parents=True, exist_ok=True)
    tempfile.tempdir = str(uploads)  # an upload needs room that the usual place may not have
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # it tells of every form that is none
    service = Service(settings)
    app = Logged(make_app(service, known), SAFE)
    log.info("serving %s on http://%s:%d (%s)", ", ".join(settings.named), host, port, _who(known))
    uvicorn.run(
        app,
        host=host,
        port=port,
        root_path=root_path,
        log_level="warning",
        access_log=False,
        server_header=False,
        limit_concurrency=CONNECTIONS,
        timeout_graceful_shutdown=GRACE,
    )


def _who(keys: Keys) -> str:
    return "API keys are wanted" if keys else "no API key is wanted"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
