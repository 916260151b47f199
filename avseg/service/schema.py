"""What the OpenAPI document says of requests that FastAPI does not read itself."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

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


class ErrorAnswer(BaseModel):
    """A refusal."""

    error: str = Field(description="one sentence")


_REFUSALS = {
    400: "A request that cannot be read, or that was broken off.",
    401: "No API key, or a wrong one.",
    403: "A URL that is not taken.",
    404: "No such job of yours, or none that has a result.",
    408: "The upload took too long.",
    409: "The job has not ended.",
    413: "Too many bytes.",
    415: "Neither a form with a file nor JSON with a URL.",
    422: "A field or a file that cannot be taken; the sentence says why.",
    429: "The queue is full; Retry-After says when to try again.",
    502: "The host of the URL does not give the video.",
    504: "The host of the URL takes too long.",
    507: "The disk of the service is full.",
}


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What FastAPI is told of these."""
    return {status: {"description": _REFUSALS[status], "model": ErrorAnswer} for status in statuses}
