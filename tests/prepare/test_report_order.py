"""The builder's page is the same in every process."""

from __future__ import annotations

from pathlib import Path

from avseg.datasets.vpo.build.draw import DrawnSample, SoundingObject
from avseg.datasets.vpo.build.instances import AnnotatedPicture, Instance
from avseg.datasets.vpo.build.report import _class_rows
from avseg.datasets.vpo.build.sounds import LabelledClip
from avseg.datasets.vpo.classes import vpo_classes


def test_classes_of_equal_number_stand_in_the_order_of_their_names() -> None:
    """Names in a set have another order in every process."""
    names = sorted(vpo_classes()[1:13])
    samples = []
    for number, name in enumerate(reversed([*names, names[5]])):
        instance = Instance(number, name, 0.5, None)
        picture = AnnotatedPicture(number, "a.jpg", (4, 4), None, (instance,))
        sound = LabelledClip("a", Path("a.wav"), "x", None)
        samples.append(DrawnSample(str(number), "train", picture, (SoundingObject(instance, sound),)))
    assert [name for name, _ in _class_rows(samples)] == [names[5], *names[:5], *names[6:]]
