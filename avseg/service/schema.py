"""The parts of the OpenAPI document for requests that FastAPI does not parse itself."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

_OPTIONS: dict[str, Any] = {
    "model": {"type": "string", "description": "one of /v1/models; the default is the first"},
    "save": {
        "type": "array",
        "items": {"type": "string"},
        "description": "kinds of output, as for avseg predict --save, such as overlay, "
        "masks, csv; the default is overlay and masks",
    },
    "masks": {"type": "string", "enum": ["usual", "png", "rle", "npz", "none"]},
    "fps": {"type": "number", "description": "masks per second"},
    "threshold": {"type": "number", "description": "leave out objects with a score at or below this value"},
    "classes": {"type": "string", "description": "mark only these classes, separated by commas"},
    "start": {"type": "string", "description": "seconds, or 1:02.5"},
    "end": {"type": "string"},
    "choices": {
        "type": "object",
        "description": 'choices for a model that opens by name: {"vocabulary": "dog, guitar"}',
    },
    "options": {"type": "object", "description": "options of the model's family, as numbers"},
    "style": {"type": "object", "description": 'style of the overlay: {"opacity": 0.45, "silent": "grey"}'},
}
_FILES: dict[str, Any] = {
    "video": {"type": "string", "format": "binary"},
    "audio": {"type": "string", "format": "binary", "description": "a sound that replaces the video's own"},
}
_URL = {"type": "string", "description": "URL of the video, on a host that the owner of the service allows"}

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
"""The request body of POST /v1/predictions."""


class ErrorAnswer(BaseModel):
    """A refusal."""

    error: str = Field(description="one sentence")


_REFUSALS = {
    400: "The request is invalid or was interrupted.",
    401: "The API key is missing or wrong.",
    403: "The URL is not accepted.",
    404: "You have no such job, or it has no result.",
    408: "The upload took too long.",
    409: "The job has not ended.",
    413: "The request is too large.",
    415: "The request is neither a form with a file nor JSON with a URL.",
    422: "A field or a file is invalid; the message says why.",
    429: "The queue is full; Retry-After gives the time to wait.",
    502: "The host of the URL does not send the video.",
    504: "The host of the URL takes too long.",
    507: "The disk of the service is full.",
}


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return these refusals in the form for FastAPI."""
    return {status: {"description": _REFUSALS[status], "model": ErrorAnswer} for status in statuses}
