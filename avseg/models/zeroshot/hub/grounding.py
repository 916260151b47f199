"""GroundingDINO and MM-GroundingDINO as finders.

Source: Liu et al., "Grounding DINO: Marrying DINO with Grounded Pre-Training for Open-Set Object Detection", 2023,
arXiv:2303.05499; Zhao et al., "An Open and Comprehensive Pipeline for Unified Object Grounding and Detection", 2024,
arXiv:2401.02361; weights and code of `transformers`. The scores of nouns are ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForZeroShotObjectDetection, AutoProcessor

from avseg.models.zeroshot.config import Part, ZeroShotConfig
from avseg.models.zeroshot.hub.objects import best_first, check_lengths, corners, objects
from avseg.models.zeroshot.hub.origin import origin
from avseg.models.zeroshot.parts import Found

LONGER = 1333 / 800
"""Longer side of a picture at most, by its shorter one: the sizes of training."""
ENDS = str.maketrans(".?", "  ")
"""What the model takes for the end of a noun."""


class GroundingDINO:
    """See `avseg.models.zeroshot.parts.Finder`.

    Nouns with more tokens than the model reads at once are asked for in several texts. A box has the noun with the
    highest score; the score of a noun is the mean over its own tokens, so that the start, the dots and the end of the
    text, which have scores too, name nothing.
    """

    def __init__(self, part: Part, config: ZeroShotConfig, device: torch.device) -> None:
        side = config.find.side
        self.device = device
        self.box = config.find.box
        self.size = {"shortest_edge": side, "longest_edge": round(side * LONGER)}
        self.processor: Any = AutoProcessor.from_pretrained(**origin(part))
        model: Any = AutoModelForZeroShotObjectDetection.from_pretrained(
            **origin(part), dtype=torch.float32, disable_custom_kernels=True
        )
        self.model = model.to(device).eval()

    @torch.inference_mode()
    def find(self, frames: Tensor, nouns: Sequence[str]) -> list[list[Found]]:
        """
        Raises:
            ValueError: a noun without letters, or with more tokens than the model reads.
        """
        texts = [(first, self._read(part)) for first, part in self._parts([phrase(noun) for noun in nouns])]
        found = []
        for frame in frames:
            pixels = self.processor.image_processor(
                images=frame, size=self.size, device=self.device, return_tensors="pt"
            )
            seen = [one for first, text in texts for one in self._look(frame, pixels, text, first)]
            found.append(best_first(seen))
        return found

    def _parts(self, phrases: Sequence[str]) -> Iterator[tuple[int, Sequence[str]]]:
        """Phrases that fit into one text, with the place of the first."""
        if not phrases:
            return
        most = self.model.config.max_text_len - 3  # the start, the end, and the dot of the last phrase
        counts = [len(tokens) for tokens in self.processor.tokenizer(phrases, add_special_tokens=False)["input_ids"]]
        check_lengths(phrases, counts, most)
        first = length = 0
        for place, count in enumerate(counts):
            if length + count > most:
                yield first, phrases[first:place]
                first, length = place, 0
            length += count + 1
        yield first, phrases[first:]

    def _read(self, phrases: Sequence[str]) -> tuple[dict[str, Tensor], list[list[int]]]:
        """A text of phrases as the model wants it, and the tokens of each phrase.

        Raises:
            ValueError: a phrase without a token.
        """
        read = self.processor.tokenizer(". ".join(phrases) + ".", return_tensors="pt", return_offsets_mapping=True)
        offsets = read.pop("offset_mapping")[0].tolist()
        tokens, begin = [], 0
        for text in phrases:
            end = begin + len(text)
            tokens.append([at for at, (left, right) in enumerate(offsets) if begin <= left < right <= end])
            begin = end + 2
            if not tokens[-1]:
                raise ValueError(f"the noun {text!r} has nothing that a finder could look for; name a thing to be seen")
        return {name: value.to(self.device) for name, value in read.items()}, tokens

    def _look(self, frame: Tensor, pixels: Any, text: tuple[dict[str, Tensor], list[list[int]]], first: int) -> Any:
        """Objects in one picture.

        Args:
            frame: (3, H, W).
            pixels: the same as the model sees it.
            text: as of `_read`.
            first: place of its first noun.
        """
        high, wide = frame.shape[1:]
        seen = self.model(**pixels, **text[0])
        chances = seen.logits[0].sigmoid().cpu()  # (Q, 256), 0 beyond the text
        scores, nouns = torch.stack([chances[:, own].mean(1) for own in text[1]], dim=1).max(1)
        keep = scores >= self.box
        boxes = corners(seen.pred_boxes[0]).cpu()[keep] * torch.tensor([wide, high, wide, high])
        return objects(scores[keep], nouns[keep] + first, boxes, (high, wide))


def phrase(noun: str) -> str:
    """A noun as the model was trained to read it: in lower case, without what ends one.

    Raises:
        ValueError: nothing is left.
    """
    text = " ".join(noun.lower().translate(ENDS).split())
    if not text:
        raise ValueError(f"the noun {noun!r} has nothing that a finder could look for; name a thing to be seen")
    return text
