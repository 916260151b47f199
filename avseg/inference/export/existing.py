"""The contents of an existing result folder: complete, incomplete, or in conflict with the wanted result."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from avseg.inference.export.files import (
    FORMAT_VERSION,
    MASK_NAMES,
    OVERLAY_NAME,
    RESULT_NAME,
    TRACKS_NAME,
    ResultHeader,
)
from avseg.inference.export.form import fault_of
from avseg.inference.export.kinds import kinds
from avseg.inference.records import MaskKind
from avseg.io.files import remove


def outputs() -> list[str]:
    """Return the files and folders that may exist next to result.json."""
    masks = [name.split("/")[0] for name in MASK_NAMES.values()]
    return list(dict.fromkeys([*masks, TRACKS_NAME, *(k.file for k in kinds().values() if "/" not in k.file)]))


_FORMER = {"engine": "torch", "precision": "fp32"}


@dataclass(frozen=True)
class Existing:
    """A result folder before writing starts."""

    folder: Path
    found: Mapping[str, Any] | None
    """Its result.json; None if there is none that can be read."""

    @classmethod
    def of(cls, folder: Path) -> Existing:
        """Inspect a folder, which may be missing."""
        return cls(folder, read_result(folder))

    def contradiction(self, header: ResultHeader, facts: Mapping[str, Any]) -> str:
        """Return why a result with this header and these video facts cannot be written here; empty if it can."""
        reason = self._foreign() if self.found is None else _differs(self.found, header, facts)
        if not reason:
            return ""
        return f"{self.folder} holds {reason}; choose another folder with --out, or replace the result with --overwrite"

    def made_by_another(self, header: ResultHeader) -> bool:
        """Whether the result has another engine or precision; versions without engines used PyTorch in fp32."""
        if self.found is None:
            return False
        found, wanted = ({**_FORMER, **model} for model in (self.found.get("model") or {}, header.model))
        return any(found[name] != wanted[name] for name in _FORMER)

    def lacking(self, header: ResultHeader) -> ResultHeader | None:
        """Return the header with the outputs that are wanted and missing; None if none is missing."""
        if self.found is None:
            return header
        masks = None if header.masks is None or self._has(MASK_NAMES[header.masks]) else header.masks
        masks = masks or next((kind for kind in self._mask_kinds() if self._has_holes(kind)), None)
        known = kinds()
        lacking = tuple(kind for kind in header.saved if not self._has(known[kind].path(self.folder.name)))
        return replace(header, masks=masks, saved=lacking) if masks or lacking else None

    def mending(self, header: ResultHeader) -> ResultHeader:
        """Return the header with the masks that exist but cannot be read, to write them again."""
        there = (kind for kind in self._mask_kinds() if self._has(MASK_NAMES[kind]))
        return replace(header, masks=header.masks or next(there, None))

    def has_overlay(self) -> bool:
        """Whether an overlay exists, in any style."""
        return self.found is not None and self._has(OVERLAY_NAME)

    def kept(self, head: Mapping[str, Any]) -> dict[str, Any]:
        """Return the head of result.json, including existing outputs that are kept."""
        if self.found is None:
            return dict(head)
        forms = [*_masks_of(self.found), *_masks_of(head)]
        forms = [form for number, form in enumerate(forms) if form not in forms[:number]]
        more = {"more_masks": forms[1:]} if len(forms) > 1 else {}
        overlay = head["overlay"] or self.found.get("overlay")
        saved = {**(self.found.get("saved") or {}), **head.get("saved", {})}
        kept = {**head, "masks": forms[0] if forms else None, **more, "overlay": overlay}
        return {**kept, "saved": saved} if saved else kept

    def _foreign(self) -> str:
        names = [name for name in (RESULT_NAME, *outputs()) if (self.folder / name).exists()]
        if not self.folder.exists() or (self.folder.is_dir() and not names):
            return ""
        return (
            f"{' and '.join(names)} but not a complete result of avseg"
            if names
            else "a file of that name instead of a folder"
        )

    def _mask_kinds(self) -> list[MaskKind]:
        return [] if self.found is None else [one["kind"] for one in _masks_of(self.found)]

    def _has_holes(self, kind: MaskKind) -> bool:
        """Whether some masks are missing from their folder; a missing folder counts as removed on purpose."""
        name, frames = MASK_NAMES[kind], [] if self.found is None else self.found["frames"]
        if "/" not in name or not self._has(name):
            return False
        return not all((self.folder / name.format(index=frame["index"])).exists() for frame in frames)

    def _has(self, name: str) -> bool:
        """Whether result.json names this output and it exists."""
        assert self.found is not None
        named = {OVERLAY_NAME} if self.found.get("overlay") else set()
        named |= set((self.found.get("saved") or {}).values())
        named |= {str(kind.get("file")) for kind in _masks_of(self.found)}
        place = name if name.startswith("..") else name.split("/")[0]  # masks/{index:06d}.png is a folder
        return name in named and (self.folder / place).exists()


def place(aside: Path, folder: Path, *, replacing: bool) -> None:
    """Move a finished result into its folder, result.json last, so that it never names missing files.

    Args:
        aside: Holds result.json and what it names.
        folder: Its other files are kept.
        replacing: Remove the outputs of the earlier result.
    """
    if not folder.exists():
        aside.replace(folder)
        return
    if replacing:
        for name in (RESULT_NAME, *outputs()):
            remove(folder / name)
    for entry in sorted(aside.iterdir(), key=lambda one: one.name == RESULT_NAME):
        if entry.is_dir():
            remove(folder / entry.name)
        entry.replace(folder / entry.name)


def read_result(folder: Path) -> dict[str, Any] | None:
    """Read result.json of a folder; None if there is no complete one."""
    try:
        found = json.loads((folder / RESULT_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    # Of a later version no more is known than that it is one.
    return None if found.get("format_version") == FORMAT_VERSION and fault_of(found) else found


def _differs(found: Mapping[str, Any], header: ResultHeader, facts: Mapping[str, Any]) -> str:
    """Describe how an existing result differs from the header; empty if it does not."""
    if found.get("format_version") != FORMAT_VERSION:
        return f"a result in format version {found.get('format_version')}, not {FORMAT_VERSION}"
    wanted = json.loads(json.dumps(header.to_dict(facts)))
    video, model = found["video"], found["model"]
    differing = {key for key in (*wanted["video"], "part", "audio") if video.get(key) != wanted["video"].get(key)}
    if differing - {"part", "audio", "sound"} or differing == {"sound"}:
        return f"a result of another file called {video.get('file')}"
    if differing:
        return f"a result of another {'part' if 'part' in differing else 'sound'} of {video.get('file')}"
    if model.get("fingerprint") != wanted["model"]["fingerprint"]:
        same = " with other weights or options" if model.get("name") == wanted["model"]["name"] else ""
        return f"a result of the model {model.get('name')}{same}"
    if found.get("fps") != wanted["fps"]:
        return f"a result with {found.get('fps')} masks per second, not {wanted['fps']}"
    return ""


def _masks_of(head: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [*([head["masks"]] if head.get("masks") else []), *(head.get("more_masks") or ())]
