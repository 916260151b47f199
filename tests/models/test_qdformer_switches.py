"""Every switch of QDFormer's network does what it says, from the same weights."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from avseg.models.qdformer.config import CodebookConfig, LocalConfig, QDFormerConfig
from avseg.models.qdformer.network import QDFormerNetwork
from avseg.models.qdformer.output import QDFormerOutput
from models.test_qdformer_network import PADDED, SMALL, made, noise, said, summed

CODES = CodebookConfig(codes=64)
TINY = {"embed_dim": 24}
"""A quarter of a Swin."""
DEAF_PICTURES: dict[str, Any] = {"early_fusion": False, "pixel_decoder": "default"}
"""No sound reaches the maps."""


def alike(like: QDFormerNetwork, **changes: Any) -> QDFormerNetwork:
    """Another network with all the weights that fit."""
    network = made(**changes)
    own, given = network.state_dict(), like.state_dict()
    fitting = {name: x for name, x in given.items() if name in own and own[name].shape == x.shape}
    network.load_state_dict(fitting, strict=False)
    return network


def apart(one: QDFormerOutput, other: QDFormerOutput) -> bool:
    """Whether masks or classes differ by more than rounding."""
    if one.mask_logits.shape != other.mask_logits.shape:
        return True
    pairs = [(one.mask_logits, other.mask_logits), (one.class_logits, other.class_logits)]
    return any(bool((a - b).abs().max() > 1e-3 * b.abs().max()) for a, b in pairs)


@pytest.fixture(scope="module")
def network() -> QDFormerNetwork:
    return made()


@pytest.fixture(scope="module")
def output(network: QDFormerNetwork) -> QDFormerOutput:
    with torch.no_grad():
        return said(network)


@pytest.mark.parametrize(
    "changes",
    [
        {"decompose": False},
        {"quantise": False},
        {"local_calibration": False},
        {"tokens": 3},
        {"queries_per_token": 2},
        {"codebook": replace(CODES, codes=4)},
        {"codebook": replace(CODES, width=16)},
        {"codebook": replace(CODES, normalise=True)},
        {"codebook": replace(CODES, shared=False)},
        {"local": LocalConfig(layers=1, query="learned")},
        {"local": LocalConfig(layers=1, memory="frame+global")},
        {"local": LocalConfig(layers=1, memory="window", window=3)},
        {"local": LocalConfig(layers=2)},
        {"early_fusion": False},
        {"token_position": "sine"},
        {"token_position": "learned"},
        {"pixel_decoder": "default"},
        {"dual_pool": "mean"},
        {"dual_pool": "attention"},
        {"encoder_layers": 0},
        {"encoder_layers": 2},
        {"decoder_layers": 3},
        {"decomposition_layers": 2},
        {"audio_context_layers": 1},
        {"points": 2},
        {"box_refine": False},
    ],
    ids=lambda changes: "-".join(f"{name}={value}" for name, value in changes.items())[:60],
)
def test_outputs_change(network: QDFormerNetwork, output: QDFormerOutput, changes: dict[str, Any]) -> None:
    with torch.no_grad():
        assert apart(said(alike(network, **changes)), output)
        assert not apart(said(alike(network)), output)


def test_tokens_that_begin_far_apart_stay_so() -> None:
    def likeness(deviation: float) -> float:
        """Of a clip's tokens to each other, the mean over pairs."""
        tokens = functional.normalize(said(made(prototype_deviation=deviation)).clip_tokens.raw, dim=-1)
        count = tokens.shape[1]
        return float((tokens @ tokens.mT).sum((1, 2)).mean() - count) / (count * (count - 1))

    with torch.no_grad():
        assert likeness(1.0) < likeness(0.02) - 0.2


def test_number_of_tokens_and_queries() -> None:
    found = said(made(tokens=3, queries_per_token=2), PADDED)
    assert found.clip_tokens.codes.shape == (2, 3) and found.frame_tokens.codes.shape == (2, 3, 3)
    assert found.class_logits.shape == (2, 3, 6, 2)
    alone = said(made(decompose=False, queries_per_token=2), PADDED)
    assert alone.clip_tokens.tokens.shape == (2, 1, 32) and alone.frame_tokens.tokens.shape == (2, 3, 1, 32)
    assert alone.class_logits.shape == (2, 3, 10, 2)


@torch.no_grad()
def test_heads_of_masks_and_classes(network: QDFormerNetwork, output: QDFormerOutput) -> None:
    for changes in ({"relative_unit": 64.0}, {"mask_channels": 4}):
        other = said(alike(network, **changes))
        assert torch.equal(other.class_logits, output.class_logits)
        assert (other.mask_logits - output.mask_logits).abs().max() > 1e-2
    other = said(alike(network, class_layers=1))
    assert torch.equal(other.mask_logits, output.mask_logits)
    assert (other.class_logits - output.class_logits).abs().max() > 1e-2
    assert sum(p.numel() for p in made(class_layers=1).classes.parameters()) == 2 * (33 * 2)


# Who hears what. Without quantisation, which would hide small changes.


def reached(network: QDFormerNetwork, what: str) -> Tensor:
    """(T, T) bool: whether frame i says something else when the sound or picture of frame j is another one."""
    valid = torch.ones(1, 4, dtype=torch.bool)
    network = network.double()  # what comes a long way is small, and must not be taken for rounding
    given = {"images": noise(4, 3, 64, 96).double(), "audio": noise(1, 4, 1, 8).double()}
    with torch.no_grad():
        before = said(network, valid, **given).mask_logits[0]
        columns = []
        for frame in range(4):
            other = given[what].clone()
            (other if what == "images" else other[0])[frame] *= -1
            after = said(network, valid, **{**given, what: other}).mask_logits[0]
            columns.append((after - before).abs().amax((1, 2, 3)) > 1e-11 * before.abs().max())
    return torch.stack(columns, 1)


EVERY, OWN = torch.ones(4, 4).bool(), torch.eye(4).bool()
NEAR = torch.ones(4, 4).tril(1).triu(-1).bool()


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"local": LocalConfig(layers=1)}, EVERY),
        ({"local": LocalConfig(layers=1, query="learned")}, OWN),
        ({"local": LocalConfig(layers=1, query="learned", memory="window", window=3)}, NEAR),
        ({"local": LocalConfig(layers=1, query="learned", memory="frame+global")}, EVERY),
        ({"local": LocalConfig(layers=1, query="learned"), "audio_context_layers": 1}, EVERY),
        ({"local_calibration": False}, EVERY),
        ({"decompose": False}, OWN),
        ({"decompose": False, "early_fusion": True}, EVERY),
        ({"decompose": False, "pixel_decoder": "audio_dual"}, EVERY),
    ],
    ids=["global", "learned", "window", "frame+global", "context", "clip", "baseline", "early", "dual"],
)
def test_whose_sound_a_frame_hears(changes: dict[str, Any], wanted: Tensor) -> None:
    network = made(**{**DEAF_PICTURES, "quantise": False, **changes})
    assert torch.equal(reached(network, "audio"), wanted)


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"pixel_decoder": "audio_dual"}, EVERY),
        ({"pixel_decoder": "default"}, OWN),
        ({"pixel_decoder": "default", "backbone": "video_swin_tiny", "backbone_options": TINY}, EVERY),
        ({"pixel_decoder": "default", "backbone": "swin_tiny_patch4_window7_224", "backbone_options": TINY}, OWN),
    ],
    ids=["dual", "default", "video_swin", "swin"],
)
def test_whose_pictures_a_frame_sees(changes: dict[str, Any], wanted: Tensor) -> None:
    assert torch.equal(reached(made(**changes), "images"), wanted)


def test_without_calibration_the_clips_tokens_serve_every_frame() -> None:
    network = made(local_calibration=False)
    found = said(network)
    assert found.frame_tokens is None and network.calibration is None
    content = network._content(found.clip_tokens.tokens)
    assert torch.equal(content, found.clip_tokens.tokens)


def test_without_decomposition_sound_itself_asks() -> None:
    """Every frame's own sound for all queries, and the clip's mean, quantised, in fusion."""
    network = made(decompose=False)
    audio = noise(2, 3, 2, 8)  # two parts a second
    found = said(network, audio=audio)
    values = network.resizer(audio, PADDED).values
    assert torch.allclose(found.frame_tokens.tokens[PADDED], values.mean(2)[PADDED][:, None])
    assert found.frame_tokens.codes is None and found.frame_tokens.raw is not None
    assert torch.allclose(found.clip_tokens.raw[0, 0], values[0].mean((0, 1)), atol=1e-6)
    assert torch.allclose(found.clip_tokens.raw[1, 0], values[1, :2].mean((0, 1)), atol=1e-6)
    assert found.clip_tokens.codes.shape == (2, 1)
    assert network.decomposition is None and network.calibration is None


# Codebooks.


def test_separate_codebooks() -> None:
    """Alike they are one; and each is that of its place alone."""
    one, several = made(), made(codebook=replace(CODES, shared=False))
    several.load_state_dict(one.state_dict() | {"quantizer.codebook": one.quantizer.codebook.repeat(5, 1)})
    first, second = said(one), said(several)
    assert torch.equal(first.mask_logits, second.mask_logits)
    places = 64 * torch.arange(5)
    assert torch.equal(first.clip_tokens.codes + places, second.clip_tokens.codes)
    assert torch.equal(first.frame_tokens.codes[PADDED] + places, second.frame_tokens.codes[PADDED])
    with torch.no_grad():
        several.quantizer.codebook[2 * 64 : 3 * 64] += 1
    third = said(several)
    moved = (third.clip_tokens.tokens - second.clip_tokens.tokens).abs().amax((0, 2)) > 0.5
    assert moved.tolist() == [False, False, True, False, False]


def test_no_quantisation_leaves_tokens_as_they_are() -> None:
    found = said(made(quantise=False))
    for coded in (found.clip_tokens, found.frame_tokens):
        assert torch.equal(coded.tokens, coded.raw) and coded.codes is None
        assert coded.codebook_loss is None and coded.commitment_loss is None


@pytest.mark.parametrize("stop", [True, False])
def test_frames_teach_the_codebook_nothing(stop: bool) -> None:
    network = made(local=LocalConfig(layers=1, stop_gradient=stop)).train()
    found = said(network)
    assert found.frame_tokens.codebook_loss is None
    found.frame_tokens.commitment_loss.backward(retain_graph=True)
    assert network.quantizer.codebook.grad is None
    assert (network.decomposition.prototypes.grad is None) == stop
    assert network.calibration.places.grad.abs().max() > 0
    summed(found).backward(retain_graph=True)
    assert network.quantizer.codebook.grad is None  # straight through to the tokens
    assert network.decomposition.prototypes.grad.abs().max() > 0
    found.clip_tokens.codebook_loss.backward()
    assert network.quantizer.codebook.grad.abs().max() > 0


@pytest.mark.parametrize("stop", [True, False])
def test_calibration_may_teach_decomposition(stop: bool) -> None:
    network = made(**DEAF_PICTURES, local=LocalConfig(layers=1, stop_gradient=stop)).train()
    summed(said(network)).backward()
    gradient = network.decomposition.prototypes.grad
    assert gradient is None if stop else gradient.abs().max() > 0


@pytest.mark.parametrize("changes", [{"update": "ema"}, {"update": "ema", "restart_after": 1}, {"restart_after": 1}])
def test_only_clips_move_the_codebook(changes: dict[str, Any]) -> None:
    network = made(codebook=replace(CODES, **changes)).train()
    book, before = deepcopy(network.quantizer), network.quantizer.codebook.clone()
    torch.manual_seed(5)
    found = said(network)
    assert (found.clip_tokens.codebook_loss is None) == ("update" in changes)
    assert not torch.equal(network.quantizer.codebook, before)
    torch.manual_seed(5)
    book(found.clip_tokens.raw.detach(), True)
    assert torch.equal(book.codebook, network.quantizer.codebook)
    after = network.quantizer.codebook.clone()
    said(network.eval())
    assert torch.equal(network.quantizer.codebook, after)


def test_beta_weighs_commitment() -> None:
    one, two = (said(made(codebook=replace(CODES, beta=beta))) for beta in (0.25, 0.5))
    for tokens in ("clip_tokens", "frame_tokens"):
        ours, theirs = getattr(one, tokens).commitment_loss, getattr(two, tokens).commitment_loss
        assert ours > 0 and torch.allclose(2 * ours, theirs)


# What learns.


def test_frozen_parts_of_a_backbone() -> None:
    def learning(**changes: Any) -> set[str]:
        with torch.device("meta"):
            network = QDFormerNetwork(1, replace(SMALL, **changes))
        names = {
            n.removeprefix("stages.").split(".")[0] for n, p in network.backbone.named_parameters() if p.requires_grad
        }
        assert all(p.requires_grad for n, p in network.named_parameters() if not n.startswith("backbone."))
        return names

    assert learning() == {"layer2", "layer3", "layer4"}
    assert learning(frozen_stages=3) == {"layer4"}
    assert learning(frozen_stages=0) == {"conv1", "layer1", "layer2", "layer3", "layer4"}
    assert learning(frozen_stages=0, freeze_norms=False) == learning(frozen_stages=0) | {"bn1"}
    assert learning(freeze_visual=True) == set()
    assert "patch_embed" in learning(backbone="swin_tiny_patch4_window7_224")
    assert learning(backbone="video_swin_tiny", freeze_visual=True) == set()


def test_a_backbone_that_does_not_learn_stays_in_evaluation_mode() -> None:
    network = made(freeze_visual=True, freeze_norms=False).train()
    assert network.training and network.decoder.training and not network.backbone.training
    before = {name: x.clone() for name, x in network.backbone.state_dict().items()}
    summed(said(network)).backward()
    assert all(torch.equal(x, before[name]) for name, x in network.backbone.state_dict().items())
    assert made(freeze_norms=False).train().backbone.training


def test_dropout_is_for_training() -> None:
    network = made(dropout=0.5)
    assert torch.equal(said(network).mask_logits, said(network).mask_logits)
    assert not torch.equal(said(network.train()).mask_logits, said(network).mask_logits)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"decompose": False},
        {"quantise": False},
        {"local_calibration": False},
        {"local": LocalConfig(layers=1, memory="frame+global", stop_gradient=False)},
        {"local": LocalConfig(layers=1, query="learned", memory="window")},
        {"codebook": CodebookConfig(codes=64, width=16, normalise=True)},
        {"codebook": CodebookConfig(codes=64, shared=False, update="ema")},
        {"early_fusion": False},
        {"token_position": "learned", "dual_pool": "attention"},
        {"pixel_decoder": "default"},
        {"encoder_layers": 0},
        {"box_refine": False, "class_layers": 1},
        {"audio_context_layers": 2, "queries_per_token": 2},
    ],
    ids=lambda changes: "-".join(f"{name}={value}" for name, value in changes.items())[:60] or "default",
)
def test_every_parameter_learns(changes: dict[str, Any]) -> None:
    """No switch leaves a part behind that gets no gradient, which several processes would wait for."""
    network = made(**changes).train()
    found = said(network)
    losses = [found.clip_tokens.codebook_loss, found.clip_tokens.commitment_loss]
    losses += [found.frame_tokens.commitment_loss] if found.frame_tokens else []
    sum((loss for loss in losses if loss is not None), summed(found)).backward()
    idle = [name for name, p in network.named_parameters() if p.requires_grad and p.grad is None]
    assert not idle
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)


def test_defaults_are_what_the_page_says() -> None:
    config = QDFormerConfig()
    assert (config.tokens, config.codebook.codes, config.codebook.beta, config.codebook.update) == (
        5,
        512,
        0.25,
        "grad",
    )
    assert config.decompose and config.quantise and config.local_calibration and config.box_refine
