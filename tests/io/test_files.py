"""Files and folders that are whole or absent: what they are like when they are in place, and what is passed over."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from avseg.engine.training.lock import only_writer
from avseg.io.files import clear_stale, write_aside, write_folder_aside, write_text
from avseg.models import save_model
from models.small import small_model

MODES = pytest.mark.skipif(sys.platform == "win32", reason="modes of files are those of POSIX")


@pytest.fixture(params=[0o022, 0o077, 0o002], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path: Path) -> str:
    return oct(stat.S_IMODE(path.lstat().st_mode))


@MODES
def test_files_have_the_mode_of_any_new_file(tmp_path: Path, umask: int) -> None:
    wanted = oct(0o666 & ~umask)
    write_text(tmp_path / "a.txt", "plain")
    with write_aside(tmp_path / "b.txt") as aside:  # a writer with a private file of its own, as safetensors
        aside.touch(0o600)
    save_model(small_model(), tmp_path / "model.safetensors")
    with only_writer(tmp_path):
        pass
    names = ("a.txt", "b.txt", "model.safetensors", ".lock")
    assert {name: mode(tmp_path / name) for name in names} == dict.fromkeys(names, wanted)
    assert {path.name for path in tmp_path.iterdir()} == set(names)
    (tmp_path / "a.txt").chmod(0o600)
    write_text(tmp_path / "a.txt", "anew")
    assert mode(tmp_path / "a.txt") == wanted


@MODES
def test_folders_have_the_mode_of_any_new_folder(tmp_path: Path, umask: int) -> None:
    for content in ("first", "second"):
        with write_folder_aside(tmp_path / "parent" / "folder") as aside:
            write_text(aside / "a.txt", content)
            (aside / "deeper").mkdir()
    folder = tmp_path / "parent" / "folder"
    wanted = oct(0o777 & ~umask)
    assert [mode(path) for path in (folder.parent, folder, folder / "deeper")] == [wanted] * 3
    assert mode(folder / "a.txt") == oct(0o666 & ~umask)
    assert (folder / "a.txt").read_text() == "second" and list(folder.parent.iterdir()) == [folder]


@MODES
def test_what_a_link_leads_to_keeps_its_mode(tmp_path: Path) -> None:
    source = tmp_path / "source.jpg"
    source.touch()
    source.chmod(0o640)
    with write_aside(tmp_path / "link.jpg") as aside:
        aside.symlink_to(source)
    assert (tmp_path / "link.jpg").readlink() == source and mode(source) == oct(0o640)


def test_nothing_stays_of_what_failed(tmp_path: Path) -> None:
    for writer in (write_aside, write_folder_aside):
        with pytest.raises(KeyboardInterrupt), writer(tmp_path / "a"):
            raise KeyboardInterrupt
    with pytest.raises(FileNotFoundError), write_aside(tmp_path / "a"):
        pass  # nothing is written
    assert list(tmp_path.iterdir()) == []


def test_what_killed_processes_left_is_cleared_and_nothing_else(tmp_path: Path) -> None:
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom avseg.io.files import write_aside, write_folder_aside\n"
        "folder = Path(sys.argv[1])\n"
        "with write_aside(folder / 'below' / 'a.wav') as one, write_folder_aside(folder / 'b') as two:\n"
        "    one.touch(), (two / 'c').touch()\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    foreign = tmp_path / ".mine.part"
    foreign.touch()
    assert len(list(tmp_path.rglob("*.part*"))) == 3
    with write_aside(tmp_path / "own.txt") as own:
        own.write_text("now", encoding="utf-8")
        clear_stale(tmp_path)
        assert own.is_file() and [path.name for path in tmp_path.glob("*/*.part*")] != []
        clear_stale(tmp_path, below=True)
        assert own.is_file() and sorted(tmp_path.rglob("*.part*")) == sorted([foreign, own])
    clear_stale(tmp_path / "missing")
