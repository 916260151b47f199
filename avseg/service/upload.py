"""Reading of requests: limits of size and time, and conversion of fields to an order."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message

from avseg.config import did_you_mean
from avseg.jobs.errors import JobError
from avseg.jobs.order import Order
from avseg.service.names import safe_name
from avseg.service.refusal import CLOSE, Refusal
from avseg.service.service import INPUT, OUT, SOUND
from avseg.service.settings import Settings

SMALL = 1_000_000
"""Largest size in bytes of everything but the files."""
MOST_FIELDS = 40
NUMBERS = ("fps", "threshold")
WORDS = ("model", "masks", "classes", "start", "end")
MAPS = ("choices", "options", "style")
"""Fields that are JSON objects."""
FIELDS = (*NUMBERS, *WORDS, *MAPS, "save", "url")


class Bounded:
    """The body of a request, with limits.

    Raises, when it is called:
        Refusal: 413, more bytes than are taken; 408, no byte comes for a while.
    """

    def __init__(self, request: Request, most: int, idle: float) -> None:
        """`most`: largest size in bytes; `idle`: longest pause in s."""
        self._receive, self._most, self._idle = request.receive, most, idle
        self._sum = 0

    async def __call__(self) -> Message:
        async with asyncio.timeout(self._idle):  # wait_for of Python 3.11 may lose a timeout around it
            message = await self._receive()
        self._sum += len(message.get("body", b""))
        if self._sum > self._most:
            raise too_large(self._most)
        return message


def too_large(most: int) -> Refusal:
    """Return the refusal of a request that is too large."""
    return Refusal(413, f"a request may have at most {most / 1e6:g} MB; send a shorter or smaller video", CLOSE)


async def read_request(request: Request, folder: Path, settings: Settings) -> tuple[Order, str | None]:
    """Read the order in a request, with its files in `folder`, and its URL if it has one instead of a video.

    Raises:
        Refusal: 400, 408, 413, 415 or 422, what is wrong with it.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in ("multipart/form-data", "application/json"):
        raise Refusal(415, "send the video as multipart/form-data, or a URL as application/json")
    most = SMALL + (2 * settings.limits.bytes if kind.startswith("multipart") else 0)
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > most:
        raise too_large(most)
    bounded = Request(request.scope, Bounded(request, most, min(30.0, settings.upload)))
    try:
        async with asyncio.timeout(settings.upload):
            if kind == "application/json":
                order, url = _order(await _json(bounded), folder, settings)
                if not url:
                    raise Refusal(422, "no url was sent; send one, or a file as the field video of multipart/form-data")
                return order, url
            async with bounded.form(max_files=2, max_fields=MOST_FIELDS, max_part_size=SMALL) as form:
                return await _of_form(form, folder, settings)
    except TimeoutError as error:
        text = f"the upload was too slow; the limits are {settings.upload:g} s in total and pauses below 30 s"
        raise Refusal(408, text, CLOSE) from error
    except HTTPException as error:  # Starlette's, of a form that is none
        raise Refusal(400, f"the multipart/form-data is invalid ({error.detail})", CLOSE) from error


async def _json(request: Request) -> dict[str, Any]:
    try:
        found = json.loads(await request.body())
    except (ValueError, RecursionError) as error:
        raise Refusal(400, "the JSON is invalid") from error
    if not isinstance(found, dict):
        raise Refusal(400, 'the JSON must be an object, such as {"url": "https://..."}')
    return found


async def _of_form(form: FormData, folder: Path, settings: Settings) -> tuple[Order, str | None]:
    values: dict[str, Any] = {"save": [one for one in form.getlist("save") if isinstance(one, str)]}
    files = {name: value for name, value in form.multi_items() if isinstance(value, UploadFile)}
    for name in form:
        if name != "save" and len(form.getlist(name)) > 1:
            raise Refusal(422, f"{name!r} was sent twice; send one video and each field once")
    for name, value in form.multi_items():
        if isinstance(value, str) and name != "save":
            values[name] = value
    if "video" not in files and "url" not in values:
        raise Refusal(422, "no video was sent; send its file as the field video")
    order, url = _order(values, folder, settings)
    for name, file in files.items():
        if name not in ("video", "audio"):
            raise Refusal(422, f"a file was sent as {name!r}; send files as video and audio")
        place = folder / (INPUT if name == "video" else SOUND) / safe_name(file.filename, name)
        await run_in_threadpool(_keep, file, place, settings)
        order = _with_file(order, name, place)
    return order, None if "video" in files else url


def _keep(file: UploadFile, place: Path, settings: Settings) -> None:
    try:
        settings.limits.check_bytes(place.name, file.size or 0)
    except JobError as error:
        raise Refusal(413, str(error)) from error
    place.parent.mkdir(exist_ok=True)
    with place.open("xb") as out:
        shutil.copyfileobj(file.file, out, 2**20)


def _with_file(order: Order, name: str, place: Path) -> Order:
    return Order.from_dict({**order.to_dict(), name: place.as_posix()})


def _order(values: Mapping[str, Any], folder: Path, settings: Settings) -> tuple[Order, str | None]:
    """Build the order from fields, with a path for the video; see `read_request`."""
    for name in values:
        if name not in FIELDS:
            raise Refusal(422, f"there is no field {name!r}; {did_you_mean(name, FIELDS)}")
    wanted: dict[str, Any] = {
        "model": next(iter(settings.named)),
        "video": folder / INPUT / "video",
        "out": folder / OUT,
    }
    try:
        for name, value in values.items():
            if name != "url" and value not in (None, "", []):
                wanted[name] = _value(name, value)
        if _is_broken([wanted.get(name) for name in (*WORDS, *MAPS, "save")]):
            raise ValueError("a field contains a lone surrogate such as \\ud800; send complete characters")
        order = Order.from_dict(wanted)
        _check_options(order)
    except ValueError as error:
        raise Refusal(422, str(error)) from error
    if order.model not in settings.named:
        raise Refusal(422, f"there is no model {order.model!r} here; {did_you_mean(order.model, settings.named)}")
    url = values.get("url")
    if url is not None and not isinstance(url, str):
        raise Refusal(422, "url must be text")
    return order, url


def _is_broken(value: Any) -> bool:
    """Whether any text in a value cannot be encoded as UTF-8, which the table and answers need."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False


def _value(name: str, value: Any) -> Any:
    """Parse the value of a field from text.

    Raises:
        ValueError: text that says no such thing.
    """
    if name == "save":
        given = value if isinstance(value, list) else [value]
        if not all(isinstance(text, str) for text in given):
            raise ValueError(f"save is {value!r}, wanted kinds of output separated by commas")
        return [one.strip() for text in given for one in text.split(",") if one.strip()]
    if not isinstance(value, str) or name in WORDS:
        return value
    if name in NUMBERS:
        try:
            return float(value)
        except ValueError as error:
            raise ValueError(f"{name} is {value!r}, wanted a number") from error
    try:
        found = json.loads(value)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{name} is not valid JSON") from error
    if not isinstance(found, dict):
        raise ValueError(f"{name} is {value!r}, wanted a JSON object")
    return found


def _check_options(order: Order) -> None:
    """
    Raises:
        ValueError: options that are neither numbers nor switches, choices on which weights depend, or a rate that is
            none.
    """
    for name, value in order.options.items():
        if not isinstance(value, (bool, int, float)):
            raise ValueError(f"the option {name} is {value!r}, wanted a number, true or false")
    if order.fps is not None and not 0 < order.fps <= 120:
        raise ValueError(f"fps is {order.fps:g}, wanted more than 0 and at most 120 masks per second")


assert {*FIELDS} - {"url"} == {own.name for own in fields(Order)} - {"video", "audio", "out"}
