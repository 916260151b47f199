"""Ways to spoil a file: bytes, fields of headers, JSON, tables and the headers of model files, all by a seed."""

from __future__ import annotations

import copy
import csv
import io
import json
import struct
import zlib
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

EXTREMES = (0, 1, 2, 7, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 255, 256, 2**31, 2**63, -(2**63), 10**30, 0.5, -0.5, 1e308, float("nan")),
    *(float("inf"), "", " ", "x", "-1", "nan", "0" * 5000, "../../outside", "/dev/null", "C:\\outside", "a\x00b"),
    *("ä\u202e\u0000", [], {}, [None], [[]], {"": None}, [-1, 1e9, "x"]),
)
"""Values that stand where others are expected."""
WORDS = (
    *("", " ", "0", "-1", "1", "2", "3.5", "-0.1", "1e308", "-1e308", "nan", "inf", "-inf", "1e-320", "99999999999"),
    *("9" * 400, "None", "True", "x", "ä", "../../outside", "/dev/null", "/dev/null/x", ",", "=", "--", "-", "a b"),
    *("\udcff", "'", '"', "[1]", "{}"),
)
"""Words of a command line that stand where others are expected."""
COUNTS = ("0", "-1", "1", "2", "3", "7", "9" * 30)
"""Whole numbers for counts, also odd ones; none that asks for hours of work."""
NUMBERS = (*COUNTS, "0.5", "-0.1", "1e308", "1e-320", "nan", "inf", "-inf")
BOXES = (
    *(b"ftyp", b"moov", b"mvhd", b"tkhd", b"mdhd", b"elst", b"stsd", b"avc1", b"avcC", b"mp4a", b"esds", b"stts"),
    *(b"ctts", b"stsc", b"stsz", b"stco", b"stss", b"mdat", b"avih", b"strh", b"strf", b"idx1", b"movi", b"fmt "),
    *(b"data", b"RIFF", b"\x1a\x45\xdf\xa3", b"\x16\x54\xae\x6b", b"\x1f\x43\xb6\x75"),
)
"""Names before the fields of MP4, AVI, WAV and Matroska."""


def cut(content: bytes, rng: Random) -> bytes:
    """The beginning alone."""
    return content[: rng.choice((rng.randrange(len(content) + 1), rng.randrange(min(len(content), 64) + 1)))]


def flip(content: bytes, rng: Random) -> bytes:
    """Some bits are the other way round."""
    spoilt = bytearray(content)
    for _ in range(rng.choice((1, 4, 64)) if content else 0):
        spoilt[_place(len(content), rng)] ^= 1 << rng.randrange(8)
    return bytes(spoilt)


def extreme(content: bytes, rng: Random) -> bytes:
    """Some numbers of two or four bytes are very small or very large."""
    spoilt = bytearray(content)
    for _ in range(rng.choice((1, 2, 8))):
        kind = rng.choice(("<H", ">H", "<I", ">I"))
        size = struct.calcsize(kind)
        if len(content) >= size:
            value = rng.choice(EXTREMES) % (1 << 8 * size)
            struct.pack_into(kind, spoilt, min(_place(len(content), rng), len(content) - size), value)
    return bytes(spoilt)


def fields(content: bytes, rng: Random) -> bytes:
    """Fields behind the name of a box are very small or very large: rates, sizes, counts, places."""
    spoilt = bytearray(content)
    there = [name for name in BOXES if name in content]
    for _ in range(rng.choice((1, 2, 4)) if there else 0):
        name = rng.choice(there)
        at = content.index(name) + len(name) + rng.randrange(0, 48, 2)
        kind = rng.choice(("<I", ">I", "<H", ">H"))
        if at + struct.calcsize(kind) <= len(content):
            struct.pack_into(kind, spoilt, at, rng.choice(EXTREMES) % (1 << 8 * struct.calcsize(kind)))
    return bytes(spoilt)


def shuffle(content: bytes, rng: Random) -> bytes:
    """A block is missing, is there twice, is zero, or stands elsewhere."""
    begin = rng.randrange(len(content) + 1)
    end = min(begin + rng.choice((1, 16, 512, 8192)), len(content))
    block, rest = content[begin:end], content[:begin] + content[end:]
    to = rng.randrange(len(rest) + 1)
    return rng.choice(
        (
            rest,
            content[:end] + block + content[end:],
            content[:begin] + bytes(len(block)) + content[end:],
            rest[:to] + block + rest[to:],
            content[:begin] + rng.randbytes(len(block)) + content[end:],
        )
    )


def replace(content: bytes, rng: Random) -> bytes:
    """Something else altogether, or something before or behind."""
    strange = rng.choice(
        (b"", b"\n", b"<html><body>404</body></html>\n", bytes(4096), rng.randbytes(2048), b"[" * 200_000, b"\xff\xfe")
    )
    return rng.choice((strange, strange + content, content + strange, content + content))


def splice(content: bytes, other: bytes, rng: Random) -> bytes:
    """The beginning of one file and the rest of another."""
    at = rng.choice((rng.randrange(len(other) + 1), min(rng.choice((8, 64, 512)), len(other))))
    return other[:at] + content[rng.choice((at, 0)) :]


def spoilt(content: bytes, rng: Random, others: Sequence[bytes] = ()) -> bytes:
    """Bytes spoilt in one of these ways."""
    ways: list[Callable[[bytes, Random], bytes]] = [cut, flip, flip, extreme, extreme, fields, fields, shuffle, replace]
    way = rng.randrange(len(ways) + bool(others))
    return ways[way](content, rng) if way < len(ways) else splice(content, rng.choice(list(others)), rng)


def odd_words(value: Any, rng: Random) -> list[str]:
    """Words for an option that has the value now: mostly of its type, so that more than the parser sees them."""
    if isinstance(value, bool) or rng.random() < 0.2:
        return [rng.choice(WORDS)]
    if isinstance(value, (tuple, list)) and value:
        return [odd_words(one, rng)[0] for one in value][: rng.choice((1, 2, 3, 9))] or ["0"]
    if isinstance(value, int):
        return [rng.choice(COUNTS)]
    return [rng.choice(NUMBERS if isinstance(value, (float, type(None))) else WORDS)]


def _place(length: int, rng: Random) -> int:
    """Anywhere, half of the time among the first bytes, where headers are."""
    return rng.randrange(min(length, rng.choice((64, 1024, length, length))))


def spoilt_png(content: bytes, rng: Random) -> bytes:
    """A PNG whose header names an odd size or kind, with a checksum that agrees."""
    header = bytearray(content[16:29])
    place = rng.choice((0, 4, 8, 9, 10, 11, 12))
    if place < 8:
        struct.pack_into(">I", header, place, rng.choice((*EXTREMES, 30_000)))
    else:
        header[place] = rng.randrange(256)
    check = struct.pack(">I", zlib.crc32(b"IHDR" + bytes(header)))
    return content[:16] + bytes(header) + check + content[33:]


def spoilt_json(content: bytes, rng: Random) -> bytes:
    """JSON with another value somewhere, a name less or twice; at times no JSON at all."""
    if rng.random() < 0.25:
        return spoilt(content, rng)
    return json.dumps(changed(json.loads(content), rng)).encode()


def changed(value: Any, rng: Random) -> Any:
    """A copy of nested lists and dicts with up to three entries altered."""
    value = copy.deepcopy(value)
    for _ in range(rng.choice((1, 1, 3))):
        value = _changed_once(value, rng)
    return value


def _changed_once(value: Any, rng: Random) -> Any:
    keys: list[Any] = list(value) if isinstance(value, dict) else list(range(len(value) if _is_list(value) else 0))
    if not keys or rng.random() < 0.1:
        return rng.choice(ODD) if rng.random() < 0.9 else [value]
    key = rng.choice(keys)
    if (isinstance(value[key], dict) or _is_list(value[key])) and rng.random() < 0.8:
        value[key] = _changed_once(value[key], rng)
        return value
    way = rng.randrange(4)
    if way == 0:
        del value[key]
    elif way == 1 and isinstance(value, list):
        value.insert(key, copy.deepcopy(value[rng.choice(keys)]))
    elif way == 1:
        value[rng.choice(("", "x", f"{key} "))] = value.pop(key)
    else:
        value[key] = _odd_beside(value[key], rng)
    return value


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _odd_beside(value: Any, rng: Random) -> Any:
    """Something odd; of a number half of the time another number."""
    if isinstance(value, (int, float)) and rng.random() < 0.5:
        return rng.choice((-value, value + 1, value * 1000, value / 3, 0, 10**9))
    return rng.choice(ODD)


def spoilt_table(content: bytes, rng: Random) -> bytes:
    """CSV with an odd cell, line or column, in an odd encoding, or spoilt as bytes."""
    if rng.random() < 0.25:
        return spoilt(content, rng)
    rows = list(csv.reader(io.StringIO(content.decode())))
    for _ in range(rng.choice((1, 1, 3))):
        row = rng.randrange(len(rows))
        way = rng.randrange(6)
        if way < 3 and rows[row]:
            rows[row][rng.randrange(len(rows[row]))] = str(rng.choice(ODD))
        elif way == 3 and len(rows) > 1:
            del rows[row]
        elif way == 4:
            rows.insert(row, rng.choice((list(rows[row]), [], [""], rows[row][:1], rows[row] * 3)))
        else:
            rows = [[*cells[1:], *cells[:1]] for cells in rows]
    text = io.StringIO()
    csv.writer(text, delimiter=rng.choice(",,,,;\t"), lineterminator=rng.choice(("\n", "\r\n", "\r"))).writerows(rows)
    return text.getvalue().encode(rng.choice(("utf-8", "utf-8", "utf-8", "utf-16", "utf-8-sig")), "replace")


def spoilt_model(content: bytes, rng: Random) -> bytes:
    """A safetensors file with an altered header: config, task, version, names, shapes, types or places of tensors."""
    if rng.random() < 0.3:
        return spoilt(content, rng)
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    notes = header["__metadata__"]
    part = rng.choice(("config", "config", "config", "task", "notes", "tensors"))
    if part in ("config", "task"):
        notes[part] = json.dumps(changed(json.loads(notes[part]), rng))
    elif part == "notes":
        notes[rng.choice(list(notes))] = rng.choice(("", "0", "2", "-1", "²", "x", "null", "[]", "1e9", "{"))
    else:
        names = [name for name in header if name != "__metadata__"]
        name = rng.choice(names)
        header[name] = changed(header[name], rng)
    text = json.dumps(header).encode()
    stated = rng.choice((len(text),) * 6 + (len(text) + 1, 2**62, 0))
    return struct.pack("<Q", stated) + text + content[8 + length :]
