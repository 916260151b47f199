"""What `benchmarks/qdformer_works.py` measures of one trained model; each function is one figure of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import torch
from code_measures import area_under_curve, kept_codes, matches, mutual_information
from experiment import rounded
from noise import mixed, with_noise
from numpy.typing import NDArray
from torch import Tensor

from avseg.data import ClipDataset, DataConfig
from avseg.data.transforms import Geometry
from avseg.datasets.world.clips import SynthDataset
from avseg.engine import evaluate
from avseg.metrics import SUITES
from avseg.models.base import Model, in_evaluation
from avseg.models.qdformer.inspect.clips import check_codes
from avseg.models.qdformer.output import QDFormerOutput
from avseg.nn.quantizer import usage
from avseg.synth import CLASSES, SynthClip
from avseg.synth.soundtrack import render_sound, soundtrack_for
from avseg.types import Batch, Clip, DenseTarget

SUITES_ASKED = ("avsbench_object", "avsbench_semantic")
AT_ONCE = 8
"""Clips in one call of the network."""
CLEAN = 60.0
"""dB of a source over the background of the sounds that are mixed."""
Mixtures = tuple[list[Clip], list[Clip], list[Clip]]
"""P mixtures of two sounds, the first sounds alone, and the second ones."""
Change = Callable[[int, Tensor], Tensor]
"""From the place of a clip and its sound (A, S) to another sound of that shape."""


class HeldOut(ClipDataset):
    """Clips of a world that no training saw, made once; a data set whose sound can be changed, the truth staying."""

    suite = SUITES_ASKED[0]

    def __init__(self, clips: int, seed: int, size: int) -> None:
        world = SynthDataset(clips, seed, split="test", task="semantic", size=size)
        self.task, self.ids = world.task, world.ids
        self.config: DataConfig = world.config
        self.worlds = [world.world(index) for index in range(clips)]
        self.clips = [each.to_clip("semantic") for each in self.worlds]

    def changed(self, change: Change) -> HeldOut:
        """The same clips with other sounds."""
        return self._with([replace(clip, audio=change(i, clip.audio)) for i, clip in enumerate(self.clips)])

    def of(self, places: Sequence[int]) -> HeldOut:
        """Some of the clips."""
        part = self._with([self.clips[place] for place in places])
        part.ids, part.worlds = [self.ids[place] for place in places], [self.worlds[place] for place in places]
        return part

    def _with(self, clips: list[Clip]) -> HeldOut:
        other = object.__new__(HeldOut)
        other.__dict__.update(self.__dict__, clips=clips)
        return other

    def __getitem__(self, index: int) -> Clip:
        return self.clips[index]


def scores(model: Model[Any], held_out: HeldOut) -> dict[str, float]:
    """J of the foreground, the same of frames in which something sounds, and mIoU over classes; protocol repaired."""
    metrics = [metric for suite in SUITES_ASKED for metric in SUITES[suite](held_out.task, "repaired")]
    found = evaluate(model, held_out, metrics, batch_size=AT_ONCE, device="cpu")
    names = {"J": "J", "J_sounding": "J_sounding", "mIoU": "mIoU"}
    return {short: next(v for k, v in found.items() if k.split("/")[-1] == name) for short, name in names.items()}


def sources_change(clip: Clip) -> bool:
    """Whether another set of classes is to be seen sounding in one frame than in another."""
    assert isinstance(clip.target, DenseTarget)
    sets = [frozenset(frame.unique().tolist()) - {0} for frame in clip.target.labels]
    return any(each != sets[0] for each in sets)


def white_noise(decibels: float) -> Change:
    """Noise of a fixed seed for each clip."""
    return lambda index, audio: with_noise(audio, decibels, seed=index)


def off_screen(held_out: HeldOut, decibels: float) -> Change:
    """A class that the picture has not, and that is not heard, sounding all the time, so far below the clip."""
    return lambda index, audio: mixed(audio, absent_sound(held_out.worlds[index], index), decibels)


def absent_sound(world: SynthClip, seed: int) -> Tensor:
    """(1, S) of a class that is neither seen nor heard in a clip."""
    heard = set((np.flatnonzero(world.heard.any(0)) + 1).tolist())
    absent = sorted(set(range(1, len(CLASSES) + 1)) - set(world.classes.tolist()) - heard)
    kind = absent[int(np.random.default_rng(seed).integers(len(absent)))]
    sound = render_sound(world.scene, soundtrack_for(world.scene, [kind], snr=CLEAN, seed=7001 + seed))
    return torch.from_numpy(sound)


@torch.inference_mode()
def outputs(model: Model[Any], clips: Sequence[Clip]) -> Iterator[tuple[QDFormerOutput, Batch]]:
    """What a model says of clips, in evaluation mode, `AT_ONCE` at a time."""
    sized = Geometry(model.config.input, resize_labels=False)
    with in_evaluation(model):
        for start in range(0, len(clips), AT_ONCE):
            batch = Batch.collate([sized(clip) for clip in clips[start : start + AT_ONCE]])
            yield model(batch), batch


def codes_of(model: Model[Any], clips: Sequence[Clip]) -> tuple[Tensor, Tensor | None]:
    """(n, N) codes of clips, and (n, T, N) of their frames where there are such."""
    pairs = [(o.clip_tokens.codes, o.frame_tokens) for o, _ in outputs(model, clips)]
    whole = [codes for codes, _ in pairs if codes is not None]
    frames = [local.codes for _, local in pairs if local is not None and local.codes is not None]
    return torch.cat(whole), torch.cat(frames) if frames else None


def codebook_use(model: Model[Any], held_out: HeldOut) -> dict[str, Any]:
    """How many codes are used how evenly by clips and by frames, and how many of the frames' codes their clips have."""
    number = check_codes(model)
    whole, frames = codes_of(model, held_out.clips)
    figures: dict[str, Any] = {"codes": number}
    for name, codes in (("clips", whole), ("frames", frames)):
        if codes is not None:
            use = usage(codes, number)
            figures[name] = {
                "perplexity": round(float(use.perplexity), 2),
                "of_the_codebook": round(float(use.perplexity) / number, 3),
                "largest_share": round(float(use.largest_share), 3),
                "used": int(use.used),
                "different": round(float(_different(codes).mean()), 2),
            }
    if frames is not None:
        own = (frames[..., None] == whole[:, None, None]).any(-1)
        figures["frame_codes_of_their_clip"] = round(float(own.float().mean()), 3)
    return figures


def _different(codes: Tensor) -> Tensor:
    """(..., N) codes -> (...) how many different ones the N tokens have."""
    ordered = codes.sort(-1).values
    return 1 + (ordered[..., 1:] != ordered[..., :-1]).sum(-1).float()


def mixture_clips(draws: int, size: int, seed: int = 0) -> Mixtures:
    """Clips of five seconds that sound throughout: P mixtures of two classes at 0 dB, and the two sounds of each alone.

    Every pair of classes comes `draws` times, with its own sounds each time. Pictures are black.
    """
    scene = SynthDataset(1, seed, split="test", size=size).world(0).scene
    pairs = [(*pair, draw) for draw in range(draws) for pair in combinations(range(1, len(CLASSES) + 1), 2)]
    clips: Mixtures = ([], [], [])
    for number, (first, second, _) in enumerate(pairs):
        sounds = [
            torch.from_numpy(render_sound(scene, soundtrack_for(scene, [kind], snr=CLEAN, seed=seed + 2 * number + k)))
            for k, kind in enumerate((first, second))
        ]
        for place, sound in enumerate((mixed(sounds[0], sounds[1]), *sounds)):
            clips[place].append(_unseen(f"{number}_{place}", sound, size))
    return clips


def _unseen(name: str, sound: Tensor, size: int) -> Clip:
    seconds = sound.shape[1] // 16000
    times = torch.arange(seconds, dtype=torch.float64)
    return Clip(name, torch.zeros(seconds, 3, size, size, dtype=torch.uint8), times, sound, 16000)


def mixtures_match(model: Model[Any], clips: Mixtures) -> dict[str, Any]:
    """Whether tokens of mixtures have the codes of their sources, against the sources of other mixtures."""
    both, first, second = (codes_of(model, part)[0].numpy() for part in clips)
    tables = kept_codes(both, np.stack([first, second], 1), check_codes(model))
    names = ("tokens_with_a_code_of_a_source", "codes_of_the_sources_in_the_mixture")
    return {name: rounded(matches(table)._asdict()) for name, table in zip(names, tables, strict=True)}


def slot_purity(model: Model[Any], held_out: HeldOut, seed: int = 0) -> dict[str, float]:
    """What the code of the query that fits an object best tells of the object's class: normalised mutual information.

    Beside it the same with codes dealt anew among the queries (`shuffled`), and with the tokens drawn to a codebook of
    random vectors with the tokens' mean and deviation (`random_codebook`).
    """
    classes, codes, tokens = matched_tokens(model, held_out)
    rng = np.random.default_rng(seed)
    book = rng.normal(tokens.mean(0), tokens.std(0), (check_codes(model), tokens.shape[1]))
    nearest = ((tokens[:, None] - book[None]) ** 2).sum(2).argmin(1)
    found = {
        "information": mutual_information(classes, codes),
        "shuffled": mutual_information(classes, rng.permutation(codes)),
        "random_codebook": mutual_information(classes, nearest),
    }
    return {**rounded(found), "objects": len(classes)}


def matched_tokens(model: Model[Any], held_out: HeldOut) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """For each object that sounds in a frame: its class, and code (n,) and raw token (n, C) of the query whose mask
    fits it best."""
    classes, codes, tokens = [], [], []
    for output, batch in outputs(model, held_out.clips):
        coded = output.frame_tokens or output.clip_tokens
        assert coded.codes is not None
        masks = output.mask_logits > 0  # (B, T, Q, h, w)
        each = masks.shape[2] // coded.codes.shape[-1]
        for clip, target in enumerate(batch.targets or []):
            assert isinstance(target, DenseTarget)
            labels = target.labels[:, 2::4, 2::4]
            for t, frame in enumerate(labels):
                for kind in frame.unique().tolist():
                    if not kind:
                        continue
                    place = int(best_mask(masks[clip, t], frame == kind)) // each
                    spot = (clip, t, place) if output.frame_tokens is not None else (clip, place)
                    classes.append(kind)
                    codes.append(int(coded.codes[spot]))
                    tokens.append(coded.raw[spot].numpy())
    return np.array(classes), np.array(codes), np.stack(tokens)


def best_mask(masks: Tensor, truth: Tensor) -> Tensor:
    """The place of the mask (Q, h, w) with the highest IoU with the truth (h, w)."""
    both, either = (masks & truth).flatten(1).sum(1), (masks | truth).flatten(1).sum(1)
    return (both / either.clamp(min=1)).argmax()


def activity(model: Model[Any], held_out: HeldOut) -> float:
    """Whether class scores of frames follow who sounds: area under the curve over frames of the classes that come or
    go while their clip lasts."""
    values, truth = [], []
    for output, batch in outputs(model, held_out.clips):
        found = output.class_logits.amax(2)  # (B, T, M)
        for clip, target in enumerate(batch.targets or []):
            assert isinstance(target, DenseTarget)
            seen = torch.stack([(target.labels == k).flatten(1).any(1) for k in range(1, found.shape[2] + 1)], 1)
            changing = seen.any(0) & ~seen.all(0)  # (M,)
            values.append(found[clip][:, changing].flatten())
            truth.append(seen[:, changing].flatten())
    return round(area_under_curve(torch.cat(values).numpy(), torch.cat(truth).numpy()), 4)
