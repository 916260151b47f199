"""AVISM's network: windows in time, one sound a frame, masked attention, memory; small and without checkpoints."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from avseg.models.avism.config import AVISMConfig
from avseg.models.avism.detector import FrameDecoder
from avseg.models.avism.network import AVISMNetwork
from avseg.models.avism.video import ClipDecoder, VideoModule, WindowEncoder, windows
from avseg.nn.position import sine_positions
from small import small_config

WIDTH, HEADS, INNER = 32, 4, 48
LENGTHS = [*range(1, 14), 25]


def seeded(module: nn.Module) -> Any:
    """The same module with numbers that are nowhere zero or one, in evaluation mode."""
    g = torch.Generator().manual_seed(0)
    for name, tensor in module.named_parameters():
        drawn = torch.randn(tensor.shape, generator=g) * (0.2 if tensor.ndim == 1 else tensor.shape[1] ** -0.5)
        tensor.data = drawn + (tensor.ndim == 1 and name.endswith("weight"))
    return module.eval()


def noise(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("config", "parts"),
    [
        (AVISMConfig(), (23_454_912, 6_035_904, 15_486_491, 21_094_939)),
        (
            AVISMConfig(backbone="swin_large_patch4_window12_384", frame_queries=200),
            (195_201_204, 5_790_144, 15_537_691, 21_120_539),
        ),
    ],
    ids=["resnet50", "swin_large"],
)
def test_parameters_as_published(config: AVISMConfig, parts: tuple[int, ...]) -> None:
    with torch.device("meta"):
        network = AVISMNetwork(26, config)
    counted = [sum(p.numel() for p in part.parameters()) for part in network.children()]
    assert dict(zip(("backbone", "pixel_decoder", "detector", "video"), counted, strict=True)) == dict(
        zip((name for name, _ in network.named_children()), parts, strict=True)
    )
    assert sum(counted) == (66_072_246 if config.frame_queries == 100 else 237_649_578)


# Windows.


@pytest.mark.parametrize("frames", LENGTHS)
@pytest.mark.parametrize("length", [1, 2, 5, 6])
@pytest.mark.parametrize("shifted", [False, True])
def test_windows_are_what_their_formula_says(frames: int, length: int, shifted: bool) -> None:
    """Frame t belongs to floor(t / length), or where windows are shifted to floor((t + length // 2) / length)."""
    spans = windows(frames, length, shifted)
    assert [t for a, b in spans for t in range(a, b)] == list(range(frames))
    group = [k for k, (a, b) in enumerate(spans) for _ in range(a, b)]
    formula = [(t + length // 2 * shifted) // length for t in range(frames)]
    assert group == formula and all(a < b for a, b in spans)


def published_encoder(encoder: WindowEncoder, queries: Tensor, audio: Tensor) -> Tensor:
    """As published: attention among all tokens with forbidden pairs, and a copy of the sound for every query."""
    clips, frames, count, width = queries.shape
    frame = torch.arange(frames).repeat_interleave(count)

    def attended(module: Any, x: Tensor, memory: Tensor, shifted: bool) -> Tensor:
        group = (frame + encoder.window // 2 * shifted) // encoder.window
        allowed = (group[:, None] == group).expand(clips, -1, -1)
        out: Tensor = module.norm(x + module.attention(x, memory, memory, allowed))
        return out

    tokens = encoder.enter(queries).flatten(1, 2)
    for index, layer in enumerate(encoder.objects):
        shifted = bool(index % 2) and not encoder.training
        tokens = layer.feed_forward(attended(layer.attention, tokens, tokens, shifted))
    sounds = encoder.hear(audio).repeat_interleave(count, 1)
    for index, layer in enumerate(encoder.sounds):
        sounds = layer.feed_forward(attended(layer.attention, sounds, tokens, bool(index % 2)))
    return (tokens + sounds).reshape(clips, frames, count, width)


@pytest.mark.parametrize("training", [False, True])
def test_windows_and_one_sound_a_frame_give_the_published_numbers(training: bool) -> None:
    encoder = seeded(WindowEncoder(WIDTH, HEADS, INNER, 3, 6, 5)).train(training)
    for frames in (1, 2, 3, 4, 6, 7, 9, 10, 13, 25):
        queries, audio = noise(2, frames, 3, WIDTH), noise(2, frames, 5, seed=2)
        wanted = published_encoder(encoder, queries, audio)
        assert torch.allclose(encoder(queries, audio), wanted, atol=1e-5)
        with torch.inference_mode():  # windows in place
            assert torch.allclose(encoder(queries, audio), wanted, atol=1e-5)


def test_sight_spreads_beyond_a_window_only_in_evaluation() -> None:
    encoder = seeded(WindowEncoder(WIDTH, HEADS, INNER, 2, 6, 5))
    queries, audio = noise(1, 12, 3, WIDTH), noise(1, 12, 5)
    other = queries.clone()
    other[:, 5] += 1
    for training, reached in ((False, range(9)), (True, range(6))):
        encoder.train(training)
        encoder.sounds = nn.ModuleList()  # sounds spread on their own
        moved = (encoder(other, audio) - encoder(queries, audio)).abs().amax((0, 2, 3)) > 1e-6
        assert moved.nonzero().flatten().tolist() == list(reached)


# The clip stage.


def video_module(queries: int = 3) -> VideoModule:
    encoder = WindowEncoder(WIDTH, HEADS, INNER, 2, 6, 5)
    return seeded(VideoModule(encoder, ClipDecoder(4, WIDTH, HEADS, INNER, queries, 7, 2), WIDTH))


def test_layers_and_clips_are_watched_side_by_side() -> None:
    video = video_module()
    queries, audio = noise(3, 2, 8, 3, WIDTH), noise(2, 8, 5, seed=2)
    watched = video(queries, audio, similarity=True)
    assert watched.frame_similarity.shape == (3, 2, 8, 3, WIDTH) and watched.clip_similarity.shape == (3, 2, 7, WIDTH)
    assert len(watched.predictions) == 2 and watched.predictions[0].class_logits.shape == (3, 2, 7, 5)
    for layer in range(3):
        for clip in range(2):
            alone = video(queries[layer : layer + 1, clip : clip + 1], audio[clip : clip + 1])
            assert alone.frame_similarity is None and alone.clip_similarity is None
            for many, one in zip(watched.predictions, alone.predictions, strict=True):
                assert torch.allclose(many.class_logits[layer, clip], one.class_logits[0, 0], atol=1e-5)
                assert torch.allclose(many.mask_embeddings[layer, clip], one.mask_embeddings[0, 0], atol=1e-5)
    assert video.train()(queries, audio).frame_similarity is not None


def test_clip_queries_know_which_frame_query_but_not_which_frame() -> None:
    decoder = video_module().decoder
    memory = noise(1, 4, 3, WIDTH)
    states = decoder(memory)[-1]
    assert torch.allclose(states, decoder(memory[:, [2, 0, 3, 1]])[-1], atol=1e-5)
    assert not torch.allclose(states, decoder(memory[:, :, [1, 0, 2]])[-1], atol=1e-3)


def test_sounds_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match=r"8 frames of 1 clip\(s\) came with sounds \(1, 9, 5\)"):
        video_module()(noise(1, 1, 8, 3, WIDTH), noise(1, 9, 5))


class Largest(TorchDispatchMode):
    """The most numbers that any tensor made inside has."""

    numbers = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for tensor in made if isinstance(made, (tuple, list)) else (made,):
            if isinstance(tensor, Tensor):
                self.numbers = max(self.numbers, tensor.numel())
        return made


def test_long_clips_make_nothing_larger_than_their_frame_queries() -> None:
    """Neither the inner layers of all tokens (6 times as many numbers) nor the affinities of clip queries exist."""
    video = seeded(VideoModule(WindowEncoder(16, 2, 96, 2, 6, 5), ClipDecoder(4, 16, 2, 96, 20, 50, 1), 16))
    queries, audio = noise(1, 1, 200, 20, 16), noise(1, 200, 5)
    with torch.inference_mode(), Largest() as largest:
        video(queries, audio)
    assert largest.numbers == queries.numel()


def test_windows_in_place_lose_no_precision_under_autocast() -> None:
    encoder = seeded(WindowEncoder(WIDTH, HEADS, INNER, 3, 6, 5))
    queries, audio = noise(1, 13, 3, WIDTH), noise(1, 13, 5)
    with torch.autocast("cpu", torch.bfloat16):
        kept = encoder(queries, audio)
        with torch.no_grad():
            assert torch.equal(encoder(queries, audio), kept)


# The frame stage.


def detector() -> FrameDecoder:
    decoder: FrameDecoder = seeded(FrameDecoder(4, WIDTH, HEADS, INNER, 6, 4, 5))
    return decoder


def pyramid(count: int = 2) -> tuple[list[Tensor], Tensor, Tensor]:
    maps = [noise(count, WIDTH, 3 * k, 2 * k, seed=k) for k in (1, 2, 4)]
    return maps, noise(count, WIDTH, 24, 16, seed=9), noise(count, 5, seed=8)


def published_detector(decoder: FrameDecoder, maps: list[Tensor], features: Tensor, audio: Tensor) -> list[Any]:
    """The equations, with masks formed at full size and resized, and attention written out."""

    def attended(module: Any, x: Tensor, key: Tensor, value: Tensor, query: Tensor, blocked: Any = None) -> Tensor:
        parts = module.attention
        mask = None if blocked is None else blocked.repeat_interleave(HEADS, 0)
        found, _ = F.multi_head_attention_forward(
            *(t.transpose(0, 1) for t in (query, key, value)), WIDTH, HEADS, parts.in_proj_weight, parts.in_proj_bias,
            None, None, False, 0.0, parts.out_proj.weight, parts.out_proj.bias, attn_mask=mask,
        )  # fmt: skip
        out: Tensor = module.norm(x + found.transpose(0, 1))
        return out

    place, rows = decoder.position.weight, [m.flatten(2).transpose(1, 2) for m in maps]
    memories = [r + level for r, level in zip(rows, decoder.level.weight, strict=True)]
    sines = [sine_positions(*m.shape[2:], WIDTH) for m in maps]
    sound = decoder.hear(audio)[:, None].expand(-1, len(place), -1)
    heard = [attended(part, sound, m, m, sound + place) for part, m in zip(decoder.listen, memories, strict=True)]
    x = decoder.query.weight + decoder.join(torch.cat(heard, -1))
    predictions = []
    for index in range(len(decoder.layers) + 1):
        state = decoder.norm(x)
        masks = torch.einsum("nqd,ndhw->nqhw", decoder.mask_embedding(state), features)
        predictions.append((state, decoder.classify(state), masks))
        if index == len(decoder.layers):
            return predictions
        level, layer = index % 3, decoder.layers[index]
        small = F.interpolate(masks, maps[level].shape[-2:], mode="bilinear", align_corners=False)
        blocked = (small.sigmoid() < 0.5).flatten(2)
        blocked[blocked.all(-1)] = False
        memory, sine = memories[level], sines[level]
        x = attended(layer.cross_attention, x, memory + sine, memory, x + place, blocked)
        x = layer.feed_forward(attended(layer.self_attention, x, x + place, x, x + place))
    raise AssertionError


def test_frame_decoder_is_the_equations() -> None:
    decoder = detector().train()
    maps, features, audio = pyramid()
    decoder.query.weight.data *= 8
    features[:, 0] += 9  # some masks are empty, some are not
    queries, predictions = decoder(maps, features, audio, kept=3)
    wanted = published_detector(decoder, maps, features, audio)
    shares = torch.cat([(masks > 0).flatten(2).float().mean(-1).flatten() for _, _, masks in wanted])
    assert bool((shares == 0).any()) and bool((shares > 0.1).any())
    for got, (_, logits, masks) in zip(predictions, wanted, strict=True):
        assert torch.allclose(got.class_logits, logits, atol=1e-4)
        assert torch.allclose(got.mask_logits, masks, atol=1e-4)
    for got, (state, _, _) in zip(queries, wanted[-3:], strict=True):
        assert torch.allclose(got, state, atol=1e-4)


def test_evaluation_predicts_after_the_last_layer_or_not_at_all() -> None:
    decoder, given = detector(), pyramid()
    trained_queries, trained = decoder.train()(*given, kept=2)
    queries, predictions = decoder.eval()(*given)
    assert len(trained) == 5 and len(predictions) == 1
    assert torch.equal(queries[0], trained_queries[1])
    assert torch.equal(predictions[0].mask_logits, trained[-1].mask_logits)
    none_wanted, none = decoder(*given, predict=False)
    assert none == [] and torch.equal(none_wanted, queries)


def test_sound_reaches_every_prediction() -> None:
    decoder, (maps, features, audio) = detector().train(), pyramid()
    _, heard = decoder(maps, features, audio)
    _, other = decoder(maps, features, audio + 1)
    assert all(not torch.allclose(a.class_logits, b.class_logits) for a, b in zip(heard, other, strict=True))


def tiny_network() -> AVISMNetwork:
    sizes = {"width": WIDTH, "heads": HEADS, "feedforward": INNER, "pixel_feedforward": INNER, "audio_width": 5}
    return AVISMNetwork(3, small_config("avism", **sizes, frame_queries=5, clip_queries=4)).eval()


def test_pictures_are_looked_at_one_by_one_and_gradients_reach_everything() -> None:
    torch.manual_seed(0)
    network = tiny_network()
    images, audio = noise(3, 3, 64, 96), noise(3, 5)
    together = network.look(images, audio, layers=2)
    assert together.queries.shape == (2, 3, 5, WIDTH) and together.clip_features.shape == (3, WIDTH, 16, 24)
    for one in range(3):
        alone = network.look(images[one : one + 1], audio[one : one + 1], layers=2)
        assert torch.allclose(alone.queries[:, 0], together.queries[:, one], atol=1e-4)
        assert torch.allclose(alone.clip_features[0], together.clip_features[one], atol=1e-4)
    with pytest.raises(ValueError, match="3 pictures came with 2 sounds"):
        network.look(images, audio[:2])

    network.train()
    seen = network.look(images, audio, layers=3)
    watched = network.watch(seen.queries[:, None], audio[None])
    assert watched.frame_similarity is not None and watched.clip_similarity is not None
    parts = [p.class_logits.square().mean() + p.mask_logits.square().mean() for p in seen.predictions]
    parts += [p.class_logits.square().mean() + p.mask_embeddings.square().mean() for p in watched.predictions]
    parts += [watched.frame_similarity.square().mean(), watched.clip_similarity.square().mean()]
    sum([seen.clip_features.square().mean(), *parts]).backward()
    idle = [name for name, p in network.named_parameters() if p.grad is None or not bool(p.grad.isfinite().all())]
    assert idle == []
