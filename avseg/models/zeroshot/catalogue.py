"""The parts of a zero-shot model by stage and kind, and the weights that each takes. Imports no torch.

Another package adds a part by an entry point of the registry's group, or by `add` (see `avseg.registry`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from avseg.registry import Registry


@dataclass(frozen=True)
class Checkpoint:
    """Open weights of a part on the Hugging Face Hub."""

    id: str
    licence: str
    """As its card states it."""
    parameters: int
    """Millions."""
    megabytes: int
    """Size of the files to download."""


@dataclass(frozen=True, kw_only=True)
class PartSpec:
    """One kind of a part."""

    adapter: str
    """"module:Class"; see `avseg.models.zeroshot.parts` for what it takes and does."""
    checkpoints: tuple[Checkpoint, ...] = ()
    """The first is the default. Empty where weights are a file of the user's, or there are none."""
    needs: str = "transformers"
    """Package that the extra brings; empty for none."""
    wants: str = ""
    """Argument that the user must give after the kind, such as FILE; empty for none."""


@dataclass(frozen=True, kw_only=True)
class TaggerSpec(PartSpec):
    """A tagger: an adapter with `labels` and `tags`."""

    rate: int = 16000
    """Hz of the sound that it hears."""
    seconds: float = 3.0
    """Length of the window around each second, 1 or more."""
    on: float = 0.35
    """Usual threshold at which a noun begins to sound."""
    off: float = 0.15
    """Usual threshold below which it stops."""
    any_words: bool = False
    """Whether it accepts any words, instead of AudioSet's classes."""


@dataclass(frozen=True, kw_only=True)
class FinderSpec(PartSpec):
    """A finder: an adapter with `find`."""

    box: float = 0.3
    """Usual threshold of its scores."""


@dataclass(frozen=True, kw_only=True)
class FollowerSpec(PartSpec):
    """A follower: an adapter with `open`."""

    finds: bool = False
    """Whether the follower finds objects itself, so that no finder is needed."""


AnySpec: TypeAlias = TaggerSpec | FinderSpec | FollowerSpec

_HUB = "avseg.models.zeroshot.hub"
_BSD, _APACHE = "BSD-3-Clause", "Apache-2.0"
_SAM3 = Checkpoint("facebook/sam3", "SAM License, access on request", 860, 3400)

AST = TaggerSpec(
    adapter=f"{_HUB}.ast:AST",
    checkpoints=(
        Checkpoint("MIT/ast-finetuned-audioset-10-10-0.4593", _BSD, 87, 346),
        Checkpoint("MIT/ast-finetuned-audioset-16-16-0.442", _BSD, 86, 345),
    ),
)
CLAP = TaggerSpec(
    adapter=f"{_HUB}.clap:CLAP",
    checkpoints=(
        Checkpoint("laion/clap-htsat-unfused", _APACHE, 154, 614),
        Checkpoint("laion/clap-htsat-fused", _APACHE, 154, 614),
    ),
    rate=48000,
    seconds=2.0,
    on=0.30,
    off=0.15,
    any_words=True,
)
YAMNET = TaggerSpec(adapter=f"{_HUB}.yamnet:YAMNet", needs="onnxruntime", wants="FILE", seconds=1.0)
GROUNDING_DINO = FinderSpec(
    adapter=f"{_HUB}.grounding:GroundingDINO",
    checkpoints=(
        Checkpoint("IDEA-Research/grounding-dino-tiny", _APACHE, 172, 690),
        Checkpoint("IDEA-Research/grounding-dino-base", _APACHE, 232, 930),
    ),
)
MM_GROUNDING_DINO = FinderSpec(
    adapter=f"{_HUB}.grounding:GroundingDINO",
    checkpoints=(Checkpoint("openmmlab-community/mm_grounding_dino_tiny_o365v1_goldg_v3det", _APACHE, 172, 690),),
)
OWLV2 = FinderSpec(
    adapter=f"{_HUB}.owlv2:OWLv2",
    checkpoints=(Checkpoint("google/owlv2-base-patch16-ensemble", _APACHE, 155, 620),),
    box=0.1,
)
SAM3_TEXT = FinderSpec(adapter=f"{_HUB}.sam3:SAM3Finder", checkpoints=(_SAM3,))
SAM2 = FollowerSpec(
    adapter=f"{_HUB}.sam2:SAM2",
    checkpoints=(
        Checkpoint("facebook/sam2.1-hiera-small", _APACHE, 46, 184),
        Checkpoint("facebook/sam2.1-hiera-tiny", _APACHE, 39, 156),
        Checkpoint("facebook/sam2.1-hiera-base-plus", _APACHE, 81, 324),
        Checkpoint("facebook/sam2.1-hiera-large", _APACHE, 224, 898),
    ),
)
EDGETAM = FollowerSpec(
    adapter=f"{_HUB}.edgetam:EdgeTAM",
    checkpoints=(Checkpoint("yonigozlan/EdgeTAM-hf", "read its card", 14, 56),),
)
SAM3_VIDEO = FollowerSpec(adapter=f"{_HUB}.sam3_video:SAM3Follower", checkpoints=(_SAM3,), finds=True)


def _places(**names: str) -> dict[str, str]:
    return {kind: f"{__name__}:{name}" for kind, name in names.items()}


TAGGERS: Registry[TaggerSpec] = Registry("tagger", "avseg.taggers", _places(ast="AST", clap="CLAP", yamnet="YAMNET"))
FINDERS: Registry[FinderSpec] = Registry(
    "finder",
    "avseg.finders",
    _places(grounding_dino="GROUNDING_DINO", mm_grounding_dino="MM_GROUNDING_DINO", owlv2="OWLV2", sam3="SAM3_TEXT"),
)
FOLLOWERS: Registry[FollowerSpec] = Registry(
    "follower", "avseg.followers", _places(sam2="SAM2", edgetam="EDGETAM", sam3="SAM3_VIDEO")
)
STAGES: Mapping[str, Registry[Any]] = {"tagger": TAGGERS, "finder": FINDERS, "follower": FOLLOWERS}
"""In the order in which they work."""
