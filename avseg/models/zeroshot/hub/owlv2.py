"""OWLv2 as a finder.

Source: Minderer et al., "Scaling Open-Vocabulary Object Detection", 2023, arXiv:2306.09683; weights and code of
`transformers`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import Owlv2ForObjectDetection, Owlv2Processor

from avseg.models.zeroshot.config import Part, ZeroShotConfig
from avseg.models.zeroshot.hub.checks import check_kind, check_lengths
from avseg.models.zeroshot.hub.objects import corners, objects
from avseg.models.zeroshot.hub.whole import loaded, whole
from avseg.models.zeroshot.parts import Found

TEMPLATE = "a photo of a {}"


class OWLv2:
    """See `avseg.models.zeroshot.parts.Finder`.

    Pictures are seen in one size, whatever `config.find.side` says, because the places of its patches are learnt.
    """

    def __init__(self, part: Part, config: ZeroShotConfig, device: torch.device) -> None:
        """
        Raises:
            ValueError: weights of another model, or not all of them.
        """
        self.device = device
        self.box = config.find.box
        check_kind(part, "owlv2")
        self.processor: Any = loaded(Owlv2Processor, part)
        self.model: Any = whole(Owlv2ForObjectDetection, part).to(device)

    @torch.inference_mode()
    def find(self, frames: Tensor, nouns: Sequence[str]) -> list[list[Found]]:
        """
        Raises:
            ValueError: a noun with more tokens than the model reads.
        """
        if not nouns:
            return [[] for _ in frames]
        text = self._read(nouns)
        return [self._look(frame, text) for frame in frames]

    def _read(self, nouns: Sequence[str]) -> dict[str, Tensor]:
        texts = [TEMPLATE.format(noun) for noun in nouns]
        lengths = [len(tokens) for tokens in self.processor.tokenizer(texts)["input_ids"]]
        check_lengths(texts, lengths, self.model.config.text_config.max_position_embeddings)
        read = self.processor(text=[texts], return_tensors="pt")
        return {name: value.to(self.device) for name, value in read.items()}

    def _look(self, frame: Tensor, text: dict[str, Tensor]) -> list[Found]:
        high, wide = frame.shape[1:]
        pixels = self.processor.image_processor(images=frame, device=self.device, return_tensors="pt")
        seen = self.model(**pixels, **text)
        scores, nouns = seen.logits[0].sigmoid().cpu().max(1)
        keep = scores >= self.box
        # The picture lies at the top left of a square, and boxes are parts of that square.
        boxes = corners(seen.pred_boxes[0]).cpu()[keep] * max(high, wide)
        return objects(scores[keep], nouns[keep], boxes, (high, wide))
