"""What the OpenAPI document says of requests that FastAPI does not read itself."""

from __future__ import annotations

from typing import Any

_OPTIONS: dict[str, Any] = {
    "model": {"type": "string", "description": "one of /v1/models; the first where none is named"},
    "save": {
        "type": "array",
        "items": {"type": "string"},
        "description": "kinds of output as of avseg predict --save, such as overlay, masks, csv; overlay and masks "
        "where none is named",
    },
    "masks": {"type": "string", "enum": ["usual", "png", "rle", "npz", "none"]},
    "fps": {"type": "number", "description": "masks a second"},
    "threshold": {"type": "number", "description": "objects whose score is not above this are left out"},
    "classes": {"type": "string", "description": "only these, with commas between them"},
    "start": {"type": "string", "description": "seconds, or 1:02.5"},
    "end": {"type": "string"},
    "choices": {"type": "object", "description": 'of a model that opens by name: {"vocabulary": "dog, guitar"}'},
    "options": {"type": "object", "description": "of the family of the model, as numbers"},
    "style": {"type": "object", "description": 'of the overlay: {"opacity": 0.45, "silent": "grey"}'},
}
_FILES: dict[str, Any] = {
    "video": {"type": "string", "format": "binary"},
    "audio": {"type": "string", "format": "binary", "description": "a sound in place of the video's own"},
}
_URL = {"type": "string", "description": "of a host that the owner of the service has allowed"}

REQUEST: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {"type": "object", "required": ["video"], "properties": {**_FILES, **_OPTIONS}}
            },
            "application/json": {
                "schema": {"type": "object", "required": ["url"], "properties": {"url": _URL, **_OPTIONS}}
            },
        },
    }
}
"""Of POST /v1/predictions."""

REFUSALS: dict[int | str, dict[str, Any]] = {
    401: {"description": "No API key, or a wrong one."},
    408: {"description": "The upload took too long."},
    413: {"description": "Too many bytes."},
    415: {"description": "Neither a form with a file nor JSON with a URL."},
    422: {"description": "A field or a file that cannot be taken; error says why."},
    429: {"description": "The queue is full; Retry-After says when to try again."},
}
"""By status; each has an object with the sentence as error."""
