"""A run folder is cleared of half-written files and folders before it is written to."""

from __future__ import annotations

from pathlib import Path

from avseg.engine.training.checkpoint import remove_leavings


def test_files_and_folders_aside_are_removed_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / ".best.safetensors.0-1-2.part").mkdir()
    (tmp_path / ".best.safetensors.0-1-2.part" / ".tmpXX").write_bytes(b"half")
    (tmp_path / ".last.0-1-2.part.safetensors").write_bytes(b"half")
    (tmp_path / "notes.part").write_bytes(b"the user's")
    remove_leavings(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.part"]
