"""QDFormer's network: sizes, shapes, what reaches what, and numbers that could go wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from avseg.models.qdformer.config import CodebookConfig, LocalConfig, QDFormerConfig
from avseg.models.qdformer.encoder import group_norm
from avseg.models.qdformer.fusion import EarlyFusion
from avseg.models.qdformer.network import QDFormerNetwork
from avseg.models.qdformer.output import QDFormerOutput
from avseg.models.qdformer.pixel_decoder import DualAttention, DualFusion, FeaturePyramid
from avseg.nn.deform_encoder import as_maps, flattened
from avseg.nn.position import sine_positions, sine_sequence
from small import DEAF, small_config

SMALL: QDFormerConfig = small_config(
    "qdformer",
    **DEAF,
    heads=4,
    feedforward=48,
    dropout=0.0,
    tokens=QDFormerConfig().tokens,
    codebook=CodebookConfig(codes=64),
    points=QDFormerConfig().points,
)
PADDED = torch.tensor([[True, True, True], [True, True, False]])


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Several add up some gradients in an order of their own every time."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def noise(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def made(config: QDFormerConfig = SMALL, classes: int = 2, **changes: Any) -> QDFormerNetwork:
    """Of seeded weights that are nowhere zero, in evaluation mode."""
    torch.manual_seed(0)
    network = QDFormerNetwork(classes, replace(config, **changes))
    with torch.no_grad():
        for index, parameter in enumerate(network.parameters()):
            parameter += 0.05 * noise(*parameter.shape, seed=index)
        if network.quantizer is not None:
            # As far apart as tokens are, so that they take different codes.
            network.quantizer.codebook.copy_(noise(*network.quantizer.codebook.shape))
    return network.eval()


def said(network: QDFormerNetwork, valid: Tensor = PADDED, seed: int = 1, **changes: Tensor) -> QDFormerOutput:
    """Of seeded pictures (64 x 96) and sounds."""
    images = noise(int(valid.sum()), 3, 64, 96, seed=seed)
    audio = noise(*valid.shape, 1, network.config.audio_width, seed=seed + 1)
    output: QDFormerOutput = network(changes.get("images", images), changes.get("audio", audio), valid)
    return output


def summed(output: QDFormerOutput) -> Tensor:
    """One number that everything but the quantiser's losses has a part in."""
    parts = [x for layer in output.layers for x in (layer.class_logits, layer.boxes, layer.mask_logits)]
    return torch.stack([(x.float() * noise(*x.shape, seed=7)).mean() for x in parts]).sum()


def everything(output: QDFormerOutput) -> list[Tensor]:
    coded = [output.clip_tokens, *([output.frame_tokens] if output.frame_tokens else [])]
    tensors = [x for layer in output.layers for x in (layer.class_logits, layer.boxes, layer.mask_logits)]
    for tokens in coded:
        given = (tokens.raw, tokens.tokens, tokens.codes, tokens.codebook_loss, tokens.commitment_loss)
        tensors += [x for x in given if x is not None]
    return tensors


# Sizes.


def count(*modules: nn.Module) -> int:
    return sum(p.numel() for module in modules for p in module.parameters())


def test_parameters_of_every_part() -> None:
    with torch.device("meta"):
        network = QDFormerNetwork(70, QDFormerConfig())
    dual, decoder, encoder = network.pixel_decoder.dual, network.decoder, network.encoder
    assert dual is not None and encoder is not None and network.decomposition is not None
    assert [count(layer.attention) for layer in (*encoder.layers, *decoder.layers)] == 8 * [230_272]
    assert [count(layer) for layer in encoder.layers] == 4 * [1_282_176]
    assert [count(layer) for layer in decoder.layers] == 4 * [1_545_856]
    assert [count(layer) for layer in network.decomposition.decoder.layers] == 3 * [1_578_752]
    assert [count(head) for head in decoder.boxes] == 4 * [132_612]
    assert count(dual.block) == 3_091_200
    assert network.masks.controller.last.out_features == 2153
    assert {name: count(part) for name, part in network.named_children()} == {
        "backbone": 23_454_912,
        "resizer": 33_536,
        "decomposition": 4_738_048,
        "quantizer": 131_072,
        "calibration": 4_738_048,
        "projections": 5_639_168,
        "fusion": 263_168,
        "encoder": 5_129_728,
        "pixel_decoder": 6_635_776,
        "decoder": 6_715_666,
        "classes": 335_128,
        "masks": 684_905,
    }


@pytest.mark.parametrize(
    ("backbone", "total"),
    [("resnet50", 58_428_223), ("swin_tiny_patch4_window7_224", 58_930_489), ("video_swin_tiny", 59_256_997)],
)
def test_parameters_of_the_whole(backbone: str, total: int) -> None:
    with torch.device("meta"):
        assert count(QDFormerNetwork(1, QDFormerConfig(backbone=backbone))) == total


# Shapes.


@contextmanager
def watched(network: QDFormerNetwork) -> Iterator[dict[str, Any]]:
    """What the parts take and give, by name."""
    seen: dict[str, Any] = {}

    def keep(name: str) -> Any:
        return lambda _, taken, given: seen.__setitem__(name, (taken, given))

    handles = [part.register_forward_hook(keep(name)) for name, part in network.named_modules() if name]
    yield seen
    for handle in handles:
        handle.remove()


def shapes(tensors: Any) -> list[tuple[int, ...]]:
    return [tuple(x.shape) for x in tensors]


@pytest.mark.parametrize(
    ("config", "clips", "frames", "side"),
    [
        (SMALL, 2, 5, 224),
        (SMALL, 1, 10, 224),
        (SMALL, 1, 5, 384),
        (SMALL, 1, 10, 384),
        pytest.param(QDFormerConfig(), 1, 5, 224, marks=pytest.mark.slow),
    ],
    ids=["5-224", "10-224", "5-384", "10-384", "resnet50"],
)
def test_shapes_on_the_way(config: QDFormerConfig, clips: int, frames: int, side: int) -> None:
    torch.manual_seed(0)
    network = QDFormerNetwork(3, config).train()
    valid = torch.ones(clips, frames, dtype=torch.bool)
    if clips > 1 or frames > 5:
        valid[0, -2:] = False  # frames that only pad
    m, width, layers = int(valid.sum()), config.width, config.decoder_layers
    maps = [side // stride for stride in (4, 8, 16, 32)]
    levels = [*maps[1:], -(-side // 64)]
    pixels = sum(n * n for n in levels)
    assert pixels == {224: 1045, 384: 3060}[side]
    with watched(network) as seen, torch.no_grad():
        audio = noise(clips, frames, 1, config.audio_width)
        output = network(noise(m, 3, side, side), audio, valid)
    channels = [32, 48, 192, 96] if config is SMALL else [256, 512, 1024, 2048]
    assert shapes(seen["backbone"][1]) == [(m, c, n, n) for c, n in zip(channels, maps, strict=True)]
    assert seen["resizer"][1].values.shape == (clips, frames, 1, width)
    assert seen["decomposition"][1].shape == (clips, 5, width)
    assert shapes(seen["projections"][1]) == shapes(seen["fusion"][1]) == [(m, width, n, n) for n in levels]
    assert seen["encoder"][1].shape == (m, pixels, width)
    vision, tokens = seen["pixel_decoder.dual.block"][1]
    assert vision.shape == (clips, frames, maps[3] ** 2, width) and tokens.shape == (clips, 5, width)
    assert seen["pixel_decoder"][1].shape == (m, width, maps[0], maps[0])
    assert seen["calibration"][1].shape == (m, 5, width)
    content, memory, _ = seen["decoder"][0]
    assert content.shape == (m, 5, width) and memory.shape == (m, pixels, width)
    assert shapes(located.queries for located in seen["decoder"][1]) == layers * [(m, 5, width)]
    assert shapes(located.centres for located in seen["decoder"][1]) == layers * [(m, 5, 2)]
    assert seen["masks.controller"][1].shape == (m, 5, 8 * (width + 2) + 64 + 8 + 17)
    assert len(output.layers) == layers and output.sizes == (side, side)
    for layer in output.layers:
        assert layer.class_logits.shape == (clips, frames, 5, 3)
        assert layer.boxes.shape == (clips, frames, 5, 4)
        assert layer.mask_logits.shape == (clips, frames, 5, maps[0], maps[0])
    assert output.clip_tokens.tokens.shape == (clips, 5, width) and output.clip_tokens.codes.shape == (clips, 5)
    assert output.frame_tokens.tokens.shape == output.frame_tokens.raw.shape == (clips, frames, 5, width)
    assert output.frame_tokens.codes.shape == (clips, frames, 5)
    assert all(torch.isfinite(tensor).all() for tensor in everything(output))
    of_frames = (output.frame_tokens.raw, output.frame_tokens.tokens, output.frame_tokens.codes)
    for layer in output.layers:
        of_frames += (layer.class_logits, layer.boxes, layer.mask_logits)
    assert not any(tensor[~valid].any() for tensor in of_frames)


def test_sides_that_no_stride_divides() -> None:
    output = said(made(), PADDED, images=noise(5, 3, 50, 70))
    assert output.mask_logits.shape == (2, 3, 5, 13, 18) and output.sizes == (50, 70)


def test_only_the_last_layer_is_asked_outside_of_training() -> None:
    network = made()
    last = said(network)
    several = said(network.train())
    assert len(last.layers) == 1 and len(several.layers) == 2
    for name in ("class_logits", "boxes", "mask_logits"):
        assert torch.equal(getattr(several.layers[-1], name), getattr(last.layers[0], name))
        assert not torch.equal(getattr(several.layers[0], name), getattr(last.layers[0], name))


# What reaches what.


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"backbone": "video_swin_tiny", "backbone_options": {"embed_dim": 24}},
        {"audio_context_layers": 1, "local": LocalConfig(layers=1, memory="window")},
        {"decompose": False},
    ],
    ids=["default", "video", "context", "baseline"],
)
@pytest.mark.usefixtures("one_thread")
def test_frames_that_only_pad_influence_nothing(changes: dict[str, Any]) -> None:
    """Bit for bit, whatever they hold, with dropout, in the outputs and in the gradients."""
    network = made(dropout=0.1, **changes).train()
    valid = torch.tensor([[True, False, True, True], [True, False, False, False]])
    audio = noise(2, 4, 1, 8)

    def run(sound: Tensor) -> list[Tensor]:
        network.zero_grad()
        torch.manual_seed(3)
        output = said(network, valid, audio=sound)
        (summed(output) + output.clip_tokens.commitment_loss).backward()
        return everything(output) + [p.grad for p in network.parameters() if p.grad is not None]

    first = run(audio)
    for other in (float("nan"), float("inf"), 1e9):
        second = run(audio.masked_fill(~valid[..., None, None], other))
        assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
        assert all(torch.isfinite(x).all() for x in second)


@pytest.mark.parametrize("changes", [{}, {"decompose": False}], ids=["default", "baseline"])
def test_clips_of_a_batch_are_on_their_own(changes: dict[str, Any]) -> None:
    network = made(**changes)
    images, audio = noise(5, 3, 64, 96), noise(2, 3, 1, 8)
    both = network(images, audio, PADDED)
    parts = (images[:3], audio[:1], PADDED[:1]), (images[3:], audio[1:, :2], PADDED[1:, :2])
    for clip, part in enumerate(parts):
        alone = network(*part)
        frames = part[2].shape[1]
        assert torch.allclose(both.clip_tokens.raw[clip], alone.clip_tokens.raw[0], atol=1e-5)
        for name in ("class_logits", "boxes", "mask_logits"):
            ours = getattr(both, name) if name != "boxes" else both.layers[-1].boxes
            own = getattr(alone, name) if name != "boxes" else alone.layers[-1].boxes
            assert torch.allclose(ours[clip, :frames], own[0], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("pool", ["mean", "attention", "adaptive3"])
def test_the_order_of_tokens_carries_no_meaning(pool: str) -> None:
    """Prototypes in another order, with what belongs to their places: tokens follow, and the map stays what it was
    where the pool does not know neighbours."""
    network = made(dual_pool=pool, queries_per_token=2)
    before = said(network)
    order = torch.tensor([3, 0, 4, 2, 1])
    queries = (2 * order[:, None] + torch.arange(2)).flatten()
    with torch.no_grad():
        for parameter, places in (
            (network.decomposition.prototypes, order),
            (network.calibration.places, order),
            (network.decoder.position, queries),
        ):
            parameter.copy_(parameter[places])
    after = said(network)
    assert torch.allclose(after.clip_tokens.raw, before.clip_tokens.raw[:, order], atol=1e-5)
    assert torch.equal(after.clip_tokens.codes, before.clip_tokens.codes[:, order])
    assert torch.equal(after.frame_tokens.codes, before.frame_tokens.codes[:, :, order])
    maps = [
        (o.class_logits.sigmoid()[..., None, None] * o.mask_logits.sigmoid()[:, :, :, None]).amax(2)
        for o in (before, after)
    ]
    assert torch.allclose(*maps, atol=1e-5) == (pool != "adaptive3")
    assert maps[0].std() > 1e-3


def test_queries_of_a_token_are_neighbours() -> None:
    network = made(queries_per_token=2)
    with torch.no_grad():
        network.decoder.position[1::2] = network.decoder.position[::2]
    boxes = said(network).layers[-1].boxes[0, 0]
    assert torch.allclose(boxes[::2], boxes[1::2], atol=1e-6)
    assert (boxes[2:4:2] - boxes[:2:2]).abs().max() > 1e-4


def test_boxes_begin_small_and_where_their_queries_are() -> None:
    torch.manual_seed(0)
    network = QDFormerNetwork(2, SMALL).train()
    output = said(network, torch.ones(1, 1, dtype=torch.bool))
    start = network.decoder.place(network.decoder.position).sigmoid()
    for layer in output.layers:
        assert torch.allclose(layer.boxes[0, 0, :, :2], start, atol=1e-5)
        assert torch.allclose(layer.boxes[..., 2:], torch.tensor(-2.0).sigmoid(), atol=1e-5)
        assert torch.allclose(layer.class_logits.sigmoid().mean(), torch.tensor(0.01), atol=0.01)


@pytest.mark.parametrize("refine", [True, False])
def test_boxes_correct_those_of_the_layer_before(refine: bool) -> None:
    network = made(box_refine=refine).train()
    with watched(network) as seen:
        output = said(network, torch.ones(1, 2, dtype=torch.bool))
    located = seen["decoder"][1]
    start = network.decoder.place(network.decoder.position).sigmoid().expand(2, -1, -1)
    for index, layer in enumerate(located):
        old = located[index - 1].boxes if refine and index else start
        heads = network.decoder.boxes
        change = heads[index if refine else 0](layer.queries)
        change[..., : old.shape[-1]] += torch.logit(old)
        assert torch.allclose(layer.boxes, change.sigmoid(), atol=1e-5)
        assert torch.allclose(layer.centres, layer.boxes[..., :2] if refine else start)
        assert layer.centres.requires_grad != refine
    assert len(heads) == len(network.classes) == (2 if refine else 1)
    assert torch.equal(output.layers[-1].boxes[0], located[-1].boxes)


# Against their definitions.


def attended(attention: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """torch's attention with the weights of ours."""
    out, _ = F.multi_head_attention_forward(
        *(x.transpose(0, 1) for x in (query, key, value)),
        query.shape[-1],
        attention.heads,
        attention.in_proj_weight,
        attention.in_proj_bias,
        None,
        None,
        False,
        0.0,
        attention.out_proj.weight,
        attention.out_proj.bias,
        training=False,
    )
    return out.transpose(0, 1)


@pytest.mark.parametrize("position", ["none", "sine", "learned"])
def test_early_fusion_multiplies_by_what_pixels_find(position: str) -> None:
    fusion = EarlyFusion(32, 4, 5, position)
    map_, tokens = noise(2, 32, 3, 4), noise(2, 5, 32, seed=2)
    added = {"none": torch.zeros(5, 32), "sine": sine_sequence(torch.arange(1, 6) / 5, 32), "learned": fusion.position}
    pixels = map_.flatten(2).transpose(1, 2)
    wanted = pixels * attended(fusion.attention, pixels, tokens + added[position], tokens)
    (fused,) = fusion([map_], tokens)
    assert torch.allclose(fused, wanted.transpose(1, 2).reshape(map_.shape), atol=1e-5)


def dual_of_one_clip(dual: DualFusion, frames: Tensor, tokens: Tensor) -> Tensor:
    """Step by step for a clip without padding: (T, C, h, w) and (N, C)."""
    block, (count, width, h, w) = dual.block, frames.shape
    v = frames.permute(0, 2, 3, 1).reshape(1, -1, width)
    places = sine_positions(h, w, width).repeat(count, 1)[None]
    a = tokens[None]
    v = block.among.norm(v + attended(block.among.attention, v + places, v + places, v))
    to_vision = attended(block.hear, v + places, a, a)
    shown = block.show(v)
    to_sound = attended(block.see, block.ask(a), shown[..., :width] + places, shown[..., width:])
    v = block.pixel_norm(v + to_vision)
    v = block.pixel_feed_forward.norm(v + block.pixel_feed_forward.linear2(block.pixel_feed_forward.linear1(v).relu()))
    a = block.token_norm(a + to_sound)
    a = block.token_feed_forward.norm(a + block.token_feed_forward.linear2(block.token_feed_forward.linear1(a).relu()))
    seen = v.reshape(count, h, w, width).permute(0, 3, 1, 2)
    pooled = F.adaptive_avg_pool1d(a[0].T[None], 3)[0].T if dual.pool == "adaptive3" else a[0].mean(0).expand(3, -1)
    filtered = [dual.enter(seen).relu() * dual.filter(one)[:, None, None] for one in pooled]
    return seen + dual.join(torch.cat(filtered, 1)).relu()


@pytest.mark.parametrize("pool", ["adaptive3", "mean"])
@pytest.mark.parametrize("tokens", [5, 1])
def test_pictures_and_tokens_of_a_clip_meet_as_defined(pool: str, tokens: int) -> None:
    torch.manual_seed(0)
    dual = DualFusion(DualAttention(32, 4, 48, 0.1), 32, pool).eval()
    maps, sounds = noise(5, 32, 2, 3), noise(2, tokens, 32, seed=2)
    fused = dual(maps, sounds, PADDED)
    assert torch.allclose(fused[:3], dual_of_one_clip(dual, maps[:3], sounds[0]), atol=1e-5)
    assert torch.allclose(fused[3:], dual_of_one_clip(dual, maps[3:], sounds[1]), atol=1e-5)


def test_maps_are_joined_from_coarse_to_fine() -> None:
    torch.manual_seed(0)
    pyramid = FeaturePyramid(24, 32).eval()
    fine, *coarse = maps = [noise(2, c, n, n + 1, seed=n) for c, n in ((24, 13), (32, 7), (32, 4), (32, 2))]
    y = pyramid.outputs[0](pyramid.laterals[0](coarse[-1])).relu()
    for index, map_ in enumerate((coarse[1], coarse[0], fine), start=1):
        # Nearest: pixel i of n is pixel floor(i * m / n) of m.
        rows, columns = (torch.arange(n) * m // n for n, m in zip(map_.shape[2:], y.shape[2:], strict=True))
        y = pyramid.outputs[index](pyramid.laterals[index](map_) + y[:, :, rows][:, :, :, columns]).relu()
    nobody = torch.empty(1, 0, 32)
    assert torch.allclose(pyramid(maps, nobody, torch.ones(1, 2).bool()), pyramid.mask_features(y), atol=1e-5)


def test_maps_become_tokens_and_maps_again() -> None:
    maps = [noise(2, 8, 4, 5), noise(2, 8, 2, 3, seed=2)]
    tokens, sizes = flattened(maps)
    assert tokens.shape == (2, 26, 8) and sizes == [(4, 5), (2, 3)]
    assert torch.equal(tokens[:, 7], maps[0][:, :, 1, 2]) and torch.equal(tokens[:, 20 + 4], maps[1][:, :, 1, 1])
    assert all(torch.equal(a, b) for a, b in zip(as_maps(tokens, sizes), maps, strict=True))


def test_seconds_are_placed_by_their_share_of_the_clip() -> None:
    """Two parts a second, counted over the frames that exist; content has no place, keys do."""
    network = made()
    sound = network.resizer(noise(2, 3, 2, 8), PADDED)
    for clip, frames in enumerate((3, 2)):
        shares = torch.arange(1, 2 * frames + 1) / (2 * frames)
        placed = sound.position[clip, :frames].flatten(0, 1)
        assert torch.allclose(placed, sine_sequence(shares, 32), atol=1e-5)
    again = network.resizer(noise(2, 3, 2, 8).flip(1), PADDED[:1].expand(2, -1))
    assert torch.allclose(again.values[0], network.resizer(noise(2, 3, 2, 8), PADDED).values[0].flip(0), atol=1e-6)


# Numbers that could go wrong.


@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.parametrize("decompose", [True, False])
def test_one_silent_frame(parts: int, decompose: bool) -> None:
    """A clip of one frame without any sound, with one or several vectors a second."""
    torch.manual_seed(0)
    network = QDFormerNetwork(2, replace(SMALL, decompose=decompose)).train()
    one = torch.ones(1, 1, dtype=torch.bool)
    output = said(network, one, audio=torch.zeros(1, 1, parts, 8))
    (summed(output) + output.clip_tokens.codebook_loss + output.clip_tokens.commitment_loss).backward()
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    assert len(gradients) > 50 and all(torch.isfinite(x).all() for x in (*everything(output), *gradients))
    assert max(float(x.abs().max()) for x in gradients) < 100


@pytest.mark.parametrize("update", ["grad", "ema"])
def test_half_precision(update: Any) -> None:
    network = made(dropout=0.1, codebook=CodebookConfig(codes=16, update=update, restart_after=1)).train()
    one = torch.ones(1, 1, dtype=torch.bool)
    with torch.autocast("cpu", torch.bfloat16):
        output = said(network, one, audio=100 * noise(1, 1, 1, 8))  # loud
    losses = [output.clip_tokens.codebook_loss, output.clip_tokens.commitment_loss, output.frame_tokens.commitment_loss]
    assert all(loss is None or loss.dtype == torch.float32 for loss in losses)
    assert output.layers[0].boxes.dtype == torch.float32
    sum((loss for loss in losses if loss is not None), summed(output)).backward()
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    assert len(gradients) > 50 and all(torch.isfinite(x).all() for x in (*everything(output), *gradients))
    network = made(codebook=CodebookConfig(codes=16, update=update))
    precise = said(network, one)
    with torch.autocast("cpu", torch.bfloat16):
        rough = said(network, one)
    assert (rough.layers[-1].boxes - precise.layers[-1].boxes).abs().max() < 0.05


def test_everything_made_on_the_way_is_where_the_input_is() -> None:
    """With another place as the default, whatever names none would be there, and not go together with the rest."""
    network = made(
        token_position="sine", audio_context_layers=1, local=LocalConfig(layers=1, memory="window"), quantise=True
    ).train()
    images, audio = noise(5, 3, 64, 96), noise(2, 3, 2, 8)
    with torch.device("meta"):
        output = network(images, audio, PADDED)
    assert all(tensor.device.type == "cpu" for tensor in everything(output))


# Bad input.


@pytest.mark.parametrize(
    ("images", "audio", "valid", "message"),
    [
        ((4, 3, 64, 64), (2, 3, 1, 8), [3, 2], r"pictures of shape \(4, 3, 64, 64\) for 5 frames"),
        ((5, 3, 64, 64), (2, 3, 8), [3, 2], r"sound of shape \(2, 3, 8\) for clips and frames \(2, 3\)"),
        ((5, 3, 64, 64), (2, 3, 1, 9), [3, 2], r"wanted \(B, T, S, 8\)"),
        ((3, 3, 64, 64), (2, 3, 1, 8), [3, 0], r"clip\(s\) \[1\] of the batch have no frame"),
    ],
)
def test_inputs_that_do_not_fit(images: Any, audio: Any, valid: list[int], message: str) -> None:
    exist = torch.arange(3) < torch.tensor(valid)[:, None]
    with pytest.raises(ValueError, match=message):
        made()(torch.zeros(images), torch.zeros(audio), exist)


def test_a_width_that_norms_cannot_group() -> None:
    with pytest.raises(ValueError, match="width 36; wanted a multiple of 8"):
        QDFormerNetwork(1, replace(SMALL, width=36))
    assert group_norm(256).num_groups == 32
