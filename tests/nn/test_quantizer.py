"""The quantiser against its formulas; what may move the codebook and what may not."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from avseg.nn.quantizer import Averages, Coded, Quantizer, usage

sys.path.insert(0, str(Path(__file__).parents[1] / "engine"))
sys.path.insert(0, str(Path(__file__).parent))

from launch import run_two
from two_quantizers import states_of_all_tokens

WAYS: list[dict[str, Any]] = [
    {"update": update, "restart_after": after, "normalise": normalise}
    for update in ("grad", "ema")
    for after in (None, 2)
    for normalise in (False, True)
]


def quantizer(codes: int = 7, width: int = 8, **options: Any) -> Quantizer:
    torch.manual_seed(0)
    made = Quantizer(codes, width, **options)
    with torch.no_grad():
        made.codebook.normal_()
    if options.get("update") == "ema":
        made.sums.copy_(made._compared(made.codebook))
    return made


def drawn(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def state_of(module: Quantizer) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def total(coded: Coded) -> Tensor:
    terms = (coded.codebook_loss, coded.commitment_loss)
    return coded.tokens.float().square().sum() + sum(term for term in terms if term is not None)


def test_each_token_becomes_the_nearest_entry_to_the_last_bit() -> None:
    module, tokens = quantizer(), drawn(2, 3, 4, 8)
    coded = module(tokens, True)
    literal = (tokens[..., None, :].double() - module.codebook.double()).square().sum(-1).argmin(-1)
    assert torch.equal(coded.codes, literal)
    assert torch.equal(coded.tokens, module.codebook[literal])
    assert coded.raw is tokens
    error = (tokens - module.codebook[literal]).square().mean()
    assert torch.allclose(coded.codebook_loss, error, atol=1e-6)
    assert torch.allclose(coded.commitment_loss, 0.25 * error, atol=1e-6)


def test_gradients_pass_unchanged_and_the_losses_are_one_sided() -> None:
    module, tokens, weights = quantizer(), drawn(2, 4, 8).requires_grad_(), drawn(2, 4, 8, seed=2)
    coded = module(tokens, True)
    (passed,) = torch.autograd.grad((coded.tokens * weights).sum(), tokens, retain_graph=True)
    assert torch.equal(passed, weights)
    assert torch.autograd.grad(coded.tokens.sum(), module.codebook, retain_graph=True, allow_unused=True) == (None,)
    assert torch.autograd.grad(coded.codebook_loss, tokens, retain_graph=True, allow_unused=True) == (None,)
    assert torch.autograd.grad(coded.commitment_loss, module.codebook, retain_graph=True, allow_unused=True) == (None,)
    (pulled,) = torch.autograd.grad(coded.commitment_loss, tokens)
    apart = (tokens - module.codebook[coded.codes]) / tokens.numel()
    assert torch.allclose(pulled, 0.25 * 2 * apart, atol=1e-7)


@pytest.mark.parametrize("normalise", [False, True])
def test_the_codebook_term_moves_entries_towards_their_tokens(normalise: bool) -> None:
    module, tokens = quantizer(normalise=normalise), drawn(3, 4, 8)
    coded = module(tokens, True)
    before = coded.codebook_loss
    before.backward()
    untaken = torch.ones(7, dtype=torch.bool)
    untaken[coded.codes.flatten()] = False
    assert not module.codebook.grad[untaken].any() and module.codebook.grad[~untaken].any(-1).all()
    with torch.no_grad():
        module.codebook -= module.codebook.grad
        entries = module._compared(module.codebook)[coded.codes]
        assert (module._compared(tokens) - entries).square().mean() < before


@pytest.mark.parametrize("options", [*WAYS, {"dim": 6}, {"slots": 4}], ids=str)
def test_a_pass_that_does_not_learn_leaves_every_byte(options: dict[str, Any]) -> None:
    module = quantizer(**options)
    for seed in range(3):  # so that the averages and the waiting are under way
        module(drawn(3, 4, 8, seed=seed), True)
    before = state_of(module)
    coded = module(drawn(3, 4, 8, seed=9).requires_grad_(), False)
    total(coded).backward()
    assert coded.codebook_loss is None and coded.commitment_loss is not None
    assert module.codebook.grad is None
    after = state_of(module)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name].view(torch.uint8), after[name].view(torch.uint8)) for name in before)


def test_after_a_pass_that_learns_the_other_adds_nothing_to_its_gradient() -> None:
    module, tokens = quantizer(), drawn(3, 4, 8)
    total(module(tokens, True)).backward()
    alone = module.codebook.grad.clone()
    module.codebook.grad = None
    both = total(module(tokens, True)) + total(module(drawn(5, 4, 8, seed=3), False))
    both.backward()
    assert torch.equal(module.codebook.grad, alone)


@pytest.mark.parametrize("options", WAYS, ids=str)
def test_judging_moves_nothing(options: dict[str, Any]) -> None:
    module = quantizer(**options).eval()
    before = state_of(module)
    for seed in range(4):
        module(drawn(3, 4, 8, seed=seed), True)
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())


@pytest.mark.parametrize("normalise", [False, True])
def test_moving_averages_are_the_closed_formula(normalise: bool) -> None:
    """Over four steps, entry by entry; one that no token takes stays as it is."""
    decay, epsilon, codes = 0.9, 1e-3, 16
    module = quantizer(codes, update="ema", averages=Averages(decay, epsilon), normalise=normalise)
    book = module.codebook.double()
    begun = torch.nn.functional.normalize(book, dim=-1) if normalise else book
    module.sums.copy_(begun)
    steps: list[tuple[Tensor, Tensor]] = []
    for seed in range(4):
        tokens = drawn(2, 3, 8, seed=seed).double()
        compared = torch.nn.functional.normalize(tokens, dim=-1) if normalise else tokens
        steps.append((compared.flatten(0, 1), module(tokens.float(), True).codes.flatten()))
    ages = [decay ** (len(steps) - 1 - index) * (1 - decay) for index in range(len(steps))]
    counts = [
        decay**4 + sum(age * int((taken == k).sum()) for age, (_, taken) in zip(ages, steps, strict=True))
        for k in range(codes)
    ]
    assert torch.allclose(module.counts.double(), torch.tensor(counts, dtype=torch.float64), atol=1e-6)
    for k in range(codes):
        if not (steps[-1][1] == k).any():
            continue
        summed = decay**4 * begun[k]
        for age, (tokens, taken) in zip(ages, steps, strict=True):
            summed = summed + age * tokens[taken == k].sum(0)
        smoothed = (counts[k] + epsilon) / (sum(counts) + codes * epsilon) * sum(counts)
        assert torch.allclose(module.codebook[k].double(), summed / smoothed, atol=1e-5)
    never = set(range(codes)) - {int(k) for _, taken in steps for k in taken}
    assert never, "the test wants an entry that no token takes"
    for k in never:
        assert torch.equal(module.codebook[k].double(), book[k])


def test_entries_that_nobody_takes_for_long_stay_finite_and_may_come_back() -> None:
    module = quantizer(update="ema", averages=Averages(0.5))
    far = 10 * torch.ones(8)
    with torch.no_grad():
        module.codebook[3] = -far
        module.sums[3] = -far
    for seed in range(300):
        module(drawn(1, 4, 8, seed=seed) * 0.1 + 1, True)
    assert module.counts[3] == 0 and torch.equal(module.codebook[3], -far)
    coded = module(-far[None, None] + 0.5, True)
    assert int(coded.codes) == 3 and torch.allclose(module.codebook[3], -far + 0.5, atol=1e-3)


@pytest.mark.parametrize("update", ["grad", "ema"])
def test_idle_entries_begin_anew_as_tokens_of_the_batch(update: str) -> None:
    module = quantizer(update=update, restart_after=3)
    with torch.no_grad():
        module.codebook[2:] += 1000  # out of reach
    before = module.codebook.detach().clone()
    for seed in range(2):
        module(drawn(2, 4, 8, seed=seed), True)
        assert torch.equal(module.codebook[2:], before[2:])
    assert module.idle[2:].eq(2).all() and module.idle[:2].lt(2).all()
    tokens = drawn(2, 4, 8, seed=7)
    module(tokens, True)
    fresh = module.codebook[2:].detach()
    # Five different ones of the eight tokens.
    same = (fresh[:, None] == tokens.flatten(0, 1)).all(-1)
    assert same.sum(1).eq(1).all() and same.sum(0).le(1).all()
    assert module.idle.eq(0).sum() >= 5
    if update == "ema":
        assert module.counts[2:].eq(1).all() and torch.equal(module.sums[2:], fresh)


def test_restarts_while_gradients_are_under_way_do_no_harm() -> None:
    for normalise in (False, True):
        module = quantizer(restart_after=1, normalise=normalise, dim=6)
        tokens = drawn(2, 4, 8).requires_grad_()
        coded = module(tokens, True)
        (total(coded) + total(module(tokens, False))).backward()
        assert tokens.grad is not None and tokens.grad.isfinite().all()
        assert module.codebook.grad is not None and module.codebook.grad.isfinite().all()


@pytest.mark.parametrize("options", WAYS, ids=str)
def test_a_codebook_larger_than_the_batch_and_tokens_that_are_all_equal(options: dict[str, Any]) -> None:
    module = quantizer(64, **options)
    for _ in range(4):
        tokens = torch.full((1, 3, 8), 0.5, requires_grad=True)
        coded = module(tokens, True)
        total(coded).backward()
        assert len(coded.codes.unique()) == 1
        assert coded.tokens.isfinite().all() and tokens.grad is not None and tokens.grad.isfinite().all()
    assert all(value.isfinite().all() for value in module.state_dict().values())


@pytest.mark.parametrize("options", WAYS, ids=str)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_measures_in_single(options: dict[str, Any], dtype: torch.dtype) -> None:
    """At 200 the square of 8 channels overflows float16, and bfloat16 tells no two such squares here apart."""
    module = quantizer(**options)
    with torch.no_grad():
        module.codebook.copy_(200 - 8 * torch.eye(7, 8))
    if options["update"] == "ema":
        module.sums.copy_(module._compared(module.codebook))
    tokens = module.codebook.detach().to(dtype)[None].requires_grad_()
    coded = module(tokens, True)
    assert torch.equal(coded.codes, torch.arange(7)[None])
    assert coded.tokens.dtype == dtype and coded.tokens.isfinite().all()
    assert coded.commitment_loss.dtype == torch.float32 and coded.commitment_loss < 1e-6
    total(coded).backward()
    assert tokens.grad is not None and tokens.grad.isfinite().all()
    assert module.codebook.dtype == torch.float32 and module.codebook.isfinite().all()


def test_autocast_changes_no_code_and_no_entry() -> None:
    plain, narrow = (quantizer(32, update="ema", restart_after=2) for _ in range(2))
    tokens = 30 + 0.1 * drawn(4, 5, 8)
    for _ in range(3):
        torch.manual_seed(3)
        wanted = plain(tokens, True)
        torch.manual_seed(3)
        with torch.autocast("cpu", torch.bfloat16):
            ours = narrow(tokens, True)
        assert torch.equal(ours.codes, wanted.codes) and torch.equal(ours.tokens, wanted.tokens)
        assert ours.commitment_loss == wanted.commitment_loss
    assert all(torch.equal(value, narrow.state_dict()[name]) for name, value in plain.state_dict().items())


def test_zeros_have_finite_gradients_at_unit_length() -> None:
    module = quantizer(normalise=True)
    tokens = torch.zeros(1, 3, 8, requires_grad=True)
    total(module(tokens, True)).backward()
    assert tokens.grad is not None and tokens.grad.isfinite().all()


@torch.no_grad()
def test_at_unit_length_only_directions_count() -> None:
    module, tokens = quantizer(normalise=True).eval(), drawn(2, 4, 8)
    coded, longer = module(tokens, True), module(17 * tokens, True)
    assert torch.equal(coded.codes, longer.codes)
    assert torch.allclose(coded.commitment_loss, longer.commitment_loss, atol=1e-6)
    cosines = torch.cosine_similarity(tokens[..., None, :], module.codebook, dim=-1)
    assert torch.equal(coded.codes, cosines.argmax(-1))
    assert torch.allclose(coded.tokens.norm(dim=-1), torch.ones(2, 4))


@torch.no_grad()
def test_each_place_may_have_a_codebook_of_its_own() -> None:
    module, tokens = quantizer(slots=4).eval(), drawn(2, 3, 4, 8)
    coded = module(tokens, True)
    assert module.codebook.shape == (28, 8)
    for slot in range(4):
        own = Quantizer(7, 8).eval()
        own.codebook.copy_(module.codebook[7 * slot : 7 * slot + 7])
        assert torch.equal(own(tokens[..., slot, :], True).codes, coded.codes[..., slot] - 7 * slot)
    assert torch.equal(coded.tokens, module.codebook[coded.codes])
    with pytest.raises(ValueError, match="3 tokens came to 4 codebooks"):
        module(tokens[..., :3, :], True)


def test_averages_and_restarts_keep_to_their_places() -> None:
    module = quantizer(5, slots=2, update="ema", restart_after=2)
    tokens = torch.stack([drawn(6, 8), 50 + drawn(6, 8, seed=2)], 1)
    with torch.no_grad():
        module.codebook[5:] += 50
        module.sums[5:] += 50
    for _ in range(5):
        module(tokens, True)
    assert (module.codebook[:5].abs() < 10).all() and (module.codebook[5:] > 40).all()


def test_entries_may_have_a_width_of_their_own() -> None:
    module, tokens = quantizer(dim=3), drawn(2, 4, 8).requires_grad_()
    coded = module(tokens, True)
    assert module.codebook.shape == (7, 3) and coded.tokens.shape == tokens.shape
    assert torch.allclose(coded.tokens, module.outward(module.codebook[coded.codes]))
    (passed,) = torch.autograd.grad(coded.tokens.sum(), tokens)
    assert torch.allclose(passed, (module.outward.weight @ module.inward.weight).sum(0).expand_as(passed), atol=1e-5)


def test_codes_begin_within_xavier_s_bounds() -> None:
    torch.manual_seed(0)
    book = Quantizer(512, 256).codebook.detach()
    assert book.shape == (512, 256) and book.numel() == 131_072
    assert float(book.abs().max()) == pytest.approx((6 / 768) ** 0.5, rel=1e-3)
    assert float(book.std()) == pytest.approx((2 / 768) ** 0.5, rel=0.01)


def test_an_unknown_update_is_refused() -> None:
    with pytest.raises(ValueError, match="codebook update 'mean', wanted 'grad' or 'ema'"):
        Quantizer(4, 8, update="mean")  # type: ignore[arg-type]


def test_usage_is_the_entropy_of_the_shares() -> None:
    even = usage(torch.arange(8).reshape(2, 4), 8)
    assert float(even.perplexity) == pytest.approx(8) and float(even.largest_share) == 0.125 and int(even.used) == 8
    one = usage(torch.full((5,), 3), 8)
    assert (float(one.perplexity), float(one.largest_share), int(one.used)) == (1, 1, 1)
    mixed = usage(torch.tensor([0, 0, 1, 2]), 512)
    assert float(mixed.perplexity) == pytest.approx(2**1.5) and float(mixed.largest_share) == 0.5
    assert int(mixed.used) == 3
    none = usage(torch.zeros(0, 5, dtype=torch.int64), 8)
    assert (float(none.perplexity), float(none.largest_share), int(none.used)) == (1, 0, 0)


@pytest.mark.slow
@pytest.mark.parametrize("update", ["grad", "ema"])
def test_compiles_without_a_break(update: str) -> None:
    module, twin = (quantizer(update=update) for _ in range(2))
    compiled = torch.compile(twin, fullgraph=True, backend="aot_eager")
    tokens = drawn(2, 4, 8)
    for learns in (True, False):
        wanted, ours = module(tokens, learns), compiled(tokens, learns)
        assert torch.equal(ours.codes, wanted.codes) and torch.equal(ours.tokens, wanted.tokens)
    assert torch.allclose(module.codebook, twin.codebook, atol=1e-6)


def test_two_processes_have_one_codebook_that_of_all_tokens(tmp_path: Path) -> None:
    """With averages each is what one process with both halves has; with restarts both are byte-equal."""
    run_two(Path(__file__).parent / "two_quantizers.py", str(tmp_path))
    first, second = (torch.load(tmp_path / f"rank{rank}.pt") for rank in (0, 1))
    alone = states_of_all_tokens()
    assert first.keys() == second.keys() == alone.keys()
    for name, states in first.items():
        assert [s.keys() for s in states] == [s.keys() for s in alone[name]]
        for ours, theirs, whole in zip(states, second[name], alone[name], strict=True):
            for key, value in ours.items():
                assert torch.equal(value, theirs[key]), f"{name}: {key}"
                if "restart" not in name:
                    assert torch.allclose(value, whole[key], atol=1e-6), f"{name}: {key}"
        assert not torch.equal(states[0]["codebook"], states[-1]["codebook"])
        # The last step was one that does not learn.
        assert torch.equal(states[-2]["codebook"], states[-1]["codebook"])
