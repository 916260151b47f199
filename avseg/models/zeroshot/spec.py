"""The record of zero-shot models. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field

from avseg.models.spec import OF_WEIGHTS, FamilySpec, Opening
from avseg.models.zeroshot.config import ZeroShotConfig
from avseg.models.zeroshot.presets import PRESETS


@dataclass(frozen=True)
class ZeroShotChoices:
    """The options of a zero-shot model that opens by name."""

    vocabulary: str | None = None
    """Nouns to detect in sound and picture, separated by commas, or a text file with one per line. The default is the
    nouns of all AudioSet sounds, or the classes of the data set."""
    parts: str | None = field(default=None, metadata=OF_WEIGHTS)
    """Other parts, such as tagger=clap,finder=owlv2,follower=edgetam. Add a Hub id, a folder or a file of other weights
    after a kind and a colon (`avseg weights list`)."""


SPEC = FamilySpec(
    name="zeroshot",
    config=ZeroShotConfig,
    model="avseg.models.zeroshot.model:ZeroShot",
    paper="ours",
    settings="any video, any words; tracked",
    backbones="open weights (avseg weights list)",
    presets=PRESETS,
    opening=Opening(
        choices=ZeroShotChoices,
        setting="avseg.models.zeroshot.opening:setting",
        ready="avseg.models.zeroshot.weights:ready",
        holds="avseg.models.zeroshot.weights:holds",
        needs=("transformers",),
        extra="zeroshot",
    ),
)
