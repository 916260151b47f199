"""What `avseg predict` saves of a video: the words `--save`, `--overlay` and `--masks`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, Optional

from avseg.commands.words import Parameter
from avseg.inference.export.kinds import MASK_FORMS, USUAL, MaskChoice, OverlayChoice, kinds
from avseg.inference.export.style import PLAIN, Style


class _NotGiven(int):
    """The default of a switch that is neither on nor off: tyro wants a truth value, and gives back this very one."""

    def __str__(self) -> str:
        return ""


@dataclass(init=False)
class SaveChoices:
    """Read by the command line as a dataclass; what is given by name wins over `--save`."""

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
        """The options; `save` takes the kinds that there are."""
        known = kinds()
        told = "; ".join(f"{name}: {kind.what}" for name, kind in known.items())
        yield Parameter("save", tuple[Literal[*known], ...], USUAL, f"What is written of each video. {told}.")  # type: ignore[valid-type]
        text = "Write the video with the masks painted in, whatever --save says."
        yield Parameter("overlay", bool, _NotGiven(1), text)
        text = "The form in which masks are stored, whatever --save says; none stores none (default: png)."
        yield Parameter("masks", Optional[Literal[(*MASK_FORMS, "none")]], None, text)  # noqa: UP045  a hint made of values
        yield Parameter("style", Style, PLAIN, "How masks are painted in the overlay and in the report.")
