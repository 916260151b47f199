"""Lines buffered on disk until the text before them is known, so that memory does not grow with the video."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryFile
from typing import TextIO


class TextSpool:
    """Texts in a temporary file without a name."""

    def __init__(self, folder: Path, between: str = ",\n") -> None:
        """Open the file.

        Args:
            folder: Folder of the temporary file.
            between: Separator between two texts.
        """
        self.count = 0
        """Number of texts so far."""
        self._between = between
        self._file = TemporaryFile("w+", encoding="utf-8", newline="\n", dir=folder)  # noqa: SIM115  `close` closes it

    def add(self, text: str) -> None:
        """Add a text."""
        self._file.write(f"{self._between if self.count else ''}{text}")
        self.count += 1

    def copy_to(self, file: TextIO) -> None:
        """Write all texts to `file`."""
        self._file.seek(0)
        shutil.copyfileobj(self._file, file)

    def close(self) -> None:
        """Discard all texts."""
        self._file.close()
