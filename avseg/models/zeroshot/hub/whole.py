"""Loading of the Hub's models, with checks that they are complete."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers.utils import logging

from avseg.models.zeroshot.config import Part
from avseg.models.zeroshot.hub.origin import origin


def loaded(kind: Any, part: Part, **options: Any) -> Any:
    """Load a part with `from_pretrained`: a model, a processor, an extractor or a tokenizer.

    A tokenizer whose files are not there has no word and reads every noun as the same; `transformers` makes one without
    telling.

    Args:
        kind: class of `transformers`.
        part: where to load from.
        options: of `from_pretrained`.

    Raises:
        ValueError: files that are damaged, cut short, or those of another kind of model.
    """
    wrong = f"{part.checkpoint} holds nothing that loads as {part.kind!r}"
    at_origin = origin(part)
    try:
        with _without_bars():
            found = kind.from_pretrained(**at_origin, **options)
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise ValueError(f"{wrong} ({kind.__name__}: {lines[0]}); {_AGAIN}") from error
    tokenizer = found if hasattr(found, "all_special_ids") else getattr(found, "tokenizer", None)
    if tokenizer is not None and len(tokenizer) <= len(set(tokenizer.all_special_ids)):
        names = ", ".join(sorted(tokenizer.vocab_files_names.values()))
        raise ValueError(f"{wrong}: its tokenizer has no words ({names}); {_AGAIN}")
    return found


@contextmanager
def _without_bars() -> Iterator[None]:
    """No bar for what takes a second; others of the library stay as they are."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


_AGAIN = "give whole weights of that kind: a folder that save_pretrained wrote, or a Hub id"


def whole(kind: Any, part: Part, dtype: torch.dtype = torch.float32) -> Any:
    """The model of a part, in evaluation mode.

    `from_pretrained` fills weights that it does not find with random numbers, also where the weights are those of
    another kind of model, and only logs it.

    Args:
        kind: class of `transformers`.
        part: what to load.
        dtype: of its weights.

    Raises:
        ValueError: weights of another model, or not all of them.
    """
    model, report = loaded(kind, part, dtype=dtype, output_loading_info=True)
    # Buffers may be missing: older checkpoints lack some that are computed anyway.
    wrong = {*report["missing_keys"], *(key for key, *_ in report["mismatched_keys"])}
    lacking = [name for name, _ in model.named_parameters() if name in wrong]
    if lacking:
        raise ValueError(
            f"{part.checkpoint} lacks {len(lacking)} weights of {kind.__name__}, the first is {lacking[0]}; give a "
            f"checkpoint of the kind {part.kind!r}"
        )
    return model.eval()
