"""Attention in ONNX gives what PyTorch gives, head by head where tokens are many."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from extras import needs

pytestmark = pytest.mark.extra


class Attention(nn.Module):
    def forward(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
        return F.scaled_dot_product_attention(query, key, value, mask)


@pytest.mark.parametrize(
    ("tokens", "mask", "products"),
    [(600, "", 8), (40, "", 2), (600, "bool", 2), (40, "bool", 2), (40, "added", 2)],
)
def test_masks_and_many_tokens(tokens: int, mask: str, products: int) -> None:
    needs("onnx")
    needs("onnxruntime")
    from avseg.engines.onnxruntime_engine import ONNXRuntimeEngine, in_onnx

    torch.manual_seed(0)
    given = [torch.randn(2, 4, tokens, 16) for _ in range(3)]
    if mask == "bool":
        given.append((torch.rand(2, 1, tokens, tokens) > 0.5).logical_or(torch.eye(tokens, dtype=torch.bool)))
    elif mask:
        given.append(torch.randn(1, 4, tokens, tokens))
    made = in_onnx(torch.export.export(Attention().eval(), tuple(given)), "attention")
    assert [node.op_type for node in made.model.graph].count("MatMul") == products
    (found,) = ONNXRuntimeEngine("fp32", torch.device("cpu"))._session(made.model_proto.SerializeToString())(*given)
    torch.testing.assert_close(found, Attention()(*given), rtol=0, atol=3e-6)


def test_attention_that_no_network_has_is_refused() -> None:
    needs("onnx")
    from avseg.engines.onnx_attention import attention

    with pytest.raises(ValueError, match="a causal mask"):
        attention(None, None, None, is_causal=True)
