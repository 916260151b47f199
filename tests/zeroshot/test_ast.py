"""AST as tagger, and the facts of `transformers` that it has to mind; tiny random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from avseg.models.zeroshot.config import Part
from avseg.models.zeroshot.names import Nouns, audioset
from extras import needs
from zeroshot.tiny_taggers import ROWS, config, local, save_ast, seeded

pytestmark = pytest.mark.extra
CPU = torch.device("cpu")
EMPTY = (0 + 4.2677393) / (2 * 4.5689974)
"""What the extractor fills up with, 0.4670."""


@pytest.fixture(scope="module", autouse=True)
def _installed() -> None:
    needs("transformers")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_ast(tmp_path_factory.mktemp("ast"))


def load(folder: Path) -> Any:
    from avseg.models.zeroshot.hub.ast import AST

    return AST(local("ast", folder), config(3.0), CPU)


@pytest.fixture(scope="module")
def tagger(folder: Path) -> Any:
    return load(folder)


@pytest.fixture(scope="module")
def extractor(folder: Path) -> Any:
    from transformers import AutoFeatureExtractor

    return AutoFeatureExtractor.from_pretrained(folder)


def noise(windows: int, samples: int) -> torch.Tensor:
    return torch.randn(windows, samples, generator=torch.Generator().manual_seed(0)) * 0.1


def pictures(extractor: Any, sound: torch.Tensor) -> torch.Tensor:
    return extractor(list(sound.numpy()), sampling_rate=16000, return_tensors="pt")["input_values"]


def test_each_label_has_the_sigmoid_of_its_logit(tagger: Any, extractor: Any, folder: Path) -> None:
    from transformers import AutoModelForAudioClassification

    sound = noise(2, 48000)
    model = AutoModelForAudioClassification.from_pretrained(folder).eval()
    with torch.no_grad():
        logits = model(pictures(extractor, sound)).logits
    found = tagger.tags(sound)
    assert found.shape == (2, 527) and found.dtype == torch.float32
    assert torch.equal(found, logits.sigmoid())
    assert found.std() > 0.1 and (found.sum(1) - 1).abs().min() > 10, "no softmax"


def test_the_labels_are_those_of_the_table_in_its_order(tagger: Any) -> None:
    assert tagger.labels == tuple(audioset()["nouns"])
    assert "dog" in Nouns.of_audioset(tagger.labels).names


def test_a_window_has_the_same_tags_alone_and_among_others(tagger: Any) -> None:
    sound = noise(3, 48000)
    together = tagger.tags(sound)
    assert torch.equal(together, tagger.tags(sound)), "nothing is drawn by chance"
    for k in range(3):
        assert torch.allclose(tagger.tags(sound[k : k + 1])[0], together[k], atol=1e-6)


def test_short_windows_are_filled_up_with_rows_before_normalising(extractor: Any) -> None:
    found = pictures(extractor, noise(1, 16000))[0]
    assert found.shape == (ROWS, 128)
    assert torch.allclose(found[98:], torch.tensor(EMPTY), atol=1e-6) and round(EMPTY, 4) == 0.4670
    assert not torch.isclose(found[:98], torch.tensor(EMPTY)).all(1).any()
    silence = pictures(extractor, torch.zeros(1, 16000))[0, :98]
    assert torch.allclose(silence, torch.tensor(-1.2776), atol=1e-4)


def test_silence_behind_a_window_is_something_else_than_no_sound(tagger: Any) -> None:
    sound = noise(1, 16000)
    padded = torch.nn.functional.pad(sound, (0, 32000))
    assert (tagger.tags(sound) - tagger.tags(padded)).abs().max() > 0.01


def test_windows_of_less_than_one_row_are_refused(tagger: Any, extractor: Any) -> None:
    assert (pictures(extractor, noise(1, 399)) - EMPTY).abs().max() < 1e-6, "of which the extractor says nothing"
    assert tagger.tags(noise(1, 400)).shape == (1, 527)
    with pytest.raises(ValueError, match=r"shape \(1, 399\), wanted \(N, S\) with 400 <= S"):
        tagger.tags(noise(1, 399))


def test_windows_of_more_rows_than_the_model_has_are_refused(tagger: Any, extractor: Any) -> None:
    longest = 400 + 160 * ROWS - 1
    sound = noise(1, 2 * longest)
    whole = pictures(extractor, sound)
    assert torch.equal(whole, pictures(extractor, sound[:, :longest])), "the extractor cuts and says nothing"
    assert tagger.tags(sound[:, :longest]).shape == (1, 527)
    with pytest.raises(ValueError, match=rf"shape \(1, {longest + 1}\), wanted .* S <= {longest} at 16000 Hz"):
        tagger.tags(sound[:, : longest + 1])


def test_two_channels_are_two_windows_to_the_extractor_and_refused_here(tagger: Any, extractor: Any) -> None:
    stereo = noise(2, 16000)
    assert pictures(extractor, stereo).shape[0] == 2
    with pytest.raises(ValueError, match="mix channels into one before"):
        tagger.tags(stereo[None])
    with pytest.raises(ValueError, match=r"shape \(0, 16000\)"):
        tagger.tags(noise(0, 16000))


def test_another_rate_is_an_error_of_the_extractor_that_is_always_asked_for(folder: Path, tmp_path: Path) -> None:
    save_ast(tmp_path, sampling_rate=8000)
    with pytest.raises(ValueError, match="sampling rate of 8000"):
        load(tmp_path).tags(noise(1, 16000))


def test_an_extractor_of_other_pictures_than_the_model_takes_is_refused(tmp_path: Path) -> None:
    save_ast(tmp_path, max_length=198)
    with pytest.raises(ValueError, match=r"pictures of \(198, 128\) and its model takes \(304, 128\)"):
        load(tmp_path)


def test_weights_of_another_model_or_without_the_head_are_refused(folder: Path, tmp_path: Path) -> None:
    from transformers import ASTFeatureExtractor, ASTForAudioClassification, ASTModel, BertConfig, BertModel

    bert = BertConfig(vocab_size=9, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8)
    seeded(BertModel, bert).save_pretrained(tmp_path / "bert")
    seeded(ASTModel, ASTForAudioClassification.from_pretrained(folder).config).save_pretrained(tmp_path / "headless")
    for name, lacks in (("bert", "ASTForAudioClassification"), ("headless", "the first is classifier")):
        ASTFeatureExtractor(max_length=ROWS).save_pretrained(tmp_path / name)
        assert ASTForAudioClassification.from_pretrained(tmp_path / name) is not None, "loaded with random numbers"
        with pytest.raises(ValueError, match=lacks):
            load(tmp_path / name)


def test_weights_in_half_precision_compute_in_float32(folder: Path, tmp_path: Path) -> None:
    from transformers import ASTFeatureExtractor, ASTForAudioClassification

    ASTForAudioClassification.from_pretrained(folder).half().save_pretrained(tmp_path)
    ASTFeatureExtractor(max_length=ROWS).save_pretrained(tmp_path)
    assert ASTForAudioClassification.from_pretrained(tmp_path).dtype == torch.float16
    sound = noise(1, 48000)
    found = load(tmp_path).tags(sound)
    assert found.dtype == torch.float32 and torch.allclose(found, load(folder).tags(sound), atol=0.02)


def test_a_part_whose_commit_is_unknown_is_refused(folder: Path) -> None:
    from avseg.models.zeroshot.hub.ast import AST

    with pytest.raises(ValueError, match=r"commit of .* is not known"):
        AST(Part("ast", str(folder)), config(3.0), CPU)


def test_the_front_end_gives_the_numbers_that_are_written_here(extractor: Any) -> None:
    """Those of numpy. With torchaudio installed the extractor computes them by other code; they differed by 6e-5."""
    time = np.arange(16000) / 16000
    sound = torch.tensor(0.25 * np.sin(2 * np.pi * 440 * time) + 0.1 * np.sin(2 * np.pi * 3000 * time)).float()[None]
    found = pictures(extractor, sound)[0, 50]
    assert found[[10, 24, 50, 87, 120]].tolist() == pytest.approx(GOLDEN, abs=2e-3)


GOLDEN = [-0.7472, 0.7023, -1.2776, -0.3275, -1.2776]
