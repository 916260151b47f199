"""The runner for a Ray cluster: Ray Data distributes videos, and each actor has a process that segments them.

Rows are small: the input is the address of a video, the output is its outcome; pictures and masks stay in the actor.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from avseg.batch.outcome import Outcome
from avseg.batch.plan import BatchPlan
from avseg.batch.runner import Tries, Wanted
from avseg.batch.videos import BatchVideo
from avseg.config import from_dict, to_dict
from avseg.io.address import is_url, local_path
from avseg.ray_cluster import connect, disconnect
from avseg.ray_cluster import ray as ray

log = logging.getLogger(__name__)

MOST_BLOCKS = 4000
"""Largest number of blocks of a run. Each block is a Ray task with one or more videos."""
ROUNDS = 3
"""Number of rounds in which videos without an answer are submitted."""
RETRIES = 10
"""Retries of a task whose actor was lost; several can be used up while the actor restarts."""


@dataclass(frozen=True)
class RayPool:
    """The actors of a run."""

    address: str | None = None
    """Address of a cluster; None: `RAY_ADDRESS`, or else a local cluster for the duration of the run."""
    least: int = 1
    most: int = 1
    """Largest number of actors; Ray scales them with the queue and the free resources."""
    cpus: float = 1.0
    """CPUs of one actor."""
    gpus: float = 0.0

    def __post_init__(self) -> None:
        if not 1 <= self.least <= self.most:
            raise ValueError(
                f"the pool has {self.least} to {self.most} actors; wanted at least 1, and no more than the maximum"
            )
        if self.cpus <= 0 or self.gpus < 0:
            raise ValueError(f"an actor has {self.cpus:g} CPUs and {self.gpus:g} GPUs; wanted more than 0 CPUs")

    def for_videos(self, count: int) -> tuple[int, int]:
        """Return the smallest and the largest number of actors for `count` videos: no more than one for each."""
        return min(self.least, count), min(self.most, count)


class RayRunner:
    """Actors of a cluster, each with one video at a time; a lost actor is restarted if resources are free."""

    name = "ray"

    def __init__(self, plan: BatchPlan, pool: RayPool) -> None:
        # Processes of a cluster have working folders of their own.
        audio = None if plan.audio is None else str(Path(plan.audio).absolute())
        model = str(Path(plan.model).absolute()) if Path(plan.model).exists() else plan.model
        self._plan, self._pool = replace(plan, out=_whole(plan.out), audio=audio, model=model), pool
        self._begun = False

    def describe(self) -> dict[str, Any]:
        """See `VideoRunner`; runs as a task on the cluster, where the model's file must also exist.

        Raises:
            ValueError: the cluster is too small, or the model is refused.
            OSError: no cluster at the address.
        """
        self._begin()
        task = ray.remote(num_cpus=self._pool.cpus, num_gpus=self._pool.gpus, max_calls=1, max_retries=2)(_described)
        try:
            found: dict[str, Any] = ray.get(task.remote(to_dict(self._plan)))
        except ray.exceptions.RayTaskError as error:
            raise ValueError(str(error.cause).strip()) from error
        return found

    def run(self, wanted: Sequence[Wanted]) -> Iterator[Outcome]:
        """See `VideoRunner`; a video whose actor is lost in every round has no outcome.

        Videos queued at a lost actor use up their retries while it restarts, and Ray drops them silently. A new pool
        submits them again.
        """
        left = {video.id: (video, again) for video, again in wanted}
        for _ in range(ROUNDS):
            for outcome in self._round(list(left.values())):
                left.pop(outcome.id, None)
                yield outcome
            if not left:
                return

    def _round(self, wanted: Sequence[Wanted]) -> Iterator[Outcome]:
        videos = [(replace(video, source=_whole(video.source)), again) for video, again in wanted]
        rows = [{"wanted": json.dumps([to_dict(video), again])} for video, again in videos]
        ray.data.DataContext.get_current().max_errored_blocks = -1
        least, most = self._pool.for_videos(len(rows))
        pool = ray.data.ActorPoolStrategy(min_size=least, max_size=most)
        items = ray.data.from_items(rows, override_num_blocks=min(len(rows), MOST_BLOCKS))
        with warnings.catch_warnings():  # the names that take the place of max_restarts are younger than our oldest Ray
            warnings.filterwarnings("ignore", message=".*ray_remote_args")
            found = items.map_batches(
                RayTries,
                fn_constructor_args=(to_dict(self._plan),),
                batch_size=1,
                compute=pool,
                num_cpus=self._pool.cpus,
                num_gpus=self._pool.gpus,
                max_restarts=-1,
                max_task_retries=RETRIES,
            )
        for row in found.iter_rows():
            yield Outcome.from_dict(json.loads(row["outcome"]))

    def close(self) -> None:
        """See `VideoRunner`; an existing cluster keeps running."""
        if self._begun:
            self._begun = False
            disconnect()

    def _begin(self) -> None:
        self._begun = connect(self._pool.address) or self._begun
        ray.data.DataContext.get_current().enable_progress_bars = False  # progress is ours
        logging.getLogger("ray.data").setLevel(logging.ERROR)  # after the import above, which sets the level
        total = ray.cluster_resources()
        for what, each in (("CPU", self._pool.cpus), ("GPU", self._pool.gpus)):
            have, least = total.get(what, 0.0), each * self._pool.least
            if least > have:
                raise ValueError(
                    f"the cluster has {have:g} {what}s, but {self._pool.least} actors need {least:g}; use fewer "
                    f"with --ray.least, or less for each with --ray.{what.lower()}s"
                )
            if each * self._pool.most > have:
                log.warning("the cluster has %g %ss now, too few for %d actors at a time", have, what, self._pool.most)


def _whole(place: str) -> str:
    """Return an address unchanged, and a path as absolute path."""
    return place if is_url(place) else str(Path(local_path(place)).absolute())


class RayTries:
    """The actor: it passes videos to its own process, whose crash costs one attempt."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self._tries = Tries(from_dict(BatchPlan, plan))

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Return the outcomes of a batch of videos."""
        outcomes = []
        for text in batch["wanted"]:
            video, again = json.loads(text)
            outcome = self._tries.run((from_dict(BatchVideo, video), again))
            outcomes.append(json.dumps(outcome.to_dict()))
        return {"outcome": outcomes}


def _described(plan: dict[str, Any]) -> dict[str, Any]:
    tries = Tries(from_dict(BatchPlan, plan))
    try:
        return tries.describe()
    finally:
        tries.close()
