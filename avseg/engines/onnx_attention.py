"""How attention is written in ONNX, so that ONNX Runtime needs little memory for many tokens."""

from __future__ import annotations

from typing import Any

import onnx_ir
from onnxscript import opset20

op: Any = opset20

MANY = 2**18
"""Affinities of a head of one picture, from which on heads are computed one after the other."""


def attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Any:
    """Translate `torch.nn.functional.scaled_dot_product_attention`, whose parameters these are.

    Without a mask and with at least `MANY` affinities, each head has its own products and softmax. ONNX Runtime then
    holds the affinities of one head at a time; with PyTorch's own translation it holds those of all heads.

    Args:
        query: (N, heads, Q, D).
        key: (N, heads, M, D).
        value: (N, heads, M, D).
        attn_mask: bool, true where a query attends, or numbers that are added; it broadcasts to (N, heads, Q, M).

    Returns:
        (N, heads, Q, D).

    Raises:
        ValueError: dropout, a causal mask or groups of heads.
    """
    if dropout_p or is_causal or enable_gqa:
        raise ValueError("attention with dropout, a causal mask or groups of heads has no ONNX form here")
    counts = (*query.shape[-3:-1], key.shape[-2])
    factor = query.shape[-1] ** -0.5 if scale is None else scale
    query = op.Mul(query, op.CastLike(op.Constant(value_float=float(factor)), query))
    if attn_mask is not None or not all(isinstance(count, int) for count in counts) or counts[1] * counts[2] < MANY:
        return _answers(query, key, value, (0, 1, 3, 2), attn_mask)
    answers = []
    for head in range(counts[0]):
        place = op.Constant(value_int=head)
        q, k, v = (op.Gather(x, place, axis=1) for x in (query, key, value))  # (N, tokens, D)
        answers.append(op.Unsqueeze(_answers(q, k, v, (0, 2, 1)), op.Constant(value_ints=[1])))
    return op.Concat(*answers, axis=1)


def _answers(query: Any, key: Any, value: Any, turned: tuple[int, ...], mask: Any = None) -> Any:
    """Return the answers of scaled queries; `turned` is the order of axes that transposes the keys."""
    affinities = op.MatMul(query, op.Transpose(key, perm=turned))
    if mask is not None:
        affinities = op.Add(affinities, _added(mask, query))
    return op.MatMul(op.Softmax(affinities, axis=-1), value)


def _added(mask: Any, like: Any) -> Any:
    """Return the numbers that a mask adds to affinities."""
    if mask.dtype != onnx_ir.DataType.BOOL:
        return mask
    nothing, never = (op.CastLike(op.Constant(value_float=x), like) for x in (0.0, float("-inf")))
    return op.Where(mask, nothing, never)
