"""Vectors drawn to the nearest entries of a codebook (van den Oord et al. 2017)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, eq=False)
class Coded:
    """Tokens and what a quantiser makes of them."""

    raw: Tensor
    """(..., N, D) tokens as they came."""
    tokens: Tensor
    """(..., N, D) what stands for them; `raw` itself where nothing is quantised. Gradients pass to `raw` unchanged."""
    codes: Tensor | None = None
    """(..., N) int64, the entries taken."""
    codebook_loss: Tensor | None = None
    """Scalar: draws codes to tokens; None where the codebook does not learn by gradient."""
    commitment_loss: Tensor | None = None
    """Scalar, weighed by beta already: draws tokens to codes."""
