"""AVSegFormer as a model: padding, sound, losses, frozen backbone, faster forms, generations."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from avseg.config import InputSpec
from avseg.models.avsegformer.config import AVSegFormerConfig
from avseg.models.avsegformer.convert import convert, convert_file, find_generation, find_variant, renamed
from avseg.models.avsegformer.masks import LikenessHead, SoundMixer
from avseg.models.avsegformer.model import AVSegFormer, AVSegFormerOutput
from avseg.models.avsegformer.presets import GENERATIONS, PRESETS
from avseg.models.avsegformer.queries import OneKeyAttention, QueryGenerator
from avseg.types import Batch, DensePrediction, Draw, Task
from models.small import BINARY, SEMANTIC, batch, clip
from small import small, small_config

CONFIG: AVSegFormerConfig = small_config("avsegformer")
GOLDEN = Path(__file__).parents[1] / "golden/avsegformer"


def small_model(task: Task = BINARY, **changes: Any) -> AVSegFormer:
    model = small("avsegformer", task, **changes)
    assert isinstance(model, AVSegFormer)
    return model


def logits_of(model: AVSegFormer, b: Batch) -> list[Tensor]:
    return [p.logits for p in model.predict(b) if isinstance(p, DensePrediction)]


def loss_of(model: AVSegFormer, b: Batch) -> dict[str, float]:
    with torch.no_grad():
        return {name: float(term) for name, term in model.losses(model(b), b).items()}


def loss_term(model: AVSegFormer, output: AVSegFormerOutput, b: Batch) -> float:
    return float(model.losses(output, b)["mix"].detach())


@pytest.mark.parametrize("valid_mask", [False, True])
def test_frames_are_on_their_own_and_padding_changes_nothing(valid_mask: bool) -> None:
    model = small_model(valid_mask=valid_mask)
    c = clip(3)
    (alone,) = logits_of(model, batch(c))
    padded = batch(c, clip(5, seed=1))
    noise = padded.frames.clone()
    noise[0, 3:] = 77
    first, _ = logits_of(model, replace(padded, frames=noise))
    assert torch.allclose(alone, first, atol=2e-6)
    changed = c.frames.clone()
    changed[2] = 0
    (other,) = logits_of(model, batch(replace(c, frames=changed)))
    assert torch.allclose(alone[:2], other[:2], atol=1e-6) and not torch.allclose(alone[2], other[2], atol=1e-4)


def test_the_published_padding_is_seen_by_batch_norms_in_training_alone() -> None:
    b = batch(clip(2), frames=4)
    for masked in (False, True):
        model = small_model(valid_mask=masked).train()
        out = model(b)
        assert out.logits.shape[1] == out.mix_logits.shape[1] == 4
        assert out.logits[:, 2:].abs().max() == out.mix_logits[:, 2:].abs().max() == 0
        norm = next(m for m in model.network.backbone.modules() if isinstance(m, nn.BatchNorm2d))
        pictures = torch.cat([b.frames[0, :2].float(), torch.zeros(2 * masked, 3, 64, 64)])
        assert norm.num_batches_tracked == 1 and len(pictures) == (4 if masked else 2)
    means = []
    for masked in (False, True):
        model = small_model(valid_mask=masked).train()
        model(b)
        means.append(next(m for m in model.network.backbone.modules() if isinstance(m, nn.BatchNorm2d)).running_mean)
    assert not torch.allclose(means[0], means[1], atol=1e-6)  # type: ignore[arg-type]


def test_the_sound_decides() -> None:
    for generator in ("attention", "repeat"):
        model = small_model(generator=generator)
        c = clip(2)
        (a,) = logits_of(model, batch(c))
        (b,) = logits_of(model, batch(replace(c, audio=torch.zeros_like(c.audio))))
        assert not torch.allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("size", [(96, 64), (32, 32)])
def test_other_input_sizes_and_pictures_that_must_be_sized(size: tuple[int, int]) -> None:
    model = small_model(input=InputSpec(size=size, multiple_of=32))
    (prediction,) = model.predict(batch(clip(2, size=50)))
    assert isinstance(prediction, DensePrediction)
    assert prediction.logits.shape == (2, 1, *size) and prediction.labels(0).shape == (50, 50)


def test_a_key_alone_is_attended_to_without_queries_and_keys() -> None:
    torch.manual_seed(0)
    ours, theirs = OneKeyAttention(16), nn.MultiheadAttention(16, 4, bias=False, batch_first=True)
    theirs.load_state_dict(ours.state_dict())
    sound, queries = torch.randn(3, 16), torch.randn(3, 5, 16)
    wanted = theirs(queries, sound[:, None], sound[:, None])[0]
    assert torch.allclose(ours(sound)[:, None].expand_as(wanted), wanted, atol=1e-6)
    ours(sound).sum().backward()
    assert ours.in_proj_weight.grad is not None and not ours.in_proj_weight.grad[:32].any()


def test_queries_are_one_table_until_they_hear() -> None:
    torch.manual_seed(0)
    generator = QueryGenerator(7, 16, 4, 24, 2)
    sound = torch.randn(3, 16)
    alone = torch.cat([generator(row[None]) for row in sound])
    assert torch.allclose(generator(sound), alone, atol=1e-6)
    assert QueryGenerator(7, 16, 4, 24, 0)(sound).shape == (3, 7, 16)


def test_the_mixer_is_attention_of_one_query_to_all_pixels() -> None:
    torch.manual_seed(0)
    mixer, pixels, sound = SoundMixer(16, 4), torch.randn(3, 20, 16), torch.randn(3, 16)
    key, value = (torch.unflatten(x, -1, (4, 4)).transpose(1, 2) for x in mixer.key_value(pixels).chunk(2, -1))
    query = torch.unflatten(mixer.query(sound), -1, (4, 4))[:, :, None]
    wanted = F.scaled_dot_product_attention(query, key, value)[:, :, 0].flatten(1)
    assert torch.allclose(mixer(pixels, sound), mixer.project(wanted).sigmoid(), atol=1e-6)


@pytest.mark.parametrize("learning", [True, False])
def test_the_mask_head_is_that_of_maps_of_all_queries(learning: bool) -> None:
    torch.manual_seed(0)
    head = LikenessHead(3, 5, 8, 16, (6, 4)).double()
    feature, queries = torch.randn(2, 8, 6, 5).double(), torch.randn(2, 5, 8).double()
    x = torch.einsum("nqc,nchw->nhwq", queries, feature)
    x = head.leave(head.mix(head.enter(x).relu()).relu()).permute(0, 3, 1, 2)
    x = F.interpolate(head.first(feature + x), scale_factor=4, mode="bilinear", align_corners=False)
    x = F.conv2d(x, head.second.weight, head.second.bias, padding=1)
    with torch.set_grad_enabled(learning):
        got = head(feature, queries)
    assert torch.allclose(got, head.classify(x.relu()), atol=1e-12)


SECOND: dict[str, Any] = {**GENERATIONS[2], "dice": "published"}


def plain_layer_masks(model: AVSegFormer, heard: Tensor, memory: Tensor, sizes: list[tuple[int, int]]) -> list[Tensor]:
    """As told of the second generation: torch's attention with the weights that it gives, maps of each scale, a pyramid
    from the coarsest to the finest, and a head at the size of the picture."""
    network, found = model.network, []
    masks, table = network.layer_masks, network.table
    assert masks is not None and table is not None
    queries = heard[:, None].repeat(1, len(table), 1) + table
    for layer in network.decoder:
        own, look = layer.self_attention, layer.cross_attention  # type: ignore[union-attr]
        other = nn.MultiheadAttention(heard.shape[1], look.attention.heads, batch_first=True).to(heard)  # type: ignore[union-attr,arg-type,operator]
        other.load_state_dict(look.attention.state_dict())  # type: ignore[union-attr,operator]
        queries = own(queries)  # type: ignore[operator]
        answer, weights = other(queries, memory, memory, average_attn_weights=True)
        queries = layer.feed_forward(look.norm(queries + answer))  # type: ignore[union-attr,operator]
        laid = torch.einsum("nqc,nqp->ncp", queries, weights).split([h * w for h, w in sizes], 2)
        fine, middle, x = (part.unflatten(2, size) for part, size in zip(laid, sizes, strict=True))
        for up, finer in zip(masks.ups, (middle, fine, None), strict=True):
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = F.conv2d(x, up.weight, up.bias, padding=1)  # type: ignore[arg-type]
            x = x if finer is None else x + finer
        x = F.interpolate(masks.first(x), scale_factor=4, mode="bilinear", align_corners=False)
        found.append(masks.classify(F.conv2d(x, masks.second.weight, masks.second.bias, padding=1).relu()))
    return found


def test_masks_of_the_decoders_layers_are_those_of_the_second_generation() -> None:
    model = small_model(**SECOND, dropout=0.0, width=32).double().train()
    network, memories = model.network, []
    network.encoder.register_forward_hook(lambda _m, given, out: memories.append((out, given[1])))
    torch.manual_seed(1)
    images, sound = torch.randn(2, 3, 64, 64).double(), torch.randn(2, CONFIG.audio_width).double()
    logits, _, layers = network(images, sound)
    heard = network.audio_projection(sound)
    plain = plain_layer_masks(model, heard, *memories[0])
    assert [layer.shape for layer in layers] == [logits.shape] * CONFIG.decoder_layers
    assert all(torch.allclose(a, b, atol=1e-10) for a, b in zip(layers, plain, strict=True))
    wanted = sum(layer.square().mean() for layer in plain)
    gradients = torch.autograd.grad(wanted, [network.layer_masks.classify.weight, network.table])  # type: ignore[union-attr,list-item,arg-type]
    got = torch.autograd.grad(
        sum(layer.square().mean() for layer in layers),  # type: ignore[arg-type]
        [network.layer_masks.classify.weight, network.table],  # type: ignore[union-attr,list-item]
    )
    assert all(torch.allclose(a, b, atol=1e-10) for a, b in zip(got, gradients, strict=True))
    assert network.eval()(images, sound)[2] == []


@pytest.mark.parametrize("task", [BINARY, SEMANTIC], ids=["binary", "semantic"])
def test_every_layers_mask_is_judged_like_the_main_one(task: Task) -> None:
    model, b = small_model(task, **SECOND).train(), batch(clip(2, classes=2), clip(3, 1, classes=2))
    output = model(b)
    terms = model.losses(output, b)
    assert set(terms) == {"segmentation", "layers"} and len(output.layer_logits) == CONFIG.decoder_layers
    each = [
        float(model.losses(replace(output, logits=logits), b)["segmentation"].detach())
        for logits in output.layer_logits
    ]
    assert float(terms["layers"].detach()) == pytest.approx(0.1 * sum(each), rel=1e-5)
    sum(terms.values()).backward()
    assert all(p.grad is not None for p in model.network.layer_masks.parameters())  # type: ignore[union-attr]
    assert set(loss_of(model.eval(), b)) == {"segmentation"}


def batch_at(epoch: int) -> Batch:
    return replace(batch(clip(2), clip(2, 1)), draw=Draw(0, epoch))


@pytest.mark.parametrize("how", ["published", "still"])
def test_the_backbone_is_frozen_for_the_first_epochs(how: Any) -> None:
    model = small_model(freeze_backbone_epochs=2, frozen_backbone=how).train()
    backbone = model.network.backbone
    norm = next(m for m in backbone.modules() if isinstance(m, nn.BatchNorm2d))
    for epoch in (0, 1, 2):
        before = norm.num_batches_tracked.clone()  # type: ignore[union-attr]
        model.zero_grad()
        b = batch_at(epoch)
        sum(model.losses(model(b), b).values()).backward()
        assert all((p.grad is None) == (epoch < 2) for p in backbone.parameters())
        assert model.network.table.grad is not None  # type: ignore[union-attr]
        assert bool(norm.num_batches_tracked > before) == (epoch == 2 or how == "published")  # type: ignore[operator]
        assert all(m.training for m in backbone.modules())


def test_losses_by_config_and_annotated_frames_alone() -> None:
    published = {"dice": "published", "mix_probability": "published"}
    c = clip(annotated=1)
    assert set(loss_of(small_model(), batch(c))) == {"segmentation", "mix"}
    assert set(loss_of(small_model(mix_weight=0.0), batch(c))) == {"segmentation"}
    terms = loss_of(small_model(**published), batch(c))
    altered = replace(c, target=replace(c.target, labels=c.target.labels.clone()))
    altered.target.labels[1:] = 1
    assert loss_of(small_model(**published), batch(altered)) == terms
    assert terms != loss_of(small_model(), batch(c))
    bce = small_model(**published, binary_loss="bce")
    out = bce(batch(c))
    wanted = F.binary_cross_entropy_with_logits(out.logits[0, :1, 0], c.target.labels[:1].float())
    assert loss_of(bce, batch(c))["segmentation"] == pytest.approx(float(wanted), rel=1e-5)
    semantic = small_model(SEMANTIC, valid_mask=True, sounding_weight=0.1)
    assert set(loss_of(semantic, batch(clip(3, classes=2), frames=5))) == {"segmentation", "mix", "sounding"}


def test_an_empty_truth_teaches_unless_as_published() -> None:
    c = clip(2)
    c = replace(c, target=replace(c.target, labels=torch.zeros_like(c.target.labels)))
    for dice, learns in (("published", False), ("smoothed", True)):
        model = small_model(dice=dice, mix_weight=0.0).train()
        term = model.losses(model(batch(c)), batch(c))["segmentation"]
        term.backward()
        assert (model.network.head.classify.weight.grad.abs().max() > 0) == learns  # type: ignore[union-attr,operator]
        assert learns or float(term) == 1.0


def test_the_auxiliary_mask_reaches_zero_unless_as_published() -> None:
    model, c = small_model(), clip(1)
    out = model(batch(c))
    assert out.mix_logits.min() >= 0
    nothing = replace(out, mix_logits=torch.zeros_like(out.mix_logits))
    c = replace(c, target=replace(c.target, labels=torch.zeros_like(c.target.labels)))
    rescaled, published = (
        loss_term(small_model(mix_probability=how), nothing, batch(c)) for how in ("rescaled", "published")
    )
    assert rescaled < 1e-3 and published > 0.09


@pytest.mark.parametrize("task", [BINARY, SEMANTIC], ids=["binary", "semantic"])
def test_one_clip_is_learned_by_heart(task: Task) -> None:
    torch.manual_seed(0)
    model = small_model(task, dropout=0.0).train()
    c = clip(2, classes=2)
    labels = torch.zeros(2, 64, 64, dtype=torch.long)
    labels[0, 8:40, 8:40], labels[1, 24:56, 16:60] = 1, 1 if task is BINARY else 2
    b = batch(replace(c, target=replace(c.target, labels=labels)))
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(60):
        optimiser.zero_grad()
        torch.stack(list(model.losses(model(b), b).values())).sum().backward()
        optimiser.step()
    (prediction,) = model.predict(b)
    found = torch.stack([prediction.labels(t) for t in range(2)])  # type: ignore[union-attr]
    assert float((found == labels).float().mean()) > 0.95
    assert int(((found > 0) & (labels > 0)).sum()) > 0.85 * int(((found > 0) | (labels > 0)).sum())


def test_losses_are_float32_under_bfloat16() -> None:
    model = small_model().train()
    b = batch(clip(2))
    with torch.autocast("cpu", torch.bfloat16):
        out = model(b)
        terms = model.losses(out, b)
    assert all(t.dtype == torch.float32 and torch.isfinite(t) for t in terms.values())
    sum(terms.values()).backward()


def test_contradictions_are_refused_when_the_config_is_made() -> None:
    for changes, sentence in (
        ({"width": 48}, "multiple"),
        ({"queries": 0}, "queries 0"),
        ({"dropout": 1.0}, "dropout"),
        ({"mix_weight": -1.0}, "mix_weight"),
        ({"dice": "soft"}, "dice 'soft' of an AVSegFormer is none of"),
        ({"audio_network": "vggish", "audio_width": 16}, "128"),
    ):
        with pytest.raises(ValueError, match=sentence):
            replace(CONFIG, **changes)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="generator_layers is 3 but has no effect, because generator is 'repeat'"):
        replace(CONFIG, generator="repeat", generator_layers=3).refuse_idle()


@pytest.mark.parametrize("variant", PRESETS)
def test_published_settings(variant: str) -> None:
    config = PRESETS[variant](backbone="resnet50")
    assert isinstance(config, AVSegFormerConfig)
    side = 512 if variant.endswith("512") else 224
    assert config.input.size == (side, side) and config.valid_mask == variant.startswith("avss")
    assert config.freeze_backbone_epochs == {"s4": 5, "ms3": 10, "avss": 0}[variant.removesuffix("_512")]
    assert (config.dice, config.mix_probability, config.binary_loss) == ("published", "published", "dice")
    assert config.temporal.length == (10 if config.valid_mask else 5)


def keys(name: str) -> dict[str, Any]:
    """Tensors of a published list that take no memory."""
    rows = json.loads((GOLDEN / f"keys_{name}.json").read_text(encoding="utf-8"))
    with torch.device("meta"):
        return {key: torch.empty(shape) for key, shape, _ in rows}


@pytest.mark.parametrize(("name", "dead"), [("s4_r50", 11), ("avss_r50", 11), ("s4_pvt", 11), ("avss_pvt", 11)])
def test_dead_parts_are_dropped_by_name_and_nothing_else(name: str, dead: int) -> None:
    upstream = keys(name)
    assert len(upstream) == (853 if name.endswith("r50") else 1413)
    second = [key for key in upstream if key.startswith(("backbone.layer3_2.", "backbone.layer4_2."))]
    gone = [key for key in upstream if key.startswith(("head.fpn.", "head.attn_fc."))]
    assert len(gone) == dead and len(renamed(upstream)) == len(upstream) - len(gone) - len(second)
    numbers = sum(upstream[key].numel() for key in [*gone, *second] if not key.endswith(("_mean", "_var", "_tracked")))
    assert numbers == 2_102_208 + 2_240 * name.startswith("avss") + (22_063_104 if name.endswith("r50") else 0)


def test_the_setting_and_the_generation_are_asked_where_tensors_do_not_tell() -> None:
    binary, semantic = keys("s4_r50"), keys("avss_r50")
    older = {name: tensor for name, tensor in binary.items() if not name.startswith("head.query_generator.")}
    assert len(binary) - len(older) == 85
    assert find_variant(semantic, None) == "avss" and find_variant(semantic, "avss_512") == "avss_512"
    with pytest.raises(ValueError, match="look alike: say which with --variant"):
        find_variant(binary, None)
    with pytest.raises(ValueError, match="many classes, so it belongs to avss"):
        find_variant(semantic, "s4")
    with pytest.raises(ValueError, match="one class, so it belongs to s4"):
        find_variant(binary, "avss")
    with pytest.raises(ValueError, match="not an AVSegFormer checkpoint"):
        find_variant({"a": torch.zeros(1)}, None)
    assert find_generation(binary, None) == find_generation(binary, 3) == 3 and find_generation(older, 2) == 2
    for state, generation, sentence in (
        (older, None, "give --generation 2"),
        (older, 1, "generation 1 of AVSegFormer .* is not built"),
        (binary, 1, "generation 1 of AVSegFormer .* is not built"),
        (binary, 2, "so it belongs to generation 3"),
        (older, 3, "not of generation 3"),
        (binary, 4, "wanted 1, 2 or 3"),
    ):
        with pytest.raises(ValueError, match=sentence):
            find_generation(state, generation)  # type: ignore[arg-type]


def published_form(model: AVSegFormer, generation: Any = 3) -> dict[str, Tensor]:
    """A small model's weights by their published names."""
    names = {ours: name for name in keys("s4_r50") for ours in renamed({name: torch.empty(0)}, generation)}
    return {names.get(n, n.replace("audio_network.", "vggish.")): tensor for n, tensor in model.state_dict().items()}


def test_an_older_file_is_taken_when_its_generation_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a size that a test can afford: the rules do not look at sizes."""
    few = {
        "queries": 6,
        "encoder_layers": 1,
        "decoder_layers": 1,
        "width": 32,
        "heads": 2,
        "mlp_width": 16,
        "inner": 16,
    }
    small_sizes = {**few, "head_widths": (8, 8), "points": 2, "generator_layers": 1, "generator_inner": 16}
    monkeypatch.setattr("avseg.models.encoder.FrozenVGGish", SmallVGGish)
    task = Task("binary")
    from avseg.models import build_model, load_model
    from avseg.models.avsegformer import convert as module

    config = PRESETS["s4"](backbone="resnet50", **small_sizes)
    monkeypatch.setattr(module, "_config", lambda upstream, variant: config)
    for generation, generator in ((None, "attention"), (2, "repeat")):
        torch.manual_seed(1)
        whole = build_model(replace(config, **GENERATIONS[generation or 3]), task)  # type: ignore[type-var,arg-type,index]
        state = published_form(whole, generation or 3)  # type: ignore[arg-type]
        assert ("head.attn_fc.4.weight" in state) == (generation == 2)
        if generation is None:
            state["head.fpn.up1.1.bias"] = torch.zeros(3)
        torch.save(state, tmp_path / "S4_best.pth")
        out = convert_file(tmp_path / "S4_best.pth", tmp_path / "m.safetensors", variant="s4", generation=generation)  # type: ignore[arg-type]
        again = load_model(out)
        b = batch(clip(1))
        assert again.config.generator == generator  # type: ignore[attr-defined]
        assert all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in whole.state_dict().items())
        assert torch.equal(again.predict(b)[0].logits, whole.predict(b)[0].logits)
        with pytest.raises(ValueError, match="stranger"):
            convert({**state, "stranger": torch.zeros(1)}, variant="s4", generation=generation)  # type: ignore[arg-type]
        del state["head.out_conv.0.bias"]
        with pytest.raises(ValueError, match=r"smooth\.0\.bias"):
            convert(state, variant="s4", generation=generation)  # type: ignore[arg-type]


class SmallVGGish(nn.Module):
    """In place of 72 million parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Linear(64, 128)

    def forward(self, log_mel: Tensor) -> Tensor:
        """(N, 1, 96, 64) -> (N, 128)."""
        out: Tensor = self.features(log_mel.mean((1, 2)))
        return out


@pytest.mark.parametrize(("task", "backbone"), [(BINARY, "test_convnext"), (SEMANTIC, "test_resnet")])
def test_frames_without_labels_are_left_out_of_training(
    task: Task, backbone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Losses and gradients are those of all frames; batch norms see all pictures, other backbones do not."""
    changes = {**SECOND, "mix_weight": 0.1, "mix_probability": "published", "dropout": 0.0, "backbone": backbone}
    b = batch(clip(4, annotated=1, classes=2), clip(3, 1, annotated=2, classes=2))
    found = []
    for all_frames in (False, True):
        model = small_model(task, **changes, valid_mask=task is SEMANTIC).train()
        sizes: list[int] = []
        model.network.backbone.register_forward_pre_hook(lambda _m, given, sizes=sizes: sizes.append(len(given[0])))  # type: ignore[misc]
        if all_frames:
            monkeypatch.setattr(AVSegFormer, "_told", lambda self, batch, seen: seen)
        output = model(b)
        assert output.logits.shape[:2] == (2, 4) and bool(output.logits[0, 1:].any()) == all_frames
        assert sizes == [3 if backbone == "test_convnext" and not all_frames else 7 + (task is SEMANTIC)]
        torch.stack(list(model.losses(output, b).values())).sum().backward()
        found.append({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
    assert set(found[0]) == set(found[1]) and len(found[0]) > 50
    for name, gradient in found[0].items():
        assert torch.allclose(gradient, found[1][name], atol=2e-5 * float(found[1][name].abs().max() + 1e-3)), name
