"""The check counts, reads everything, and names the faulty files."""

from __future__ import annotations

from pathlib import Path

import pytest

from avseg.datasets.folders import check, write


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root: Path = tmp_path_factory.mktemp("worlds")
    for name in ("s4", "ms3", "avss"):
        write(name, root / name, 6, seed=2, workers=1, size=32)
    return root


@pytest.fixture
def copy(worlds: Path, tmp_path: Path) -> Path:
    import shutil

    shutil.copytree(worlds, tmp_path / "copy")
    return tmp_path / "copy"


@pytest.mark.parametrize("name", ["s4", "ms3", "avss"])
def test_a_whole_synthetic_folder_is_fine(worlds: Path, name: str) -> None:
    report = check(name, worlds / name, workers=1)
    assert report.ok
    assert report.exit_code == 0
    assert report.whole == report.found == report.expected == {"train": 4, "val": 1, "test": 1}
    assert "all files exist" in str(report)
    assert "synthetic" in str(report)


def test_counts_of_the_published_set_are_wanted_of_a_real_folder(copy: Path) -> None:
    (copy / "s4" / "truth.json").unlink()
    report = check("s4", copy / "s4", workers=1)
    assert report.expected == {"train": 3452, "val": 740, "test": 740}
    assert report.exit_code == 1
    assert "lists 4 clips, the published number is 3452" in str(report)
    assert "on request" in str(report)


def test_unconfirmed_counts_are_no_fault(copy: Path) -> None:
    (copy / "avss" / "truth.json").unlink()
    report = check("avss", copy / "avss", workers=1)
    assert report.ok
    assert "8498; that number is not confirmed" in str(report)


def test_every_kind_of_fault_is_found(copy: Path) -> None:
    data = copy / "s4" / "s4_data"
    pictures = sorted((data / "visual_frames" / "train").rglob("*_2.png"))
    pictures[0].unlink()
    pictures[1].write_bytes(pictures[1].read_bytes()[:100])
    next((data / "audio_wav" / "val").rglob("*.wav")).write_bytes(b"")
    next((data / "audio_log_mel" / "test").rglob("*.pkl")).write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    report = check("s4", copy / "s4", workers=1)
    reasons = " ".join(fault.reason for fault in report.faults)
    assert len(report.faults) == 4
    for words in ("_2.png is missing", "_2.png is not a complete picture", "zero bytes", "asks for os.system"):
        assert words in reasons
    assert report.whole == {"train": 2, "val": 0, "test": 0}


def test_absent_log_mel_is_a_note_and_only_ten_faults_are_shown(copy: Path) -> None:
    for path in (copy / "ms3").rglob("*.pkl"):
        path.unlink()
    report = check("ms3", copy / "ms3", workers=1)
    assert report.ok
    assert "6 of 6 log-mel pickles are missing" in str(report)
    table = copy / "ms3" / "ms3_meta_data.csv"
    table.write_text(table.read_text() + "".join(f"gone_{i},train\n" for i in range(15)))
    report = check("ms3", copy / "ms3", workers=1)
    assert len(report.faults) == 15
    assert str(report).count("train gone_") == 10
    assert "15 faults, the first 10" in str(report)


def test_a_missing_table_is_a_fault(tmp_path: Path) -> None:
    report = check("avss", tmp_path, workers=1)
    assert not report.ok
    assert "metadata.csv is missing" in str(report)
    assert check("avss", tmp_path / "nowhere").exit_code == 1
    with pytest.raises(ValueError, match="did you mean 'avss'"):
        check("avs", tmp_path)


def test_processes_find_the_same(copy: Path) -> None:
    next((copy / "s4/s4_data/audio_wav/val").rglob("*.wav")).unlink()
    one, two = (check("s4", copy / "s4", workers=workers) for workers in (1, 2))
    assert str(one) == str(two)
    assert not one.ok
