"""Which prediction stands for which object: one to one, at the least cost (Carion et al. 2020)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, distributed

from avseg.host import on_host, sent


@dataclass(frozen=True, eq=False)
class Matches:
    """M pairs, by group and within it by instance; all (M,) int64 on the device of the costs."""

    group: Tensor
    query: Tensor
    instance: Tensor

    def __len__(self) -> int:
        return len(self.group)


def match(costs: Tensor, present: Tensor) -> Matches:
    """The pairs of queries and instances whose costs have the least sum, in every group for itself.

    Where a group has more instances than queries, those stay without one whose pairs would cost most.

    Args:
        costs: (G, Q, N). What is not finite counts as very dear, so that a run whose network has failed hears of it
            from its losses.
        present: (G, N) bool, the instances that the group has.
    """
    from scipy.optimize import linear_sum_assignment

    finite = torch.nan_to_num(costs.detach().double(), nan=1e9, posinf=1e9, neginf=-1e9).cpu().numpy()
    there = on_host(present).numpy()
    found: list[tuple[int, int, int]] = []
    for group in range(len(finite)):
        instances = there[group].nonzero()[0]
        # Instances as rows: the pairs come in their order.
        rows, queries = linear_sum_assignment(finite[group][:, instances].T)
        found += [(group, int(q), int(instances[r])) for r, q in zip(rows, queries, strict=True)]
    pairs = torch.tensor(found, dtype=torch.int64).reshape(-1, 3)
    return Matches(*(sent(column, costs.device) for column in pairs.unbind(1)))


def match_each(costs: Sequence[Tensor], present: Tensor) -> list[Matches]:
    """One matching for each of several predictions of the same groups.

    Args:
        costs: (G, Q, N) of each prediction; they go to the CPU together.
        present: (G, N) bool, the instances that the groups have.
    """
    groups, device = len(present), present.device
    together = torch.cat(list(costs))
    pairs = match(together, on_host(present).repeat(len(costs), 1))
    group, query, instance = on_host(pairs.group), on_host(pairs.query), on_host(pairs.instance)
    chosen = [group // max(groups, 1) == k for k in range(len(costs))]
    return [
        Matches(sent(group[c] - k * groups, device), sent(query[c], device), sent(instance[c], device))
        for k, c in enumerate(chosen)
    ]


def over_workers(counts: Tensor, together: bool) -> Tensor:
    """The mean of each over all processes, where there are several and they work `together`; at least 1."""
    counts = counts.float()
    if together and distributed.is_available() and distributed.is_initialized():
        distributed.all_reduce(counts)
        counts = counts / distributed.get_world_size()
    return counts.clamp(min=1)
