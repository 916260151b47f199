"""Inputs of the VPO builder that are broken, scarce or of people: what is skipped, what is said, what is refused."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from avseg.datasets.vpo.build import BuildOptions, build_vpo
from avseg.datasets.vpo.build.instances import read_instances
from avseg.datasets.vpo.build.persons import Persons, read_persons
from avseg.datasets.vpo.build.records import BuildReport
from avseg.datasets.vpo.build.sounds import make_pools, read_class_map, read_sounds
from coco_world import HEIGHT, World, usual

ALL_TRAIN = (1.0, 0.0, 0.0)


def built(world: World, kind: str = "ss", **options: object) -> BuildReport:
    chosen = BuildOptions(**{"workers": 1, "fractions": ALL_TRAIN, "examples": 1, **options})  # type: ignore[arg-type]
    return build_vpo(kind, *world.save(), world.root / "out", 0, options=chosen)


def small(root: Path) -> World:
    """Two pictures of a dog, three clips."""
    world = World(root)
    for x in (1, 30):
        world.picture(("dog", x))
    world.sounds("dog", 3)
    return world


def test_crowds_empty_segmentations_and_small_instances_never_sound(tmp_path: Path) -> None:
    world = small(tmp_path)
    crowd = {"counts": [0, 10], "size": [HEIGHT, 60]}
    for changes in (
        {"iscrowd": 1, "segmentation": crowd},
        {"segmentation": []},
        {"segmentation": [[1, 2, "a", 4, 5, 6]]},
        {"segmentation": {"counts": [-5, 20], "size": [HEIGHT, 60]}},
        {"segmentation": [[1, 2, 3, 4]]},
        {"segmentation": {"counts": [10, 20], "size": [5, 6]}},
        {"area": 2},
        {"bbox": [70, 5, 9, 9]},
    ):
        world.annotate(world.picture(), "dog", 5, **changes)
    del world.annotations[-3]["segmentation"]
    report = built(world)
    assert report.samples["train"] == 2
    for words in (
        "1 annotations skipped: crowd",
        "5 annotations skipped: without a usable segmentation",
        "1 annotations skipped: too small",
        "1 annotations skipped: with a box outside the picture",
    ):
        assert words in str(report)


def test_what_never_sounds_still_makes_a_picture_ambiguous(tmp_path: Path) -> None:
    world = small(tmp_path)
    world.annotate(world.picture(("dog", 1)), "dog", 40, area=2)
    world.annotate(world.picture(("dog", 1)), "dog", 40, iscrowd=1)
    assert built(world).samples["train"] == 2


def test_an_instance_beside_another_of_its_class_does_not_sound_in_msmi(tmp_path: Path) -> None:
    world = World(tmp_path)
    near, far, crowded = (world.picture(("dog", 1), ("dog", x)) for x in (4, 40, 40))
    world.annotate(crowded, "dog", 20, iscrowd=1)
    world.sounds("dog", 3)
    report = built(world, "msmi")
    assert report.samples["train"] == 1 and near != far
    assert "refers to no sample of VPO-MS" in str(report)
    line = json.loads((report.folder / "manifest.jsonl").read_text().splitlines()[1])
    assert line["image_id"] == far
    world.annotations = [row for row in world.annotations if row["image_id"] != far]
    with pytest.raises(
        ValueError, match=r"no sample of VPO-MSMI can be drawn: .*dog: 4 instances, 0 pictures that fit"
    ):
        built(world, "msmi")


def test_missing_pictures_are_reported_and_the_rest_goes_on(tmp_path: Path) -> None:
    world = small(tmp_path)
    world.picture(("dog", 3), file=False)
    report = built(world)
    assert report.samples["train"] == 2 and report.exit_code == 0
    assert "1 of 3 pictures are missing" in str(report) and "000000001002.jpg" in str(report)
    for path in (tmp_path / "images").iterdir():
        path.unlink()
    with pytest.raises(FileNotFoundError, match="none of the 3 usable pictures is in"):
        built(world)


def test_broken_files_are_left_out_by_name(tmp_path: Path) -> None:
    world = small(tmp_path)
    broken, wide = world.picture(("dog", 3)), world.picture(("dog", 3))
    path = tmp_path / "images" / f"{broken:012d}.jpg"
    path.write_bytes(path.read_bytes()[:50])
    world.images[-1]["width"] = 80
    world.sounds("dog", 1)
    report = built(world)
    assert report.exit_code == 1 and report.samples["train"] == 2
    reasons = {name[:12]: reason for name, reason in report.left_out}
    assert "not a complete picture" in reasons[f"{broken:012d}"]
    assert "is 40 x 60, the instances say 40 x 80" in reasons[f"{wide:012d}"]
    assert f"left out {broken:012d}" in str(report)


def test_a_sounding_object_that_the_others_cover_leaves_its_sample_out(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.picture(("cat", 1), ("car", 30))
    hidden = world.picture(("dog", 10), ("cat", 10))  # of one size: the later one is in front
    for name in ("dog", "cat", "car"):
        world.sounds(name, 2)
    report = built(world, "ms")
    assert report.left_out == [(f"{hidden:012d}", "a sounding object is completely covered by others")]
    assert report.samples["train"] == 1 and report.exit_code == 1


def test_samples_of_a_broken_sound_are_left_out(tmp_path: Path) -> None:
    world = small(tmp_path)
    world.picture(("dog", 20))
    (tmp_path / "audios" / "dog001.wav").write_bytes(b"")
    report = built(world)
    assert report.samples["train"] == 2
    assert [name for name, _ in report.left_out] == ["dog001.wav"]
    assert "dog001" not in (report.folder / "vpo_ss_data_stereo.csv").read_text()


def test_classes_without_sound_are_left_out_with_a_warning(tmp_path: Path) -> None:
    world = small(tmp_path)
    world.picture(("cat", 20), ("dog", 1))
    report = built(world)
    assert report.classes == {"dog": 3}
    assert any(note.startswith("no sound of") and "cat" in note for note in report.notes)
    world.clips.append(("cat999", "cat meowing"))
    assert "1 clips of the index are missing, such as cat999.wav" in str(_again(world, tmp_path / "again"))


def _again(world: World, out: Path) -> BuildReport:
    options = BuildOptions(workers=1, fractions=ALL_TRAIN, examples=1)
    return build_vpo("ss", *world.save(), out, 0, options=options)


def test_no_class_left_and_empty_draws_say_which_class_ran_out(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.picture(("cat", 20))
    world.sounds("dog", 1)
    with pytest.raises(ValueError, match=r"no class is left .*cat: 0 instances, 0 sounds.*dog: 0 instances, 1 sounds"):
        built(world)
    world.picture(("dog", 1))
    with pytest.raises(ValueError, match=r"no sample of VPO-MS can be drawn: .*dog: 1 instances, 0 pictures that fit"):
        built(world, "ms")
    with pytest.raises(ValueError, match=r"7 samples of VPO-SS were wanted .* but only 1 .*used up: dog after 1"):
        built(world, samples=7)


def test_a_split_without_sounds_or_pictures_is_said(tmp_path: Path) -> None:
    world = World(tmp_path)
    for x in (1, 5, 9, 13):
        world.picture(("dog", x))
    world.sounds("dog", 2)
    report = built(world, fractions=(0.5, 0.25, 0.25))
    assert "val has no sound of dog: they stay silent there" in report.notes
    assert "val is empty: it has no usable picture" in report.notes
    assert report.samples["val"] == 0 and report.samples["test"] == 1


def test_people_become_male_female_and_baby_by_a_table(tmp_path: Path) -> None:
    world = small(tmp_path)
    pictures = [world.picture(("person", 10)) for _ in range(3)]
    pair = world.picture(("person", 1), ("person", 40))
    ids = {row["image_id"]: row["id"] for row in world.annotations}
    table = tmp_path / "persons.csv"
    table.write_text(f"annotation,image,class\n{ids[pictures[0]]},,male\n,{pictures[1]},Female\n,{pair},baby\n")
    persons = read_persons(table, None)
    found, passed = read_instances(world.save()[0], ["male", "female", "baby", "dog"], persons, 0.01)
    classes = {picture.id: [i.category for i in picture.instances] for picture in found}
    assert classes[pictures[0]] == ["male"] and classes[pictures[1]] == ["female"]
    assert pictures[2] not in classes and pair not in classes, "an entry of a picture holds for one person only"
    assert passed["person without a sub-class"] == 3
    as_json = tmp_path / "persons.json"
    as_json.write_text(json.dumps({"annotations": {ids[pictures[0]]: "male"}, "images": {pictures[1]: "female"}}))
    assert read_persons(as_json, None).annotations == persons.annotations


def test_people_become_male_female_and_baby_by_captions(tmp_path: Path) -> None:
    captions = tmp_path / "captions.json"
    texts = {1: "A man on a horse", 2: "A woman and a man", 3: "Two men", 4: "An infant sleeps", 5: "A LADY walks."}
    rows = [{"image_id": image, "caption": text} for image, text in texts.items()]
    captions.write_text(json.dumps({"annotations": [*rows, {"image_id": 1, "caption": "A boy rides"}]}))
    assert read_persons(None, captions).images == {1: "male", 4: "baby", 5: "female"}


def test_an_unknown_person_beside_a_known_one_makes_the_picture_ambiguous(tmp_path: Path) -> None:
    world = World(tmp_path)
    image = world.picture(("person", 1), ("person", 40))
    persons = Persons(annotations={world.annotations[0]["id"]: "male"})
    (picture,), _ = read_instances(world.save()[0], ["male", "female"], persons, 0.01)
    assert picture.id == image and len(picture.of("male")) == len(picture.rivals("male")) == 1


def test_without_table_or_captions_people_are_left_out_with_a_warning(tmp_path: Path) -> None:
    world = small(tmp_path)
    world.picture(("person", 10), ("person", 30), ("dog", 45))
    world.sounds("dog", 1)
    world.clips[-1] = (world.clips[-1][0], "male singing")
    report = built(world)
    assert report.classes == {"dog": 3}
    assert any("are left out; give --persons or --captions" in note for note in report.notes)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("annotation,class\n1,man\n", "calls 1 'man'; .*male"),
        ("number,class\n1,male\n", "wanted `annotation` or `image`, and `class`"),
        ("annotation,class\nx,male\n", "the id 'x', wanted a whole number"),
    ],
)
def test_a_table_of_persons_of_another_form_is_refused(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "persons.csv").write_text(content)
    with pytest.raises(ValueError, match=words):
        read_persons(tmp_path / "persons.csv", None)
    with pytest.raises(FileNotFoundError, match="table of persons"):
        read_persons(tmp_path / "none.csv", None)


@pytest.mark.parametrize("rows", [[3], [{"image_id": 1}], [{"image_id": 1, "caption": "a"}, {"image_id": "x"}]])
def test_captions_of_another_form_are_refused(tmp_path: Path, rows: list[object]) -> None:
    path = tmp_path / "captions.json"
    path.write_text(json.dumps({"annotations": rows}))
    with pytest.raises(ValueError, match="no captions of COCO's form"):
        read_persons(None, path)


def test_tables_that_are_no_text_are_named(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(b"\xff\xfe\x00bad")
    with pytest.raises(ValueError, match=r"table\.csv is not a table in UTF-8"):
        read_sounds(path)
    with pytest.raises(ValueError, match=r"table\.csv is not a table in UTF-8"):
        read_persons(path, None)


def test_the_class_map_can_be_changed_and_replaced(tmp_path: Path) -> None:
    ours = read_class_map(None)
    assert len(ours) == 21 and ours["mouse"] == ("mouse clicking",)
    changed = read_class_map(None, ["mouse=mouse squeaking; mouse clicking", "sports ball="])
    assert changed["mouse"] == ("mouse squeaking", "mouse clicking")
    assert set(ours) - set(changed) == {"sports ball"}
    path = tmp_path / "map.json"
    path.write_text(json.dumps({"dog": ["woof"]}))
    assert read_class_map(path) == {"dog": ("woof",)}
    with pytest.raises(ValueError, match="not a class of VPO; did you mean 'dog'"):
        read_class_map(None, ["dogg=woof"])
    with pytest.raises(ValueError, match="no `=`"):
        read_class_map(None, ["dog"])
    path.write_text('{"dog": "woof"}')
    with pytest.raises(ValueError, match="lists of sound labels"):
        read_class_map(path)


def test_a_clip_of_two_classes_is_in_one_split(tmp_path: Path) -> None:
    world = usual(tmp_path, 1)
    sounds, missing = read_sounds(world.inputs[2])
    assert not missing
    shared = {"dog": ("dog barking",), "cat": ("dog barking", "cat meowing")}
    pools = make_pools(sounds, shared, (0.4, 0.3, 0.3), 1)
    homes = Counter(
        s.stem for split in ("train", "val", "test") for s in {*pools.of("dog", split), *pools.of("cat", split)}
    )
    assert pools.counts == {"dog": 6, "cat": 12} and pools.unused == 6
    assert len(homes) == 12 and set(homes.values()) == {1}


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("a\n", "row 1 is 'a'; wanted clip,label"),
        ("a,dog barking,trian\n", "row 1 is 'a,dog barking,trian'"),
        ("../a,dog barking\n", "must lie inside"),
        ("dog018,dog barking\ndog018,cat meowing\n", "needs one label"),
    ],
)
def test_an_index_of_another_form_is_refused(tmp_path: Path, lines: str, words: str) -> None:
    world = usual(tmp_path, 1)
    (tmp_path / "audios" / "dog018.wav").write_bytes((tmp_path / "audios" / "dog000.wav").read_bytes())
    world.inputs[2].write_text("clip,label\n" + lines)
    with pytest.raises(ValueError, match=words):
        read_sounds(world.inputs[2])
    with pytest.raises(FileNotFoundError, match="index of sounds"):
        read_sounds(tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda content: content.pop("annotations"), "no list 'annotations'"),
        (lambda content: content["images"][0].pop("height"), "entry 0 of 'images' lacks"),
        (lambda content: content["images"][0].update(id="a"), "image id 'a'"),
        (lambda content: content["images"][0].update(split="dev"), "split 'dev'"),
        (lambda content: content["images"][0].update(height="96"), "the size '96' x"),
        (lambda content: content["images"][0].update(file_name=None), "the file_name None"),
        (lambda content: content["annotations"][0].update(id="a"), "annotation id 'a'"),
        (lambda content: content["annotations"][0].update(category_id=[1]), r"the category_id \[1\]"),
        (lambda content: content["annotations"][0].update(bbox=[1, 2]), r"the bbox \[1, 2\]"),
        (lambda content: content["annotations"][0].update(area=None), "the area None"),
        (lambda content: content["annotations"].append(content["annotations"][0]), "two annotations have the id 50"),
        (lambda content: content["images"].append(content["images"][0]), "two images have the id 1000"),
    ],
)
def test_instances_of_another_form_are_refused(tmp_path: Path, change: object, words: str) -> None:
    world = small(tmp_path)
    path = world.save()[0]
    content = json.loads(path.read_text())
    change(content)  # type: ignore[operator]
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=words):
        read_instances(path, ["dog"], Persons(), 0.01)
    path.write_text("{")
    with pytest.raises(ValueError, match="is not JSON"):
        read_instances(path, ["dog"], Persons(), 0.01)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"fractions": (0.5, 0.2, 0.2)}, "sum to 1"),
        ({"min_area": 1.5}, "shares from 0 to below 1"),
        ({"cap": 0}, "at least 1"),
        ({"sources": (3, 2)}, "not below"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        BuildOptions(**options)  # type: ignore[arg-type]


def test_the_set_the_seed_and_the_sources_are_checked_first(tmp_path: Path) -> None:
    world = small(tmp_path)
    with pytest.raises(ValueError, match="there is no VPO set 'mss'; did you mean"):
        build_vpo("mss", *world.save(), tmp_path, 0)
    with pytest.raises(ValueError, match="the seed -1"):
        build_vpo("ss", *world.save(), tmp_path, -1)
    with pytest.raises(ValueError, match="one object sounds in a sample of VPO-SS"):
        built(world, sources=(1, 2))
