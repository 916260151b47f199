"""A model's codes of clips and videos, with a model whose codes are plain to tell."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from avseg.cli import run
from avseg.config import AudioWindow, InputSpec, Temporal
from avseg.data import build_dataset
from avseg.datasets import data_config
from avseg.io.video import write_video
from avseg.models.base import Model
from avseg.models.qdformer.config import CodebookConfig, QDFormerConfig
from avseg.models.qdformer.inspect.clips import check_codes, coded_clips, coded_video, use_of_codes
from avseg.models.qdformer.output import QDFormerOutput, QueryPrediction
from avseg.nn.audio import cut_windows, mixed_down
from avseg.nn.quantizer import Coded
from avseg.types import Batch, DensePrediction, Prediction, Task
from inference.fake import fake
from inference.media import counting, tone

CONFIG = QDFormerConfig(
    input=InputSpec((32, 48)),
    audio=AudioWindow(anchor="frame", missing="silence"),
    temporal=Temporal("block", 3, shown_after=0.0),
    tokens=2,
    codebook=CodebookConfig(codes=16),
)
DATA = data_config("synth", kind="semantic", held_out_clips=4, frames=3, size=64)


class Coder(Model[QDFormerOutput]):
    """Code 0 is silence and 1 sound, for both tokens; of the whole clip 2 and 3. Marks class 1 while it sounds."""

    Config = QDFormerConfig
    tasks = frozenset({"binary", "semantic"})

    def __init__(self, config: QDFormerConfig, task: Task) -> None:
        super().__init__(config, task)
        self.network = nn.Conv2d(1, 1, 1)

    def forward(self, batch: Batch) -> QDFormerOutput:
        b, t = batch.valid.shape
        sound = cut_windows(mixed_down(batch), self.config.audio)[:, :, 0]
        loud = (sound.square().mean(-1).sqrt() > 0.02).long()  # (B, T)
        tokens = torch.zeros(b, t, 2, 4)
        maps = torch.zeros(b, t, 2, 8, 12) + 20.0 * loud[..., None, None, None] - 10
        layer = QueryPrediction(torch.zeros(b, t, 2, 1), torch.zeros(b, t, 2, 4), maps)
        clip = Coded(tokens[:, 0], tokens[:, 0], torch.tensor([[2, 3]]).expand(b, 2))
        local = Coded(tokens, tokens, loud[..., None].expand(b, t, 2)) if self.config.local_calibration else None
        return QDFormerOutput([layer], batch.valid, (32, 48), clip, local)

    def postprocess(self, output: QDFormerOutput, batch: Batch) -> list[Prediction]:
        maps = torch.zeros(*output.valid.shape, self.task.channels, 8, 12)
        maps[:, :, -1 if self.task.kind == "binary" else 1] = output.mask_logits[:, :, 0]
        return [
            DensePrediction(name, clip, size)
            for name, clip, size in zip(batch.ids, maps, batch.output_sizes, strict=True)
        ]

    def losses(self, output: QDFormerOutput, batch: Batch) -> dict[str, torch.Tensor]:
        return {}

    def param_groups(self) -> dict[str, list[nn.Parameter]]:
        return {}


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five seconds of 48 x 96 at 4 a second; it sounds from 1 to 2 s and from 4 s on."""
    sound = tone(5, 16000)
    time = np.arange(sound.shape[1]) / 16000
    sound *= ((time >= 1) & (time < 2)) | (time >= 4)
    return write_video(tmp_path_factory.mktemp("v") / "f.mp4", counting(20, 48, 96), 4, sound.astype(np.float32), 16000)


def test_a_video_s_parts_have_their_codes_pictures_and_sound(video: Path) -> None:
    first, second = coded_video(Coder(CONFIG, Task("binary")), video)
    assert (first.id, second.id) == ("f, 0 to 3 s", "f, 3 to 5 s")
    assert first.frame_codes is not None and first.frame_codes.tolist() == [[0, 0], [1, 1], [0, 0]]
    # The last block is filled up for the network; what fills it is not told of.
    assert second.frame_codes is not None and second.frame_codes.tolist() == [[0, 0], [1, 1]]
    assert second.times == pytest.approx([3, 4]) and second.clip_codes.tolist() == [2, 3]
    assert second.marked.shape == (2, 112, 224, 3) and second.truth is None and second.sounding is None
    assert second.spectra is not None and second.spectra.shape == (2, 96, 64)
    assert second.spectra[1].mean() > second.spectra[0].mean()
    assert (second.marked[1] - second.marked[0].astype(int)).std() > 10


def test_clips_of_a_data_set_come_with_their_truth() -> None:
    dataset = build_dataset(DATA, "test")
    model = Coder(CONFIG, dataset.task)
    (clip,) = coded_clips(model, dataset, [2])
    target = dataset[2].target
    assert clip.id == dataset.ids[2] and clip.truth is not None and clip.sounding is not None
    assert clip.truth.shape == clip.marked.shape == (3, 112, 112, 3)
    assert [len(names) for names in clip.sounding] == target.sounding.sum(1).tolist()
    assert {name for names in clip.sounding for name in names} <= set(dataset.task.classes)


def test_use_of_codes_counts_clips_and_frames_apart() -> None:
    dataset = build_dataset(DATA, "test")
    found = list(coded_clips(Coder(CONFIG, dataset.task), dataset, [0, 1]))
    clips, frames = use_of_codes(found, 16)
    assert clips == ["whole clips", 4, 2, pytest.approx(2.0), "12%", "50%"]
    assert frames[:2] == ["frames", 12]
    alone = list(coded_clips(Coder(replace(CONFIG, local_calibration=False), dataset.task), dataset, [0]))
    assert alone[0].frame_codes is None and len(use_of_codes(alone, 16)) == 1


def test_models_without_a_codebook_and_other_tasks_are_refused() -> None:
    assert check_codes(Coder(CONFIG, Task("binary"))) == 16
    separate = replace(CONFIG, codebook=CodebookConfig(codes=16, shared=False))
    assert check_codes(Coder(separate, Task("binary"))) == 32
    with pytest.raises(ValueError, match="quantise=False"):
        check_codes(Coder(replace(CONFIG, quantise=False), Task("binary")))
    with pytest.raises(ValueError, match="family fake"):
        next(coded_video(fake(), "nothing.mp4"))
    with pytest.raises(ValueError, match="solves a binary task, the data set has a semantic task of 8"):
        list(coded_clips(Coder(CONFIG, Task("binary")), build_dataset(DATA, "test"), [0]))


def test_the_command_writes_one_page(video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("avseg.models.load_model", lambda _: Coder(CONFIG, build_dataset(DATA, "test").task))
    data = ["--data.name", "synth", "--data.kind", "semantic", "--data.frames", "3", "--data.size", "64"]
    assert run(["codes", "m.safetensors", "--out", str(tmp_path / "a.html"), "--clips", "2", *data]) == 0
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert page.count('class="timeline"') == 2 and "m.safetensors" in page and "truth" in page
    assert run(["codes", "m.safetensors", str(video), "--out", str(tmp_path / "b.html"), "--device", "cpu"]) == 0
    assert (tmp_path / "b.html").read_text(encoding="utf-8").count('class="timeline"') == 2
    with pytest.raises(ValueError, match="1 or more"):
        run(["codes", "m.safetensors", "--clips", "0"])
    with pytest.raises(ValueError, match=r"is a folder; .*codes\.html"):
        run(["codes", "m.safetensors", "--out", str(tmp_path)])


def test_the_demo_is_known_by_its_name_and_has_no_codes() -> None:
    with pytest.raises(ValueError, match="family tpavi and has no codebook"):
        run(["codes", "demo", "a.mp4", "--device", "cpu"])


def test_parts_are_called_by_the_seconds_they_stand_for(video: Path) -> None:
    late = replace(CONFIG, temporal=replace(CONFIG.temporal, shown_after=0.9375))
    first, second = coded_video(Coder(late, Task("binary")), video)
    assert (first.id, second.id) == ("f, 0 to 3 s", "f, 3 to 5 s")
    later = replace(CONFIG, temporal=replace(CONFIG.temporal, shown_after=1.9375))
    assert next(coded_video(Coder(later, Task("binary")), video)).id == "f, 0 to 3 s"
