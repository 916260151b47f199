"""Which audio-visual matching term a model is trained with. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from avseg.config import check_choices


@dataclass(frozen=True)
class AVMConfig:
    """Audio-visual matching: what looks as if it sounds should lie near the sound (Zhou et al. 2022, section 3.4).

    The defaults are the published setting of MS3 and AVSS. S4 has no such term in its published setting; its optional
    one is `variant="cosine"`.
    """

    variant: Literal["cosine", "av", "vv"] = "av"
    """`cosine` draws the masked picture vector to the sound by angle (S4); `av` by `distance`; `vv` draws it to the
    picture vector of the frame of the batch that sounds most alike."""
    distance: Literal["kl", "euclid"] = "kl"
    """Between softmax distributions over channels, or between the vectors. `cosine` does not look at it."""
    pool: Literal["avg", "max"] = "avg"
    """How the mask is brought to the size of a stage."""
    threshold: bool = False
    """Cut the pooled mask at 0.5 and average over what is left, not over the whole map. `cosine` always does."""
    normalise: bool = False
    """Bring both vectors to unit length. `cosine` always does."""
    stages: tuple[int, ...] = (0, 1, 2, 3)
    """Stages of the pyramid, 0 the finest; the term is the mean over them."""
    weight: float = 0.5
    """Lambda, the factor before the term."""
    reduction: Literal["published", "mean"] = "published"
    """Published: the KL of binary masks is summed over all frames of the batch, so that it grows with the batch, and
    everything else is averaged. `mean` averages in every case."""
    background: Literal["first", "last"] = "first"
    """Semantic masks: the class that is not foreground. `last` repeats what was published before 2024-09, when the
    last class was taken for the background and the mask was one nearly everywhere."""
    neighbour_target: Literal["visual", "audio"] = "visual"
    """`vv` with `kl`: `audio` repeats a published slip (AVSS), where the target is the frame's own sound."""
    self_penalty: float | None = 10.0
    """`vv`: added to a frame's distance from itself when its neighbour is looked for. The published 10 still lets a
    frame be its own neighbour where all others are farther; None never does."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "stages", tuple(self.stages))
        check_choices(self, "the matching term")
        if not self.stages or min(self.stages) < 0 or len(set(self.stages)) < len(self.stages):
            raise ValueError(
                f"stages {self.stages} of the matching term; wanted one or more different numbers from 0 on"
            )
        if self.weight < 0:
            raise ValueError(f"weight {self.weight} of the matching term is negative; leave the term out with avm=None")
        if self.variant == "vv" and self.threshold:
            raise ValueError("the vv variant has no threshold; use threshold=False or variant='av'")
        if self.neighbour_target == "audio" and (self.variant, self.distance) != ("vv", "kl"):
            raise ValueError(
                f"neighbour_target='audio' belongs to variant='vv' with distance='kl', "
                f"not to {self.variant!r} with {self.distance!r}"
            )


@dataclass(frozen=True)
class ContrastConfig:
    """Contrastive audio-visual pairing (Chen et al. 2024, section 3.3; docs/reference/losses.md)."""

    weight: float = 1.0
    """Weight of the term."""
    temperature: float = 0.1
    """By which similarities are divided."""
    views: int = 512
    """Pixels drawn of every class that has as many; classes with fewer are left out."""
    overwrite: float = 0.5
    """Share of the mismatched pairs whose sound is taken from the bank, from the second epoch on."""
    bank: Literal["none", "filled", "published"] = "filled"
    """Sounds of other clips by class; binary tasks have none, as published. `filled` takes one only once the class has
    seen `slots` sounds, and in stereo pans it to where the clip's own sound is; `published` repeats what was published:
    silence until then, and in stereo the label says matched while the sound is not."""
    slots: int = 16
    """Sounds kept of a class: the published batch size."""
    limit: int | None = None
    """Not published: at most so many pixels in all, drawn from those chosen; time grows with their square."""

    def __post_init__(self) -> None:
        if self.bank not in ("none", "filled", "published"):
            raise ValueError(f"bank {self.bank!r} of the contrastive term is none of 'none', 'filled', 'published'")
        if self.weight < 0:
            raise ValueError(
                f"weight {self.weight} of the contrastive term is negative; leave the term out with contrast=None"
            )
        if self.temperature <= 0:
            raise ValueError(f"temperature {self.temperature} of the contrastive term, wanted a positive one, as 0.1")
        if not 0 <= self.overwrite <= 1:
            raise ValueError(f"overwrite {self.overwrite} of the contrastive term, wanted a share from 0 to 1")
        for name, least in (("views", 1), ("slots", 1), ("limit", 2)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ValueError(f"{name} {value} of the contrastive term, wanted {least} or more")


@dataclass(frozen=True)
class SetConfig:
    """Matching and losses of predicted sets of masks (Cheng et al. 2022; docs/reference/losses.md), as AVISM weighs
    them."""

    class_weight: float = 2.0
    """Weight of the cross-entropy, in matching and in the loss."""
    mask_weight: float = 5.0
    """Weight of the binary cross-entropy of points."""
    dice_weight: float = 5.0
    """Weight of the Dice loss of points."""
    no_object_weight: float = 0.1
    """Weight of the class "no object" within the cross-entropy."""
    points: int = 12544
    """Points at which masks are compared."""
    oversample: float = 3.0
    """Candidates for each point of the loss; the least certain ones are kept."""
    importance: float = 0.75
    """Share of the points that is kept from the candidates; the others are drawn anywhere."""
    similarity_weight: float = 0.5
    """Weight of the term that ties frame queries to clip queries. The published code multiplies by 1.0, where its
    configuration says 0.5."""
    silent_first_is_no_object: bool = False
    """Repeat a published slip: what is silent in the first frame of a training clip has the class "no object"."""

    def __post_init__(self) -> None:
        for name in ("class_weight", "mask_weight", "dice_weight", "no_object_weight", "similarity_weight"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} {getattr(self, name)} of the set losses is negative; 0 leaves a term out")
        if self.points < 1 or self.oversample < 1 or not 0 <= self.importance <= 1:
            raise ValueError(
                f"set losses got points {self.points}, oversample {self.oversample}, importance {self.importance}; "
                "wanted at least 1 point, at least 1 candidate a point, and a share from 0 to 1"
            )


@dataclass(frozen=True)
class QueryConfig:
    """Matching and losses of object queries with classes, boxes and masks (Wang et al. 2021;
    docs/reference/losses.md)."""

    class_weight: float = 2.0
    """Weight of the focal term of classes, in matching and in the loss; the same holds for all weights below."""
    box_weight: float = 5.0
    """Weight of the L1 distance of boxes."""
    giou_weight: float = 2.0
    """Weight of the generalised IoU of boxes."""
    mask_weight: float = 2.0
    """Weight of the focal term of masks."""
    dice_weight: float = 5.0
    """Weight of the Dice loss of masks."""
    alpha: float = 0.25
    """Alpha of focal terms: the weight of positives; negatives have 1 - alpha."""
    gamma: float = 2.0
    """Gamma of focal terms, which reduces the weight of well classified samples."""
    classes: bool = True
    """Whether the class term counts in the loss; it always does in matching."""
    boxes: bool = True
    """Whether box terms count, in matching and in the loss."""

    def __post_init__(self) -> None:
        for name in ("class_weight", "box_weight", "giou_weight", "mask_weight", "dice_weight", "gamma"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} {getattr(self, name)} of the query losses is negative; 0 leaves a term out")
        if not 0 <= self.alpha <= 1:
            raise ValueError(f"alpha {self.alpha} of the query losses, wanted a share from 0 to 1")
