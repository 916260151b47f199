"""The notebooks of examples run from top to bottom, and their cells show what they should."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from extras import needs

EXAMPLES = Path(__file__).parents[1] / "examples"
NOTEBOOKS = ("first_steps", "own_videos", "compare_models", "your_method")

pytestmark = pytest.mark.extra


@lru_cache
def cells_of(name: str) -> list[Any]:
    """The code cells of a notebook that has run."""
    for package in ("nbclient", "ipykernel", "pandas"):
        needs(package)
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(EXAMPLES / f"{name}.ipynb", as_version=4)
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def cell_with(name: str, word: str) -> Any:
    (cell,) = (cell for cell in cells_of(name) if word in cell.source)
    return cell


def shown(name: str, word: str) -> Any:
    """What the cell with this word in its source shows."""
    return next(one.data for one in cell_with(name, word).outputs if one.output_type == "execute_result")


def printed(name: str, word: str) -> str:
    return "".join(one.text for one in cell_with(name, word).outputs if one.get("name") == "stdout")


def test_first_steps() -> None:
    name = "first_steps"
    assert len(cells_of(name)) >= 10
    for cell in cells_of(name):
        assert any(one.output_type == "execute_result" for one in cell.outputs), cell.source
    card = shown(name, 'Segmenter("demo"')
    assert "text/html" in card and card["text/plain"].startswith("Result('shapes', 320x180, 8.0 s, 32 frames")
    assert "image/png" in shown(name, "result.plot()") and "<table" in shown(name, "to_pandas")["text/html"]
    assert "'seconds.csv'" in shown(name, "result.save(")["text/plain"]
    assert "True" in shown(name, "Result.load")["text/plain"]


def test_own_videos() -> None:
    name = "own_videos"
    assert "all files exist" in printed(name, "folders.check")
    assert shown(name, "train_recipe")["text/plain"] == "'best.safetensors'"
    assert "B - A" in printed(name, "compare_files") and "8 clips" in printed(name, "compare_files")
    assert "image/png" in shown(name, "result.plot()")


def test_compare_models() -> None:
    name = "compare_models"
    assert "mIoU" in shown(name, "repaired = ")["text/plain"]
    assert "published" in printed(name, "compare_files") and " to +" in printed(name, "compare_files")
    assert "compare.json" in shown(name, "iterdir")["text/plain"]
    assert "silence" in shown(name, "listen_file")["text/plain"]


def test_your_method() -> None:
    name = "your_method"
    assert "small" in shown(name, "FAMILIES.add")["text/plain"]
    assert "(2, 5, 1, 112, 112)" in shown(name, "model.losses(")["text/plain"]
    assert "J" in shown(name, "avseg.evaluate")["text/plain"]
    assert shown(name, "Segmenter(best")["text/plain"].startswith("Result('film'")


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebooks_are_kept_without_outputs(name: str) -> None:
    needs("nbformat")
    import nbformat

    notebook = nbformat.read(EXAMPLES / f"{name}.ipynb", as_version=4)
    nbformat.validate(notebook)
    assert not any(cell.get("outputs") for cell in notebook.cells)
