"""Tiny followers with random weights, saved as the Hub saves them, and a video of moving squares.

`transformers` is imported inside functions, because it may be missing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from avseg.models.zeroshot.catalogue import FOLLOWERS
from avseg.models.zeroshot.config import FindConfig, FollowConfig, Part, ZeroShotConfig
from avseg.models.zeroshot.parts import Found

if TYPE_CHECKING:
    from transformers import PreTrainedModel

SIDE = 64
"""Pixels of the square that the tiny models see."""
SIZE = (48, 72)
"""(H, W) of the pictures."""


def _processor(folder: Path) -> None:
    from transformers import Sam2ImageProcessor, Sam2VideoProcessor, Sam2VideoVideoProcessor

    size, mask = {"height": SIDE, "width": SIDE}, {"height": SIDE // 4, "width": SIDE // 4}
    images = Sam2ImageProcessor(size=size, mask_size=mask)
    Sam2VideoProcessor(
        image_processor=images,
        video_processor=Sam2VideoVideoProcessor(size=size),
    ).save_pretrained(folder)


def _decoder() -> dict[str, dict[str, int]]:
    return {
        "prompt_encoder_config": {"image_size": SIDE, "patch_size": 16, "hidden_size": 256},
        "mask_decoder_config": {"hidden_size": 256, "mlp_dim": 32, "num_hidden_layers": 1},
    }


def _sizes() -> dict[str, object]:
    return {"image_size": SIDE, "memory_attention_num_layers": 1, "memory_attention_rope_feat_sizes": [SIDE // 16] * 2}


def sam2(folder: Path) -> Path:
    """Save a SAM 2 of 3 M parameters."""
    from transformers import Sam2HieraDetConfig, Sam2VideoConfig, Sam2VideoModel, Sam2VisionConfig

    torch.manual_seed(1)
    backbone = Sam2HieraDetConfig(
        image_size=[SIDE, SIDE],
        hidden_size=8,
        num_attention_heads=1,
        blocks_per_stage=[1, 1, 2, 1],
        embed_dim_per_stage=[8, 16, 32, 64],
        num_attention_heads_per_stage=[1, 1, 2, 2],
        window_size_per_stage=[4, 4, 4, 2],
        global_attention_blocks=[3],
    )
    vision = Sam2VisionConfig(
        backbone_config=backbone,
        backbone_channel_list=[64, 32, 16, 8],
        backbone_feature_sizes=[[SIDE // 4] * 2, [SIDE // 8] * 2, [SIDE // 16] * 2],
    )
    config = Sam2VideoConfig(
        vision_config=vision, memory_attention_feed_forward_hidden_size=32, **_decoder(), **_sizes()
    )
    return _saved(Sam2VideoModel(config), folder)


def edgetam(folder: Path) -> Path:
    """Save an EdgeTAM with the full backbone, whose widths are fixed."""
    from transformers import EdgeTamVideoConfig, EdgeTamVideoModel, EdgeTamVisionConfig, TimmWrapperConfig

    torch.manual_seed(1)
    backbone = TimmWrapperConfig(
        architecture="repvit_m1", model_args={"in_chans": 3, "features_only": True, "out_indices": (0, 1, 2, 3)}
    )
    vision = EdgeTamVisionConfig(
        backbone_config=backbone,
        backbone_feature_sizes=[[SIDE // 4] * 2, [SIDE // 8] * 2, [SIDE // 16] * 2],
    )
    config = EdgeTamVideoConfig(
        vision_config=vision,
        memory_attention_mlp_hidden_size=32,
        memory_attention_rope_k_sizes=[2, 2],
        perceiver_resampler_num_latents=4,
        perceiver_resampler_num_latents_2d=4,
        **_decoder(),
        **_sizes(),
    )
    return _saved(EdgeTamVideoModel(config), folder)


def _saved(model: PreTrainedModel, folder: Path) -> Path:
    with torch.no_grad():  # objects stay visible
        model.mask_decoder.pred_obj_score_head.proj_out.bias.fill_(1)
    model.eval().save_pretrained(folder)
    _processor(folder)
    return folder


def sam3(folder: Path) -> Path:
    """Save a SAM 3 that finds objects in the first frame in which it looks, and mostly none later."""
    from transformers import (
        Sam2VideoVideoProcessor,
        Sam3ImageProcessor,
        Sam3VideoConfig,
        Sam3VideoModel,
        Sam3VideoProcessor,
    )

    torch.manual_seed(3)
    side, patch = 112, 14
    backbone = {
        "model_type": "sam3_vit_model",
        "hidden_size": 32,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": side,
        "pretrain_image_size": side,
        "patch_size": patch,
        "window_size": 4,
        "global_attn_indexes": [1],
    }
    vision = {
        "model_type": "sam3_vision_model",
        "backbone_config": backbone,
        "backbone_feature_sizes": [[32, 32], [16, 16], [8, 8]],
    }
    text = {"model_type": "clip_text_model", "vocab_size": 514, "hidden_size": 32, "projection_dim": 32}
    ends = {"bos_token_id": 512, "eos_token_id": 513, "pad_token_id": 513}
    thin = {"num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32, "max_position_embeddings": 32}
    few = {"num_layers": 1, "intermediate_size": 32}
    detector = {
        "model_type": "sam3",
        "vision_config": vision,
        "text_config": {**text, **ends, **thin},
        "geometry_encoder_config": few,
        "detr_encoder_config": few,
        "detr_decoder_config": {**few, "num_queries": 4},
    }
    tracker = {
        "model_type": "sam3_tracker_video",
        "image_size": side,
        "vision_config": vision,
        "prompt_encoder_config": {"image_size": side, "patch_size": patch},
        "mask_decoder_config": {"mlp_dim": 32, "num_hidden_layers": 1},
        "memory_attention_num_layers": 1,
        "memory_attention_feed_forward_hidden_size": 32,
        "memory_attention_rope_feat_sizes": [8, 8],
    }
    thresholds = {"score_threshold_detection": 0.1, "new_det_thresh": 1.0, "hotstart_delay": 0}
    config = Sam3VideoConfig(detector_config=detector, tracker_config=tracker, low_res_mask_size=32, **thresholds)
    model = Sam3VideoModel(config).eval()
    with torch.no_grad():  # masks as sure as those of trained weights, of objects that stay visible
        model.detector_model.mask_decoder.mask_embedder.layers[-1].weight.mul_(100)
        model.tracker_model.mask_decoder.pred_obj_score_head.proj_out.bias.fill_(1)
    model.save_pretrained(folder)
    size, mask = {"height": side, "width": side}, {"height": 32, "width": 32}
    Sam3VideoProcessor(
        image_processor=Sam3ImageProcessor(size=size, mask_size=mask),
        video_processor=Sam2VideoVideoProcessor(size=size, image_mean=[0.5] * 3, image_std=[0.5] * 3),
        tokenizer=_tokenizer(folder),
    ).save_pretrained(folder)
    return folder


def _tokenizer(folder: Path) -> object:
    """Every byte is a token, at the end of a word another one."""
    from transformers import CLIPTokenizer

    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = [chr(byte) for byte in plain] + [chr(256 + number) for number in range(256 - len(plain))]
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({token: number for number, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = CLIPTokenizer.from_pretrained(folder, model_max_length=32)
    assert len(tokenizer) == len(tokens)
    return tokenizer


BUILT = {"sam2": sam2, "edgetam": edgetam, "sam3": sam3}
BOXES = {1: (1.0, 8.0, 17.0, 24.0), 2: (46.0, 28.0, 62.0, 44.0)}
"""Of the squares of `video` in frame 0, and nearly so in the next ones."""


def opened(kind: str, folder: Path, precision: str = "float32", find: FindConfig = FindConfig()) -> Any:
    """The follower of that kind from a folder."""
    config = ZeroShotConfig(find=find, follow=FollowConfig(precision=precision))
    part = Part(kind, str(folder), "revision")
    return resolve_name(FOLLOWERS.find(kind).adapter)(part, config, torch.device("cpu"))


def found(track: int) -> Found:
    """The box of a square, as a finder gives it."""
    return Found(0, 0.9, BOXES[track])


def followed(following: Any, frames: Iterable[Tensor], starts: dict[int, int]) -> dict[int, list[Tensor]]:
    """Logits by track, from the frame on in which it starts (`starts`: track to frame)."""
    seen: dict[int, list[Tensor]] = {track: [] for track in starts}
    for number, frame in enumerate(frames):
        for track, one in following.see(frame, ()).items():
            seen[track].append(one.logits)
        for track, start in starts.items():
            if start == number:
                seen[track].append(following.start(track, found(track)).logits)
    return seen


def video(frames: int) -> Tensor:
    """(T, 3, H, W) uint8: two squares that move over noise, each with a colour of its own."""
    noise = torch.randint(0, 60, (frames, 3, *SIZE), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    for number in range(frames):
        noise[number, 0, 8:24, number % 40 : number % 40 + 16] = 230
        noise[number, 2, 28:44, 50 - number % 40 : 66 - number % 40] = 200
    return noise
