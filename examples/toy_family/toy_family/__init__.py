"""The records by which avseg knows this package; they import no torch."""

from dataclasses import dataclass
from typing import ClassVar

from avseg.config import InputSpec, ModelConfig
from avseg.data.config import DataConfig
from avseg.datasets import DatasetSpec
from avseg.engine.config import OptimConfig, Recipe, TrainConfig
from avseg.models import FamilySpec


@dataclass(frozen=True)
class ToyConfig(ModelConfig):
    family: ClassVar[str] = "toy"
    input: InputSpec = InputSpec(size=(64, 64))
    width: int = 8  # channels of the hidden layer


@dataclass(frozen=True)
class BeepsConfig(DataConfig):
    name: str = "beeps"
    length: int = 32  # clips of each split


FAMILY = FamilySpec("toy", ToyConfig, "toy_family.toy:Toy", "this example", "binary", "none", {"small": ToyConfig})
DATASET = DatasetSpec("beeps", BeepsConfig, "toy_family.toy:Beeps", "avsbench_object", "squares beep", in_memory=True)


def toy_beeps() -> Recipe:
    """The toy family on squares that beep; it learns them in seconds."""
    return Recipe(ToyConfig(), BeepsConfig(), OptimConfig(lr=0.03), TrainConfig(epochs=16, batch_size=4, workers=0))
