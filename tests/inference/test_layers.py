"""The modules of inference stand in layers: records, exporters of them, `Result`, and those who make results."""

from __future__ import annotations

from house_graph import files, imports, module_of

BELOW = tuple(f"avseg.inference.{name}" for name in ("plan", "records", "source", "stored", "timeline"))


def test_exporters_know_records_and_no_result() -> None:
    graph = {
        module_of(path): {name for name in imports(path, inside=True) if name.startswith("avseg.inference.")}
        for path in files()
    }
    exporters = {name for name in graph if name.startswith("avseg.inference.export.")}
    assert exporters and all(graph[name] <= {*exporters, *BELOW} for name in exporters)
    assert not any(graph[name] - set(BELOW) for name in BELOW)
    assert graph["avseg.inference.result"] & exporters and graph["avseg.inference.folder"] & exporters
