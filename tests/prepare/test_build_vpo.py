"""The VPO builder: what it draws, what it writes, and that one seed is one set."""

from __future__ import annotations

import csv
import json
from collections import Counter, defaultdict
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from avseg.cli import run
from avseg.data import build_dataset
from avseg.datasets import data_config
from avseg.datasets.vpo.build import BuildOptions, build_vpo
from avseg.datasets.vpo.build.splits import quotas
from avseg.datasets.vpo.classes import vpo_classes
from avseg.io.audio import read_wav
from avseg.io.rle import encode
from coco_world import HEIGHT, WIDTH, World, square, usual

KINDS = {"ss": "VPO-SS", "ms": "VPO-MS", "msmi": "VPO-MSMI"}
ONE = BuildOptions(workers=1, fractions=(0.5, 0.25, 0.25))


def rows(out: Path, kind: str) -> list[dict[str, str]]:
    with (out / "VPO" / KINDS[kind] / f"vpo_{kind}_data_stereo.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def manifest(out: Path, kind: str) -> list[dict]:
    return [json.loads(line) for line in (out / "VPO" / KINDS[kind] / "manifest.jsonl").read_text().splitlines()]


def digests(root: Path) -> dict[str, str]:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return usual(tmp_path_factory.mktemp("inputs"))


@pytest.fixture(scope="module")
def built(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All three sets of one seed in one folder."""
    out: Path = tmp_path_factory.mktemp("built")
    for kind in KINDS:
        build_vpo(kind, *world.inputs, out, 5, options=ONE)
    return out


def test_single_source_rows_in_the_distributed_layout(built: Path) -> None:
    table = rows(built, "ss")
    assert list(table[0]) == ["img_Id", "ann_Ids", "cateId", "cateName", "vgg_file", "split", "audio_pos"]
    assert len(table) == 32  # two of each of the 16 pictures without twins
    ids = {"dog": "18", "cat": "17", "car": "3"}
    for row in table:
        image, annotation = f"{int(row['img_Id']):012d}", f"{int(row['ann_Ids']):012d}"
        folder = built / "VPO" / "VPO-SS"
        mask = np.array(Image.open(folder / "mask" / row["cateName"] / f"{image}_{annotation}.png"))
        assert (folder / "data" / row["cateName"] / f"{image}.jpg").is_file()
        assert row["cateId"] == ids[row["cateName"]]
        assert mask.dtype == np.uint8 and mask.shape == (HEIGHT, WIDTH)
        assert set(np.unique(mask)) == {0, int(row["cateId"])}
        assert (mask > 0).sum() == 144
        middle = (np.nonzero(mask)[1].mean() + 0.5) / WIDTH
        assert abs(middle - float(row["audio_pos"])) < 1e-6
        waveform, rate = read_wav(built / "vggsound_bench" / "VGGSound" / "audios" / f"{row['vgg_file']}.wav")
        assert rate == 16000 and waveform.shape == (1, 64000)
        assert row["vgg_file"].startswith(row["cateName"])


def test_several_classes_sound_and_none_twice(built: Path) -> None:
    pictures = defaultdict(list)
    for row in rows(built, "ms"):
        pictures[row["img_Id"]].append(row["cateName"])
    assert len(pictures) == 16
    for image, classes in pictures.items():
        assert len(classes) == len(set(classes)) == 2
        assert (int(image) - 1000) % 3 != 2, "a picture with two dogs has no place in VPO-MS"
        mask = np.array(Image.open(built / "VPO" / "VPO-MS" / "mask" / f"{int(image):012d}.png"))
        assert len(np.unique(mask)) == 3


def test_of_several_instances_one_sounds_and_the_others_stay_background(built: Path) -> None:
    table = rows(built, "msmi")
    own = [row for row in table if row["multi_instance"] == "1"]
    assert {(int(row["img_Id"]) - 1000) % 3 for row in own} == {2}
    dogs = Counter(row["img_Id"] for row in own if row["cateName"] == "dog")
    assert set(dogs.values()) == {1} and len(dogs) == 8
    for row in own:
        if row["cateName"] == "dog":
            mask = np.array(Image.open(built / "VPO" / "VPO-MSMI" / "mask" / f"{int(row['img_Id']):012d}.png")) == 18
            assert mask.sum() == 144
            assert abs((np.nonzero(mask)[1].mean() + 0.5) / WIDTH - float(row["audio_pos"])) < 1e-6
    assert len({float(row["audio_pos"]) > 0.5 for row in own if row["cateName"] == "dog"}) == 2
    silent = [entry for line in manifest(built, "msmi")[1:] for entry in line["silent"]]
    assert sum(entry["class"] == "dog" for entry in silent) == 8


def test_single_instances_of_msmi_are_the_rows_of_ms(built: Path) -> None:
    borrowed = [row for row in rows(built, "msmi") if row["multi_instance"] == "0"]
    assert [{**row, "multi_instance": "0"} for row in rows(built, "ms")] == borrowed
    assert manifest(built, "msmi")[0]["of_vpo_ms"] == sorted({int(row["img_Id"]) for row in borrowed})
    for row in borrowed:
        assert not (built / "VPO" / "VPO-MSMI" / "mask" / f"{int(row['img_Id']):012d}.png").exists()
    kinds = defaultdict(set)
    for row in rows(built, "msmi"):
        kinds[row["img_Id"]].add(row["multi_instance"])
    assert all(len(found) == 1 for found in kinds.values())


def test_msmi_builds_ms_where_it_is_absent(world: World, built: Path, tmp_path: Path) -> None:
    build_vpo("msmi", *world.inputs, tmp_path, 5, options=ONE)
    assert digests(tmp_path / "VPO" / "VPO-MS") == digests(built / "VPO" / "VPO-MS")
    assert rows(tmp_path, "msmi") == rows(built, "msmi")
    options = BuildOptions(workers=1, fractions=ONE.fractions, singles=False)
    build_vpo("msmi", *world.inputs, tmp_path / "alone", 5, options=options)
    assert not (tmp_path / "alone" / "VPO" / "VPO-MS").exists()
    assert {row["multi_instance"] for row in rows(tmp_path / "alone", "msmi")} == {"1"}


def test_no_picture_and_no_sound_is_in_two_splits_of_any_set(built: Path) -> None:
    homes = defaultdict(set)
    for kind in KINDS:
        table = rows(built, kind)
        assert {row["split"] for row in table} == {"train", "val", "test"}
        for row in table:
            homes["picture", row["img_Id"]].add(row["split"])
            homes["sound", row["vgg_file"]].add(row["split"])
    assert len(homes) > 24
    assert all(len(splits) == 1 for splits in homes.values())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stereo", [False, True])
def test_the_readers_read_what_was_built(built: Path, kind: str, stereo: bool) -> None:
    lines = {line["id"]: line for line in manifest(built, kind)[1:]}
    read = 0
    for split in ("train", "val", "test"):
        dataset = build_dataset(data_config(f"vpo_{kind}", stereo=stereo), split, built)
        for i in range(len(dataset)):
            clip = dataset[i]
            assert clip.frames.shape == (1, 3, HEIGHT, WIDTH) and clip.audio.shape == (2 if stereo else 1, 48000)
            if clip.id in lines:
                line = lines[clip.id]
                loud = {vpo_classes().index(source["class"]) for source in line["sources"]}
                assert line["split"] == split
                assert set(clip.target.labels.unique().tolist()) == loud | {0}
                assert set((clip.target.sounding[0].nonzero()[:, 0] + 1).tolist()) == loud
                read += 1
    assert read == len(lines) > 0


def test_one_seed_is_one_set_however_many_processes(world: World, built: Path, tmp_path: Path) -> None:
    options = BuildOptions(workers=2, fractions=ONE.fractions)
    build_vpo("ms", *world.inputs, tmp_path, 5, options=options)
    assert digests(tmp_path / "VPO") == {
        name: digest for name, digest in digests(built / "VPO").items() if name.startswith("VPO-MS/")
    }
    assert digests(tmp_path / "vggsound_bench").items() <= digests(built / "vggsound_bench").items()
    build_vpo("ms", *world.inputs, tmp_path / "other", 6, options=ONE)
    assert manifest(tmp_path / "other", "ms")[1:] != manifest(built, "ms")[1:]


def test_a_build_that_was_stopped_goes_on(world: World, built: Path, tmp_path: Path, monkeypatch) -> None:
    import avseg.datasets.vpo.build.build as build

    written = []

    def stop(job):
        if len(written) == 7:
            raise KeyboardInterrupt
        written.append(job)
        return original(job)

    original = build.write_picture
    monkeypatch.setattr(build, "write_picture", stop)
    with pytest.raises(KeyboardInterrupt):
        build_vpo("ms", *world.inputs, tmp_path, 5, options=ONE)
    folder = tmp_path / "VPO" / "VPO-MS"
    assert not (folder / "vpo_ms_data_stereo.csv").exists()
    assert len(list((folder / "mask").iterdir())) == 7
    times = {path: path.stat().st_mtime_ns for path in (folder / "mask").iterdir()}
    monkeypatch.setattr(build, "write_picture", original)
    report = build_vpo("ms", *world.inputs, tmp_path, 5, options=ONE)
    assert report.made == 16 - 7
    assert {path: path.stat().st_mtime_ns for path in times} == times
    assert digests(folder) == digests(built / "VPO" / "VPO-MS")
    assert build_vpo("ms", *world.inputs, tmp_path, 5, options=ONE).made == 0
    assert digests(folder) == digests(built / "VPO" / "VPO-MS")


def test_another_draw_never_mixes_with_the_one_that_is_there(world: World, built: Path) -> None:
    before = digests(built)
    with pytest.raises(ValueError, match=r"of the seed 5, or of other inputs or options"):
        build_vpo("ms", *world.inputs, built, 6, options=ONE)
    (built / "VPO" / "VPO-SS").rename(built / "VPO" / "aside")
    with pytest.raises(ValueError, match=r"would be in .* but VPO-M.* has it in .* one seed"):
        build_vpo("ss", *world.inputs, built, 6, options=ONE)
    (built / "VPO" / "aside").rename(built / "VPO" / "VPO-SS")
    assert digests(built) == before


def test_classes_are_drawn_evenly_and_under_a_cap(world: World, tmp_path: Path) -> None:
    capped = BuildOptions(workers=1, fractions=(1, 0, 0), cap=5)
    build_vpo("ss", *world.inputs, tmp_path / "cap", 1, options=capped)
    assert Counter(row["cateName"] for row in rows(tmp_path / "cap", "ss")) == {"dog": 5, "cat": 5, "car": 5}
    few = BuildOptions(workers=1, fractions=(1, 0, 0), samples=9, per_image=1)
    build_vpo("ss", *world.inputs, tmp_path / "few", 1, options=few)
    table = rows(tmp_path / "few", "ss")
    assert Counter(row["cateName"] for row in table) == {"dog": 3, "cat": 3, "car": 3}
    assert len({row["img_Id"] for row in table}) == 9
    heard = Counter(row["vgg_file"] for row in table)
    assert set(heard.values()) == {1}, "six clips of a class are heard before one is heard again"


def test_run_lengths_and_polygons_give_the_same_mask(tmp_path: Path) -> None:
    world = World(tmp_path / "in")
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[5:17, 20:32] = True
    runs = np.diff(np.flatnonzero(np.diff(np.concatenate([[2], mask.T.ravel(), [2]])))).tolist()
    forms = [square(20), encode(mask), {"size": [HEIGHT, WIDTH], "counts": runs}]
    for form in forms:
        world.annotate(world.picture(), "dog", 20, segmentation=form)
    bare = world.annotations[-1]
    del bare["bbox"], bare["area"]
    world.sounds("dog", 3)
    options = BuildOptions(workers=1, fractions=(1, 0, 0), position="centroid")
    build_vpo("ss", *world.save(), tmp_path / "out", 0, options=options)
    files = sorted((tmp_path / "out" / "VPO" / "VPO-SS" / "mask" / "dog").iterdir())
    assert [np.array(Image.open(file)).tolist() for file in files] == [(mask * 18).tolist()] * 3
    assert {row["audio_pos"] for row in rows(tmp_path / "out", "ss")} == {f"{26 / WIDTH:.6f}"}


def test_sounds_become_mono_at_16_khz_and_short_ones_are_counted(tmp_path: Path) -> None:
    world = World(tmp_path / "in")
    for x in (1, 10, 20):
        world.picture(("dog", x))
    world.sounds("dog", 1, rate=44100)
    world.sounds("dog", 1, channels=2)
    world.sounds("dog", 1, seconds=1)
    report = build_vpo("ss", *world.save(), tmp_path / "out", 0, options=BuildOptions(workers=1, fractions=(1, 0, 0)))
    assert "1 of 3 sounds are shorter than three seconds" in str(report)
    audios = sorted((tmp_path / "out" / "vggsound_bench" / "VGGSound" / "audios").iterdir())
    assert [(read_wav(path)[0].shape, read_wav(path)[1]) for path in audios] == [
        ((1, 64000), 16000),
        ((1, 64000), 16000),
        ((1, 16000), 16000),
    ]
    stereo, _ = read_wav(tmp_path / "in" / "audios" / "dog001.wav")
    torch.testing.assert_close(read_wav(audios[1])[0], stereo.mean(0, keepdim=True), atol=1 / 32768, rtol=0)


def test_an_index_of_vggsound_keeps_its_train_and_test(tmp_path: Path) -> None:
    world = usual(tmp_path / "in")
    index = []
    for number, (name, label) in enumerate(world.clips):
        (tmp_path / "in" / "audios" / f"{name}.wav").rename(tmp_path / "in" / "audios" / f"-{name}_000030.wav")
        index.append((f"-{name}", "30", label, "test" if number % 6 == 0 else "train"))
    build_vpo("ss", *world.save(index), tmp_path / "out", 0, options=ONE)
    listed = {f"{name}_000030": split for name, _, _, split in index}
    for row in rows(tmp_path / "out", "ss"):
        assert (listed[row["vgg_file"]] == "test") == (row["split"] == "test")
    assert {row["split"] for row in rows(tmp_path / "out", "ss")} == {"train", "val", "test"}


def test_what_is_rendered_is_what_the_reader_gives(world: World, tmp_path: Path) -> None:
    options = BuildOptions(workers=1, fractions=ONE.fractions, render=True, images_as="link", examples=2)
    build_vpo("ms", *world.inputs, tmp_path, 5, stereo=True, options=options)
    dataset = build_dataset(data_config("vpo_ms", stereo=True), "train", tmp_path)
    for i in range(3):
        rendered, _ = read_wav(tmp_path / "VPO" / "VPO-MS" / "stereo" / f"{dataset.ids[i]}.wav")
        torch.testing.assert_close(rendered, dataset[i].audio, atol=1 / 32768, rtol=0)
    assert next((tmp_path / "VPO" / "VPO-MS" / "data").iterdir()).is_symlink()


def test_the_page_names_the_sources_and_plays_them(built: Path) -> None:
    for kind, folder in KINDS.items():
        page = (built / "VPO" / folder / "report.html").read_text()
        assert page.count("<audio") == min(12, len(manifest(built, kind)) - 1)
        assert page.count("data:audio/wav;base64,") == page.count("<audio")
        assert "<strong>dog</strong> at 0." in page and "dog barking" in page
        assert ("silent: " in page) == (kind != "ms"), "both objects of the pictures in VPO-MS sound"


def test_every_split_is_served_where_there_are_enough() -> None:
    assert quotas(10, (0.8, 0.1, 0.1)) == {"train": 8, "val": 1, "test": 1}
    assert quotas(3, (0.9, 0.05, 0.05)) == {"train": 1, "val": 1, "test": 1}
    assert quotas(2, (0.8, 0.1, 0.1)) == {"train": 1, "val": 0, "test": 1}
    assert quotas(7, (1, 0, 0)) == {"train": 7, "val": 0, "test": 0}
    assert quotas(0, (0.8, 0.1, 0.1)) == {"train": 0, "val": 0, "test": 0}
    for count in range(3, 60):
        assert sum(quotas(count, (0.7, 0.15, 0.15)).values()) == count


def test_the_command_builds_and_checks(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    instances, images, sounds = map(str, world.inputs)
    inputs = ["--instances", instances, "--images", images, "--sounds", sounds, "--out", str(tmp_path), "--seed", "5"]
    options = ["--fractions", "0.5", "0.25", "0.25", "--workers", "1", "--examples", "1", "--stereo"]
    assert run(["data", "build-vpo", "msmi", *inputs, *options]) == 0
    assert "VPO-MSMI in" in capsys.readouterr().out
    for name in ("vpo_ms", "vpo_msmi"):
        assert run(["data", "check", name, "--root", str(tmp_path)]) == 0
    assert "all files exist" in capsys.readouterr().out
