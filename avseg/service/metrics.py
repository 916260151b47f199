"""What Prometheus is told."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from avseg.service.store import Job

BUCKETS = (0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3000)
"""s."""
JOBS = (1, 2, 3, 4, 6, 8, 12, 16, 32)


class Metrics:
    """Counts of one service; nothing of it is global."""

    def __init__(self, counts: Callable[[], dict[str, int]]) -> None:
        """`counts`: jobs by state, see `Store.counts`."""
        self._registry = CollectorRegistry()
        self._registry.register(_Queue(counts))
        of: dict[str, Any] = {"registry": self._registry}
        self._ended = Counter("avseg_jobs_ended", "Jobs that have ended, by how.", ["state"], **of)
        self._deaths = Counter("avseg_worker_deaths", "Processes that ended unexpectedly on a job.", **of)
        self._refused = Counter("avseg_requests_refused", "Requests that were refused, by why.", ["reason"], **of)
        self._took = Histogram("avseg_job_seconds", "From the begin of the work to its end.", buckets=BUCKETS, **of)
        self._waited = Histogram("avseg_job_wait_seconds", "From request to begin.", buckets=BUCKETS, **of)
        self._merged = Histogram("avseg_batch_jobs", "Jobs in one batch, with --batch.", buckets=JOBS, **of)

    def merged(self, jobs: int) -> None:
        """A batch of the network held frames of so many jobs."""
        self._merged.observe(jobs)

    def ended(self, state: str, job: Job | None = None) -> None:
        """A job has ended; the times of one that ran are kept."""
        self._ended.labels(state).inc()
        if job is not None and job.started is not None:
            self._took.observe(max(0.0, time.time() - job.started))  # clocks are set back
            self._waited.observe(max(0.0, job.started - job.created))

    def worker_died(self) -> None:
        """A process ended unexpectedly."""
        self._deaths.inc()

    def refused(self, reason: str) -> None:
        """A request was refused."""
        self._refused.labels(reason).inc()

    def text(self) -> bytes:
        """In the text format of Prometheus."""
        return generate_latest(self._registry)


class _Queue(Collector):
    """Jobs by state, counted when somebody asks."""

    def __init__(self, counts: Callable[[], dict[str, int]]) -> None:
        self._counts = counts

    def collect(self) -> Iterator[GaugeMetricFamily]:
        gauge = GaugeMetricFamily("avseg_jobs", "Jobs that are known, by state.", labels=["state"])
        for state, number in self._counts().items():
            gauge.add_metric([state], number)
        yield gauge
