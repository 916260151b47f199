"""Zero-shot segmentation: name what is heard, find what is named, mask and follow what is found; nothing is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NoReturn

import torch
from torch import Tensor

from avseg.config import ModelConfig, SessionOptions
from avseg.lazy import imported
from avseg.models.base import Model, in_evaluation
from avseg.models.seams import Seam
from avseg.models.session import alone
from avseg.models.zeroshot.catalogue import FINDERS, FOLLOWERS, TAGGERS
from avseg.models.zeroshot.config import ZeroShotConfig, ZeroShotOptions
from avseg.models.zeroshot.parts import Finder, Follower, Tagger
from avseg.models.zeroshot.session import ZeroShotSession
from avseg.models.zeroshot.wording import Wording
from avseg.types import Batch, Prediction, Task


@dataclass(frozen=True)
class Stages:
    """The parts of a model, ready to work."""

    tagger: Tagger
    finder: Finder
    follower: Follower
    follower_finds: bool = False
    """Whether the follower finds objects itself, so that the finder is never asked."""

    @classmethod
    def of(cls, config: ZeroShotConfig, device: torch.device) -> Stages:
        """Load the parts of a config on a device.

        Raises:
            ValueError: an unknown kind, or weights that are not there.
        """
        tagger, follower = TAGGERS.find(config.tagger.kind), FOLLOWERS.find(config.follower.kind)
        finder = FINDERS.find(config.finder.kind)
        return cls(
            imported(tagger.adapter)(config.tagger, config, device),
            NoFinder() if follower.finds else imported(finder.adapter)(config.finder, config, device),
            imported(follower.adapter)(config.follower, config, device),
            follower.finds,
        )


class NoFinder:
    """In the place of a finder where the follower finds objects itself."""

    def find(self, frames: Tensor, nouns: Any) -> NoReturn:
        raise AssertionError("the follower finds objects itself")


class ZeroShot(Model[Any]):
    """Segments sounding objects with open weights of a tagger, a finder and a follower.

    It has no weights of its own: its file is a header, and the parts are loaded on first use.
    """

    Config: ClassVar[type[ModelConfig]] = ZeroShotConfig
    tasks: ClassVar[frozenset[str]] = frozenset({"instance", "binary", "semantic"})
    trains: ClassVar[bool] = False
    seams: ClassVar[Mapping[str, Seam]] = {}
    config: ZeroShotConfig
    options: ZeroShotOptions

    def __init__(self, config: ZeroShotConfig, task: Task) -> None:
        """
        Raises:
            ValueError: also for a vocabulary that the tagger cannot listen for, or classes none of which it can hear.
        """
        super().__init__(config, task)
        self.wording = Wording.of(config, task)
        self._stages: Stages | None = None
        self._device: torch.device | None = None

    def stages(self, device: torch.device) -> Stages:
        """The parts, loaded on the first call; those given to `use` stay."""
        if self._stages is None or self._device not in (None, device):
            config = replace(self.config, vocabulary=self.wording.nouns)
            self._stages, self._device = Stages.of(config, device), device
        return self._stages

    def use(self, stages: Stages) -> ZeroShot:
        """Work with these parts in place of those of the config; the model itself."""
        self._stages, self._device = stages, None
        return self

    def __getstate__(self) -> dict[str, Any]:
        """Copies load the parts of the config again: models of `transformers` that were used cannot be pickled."""
        return {**self.__dict__, "_stages": None if self._device else self._stages, "_device": None}

    def forward(self, batch: Batch) -> NoReturn:
        """
        Raises:
            ValueError: always, since there is nothing to differentiate.
        """
        raise ValueError(_REFUSED)

    def losses(self, output: Any, batch: Batch) -> NoReturn:
        """See `forward`."""
        raise ValueError(_REFUSED)

    def postprocess(self, output: Any, batch: Batch) -> NoReturn:
        """See `forward`."""
        raise ValueError(_REFUSED)

    def session(self, options: SessionOptions | None = None) -> ZeroShotSession:
        """A clip's way through the model."""
        options = options or self.options
        assert isinstance(options, ZeroShotOptions)
        return ZeroShotSession(self, options)

    @torch.inference_mode()
    def predict(self, batch: Batch) -> list[Prediction]:
        """One clip after the other, each from its first frame to its last."""
        found: list[Prediction] = []
        with in_evaluation(self):
            for clip, size in enumerate(batch.output_sizes):
                session = self.session()
                found += [*session.step(alone(batch, clip)), *session.finish(size)]
        return found


_REFUSED = "a zero-shot model has no weights of its own and does not train; predict with it, or train another family"
