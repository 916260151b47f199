"""Attention between the many tokens of pictures and the few of sound, as thin products.

Multi-head attention with M keys has heads * M columns of affinities a query. Where these are fewer than channels, the
products with the projections are taken on the side of the few: no query, key or value of a pixel is ever formed. The
numbers are those of the full form, which `avseg.nn.transformer.Attention` has (tests hold both together).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from avseg.nn.transformer import Attention


class FewKeys(Attention):
    """Many queries look at few tokens."""

    def forward(self, query: Tensor, key: Tensor, value: Tensor, allowed: Tensor | None = None) -> Tensor:
        """
        Args:
            query: (N, Q, D).
            key: (N, M, D).
            value: (N, M, D).
            allowed: Not taken.

        Returns:
            (N, Q, D).
        """
        assert self.in_proj_bias is not None
        to_query, to_key, to_value = self.in_proj_weight.chunk(3)
        of_query, of_key, of_value = self.in_proj_bias.chunk(3)
        keys = self._parts(F.linear(key, to_key, of_key)) / (key.shape[-1] // self.heads) ** 0.5
        values = self._parts(F.linear(value, to_value, of_value))  # (N, heads, M, d)
        left = torch.einsum("nhmd,hdc->nchm", keys, torch.unflatten(to_query, 0, (self.heads, -1))).flatten(2)
        bias = torch.einsum("nhmd,hd->nhm", keys, torch.unflatten(of_query, 0, (self.heads, -1))).flatten(
            1
        )  # (N, heads M)
        weights = torch.unflatten(torch.baddbmm(bias[:, None], query, left), 2, (self.heads, -1)).softmax(-1)
        out = torch.unflatten(self.out_proj.weight, 1, (self.heads, -1))  # (D, heads, d)
        right = torch.einsum("nhmd,ohd->nhmo", values, out).flatten(1, 2)  # (N, heads M, D)
        return torch.baddbmm(self.out_proj.bias.expand(query.shape[0], 1, -1), weights.flatten(2), right)

    def _parts(self, x: Tensor) -> Tensor:
        """(N, M, D) -> (N, heads, M, d)."""
        return torch.unflatten(x, -1, (self.heads, -1)).transpose(1, 2)


class FewQueries(Attention):
    """Few tokens look at many."""

    def look(self, query: Tensor, memory: Tensor, position: Tensor) -> Tensor:
        """
        Args:
            query: (N, Q, D).
            memory: (N, M, D), keys without their positions, and values.
            position: (P, D), of P tokens of the memory; of the others it repeats. Added to keys alone.

        Returns:
            (N, Q, D).
        """
        assert self.in_proj_bias is not None
        to_query, to_key, to_value = (torch.unflatten(w, 0, (self.heads, -1)) for w in self.in_proj_weight.chunk(3))
        of_query, _, of_value = (torch.unflatten(b, 0, (self.heads, -1)) for b in self.in_proj_bias.chunk(3))
        queries = torch.einsum("nqc,hdc->nhqd", query, to_query) + of_query[:, None]
        # The bias of the keys adds the same to all affinities of a query, which a softmax does not see.
        asked = torch.einsum("nhqd,hdc->nhqc", queries, to_key).flatten(1, 2) / queries.shape[-1] ** 0.5
        # One sum of one shape: OpenVINO takes one that is broadcast for an attention mask, and then cannot shape it.
        placed = (asked @ position.T).repeat(1, 1, memory.shape[1] // position.shape[0])  # (N, heads Q, M)
        weights = (torch.bmm(asked, memory.transpose(1, 2)) + placed).softmax(-1)
        found = torch.unflatten(torch.bmm(weights, memory), 1, (self.heads, -1))  # (N, heads, Q, D)
        values = torch.einsum("nhqc,hdc->nqhd", found, to_value) + of_value
        out: Tensor = self.out_proj(values.flatten(2))
        return out
