"""Stamps of sound against the running count of samples: small differences are rounding, others holes and overlaps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from avseg.io.video import read_audio
from avseg.io.video_writer import pieces_of
from inference.media import make
from inference.recordings import remux

RATE = 16000
COUNT = 16 * 1024
BREAK = 8 * 1024
"""The first sample whose stamp is moved."""


def loud() -> np.ndarray:
    """(1, S) noise that is nowhere zero."""
    return np.random.default_rng(0).uniform(0.1, 0.5, (1, COUNT)).astype(np.float32)


def moved(folder: Path, milliseconds: int) -> np.ndarray:
    """(S,) the sound of a file whose second half has later stamps."""

    def change(packet, number):
        if number >= BREAK // 1024:
            packet.pts += milliseconds
            packet.dts += milliseconds
        return packet

    plain = make(folder / "plain.mkv", sound=loud(), audio=("pcm_s16le", "mono", RATE))
    heard = read_audio(remux(plain, folder / "moved.mkv", change))
    assert heard is not None and heard[1:] == (RATE, 0.0)
    return heard[0][0].numpy()


@pytest.mark.parametrize("milliseconds", [50, 20, -20, -50])
def test_stamps_that_differ_by_a_twentieth_of_a_second_or_less_move_nothing(tmp_path: Path, milliseconds: int) -> None:
    assert moved(tmp_path, milliseconds) == pytest.approx(loud()[0], abs=1e-4)


@pytest.mark.parametrize("milliseconds", [51, 400, 2500])
def test_a_longer_hole_is_filled_with_as_much_silence(tmp_path: Path, milliseconds: int) -> None:
    hole = np.zeros(milliseconds * RATE // 1000)
    wanted = np.concatenate([loud()[0, :BREAK], hole, loud()[0, BREAK:]])
    assert moved(tmp_path, milliseconds) == pytest.approx(wanted, abs=1e-4)


@pytest.mark.parametrize("milliseconds", [51, 63])
def test_of_a_longer_overlap_the_first_is_kept(tmp_path: Path, milliseconds: int) -> None:
    wanted = np.concatenate([loud()[0, :BREAK], loud()[0, BREAK + milliseconds * RATE // 1000 :]])
    assert moved(tmp_path, -milliseconds) == pytest.approx(wanted, abs=1e-4)


@pytest.mark.parametrize("samples", [0, 1, RATE - 1, RATE, RATE + 1, 3 * RATE])
def test_sound_a_second_at_a_time_joins_to_the_whole(samples: int) -> None:
    sound = np.random.default_rng(1).uniform(-1, 1, (2, samples)).astype(np.float32)
    pieces = list(pieces_of(sound, RATE))
    assert [begin for begin, _, _ in pieces] == list(range(len(pieces))) and all(rate == RATE for *_, rate in pieces)
    assert all(piece.shape[1] <= RATE for _, piece, _ in pieces)
    assert np.array_equal(np.concatenate([sound[:, :0], *(piece for _, piece, _ in pieces)], axis=1), sound)
