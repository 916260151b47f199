"""The published network's numbers, through our converter; weights and inputs by formulas
(docs/explanation/golden.md)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from avseg.models.catr.config import CATRLossConfig
from avseg.models.catr.convert import RULES, config_of, renamed
from avseg.models.catr.criterion import ClipQueries, matched, terms
from avseg.models.catr.network import CATRNetwork
from avseg.models.catr.output import choose
from avseg.models.files import load_strictly
from avseg.nn.empty import WithoutInitialisation
from golden_arrays import arr
from golden_weights import seeded_weight

CLIPS, FRAMES, SIZE = 2, 5, 128
DROPPED = re.compile("|".join(old for old, new in RULES if new is None))
PARTS = {
    "conv2": "neck.0",
    "conv3": "neck.1",
    "conv4": "neck.2",
    "vid_embed_proj": "to_tokens",
    "transformer.audio_proj": "sound",
    "transformer.spatial_encoder": "spatial_encoder",
    "transformer.temporal_encoder": "temporal_encoder",
    "transformer.decoder": "decoder",
    "spatial_decoder": "mask_features",
    "instance_kernels_head": "kernels",
    "is_referred_head": "score",
}
"""Ours by their published names; the backbone and the queries beside."""
TERMS = {"score": "loss_is_referred", "dice": "loss_dice", "focal": "loss_sigmoid_focal", "bce": "bce_loss"}


def seeded_state(golden: Any, figures: Any) -> dict[str, Tensor]:
    """What is dropped on loading is not drawn."""
    weights = figures["weights"]
    keys = golden(f"catr/{weights['file']}")

    def drawn(row: tuple[str, list[int], str]) -> Tensor:
        name, shape, kind = row
        if DROPPED.fullmatch(name):
            return torch.zeros(()).expand(shape)
        factor = next((f for pattern, f in weights["then_multiply"].items() if fnmatch(name, pattern)), 1)
        tensor = seeded_weight(name, shape, kind, weights["seed"])
        return tensor * factor if factor != 1 else tensor

    with ThreadPoolExecutor(2) as pool:
        return dict(zip([row[0] for row in keys], pool.map(drawn, keys), strict=True))


@dataclass
class Case:
    figures: Any
    network: CATRNetwork
    images: Tensor
    audio: Tensor
    labels: Tensor
    """(M, H, W) of the frames that count."""

    goes_back: bool
    """Whether gradients are held against theirs, which takes most of the time."""

    @property
    def clip(self) -> Tensor:
        return torch.arange(CLIPS).repeat_interleave(len(self.labels) // CLIPS)

    def told(self, masks: Tensor, scores: Tensor) -> ClipQueries:
        frames = len(self.labels) // CLIPS
        first = [x.unflatten(0, (CLIPS, FRAMES))[:, :frames].flatten(0, 1) for x in (masks, scores)]
        return ClipQueries(first[0], first[1], self.clip, self.labels)

    @property
    def noise(self) -> float:
        noise = self.figures["noise"]
        return float(noise["pred_masks"]) if isinstance(noise, dict) else 1e-4


GO_BACK = ("s4_pvt", "ms3_r50")
"""Every network and every way of supervision; AVSEG_GOLDENS=1 takes all."""
_BUILT: dict[str, CATRNetwork] = {}


@pytest.fixture(scope="module", params=["s4_r50", "ms3_r50", "s4_pvt", "ms3_pvt"])
def case(request: pytest.FixtureRequest, golden: Any) -> Iterator[Case]:
    """S4 and MS3 have the same weights, so that two cases share a network."""
    figures = golden(f"catr/golden_{request.param}.json")
    file = figures["weights"]["file"]
    if file not in _BUILT:
        _BUILT.clear()
        state = seeded_state(golden, figures)
        with WithoutInitialisation():
            network = CATRNetwork(config_of(state, "s4"))
        load_strictly(network, {n.removeprefix("network."): t for n, t in renamed(state).items()}, "the golden weights")
        _BUILT[file] = network.eval()
    made = {name: torch.from_numpy(arr(**recipe)) for name, recipe in figures["inputs"].items()}
    labels = made["target"].flatten(0, 1).long()
    goes_back = bool(os.environ.get("AVSEG_GOLDENS")) or request.param in GO_BACK
    yield Case(figures, _BUILT[file], made["frames"].flatten(0, 1), made["audio_feature"], labels, goes_back)
    if request.param.endswith("ms3_pvt"):
        _BUILT.clear()


def close(figure: Any, tensor: Tensor, name: str, slack: float = 1e-4) -> None:
    """Shape, figures of the whole tensor and values, against the largest."""
    flat = tensor.detach().double().flatten()
    assert list(tensor.shape) == figure["shape"], name
    within = slack * max(1.0, abs(figure["min"]), abs(figure["max"]))
    got = [float(x) for x in (flat.mean(), flat.std(correction=0), flat.min(), flat.max())]
    assert got == pytest.approx([figure[k] for k in ("mean", "std", "min", "max")], abs=within), name
    assert float(flat.norm()) == pytest.approx(figure["l2"], rel=1e-4), name
    count = len(figure["values"])
    kept = flat[torch.tensor([i * len(flat) // count for i in range(count)])]
    assert float((kept - torch.tensor(figure["values"], dtype=torch.float64)).abs().max()) < within, name


def by_time(x: Tensor) -> Tensor:
    """(B * T, ...) -> (T * B, ...), the published order of pictures."""
    return x.unflatten(0, (CLIPS, FRAMES)).transpose(0, 1).flatten(0, 1)


def sequence(x: Tensor) -> Tensor:
    """(B * T, S, C) -> (S, T * B, C)."""
    return by_time(x).transpose(0, 1)


def watched(network: CATRNetwork, stages: dict[str, Tensor]) -> list[Any]:
    """Hooks that keep what parts give, by the published names."""

    def keep(module: nn.Module, name: str, change: Any) -> Any:
        return module.register_forward_hook(lambda _m, _i, out: stages.update({name: change(out)}) or None)

    temporal = network.temporal_encoder
    hooks = [keep(network.neck[k], f"neck.{k + 2}", by_time) for k in range(3)]
    hooks.append(keep(network.to_tokens, "vid_embed_proj", lambda x: by_time(x.mT.unflatten(2, (16, 16)))))
    hooks.append(keep(network.sound, "audio_proj", lambda x: x.unflatten(0, (CLIPS, FRAMES)).transpose(0, 1)))
    hooks.append(keep(network.spatial_encoder[0], "spatial_encoder.layers.0 (S,T*B,256)", sequence))
    hooks.append(keep(network.spatial_encoder[2], "spatial_encoder (S,T*B,256)", sequence))
    for k, layer in enumerate(temporal.layers):
        name = f"temporal_encoder.layers.{k}"
        hooks.append(keep(layer.encode, f"{name}.before_products (S,T*B,256)", sequence))  # type: ignore[arg-type]
        hooks.append(keep(layer, f"{name}.video (HW,T*B,256)", lambda x: sequence(x[0])))
        if k < 2:
            hooks.append(keep(layer, f"{name}.audio (5,T*B,256)", lambda x: sequence(x[1])))
    hooks.append(keep(temporal.first, "gate.output1", by_time))
    hooks.append(keep(temporal, "temporal_encoder (T*B,256,H,W)", by_time))
    said = lambda x: by_time(x).permute(1, 2, 0, 3)  # noqa: E731
    hooks.append(keep(network.decoder, "decoder (L,N,T*B,256)", said))
    hooks.append(keep(network.mask_features.layers[2], "spatial_decoder.lay3", by_time))
    hooks.append(keep(network.mask_features, "spatial_decoder (T*B,64,h,w)", by_time))
    layered = lambda x: by_time(x).unflatten(0, (FRAMES, CLIPS)).permute(2, 0, 1, 3, 4)  # noqa: E731
    hooks.append(keep(network.kernels, "instance_kernels (L,T,B,N,64)", layered))
    hooks.append(keep(network.score, "is_referred (L,T,B,N,2)", layered))
    return hooks


def test_stages_choice_matching_losses_and_gradients(case: Case) -> None:
    stages: dict[str, Tensor] = {}
    hooks = watched(case.network, stages)
    with torch.set_grad_enabled(case.goes_back):
        masks, scores = case.network(case.images, case.audio)
    for hook in hooks:
        hook.remove()
    check_stages(case, stages, masks.detach(), scores.detach())
    check_losses(case, masks, scores)


def check_stages(case: Case, stages: dict[str, Tensor], masks: Tensor, scores: Tensor) -> None:
    figures = case.figures["stages"]
    for name, tensor in stages.items():
        close(figures[name], tensor, name)
    assert len(stages) == 22
    slack = max(1e-4, 4 * case.noise) / 10  # values reach beyond 10
    timed = by_time(masks).unflatten(0, (FRAMES, CLIPS))  # (T, B, L, Q, h, w)
    close(figures["pred_masks (T,B,N,h,w)"], timed[:, :, 2], "masks", slack)
    for k in range(2):
        close(figures[f"aux.{k}.pred_masks"], timed[:, :, k], f"aux {k}", slack)
    close(figures["pred_is_referred (T,B,N,2)"], by_time(scores).unflatten(0, (FRAMES, CLIPS))[:, :, 2], "scores")
    query = choose(scores[:, -1])
    assert by_time(query).tolist() == case.figures["chosen"]["query (T*B)"]
    chosen = by_time(masks[:, -1].take_along_dim(query[:, None, None, None], 1))
    whole = F.interpolate(chosen, (SIZE, SIZE), mode="bilinear", align_corners=False)
    close(case.figures["chosen"]["logits"], whole, "chosen", slack)


def check_losses(case: Case, masks: Tensor, scores: Tensor) -> None:
    network, figures = case.network, case.figures["losses"]
    config = CATRLossConfig(bce_space="probability")
    said = case.told(masks, scores)
    queries = {f"layer {k}": matched(said, k, CLIPS, config).tolist() for k in range(3)}
    assert queries == case.figures["matched_query"]
    found = terms(said, CLIPS, config, training=False)
    for ours, theirs in TERMS.items():
        expected = sum(figures["weights"][n] * figures["terms"][n] for n in (theirs, f"{theirs}_0", f"{theirs}_1"))
        assert found[ours].item() == pytest.approx(expected, abs=2e-4), ours
    total = torch.stack(list(found.values())).sum()
    assert total.item() == pytest.approx(figures["total"], abs=5e-4)
    if not case.goes_back:
        return
    network.zero_grad(set_to_none=True)
    total.backward()
    norms = {theirs: norm_of(network.get_submodule(ours)) for theirs, ours in PARTS.items()}
    backbone = next(name for name in figures["grad_l2"] if name in ("resnet", "encoder_backbone"))
    norms[backbone] = norm_of(network.backbone)
    assert network.queries.grad is not None
    norms["obj_queries"] = float(network.queries.grad.norm())
    for name, norm in norms.items():
        assert norm == pytest.approx(figures["grad_l2"][name], rel=2e-3), name
    assert all(p.grad is not None for p in network.parameters()), "nothing is dead"
    network.zero_grad(set_to_none=True)


def norm_of(module: nn.Module) -> float:
    norms = [p.grad.norm() for p in module.parameters() if p.grad is not None]
    return float(torch.stack(norms).norm())


def test_parameters_by_part(golden: Any) -> None:
    """Those of the published network, without what is dead in it (docs/explanation/catr.md)."""
    neck, fusions = {"r50": 33_033_216, "pvt": 8_850_432}, 9 * 94_080
    for name, backbone in (("r50", 23_508_032), ("pvt", 81_443_008)):
        with torch.device("meta"):
            keys = golden(f"catr/keys_{name}.json")
            network = CATRNetwork(config_of({key: torch.empty(shape) for key, shape, _ in keys}, "s4"))
        counts = {part: sum(p.numel() for p in module.parameters()) for part, module in network.named_children()}
        # Unused beside those convolutions: two fusions of the encoder, and the last layer's of sound.
        temporal = 7_993_604 - 2 * 357_248 - 6 * 94_080 - 263_168
        assert counts == {
            "backbone": backbone,
            "neck": neck[name],
            "to_tokens": 65_792,
            "sound": 33_536,
            "spatial_encoder": 3_945_216,
            "temporal_encoder": temporal,
            "decoder": 4_736_768,
            "mask_features": 1_046_176,
            "kernels": 82_240,
            "score": 514,
        }
        assert network.queries.numel() == 12_800
        published = {"r50": 108_679_846, "pvt": 118_599_462}[name]
        dead = {"r50": 22_063_104 + 2_360_320, "pvt": 590_848}[name] + 9_441_280 + fusions + 4 * 263_168
        assert sum(p.numel() for p in network.parameters()) == published - dead
