"""The JSON answers about jobs."""

from __future__ import annotations

from pydantic import BaseModel, Field

from avseg.jobs.order import JobProgress
from avseg.service.service import Service
from avseg.service.store import Job


class ProgressAnswer(BaseModel):
    """Progress of the work."""

    stage: str = Field(description="loading (the model), predicting, or writing")
    done: float = Field(description="finished seconds of the video")
    total: float = Field(description="length of the video in seconds; 0 if unknown")


class JobAnswer(BaseModel):
    """A job."""

    id: str
    state: str = Field(description="queued, running, done, failed or cancelled")
    model: str
    video: str = Field(description="sanitised name of the file")
    save: list[str]
    created: float = Field(description="seconds since 1970, as for all times")
    started: float | None
    ended: float | None
    progress: ProgressAnswer | None = Field(description="progress of a running job")
    error: str | None = Field(description="reason of the failure, as one sentence")
    notes: list[str] = Field(description="remarks about the result, as sentences")
    links: dict[str, str]


class ModelsAnswer(BaseModel):
    """Models."""

    models: list[str]


def answer_of(service: Service, job: Job) -> JobAnswer:
    """Return the answer about a job."""
    progress, here = service.progress(job) if job.state == "running" else None, f"/v1/predictions/{job.id}"
    links = {"self": here, "events": f"{here}/events"}
    if job.state == "done":
        links |= {"result": f"{here}/result", "files": f"{here}/files"}
    return JobAnswer(
        id=job.id,
        state=job.state,
        model=job.wanted["model"],
        video=job.wanted["video"],
        save=list(job.wanted["save"]),
        created=job.created,
        started=job.started,
        ended=job.ended,
        progress=None if progress is None else _progress_of(progress),
        error=job.fault or None,
        notes=[*job.notes, *(progress.notes if progress else ())],
        links=links,
    )


def _progress_of(progress: JobProgress) -> ProgressAnswer:
    return ProgressAnswer(stage=progress.stage, done=progress.done, total=progress.total)
