"""Which requests of browsers are answered where no API key keeps strangers out."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send


class Door:
    """Wraps an application that wants no key.

    Any page that a browser shows can have it send requests to this machine, and read the answers where the page's own
    name is made to lead here. A request that another page sends is refused, and, where only this machine is served,
    one for another name than this machine's.
    """

    def __init__(self, app: ASGIApp, *, anyone: bool) -> None:
        """`anyone`: other machines are served too, by whatever name."""
        self._app, self._anyone = app, anyone

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (sentence := self._why_not(Headers(scope=scope))):
            await JSONResponse({"error": sentence}, 403, {"Connection": "close"})(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _why_not(self, headers: Headers) -> str:
        host = headers.get("host", "")
        if not self._anyone and not is_loopback(_name(f"//{host}")):
            return "without API keys this service answers as localhost or 127.0.0.1 alone; give it keys, or --anyone"
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2] != host:
            return "without API keys this service takes no request from a page of another address"
        return ""


def is_loopback(host: str) -> bool:
    """Whether a name or an address is that of this machine alone."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _name(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
