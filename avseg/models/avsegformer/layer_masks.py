"""A mask for each layer of the decoder, by which the second generation was trained (Gao et al., before 2023-08-14)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from avseg.nn.deform import Size
from avseg.nn.deform_encoder import as_maps
from avseg.nn.enlarged import EnlargedConvolution
from avseg.nn.transformer import Attention, TokenDecoderLayer


class LayerMasks(nn.Module):
    """Logits made of a decoder layer's queries, laid on the pixels that they look at.

    Each of the three maps is enlarged twofold and convolved on the way to the next finer one, to which it is added; a
    head like that of the main output follows. Predictions do not need it.
    """

    def __init__(self, channels: int, width: int, widths: tuple[int, int]) -> None:
        """
        Args:
            channels: of the logits.
            width: channels D of the queries.
            widths: channels of the two convolutions before the classifier.
        """
        super().__init__()
        self.ups = nn.ModuleList(EnlargedConvolution(width, width, factor=2) for _ in range(3))
        self.first = nn.Conv2d(width, widths[0], 3, padding=1)
        self.second = EnlargedConvolution(widths[0], widths[1], factor=4)
        self.classify = nn.Conv2d(widths[1], channels, 1, bias=False)
        for weighted in (*self.ups, self.first, self.second, self.classify):
            assert isinstance(weighted.weight, Tensor)
            nn.init.xavier_uniform_(weighted.weight)

    def forward(self, laid: Tensor, sizes: Sequence[Size]) -> Tensor:
        """(N, P, D) over the pixels of maps at strides 8, 16 and 32 -> (N, channels, H, W) at the picture's size."""
        fine, middle, x = as_maps(laid, sizes)
        for up, finer in zip(self.ups, (middle, fine), strict=False):
            x = up(x) + finer
        logits: Tensor = self.classify(F.relu(self.second(self.first(self.ups[2](x)))))
        return logits


def laid(layer: TokenDecoderLayer, queries: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
    """A decoder layer's answer, and that answer laid where the layer looks.

    Args:
        layer: of the decoder.
        queries: (N, Q, D).
        memory: (N, P, D).

    Returns:
        (N, Q, D), as `layer` gives it; and (N, P, D), for each token of the memory the sum of the answers, each
        weighted by how much its query looks at the token, the mean over the heads. Dropout of affinities counts too.
    """
    look = layer.cross_attention
    x = layer.self_attention(queries)
    # Affinities of all heads, the largest tensors of a layer, are made again on the way back.
    found, shares = checkpoint(_looked, look.attention, x, memory, use_reentrant=False)
    answer: Tensor = layer.feed_forward(look.norm(x + look.dropout(found)))
    return answer, torch.bmm(shares.transpose(1, 2), answer)


def _looked(attention: Attention, queries: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
    """Return the output (N, Q, D) of `attention`, and its weights (N, Q, P), averaged over heads."""
    biases = [None] * 3 if attention.in_proj_bias is None else attention.in_proj_bias.chunk(3)
    parts = zip((queries, memory, memory), attention.in_proj_weight.chunk(3), biases, strict=True)
    q, k, v = (
        torch.unflatten(F.linear(x, weight, bias), -1, (attention.heads, -1)).transpose(1, 2)
        for x, weight, bias in parts
    )
    shares = torch.matmul(q * q.shape[-1] ** -0.5, k.transpose(2, 3)).softmax(-1)  # (N, heads, Q, P)
    shares = F.dropout(shares, attention.dropout, attention.training)
    found: Tensor = attention.out_proj(torch.matmul(shares.to(v.dtype), v).transpose(1, 2).flatten(2))
    return found, shares.mean(1)
