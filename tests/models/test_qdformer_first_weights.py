"""QDFormer begins from Swins of ImageNet and from torchvision's Video Swin."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torch import Tensor
from torchvision.models.video import swin3d_t

from avseg.models import build_model, initialise
from avseg.models.base import Model
from avseg.models.qdformer.config import QDFormerConfig
from avseg.types import Task
from small import small_config

SWIN = "swin_tiny_patch4_window7_224"


def small(backbone: str) -> Model[Any]:
    """Little beside the backbone."""
    torch.manual_seed(0)
    width = QDFormerConfig().audio_width
    one = small_config("qdformer", backbone=backbone, audio_network="none", audio_width=width, heads=4)
    return build_model(one, Task("binary"))


def published(state: dict[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """A Swin of timm under the names of its authors: maps are halved where a stage ends."""

    def renamed(name: str) -> str:
        if name.startswith("head.fc."):
            return name.replace("head.fc.", "head.")
        return re.sub(r"layers\.(\d)\.downsample", lambda m: f"layers.{int(m[1]) - 1}.downsample", name)

    return {"model": {renamed(name): value for name, value in state.items()}}


@pytest.mark.parametrize("names", ["timm", "published"])
def test_swin_of_imagenet(names: str, tmp_path: Path) -> None:
    file = tmp_path / "swin.pth"
    torch.manual_seed(1)
    state = timm.create_model(SWIN, pretrained=False).state_dict()
    torch.save(published(state) if names == "published" else state, file)
    model = small(SWIN)
    left = initialise(model, backbone=file)
    assert left and all(name.startswith(("head", "norm.")) for name in left)
    own = model.network.get_submodule("backbone").state_dict()
    taken = {name for name in own if not name.startswith("norms.")}
    assert len(taken) > 100 and all(torch.equal(own[name], state[name]) for name in taken)


def test_video_swin_of_torchvision(tmp_path: Path) -> None:
    """Its patches are two frames, ours one: what it makes of a frame that comes twice. Our own file fits as well."""
    torch.manual_seed(1)
    network = swin3d_t(weights=None)
    torch.save(network.state_dict(), tmp_path / "swin3d_t.pth")
    model = small("video_swin_tiny")
    assert initialise(model, backbone=tmp_path / "swin3d_t.pth") == ["head.weight", "head.bias"]
    backbone = model.network.get_submodule("backbone").eval()
    frames = torch.randn(4, 3, 64, 64)
    with torch.no_grad():
        ours = backbone(frames, [4])[0]
        twice = frames.repeat_interleave(2, 0).transpose(0, 1)[None]
        theirs = network.eval().features[0](network.patch_embed(twice))[0]  # (T, h, w, C)
        wanted = torch.nn.functional.layer_norm(theirs, theirs.shape[-1:]).permute(0, 3, 1, 2)
    torch.testing.assert_close(ours, wanted, rtol=1e-4, atol=1e-4)
    torch.save(backbone.state_dict(), tmp_path / "own.pth")
    other = small("video_swin_tiny")
    initialise(other, backbone=tmp_path / "own.pth")
    again = other.network.get_submodule("backbone").state_dict()
    assert all(torch.equal(value, again[name]) for name, value in backbone.state_dict().items())


def test_a_picture_network_is_no_video_network(tmp_path: Path) -> None:
    torch.save(timm.create_model("test_byobnet", pretrained=False).state_dict(), tmp_path / "other.pth")
    with pytest.raises(ValueError, match="names of torchvision's swin3d_t"):
        initialise(small("video_swin_tiny"), backbone=tmp_path / "other.pth")
