"""Transformer blocks of query decoders: each adds what it finds to what came in, then normalises (post-norm).

Attention is one call of `scaled_dot_product_attention`, so the affinities of many tokens need not exist at once.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from avseg.nn.blockwise import blockwise_attention, pays

Activation = Literal["relu", "gelu"]


class Attention(nn.Module):
    """Multi-head attention (Vaswani et al. 2017); parameters have torch's names and shapes, in one piece (3D, D)."""

    in_proj_bias: nn.Parameter | None

    def __init__(self, width: int, heads: int = 8, dropout: float = 0.0, bias: bool = True) -> None:
        """
        Args:
            width: channels D of queries, keys, values and answers.
            heads: parts of the channels that attend on their own.
            dropout: share of the affinities left out while training.
            bias: of all four linear maps.

        Raises:
            ValueError: a width that does not divide into the heads.
        """
        super().__init__()
        if width % heads:
            raise ValueError(f"width {width} does not divide into {heads} heads")
        self.heads, self.dropout = heads, dropout
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.register_parameter("in_proj_bias", nn.Parameter(torch.zeros(3 * width)) if bias else None)
        self.out_proj = nn.Linear(width, width, bias)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.xavier_uniform_(self.out_proj.weight)
        if bias:
            nn.init.zeros_(self.out_proj.bias)

    def forward(self, query: Tensor, key: Tensor, value: Tensor, allowed: Tensor | None = None) -> Tensor:
        """
        Args:
            query: (N, Q, D).
            key: (N, M, D).
            value: (N, M, D).
            allowed: (N, Q, M) bool, where a query may look, the same for all heads, or (N, 1, M) for all queries;
                None: everywhere. A query that may look nowhere has no answer: let it look everywhere beforehand.

        Returns:
            (N, Q, D).
        """
        biases = [None] * 3 if self.in_proj_bias is None else self.in_proj_bias.chunk(3)
        parts = zip((query, key, value), self.in_proj_weight.chunk(3), biases, strict=True)
        q, k, v = (
            torch.unflatten(F.linear(x, weight, bias), -1, (self.heads, -1)).transpose(1, 2)
            for x, weight, bias in parts
        )
        mask = None if allowed is None else allowed[:, None]  # (N, 1, Q, M)
        dropped = self.dropout if self.training else 0.0
        if dropped and mask is None and pays(q, k):
            answers = blockwise_attention(q, k, v, dropped)  # (N, heads, Q, D / heads)
        else:
            answers = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropped)
        out: Tensor = self.out_proj(answers.transpose(1, 2).flatten(2))
        return out


class SelfAttention(nn.Module):
    """Tokens look at each other."""

    def __init__(self, width: int, heads: int = 8, dropout: float = 0.0) -> None:
        super().__init__()
        self.attention = Attention(width, heads, dropout)
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, position: Tensor | None = None) -> Tensor:
        """
        Args:
            x: (N, Q, D) tokens.
            position: broadcasts to x; added to queries and keys, not to values.

        Returns:
            (N, Q, D).
        """
        placed = _placed(x, position)
        out: Tensor = self.norm(x + self.dropout(self.attention(placed, placed, x)))
        return out


class CrossAttention(nn.Module):
    """Tokens look at a memory."""

    def __init__(self, width: int, heads: int = 8, dropout: float = 0.0) -> None:
        super().__init__()
        self.attention = Attention(width, heads, dropout)
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        x: Tensor,
        memory: Tensor,
        allowed: Tensor | None = None,
        position: Tensor | None = None,
        memory_position: Tensor | None = None,
    ) -> Tensor:
        """
        Args:
            x: (N, Q, D) tokens; or (N, 1, D) where `position` has the Q places.
            memory: (N, M, D).
            allowed: (N, Q, M) bool, where a token may look; every token somewhere.
            position: broadcasts to (N, Q, D); added to the queries.
            memory_position: broadcasts to `memory`; added to the keys, not to the values.

        Returns:
            (N, Q, D).
        """
        found = self.attention(_placed(x, position), _placed(memory, memory_position), memory, allowed)
        out: Tensor = self.norm(x + self.dropout(found))
        return out


class FeedForward(nn.Module):
    """Two linear maps with a ReLU, or a GELU, between them, for each token on its own."""

    def __init__(self, width: int, inner: int = 2048, dropout: float = 0.0, activation: Activation = "relu") -> None:
        super().__init__()
        self.activation = activation
        self.linear1 = nn.Linear(width, inner)
        self.linear2 = nn.Linear(inner, width)
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        for linear in (self.linear1, self.linear2):
            nn.init.xavier_uniform_(linear.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) -> (..., D)."""
        inner: Tensor = self.linear1(x)
        if self.activation == "gelu" and torch.is_grad_enabled() and not torch.compiler.is_compiling():
            # A GELU keeps what came in, not what came out: the rest is made again on the way back.
            found: Tensor = checkpoint(self._outer, inner, use_reentrant=False)
        else:
            found = self._outer(inner)
        out: Tensor = self.norm(x + self.dropout(found))
        return out

    def _outer(self, inner: Tensor) -> Tensor:
        active = F.relu(inner) if self.activation == "relu" else F.gelu(inner)
        out: Tensor = self.linear2(self.dropout(active))
        return out


class DecoderLayer(nn.Module):
    """Queries look at a memory first, then at each other (Cheng et al. 2022, "Masked-attention Mask Transformer")."""

    def __init__(self, width: int, heads: int = 8, inner: int = 2048) -> None:
        super().__init__()
        self.cross_attention = CrossAttention(width, heads)
        self.self_attention = SelfAttention(width, heads)
        self.feed_forward = FeedForward(width, inner)

    def forward(
        self,
        queries: Tensor,
        memory: Tensor,
        allowed: Tensor | None = None,
        position: Tensor | None = None,
        memory_position: Tensor | None = None,
    ) -> Tensor:
        """Arguments of `CrossAttention`; `position` is the queries' in both. Returns (N, Q, D)."""
        x = self.cross_attention(queries, memory, allowed, position, memory_position)
        out: Tensor = self.feed_forward(self.self_attention(x, position))
        return out


class TokenDecoderLayer(nn.Module):
    """Tokens look at each other first, then at a memory (Vaswani et al. 2017); 1.58 million parameters at width 256."""

    def __init__(
        self, width: int, heads: int = 8, inner: int = 2048, dropout: float = 0.0, activation: Activation = "relu"
    ) -> None:
        """
        Args:
            width: channels D of tokens and memory.
            heads: parts of the channels that attend on their own.
            inner: channels between the two linear maps.
            dropout: while training, of affinities, of what the parts add and between the two linear maps.
            activation: between the two linear maps; `gelu` is the exact one.
        """
        super().__init__()
        self.self_attention = SelfAttention(width, heads, dropout)
        self.cross_attention = CrossAttention(width, heads, dropout)
        self.feed_forward = FeedForward(width, inner, dropout, activation)

    def forward(
        self,
        x: Tensor,
        memory: Tensor,
        present: Tensor | None = None,
        position: Tensor | None = None,
        memory_position: Tensor | None = None,
    ) -> Tensor:
        """
        Args:
            x: (N, Q, D) tokens.
            memory: (N, M, D).
            present: (N, M) bool, which of the memory there is, at least one in each; None: all.
            position: broadcasts to x; added to queries, and to keys among the tokens, not to values.
            memory_position: broadcasts to `memory`; added to the keys, not to the values.

        Returns:
            (N, Q, D).
        """
        allowed = None if present is None else present[:, None]
        x = self.self_attention(x, position)
        out: Tensor = self.feed_forward(self.cross_attention(x, memory, allowed, position, memory_position))
        return out


class Perceptron(nn.Module):
    """Linear maps of one width with ReLUs between them; keys are `layers.{i}`."""

    def __init__(self, width: int, layers: int = 3) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(layers))

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) -> (..., D)."""
        for index, layer in enumerate(self.layers):
            x = layer(F.relu(x) if index else x)
        return x


def _placed(x: Tensor, position: Tensor | None) -> Tensor:
    return x if position is None else x + position
