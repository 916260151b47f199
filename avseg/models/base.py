"""The interface of all model families."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

import torch
from torch import Tensor, nn

from avseg.config import ModelConfig, SessionOptions
from avseg.lazy import imported
from avseg.models.compiled import load_plain as load_plain
from avseg.models.compiled import plain_name as plain_name
from avseg.models.compiled import plain_state as plain_state
from avseg.models.compiled import uncompiled as uncompiled
from avseg.models.seams import DEFAULT_SEAMS, Seam
from avseg.models.session import FRAMES_AT_ONCE, EachGroup, Session
from avseg.types import Batch, Prediction, Task

if TYPE_CHECKING:
    from avseg.models.class_rows import ClassRows
    from avseg.models.slots import WeightSlot

Output = TypeVar("Output")


class Model(nn.Module, ABC, Generic[Output]):
    """A model predicts one result per clip of a batch; trainer, evaluator and inference use only this interface."""

    Config: ClassVar[type[ModelConfig]]
    tasks: ClassVar[frozenset[str]]
    """The kinds of task it solves."""
    network: nn.Module
    """Normalised tensors in, tensors out: what checkpoints, golden numbers and benchmarks speak to."""
    trains: ClassVar[bool] = True
    """Whether the family can be trained."""
    seams: ClassVar[Mapping[str, Seam]] = DEFAULT_SEAMS
    """Where engines such as OpenVINO can take the place of PyTorch; of those that are named here a model may lack some,
    but for a model whose network is called in one piece, with tensors alone, nothing has to be said."""
    compiles: ClassVar[tuple[str, ...]] = ("network",)
    """Parts for `train.compile`, which training calls with tensors: `network` or `network.encoder`, or methods
    of them, as `network.look` (`avseg.models.compiled`). Empty: nothing; training then refuses to compile."""
    exported: Any = None
    """The exported files that the seams run, `avseg.export.opening.Exported`; None: its own parts."""
    run_state: ClassVar[tuple[str, ...]] = ()
    """Beginnings of the names of buffers that a run needs and a model file does not hold, such as a sound bank.

    Every process has its own; checkpoints keep them all, moving averages leave them alone."""

    def __init__(self, config: ModelConfig, task: Task) -> None:
        """
        Raises:
            ValueError: a config of another family, or a task the family does not solve.
        """
        super().__init__()
        if not isinstance(config, self.Config):
            raise ValueError(f"{type(self).__name__} got a {type(config).__name__}, wanted a {self.Config.__name__}")
        if task.kind not in self.tasks:
            raise ValueError(
                f"{type(self).__name__} solves {', '.join(sorted(self.tasks))} tasks, not {task.kind} ones"
            )
        self.config = config
        self.task = task
        self.options = config.Options()
        """Default options of a session."""
        self.descent: dict[str, str] = {}
        """Notes of the file that the weights come from (`avseg.models.header.Header.descent`); its own files have them
        too."""

    @abstractmethod
    def forward(self, batch: Batch) -> Output:
        """Raw and differentiable outputs of a batch."""

    @abstractmethod
    def losses(self, output: Output, batch: Batch) -> dict[str, Tensor]:
        """Named float32 scalars, already weighted; training minimises their sum.

        Raises:
            ValueError: a batch without truth.
        """

    def measures(self, output: Output) -> dict[str, Tensor]:
        """Return measures of a batch to log, such as the use of a codebook; empty for most families.

        A scalar is the mean over the batch's clips, and becomes that over a step's, as loss terms do. A vector (K,)
        counts how often each of K entries was taken; counts are added over batches, processes and steps
        (`avseg.engine.training.log.Tallies`). Nothing here carries a gradient or waits for the device.
        """
        return {}

    @abstractmethod
    def postprocess(self, output: Output, batch: Batch) -> list[Prediction]:
        """One prediction a clip, of its valid frames."""

    def param_groups(self) -> dict[str, list[nn.Parameter]]:
        """The parameters that learn, by named part, to each of which a recipe may give a rate; here one part of all."""
        return {"network": [parameter for parameter in self.parameters() if parameter.requires_grad]}

    def weight_slots(self) -> dict[str, WeightSlot]:
        """The parts that files of weights can begin, such as `backbone`, in the order in which the files are read;
        `avseg.models.initialise` takes a file for each."""
        return {}

    def class_rows(self) -> dict[str, ClassRows]:
        """By the names of the layers whose weight and bias have a row for each class: which row is which class.

        A model that begins from a file for other classes keeps the rows of those that both name
        (`avseg.models.transfer`). All other tensors must not depend on the classes, or they begin fresh where their
        shapes differ.
        """
        return {}

    def session(self, options: SessionOptions | None = None) -> Session:
        """The way of a new video through the model, part by part.

        Args:
            options: of the kind `Config.Options`; None: those of `self.options`.
        """
        return EachGroup(self.predict, None if self.config.temporal.kind == "clip" else FRAMES_AT_ONCE)

    def push_to_hub(self, repo_id: str, **options: Any) -> str:
        """Put the model on the Hugging Face Hub, with a card; the address.

        Args:
            repo_id: USER/NAME; made where it is missing.
            options: `scores`, `private`, `token`, `dry_run`: see `avseg.engine.publish.push_file`.

        Raises:
            ValueError: a name that is none, no token, or a Hub that refuses.
        """
        place: str = imported("avseg.engine.publish:push_model")(self, repo_id, **options)
        return place

    @torch.inference_mode()
    def predict(self, batch: Batch) -> list[Prediction]:
        """Predictions in evaluation mode; every module's training flag is put back afterwards."""
        with in_evaluation(self):
            return self.postprocess(self(batch), batch)


@contextmanager
def in_evaluation(module: nn.Module) -> Iterator[None]:
    """Evaluation mode for the length of the block; then every part's training flag is as it was."""
    flags = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in flags:
            part.training = training


def run_buffers(module: nn.Module) -> set[str]:
    """Plain names of the buffers that belong to a run and to one process of it (`Model.run_state`)."""
    beginnings: tuple[str, ...] = getattr(module, "run_state", ())
    return {name for name in (plain_name(n) for n, _ in module.named_buffers()) if name.startswith(beginnings)}
