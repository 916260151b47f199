"""What is answered of jobs, as JSON."""

from __future__ import annotations

from pydantic import BaseModel, Field

from avseg.jobs.order import JobProgress
from avseg.service.service import Service
from avseg.service.store import Job


class ProgressAnswer(BaseModel):
    """How far the work is."""

    stage: str = Field(description="loading (the model), predicting, or writing")
    done: float = Field(description="seconds of the video that are done")
    total: float = Field(description="seconds of the video; 0 where its file does not tell")


class JobAnswer(BaseModel):
    """A job."""

    id: str
    state: str = Field(description="queued, running, done, failed or cancelled")
    model: str
    video: str = Field(description="name of the file, made harmless")
    save: list[str]
    created: float = Field(description="seconds since 1970, as all times")
    started: float | None
    ended: float | None
    progress: ProgressAnswer | None = Field(description="of a job that runs")
    error: str | None = Field(description="why it failed, in one sentence")
    notes: list[str] = Field(description="what there is to say of the result, in sentences")
    links: dict[str, str]


class ModelsAnswer(BaseModel):
    """Models."""

    models: list[str]


def answer_of(service: Service, job: Job) -> JobAnswer:
    """What is answered of a job."""
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
