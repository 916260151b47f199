"""Pictures whose frames another reader decodes are those of decoding them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from fractions import Fraction
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from avseg.io.shared import SharedPictures
from avseg.io.stages import Ahead
from avseg.io.video import Pictures, iter_frames, probe
from inference.media import make

COUNT, FRAME = 40, 47 * 63 * 3


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of odd sides at uneven times."""
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 255, (47, 63, 3), dtype=np.uint8) for _ in range(COUNT)]
    times = np.cumsum(rng.uniform(0.01, 0.2, COUNT)).round(3)
    return make(tmp_path_factory.mktemp("film") / "x.mkv", pictures, list(times - times[0]), ("ffv1", "bgr0"))


@pytest.fixture
def source(video: Path) -> Pictures:
    return iter_frames(video, Fraction(2))


def is_the_video(shared: SharedPictures, video: Path) -> bool:
    own = iter_frames(video)
    wanted, found = list(own), list(shared)
    same = [one[0] == two[0] and np.array_equal(one[1], two[1]) for one, two in zip(wanted, found, strict=True)]
    return all(same) and len(same) == COUNT and shared.end == own.end


def decoded(source: Pictures) -> None:
    assert len(list(source)) > 2


def left(source: Pictures) -> None:
    """The other reader is left in the middle."""
    assert len(list(islice(source, 2))) == 2
    source.close()


@pytest.mark.parametrize("room", [0, 5 * FRAME, 1000 * FRAME])
@pytest.mark.parametrize("other", [decoded, left])
def test_all_pictures_come_with_any_room_whatever_becomes_of_the_other_reader(
    other: Callable[[Pictures], None], room: int, video: Path, source: Pictures
) -> None:
    shared = SharedPictures(probe(video), source, room=room)
    other(source)
    assert is_the_video(shared, video)


def test_both_read_at_once(video: Path, source: Pictures) -> None:
    wanted = list(iter_frames(video, Fraction(2)))
    shared, found = SharedPictures(probe(video), source), []
    with Ahead(source, 1) as ahead:
        reader = threading.Thread(target=lambda: found.extend(ahead))
        reader.start()
        assert is_the_video(shared, video)
        reader.join()
    assert [time for time, _ in found] == [time for time, _ in wanted]
    assert all(np.array_equal(one, two) for (_, one), (_, two) in zip(found, wanted, strict=True))


@pytest.mark.parametrize("by_event", [True, False])
def test_who_waits_for_a_picture_that_nobody_wants_gets_none(by_event: bool, video: Path, source: Pictures) -> None:
    stopped, found = threading.Event(), []
    shared = SharedPictures(probe(video), source, stopped)
    next(source)
    reader = threading.Thread(target=lambda: found.extend(shared))
    reader.start()
    reader.join(0.2)
    assert reader.is_alive()
    if by_event:
        stopped.set()
    else:
        shared.close()
    reader.join(10)
    assert not reader.is_alive() and len(found) < COUNT
