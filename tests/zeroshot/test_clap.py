"""CLAP as tagger, and the facts of `transformers` that it has to mind; tiny random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from avseg.models.zeroshot.catalogue import TAGGERS
from extras import needs
from zeroshot.tiny_taggers import config, local, roberta_files, save_clap

pytestmark = pytest.mark.extra
CPU = torch.device("cpu")
WORDS = ("dog", "guitar", "fire truck")


@pytest.fixture(scope="module", autouse=True)
def _installed() -> None:
    needs("transformers")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("clap")
    return {"unfused": save_clap(place / "unfused"), "fused": save_clap(place / "fused", fusion=True)}


def load(folder: Path, *words: str) -> Any:
    from avseg.models.zeroshot.hub.clap import CLAP

    return CLAP(local("clap", folder), config(2.0, *words), CPU)


@pytest.fixture(scope="module", params=["unfused", "fused"])
def form(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def tagger(folders: dict[str, Path], form: str) -> Any:
    return load(folders[form], *WORDS)


def noise(windows: int, samples: int) -> torch.Tensor:
    return torch.randn(windows, samples, generator=torch.Generator().manual_seed(0)) * 0.1


def extractor_of(folder: Path) -> Any:
    from transformers import AutoFeatureExtractor

    return AutoFeatureExtractor.from_pretrained(folder)


def test_probabilities_are_a_softmax_of_the_models_own_logits(folders: dict[str, Path]) -> None:
    """Of two templates the mean, and the words' share of all texts."""
    from transformers import ClapModel, ClapProcessor

    from avseg.models.zeroshot.hub.clap import DISTRACTORS

    folder, sound = folders["unfused"], noise(2, 96000)
    processor, model = ClapProcessor.from_pretrained(folder), ClapModel.from_pretrained(folder).eval()
    outputs = []
    for template in ("the sound of a {}", "{}"):
        texts = [*(template.format(word) for word in WORDS), *DISTRACTORS]
        inputs = processor(
            audio=list(sound.numpy()), text=texts, return_tensors="pt", padding=True, sampling_rate=48000
        )
        with torch.no_grad():
            outputs.append(model(**inputs))
    texts = torch.nn.functional.normalize(sum(output.text_embeds for output in outputs), dim=-1)
    logits = outputs[0].audio_embeds @ texts.T / 0.07
    assert (outputs[0].audio_embeds @ outputs[0].text_embeds.T / 0.07 - outputs[0].logits_per_audio).abs().max() < 1e-4
    found = load(folder, *WORDS).tags(sound)
    assert found.shape == (2, 3) and found.dtype == torch.float32
    assert torch.allclose(found, logits.softmax(-1)[:, :3], atol=1e-5)
    assert (found.sum(1) < 0.99).all(), "the distractors have their share"


def test_one_word_alone_is_not_certain(folders: dict[str, Path]) -> None:
    assert load(folders["unfused"], "dog").tags(noise(1, 96000)).item() < 0.5


def test_the_order_of_the_words_changes_nothing(folders: dict[str, Path], tagger: Any, form: str) -> None:
    sound, turned = noise(1, 96000), load(folders[form], *WORDS[::-1])
    assert turned.labels == WORDS[::-1]
    assert torch.allclose(turned.tags(sound).flip(1), tagger.tags(sound), atol=1e-6)


def test_a_window_has_the_same_tags_each_time_alone_and_among_others(tagger: Any) -> None:
    sound = noise(3, 96000)
    together = tagger.tags(sound)
    assert (together[0] - together[1]).abs().max() > 1e-4
    for seed in range(2):
        np.random.seed(seed)
        assert torch.equal(tagger.tags(sound), together)
        assert torch.allclose(tagger.tags(sound[seed : seed + 1])[0], together[seed], atol=1e-6)


def test_with_fusion_the_extractor_draws_a_window_that_it_calls_longer(folders: dict[str, Path]) -> None:
    """Why the adapter says itself that no window is longer than 10 s: the tags would depend on the draw."""
    from transformers import ClapModel

    extractor, model = extractor_of(folders["fused"]), ClapModel.from_pretrained(folders["fused"]).eval()
    drawn, embeddings = set(), {}
    for seed in range(5):
        np.random.seed(seed)
        inputs = extractor(list(noise(2, 96000).numpy()), sampling_rate=48000, return_tensors="pt")
        assert inputs["input_features"].shape == (2, 4, 1001, 64) and inputs["is_longer"].sum() == 1
        place = int(inputs["is_longer"].flatten().int().argmax())
        drawn.add(place)
        if len(embeddings) < 2 and place not in embeddings:
            with torch.no_grad():
                embeddings[place] = model.get_audio_features(**inputs).pooler_output
    assert len(drawn) > 1
    one, other = embeddings.values()
    assert (one - other).abs().max() > 1e-3


def test_more_than_ten_seconds_are_refused_since_a_piece_would_be_drawn(tagger: Any, folders: Any, form: str) -> None:
    extractor, sound = extractor_of(folders[form]), noise(1, 600000)
    pieces = []
    for seed in (0, 1):
        np.random.seed(seed)
        pieces.append(extractor(list(sound.numpy()), sampling_rate=48000, return_tensors="pt")["input_features"])
    assert not torch.equal(*pieces)
    assert tagger.tags(sound[:, :480000]).shape == (1, 3)
    with pytest.raises(ValueError, match=r"shape \(1, 480001\), wanted \(N, S\) with 1 <= S <= 480000 at 48000 Hz"):
        tagger.tags(sound[:, :480001])


def test_short_windows_are_repeated(tagger: Any) -> None:
    sound = noise(1, 96000)
    assert torch.allclose(tagger.tags(sound), tagger.tags(sound.repeat(1, 5)), atol=1e-6)
    assert (tagger.tags(sound) - tagger.tags(torch.nn.functional.pad(sound, (0, 384000)))).abs().max() > 1e-4


def test_it_hears_at_48_khz_and_one_channel(tagger: Any, folders: Any, form: str) -> None:
    assert TAGGERS.find("clap").rate == 48000
    with pytest.raises(ValueError, match="sampling rate of 48000"):
        extractor_of(folders[form])(noise(1, 16000)[0].numpy(), sampling_rate=16000)
    with pytest.raises(ValueError, match="mix channels into one before"):
        tagger.tags(noise(2, 96000)[None])


def test_features_come_in_an_object_and_not_as_a_tensor(folders: dict[str, Path]) -> None:
    from transformers import AutoTokenizer, ClapModel

    model = ClapModel.from_pretrained(folders["unfused"]).eval()
    tokens = AutoTokenizer.from_pretrained(folders["unfused"])(["dog"], return_tensors="pt")
    with torch.no_grad():
        found = model.get_text_features(**tokens)
    assert not isinstance(found, torch.Tensor)
    assert found.pooler_output.shape == (1, 32) and found.pooler_output.norm().item() == pytest.approx(1, abs=1e-5)


def test_words_are_embedded_once_and_the_text_model_is_let_go(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import ClapModel

    calls: list[int] = []
    embed = ClapModel.get_text_features

    def counted(self: Any, input_ids: Any, attention_mask: Any) -> Any:
        calls.append(len(input_ids))
        return embed(self, input_ids=input_ids, attention_mask=attention_mask)

    monkeypatch.setattr(ClapModel, "get_text_features", counted)
    tagger = load(folders["unfused"], *WORDS)
    for _ in range(2):
        tagger.tags(noise(1, 96000))
    assert sorted(calls) == [3, 3, 6], "each template with the words, and the distractors"
    assert not any("text" in name for name, _ in tagger._model.named_parameters())


def test_words_that_are_distractors_take_their_place(folders: dict[str, Path]) -> None:
    from avseg.models.zeroshot.hub.clap import DISTRACTORS, distractors

    assert distractors(["dog"]) == list(DISTRACTORS)
    assert "wind" not in distractors(["dog", "wind"]) and len(distractors(["wind"])) == 5
    assert len(distractors(["wind", "silence"])) == 4
    with pytest.raises(ValueError, match=r"names 3 of the sounds that the others are told from .* all but 2"):
        load(folders["unfused"], "wind", "silence", "reverberation")


def test_no_words_and_words_without_end_are_refused(folders: dict[str, Path]) -> None:
    with pytest.raises(ValueError, match="no words to listen for; give a vocabulary"):
        load(folders["unfused"])
    with pytest.raises(ValueError, match=r"has \d\d\d tokens, the text model of CLAP takes 77; give a short noun"):
        load(folders["unfused"], "dog", "very " * 30 + "small dog")


def test_weights_of_another_model_are_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    from transformers import ClapModel

    save_clap(tmp_path)
    ClapModel.from_pretrained(tmp_path).text_model.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"lacks \d+ weights of ClapModel.*kind 'clap'"):
        load(tmp_path, "dog")


def test_tokenizers_ignore_the_files_that_their_constructors_are_given(tmp_path: Path) -> None:
    from transformers import RobertaTokenizer

    size = roberta_files(tmp_path)
    files = {"vocab_file": str(tmp_path / "vocab.json"), "merges_file": str(tmp_path / "merges.txt")}
    assert len(RobertaTokenizer(**files)) == 5 < size
    tokenizer = RobertaTokenizer.from_pretrained(tmp_path)
    assert len(tokenizer) == size and tokenizer.tokenize("dog") == ["dog"]
