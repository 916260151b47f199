"""What is told of published weights: the page in docs is the records, and the commands exist."""

from __future__ import annotations

import dataclasses
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

from avseg.cli import group, run
from avseg.engine.config import InitConfig
from avseg.models.record import NOT_STATED
from avseg.recipes import get_recipe
from avseg.weights import RECORDS, Record
from avseg.weights.table import markdown, never_published, published

PAGE = Path(__file__).parents[2] / "docs/how-to/weights.md"
BY_NAME = pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.name)


def test_the_page_is_what_the_records_give() -> None:
    """`avseg weights list --markdown` prints what belongs between its two marks."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition("<!-- records -->\n")
    table, mark, _ = rest.partition("\n<!-- /records -->")
    assert before and mark and table.strip() == markdown().strip()


def test_the_list_names_every_record(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for columns in ("80", "160"):
        monkeypatch.setenv("COLUMNS", columns)
        assert run(["weights", "list"]) == 0
        said = capsys.readouterr().out
        assert max(map(len, said.splitlines())) <= int(columns)
        words = re.sub(r"\s+", " ", said)
        for record in RECORDS:
            assert record.name in words and all(file in words for file in record.files)
    assert run(["weights", "list", "--markdown"]) == 0
    assert capsys.readouterr().out == markdown()


@BY_NAME
def test_the_command_of_a_record_exists(record: Record) -> None:
    if not record.command.startswith("avseg "):
        assert "no command" in record.command
        return
    words = re.sub(r" \(or .*\)$", "", record.command).split()
    assert "FILE" in words
    options = {word for word in words if word.startswith("-")}
    if words[1] == "convert":
        parameters = inspect.signature(group("convert")[words[2]]).parameters
        assert words[2] == record.family and words[3] == "FILE"
        assert {name.removeprefix("--") for name in options - {"-o"}} <= set(parameters)
    else:
        assert words[1] == "train"
        recipe = get_recipe(words[2])
        fields = {f"--init.{field.name}" for field in dataclasses.fields(InitConfig)}
        assert options <= fields | {"--data.root"}
        given = {name.removeprefix("--init.") for name in options if name.startswith("--init.")}
        assert given & set(recipe.init.needs) == given


@BY_NAME
def test_a_recipe_takes_the_backbone_of_its_record(record: Record) -> None:
    if record.family in ("backbone", "detector"):
        assert getattr(get_recipe(record.command.split()[2]).model, "backbone") == record.backbone  # noqa: B009


@BY_NAME
def test_records_name_no_hosts_and_leave_nothing_empty(record: Record) -> None:
    told = " ".join((record.name, record.variant, record.place, record.licence, record.command, *record.files))
    assert not re.search(r"https?:|www\.|\.(?:com|org|io|net)\b", told)
    assert all((record.name, record.family, record.variant, record.place, record.licence, record.command))
    assert record.published or not record.files


def test_what_was_published() -> None:
    """Of S4 and MS3 TPAVI's weights were never released, no CAVP of VPO was, and nothing of CATR."""
    assert {record.family for record in never_published()} == {"tpavi", "catr", "cavp"}
    assert len(published()) + len(never_published()) == len(RECORDS)
    told = {record.name for record in published() if record.family in ("tpavi", "catr", "cavp", "avism")}
    assert told == {
        *("tpavi_avss_r50", "tpavi_avss_pvt", "cavp_avss_r50", "cavp_object_r50"),
        *("avism_r50", "avism_coco_r50", "avism_swinl", "avism_coco_swinl"),
    }
    stated = {record.family for record in RECORDS if not record.licence.startswith(NOT_STATED)}
    assert stated == {"tpavi"}


def test_records_need_no_torch() -> None:
    code = (
        "import sys\nfrom avseg.weights import RECORDS, recognise\nfrom avseg.weights.table import markdown\n"
        "assert markdown() and recognise({}) is None\nprint('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "False"
