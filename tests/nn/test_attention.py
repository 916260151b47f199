"""The linear form of the attention against the quadratic one it stands for."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from avseg.nn.attention import AudioVisualAttention

GROUP = 3


def block(**options: int | bool) -> AudioVisualAttention:
    """A block that does something: the published one begins as the identity."""
    torch.manual_seed(0)
    made = AudioVisualAttention(16, 8, 12, **options)  # type: ignore[arg-type]
    with torch.no_grad():
        for parameter in made.batch_norm.parameters():
            parameter.uniform_(0.5, 1.5)
        made.batch_norm.running_mean.normal_()  # type: ignore[union-attr]
        made.batch_norm.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]
    return made.double()


def quadratic(made: AudioVisualAttention, x: Tensor, audio: Tensor | None) -> Tensor:
    """Zhou et al. 2022, equation 2: every pixel of a group with every other, divided by their number."""
    n, c, h, w = x.shape
    maps = x.reshape(n // GROUP, GROUP, c, h * w).transpose(2, 3)  # (G, T, HW, C)
    keyed = maps if audio is None else made.align(audio).reshape(-1, GROUP, 1, c).expand_as(maps)
    theta, phi, g = made.query(maps), made.key(keyed), made.value(maps)
    theta, phi, g = (part.flatten(1, 2) for part in (theta, phi, g))  # (G, THW, inner)
    affinity = theta @ phi.transpose(1, 2) / (GROUP * h * w)  # (G, THW, THW)
    z = made.project(affinity @ g).reshape(n, h, w, c).permute(0, 3, 1, 2)
    out: Tensor = made.layer_norm((made.batch_norm(z) + x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    return out


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("hears", [False, True])
def test_linear_form_equals_the_quadratic_one_with_its_gradients(training: bool, hears: bool) -> None:
    made = block().train(training)
    x = torch.randn(2 * GROUP, 16, 5, 4, dtype=torch.float64, requires_grad=True)
    audio = torch.rand(2 * GROUP, 12, dtype=torch.float64) if hears else None
    seed = torch.randn(2 * GROUP, 16, 5, 4, dtype=torch.float64)
    leaves = [x, made.query.weight, made.key.bias, made.value.weight, made.project.weight]
    state = {name: value.clone() for name, value in made.state_dict().items()}
    ours = made(x, audio, GROUP)[0]
    after = made.batch_norm.running_var.clone()  # type: ignore[union-attr]
    gradients = torch.autograd.grad(ours, leaves, seed)
    made.load_state_dict(state)
    published = quadratic(made, x, audio)
    assert torch.allclose(ours, published, atol=1e-10)
    assert torch.allclose(after, made.batch_norm.running_var)  # type: ignore[arg-type]
    for a, b in zip(gradients, torch.autograd.grad(published, leaves, seed), strict=True):
        assert torch.allclose(a, b, atol=1e-9)


def test_float32_stays_within_1e_5_of_the_quadratic_form() -> None:
    made = block().float().eval()
    x, audio = torch.randn(GROUP, 16, 28, 28), torch.rand(GROUP, 12)
    with torch.no_grad():
        assert torch.allclose(made(x, audio, GROUP)[0], quadratic(made, x, audio), atol=1e-5)


def test_groups_do_not_hear_each_other() -> None:
    made = block().eval()
    x = torch.randn(2 * GROUP, 16, 4, 4, dtype=torch.float64)
    audio = torch.rand(2 * GROUP, 12, dtype=torch.float64)
    other = torch.cat([audio[:GROUP], audio[GROUP:].flip(1)])
    with torch.no_grad():
        a, b = made(x, audio, GROUP)[0], made(x, other, GROUP)[0]
    assert torch.equal(a[:GROUP], b[:GROUP])
    assert not torch.allclose(a[GROUP:], b[GROUP:])


def test_a_fresh_block_normalises_and_nothing_else() -> None:
    made = AudioVisualAttention(16, 8, 12).eval()
    x = torch.randn(GROUP, 16, 4, 4)
    with torch.no_grad():
        out, _ = made(x, torch.rand(GROUP, 12), GROUP)
        assert torch.allclose(out, made.layer_norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2), atol=1e-6)


def test_aligned_sound_is_given_back_by_group() -> None:
    made = block(align_bias=False)
    _, aligned = made(torch.randn(2 * GROUP, 16, 2, 2).double(), torch.rand(2 * GROUP, 12, dtype=torch.float64), GROUP)
    assert aligned is not None and aligned.shape == (2, GROUP, 16) and made.align.bias is None


def test_nothing_as_large_as_the_affinity_is_allocated() -> None:
    from torch.profiler import ProfilerActivity, profile

    made = block().float().eval()
    x, audio = torch.randn(GROUP, 16, 40, 40), torch.rand(GROUP, 12)
    with torch.inference_mode(), profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        made(x, audio, GROUP)
    largest = max(event.self_cpu_memory_usage for event in recorded.events())
    assert 0 < largest <= 4 * x.numel() * 4 < (GROUP * 40 * 40) ** 2 * 4 / 50
