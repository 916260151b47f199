"""A copy of a run in an object store: checkpoints, figures, model files."""

from __future__ import annotations

import logging
import re
from pathlib import Path

from avseg.engine.config import Recipe
from avseg.engine.training.checkpoint import KEEP, newest_checkpoint
from avseg.engine.training.folder import RunFolder
from avseg.io import address, remote

log = logging.getLogger(__name__)

CHECKPOINTS = "checkpoints"
_CHECKPOINT = re.compile(r"step-\d{9}\.pt")


class RunStore:
    """The place of one run. All but `fetch` is of the first process alone."""

    def __init__(self, place: str, folder: RunFolder) -> None:
        """
        Raises:
            ValueError: no place that has a scheme.
        """
        if not address.has_scheme(place):
            raise ValueError(
                f"train.store is {place!r}, wanted a place such as s3://bucket/run; a folder that all machines see is "
                "named by --out"
            )
        self.place, self.folder = place, folder
        self._sent: dict[str, tuple[int, int]] = {}
        """Time and size of the files that were copied, by name."""

    @classmethod
    def of(cls, place: str | None, folder: RunFolder) -> RunStore | None:
        """The store of a run, if it has one.

        Raises:
            ValueError: no place that has a scheme.
        """
        return None if place is None else cls(place, folder)

    def newest(self) -> str | None:
        """The name of the newest checkpoint that is there.

        Raises:
            OSError: the place cannot be reached.
        """
        found = self._checkpoints()
        return found[-1] if found else None

    def bring(self, recipe: Recipe, resume: bool = True) -> None:
        """Copy to the run's folder what it needs to go on, where the store is ahead of it.

        Raises:
            ValueError: the store holds a run of another recipe, or one although `resume` is false.
            OSError: it cannot be reached.
        """
        names = set(remote.listed(self.place))
        if self.folder.recipe.name in names:
            written = remote.read(self._at(self.folder.recipe.name))
            self.folder.refuse_other(recipe, written, address.shown(self.place))
            if not resume:
                raise ValueError(
                    f"{address.shown(self.place)} holds an unfinished run; resume it, or choose another place"
                )
        newest, own = self.newest(), newest_checkpoint(self.folder.checkpoints)
        if newest is None or (own is not None and own.name >= newest):
            return
        # The checkpoint comes last: until then the folder is as it was, or begins anew.
        for name in sorted(names):
            remote.download(self._at(name), self.folder.path / name)
        self.fetch(self.folder.checkpoints / newest)
        log.info("copied the checkpoint %s from %s", newest, address.shown(self.place))

    def fetch(self, checkpoint: Path) -> None:
        """Copy a checkpoint to this machine.

        Raises:
            OSError: it is not there, or the place cannot be reached.
        """
        remote.download(self._at(CHECKPOINTS, checkpoint.name), checkpoint)

    def keep(self, checkpoint: Path) -> None:
        """Copy a checkpoint and what has changed beside it; where that fails a line says so, and the run goes on."""
        try:
            self._send_changed()
            remote.upload(checkpoint, self._at(CHECKPOINTS, checkpoint.name))
            for old in self._checkpoints()[:-KEEP]:
                remote.remove(self._at(CHECKPOINTS, old))
        except OSError as error:
            log.warning("%s was not copied (%s); the run continues and copies the next one", checkpoint.name, error)

    def finish(self) -> None:
        """Copy what the end of a run has written.

        Raises:
            OSError: it cannot be copied; the folder is whole.
        """
        try:
            self._send_changed()
        except OSError as error:
            raise OSError(
                f"the run is finished in {self.folder.path}, but not copied ({error}); copy the folder to "
                f"{address.shown(self.place)} yourself"
            ) from error

    def _send_changed(self) -> None:
        """Files of the folder that are new or other than when they were copied; the summary, if there is one, last."""
        files = [path for path in self.folder.path.iterdir() if path.is_file() and not path.name.startswith(".")]
        for path in sorted(files, key=lambda path: (path == self.folder.summary, path.name)):
            facts = path.stat()
            if self._sent.get(path.name) != (facts.st_mtime_ns, facts.st_size):
                remote.upload(path, self._at(path.name))
                self._sent[path.name] = (facts.st_mtime_ns, facts.st_size)

    def _checkpoints(self) -> list[str]:
        return [name for name in remote.listed(self._at(CHECKPOINTS)) if _CHECKPOINT.fullmatch(name)]

    def _at(self, *names: str) -> str:
        return address.joined(self.place, *names)


def has_begun(folder: RunFolder, place: str | None) -> bool:
    """Whether a run has a checkpoint to go on from, in its folder or in its store.

    Raises:
        ValueError, OSError: a store that is none, or that cannot be reached.
    """
    if newest_checkpoint(folder.checkpoints) is not None:
        return True
    store = RunStore.of(place, folder)
    return store is not None and store.newest() is not None


def need_checkpoint(checkpoint: Path, store: RunStore | None) -> None:
    """See to it that this machine has the checkpoint that the first one goes on from.

    Raises:
        FileNotFoundError: it has not, and there is no store.
        OSError: the store cannot be reached.
    """
    if checkpoint.is_file():
        return
    if store is None:
        raise FileNotFoundError(
            f"the run continues from {checkpoint}, which is missing on this machine; use the same --out on a shared "
            "disk for all machines, or a store (--train.store s3://bucket/run)"
        )
    store.fetch(checkpoint)
