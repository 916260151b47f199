"""The form of result.json, as far as readers count on it (docs/reference/result.md): what in it is not so."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True)
class _Kind:
    """An allowed kind of value."""

    what: str
    """Its name in messages."""
    fits: Callable[[Any], bool]


@dataclass(frozen=True)
class _Maybe:
    """A field that may be missing or null."""

    form: Form


Form: TypeAlias = "_Kind | _Maybe | dict[str, Form] | list[Form]"
"""A list holds the form of every entry; a dictionary holds the forms of the required fields."""


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 53


def _is_span(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_is_number, value))


_TEXT = _Kind("a text", lambda value: isinstance(value, str))
_NUMBER = _Kind("a number", _is_number)
_COUNT = _Kind("a whole number", _is_count)
_SIDE = _Kind("a whole number of pixels", lambda value: _is_count(value) and value > 0)
_ID = _Kind("a whole number from 1 to 255", lambda value: _is_count(value) and 0 < value < 256)
_SPAN = _Kind("two numbers", _is_span)
_PART = _Kind("two numbers, the second of which may be null", lambda value: _is_span(value) or _is_open(value))
_FIELDS = _Kind("an object", lambda value: isinstance(value, dict))
_TEXTS = _Kind(
    "an object of texts", lambda value: isinstance(value, dict) and all(isinstance(one, str) for one in value.values())
)
_MASKS: Form = {"kind": _Kind("png, rle or npz", lambda value: value in ("png", "rle", "npz")), "file": _TEXT}
_OBJECT: Form = {"id": _ID, "class_id": _ID, "class": _TEXT, "score": _NUMBER}
FORM: Form = {
    "video": {
        "file": _TEXT,
        "width": _SIDE,
        "height": _SIDE,
        "fps": _NUMBER,
        "duration": _NUMBER,
        "damaged_packets": _COUNT,
        "part": _Maybe(_PART),
        "audio": _Maybe({"file": _TEXT}),
    },
    "model": {"name": _TEXT, "task": _FIELDS},
    "fps": _NUMBER,
    "masks": _Maybe(_MASKS),
    "more_masks": _Maybe([_MASKS]),
    "overlay": _Maybe(_TEXT),
    "tracks": _Maybe(_TEXT),
    "saved": _Maybe(_TEXTS),
    "explanation": _Maybe(_FIELDS),
    "frames": [{"index": _COUNT, "time": _NUMBER, "heard": _SPAN, "objects": [_OBJECT]}],
    "sounding": [{"id": _ID, "class_id": _ID, "class": _TEXT, "intervals": [_SPAN], "score": _Maybe(_NUMBER)}],
}


def _is_open(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and _is_number(value[0]) and value[1] is None


def fault_of(head: Mapping[str, Any]) -> str:
    """Return the first fault, such as "frames[3].time is null, wanted a number"; empty if there is none."""
    return next(_faults(dict(head), FORM, ""), "")


def _faults(value: Any, form: Form, place: str) -> Iterator[str]:
    if isinstance(form, _Maybe):
        if value is not None:
            yield from _faults(value, form.form, place)
    elif isinstance(form, _Kind):
        if not form.fits(value):
            yield f"{place} is {_shown(value)}, wanted {form.what}"
    elif isinstance(form, list):
        if isinstance(value, list):
            for number, one in enumerate(value):
                yield from _faults(one, form[0], f"{place}[{number}]")
        else:
            yield f"{place} is {_shown(value)}, wanted a list"
    elif isinstance(value, dict):
        for name, inner in form.items():
            inside = f"{place}.{name}" if place else name
            if name in value or isinstance(inner, _Maybe):
                yield from _faults(value.get(name), inner, inside)
            else:
                yield f"{inside} is missing"
    else:
        yield f"{place} is {_shown(value)}, wanted an object"


def _shown(value: Any) -> str:
    text = "null" if value is None else repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
