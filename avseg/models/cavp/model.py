"""CAVP as a model: clips in, masks out, trained beside right and wrong sounds (Chen et al., CVPR 2024)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from avseg.config import ModelConfig
from avseg.host import on_host, picked, sent, stacked
from avseg.losses.contrastive import contrastive_loss
from avseg.losses.dense import binary_loss, pixel_loss
from avseg.models.base import uncompiled
from avseg.models.cavp.bank import SoundBank, panned, positions, single_channel
from avseg.models.cavp.config import CAVPConfig
from avseg.models.cavp.network import CAVPNetwork
from avseg.models.cavp.pairing import Pairing, class_sets, draw_pairing, single_classes
from avseg.models.class_rows import ClassRows, softmax_rows
from avseg.models.dense import DenseModel, annotated_frames, dense_targets, sized
from avseg.models.seams import Runner, Seam
from avseg.models.slots import OWN_EMBEDDING, OWN_SOUND, WeightSlot, all_but, backbone_slot
from avseg.nn.audio import at_rate, cut_windows, mixed_down
from avseg.nn.decibel import decibel_mel, decibel_windows
from avseg.nn.frames import normalised, sized_frames, spread
from avseg.types import Batch, Draw, Task

RATE = 16000
"""Samples in a second of the sounds in the bank."""
_TOGETHER = 16 * 512 * 512
"""Pixels that are looked at together in evaluation, about a training step's; one frame has as many as it has."""
_PIXELS = -1
"""Marks the generator that draws pixels: no clip has this place."""


@dataclass(frozen=True, eq=False)
class CAVPOutput:
    """The output of the network for a batch. Frames that were not processed hold zeros."""

    logits: Tensor
    """(B, T, C, h, w) before any activation, at a quarter of the size the network saw; C = 1 for binary tasks."""
    items: Tensor
    """(B, T) bool, the N frames it was shown: the annotated ones in training, otherwise those that exist."""
    auxiliary: Tensor | None = None
    """(N, C, h, w) logits of the soft regions without any sound: OCR in training."""
    embeddings: Tensor | None = None
    """(2N, D, h, w) of the pictures with their own sounds, then with those they are given: contrast in training."""
    pairing: Pairing | None = None
    """The given sounds."""


def _answered(run: Runner, images: Tensor, log_mel: Tensor) -> tuple[Tensor, Tensor]:
    """Logits without embeddings, which training alone wants."""
    (logits,) = run(images, log_mel)
    return logits, logits[:0]


class CAVP(DenseModel[CAVPOutput]):
    """Contrastive audio-visual pairing for binary and semantic masks, frame by frame, mono or stereo."""

    Config: ClassVar[type[ModelConfig]] = CAVPConfig
    tasks: ClassVar[frozenset[str]] = frozenset({"binary", "semantic"})
    run_state: ClassVar[tuple[str, ...]] = ("bank.",)
    seams: ClassVar[Mapping[str, Seam]] = {"network": Seam(answer=_answered, outputs=("logits",))}
    compiles: ClassVar[tuple[str, ...]] = ("network.see", "network.fuse", "network.classify")
    config: CAVPConfig
    network: CAVPNetwork

    def __init__(self, config: CAVPConfig, task: Task) -> None:
        super().__init__(config, task)
        # Published binary models have two channels under a softmax; what is told is their difference, under a sigmoid.
        self.network = CAVPNetwork(max(task.channels, 2), config)
        self.bank = _bank(config, task)

    def forward(self, batch: Batch) -> CAVPOutput:
        """See `CAVPOutput`. In training the pairs are drawn by `batch.draw` and the places of the clips."""
        items = self._items(batch)
        images = picked(sized_frames(batch, self.config.input), items)  # (N, 3, H, W)
        log_mel = picked(self._log_mel(batch), items)  # (N, A, L, 64)
        if not self.training:
            return CAVPOutput(spread(self._look(images, log_mel), items), items)
        self._check_norms(len(images))
        pairing, index = None, torch.arange(len(images))
        if self.config.contrast is not None and on_host(annotated_frames(batch)).any():
            pairing, read = self._pair(batch, items)
            # Published stereo has no bank to hear: it counts the overwritten sounds as right and plays the wrong ones.
            given = pairing.permutation if read is None else pairing.sources()
            log_mel = log_mel if read is None else torch.cat([log_mel, read])
            index = torch.cat([index, given])  # (2N,)
        seen = self.network.see(normalised(images))
        embeddings = self.network.fuse(seen.features, self._hear(log_mel, index))
        logits = self._told(self.network.classify(embeddings, len(images)))
        return CAVPOutput(
            logits=spread(logits, items),
            items=items,
            auxiliary=None if seen.auxiliary is None else self._told(seen.auxiliary),
            embeddings=None if pairing is None else embeddings,
            pairing=pairing,
        )

    def _items(self, batch: Batch) -> Tensor:
        """(B, T) bool, the frames the network is shown: in training those that carry labels, if there are any."""
        if not self.training or batch.targets is None:
            return batch.valid
        annotated = annotated_frames(batch)
        return annotated if on_host(annotated).any() else batch.valid

    def _check_norms(self, count: int) -> None:
        if count < 2 and self.config.decoder == "deeplab":
            raise ValueError(
                "a training step got one picture, but the batch normalisation of DeepLabV3+'s picture-wide mean wants "
                "two or more; use train.batch_size of at least 2, and train.drop_last where one clip is left over"
            )

    def _log_mel(self, batch: Batch) -> Tensor:
        """(B, T, A, L, 64)."""
        return decibel_windows(batch, self.config.audio, self.config.mel_frames, self.config.audio_channels)

    def _look(self, images: Tensor, log_mel: Tensor) -> Tensor:
        """Logits (N, C, h, w) of frames with their own sounds, some at a time."""
        together = max(1, _TOGETHER // images.shape[-2:].numel())
        parts = zip(torch.split(images, together), torch.split(log_mel, together), strict=True)
        return torch.cat([self._told(self.network(normalised(seen), heard)[0]) for seen, heard in parts])

    def _told(self, logits: Tensor) -> Tensor:
        """The network's channels as those of the task: (N, 2, h, w) of a binary one become (N, 1, h, w)."""
        return logits[:, 1:] - logits[:, :1] if self.task.kind == "binary" else logits

    def _hear(self, log_mel: Tensor, index: Tensor) -> Tensor:
        """The sounds of `index`, on the CPU: (M, A, L, 64) -> (R * N, D).

        A network with batch norms hears every sound as often as it is given, as published, since its statistics are
        over those; but for published stereo, which shuffled what it had heard. Others hear each sound once.
        """
        contrast = self.config.contrast
        shuffles_heard = contrast is not None and contrast.bank == "published" and self.config.audio_channels == 2
        index = sent(index, log_mel.device)
        counts = any(isinstance(module, _BatchNorm) for module in self.network.audio.modules())
        if counts and not shuffles_heard:
            return self.network.hear(log_mel[index])
        return self.network.hear(log_mel)[index]

    def _pair(self, batch: Batch, items: Tensor) -> tuple[Pairing, Tensor | None]:
        """Pairs of the items, and log-mel pictures (M, A, L, 64) of the sounds read from the bank, if there is one."""
        assert self.config.contrast is not None
        contrast, draw = self.config.contrast, batch.draw or Draw(0, 0)
        sets = class_sets(dense_targets(batch), items)
        if self.bank is not None:
            _check_bank(self.bank, sets.shape[1] - 1)
        overwrite = contrast.overwrite if self._overwrites and draw.epoch > 0 else 0.0
        in_bank = self.bank.full() if self.bank is not None and contrast.bank == "filled" else None
        pairing = draw_pairing(sets, overwrite, in_bank, draw.generator(*batch.index))
        read = None if self.bank is None else self._exchange(self.bank, self._sounds(batch, items), sets, pairing)
        return pairing, read

    def _exchange(self, bank: SoundBank, sounds: Tensor, sets: Tensor, pairing: Pairing) -> Tensor | None:
        """Read what is given from the bank as (M, A, L, 64), then write the sounds (N, A, S) of a single class."""
        classes, chosen = single_classes(sets), pairing.overwritten
        read = None
        if len(chosen):
            given = bank.read(classes[chosen])  # (M, S)
            stereo = sounds.shape[1] == 2
            given = panned(given, positions(sounds[sent(chosen, given.device)])) if stereo else given[:, None]
            pictures = decibel_mel(given.flatten(0, 1))[:, : self.config.mel_frames]
            read = torch.unflatten(pictures, 0, given.shape[:2])
        alone = classes > 0
        bank.write(single_channel(picked(sounds, sent(alone, sounds.device))), classes[alone])
        return read

    @property
    def _overwrites(self) -> bool:
        contrast = self.config.contrast
        return contrast is not None and contrast.bank != "none" and self.task.kind == "semantic"

    def _sounds(self, batch: Batch, items: Tensor) -> Tensor:
        """The waveforms the network hears of the items: (N, A, S)."""
        batch = at_rate(mixed_down(batch) if self.config.audio_channels == 1 else batch, RATE)
        return picked(cut_windows(batch, self.config.audio), items)

    def losses(self, output: CAVPOutput, batch: Batch) -> dict[str, Tensor]:
        """`segmentation`, and in training by config `contrast` and `auxiliary` (OCR)."""
        labels = stacked([target.labels for target in dense_targets(batch)])  # (B, T, H, W)
        annotated = annotated_frames(batch)
        truth = picked(labels, annotated)  # (M, H, W)
        terms = {"segmentation": self._cross_entropy(picked(output.logits, annotated), truth)}
        contrast = self.config.contrast
        if contrast is not None and self.training:
            terms["contrast"] = output.logits[:0].float().sum()  # no frame is annotated
        if contrast is not None and output.pairing is not None and output.embeddings is not None:
            matched, shuffled = output.embeddings.chunk(2)
            draw = (batch.draw or Draw(0, 0)).generator(*batch.index, _PIXELS)
            labels = on_host(truth)
            given = output.pairing.labels(labels)
            terms["contrast"] = contrastive_loss(matched, shuffled, labels, given, contrast, draw)
        if self.config.auxiliary_weight and output.auxiliary is not None:
            regions = picked(output.auxiliary, picked(annotated, output.items))
            terms["auxiliary"] = self.config.auxiliary_weight * self._cross_entropy(regions, truth)
        return terms

    def _cross_entropy(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Mean over all judged pixels: (M, C, h, w) logits, (M, H, W) labels."""
        whole = sized(logits, (labels.shape[-2], labels.shape[-1]))
        if self.task.kind == "semantic":
            return pixel_loss(whole, labels, self.config.foreground_weight)
        everything = sent(torch.ones(1, len(labels), dtype=torch.bool), labels.device)
        return binary_loss(whole[None], labels[None], everything)

    def weight_slots(self) -> dict[str, WeightSlot]:
        """`backbone`; `vggish`, whose last layer has a width of its own and begins fresh; and `audio`, torchvision's
        ResNet-18 of ImageNet, of which first convolution and last layer do."""
        kind, audio = self.config.audio_network, self.network.audio
        return {
            "backbone": backbone_slot(self.network, self.config.backbone),
            "vggish": WeightSlot(
                audio if kind == "vgg" else None, all_but(OWN_EMBEDDING), "audio_network='vgg' gives it one"
            ),
            "audio": WeightSlot(
                audio if kind == "resnet18" else None, all_but(OWN_SOUND), "audio_network='resnet18' gives it one"
            ),
        }

    def class_rows(self) -> dict[str, ClassRows]:
        """The classifier, and with OCR the regions of each class."""
        return {"network.decoder.classifier": softmax_rows, "network.decoder.regions.1": softmax_rows}

    def param_groups(self) -> dict[str, list[nn.Parameter]]:
        """`backbone`, `decoder`, `projector`, `fusion`, `audio`: the five parts of the network."""
        parts = {name: list(part.parameters()) for name, part in uncompiled(self.network).named_children()}
        return {name: [p for p in part if p.requires_grad] for name, part in parts.items()}


def _bank(config: CAVPConfig, task: Task) -> SoundBank | None:
    """The bank that the config asks for. Binary tasks have none, and published stereo plays nothing from its own."""
    contrast = config.contrast
    if contrast is None or contrast.bank == "none" or task.kind == "binary":
        return None
    if contrast.bank == "published" and config.audio_channels == 2:
        return None
    return SoundBank(len(task.classes), contrast.slots, round(config.audio.seconds * RATE))


def _check_bank(bank: SoundBank, classes: int) -> None:
    if classes != len(bank.written):
        raise ValueError(
            f"the clips name their sounds over {classes} classes but the task has {len(bank.written)}; use the data "
            "set that belongs to the task, or contrast.bank='none'"
        )
