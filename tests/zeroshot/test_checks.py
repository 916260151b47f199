"""What is refused before a finder looks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from avseg.models.zeroshot.config import Part
from extras import needs
from zeroshot import tiny_finders as tiny

pytestmark = pytest.mark.extra


@pytest.fixture(scope="module")
def checks() -> Any:
    needs("transformers")
    from avseg.models.zeroshot.hub import checks

    return checks


@pytest.mark.parametrize("kind", list(tiny.BUILT))
def test_a_folder_of_another_model_is_refused_before_it_is_loaded(checks: Any, kind: str, tmp_path: Path) -> None:
    """`transformers` fills what it does not find with random numbers, or raises errors about shapes."""
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "owlvit"}))
    with pytest.raises(ValueError, match=f"of the type 'owlvit', and a finder of the kind '{kind}' takes"):
        tiny.opened(kind, tmp_path)


def test_one_of_several_types_will_do(checks: Any, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "sam3_video"}))
    checks.check_kind(Part("sam3", str(tmp_path), "local"), "sam3", "sam3_video")
    with pytest.raises(ValueError, match="takes 'owlv2' or 'sam3'; give other weights"):
        checks.check_kind(Part("sam3", str(tmp_path), "local"), "owlv2", "sam3")


def test_a_noun_of_more_tokens_than_are_read_or_none_is_refused_by_name(checks: Any) -> None:
    checks.check_lengths(["dog", "cat"], [1, 16], 16)
    with pytest.raises(ValueError, match="'cat' is 17 tokens long, the finder reads 16 at most"):
        checks.check_lengths(["dog", "cat"], [3, 17], 16)
    with pytest.raises(ValueError, match="'-' has nothing that a finder could look for"):
        checks.check_lengths(["dog", "-"], [3, 0], 16)
