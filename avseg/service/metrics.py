"""Metrics for Prometheus."""

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
    """Counters of one service, without global state."""

    def __init__(self, counts: Callable[[], dict[str, int]]) -> None:
        """`counts`: jobs by state, see `Store.counts`."""
        self._registry = CollectorRegistry()
        self._registry.register(_Queue(counts))
        of: dict[str, Any] = {"registry": self._registry}
        self._ended = Counter("avseg_jobs_ended", "Ended jobs by outcome.", ["state"], **of)
        self._deaths = Counter("avseg_worker_deaths", "Processes that crashed during a job.", **of)
        self._refused = Counter("avseg_requests_refused", "Refused requests by reason.", ["reason"], **of)
        self._took = Histogram(
            "avseg_job_seconds", "Time from the start of the work to its end.", buckets=BUCKETS, **of
        )
        self._waited = Histogram(
            "avseg_job_wait_seconds", "Time from the request to the start of the work.", buckets=BUCKETS, **of
        )
        self._merged = Histogram("avseg_batch_jobs", "Jobs in one batch, with --batch.", buckets=JOBS, **of)

    def merged(self, jobs: int) -> None:
        """Record a batch of the network with frames of several jobs."""
        self._merged.observe(jobs)

    def ended(self, state: str, job: Job | None = None) -> None:
        """Record the end of a job, and its times if it ran."""
        self._ended.labels(state).inc()
        if job is not None and job.started is not None:
            self._took.observe(max(0.0, time.time() - job.started))  # clocks are set back
            self._waited.observe(max(0.0, job.started - job.created))

    def worker_died(self) -> None:
        """Record a crash of a process."""
        self._deaths.inc()

    def refused(self, reason: str) -> None:
        """Record a refused request."""
        self._refused.labels(reason).inc()

    def text(self) -> bytes:
        """Return the metrics in the text format of Prometheus."""
        return generate_latest(self._registry)


class _Queue(Collector):
    """Jobs by state, counted on request."""

    def __init__(self, counts: Callable[[], dict[str, int]]) -> None:
        self._counts = counts

    def collect(self) -> Iterator[GaugeMetricFamily]:
        gauge = GaugeMetricFamily("avseg_jobs", "Jobs in the table, by state.", labels=["state"])
        for state, number in self._counts().items():
            gauge.add_metric([state], number)
        yield gauge
