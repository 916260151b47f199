"""Opening a zero-shot model by name: its setting, parts, vocabulary and task."""

from __future__ import annotations

from dataclasses import replace

import torch

from avseg.models.zeroshot.catalogue import TAGGERS
from avseg.models.zeroshot.config import ZeroShotConfig
from avseg.models.zeroshot.names import Nouns, read_vocabulary
from avseg.models.zeroshot.presets import PRESETS, with_parts
from avseg.models.zeroshot.spec import ZeroShotChoices
from avseg.models.zeroshot.wording import nouns_of
from avseg.types import Task


def setting(preset: str | None, task: Task | None, choices: ZeroShotChoices) -> tuple[ZeroShotConfig, Task]:
    """See `avseg.models.spec.Opening`.

    Args:
        preset: `gpu` or `cpu`; None: `gpu` where torch sees CUDA, else `cpu`.
        task: None: tracks of the nouns that are listened for.
        choices: the user's.

    Raises:
        ValueError: parts that there are not, or words that the tagger cannot listen for.
    """
    config = PRESETS[preset or ("gpu" if torch.cuda.is_available() else "cpu")]()
    assert isinstance(config, ZeroShotConfig)
    if choices.parts is not None:
        config = with_parts(config, choices.parts)
    if choices.vocabulary is not None:
        config = replace(config, vocabulary=_words(config, choices.vocabulary))
    return config, task or Task("instance", nouns_of(config, Task("binary")).names)


def _words(config: ZeroShotConfig, text: str) -> tuple[str, ...]:
    names = Nouns.of_vocabulary(read_vocabulary(text)).names
    return names if TAGGERS.find(config.tagger.kind).any_words else Nouns.of_audioset((), names).names
