"""`avseg serve`: the service."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import Positional, arg

from avseg.commands.running import EngineChoices
from avseg.lazy import imported

_NEEDS = ("fastapi", "uvicorn", "python_multipart", "prometheus_client")


@dataclass(frozen=True)
class LimitChoices:
    """What is taken of a client."""

    max_mb: float = 500.0
    """Megabytes of one file."""
    max_seconds: float = 600.0
    """Seconds of one video."""
    max_megapixels: float = 8.3
    """Million pixels of one picture; 8.3 is 3840 x 2160."""
    max_work: float = 3600.0
    """Seconds that the work on one video may last."""
    max_upload: float = 300.0
    """Seconds that an upload, or the download of a URL, may last."""
    queue: int = 100
    """Jobs that may wait; further ones are refused with status 429."""
    keep: float = 24.0
    """Hours that a result is kept."""
    url_hosts: tuple[str, ...] = ()
    """Hosts from which videos are fetched by URL; without any no URL is taken."""

    @property
    def limits(self) -> Any:
        """Of files, as `avseg.jobs.limits.Limits`."""
        for name, value in (("--max-mb", self.max_mb), ("--max-megapixels", self.max_megapixels)):
            if not 0 < value < float("inf"):
                raise ValueError(f"{name} is {value:g}, wanted more than 0")
        size, pixels = round(self.max_mb * 1e6), round(self.max_megapixels * 1e6)
        return imported("avseg.jobs.limits:Limits")(size, self.max_seconds, pixels, self.max_work)


@dataclass(frozen=True)
class AddressChoices:
    """Where the service listens, and to whom."""

    host: str = "127.0.0.1"
    """Address to listen on; 0.0.0.0 is reached by other machines."""
    port: int = 8000
    """Port to listen on."""
    keys: Path | None = None
    """File of API keys, one a line; by default those in the variable AVSEG_API_KEYS."""
    anyone: bool = False
    """Want no keys although other machines reach the address."""
    root_path: str = ""
    """Path under which a reverse proxy shows the service."""


def serve(
    models: Positional[Annotated[tuple[str, ...], arg(metavar="MODEL")]] = ("demo",),
    folder: Path = Path("avseg-serve"),
    devices: tuple[str, ...] = ("auto",),
    batch: int = 1,
    address: Annotated[AddressChoices, arg(name="")] = AddressChoices(),
    taken: Annotated[LimitChoices, arg(name="")] = LimitChoices(),
    computing: Annotated[EngineChoices, arg(name="")] = EngineChoices(),
) -> int:
    """Serve models over HTTP: videos go in, wait in a queue, and what avseg predict makes of them comes out.

    Args:
        models: Model files, Hugging Face Hub ids, "demo", or names without a file; a request names one of them.
        folder: Of the queue, the uploads and the results; what waits there goes on when the service starts again.
        devices: One process works on each: auto, cpu, cuda:0, cuda:1 ...
        batch: Videos of one model that a process works on at once; their frames go through the network together, and
            labels may differ from those of avseg predict in single pixels. It has no effect on models that track
            objects or that another engine than PyTorch runs: these take one video at a time.
        address: Where the service listens.
        taken: What is taken of a client.
        computing: What computes the networks.
    """
    kept = taken.keep * 3600
    settings = imported("avseg.service.settings:Settings")(
        models,
        folder,
        devices,
        taken.limits,
        queue=taken.queue,
        keep=kept,
        upload=taken.max_upload,
        hosts=taken.url_hosts,
        batch=batch,
        choice=computing.choice,
    )
    if missing := [name for name in _NEEDS if find_spec(name) is None]:
        raise ImportError(f'{", ".join(missing)} is not installed; install it with: pip install "avseg[serve]"')
    imported("avseg.service.server:serve")(
        settings,
        host=address.host,
        port=address.port,
        keys=address.keys,
        anyone=address.anyone,
        root_path=address.root_path,
    )
    return 0
