"""Shared parts of families with one audio vector per second (`avseg.models.encoder`)."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from avseg.models.base import Model, Output, plain_name
from avseg.models.dense import sounding_truth
from avseg.models.encoder import AudioEncoder
from avseg.models.slots import WeightSlot, backbone_slot, whole
from avseg.types import Batch, DenseTarget


class HearingModel(Model[Output]):
    """A model with a network of pictures and vectors of sound, `network.backbone` in it, and an audio network beside.

    The config has the fields `backbone`, `audio_network`, `audio_width`, `sounding_weight` and, for tasks without
    classes, `sounding_classes`. A family calls `listen` when its `network` is made.
    """

    parts: ClassVar[tuple[str, ...]] = ("backbone", "decoder", "audio")
    """Names of the parts that learn, as `part_of` tells them."""
    hearing: AudioEncoder
    audio_network: nn.Module | None
    """(N, 1, L, 64) -> (N, W); None where vectors come with the clips."""
    sounding: nn.Linear | None
    """(..., W) -> (..., K) logits of the classes that sound; None where that loss is off."""

    def listen(self, several: bool = False) -> None:
        """Make what hears, after `network`: the order in which weights are drawn and stored.

        Args:
            several: features (T, S, W), of S parts of each second, are taken too.
        """
        values = vars(self.config)
        self.hearing = AudioEncoder.of(self.config, parts=several)
        self.audio_network = self.hearing.network()
        self.sounding = self.hearing.sounding_head(len(self.task.classes) or values.get("sounding_classes"))

    def features(self, batch: Batch) -> Tensor:
        """(B, T, W) what is heard in the second of each frame: as it came with the clips, or made of their sound.

        Raises:
            ValueError: features of another width, or a model that hears features and clips that have none.
        """
        return self.hearing.vectors(batch, self.audio_network)

    def sounding_logits(self, features: Tensor) -> Tensor | None:
        """(B, T, W) -> (B, T, K) which classes sound; None where that loss is off."""
        return None if self.sounding is None else self.sounding(features)

    def sounding_terms(self, logits: Tensor | None, targets: list[DenseTarget], judged: Tensor) -> dict[str, Tensor]:
        """`sounding`, weighted: of (B, T, K) logits, over the (B, T) seconds that are judged; empty without logits.

        Raises:
            ValueError: clips of which it is not known what sounds.
        """
        if logits is None:
            return {}
        return {"sounding": self.hearing.sounding_term(logits, sounding_truth(targets, logits.shape[-1]), judged)}

    def weight_slots(self) -> dict[str, WeightSlot]:
        """`backbone` and `vggish`."""
        values = vars(self.config)
        audio = self.audio_network if values["audio_network"] == "vggish" else None
        return {
            "backbone": backbone_slot(self.network, values["backbone"]),
            "vggish": WeightSlot(audio, whole, "audio_network='vggish' gives it one"),
        }

    def param_groups(self) -> dict[str, list[nn.Parameter]]:
        """The `parts` that have something to learn: here `backbone`, `decoder` (all that comes after it) and, where it
        learns, `audio`."""
        groups: dict[str, list[nn.Parameter]] = {name: [] for name in self.parts}
        for name, parameter in self.named_parameters():
            if parameter.requires_grad:
                groups[self.part_of(plain_name(name))].append(parameter)
        return {name: parameters for name, parameters in groups.items() if parameters}

    def part_of(self, name: str) -> str:
        """The one of `parts` that a parameter belongs to."""
        if name.startswith("network.backbone."):
            return "backbone"
        return "audio" if name.startswith("audio_network.") else "decoder"
