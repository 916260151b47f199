"""The builder's page is the same in every process."""

from __future__ import annotations

from pathlib import Path

from avseg.data.classes import vpo_classes
from avseg.datasets.vpo.build.draw import Sample, Source
from avseg.datasets.vpo.build.instances import Instance, Picture
from avseg.datasets.vpo.build.report import _class_rows
from avseg.datasets.vpo.build.sounds import Sound


def test_classes_of_equal_number_stand_in_the_order_of_their_names() -> None:
    """Names in a set have another order in every process."""
    names = sorted(vpo_classes()[1:13])
    samples = []
    for number, name in enumerate(reversed([*names, names[5]])):
        instance = Instance(number, name, 0.5, None)
        picture = Picture(number, "a.jpg", (4, 4), None, (instance,))
        samples.append(Sample(str(number), "train", picture, (Source(instance, Sound("a", Path("a.wav"), "x", None)),)))
    assert [name for name, _ in _class_rows(samples)] == [names[5], *names[:5], *names[6:]]
