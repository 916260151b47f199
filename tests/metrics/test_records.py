"""A suite of another package is named wherever ours are: by its record alone."""

from __future__ import annotations

import contextlib
import io

import pytest

from avseg.cli import complete, run
from avseg.data.config import DataConfig
from avseg.data.transforms import eval_transforms
from avseg.metrics import SUITES, SuiteSpec, known_protocols, metrics_of
from avseg.metrics.base import Metric
from avseg.metrics.object import foreground_metrics
from avseg.models.tpavi.config import TPAVIConfig
from avseg.types import Task
from house_graph import ROOT, files, named


def toy_metrics(task: Task, protocol: str, *, group: int = 2) -> list[Metric]:
    return foreground_metrics(task, protocol, group=group)


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> SuiteSpec:
    monkeypatch.setattr(SUITES, "_added", {})
    record = SuiteSpec("toy", ("binary",), {"plain": "as they are"}, f"{__name__}:toy_metrics", {"published": "plain"})
    SUITES.add("toy", record)
    return record


def test_a_suite_of_another_package_judges_under_its_own_protocol(toy: SuiteSpec) -> None:
    assert [m.protocol for m in metrics_of(Task("binary"), ["toy"], ["published"])] == ["plain", "plain"]
    assert [m.group for m in SUITES["toy"](Task("binary"), "plain", group=3)] == [3, 3]  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="the suite toy has no protocol 'cavp'; use plain"):
        metrics_of(Task("binary"), ["toy"], ["cavp"])
    assert "plain" in known_protocols()
    assert eval_transforms(DataConfig(), TPAVIConfig().input, "plain")


def test_help_and_completion_name_it(toy: SuiteSpec) -> None:
    page = io.StringIO()
    with contextlib.redirect_stdout(page), pytest.raises(SystemExit):
        run(["evaluate", "--help"])
    words = " ".join(page.getvalue().replace("│", " ").split())
    assert "avsbench_robust, aviseg, toy." in words and "toy: plain (also called published)" in words
    assert complete(["evaluate", "--suites", "t"])[:1] == ["toy"]
    assert complete(["evaluate", "--protocol", "pl"])[:1] == ["plain"]


def test_without_it_nothing_names_it() -> None:
    with pytest.raises(ValueError, match="there is no metric suite 'toy'"):
        metrics_of(Task("binary"), ["toy"], ["published"])
    with pytest.raises(ValueError, match="there is no protocol 'plain'"):
        eval_transforms(DataConfig(), TPAVIConfig().input, "plain")


def test_shared_code_names_no_suite_and_no_protocol() -> None:
    """What a suite is called, and what it calls its protocols, stands in its own record; `published` is the default."""
    names = {*SUITES, *known_protocols()} - {"published"}
    shared = [path for path in files() if path.relative_to(ROOT).parts[0] in ("engine", "data", "inference", "render")]
    assert len(shared) > 30
    assert {path.name: found for path in shared if (found := list(named(path, names)))} == {}
