"""Tiny finders with random weights, saved as the Hub saves them, and pictures for them.

`transformers` is imported inside functions, because it may be missing.
"""

from __future__ import annotations

import json
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from avseg.models.zeroshot.catalogue import FINDERS
from avseg.models.zeroshot.config import FindConfig, Part, ZeroShotConfig

if TYPE_CHECKING:
    from transformers import BertTokenizer, CLIPTokenizer, PreTrainedModel

SIZE = (48, 72)
"""(H, W) of the pictures."""
WORDS = ["dog", "red", "square", "st", "bernard", "cat", "photo", "of", "fire", "truck", "-"]
JOINED = ["dog", "photo", "of", "red", "square"]
CLIP_WORDS = 528
"""Twice 256 bytes, 14 merges and two special tokens."""
LETTERS = "abcdefghijklmnopqrstuvwxyz"
SPECIAL = {0: "[PAD]", 100: "[UNK]", 101: "[CLS]", 102: "[SEP]", 103: "[MASK]", 1012: ".", 1029: "?"}
"""At the ids of Bert's own vocabulary, which are fixed in GroundingDINO."""
WIDTH = 32


def bert_tokenizer(folder: Path) -> BertTokenizer:
    from transformers import BertTokenizer

    words = [SPECIAL.get(number, f"[unused{number}]") for number in range(1030)]
    words += WORDS + list(LETTERS) + [f"##{letter}" for letter in LETTERS]
    (folder / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
    made: BertTokenizer = BertTokenizer.from_pretrained(folder)
    assert len(made) == len(words) == 1093
    return made


def clip_tokenizer(folder: Path, length: int) -> CLIPTokenizer:
    """Of bytes, which reads at most `length` tokens; each of `JOINED` is one token."""
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import CLIPTokenizer

    letters = sorted(ByteLevel.alphabet())
    merges: dict[str, str] = {}
    for word in JOINED:
        pieces = [*word[:-1], f"{word[-1]}</w>"]
        while len(pieces) > 1:
            merges[pieces[0] + pieces[1]] = f"{pieces[0]} {pieces[1]}"
            pieces[:2] = [pieces[0] + pieces[1]]
    words = [*letters, *(f"{letter}</w>" for letter in letters), *merges, "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({word: number for number, word in enumerate(words)}))
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges.values()]), encoding="utf-8")
    made: CLIPTokenizer = CLIPTokenizer.from_pretrained(folder, model_max_length=length)
    assert len(made) == len(words) == CLIP_WORDS
    return made


def _clip_text(length: int) -> dict[str, Any]:
    return {
        "vocab_size": CLIP_WORDS,
        "hidden_size": WIDTH,
        "intermediate_size": 64,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "max_position_embeddings": length,
        "pad_token_id": CLIP_WORDS - 1,
        "bos_token_id": CLIP_WORDS - 2,
        "eos_token_id": CLIP_WORDS - 1,
    }


def _grounding(words: int) -> dict[str, Any]:
    from transformers import BertConfig, SwinConfig

    backbone = SwinConfig(
        image_size=64, embed_dim=8, depths=[1] * 4, num_heads=[1, 1, 2, 2], window_size=4, out_indices=[2, 3, 4]
    )
    text = BertConfig(
        vocab_size=words, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32
    )
    layers = {"encoder_layers": 1, "decoder_layers": 2, "encoder_attention_heads": 4, "decoder_attention_heads": 4}
    widths = {"d_model": WIDTH, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32}
    return {"backbone_config": backbone, "text_config": text, "num_queries": 12, **layers, **widths}


def grounding_dino(folder: Path) -> Path:
    from transformers import (
        GroundingDinoConfig,
        GroundingDinoForObjectDetection,
        GroundingDinoImageProcessor,
        GroundingDinoProcessor,
    )

    tokenizer = bert_tokenizer(folder)
    torch.manual_seed(0)
    model = GroundingDinoForObjectDetection(GroundingDinoConfig(**_grounding(len(tokenizer))))
    return _saved(model, GroundingDinoProcessor(GroundingDinoImageProcessor(), tokenizer), folder)


def mm_grounding_dino(folder: Path) -> Path:
    from transformers import (
        GroundingDinoImageProcessor,
        GroundingDinoProcessor,
        MMGroundingDinoConfig,
        MMGroundingDinoForObjectDetection,
    )

    tokenizer = bert_tokenizer(folder)
    torch.manual_seed(0)
    model = MMGroundingDinoForObjectDetection(MMGroundingDinoConfig(**_grounding(len(tokenizer))))
    return _saved(model, GroundingDinoProcessor(GroundingDinoImageProcessor(), tokenizer), folder)


def owlv2(folder: Path) -> Path:
    from transformers import Owlv2Config, Owlv2ForObjectDetection, Owlv2ImageProcessor, Owlv2Processor

    vision = {
        "hidden_size": WIDTH,
        "intermediate_size": 64,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "image_size": 96,
        "patch_size": 16,
    }
    torch.manual_seed(0)
    model = Owlv2ForObjectDetection(Owlv2Config(text_config=_clip_text(16), vision_config=vision, projection_dim=WIDTH))
    with torch.no_grad():  # else all boxes lie on the edges, without an area, and scores are 0 or 1
        model.box_head.dense2.weight.normal_(0, 0.002)
        model.box_head.dense2.bias[2:] += 1.5
        model.class_head.logit_shift.weight.mul_(0.1)
    images = Owlv2ImageProcessor(size={"height": 96, "width": 96})
    return _saved(model, Owlv2Processor(images, clip_tokenizer(folder, 16)), folder, spread=0.02)


def sam3(folder: Path) -> Path:
    from transformers import Sam3Config, Sam3ImageProcessor, Sam3Model, Sam3Processor

    backbone = {
        "model_type": "sam3_vit_model",
        "hidden_size": WIDTH,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 112,
        "patch_size": 14,
        "pretrain_image_size": 112,
        "window_size": 4,
        "global_attn_indexes": [1],
    }
    vision = {
        "model_type": "sam3_vision_model",
        "backbone_config": backbone,
        "fpn_hidden_size": WIDTH,
        "backbone_feature_sizes": [[32, 32], [16, 16], [8, 8]],
    }
    small = {"hidden_size": WIDTH, "num_attention_heads": 2}
    layer = {**small, "num_layers": 1, "intermediate_size": 64}
    config = Sam3Config(
        vision_config=vision,
        text_config={"model_type": "clip_text_model", "projection_dim": WIDTH, **_clip_text(32)},
        geometry_encoder_config=layer,
        detr_encoder_config=layer,
        detr_decoder_config={**layer, "num_layers": 2, "num_queries": 10},
        mask_decoder_config=small,
    )
    torch.manual_seed(0)
    images = Sam3ImageProcessor(size={"height": 112, "width": 112})
    return _saved(Sam3Model(config), Sam3Processor(images, clip_tokenizer(folder, 32)), folder)


def sam3_video(folder: Path) -> Path:
    """The same weights as the Hub has them: the first of two parts of a model that follows, too."""
    from safetensors.torch import load_file, save_file
    from transformers import Sam3Config, Sam3VideoConfig

    sam3(folder)
    weights = load_file(folder / "model.safetensors")
    save_file({f"detector_model.{name}": value for name, value in weights.items()}, folder / "model.safetensors")
    config = Sam3Config.from_pretrained(folder)
    Sam3VideoConfig(detector_config=config.to_dict()).save_pretrained(folder)
    return folder


def _saved(model: PreTrainedModel, processor: Any, folder: Path, spread: float = 0.1) -> Path:
    """Weights are shaken before, since a new model gives every object nearly the same box and score."""
    assert sum(parameter.numel() for parameter in model.parameters()) < 1e6
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * spread)
    model.eval().save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


BUILT = {"grounding_dino": grounding_dino, "mm_grounding_dino": mm_grounding_dino, "owlv2": owlv2, "sam3": sam3}


def opened(kind: str, folder: Path, box: float = 0.0, side: int = 64) -> Any:
    """The finder of that kind from a folder."""
    config = ZeroShotConfig(find=FindConfig(box=box, side=side))
    return resolve_name(FINDERS.find(kind).adapter)(Part(kind, str(folder), "local"), config, torch.device("cpu"))


def pictures(count: int, size: tuple[int, int] = SIZE) -> Tensor:
    """(n, 3, H, W) uint8 noise, with a bright square in each at another place."""
    noise = torch.randint(0, 90, (count, 3, *size), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    for number in range(count):
        noise[number, number % 3, 5:20, 5 + 7 * number : 25 + 7 * number] = 230
    return noise
