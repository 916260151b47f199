"""Small valid files of every kind, and cases: a command line and an input that is spoilt by a seed."""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import pickle
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from random import Random

import forked
import hostile_changes as changes
import numpy as np
import torch

SETS = ("s4", "ms3", "avss", "single", "aviseg", "vpo_ss")
CHECKED = ("s4", "ms3", "avss", "aviseg", "vpo_ss")
"""Sets that `data check` knows."""
TABLES = {
    "s4": ("s4_meta_data.csv",),
    "ms3": ("ms3_meta_data.csv",),
    "avss": ("metadata.csv",),
    "single": ("data.csv",),
    "vpo_ss": ("VPO/VPO-SS/vpo_ss_data_stereo.csv",),
}
FILMS = {
    ".mkv": ("libx264", "libmp3lame"),
    ".avi": ("mpeg4", "pcm_s16le"),
    ".ts": ("libx264", "aac"),
    ".mov": ("mpeg4", "pcm_s16le"),
    ".flv": ("flv1", "aac"),
    ".webm": ("libvpx", "libopus"),
}
"""Codecs of the videos beside MP4."""
SMALL = (
    *("--train.steps", "1", "--train.batch-size", "2", "--train.workers", "0", "--data.clips", "4"),
    *("--data.held-out-clips", "2", "--val.held-out-clips", "2", "--data.size", "32", "--val.size", "32"),
    *("--val.frames", "1", "--data.frames", "1"),
)
"""A training of seconds."""
SYNTH = ("--clips", "3", "--size", "48", "64")
UNTRIED = ("train.workers", "train.compile", "train.trackers", "train.strategy", "train.steps", "data.clips")
"""Fields of a recipe that start other programs, or that may rightly ask for much work."""


@dataclass(frozen=True)
class Case:
    """A command and what it is given, below a folder of its own."""

    seed: int
    kind: str
    words: tuple[str, ...]


@dataclass(frozen=True)
class Sources:
    """A folder of small valid files; every case is a spoilt copy of a part of it."""

    root: Path

    @property
    def videos(self) -> list[Path]:
        return sorted((self.root / "videos").iterdir())

    def link(self, name: str, folder: Path) -> Path:
        """A copy of a data set, made of links; a file of it may be replaced but must not be written to."""
        shutil.copytree(self.root / name, folder / name, copy_function=os.link)
        return folder / name


def make_sources(root: Path) -> Sources:
    """Make the valid files, in processes of their own.

    Raises:
        RuntimeError: a command that makes them fails.
    """
    root.mkdir(parents=True, exist_ok=True)
    lines = [("data", "synth", name, "--root", name, *SYNTH) for name in SETS]
    lines[0] += ("--video",)
    lines[4] += ("--seconds", "3", "4", "--movies", "1")
    lines[5] = ("data", "synth", "vpo_ss", "--root", "vpo_ss", "--clips", "6", "--size", "48", "64")
    for words in lines:
        _succeed(forked.run(words, root), " ".join(words))
    work = forked.forked(lambda: _more(root), root)
    _succeed(forked.wait(work, root, forked.Limits()), "writing videos and weights")
    return Sources(root)


def _succeed(ended: forked.Ended, what: str) -> None:
    if ended.code:
        raise RuntimeError(f"{what} ended with {ended.code}: {ended.err[-2000:]}")


def _more(root: Path) -> int:
    """Videos of several kinds, weights in several forms, predicted tracks."""
    (root / "videos").mkdir()
    first = next((root / "s4").rglob("*.mp4"))
    shutil.copy(first, root / "videos" / "0.mp4")
    for suffix, codecs in FILMS.items():
        _film(root / "videos" / f"0{suffix}", codecs)
    demo = importlib.import_module("avseg.demo").MODEL_FILE
    shutil.copy(demo, root / "demo.safetensors")
    generator = torch.Generator().manual_seed(0)
    names = ("module.encoder_backbone.conv1.weight", "audio_proj.weight", "fc.bias", "model.query_embed.weight")
    state = {name: torch.rand(4, 3, generator=generator) for name in names}
    (root / "weights").mkdir()
    torch.save(state, root / "weights" / "zip.pth")
    torch.save({"model": state, "epoch": 3}, root / "weights" / "wrapped.pt")
    torch.save(state, root / "weights" / "old.pth", _use_new_zipfile_serialization=False)
    (root / "weights" / "arrays.pkl").write_bytes(pickle.dumps({"model": {k: v.numpy() for k, v in state.items()}}, 2))
    truth = json.loads((root / "aviseg" / "test.json").read_text())
    keys = ("video_id", "category_id", "segmentations")
    tracks = [{"score": 0.5, **{key: row[key] for key in keys}} for row in truth["annotations"]]
    (root / "tracks.json").write_text(json.dumps(tracks))
    return 0


def _film(path: Path, codecs: tuple[str, str]) -> None:
    """Two seconds of a moving bar and of noise."""
    import av

    rng = np.random.default_rng(0)
    with av.open(str(path), "w") as out:
        video, audio = out.add_stream(codecs[0], rate=10), out.add_stream(codecs[1], rate=48000)
        video.height, video.width, video.pix_fmt = 48, 64, "yuv420p"
        audio.codec_context.layout = "mono"
        for number in range(20):
            picture = np.full((48, 64, 3), 60, np.uint8)
            picture[:, 3 * number : 3 * number + 6] = 220
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 10)
            out.mux(video.encode(frame))
            sound = (0.3 * rng.standard_normal((1, 4800))).astype(np.float32)
            heard = av.AudioFrame.from_ndarray(sound, format="fltp", layout="mono")
            heard.sample_rate, heard.pts, heard.time_base = 48000, 4800 * number, Fraction(1, 48000)
            out.mux(audio.encode(heard))
        out.mux(video.encode(None))
        out.mux(audio.encode(None))


def _put(path: Path, content: bytes) -> Path:
    path.unlink(missing_ok=True)
    path.write_bytes(content)
    return path


def _spoil(path: Path, rng: Random, how: Callable[[bytes, Random], bytes] = changes.spoilt) -> Path:
    return _put(path, how(path.read_bytes(), rng))


def _one(folder: Path, suffixes: Sequence[str], rng: Random) -> Path:
    return rng.choice(sorted(path for path in folder.rglob("*") if path.suffix in suffixes and path.is_file()))


def _read(name: str, root: Path, rng: Random) -> tuple[str, ...]:
    """A command that reads the whole of a data set."""
    if name in CHECKED and rng.random() < 0.7:
        return "data", "check", name, "--root", str(root)
    split = rng.choice(("train", "val", "test"))
    words = ("evaluate", "demo", "--data.name", name, "--data.root", str(root), "--workers", "0", "--split", split)
    return *words, "--out", "out/scores", "--device", "cpu"


def _video(sources: Sources, folder: Path, rng: Random) -> tuple[str, ...]:
    path = rng.choice(sources.videos)
    others = [other.read_bytes() for other in sources.videos]
    clip = folder / f"clip{rng.choice((path.suffix, path.suffix, *FILMS))}"
    _put(clip, changes.spoilt(path.read_bytes(), rng, others))
    words = ("predict", clip.name, "--model", "demo", "--out", "out", "--device", "cpu")
    masks = rng.choice(("png", "rle", "npz", "none"))
    return *words, "--masks", masks, rng.choice(("--overlay", "--no-overlay")), "--fps", rng.choice(("1", "2"))


def _raw_video(sources: Sources, folder: Path, rng: Random) -> tuple[str, ...]:
    name = rng.choice(("s4", "s4", "aviseg"))
    root = sources.link(name, folder)
    _spoil(_one(root, (".mp4",), rng), rng)
    if name == "aviseg":
        shutil.rmtree(root / "test" / "JPEGImages")
        shutil.rmtree(root / "test" / "WAVAudios")
    return "data", "prepare", name, "--raw", str(root), "--root", "out/set"


def _sound(sources: Sources, folder: Path, rng: Random) -> tuple[str, ...]:
    name = rng.choice(SETS)
    root = sources.link(name, folder)
    place = root / "vggsound_bench" if name == "vpo_ss" else root
    others = [path.read_bytes() for path in (_one(place, (".wav",), rng), sources.videos[0])]
    _spoil(_one(place, (".wav",), rng), rng, lambda content, rng: changes.spoilt(content, rng, others))
    return _read(name, root, rng)


def _picture(sources: Sources, folder: Path, rng: Random) -> tuple[str, ...]:
    name = rng.choice(SETS)
    root = sources.link(name, folder)
    path = _one(root / "VPO" if name == "vpo_ss" else root, (".png", ".jpg"), rng)
    _spoil(path, rng, changes.spoilt_png if path.suffix == ".png" and rng.random() < 0.4 else changes.spoilt)
    return _read(name, root, rng)


def _table(sources: Sources, folder: Path, rng: Random) -> tuple[str, ...]:
    name = rng.choice(sorted(TABLES))
    root = sources.link(name, folder)
    _spoil(root / rng.choice(TABLES[name]), rng, changes.spoilt_table)
    if name in ("s4", "ms3", "avss") and rng.random() < 0.3:
        return "data", "prepare", name, "--raw", str(root), "--root", "out/set"
    return _read(name, root, rng)


def _truth(sources: Sources, folder: Path, rng: Random) -> tuple[str, ...]:
    name = rng.choice(("aviseg", "aviseg", "aviseg", "avss"))
    root = sources.link(name, folder)
    path = root / (f"{rng.choice(('train', 'val', 'test'))}.json" if name == "aviseg" else "label2idx.json")
    _spoil(path, rng, changes.spoilt_json)
    if name == "aviseg" and rng.random() < 0.3:
        return "data", "prepare", name, "--raw", str(root), "--root", "out/set"
    return _read(name, root, rng)


def _tracks(sources: Sources, folder: Path, rng: Random) -> tuple[str, ...]:
    root = sources.link("aviseg", folder)
    content = (sources.root / "tracks.json").read_bytes()
    _put(folder / "tracks.json", changes.spoilt_json(content, rng))
    return "evaluate", "tracks.json", "--data.name", "aviseg", "--data.root", str(root), "--out", "out/scores"


def _built(sources: Sources, folder: Path, rng: Random) -> tuple[str, ...]:
    world = sources.link("vpo_ss", folder) / "world"
    (index,) = (world / "sounds").glob("*.csv")
    instances = world / "vpo_ss" / "instances.json"
    what = rng.choice(("instances", "instances", "instances", "index", "sound", "picture", "map", "persons"))
    more: tuple[str, ...] = ()
    if what in ("map", "persons"):
        valid = {"bird": ["bird"], "airplane": ["airplane"]} if what == "map" else {"1": "male", "2": "female"}
        _put(folder / "more.json", changes.spoilt_json(json.dumps(valid).encode(), rng))
        more = ("--class-map" if what == "map" else "--persons", "more.json")
    elif what == "instances":
        _spoil(instances, rng, changes.spoilt_json)
    elif what == "index":
        _spoil(index, rng, changes.spoilt_table)
    else:
        for _ in range(1 if what == "picture" else 40):
            _spoil(_one(world / ("vpo_ss" if what == "picture" else "sounds"), (".jpg", ".wav"), rng), rng)
    words = ("data", "build-vpo", rng.choice(("ss", "ms", "msmi")), "--instances", str(instances))
    return *words, "--images", str(instances.parent), "--sounds", str(index), "--out", "out/vpo", *more


def _pickle(sources: Sources, folder: Path, rng: Random) -> tuple[str, ...]:
    name = rng.choice(("s4", "ms3"))
    root = sources.link(name, folder)
    path = _one(root, (".pkl",), rng)
    _spoil(path, rng, spoilt_pickle)
    if rng.random() < 0.5:
        return "data", "check", name, "--root", str(root)
    words = ("evaluate", "demo", "--data.name", name, "--data.root", str(root), "--data.audio", "log_mel")
    return *words, "--workers", "0", "--split", rng.choice(("train", "val", "test")), "--out", "out/scores"


def spoilt_pickle(content: bytes, rng: Random) -> bytes:
    """A pickle of something else, of a class that nobody has, so that nothing could run, or spoilt bytes."""
    plain = (None, [], {"a": 1}, "x" * 1000, 10**400, {1: {2: {3: [4.0]}}}, (), b"\x00", float("nan"))
    strange = (
        b"\x80\x02cavseg_nowhere\nThing\nq\x00.",
        b"\x80\x02cavseg_nowhere\nThing\nq\x00)\x81q\x01.",
        pickle.dumps(rng.choice(plain), rng.randrange(6)),
        pickle.dumps(torch.zeros(rng.choice((0, 1, 5)), 3).numpy(), 2),
    )
    return changes.spoilt(content, rng) if rng.random() < 0.7 else rng.choice(strange)


def _checkpoint(sources: Sources, folder: Path, rng: Random) -> tuple[str, ...]:
    path = _one(sources.root / "weights", (".pth", ".pt", ".pkl"), rng)
    other = (sources.root / "demo.safetensors").read_bytes()
    _put(folder / path.name, spoilt_pickle(changes.spoilt(path.read_bytes(), rng, [other]), rng))
    if (Path(__file__).parents[1] / "avseg" / "commands" / "weights.py").is_file() and rng.random() < 0.5:
        return "weights", "verify", path.name
    return "convert", rng.choice(("tpavi", "cavp", "avism")), path.name, "--out", "out/model.safetensors"


def _model(sources: Sources, folder: Path, rng: Random) -> tuple[str, ...]:
    _put(folder / "model.safetensors", changes.spoilt_model((sources.root / "demo.safetensors").read_bytes(), rng))
    if rng.random() < 0.7:
        words = ("predict", str(sources.videos[1]), "--model", "model.safetensors", "--out", "out")
        return *words, "--no-overlay", "--fps", "1", "--device", "cpu"
    words = ("evaluate", "model.safetensors", "--data.name", "s4", "--data.root", str(sources.root / "s4"))
    return *words, "--workers", "0", "--out", "out/scores", "--device", "cpu"


def _recipe(sources: Sources, folder: Path, rng: Random) -> tuple[str, ...]:
    recipe = importlib.import_module("avseg.recipes").get_recipe("demo")
    fields = importlib.import_module("avseg.engine.training.folder").flat(dataclasses.asdict(recipe))
    words: list[str] = []
    for name in rng.sample(sorted(set(fields) - set(UNTRIED)), rng.choice((1, 1, 2))):
        words.append("--" + rng.choice(("", "", "no-")) * isinstance(fields[name], bool) + name.replace("_", "-"))
        words += [] if isinstance(fields[name], bool) else changes.odd_words(fields[name], rng)
    return ("train", "demo", *SMALL, *words, "--out", "out/run")


def _options(sources: Sources, folder: Path, rng: Random) -> tuple[str, ...]:
    """A right command line with some words wrong, missing, or there twice."""
    lines: tuple[tuple[str, ...], ...] = (
        ("data", "synth", rng.choice(SETS), "--root", "out/set", *SYNTH, "--seed", "1", "--difficulty", "easy"),
        ("data", "synth", "aviseg", "--root", "out/set", *SYNTH, "--seconds", "2", "3", "--sample-rate", "8000"),
        ("predict", str(sources.videos[1]), "--model", "demo", "--out", "out", "--fps", "1", "--no-overlay"),
        ("data", "check", "s4", "--root", str(sources.root / "s4")),
        ("evaluate", "demo", "--data.name", "s4", "--data.root", str(sources.root / "s4"), "--workers", "0"),
        ("evaluate", "demo", "--data.name", "synth", "--data.held-out-clips", "1", "--workers", "0"),
        ("codes", "demo", "--data.name", "s4", "--data.root", str(sources.root / "s4"), "--clips", "1"),
    )
    words = list(rng.choice(lines))
    for _ in range(rng.choice((1, 1, 2))):
        place = rng.randrange(1, len(words))
        way = rng.randrange(8)
        if way < 6 and not words[place].startswith("--"):
            (words[place],) = changes.odd_words(int(words[place]) if words[place].isdigit() else "", rng)
        elif way == 6:
            del words[place]
        elif way == 7:
            words.insert(place, words[place])
    return tuple(words)


KINDS: dict[str, Callable[[Sources, Path, Random], tuple[str, ...]]] = {
    "video": _video,
    "raw video": _raw_video,
    "sound": _sound,
    "picture": _picture,
    "table": _table,
    "truth": _truth,
    "tracks": _tracks,
    "vpo inputs": _built,
    "pickle": _pickle,
    "checkpoint": _checkpoint,
    "model file": _model,
    "recipe": _recipe,
    "options": _options,
}


def make_case(sources: Sources, folder: Path, seed: int) -> Case:
    """The case of a seed, its input written to `folder`; kinds take turns."""
    kind = list(KINDS)[seed % len(KINDS)]
    folder.mkdir(parents=True)
    (folder / "out").mkdir()
    return Case(seed, kind, KINDS[kind](sources, folder, Random(seed)))
