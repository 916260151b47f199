"""CATR as a model: groups, sound, slips and their repairs, losses, converting, one clip by heart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from avseg.config import Temporal
from avseg.inference import Segmenter
from avseg.metrics import SUITES
from avseg.models.catr import convert as converting
from avseg.models.catr.config import CATRConfig, CATRLossConfig
from avseg.models.catr.criterion import ClipQueries, matched, terms
from avseg.models.catr.fusion import FewKeys, FewQueries
from avseg.models.catr.mask_decoder import MaskFeatures
from avseg.models.catr.model import CATR, CATROutput
from avseg.models.catr.output import choose
from avseg.models.catr.presets import PRESETS
from avseg.models.files import load_strictly
from avseg.nn.transformer import Attention
from avseg.types import Batch, Clip, DensePrediction, DenseTarget, Task
from models.small import batch, clip
from small import small

SLIPS: dict[str, Any] = {"audio_frame": "first", "second_gate": "first", "reduce": "nearest"}


def small_catr(**changes: Any) -> CATR:
    model = small("catr", Task("binary"), **changes)
    assert isinstance(model, CATR)
    return model


# ---- parts: the fast forms are the plain ones


def attention_of(kind: type[Attention]) -> tuple[Any, Attention]:
    torch.manual_seed(0)
    fast, plain = kind(16, 4).double(), Attention(16, 4).double()
    torch.nn.init.normal_(fast.in_proj_bias)
    plain.load_state_dict(fast.state_dict())
    return fast, plain


def test_attention_to_few_keys_is_attention() -> None:
    fast, plain = attention_of(FewKeys)
    query, memory = torch.randn(3, 7, 16).double(), torch.randn(3, 5, 16).double()
    assert torch.allclose(fast(query, memory, memory), plain(query, memory, memory), atol=1e-12)


def test_attention_of_few_queries_is_attention() -> None:
    fast, plain = attention_of(FewQueries)
    query, memory, position = (torch.randn(shape).double() for shape in ((3, 5, 16), (3, 12, 16), (4, 16)))
    wanted = plain(query, memory + position.repeat(3, 1), memory)
    assert torch.allclose(fast.look(query, memory, position), wanted, atol=1e-12)


def test_what_is_thrown_away_need_not_be_normed() -> None:
    torch.manual_seed(0)
    features = MaskFeatures(32, 8, "nearest").double()
    torch.nn.init.normal_(features.norms[1].weight)  # type: ignore[arg-type]
    torch.nn.init.normal_(features.norms[1].bias)  # type: ignore[arg-type]
    x = torch.randn(2, 16, 13, 11).double() + 3
    whole = F.interpolate(F.relu(features.norms[1](x)), (4, 3), mode="nearest")
    assert torch.allclose(features._brought_down(x, (4, 3)), whole, atol=1e-12)


# ---- groups and sound


def masks_of(model: CATR, *clips: Clip) -> Tensor:
    with torch.inference_mode():
        return model(batch(*clips)).query_masks


def test_frames_of_a_group_see_each_other_and_no_other_group() -> None:
    model, c = small_catr(), clip(10)
    other = replace(c, frames=torch.cat([c.frames[:7], 255 - c.frames[7:]]))
    first, second = masks_of(model, c), masks_of(model, other)
    assert torch.allclose(first[:, :5], second[:, :5], atol=1e-5)
    assert not torch.allclose(first[:, 5:7], second[:, 5:7], atol=1e-4)


def test_a_tail_is_filled_with_its_last_frame() -> None:
    model, c = small_catr(), clip(6)
    whole, tail = masks_of(model, c), masks_of(model, c, clip(10, seed=1))
    assert whole.shape[1] == 6 and torch.allclose(whole[0], tail[0, :6], atol=1e-5)
    assert not tail[0, 6:10].any() or tail.shape[1] == 10


def test_sound_beside_other_frames_than_the_first_is_not_fused_as_published() -> None:
    """Refined beside the first frame alone: other pictures reach its maps through the sound's answer only."""
    c = clip(5)
    for changes, differ in ((SLIPS, False), ({**SLIPS, "audio_frame": "each"}, True)):
        model = small_catr(**changes)
        encoder = model.network.temporal_encoder
        told: list[Tensor] = []
        encoder.layers[0].seen.register_forward_hook(lambda _m, given, _o, told=told: told.append(given[1]))  # type: ignore[union-attr,misc]
        masks_of(model, c)
        assert told[0].shape == ((5, 5, 16) if differ else (1, 5, 16))


@pytest.mark.parametrize("name", ["audio_frame", "second_gate", "reduce", "product"])
def test_every_repair_is_another_model(name: str) -> None:
    repaired = {"audio_frame": "each", "second_gate": "own", "reduce": "mean", "product": "single"}
    plain, other = small_catr(**SLIPS), small_catr(**{**SLIPS, name: repaired[name]})
    other.load_state_dict(plain.state_dict())
    c = clip(5)
    assert not torch.allclose(masks_of(plain, c), masks_of(other, c), atol=1e-6)


def test_a_single_frame_hears_its_own_sound() -> None:
    model, c = small_catr(temporal=Temporal("frame", 1)), clip(3)
    sound = c.audio.clone()
    sound[:, 32000:] = 0
    first, second = masks_of(model, c), masks_of(model, replace(c, audio=sound))
    assert torch.allclose(first[:, :2], second[:, :2], atol=1e-5) and not torch.allclose(first[:, 2], second[:, 2])


def test_answers_of_frames_without_labels_are_left_out_of_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Losses and gradients are those of all frames, which the temporal encoder and batch norms see."""
    b, found = batch(clip(5, annotated=1), clip(6, seed=1, annotated=2)), []
    for all_frames in (False, True):
        model = small_catr(**SLIPS, dropout=0.0).train()
        told: list[int] = []
        model.network.decoder.register_forward_hook(lambda _m, _g, out, told=told: told.append(len(out)))  # type: ignore[misc]
        if all_frames:
            monkeypatch.setattr(CATR, "_wanted", lambda self, batch, groups: None)
        output = model(b)
        assert output.query_masks.shape[:2] == (2, 6) and told == [15 if all_frames else 3]
        torch.stack(list(model.losses(output, b).values())).sum().backward()
        found.append({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
    assert set(found[0]) == set(found[1]) and len(found[0]) > 50
    for name, gradient in found[0].items():
        assert torch.allclose(gradient, found[1][name], atol=2e-5 * float(found[1][name].abs().max() + 5e-2)), name


# ---- choice


def test_the_best_query_of_each_frame_or_of_a_group() -> None:
    scores = torch.tensor([[[2.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.5, 0.0]]])
    assert choose(scores).tolist() == [0, 1] and choose(scores, 2).tolist() == [0, 0]
    masks = torch.arange(2 * 1 * 2.0).reshape(1, 2, 1, 2, 1, 1)
    output = CATROutput(masks, scores[None, :, None], torch.tensor([[0, 1]]), torch.zeros(1, 2, 3))
    assert output.logits.flatten().tolist() == [0, 3]
    model, c = small_catr(choose="clip"), clip(5)
    assert len(set(model(batch(c)).chosen.flatten().tolist())) == 1


# ---- losses


def said(frames: int = 3, layers: int = 2) -> ClipQueries:
    torch.manual_seed(1)
    labels = torch.randint(0, 2, (frames, 8, 8))
    return ClipQueries(
        torch.randn(frames, layers, 4, 2, 2),
        torch.randn(frames, layers, 4, 2),
        torch.tensor([0, 0, 1])[:frames],
        labels,
    )


def test_terms_follow_their_formulas() -> None:
    """Written out for one clip of one frame, both ways of the binary cross-entropy."""
    one = said(1, 1)
    for space in ("logit", "probability"):
        config = CATRLossConfig(bce_space=space)  # type: ignore[arg-type]
        query = int(matched(one, 0, 1, config))
        whole = F.interpolate(one.masks[:, 0], (8, 8), mode="bilinear")
        truth = one.labels.float().flatten()
        p = whole.sigmoid().flatten(2)[0]  # (Q, P)
        score = one.scores[0, 0].softmax(-1)
        dice = (2 * (p * truth).sum(1) + 1) / (p.sum(1) + truth.sum() + 1)
        assert query == int((2 * score[:, 0] + 7 * dice).argmax())
        chosen = p[query]
        soft = chosen.sigmoid() if space == "probability" else chosen
        pt = torch.where(truth > 0, chosen, 1 - chosen)
        weights = torch.where(truth > 0, 0.25, 0.75)
        expected = {
            "score": -score[query, 0].log() - 0.1 * (score[:, 1].log().sum() - score[query, 1].log()),
            "dice": 5 * (1 - dice[query]),
            "focal": 5 * (weights * (1 - pt) ** 2 * -pt.log()).mean(),
            "bce": 4 * F.binary_cross_entropy(soft, truth),
        }
        found = terms(one, 1, config, training=False)
        assert {n: v.item() for n, v in found.items()} == pytest.approx(
            {n: v.item() for n, v in expected.items()}, rel=1e-4
        )


def test_one_query_serves_all_frames_of_a_clip() -> None:
    s = said()
    query = matched(s, 0, 2, CATRLossConfig())
    alone = ClipQueries(s.masks[2:], s.scores[2:], torch.tensor([0]), s.labels[2:])
    assert query.shape == (2,) and query[1] == matched(alone, 0, 1, CATRLossConfig())[0]


def test_a_failed_network_is_heard_of_and_no_label_costs_nothing() -> None:
    s = said()
    broken = replace(s, masks=s.masks * float("nan"))
    assert all(not torch.isfinite(v) for n, v in terms(broken, 2, CATRLossConfig(), False).items() if n != "score")
    none = ClipQueries(s.masks[:0], s.scores[:0], s.clip[:0], s.labels[:0])
    assert all(v == 0 for v in terms(none, 2, CATRLossConfig(), False).values())


def test_pixels_that_are_not_judged_change_no_term() -> None:
    s = said()
    labels = s.labels.clone()
    labels[:, 2:5] = 255
    found = terms(replace(s, labels=labels), 2, CATRLossConfig(), False)
    zeroed = replace(s, labels=labels, masks=s.masks.clone())
    assert found == terms(zeroed, 2, CATRLossConfig(), False)
    assert found["bce"] != terms(s, 2, CATRLossConfig(), False)["bce"]


def test_one_clip_is_learnt_by_heart() -> None:
    model = small_catr(temporal=Temporal("frame", 1), dropout=0.0, sounding_weight=0.5, sounding_classes=1).train()
    c = clip(2, size=32)
    labels = torch.zeros(2, 32, 32, dtype=torch.int64)
    labels[0, 4:20, 6:22], labels[1, 12:30, 2:16] = 1, 1
    frames = (labels[:, None] * 150 + 50).expand(-1, 3, -1, -1).to(torch.uint8)
    c = replace(
        c, frames=frames, target=DenseTarget(labels, torch.tensor([True, True]), torch.tensor([[True], [False]]))
    )
    given, optimiser = batch(c), torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(60):
        optimiser.zero_grad()
        named = model.losses(model(given), given)
        torch.stack(list(named.values())).sum().backward()
        optimiser.step()
    assert set(named) == {"score", "dice", "focal", "bce", "sounding"}
    (prediction,) = model.predict(given)
    metrics = SUITES["avsbench_object"](Task("binary"), "catr")
    for metric in metrics:
        metric.update(prediction, c.target, 0)  # type: ignore[arg-type]
    assert metrics[0].compute()["J"] > 0.75  # masks are 4 x 4


# ---- protocol, settings, files


def test_the_protocol_groups_single_clips() -> None:
    suite, truth = SUITES["avsbench_object"], torch.zeros(2, 1, 4, 4, dtype=torch.int64)
    truth[:, :, :2] = 1
    noise = torch.randn(2, 1, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    # Each clip is best at a threshold of its own.
    logits = noise + (4.0 * truth[:, :, None] - 2) + torch.tensor([-3.0, 3.0])[:, None, None, None, None]
    scores = {}
    for protocol in ("catr", "cavp", "published"):
        metrics = suite(Task("binary"), protocol)
        for metric in metrics:
            for k in range(2):
                target = DenseTarget(truth[k], torch.tensor([True]))
                metric.update(DensePrediction(str(k), logits[k], (4, 4)), target, k)
        scores[protocol] = {name: value for metric in metrics for name, value in metric.compute().items()}
    assert scores["catr"] == scores["cavp"] and scores["catr"]["F"] > scores["published"]["F"]


def test_settings_that_contradict_themselves_are_refused() -> None:
    with pytest.raises(ValueError, match="Temporal"):
        CATRConfig(temporal=Temporal("clip", None))
    with pytest.raises(ValueError, match="does not divide into 7 heads"):
        CATRConfig(heads=7)
    with pytest.raises(ValueError, match=r"audio_frame 'all' of catr is none of 'first', 'each'"):
        CATRConfig(audio_frame="all")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"criterion.dice -1 is negative"):
        CATRLossConfig(dice=-1)
    with pytest.raises(ValueError, match="queries 0, wanted 1 or more"):
        CATRConfig(queries=0)
    config = PRESETS["s4"]()
    assert isinstance(config, CATRConfig) and PRESETS["ms3"]() == config
    assert all(getattr(config, name) == value for name, value in SLIPS.items())
    assert config.criterion.bce_space == "probability" and CATRConfig().criterion.bce_space == "logit"


@pytest.fixture
def upstream(golden: Any) -> dict[str, Tensor]:
    """Tensors that take no room."""
    return {name: torch.zeros(()).expand(shape) for name, shape, _ in golden("catr/keys_r50.json")}


def test_sizes_are_read_off_the_tensors(upstream: dict[str, Tensor]) -> None:
    name = "transformer.temporal_encoder.layers.{}.linear1.weight"
    for layer in range(3):
        upstream[name.format(layer)] = torch.zeros(()).expand(256, 256)
    upstream["transformer.temporal_encoder.layers.3.linear1.weight"] = torch.zeros(1)
    config = converting.config_of(upstream, "ms3")
    assert (config.temporal_inner, config.inner, config.queries, config.mask_width) == (256, 2048, 50, 64)
    assert (config.encoder_layers, config.decoder_layers, config.backbone) == (3, 3, "resnet50")
    assert not [name for name in converting.renamed(upstream) if "temporal_encoder.layers.3" in name]


def test_what_is_no_checkpoint_of_catr_is_refused(upstream: dict[str, Tensor], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not a CATR checkpoint"):
        converting.config_of({"output_conv.4.weight": torch.zeros(1)}, "s4")
    with pytest.raises(ValueError, match=r"1 tensors have unknown names: transformer\.else"):
        converting.renamed({**upstream, "transformer.else": torch.zeros(1)})
    torch.save(upstream, tmp_path / "s4_best.pth")
    with pytest.raises(ValueError, match=r"give the VGGish weights .* with --vggish FILE"):
        converting.convert_file(tmp_path / "s4_best.pth", tmp_path / "out.safetensors")
    with pytest.raises(ValueError, match="variant 'avss', wanted one of s4, ms3"):
        converting.convert_file(tmp_path / "s4_best.pth", tmp_path / "out.safetensors", variant="avss")  # type: ignore[arg-type]
    del upstream["obj_queries.weight"]
    assert not (tmp_path / "out.safetensors").exists()


def test_a_checkpoint_becomes_a_model(
    upstream: dict[str, Tensor], golden: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On no memory: every name and shape is accounted for, VGGish's included."""
    loaded = {}

    def load(model: torch.nn.Module, state: dict[str, Tensor], origin: str) -> None:
        load_strictly(model, state, origin)
        loaded.update(state)

    monkeypatch.setattr(converting, "load_strictly", load)
    vggish = {name: torch.zeros(()).expand(shape) for name, shape in golden("tpavi/keys_vggish.json")}
    with torch.device("meta"), pytest.warns(UserWarning, match="copying from a non-meta parameter"):
        model = converting.convert(upstream, vggish=vggish, choose="clip")
    assert set(loaded) == set(model.state_dict()) and model.config.choose == "clip" and not model.training


def test_a_video_goes_through_the_same_session() -> None:
    model = small_catr()
    result = Segmenter(model, fps=1.0, device="cpu").predict(clip(7))
    assert len(result) == 7 and set(model.param_groups()) == {"backbone", "decoder", "audio"}
    assert set(model.weight_slots()) == {"backbone", "vggish"} and set(model.class_rows()) == {"sounding"}
    assert isinstance(batch(clip(2)), Batch)
