"""Tint, contour and names in the right places, and colours that can be told apart."""

from __future__ import annotations

import numpy as np
import pytest

from avseg.render import overlay, palette
from avseg.render.legend import Line, legend
from avseg.render.overlay import _tags
from avseg.render.palette import HIGHLIGHT, distinct_colours, voc_palette
from avseg.types import Task


def labels() -> np.ndarray:
    field = np.zeros((120, 160), np.uint8)
    field[30:60, 20:60] = 1
    field[70:110, 90:150] = 2
    return field


def test_only_the_objects_are_painted() -> None:
    picture = np.random.default_rng(0).integers(0, 255, (120, 160, 3), dtype=np.uint8)
    field = labels()
    painted = overlay(picture, field)
    assert np.array_equal(painted[field == 0], picture[field == 0])
    assert (painted[field > 0] != picture[field > 0]).any(-1).mean() > 0.95
    assert not np.shares_memory(painted, picture)


def test_tint_is_a_blend_and_the_contour_is_solid() -> None:
    picture = np.full((120, 160, 3), 100, np.uint8)
    colours = np.zeros((256, 3), np.uint8)
    colours[1], colours[2] = (200, 0, 0), (0, 0, 255)
    painted = overlay(picture, labels(), colours=colours, alpha=0.5).astype(int)
    assert np.abs(painted[45, 40] - [150, 50, 50]).max() <= 1
    assert np.abs(painted[30, 40] - [200, 0, 0]).max() <= 1
    assert np.abs(painted[90, 149] - [0, 0, 255]).max() <= 1


def test_names_stand_above_their_object_and_inside_the_picture() -> None:
    picture = np.full((120, 160, 3), 100, np.uint8)
    field = labels()
    bare, named = overlay(picture, field), overlay(picture, field, {1: "dog", 2: "a very long name of an instrument"})
    changed = (bare != named).any(-1)
    assert changed[10:30, 20:60].any() and not changed[33:48].any()
    assert changed[50:70].any() and not changed[75:].any()
    top = np.zeros((40, 50), np.uint8)
    top[:5, 40:] = 1
    assert overlay(picture[:40, :50], top, {1: "violin"}).shape == (40, 50, 3)


def test_tiny_pictures_and_full_masks_work() -> None:
    one = overlay(np.zeros((1, 1, 3), np.uint8), np.ones((1, 1), np.uint8), {1: "dog"})
    assert one.shape == (1, 1, 3)
    full = overlay(np.zeros((20, 20, 3), np.uint8), np.full((20, 20), 255, np.uint8))
    assert (full.sum(-1) > 0).all()


def test_sizes_must_agree() -> None:
    with pytest.raises(ValueError, match="one size"):
        overlay(np.zeros((4, 4, 3), np.uint8), np.zeros((4, 5), np.uint8))


def test_the_voc_palette_is_the_known_one() -> None:
    assert voc_palette(6) == [(0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 128), (128, 0, 128)]
    assert voc_palette(256)[255] == (224, 224, 192) and len(set(voc_palette(256))) == 256


def test_first_colours_lie_far_apart() -> None:
    colours = np.array(distinct_colours(8), int)
    apart = np.abs(colours[:, None] - colours[None]).sum(-1) + 1000 * np.eye(8, dtype=int)
    assert apart.min() > 60


def test_each_task_has_its_palette() -> None:
    assert palette(Task("binary"))[1].tolist() == list(HIGHLIGHT)
    many = palette(Task("semantic", tuple(f"c{i}" for i in range(70))))
    assert [tuple(c) for c in many[:71].tolist()] == voc_palette(71)
    few = palette(Task("semantic", ("a", "b")))
    assert few.shape == (256, 3) and few[0].tolist() == [0, 0, 0] and few[1].tolist() != few[2].tolist()


RED, BLUE = (255, 0, 0), (40, 80, 255)


def test_the_list_marks_who_sounds_with_a_full_dot() -> None:
    for height, width in ((360, 640), (1080, 1920)):
        loud = legend((Line("1 dog 0.90", RED, True), Line("2 dog 0.80", BLUE, False)), (height, width))
        silent = legend((Line("1 dog 0.90", RED, False), Line("2 dog 0.80", BLUE, True)), (height, width))
        assert loud is not None and silent is not None and loud.shape == silent.shape
        half = loud.shape[0] // 2

        def pixels(plate: np.ndarray, colour: tuple[int, int, int]) -> int:
            return int((np.abs(plate[..., :3].astype(int) - colour).max(-1) < 12).sum())

        assert pixels(loud[:half], RED) > 1.5 * pixels(silent[:half], RED) > 0
        assert pixels(silent[half:], BLUE) > 1.5 * pixels(loud[half:], BLUE) > 0
        assert loud[:half, :, :3].max(-1).mean() > silent[:half, :, :3].max(-1).mean()


def test_the_list_stays_inside_and_counts_what_finds_no_place() -> None:
    few, many = (legend(tuple(Line(f"{k} cat", RED, True) for k in range(n)), (360, 640)) for n in (3, 100))
    assert few is not None and many is not None and few.shape[0] < many.shape[0] <= 0.75 * 360
    assert many.shape[0] * many.shape[1] <= 0.25 * 360 * 640
    assert legend((Line("1 cat", RED, True),), (20, 30)) is None and legend((), (360, 640)) is None


def test_names_stand_beside_the_list() -> None:
    picture = np.full((360, 640, 3), 100, np.uint8)
    field = np.zeros((360, 640), np.uint8)
    field[0:60, 0:60] = 1
    lines = [Line("1 dog 0.90", RED, True)]
    plate = legend(tuple(lines), (360, 640))
    assert plate is not None
    bare, named = overlay(picture, field, listed=lines), overlay(picture, field, {1: "dog"}, listed=lines)
    changed = (bare != named).any(-1)
    assert changed.any() and not changed[: plate.shape[0], : plate.shape[1]].any()


def test_names_do_not_cover_each_other() -> None:
    """Sixteen areas close together, each with a long name: a name without room is left out."""
    field = np.zeros((240, 320), np.uint8)
    for number in range(16):
        field[100 + 3 * (number // 4) : 103 + 3 * (number // 4), 80 + 40 * (number % 4) : 110 + 40 * (number % 4)] = (
            number + 1
        )
    tags = _tags(field, {i: f"{i} ambulance siren" for i in range(1, 17)}, palette_of(17), (slice(0, 60), slice(0, 90)))
    assert len(tags) > 4
    covered = np.zeros(field.shape, int)
    covered[:60, :90] = 1
    for top, left, tile in tags:
        covered[top : top + tile.shape[0], left : left + tile.shape[1]] += 1
    assert covered.max() == 1


@pytest.mark.parametrize("size", [(240, 320), (720, 1280), (2160, 3840), (1920, 1080)])
def test_type_follows_the_shorter_side(size: tuple[int, int]) -> None:
    field = np.zeros(size, np.uint8)
    field[size[0] // 2 :, size[1] // 2 :] = 1
    ((_, _, tile),) = _tags(field, {1: "dog"}, palette_of(2), (slice(0, 0), slice(0, 0)))
    letters = max(min(size) / 28, 11)
    assert 0.6 * letters < tile.shape[0] < 1.6 * letters


def palette_of(count: int) -> np.ndarray:
    return np.array([(0, 0, 0), *distinct_colours(count)], np.uint8)
