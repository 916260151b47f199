"""Answers that reach a client which is still sending its request."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from starlette.types import ASGIApp, Message, Receive, Scope, Send

LINGER = 30.0
"""Time in s for which the rest of a request is received and dropped after its answer."""
PAUSE = 5.0
"""Longest pause in s of a client in that time."""


class Lingering:
    """Wraps an application that may answer before it has received the whole request.

    A connection that is closed with unread bytes is reset, and a client that was still sending loses the answer. So the
    answer is sent completely, and what still comes is dropped for a while before the connection ends.
    """

    def __init__(self, app: ASGIApp, linger: float = LINGER, pause: float = PAUSE) -> None:
        self._app, self._linger, self._pause = app, linger, pause

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _has_body(scope):
            await self._app(scope, receive, send)
            return
        whole, held = False, False

        async def received() -> Message:
            nonlocal whole
            message = await receive()
            whole = message["type"] != "http.request" or not message.get("more_body", False)
            return message

        async def sent(message: Message) -> None:
            nonlocal held
            held = not whole and message["type"] == "http.response.body" and not message.get("more_body", False)
            await send({**message, "more_body": True} if held else message)

        async def drop() -> None:
            while not whole:
                async with asyncio.timeout(self._pause):
                    await received()

        await self._app(scope, received, sent)
        if held:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._linger):
                    await drop()
            await send({"type": "http.response.body", "body": b""})


def _has_body(scope: Scope) -> bool:
    headers = dict(scope["headers"])
    return b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0"
