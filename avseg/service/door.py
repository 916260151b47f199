"""A check of browser requests for services without API keys."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send


class Door:
    """Wraps an application without API keys.

    Any web page can make a browser send requests to this machine, and can read the answers if its own name resolves to
    this machine. So requests from other pages are refused, and, if only this machine is served, requests for another
    host name.
    """

    def __init__(self, app: ASGIApp, *, anyone: bool) -> None:
        """`anyone`: serve other machines too, under any host name."""
        self._app, self._anyone = app, anyone

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (sentence := self._why_not(Headers(scope=scope))):
            await JSONResponse({"error": sentence}, 403, {"Connection": "close"})(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _why_not(self, headers: Headers) -> str:
        host = headers.get("host", "")
        if not self._anyone and not is_loopback(_name(f"//{host}")):
            return "without API keys this service answers only as localhost or 127.0.0.1; use keys or --anyone"
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2] != host:
            return "without API keys this service refuses requests from pages of other addresses"
        return ""


def is_loopback(host: str) -> bool:
    """Whether a name or an address is a loopback address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _name(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
