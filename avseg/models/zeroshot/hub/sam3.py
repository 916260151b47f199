"""SAM 3 with words as a finder, which also draws masks.

Source: Carion et al., "SAM 3: Segment Anything with Concepts", 2025, arXiv:2511.16719; weights and code of
`transformers`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import interpolate
from transformers import Sam3Model, Sam3Processor

from avseg.models.zeroshot.config import Part, ZeroShotConfig
from avseg.models.zeroshot.hub.checks import check_kind, check_lengths
from avseg.models.zeroshot.hub.objects import best_first, objects
from avseg.models.zeroshot.hub.whole import loaded, whole
from avseg.models.zeroshot.parts import Found


class SAM3Finder:
    """See `avseg.models.zeroshot.parts.Finder`.

    It reads one noun at a time; a picture is encoded once for all nouns. Pictures are seen in one size, whatever
    `config.find.side` says.
    """

    def __init__(self, part: Part, config: ZeroShotConfig, device: torch.device) -> None:
        """
        Raises:
            ValueError: weights of another model, or not all of them.
        """
        self.device = device
        self.box = config.find.box
        check_kind(part, "sam3", "sam3_video")
        self.processor: Any = loaded(Sam3Processor, part)
        self.model: Any = whole(Sam3Model, part).to(device)

    @torch.inference_mode()
    def find(self, frames: Tensor, nouns: Sequence[str]) -> list[list[Found]]:
        """
        Raises:
            ValueError: a noun with more tokens than the model reads.
        """
        if not nouns:
            return [[] for _ in frames]
        lengths = [len(tokens) for tokens in self.processor.tokenizer(list(nouns))["input_ids"]]
        check_lengths(nouns, lengths, self.model.config.text_config.max_position_embeddings)
        texts = [self.processor(text=noun, return_tensors="pt").to(self.device) for noun in nouns]
        found = []
        for frame in frames:
            pixels = self.processor.image_processor(images=frame, device=self.device, return_tensors="pt")
            picture = self.model.get_vision_features(pixel_values=pixels["pixel_values"])
            seen = [one for noun, text in enumerate(texts) for one in self._look(frame, picture, text, noun)]
            found.append(best_first(seen))
        return found

    def _look(self, frame: Tensor, picture: Any, text: Any, noun: int) -> list[Found]:
        high, wide = frame.shape[1:]
        seen = self.model(vision_embeds=picture, **text)
        # An object's own score says how well it fits the noun if that is to be seen, the other whether it is.
        scores = seen.pred_logits[0].sigmoid() * seen.presence_logits[0].sigmoid()
        keep = scores >= self.box
        if not keep.any():
            return []
        chances = interpolate(seen.pred_masks[:, keep].sigmoid(), size=(high, wide), mode="bilinear")[0]
        boxes = seen.pred_boxes[0, keep].cpu() * torch.tensor([wide, high, wide, high])
        scores = scores[keep].cpu()
        return objects(scores, torch.full_like(scores, noun, dtype=torch.long), boxes, (high, wide), chances > 0.5)
