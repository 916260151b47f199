"""The OpenAPI document as a self-contained page without scripts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 56rem; margin: 2rem auto; padding: 0 1rem; color: #1c2733; }
section { border: 1px solid #c9d3dd; border-radius: 6px; padding: .5rem 1rem; margin: 1rem 0; }
h2 { font-size: 1rem; margin: .3rem 0; overflow-wrap: anywhere; }
code { font: 14px/1.5 ui-monospace, monospace; }
b { display: inline-block; min-width: 4.5rem; color: #0b5394; }
table { border-collapse: collapse; width: 100%; } td { border-top: 1px solid #e4e9ee; padding: .2rem .5rem .2rem 0; }
td:first-child { white-space: nowrap; vertical-align: top; width: 9rem; }
"""


def page_of(document: Mapping[str, Any]) -> str:
    """Return the HTML of an OpenAPI document: each request with its fields and answers."""
    info = document["info"]
    body = "\n".join(
        _section(path, method, of) for path, of_path in document["paths"].items() for method, of in of_path.items()
    )
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(info["title"])} {escape(info["version"])}</title><style>{_STYLE}</style></head>
<body><h1>{escape(info["title"])} {escape(info["version"])}</h1><p>{escape(info.get("summary", ""))}</p>
<p>For programs: <a href="openapi.json">openapi.json</a>. If the service needs a key, send it as
<code>Authorization: Bearer KEY</code>. Every refusal is <code>{{"error": "one sentence"}}</code>.</p>
{body}</body></html>"""


def _section(path: str, method: str, of: Mapping[str, Any]) -> str:
    rows = "".join(f"<tr><td><code>{escape(name)}</code></td><td>{escape(text)}</td></tr>" for name, text in _rows(of))
    table = f"<table>{rows}</table>" if rows else ""
    what = escape(of.get("description", ""))
    return f"<section><h2><b>{method.upper()}</b> <code>{escape(path)}</code></h2><p>{what}</p>{table}</section>"


def _rows(of: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Return names and descriptions: parameters, fields of the body, answers."""
    for one in of.get("parameters", ()):
        yield one["name"], f"in the {one['in']}: {one.get('description', '')}".strip(": ")
    yield from _fields(of.get("requestBody", {}).get("content", {}))
    for status, answer in of.get("responses", {}).items():
        if not status.startswith("2"):
            yield status, answer["description"]


def _fields(contents: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Return the fields of the body once each, with the body types that have them unless all do."""
    known: dict[str, dict[str, Any]] = {}
    for kind, content in contents.items():
        for name, field in content["schema"].get("properties", {}).items():
            known.setdefault(name, {"field": field, "kinds": []})["kinds"].append(kind)
    for name, of in known.items():
        only = "" if len(of["kinds"]) == len(contents) else f" ({of['kinds'][0]})"
        yield name, f"{_told(of['field'])}{only}"


def _told(field: Mapping[str, Any]) -> str:
    kind = "file" if field.get("format") == "binary" else field.get("type", "")
    one_of = f", one of {', '.join(field['enum'])}" if "enum" in field else ""
    return f"{kind}{one_of}: {field.get('description', '')}".strip(": ")
