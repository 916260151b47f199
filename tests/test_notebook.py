"""The notebook of examples runs from top to bottom, and its cells say what they should."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from extras import needs

NOTEBOOK = Path(__file__).parents[1] / "examples" / "first_steps.ipynb"


@pytest.fixture(scope="module")
def ran() -> list[Any]:
    for name in ("nbclient", "ipykernel", "pandas"):
        needs(name)
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def shown(cells: list[Any], word: str) -> Any:
    """What the cell with this word in its source shows."""
    (cell,) = (cell for cell in cells if word in cell.source)
    return next(one.data for one in cell.outputs if one.output_type == "execute_result")


@pytest.mark.extra
def test_every_cell_runs_and_shows_something(ran: list[Any]) -> None:
    assert len(ran) >= 10
    for cell in ran:
        assert any(one.output_type == "execute_result" for one in cell.outputs), cell.source
    card = shown(ran, 'Segmenter("demo"')
    assert "text/html" in card and card["text/plain"].startswith("Result('shapes', 320x180, 8.0 s, 32 frames")
    assert "image/png" in shown(ran, "result.plot()") and "<table" in shown(ran, "to_pandas")["text/html"]
    assert "'seconds.csv'" in shown(ran, "result.save(")["text/plain"]
    assert "True" in shown(ran, "Result.load")["text/plain"]


@pytest.mark.extra
def test_the_notebook_is_kept_without_outputs(ran: list[Any]) -> None:
    import nbformat

    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    assert not any(cell.get("outputs") for cell in notebook.cells)
