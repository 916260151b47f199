"""YAMNet as tagger, with tiny ONNX files of its form: front end, quantisation, what is refused."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from avseg.models.zeroshot.names import Nouns, audioset
from extras import needs
from zeroshot.tiny_taggers import config, local, save_yamnet

pytestmark = pytest.mark.extra
SCALES = ((0.047937885, 144), (0.7565417, 190))
"""Scale and zero point of the picture, and of the logits."""


@pytest.fixture(scope="module", autouse=True)
def _installed() -> None:
    needs("onnxruntime")


def load(path: Path) -> Any:
    from avseg.models.zeroshot.hub.yamnet import YAMNet

    return YAMNet(local("yamnet", path), config(1.0), torch.device("cpu"))


@pytest.fixture(scope="module")
def exact(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any, Any]:
    """A tagger in float32, and the W and b of its file."""
    path = tmp_path_factory.mktemp("yamnet") / "model.onnx"
    weight, bias = save_yamnet(path)
    return load(path), weight, bias


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make the quantisation of a tiny file known under its digest."""

    def tell(path: Path) -> None:
        from avseg.models.zeroshot.hub import yamnet

        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        monkeypatch.setitem(yamnet.QUANTISED, digest, tuple(yamnet.Steps(*pair) for pair in SCALES))

    return tell


def noise(windows: int, samples: int = 15600) -> torch.Tensor:
    return torch.randn(windows, samples, generator=torch.Generator().manual_seed(0)) * 0.1


def picture(sound: np.ndarray) -> np.ndarray:
    """(96, 64) of (15600,), written down again: frame by frame, triangle by triangle."""
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    magnitudes = np.stack([np.abs(np.fft.rfft(sound[k : k + 400] * hann, 512)) for k in range(0, 15201, 160)])
    mel = 2595 * np.log10(1 + np.fft.rfftfreq(512, 1 / 16000) / 700)
    edges = np.linspace(*(2595 * np.log10(1 + np.array([125.0, 7500.0]) / 700)), 66)
    bands = [np.interp(mel, edges[k : k + 3], [0, 1, 0], left=0, right=0) for k in range(64)]
    return np.log(magnitudes @ np.stack(bands).T + 0.001)


def sigmoid(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logits))


def test_a_file_in_float32_gets_the_log_mel_picture_and_gives_logits(exact: tuple[Any, Any, Any]) -> None:
    tagger, weight, bias = exact
    sound = noise(3)
    pictures = np.stack([picture(one) for one in sound.double().numpy()])
    assert pictures.shape == (3, 96, 64)
    wanted = sigmoid(pictures.mean(1) @ weight + bias)
    found = tagger.tags(sound)
    assert found.shape == (3, 521) and found.dtype == torch.float32 and wanted.std() > 0.1
    assert np.abs(found.numpy() - wanted).max() < 1e-4
    assert torch.equal(tagger.tags(sound[1:2])[0], found[1])


def test_a_quantised_file_gets_and_gives_steps(tmp_path: Path, known: Any, exact: tuple[Any, Any, Any]) -> None:
    path = tmp_path / "model.onnx"
    save_yamnet(path, SCALES)
    known(path)
    sound = noise(2)
    found = torch.logit(load(path).tags(sound).double())
    steps = found / SCALES[1][0]
    wanted = torch.logit(exact[0].tags(sound).double())
    inside = wanted.abs() < 5
    assert (steps - steps.round())[inside].abs().max() < 1e-3, "logits are whole steps"
    assert inside.float().mean() > 0.5 and (found - wanted)[inside].abs().max() < 0.5 * SCALES[1][0] + 0.1


def test_the_lowest_step_of_the_picture_is_digital_silence() -> None:
    """Which is how the offset of 0.001 is known: VGGish's 0.01 would never use the lowest 48 steps."""
    from avseg.models.zeroshot.hub.yamnet import LOG_OFFSET, QUANTISED

    ((shown, given),) = QUANTISED.values()
    lowest = np.full(1, np.log(LOG_OFFSET), np.float32)
    assert shown.pack(lowest).tolist() == [0] and shown.pack(lowest + 0.05).tolist() == [1]
    assert shown.pack(lowest - 9).tolist() == [0] and shown.pack(lowest + 99).tolist() == [255]
    assert shown.pack(np.log(np.full(1, 0.01, np.float32))).tolist() == [48]
    values = sigmoid(given.unpack(np.arange(150, 230, dtype=np.uint8)).astype(np.float64))
    assert [round(p, 2) for p in values.tolist() if 0.05 < p < 0.95] == [0.09, 0.18, 0.32, 0.5, 0.68, 0.82, 0.91]


def test_of_longer_windows_the_middle_is_heard(exact: tuple[Any, Any, Any]) -> None:
    sound = noise(1, 32000)
    assert torch.equal(exact[0].tags(sound), exact[0].tags(sound[:, 8200:23800]))


def test_shorter_windows_and_channels_are_refused(exact: tuple[Any, Any, Any]) -> None:
    with pytest.raises(ValueError, match=r"shape \(1, 15599\), wanted \(N, S\) with S >= 15600 at 16000 Hz"):
        exact[0].tags(noise(1, 15599))
    with pytest.raises(ValueError, match="mix channels into one before"):
        exact[0].tags(noise(2)[None])


def test_the_labels_are_those_of_the_table_less_six(exact: tuple[Any, Any, Any]) -> None:
    labels = exact[0].labels
    assert len(labels) == 521 and labels[0] == "Speech" and "Battle cry" not in labels
    assert list(labels) == [label for label in audioset()["nouns"] if label in labels]
    assert "person" in Nouns.of_audioset(labels).names


def test_data_beside_the_file_and_both_in_a_zip_give_the_same(tmp_path: Path, exact: tuple[Any, Any, Any]) -> None:
    path = tmp_path / "model.onnx"
    save_yamnet(path, data_file="model.data")
    packed = tmp_path / "model.onnx.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for name in ("model.onnx", "model.data"):
            archive.write(tmp_path / name, f"job/{name}")
    wanted = exact[0].tags(noise(1))
    assert torch.equal(load(path).tags(noise(1)), wanted)
    assert torch.equal(load(packed).tags(noise(1)), wanted)
    (tmp_path / "model.data").unlink()
    with pytest.raises(ValueError, match=r"model.onnx cannot be opened .* with its data file beside it"):
        load(path)


def test_files_that_are_none_of_it_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no file .*model.onnx; give an ONNX file of YAMNet"):
        load(tmp_path / "model.onnx")
    for name, content, said in (
        ("x.onnx", b"no model", "cannot be opened"),
        ("x.zip", b"no archive", "is not a zip file"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=said):
            load(tmp_path / name)
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("a.onnx", b"")
        archive.writestr("b.onnx", b"")
    with pytest.raises(ValueError, match=r"holds 2 .onnx files, wanted one"):
        load(tmp_path / "two.zip")


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"shape": (1, 2, 96, 64)}, r"takes tensor\(float\) of \[1, 2, 96, 64\], wanted one input .*\(1, 1, 96, 64\)"),
        ({"classes": 527}, r"gives \(527,\) numbers .* wanted logits of YAMNet's 521 sounds"),
        ({"sigmoid": True}, "before the sigmoid"),
        ({"packed": SCALES}, "quantised in a way that is not known here"),
    ],
)
def test_another_network_is_refused(tmp_path: Path, form: dict[str, Any], said: str) -> None:
    save_yamnet(tmp_path / "x.onnx", **form)
    with pytest.raises(ValueError, match=said):
        load(tmp_path / "x.onnx")
