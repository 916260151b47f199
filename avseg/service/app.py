"""The HTTP interface of the service (FastAPI)."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from errno import EDQUOT, ENOSPC
from functools import partial
from http import HTTPStatus
from shutil import rmtree
from sqlite3 import DatabaseError
from typing import Annotated, Any

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from fastapi import Depends, FastAPI, Header, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from avseg.service.answers import JobAnswer, ModelsAnswer, answer_of
from avseg.service.fetch import fetch
from avseg.service.keys import Keys
from avseg.service.page import page_of
from avseg.service.refusal import CLOSE, Refusal
from avseg.service.results import file_of, places, result_folder
from avseg.service.schema import REQUEST, refusals
from avseg.service.sending import HeldFile
from avseg.service.service import GONE, INPUT, OUT, Service
from avseg.service.upload import read_request
from avseg.version import __version__

log = logging.getLogger(__name__)

SAFE = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
}
"""Headers of every answer; they keep scripts in result pages from running under the address of the service."""
SLOW = 16
"""Largest number of concurrent requests that check or fetch a file; other threads stay free for quick answers."""
LOOK = 0.3
"""Interval in s between checks of the progress."""
SILENCE = 15.0
"""Interval in s of keep-alive messages in a stream of events."""
_BEARER = HTTPBearer(auto_error=False, description="An API key of this service.")
_HEADER = APIKeyHeader(name="X-API-Key", auto_error=False, description="The API key in a separate header.")


def make_app(service: Service, keys: Keys) -> FastAPI:
    """Make the application, which starts and closes the service."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.start()
        yield
        await run_in_threadpool(service.close)

    app = FastAPI(
        title="avseg",
        version=__version__,
        summary="Audio-visual segmentation: mark the pixels of the objects that make the sound.",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.service, app.state.keys, app.state.slow = service, keys, CapacityLimiter(SLOW)
    for kind in (Refusal, RequestValidationError, HTTPException, ClientDisconnect, OSError, DatabaseError, Exception):
        app.add_exception_handler(kind, _refuse)
    for path, make, more in ROUTES:
        app.add_api_route(path, make, **more)
    return app


def owner_of(
    request: Request,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)],
    header: Annotated[str | None, Depends(_HEADER)],
) -> str:
    """Return the owner of the request's API key.

    Raises:
        Refusal: 401, no key or a wrong one.
    """
    owner: str | None = request.app.state.keys.owner(bearer.credentials if bearer else header)
    if owner is None:
        request.app.state.service.metrics.refused("key")
        text = "this service needs an API key, as Authorization: Bearer KEY or X-API-Key: KEY"
        raise Refusal(401, text, {"WWW-Authenticate": "Bearer", **CLOSE})
    return owner


Owner = Annotated[str, Depends(owner_of)]
_TOKEN = Header(max_length=200, description="Your own name for this request; a repeated request creates no second job.")
Token = Annotated[str | None, _TOKEN]


async def create(request: Request, owner: Owner, idempotency_key: Token = None) -> Response:
    """Upload a video or its URL and get the id of a job."""
    service: Service = request.app.state.service
    if idempotency_key and (before := service.store.sent_before(owner, idempotency_key)):
        return _job_answer(request, answer_of(service, before), 200, CLOSE)
    with service.arriving() as folder:
        order, url = await read_request(request, folder, service.settings)
        if url is not None:
            limits, hosts, seconds = service.settings.limits, service.settings.hosts, service.settings.upload
            look = partial(fetch, url, folder / INPUT, hosts, limits.bytes, seconds)
            place = await run_sync(look, limiter=request.app.state.slow)
            order = type(order).from_dict({**order.to_dict(), "video": place.as_posix()})
        submit = partial(service.submit, folder, order, owner, idempotency_key or None)
        job = await run_sync(submit, limiter=request.app.state.slow)
    return _job_answer(request, answer_of(service, job), 202)


def _job_answer(request: Request, answer: JobAnswer, status: int, headers: dict[str, str] | None = None) -> Response:
    place = request.scope.get("root_path", "") + answer.links["self"]
    return JSONResponse(answer.model_dump(), status, {"Location": place, **(headers or {})})


def jobs(request: Request, owner: Owner) -> list[JobAnswer]:
    """List your last hundred jobs, newest first."""
    service: Service = request.app.state.service
    return [answer_of(service, job) for job in service.store.of(owner)]


def job(request: Request, id: str, owner: Owner) -> JobAnswer:  # noqa: A002  the name in the path
    """Get the state and the progress of a job."""
    service: Service = request.app.state.service
    return answer_of(service, service.find(id, owner))


def cancel(request: Request, id: str, owner: Owner) -> Response:  # noqa: A002
    """Cancel a queued or running job, or remove a finished job with its result."""
    service: Service = request.app.state.service
    found = service.find(id, owner)
    if found.is_open:
        return JSONResponse(answer_of(service, service.cancel(found)).model_dump())
    service.remove(found)
    return Response(status_code=204)


async def events(request: Request, id: str, owner: Owner) -> StreamingResponse:  # noqa: A002
    """Stream the changes of a job's state as server-sent events; the last event has the final state."""
    service: Service = request.app.state.service
    service.find(id, owner)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_events(service, id, owner), media_type="text/event-stream", headers=headers)


async def _events(service: Service, job: str, owner: str) -> AsyncIterator[str]:
    told, silent = "", 0.0
    while True:
        try:
            found = await run_in_threadpool(service.find, job, owner)
        except Refusal as gone:
            yield f"event: gone\ndata: {json.dumps({'error': gone.sentence})}\n\n"
            return
        text = answer_of(service, found).model_dump_json()
        if text != told:
            told, silent = text, 0.0
            yield f"event: {found.state}\ndata: {text}\n\n"
        if not found.is_open:
            return
        await asyncio.sleep(LOOK)
        silent += LOOK
        if silent >= SILENCE:
            silent = 0.0
            yield ": still there\n\n"


def result(request: Request, id: str, owner: Owner) -> Response:  # noqa: A002
    """Get the result.json of a finished job."""
    return _file(request, id, owner, "result", "application/json")


def files(request: Request, id: str, owner: Owner) -> dict[str, str]:  # noqa: A002
    """List the outputs of a finished job: kind and path."""
    service: Service = request.app.state.service
    try:
        folder = result_folder(service.folder(_finished(service, id, owner)) / OUT)
        kinds = places(folder)
    except FileNotFoundError as error:
        raise Refusal(404, GONE) from error
    return {kind: f"/v1/predictions/{id}/files/{kind}" for kind in kinds}


def file(request: Request, id: str, kind: str, owner: Owner) -> Response:  # noqa: A002
    """Download one kind of output of a finished job; folders are sent as ZIP. The kind all is the whole result."""
    return _file(request, id, owner, kind, None)


def _file(request: Request, job: str, owner: str, kind: str, media: str | None) -> Response:
    service: Service = request.app.state.service
    folder = service.folder(_finished(service, job, owner))
    try:
        return HeldFile(file_of(folder / OUT, kind), media)
    except FileNotFoundError as error:  # removed meanwhile
        raise Refusal(404, GONE) from error
    finally:
        if service.store.find(job) is None:
            rmtree(folder, ignore_errors=True)  # an archive came into being after the job was removed


def _finished(service: Service, job: str, owner: str) -> Any:
    found = service.find(job, owner)
    if found.state != "done":
        why = f": {found.fault}" if found.fault else ""
        raise Refusal(409 if found.is_open else 404, f"this job has no result; its state is {found.state}{why}")
    return found


def models(request: Request, owner: Owner) -> ModelsAnswer:
    """List the available models; the first one is the default."""
    return ModelsAnswer(models=list(request.app.state.service.settings.named))


def health(request: Request) -> dict[str, str]:
    """Check that the service is up."""
    request.app.state.service.store.counts()
    return {"status": "ok", "version": __version__}


def metrics(request: Request, owner: Owner) -> Response:
    """Get metrics for Prometheus."""
    return PlainTextResponse(request.app.state.service.metrics.text(), media_type="text/plain; version=0.0.4")


def docs(request: Request) -> HTMLResponse:
    """Show the API on a page without external content."""
    return HTMLResponse(page_of(request.app.openapi()))


async def _refuse(request: Request, error: Exception) -> Response:
    """Answer every error with one sentence that contains nothing from the request."""
    if isinstance(error, Refusal):
        return JSONResponse({"error": error.sentence}, error.status, error.headers)
    if isinstance(error, RequestValidationError):
        named = ", ".join(sorted({str(one["loc"][-1]) for one in error.errors()}))
        return JSONResponse({"error": f"the request is invalid; check {named}"}, 422)
    if isinstance(error, HTTPException):
        return JSONResponse({"error": HTTPStatus(error.status_code).phrase.lower()}, error.status_code, error.headers)
    if isinstance(error, ClientDisconnect):
        return JSONResponse({"error": "the upload was interrupted"}, 400, CLOSE)
    if getattr(error, "errno", None) in (ENOSPC, EDQUOT) or "disk is full" in str(error):
        text = "the disk of this service is full; try again later, or with a smaller video"
        return JSONResponse({"error": text}, 507, CLOSE)
    log.error("%s", request.method, exc_info=error)
    return JSONResponse({"error": "internal error of the service; its log has the details"}, 500)


_ID = "/v1/predictions/{id}"
_OF_JOB: dict[str, Any] = {"responses": refusals(401, 404, 422)}
_OF_RESULT: dict[str, Any] = {"responses": refusals(401, 404, 409, 422)}
ROUTES: list[tuple[str, Any, dict[str, Any]]] = [
    (
        "/v1/predictions",
        create,
        {
            "methods": ["POST"],
            "status_code": 202,
            "openapi_extra": REQUEST,
            "response_model": JobAnswer,
            "responses": {
                200: {"description": "The job of an earlier request with this Idempotency-Key.", "model": JobAnswer},
                **refusals(400, 401, 403, 408, 413, 415, 422, 429, 502, 504, 507),
            },
        },
    ),
    ("/v1/predictions", jobs, {"responses": refusals(401)}),
    (_ID, job, _OF_JOB),
    (_ID, cancel, {"methods": ["DELETE"], "response_model": JobAnswer, **_OF_JOB}),
    (f"{_ID}/events", events, {"response_class": StreamingResponse, **_OF_JOB}),
    (f"{_ID}/result", result, _OF_RESULT),
    (f"{_ID}/files", files, _OF_RESULT),
    (f"{_ID}/files/{{kind}}", file, {"response_class": FileResponse, **_OF_RESULT}),
    ("/v1/models", models, {"responses": refusals(401)}),
    ("/healthz", health, {}),
    ("/metrics", metrics, {"response_class": PlainTextResponse, "responses": refusals(401)}),
    ("/docs", docs, {"include_in_schema": False}),
    ("/", docs, {"include_in_schema": False}),
]
"""Path, handler, and options for FastAPI."""
