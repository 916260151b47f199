"""How far an exported file may be from PyTorch."""

from __future__ import annotations

import pytest
import torch

from avseg.export.write import difference
from avseg.models.avism.model import AVISM


def test_it_is_the_largest_share_of_the_largest_number() -> None:
    wanted = torch.linspace(-2, 1, 1000)
    found = wanted.clone()
    found[7] += 0.01
    assert difference(found, wanted) == pytest.approx(0.005, rel=1e-4)


def test_thresholds_may_move_few_numbers_and_none_far() -> None:
    wanted = torch.ones(1000)
    found = wanted + 1e-6
    found[:10] += 0.001
    assert difference(found, wanted, decides=True) == pytest.approx(1e-6, rel=0.2)
    found[10] += 0.001
    assert difference(found, wanted, decides=True) == pytest.approx(0.001, rel=0.01)
    found[10] = 1.02
    assert difference(found, wanted, decides=True) == pytest.approx(0.02, rel=0.01)


def test_masked_attention_decides() -> None:
    assert AVISM.seams["network.look"].decides and not AVISM.seams["network.watch"].decides
