"""AVISM as a model: clips in, tracks of sounding instances out (Guo et al., CVPR 2025)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from avseg.config import ModelConfig, SessionOptions
from avseg.host import on_host, picked, sent
from avseg.losses.matching import over_workers
from avseg.models.avism.config import AVISMConfig, AVISMOptions
from avseg.models.avism.convert import take_detector
from avseg.models.avism.criterion import ClipCriterion, FrameCriterion, similarity_term
from avseg.models.avism.detector import FramePrediction
from avseg.models.avism.network import AVISMNetwork
from avseg.models.avism.output import AVISMOutput as AVISMOutput
from avseg.models.avism.output import joined
from avseg.models.avism.seams import SEAMS
from avseg.models.avism.session import DRAWN_AT_ONCE, AVISMSession, drawn_tracks
from avseg.models.avism.truth import InstanceTruth, truth_of
from avseg.models.avism.video import Watched
from avseg.models.base import in_evaluation, uncompiled
from avseg.models.class_rows import ClassRows, object_rows, sounding_rows
from avseg.models.hearing import HearingModel
from avseg.models.seams import Seam
from avseg.models.session import alone
from avseg.models.slots import WeightSlot
from avseg.nn.frames import gathered, normalised, resized, spread
from avseg.types import Batch, Draw, Prediction, Task

STEP = 32
"""Both sides of a picture are filled up to a multiple of this."""
_POINTS = -2
"""Marks the generator that draws points: no clip has this place."""


class AVISM(HearingModel[AVISMOutput]):
    """Audio-visual instance segmentation: one track for everything that sounds, empty while it is silent."""

    Config: ClassVar[type[ModelConfig]] = AVISMConfig
    tasks: ClassVar[frozenset[str]] = frozenset({"instance"})
    seams: ClassVar[Mapping[str, Seam]] = SEAMS
    compiles: ClassVar[tuple[str, ...]] = ("network.look", "network.watch")
    config: AVISMConfig
    options: AVISMOptions
    network: AVISMNetwork

    def __init__(self, config: AVISMConfig, task: Task) -> None:
        super().__init__(config, task)
        self.network = AVISMNetwork(len(task.classes), config)
        self.listen()

    def forward(self, batch: Batch) -> AVISMOutput:
        """See `AVISMOutput`. All frames are held at once; `predict` goes through long clips in pieces.

        Pictures are filled up to the largest of the batch, and the network sees what they are filled with: clips of
        other sizes change the numbers of a clip a little. Frames that do not exist change nothing.
        """
        batch = self.sized(batch)
        audio = self.features(batch)  # (B, T, W)
        layers = self.config.trained_layers if self.training else 1
        seen = self.network.look(gathered(self.normalised(batch), batch.valid), gathered(audio, batch.valid), layers)
        queries = torch.stack([spread(layer, batch.valid) for layer in seen.queries])  # (L, B, T, fQ, D)
        watched = self._watch(queries, audio, batch.valid)
        return AVISMOutput(
            clips=watched.predictions,
            clip_features=spread(seen.clip_features, batch.valid),
            frame_predictions=seen.predictions,
            valid=batch.valid,
            sizes=batch.sizes,
            frame_similarity=watched.frame_similarity,
            clip_similarity=watched.clip_similarity,
            sounding_logits=self.sounding_logits(audio),
        )

    def sized(self, batch: Batch) -> Batch:
        """The batch with pictures of the size that the network wants; while training they are as they come.

        Loaders size pictures beforehand; then this is the batch itself.
        """
        own = [(int(h), int(w)) for h, w in on_host(batch.sizes).tolist()]
        wanted = own if self.training else [self.config.input.fitted(size) for size in own]
        if own == wanted:
            return batch
        height, width = (max(sides) for sides in zip(*wanted, strict=True))
        clips = [
            F.pad(
                resized(frames[..., : h[0], : h[1]], w, self.config.input.interpolation),
                (0, width - w[1], 0, height - w[0]),
            )
            for frames, h, w in zip(batch.frames, own, wanted, strict=True)
        ]
        return replace(batch, frames=torch.stack(clips), sizes=sent(torch.tensor(wanted), batch.sizes.device))

    def normalised(self, batch: Batch) -> Tensor:
        """(B, T, 3, H, W) float32 pictures as the network wants them: sized (`sized`), with the mean and deviation of
        ImageNet taken out, zero outside of each clip's own size, sides filled up to multiples of 32."""
        batch = self.sized(batch)
        height, width = batch.frames.shape[-2:]
        images = normalised(batch.frames)
        if on_host(batch.sizes).tolist() != [[height, width]] * len(batch):
            rows = torch.arange(height, device=images.device) < batch.sizes[:, :1]  # (B, H)
            columns = torch.arange(width, device=images.device) < batch.sizes[:, 1:]
            images = images * (rows[:, :, None] & columns[:, None])[:, None, None]
        return F.pad(images, (0, -width % STEP, 0, -height % STEP))

    def _watch(self, queries: Tensor, audio: Tensor, valid: Tensor) -> Watched:
        """The clip stage, for clips of one length at a time."""
        lengths = on_host(valid).sum(1).tolist()
        groups = [[clip for clip, own in enumerate(lengths) if own == length] for length in sorted(set(lengths))]
        parts = []
        for clips in groups:
            frames = lengths[clips[0]]
            if len(groups) == 1:
                parts.append(self.network.watch(queries[:, :, :frames], audio[:, :frames]))
            else:
                own = sent(torch.tensor(clips), queries.device)
                parts.append(self.network.watch(queries[:, own, :frames], audio[own, :frames]))
        return joined(parts, groups, valid.shape[1])

    def losses(self, output: AVISMOutput, batch: Batch) -> dict[str, Tensor]:
        """`frame_class`, `frame_mask`, `frame_dice`, the same of `clip`, each summed over the supervised layers, and
        while training `similarity`; and by config `sounding` (docs/reference/losses.md). Points are drawn by
        `batch.draw` and the
        places of the clips."""
        config, device = self.config.criterion, output.valid.device
        with torch.autocast(device.type, enabled=False):
            truth = truth_of(
                batch, output.sizes, output.padded, len(self.task.classes), config.silent_first_is_no_object
            )
            generator = _generator(batch, device)
            of_frames = FrameCriterion(config, truth, generator)
            of_clips = ClipCriterion(config, truth, output.clip_features, generator)
            layers = len(output.clips[-1].class_logits)
            counts = over_workers(torch.stack([of_frames.count(), of_clips.count(layers)]), self.training)
            predictions = _judged(output, truth)
            found = of_frames.match(predictions)
            terms = of_frames.terms(predictions, found, counts[0])
            named = {f"frame_{name}": term for name, term in terms.items()}
            matched = of_clips.match(output.clips)
            terms = of_clips.terms(output.clips, matched, counts[1])
            named |= {f"clip_{name}": term for name, term in terms.items()}
            if output.frame_similarity is not None and output.clip_similarity is not None:
                named["similarity"] = similarity_term(
                    output.frame_similarity,
                    output.clip_similarity,
                    found[-layers:],
                    matched[-1],
                    of_frames.places,
                    config.similarity_weight,
                )
            if output.sounding_logits is not None:
                sounding = truth.sounding(len(self.task.classes))
                named["sounding"] = self.hearing.sounding_term(output.sounding_logits, sounding, truth.judged)
        return named

    def postprocess(self, output: AVISMOutput, batch: Batch) -> list[Prediction]:
        """The tracks of every clip, of its valid frames, from masks that are all in memory."""
        tracks: list[Prediction] = []
        for clip, (name, wanted) in enumerate(zip(batch.ids, batch.output_sizes, strict=True)):
            height, width = output.sizes[clip].tolist()
            features = output.clip_features[clip][output.valid[clip]].detach().float()  # (T, D, h, w)
            classes, embeddings = output.class_logits[clip].detach(), output.mask_embeddings[clip].detach()
            maps = torch.split(features, DRAWN_AT_ONCE)
            tracks.append(drawn_tracks(name, classes, embeddings, maps, (height, width), wanted, self.options))
        return tracks

    def session(self, options: SessionOptions | None = None) -> AVISMSession:
        """A clip's way through the model, which must be in evaluation mode."""
        options = options or self.options
        assert isinstance(options, AVISMOptions)
        return AVISMSession(self, options)

    @torch.inference_mode()
    def predict(self, batch: Batch) -> list[Prediction]:
        """The tracks of every clip, one clip after the other and each in pieces, so that long ones fit into memory."""
        tracks: list[Prediction] = []
        with in_evaluation(self):
            for clip, size in enumerate(batch.output_sizes):
                session = self.session()
                session.step(alone(batch, clip))
                tracks += session.finish(size)
        return tracks

    def weight_slots(self) -> dict[str, WeightSlot]:
        """`detector`: a checkpoint whose frame-level part (`backbone.`, `sem_seg_head.`) is taken, all but its classes;
        what hears is taken where the file has it and begins fresh where not, as in files of COCO. Then `backbone`, and
        `vggish`."""
        return {"detector": WeightSlot(self.network, take_detector), **super().weight_slots()}

    def class_rows(self) -> dict[str, ClassRows]:
        """The classifiers of frame and clip queries, and what tells the classes that sound."""
        queries = dict.fromkeys(("network.detector.classify", "network.video.decoder.classify"), object_rows)
        return {**queries, "sounding": sounding_rows}

    def param_groups(self) -> dict[str, list[nn.Parameter]]:
        """`backbone`, `pixel_decoder`, `detector`, `video` and, where it learns, `audio` (with what tells classes)."""
        parts = {name: list(part.parameters()) for name, part in uncompiled(self.network).named_children()}
        hearing = [part for part in (self.audio_network, self.sounding) if part is not None]
        parts["audio"] = [parameter for part in hearing for parameter in part.parameters()]
        learning = {name: [p for p in part if p.requires_grad] for name, part in parts.items()}
        return {name: part for name, part in learning.items() if part}


def _generator(batch: Batch, device: torch.device) -> torch.Generator:
    """On the device, since points are many; it follows (seed, epoch, places of the clips)."""
    draw = (batch.draw or Draw(0, 0)).generator(*batch.index, _POINTS)
    return torch.Generator(device).manual_seed(int(torch.randint(2**62, (), generator=draw)))


def _judged(output: AVISMOutput, truth: InstanceTruth) -> list[FramePrediction]:
    """Outputs of the scored frames only."""
    kept, predictions = picked(truth.judged, output.valid), output.frame_predictions  # (M,)
    if bool(on_host(kept).all()):
        return predictions
    return [FramePrediction(picked(p.class_logits, kept), picked(p.mask_logits, kept)) for p in predictions]
