"""Pictures for people: overlays, palettes, reports."""

from avseg.render.overlay import Paint, overlay
from avseg.render.palette import palette
from avseg.render.report import Page

__all__ = ["Page", "Paint", "overlay", "palette"]
