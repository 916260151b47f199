"""Files as answers."""

from __future__ import annotations

import os
from pathlib import Path

from starlette.responses import FileResponse
from starlette.types import Receive, Scope, Send


class HeldFile(FileResponse):
    """An answer with an open file, which is sent completely even if the job is removed meanwhile."""

    def __init__(self, path: Path, media_type: str | None = None) -> None:
        """
        Raises:
            FileNotFoundError: it was removed before.
        """
        self._held = path.open("rb")
        number = self._held.fileno()
        again = Path(f"/dev/fd/{number}")  # on Windows there is none, and nobody removes a file that is open
        found = os.fstat(number)
        super().__init__(
            again if again.exists() else path, filename=path.name, media_type=media_type, stat_result=found
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._held:
            await super().__call__(scope, receive, send)
