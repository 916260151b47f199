"""Output options of `avseg predict`: `--save`, `--overlay` and `--masks`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, Optional

from avseg.commands.words import Parameter
from avseg.inference.export.kinds import MASK_FORMS, USUAL, MaskChoice, OverlayChoice, kinds
from avseg.inference.export.style import PLAIN, Style


class _NotGiven(int):
    """Default of a switch that was not given: tyro needs a truth value and returns this very object."""

    def __str__(self) -> str:
        return ""


@dataclass(init=False)
class SaveChoices:
    """Output choices, read by the command line as a dataclass; single options override `--save`."""

    def __init__(
        self, save: tuple[str, ...] = USUAL, overlay: Any = None, masks: Any = None, style: Style = PLAIN
    ) -> None:
        wanted = overlay if isinstance(overlay, bool) else None
        painted = style != PLAIN and wanted is not False
        self.save = (*save, "overlay") if painted and wanted else save
        self.overlay: OverlayChoice = style if painted else wanted
        self.masks: MaskChoice = "usual" if masks is None else None if masks == "none" else masks

    @classmethod
    def parameters(cls) -> Iterator[Parameter]:
        """Return the options; `save` accepts every registered kind."""
        known = kinds()
        told = "; ".join(f"{name}: {kind.what}" for name, kind in known.items())
        yield Parameter("save", tuple[Literal[*known], ...], USUAL, f"Files to write for each video. {told}.")  # type: ignore[valid-type]
        text = "Write the video with the masks painted in, independent of --save."
        yield Parameter("overlay", bool, _NotGiven(1), text)
        text = "Format of the stored masks, independent of --save; none stores no masks (default: png)."
        yield Parameter("masks", Optional[Literal[(*MASK_FORMS, "none")]], None, text)  # noqa: UP045  a hint made of values
        yield Parameter("style", Style, PLAIN, "Style of the masks in the overlay and in the report.")
