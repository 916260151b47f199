"""Folders of weights that are cut short, damaged, incomplete or of another model: one sentence each."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from avseg.models import load_model
from avseg.models.zeroshot.config import Part
from avseg.models.zeroshot.hub.cache import located
from extras import needs
from zeroshot_parts import register

MAKERS = {
    "clap": ("tiny_taggers", "save_clap"),
    "ast": ("tiny_taggers", "save_ast"),
    "grounding_dino": ("tiny_finders", "grounding_dino"),
    "owlv2": ("tiny_finders", "owlv2"),
    "sam2": ("tiny_followers", "sam2"),
}
STAGES = {"clap": "tagger", "ast": "tagger", "grounding_dino": "finder", "owlv2": "finder", "sam2": "follower"}


def cut(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def pointer(folder: Path) -> None:
    (folder / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 9\n")


def config(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type":')


def config_of_another_form(folder: Path) -> None:
    (folder / "config.json").write_text("[]")


def processor(folder: Path) -> None:
    for path in folder.glob("*processor_config.json"):
        path.write_text("{")


def words(folder: Path) -> None:
    for path in (*folder.glob("tokenizer*"), *folder.glob("vocab*"), *folder.glob("merges*")):
        path.unlink()


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    needs("transformers")
    from zeroshot import tiny_finders, tiny_followers, tiny_taggers

    made, places = {one.__name__.split(".")[-1]: one for one in (tiny_finders, tiny_followers, tiny_taggers)}, {}
    for kind, (module, maker) in MAKERS.items():
        places[kind] = tmp_path_factory.mktemp(kind)
        getattr(made[module], maker)(places[kind])
    return places


def stages(kind: str, folder: Path) -> None:
    """Load one part, with stubs beside it."""
    register()
    parts = {"tagger": "stub", "finder": "stub", "follower": "stub", STAGES[kind]: f"{kind}:{folder}"}
    text = ",".join(f"{stage}={part}" for stage, part in parts.items())
    model = load_model("zeroshot-cpu", choices={"parts": text, "vocabulary": "dog,guitar"})
    model.stages(torch.device("cpu"))  # type: ignore[attr-defined]


@pytest.mark.extra
@pytest.mark.parametrize("kind", list(MAKERS))
@pytest.mark.parametrize("damage", [cut, pointer, config, config_of_another_form, processor, words])
def test_damaged_weights_are_one_sentence(
    kind: str, damage: Callable[[Path], None], folders: dict[str, Path], tmp_path: Path
) -> None:
    folder = tmp_path / kind
    shutil.copytree(folders[kind], folder)
    damage(folder)
    if damage is words and kind in ("ast", "sam2"):
        stages(kind, folder)  # they read no words
        return
    with pytest.raises(
        ValueError, match=f"{kind} holds (nothing that loads as '{kind}'|a model of the type None).*give"
    ):
        stages(kind, folder)


@pytest.mark.extra
@pytest.mark.parametrize(("kind", "other"), [("clap", "ast"), ("ast", "clap"), ("sam2", "owlv2"), ("owlv2", "clap")])
def test_weights_of_another_kind_are_one_sentence(kind: str, other: str, folders: dict[str, Path]) -> None:
    with pytest.raises(ValueError, match=r"holds nothing that loads|lacks \d+ weights|holds a model of the type"):
        stages(kind, folders[other])


@pytest.mark.parametrize("content", ["{", "{}", "[]", '{"weight_map": 3}'])
def test_an_index_that_cannot_be_read_is_told(content: str, tmp_path: Path) -> None:
    for name in ("config.json", "preprocessor_config.json"):
        (tmp_path / name).write_text("{}")
    (tmp_path / "model.safetensors.index.json").write_text(content)
    with pytest.raises(ValueError, match=r"has no model.safetensors.index.json that lists its pieces; give one"):
        located(Part("clap", str(tmp_path)))
