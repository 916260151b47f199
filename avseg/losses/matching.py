"""Which prediction stands for which object: one to one, at the least cost (Carion et al. 2020)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


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
    there = present.cpu().numpy()
    found: list[tuple[int, int, int]] = []
    for group in range(len(finite)):
        instances = there[group].nonzero()[0]
        # Instances as rows: the pairs come in their order.
        rows, queries = linear_sum_assignment(finite[group][:, instances].T)
        found += [(group, int(q), int(instances[r])) for r, q in zip(rows, queries, strict=True)]
    pairs = torch.tensor(found, dtype=torch.int64, device=costs.device).reshape(-1, 3)
    return Matches(*pairs.unbind(1))
