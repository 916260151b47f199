"""What AVISM hears beyond what was published: classes told from sound alone, and masks that fall silent."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from avseg.models.avism.config import AVISMOptions
from avseg.models.avism.truth import truth_of
from avseg.types import Batch
from models.small_avism import AVISM_CONFIG, boxes, noise, small_avism, told, two_clips


def test_truth_tells_which_classes_sound_when() -> None:
    """Two of one class are one; silent and unjudged frames have none, and neither has a slip's "no object"."""
    tracks = boxes([(0, 0, 9, 9), None], [(20, 20, 30, 30), (20, 20, 30, 30)], [None, (40, 40, 50, 50)])
    batch = Batch.collate([told(noise(2), tracks, [1, 1, 3]), told(noise(2, 1), tracks[:1], [2], [False, True])])
    truth = truth_of(batch, batch.sizes, (64, 64), 3)
    assert truth.sounding(3).tolist() == [[[True, False, False], [True, False, True]], [[False] * 3, [False] * 3]]
    slip = truth_of(batch, batch.sizes, (64, 64), 3, silent_first=True)
    assert slip.sounding(3)[0].tolist() == [[True, False, False], [True, False, False]]


def test_the_loss_is_the_cross_entropy_of_judged_seconds() -> None:
    batch = Batch.collate(two_clips())
    model = small_avism(sounding_weight=0.5).train()
    output = model(batch)
    assert output.sounding_logits is not None and output.sounding_logits.shape == (2, 4, 3)
    judged = torch.tensor([[True, True, True, False], [True, True, True, False]])
    truth = torch.zeros(2, 4, 3)
    truth[0, [0, 1], 0] = truth[0, [1, 2], 2] = truth[1, [0, 2], 1] = 1
    wanted = F.binary_cross_entropy_with_logits(output.sounding_logits[judged], truth[judged])
    torch.testing.assert_close(model.losses(output, batch)["sounding"], 0.5 * wanted)


def test_without_it_nothing_is_added() -> None:
    plain, heard = small_avism(), small_avism(sounding_weight=0.5)
    assert {*heard.state_dict()} - {*plain.state_dict()} == {"sounding.weight", "sounding.bias"}
    assert "audio" not in plain.param_groups() and len(heard.param_groups()["audio"]) == 2
    batch = Batch.collate(two_clips())
    assert "sounding" not in plain.losses(plain(batch), batch)
    with pytest.raises(ValueError, match=r"sounding_weight -1 is negative"):
        replace(AVISM_CONFIG, sounding_weight=-1)


@pytest.mark.parametrize("heard", [False, True])
def test_published_masks_are_deaf_and_others_need_not_be(heard: bool) -> None:
    """Of one picture twice, with two sounds: mask features differ by a constant of each second, or not at all."""
    network = small_avism(heard_masks=heard).network
    picture, sounds = torch.rand(1, 3, 64, 64).expand(2, -1, -1, -1), torch.rand(2, 8)
    with torch.inference_mode():
        first, second = network.look(picture, sounds).clip_features
    gained = (second - first).flatten(1)  # (D, h * w)
    torch.testing.assert_close(gained, gained[:, :1].expand_as(gained), rtol=0, atol=1e-5)
    assert (gained.abs().max() > 0.01) == heard


def test_heard_masks_are_drawn_alike_at_once_and_in_pieces() -> None:
    model = small_avism(AVISMOptions(score=0.0, frames_in_memory=3), heard_masks=True, frames_at_once=2)
    batch = Batch.collate([noise(5)])
    with torch.inference_mode():
        (whole,), (pieces,) = model.postprocess(model(batch), batch), model.predict(batch)
    assert whole.scores.numel() and torch.equal(whole.classes, pieces.classes)
    torch.testing.assert_close(whole.scores, pieces.scores, rtol=0, atol=2e-3)
