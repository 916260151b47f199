"""EdgeTAM as a follower: where it is not as SAM 2 (what holds of both: test_sam2.py)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from extras import needs
from zeroshot import tiny_followers as tiny

pytestmark = pytest.mark.extra


@pytest.fixture(scope="module")
def followers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    needs("transformers")
    return {kind: tiny.opened(kind, tiny.BUILT[kind](tmp_path_factory.mktemp(kind))) for kind in ("sam2", "edgetam")}


@torch.inference_mode()
def two_objects(follower: Any, frames: Tensor, second: int | None) -> list[Tensor]:
    """Logits of the first object of one session, in which a second one is prompted in a later frame, or is not."""
    processor, session, seen = follower.processor, follower.processor.init_video_session(), []
    for number, frame in enumerate(frames):
        for object_id, start in ((1, 0), (2, second)):
            if start == number:
                processor.add_inputs_to_inference_session(
                    session,
                    frame_idx=number,
                    obj_ids=[object_id],
                    input_boxes=[[list(tiny.BOXES[object_id])]],
                    original_size=tiny.SIZE,
                )
        seen.append(
            follower.model(inference_session=session, frame=follower.pixels(frame), frame_idx=number).pred_masks
        )
    return [one[0, 0] for one in seen]


def test_objects_of_one_session_disturb_each_other_in_sam2_alone(followers: dict[str, Any]) -> None:
    """The reason for one session per track."""
    frames = tiny.video(8)
    for kind, follower in followers.items():
        alone, beside = two_objects(follower, frames, None), two_objects(follower, frames, 3)
        same = [torch.equal(one, other) for one, other in zip(alone, beside, strict=True)]
        assert same == ([True] * 4 + [False] * 4 if kind == "sam2" else [True] * 8)


def test_its_memory_has_no_high_resolution_masks_and_as_many_rows_as_latents(followers: dict[str, Any]) -> None:
    following, frames = followers["edgetam"].open(tiny.SIZE), tiny.video(3)
    follower = followers["edgetam"]
    session = follower.session()
    with torch.inference_mode():
        follower.prompt(session, 0, tiny.found(1), tiny.SIZE)
        follower.model(inference_session=session, frame=follower.pixels(frames[0]), frame_idx=0)
    output = session.output_dict_per_obj[0]["cond_frame_outputs"][0]
    assert "high_res_masks" not in output
    config = follower.model.config
    rows = config.perceiver_resampler_num_latents + config.perceiver_resampler_num_latents_2d
    assert output["maskmem_features"].shape == (1, rows, 64)
    tiny.followed(following, frames, {1: 0})
    kept = following._sessions[1].output_dict_per_obj[0]["cond_frame_outputs"][0]
    assert kept.keys() == {"object_pointer", "maskmem_features", "maskmem_pos_enc"}


def test_the_backbone_must_be_named_in_the_config() -> None:
    needs("transformers")
    from transformers import EdgeTamVideoConfig, EdgeTamVisionConfig

    assert EdgeTamVideoConfig().vision_config.model_type == "sam2_vision_model"
    assert EdgeTamVisionConfig().backbone_config.architecture == "resnet50"


def test_its_weights_are_those_of_its_own_architecture(followers: dict[str, Any]) -> None:
    config = followers["edgetam"].model.config.vision_config.backbone_config
    assert config.architecture == "repvit_m1"
    assert type(followers["edgetam"].processor) is type(followers["sam2"].processor)


def test_weights_of_another_kind_are_refused(tmp_path: Path) -> None:
    """`transformers` fills what it does not find by chance, and only logs it."""
    needs("transformers")
    with pytest.raises(ValueError, match=r"lacks [0-9]+ weights of EdgeTamVideoModel"):
        tiny.opened("edgetam", tiny.sam2(tmp_path))
