"""`avseg serve`: serve models over HTTP."""

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
    """Limits for clients."""

    max_mb: float = 500.0
    """Largest file in megabytes."""
    max_seconds: float = 600.0
    """Longest video in seconds."""
    max_megapixels: float = 8.3
    """Largest picture in million pixels; 8.3 is 3840 x 2160."""
    max_work: float = 3600.0
    """Time limit in seconds for processing one video."""
    max_upload: float = 300.0
    """Time limit in seconds for an upload or the download of a URL."""
    queue: int = 100
    """Longest queue in jobs; further jobs are refused with status 429."""
    keep: float = 24.0
    """Hours to keep a result."""
    url_hosts: tuple[str, ...] = ()
    """Hosts from which videos may be fetched by URL. The default is to accept no URL."""

    @property
    def limits(self) -> Any:
        """Limits for files, as `avseg.jobs.limits.Limits`."""
        for name, value in (("--max-mb", self.max_mb), ("--max-megapixels", self.max_megapixels)):
            if not 0 < value < float("inf"):
                raise ValueError(f"{name} is {value:g}, wanted more than 0")
        size, pixels = round(self.max_mb * 1e6), round(self.max_megapixels * 1e6)
        return imported("avseg.jobs.limits:Limits")(size, self.max_seconds, pixels, self.max_work)


@dataclass(frozen=True)
class AddressChoices:
    """Address of the service and its keys."""

    host: str = "127.0.0.1"
    """Address to listen on; other machines can reach 0.0.0.0."""
    port: int = 8000
    """Port to listen on."""
    keys: Path | None = None
    """File of API keys, one per line. The default is the keys in the variable AVSEG_API_KEYS."""
    anyone: bool = False
    """Require no keys even if other machines can reach the address."""
    root_path: str = ""
    """Path under which a reverse proxy publishes the service."""


def serve(
    models: Positional[Annotated[tuple[str, ...], arg(metavar="MODEL")]] = ("demo",),
    folder: Path = Path("avseg-serve"),
    devices: tuple[str, ...] = ("auto",),
    batch: int = 1,
    address: Annotated[AddressChoices, arg(name="")] = AddressChoices(),
    taken: Annotated[LimitChoices, arg(name="")] = LimitChoices(),
    computing: Annotated[EngineChoices, arg(name="")] = EngineChoices(),
) -> int:
    """Serve models over HTTP: clients upload videos to a queue and download the files of avseg predict.

    Args:
        models: Model files, Hugging Face Hub ids, "demo", or names without a file; a request names one of them.
        folder: Folder for the queue, the uploads and the results. A restarted service continues its queue.
        devices: Devices, with one process on each: auto, cpu, cuda:0, cuda:1 ...
        batch: Number of videos per process and model that share a batch of the network. Labels can differ from those of
            avseg predict in single pixels. It has no effect on models that track objects and on engines other than
            PyTorch, which process one video at a time.
        address: Address of the service.
        taken: Limits for clients.
        computing: Engine of the networks.
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
        raise ImportError(f'the service needs {", ".join(missing)}; install with: pip install "avseg[serve]"')
    imported("avseg.service.server:serve")(
        settings,
        host=address.host,
        port=address.port,
        keys=address.keys,
        anyone=address.anyone,
        root_path=address.root_path,
    )
    return 0
