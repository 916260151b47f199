"""Audio-visual fusion: cross-attention from pixels to one sound vector, computed as a thin product.

With v_i the pixel features, a the sound, h heads of d = D / h channels and s = d^(-1/2) (Chen et al. 2024, section 3.2;
docs/explanation/cavp.md):

    p_i = W2 gelu(W1 v_i + b1) + b2                      the visual projector
    x_i = E_v p_i + e_v,   y = E_a a + e_a               (with `coordinates`: x_i = E_v p_i + e_v + C (x, y)_i)
    n_i = LN1(x_i),        m = LN1(y)                    one norm for both
    alpha_i^r = sigmoid(s <Wq n_i, Wk m>_r)              for each head r; a sigmoid, not a softmax
    u_i = n_i + Wo [alpha_i^1 (Wv m)_1; ...] + bo        the residual is the normalised input
    z_i = LN_out(u_i + MLP(LN2(u_i)))

One sound is one token, so that queries and values need not exist per pixel: <Wq n_i, Wk m>_r is <n_i, g_r> with
g_r = Wq_r^T (Wk m)_r, and Wo [...] is sum_r alpha_i^r o_r with o_r = Wo_r (Wv m)_r. Nothing lies between W2 and E_v,
so that they are one product; and n_i knows no sound, so that it is made once for all sounds of a picture.

**Coordinates** (not published). The published fusion hears where a sound is and does not know where a pixel is, save
for what padding leaks. C is a learned D x 2 matrix, (x, y) the centre of a pixel in [-1, 1], x to the right. Then
<n_i, g_r> holds a term (x, y)_i . C^T (gamma * g_r) / sigma_i, sigma_i and gamma being of LN1: every head has a line
across the picture whose place and steepness the sound sets, and alpha is high on one side of it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class VisualProjector(nn.Module):
    """Two linear layers around a GELU, without a residual."""

    def __init__(self, width: int, inner: int = 256) -> None:
        super().__init__()
        self.enter = nn.Linear(width, inner)
        self.leave = nn.Linear(inner, width)

    def forward(self, pixels: Tensor) -> Tensor:
        """(..., D) -> (..., D)."""
        out: Tensor = self.leave(F.gelu(self.enter(pixels)))
        return out

    def followed_by(self, layer: nn.Linear, pixels: Tensor) -> Tensor:
        """`layer(self(pixels))` with the two last products as one: (..., D) -> (..., E)."""
        weight = layer.weight @ self.leave.weight  # (E, inner)
        bias = F.linear(self.leave.bias, layer.weight, layer.bias)  # (E,)
        return F.linear(F.gelu(self.enter(pixels)), weight, bias)


class AudioFusion(nn.Module):
    """The attention of pixels to one sound, and the two-layer network after it."""

    def __init__(self, width: int, heads: int = 4, coordinates: bool = False) -> None:
        """
        Args:
            width: D, channels of pixels and sounds.
            heads: of the attention; must divide the width.
            coordinates: tell pixels where they lie (see above).

        Raises:
            ValueError: a width that the heads do not divide.
        """
        super().__init__()
        if heads < 1 or width % heads:
            raise ValueError(
                f"{heads} heads do not divide the {width} channels of the fusion; change heads, or the decoder's widths"
            )
        self.heads = heads
        self.embed_visual = nn.Linear(width, width)
        self.embed_audio = nn.Linear(width, width)
        self.embed_place = nn.Linear(2, width, bias=False) if coordinates else None
        self.norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width, bias=False)
        self.project = nn.Linear(width, width)
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.out_norm = nn.LayerNorm(width)

    def tokens(self, seen: Tensor, projector: VisualProjector) -> Tensor:
        """n_i of a picture, which no sound changes: (N, D, h, w) -> (N, P, D), P = h * w."""
        pixels = seen.flatten(2).transpose(1, 2)  # (N, P, D), a view where `seen` is channels_last
        embedded = projector.followed_by(self.embed_visual, pixels)
        if self.embed_place is not None:
            embedded = embedded + self.embed_place(places(seen))
        tokens: Tensor = self.norm(embedded)
        return tokens

    def attention(self, tokens: Tensor, heard: Tensor) -> Tensor:
        """alpha: (N, P, D) pixels and (R * N, D) sounds, R for every picture -> (R * N, P, heads) in (0, 1)."""
        return self._attention(tokens, self._sound(heard))

    def forward(self, tokens: Tensor, heard: Tensor) -> Tensor:
        """(N, P, D) pixels and (R * N, D) sounds -> (R * N, P, D)."""
        sound = self._sound(heard)
        alpha = self._attention(tokens, sound)  # (R * N, P, heads)
        values = _by_head(self.value(sound), self.heads)  # (R * N, heads, d)
        thin = torch.einsum("bhd,ohd->bho", values, torch.unflatten(self.project.weight, 1, (self.heads, -1)))
        mixed = alpha @ thin  # (R * N, P, D)
        residual = tokens + self.project.bias
        if mixed.shape[0] == tokens.shape[0]:
            mixed = mixed + residual
        else:
            mixed = (torch.unflatten(mixed, 0, (-1, tokens.shape[0])) + residual).flatten(0, 1)
        fused: Tensor = self.out_norm(mixed + self.mlp(self.mlp_norm(mixed)))
        return fused

    def _sound(self, heard: Tensor) -> Tensor:
        """m: (R * N, D) -> (R * N, D)."""
        sound: Tensor = self.norm(self.embed_audio(heard))
        return sound

    def _attention(self, tokens: Tensor, sound: Tensor) -> Tensor:
        keys = _by_head(self.key(sound), self.heads)  # (R * N, heads, d)
        thin = torch.einsum("bhd,hdi->bih", keys, torch.unflatten(self.query.weight, 0, (self.heads, -1)))
        thin = thin * keys.shape[-1] ** -0.5  # (R * N, D, heads)
        if thin.shape[0] == tokens.shape[0]:
            return torch.sigmoid(tokens @ thin)
        # All sounds of a picture side by side, so that its pixels are read once.
        beside = torch.cat(torch.split(thin, tokens.shape[0]), -1)  # (N, D, R * heads)
        alpha = torch.sigmoid(tokens @ beside)
        return torch.cat(torch.split(alpha, self.heads, -1))  # (R * N, P, heads)


def places(maps: Tensor) -> Tensor:
    """Centres of the pixels of a map (N, C, h, w): (h * w, 2) of (x, y) in [-1, 1], x to the right, y down."""
    h, w = maps.shape[-2:]
    y = (2 * torch.arange(h, device=maps.device) + 1) / h - 1
    x = (2 * torch.arange(w, device=maps.device) + 1) / w - 1
    down, right = torch.meshgrid(y.to(maps.dtype), x.to(maps.dtype), indexing="ij")
    return torch.stack([right, down], -1).flatten(0, 1)


def _by_head(vectors: Tensor, heads: int) -> Tensor:
    """(B, D) -> (B, heads, d)."""
    return torch.unflatten(vectors, -1, (heads, -1))
