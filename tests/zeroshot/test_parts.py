"""Presets, parts and vocabularies: what config and task a name with choices means."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from avseg.models import create_model
from avseg.models.zeroshot.config import Part, hearing
from avseg.models.zeroshot.names import table_nouns
from avseg.models.zeroshot.opening import setting
from avseg.models.zeroshot.presets import cpu, gpu, with_parts
from avseg.models.zeroshot.spec import ZeroShotChoices
from avseg.models.zeroshot.wording import nouns_of
from avseg.types import Task

NO_CHOICE = ZeroShotChoices()


def test_the_two_settings() -> None:
    small, large = cpu(), gpu()
    assert (small.tagger, small.finder, small.follower) == (
        Part("clap", "laion/clap-htsat-unfused"),
        Part("grounding_dino", "IDEA-Research/grounding-dino-tiny"),
        Part("edgetam", "yonigozlan/EdgeTAM-hf"),
    )
    assert (small.gate.on, small.gate.off, small.audio, small.find.side, small.find.box) == (
        *(0.30, 0.15),
        hearing(2.0),
        *(448, 0.3),
    )
    assert small.temporal.spacing == 1.0 and small.sound_rate == 48000
    assert large.tagger == Part("ast", "MIT/ast-finetuned-audioset-10-10-0.4593")
    assert large.follower == Part("sam2", "facebook/sam2.1-hiera-small")
    assert (large.gate.on, large.gate.off, large.audio, large.find.side) == (0.35, 0.15, hearing(3.0), 800)
    assert large.temporal.spacing == 0.2 and large.sound_rate == 16000


@pytest.mark.parametrize(("cuda", "tagger"), [(True, "ast"), (False, "clap")])
def test_without_a_preset_the_machine_decides(cuda: bool, tagger: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    assert setting(None, None, NO_CHOICE)[0].tagger.kind == tagger
    assert setting("gpu", None, NO_CHOICE)[0].tagger.kind == "ast"


def test_another_part_brings_the_thresholds_of_its_kind() -> None:
    found = with_parts(gpu(), "tagger=clap, finder=owlv2:lab/own-owl,follower=edgetam")
    assert found.tagger.checkpoint == "laion/clap-htsat-unfused"
    assert found.finder == Part("owlv2", "lab/own-owl") and found.follower.kind == "edgetam"
    assert (found.gate.on, found.find.box, found.find.side, found.audio) == (0.30, 0.1, 800, hearing(2.0))
    heard = with_parts(found, "tagger=yamnet:/models/yamnet.onnx")
    assert heard.tagger == Part("yamnet", "/models/yamnet.onnx") and heard.gate.on == 0.35
    assert heard.audio == hearing(1.0) and heard.find.box == 0.1
    windows = with_parts(found, r"tagger=yamnet:C:\models\yamnet.onnx")
    assert windows.tagger.checkpoint == r"C:\models\yamnet.onnx"


def test_a_follower_that_finds_needs_no_finder() -> None:
    found = with_parts(gpu(), "follower=sam3")
    assert list(found.parts) == ["tagger", "follower"] and list(gpu().parts) == ["tagger", "finder", "follower"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("taggr=clap", r"'taggr' is not a part of a zero-shot model; did you mean 'tagger'\?"),
        ("finder=grounding-dino", r"there is no finder 'grounding-dino'; did you mean 'grounding_dino'\?"),
        ("tagger=yamnet", r"tagger=yamnet needs your own weights: tagger=yamnet:FILE"),
        ("tagger", "wanted one kind of tagger, such as tagger=ast, got 'tagger'"),
        ("tagger=", "wanted one kind of tagger"),
        ("tagger=clap,tagger=ast", "wanted one kind of tagger"),
        ("finder=owlv2,follower=sam3", "the follower sam3 finds objects itself; leave out finder=owlv2"),
        ("", "'' is not a part of a zero-shot model"),
        (",", "'' is not a part of a zero-shot model"),
    ],
)
def test_wrong_parts_are_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        with_parts(gpu(), text)


def test_spaces_and_a_last_comma_mean_nothing() -> None:
    assert with_parts(gpu(), " tagger = clap , finder=owlv2,") == with_parts(gpu(), "tagger=clap,finder=owlv2")


def test_words_are_those_of_the_user_and_of_the_task(tmp_path: Path) -> None:
    config, task = setting("cpu", None, ZeroShotChoices("Gravel  bike, dog,dog,"))
    assert config.vocabulary == task.classes == ("gravel bike", "dog") and task.kind == "instance"
    file = tmp_path / "words.txt"
    file.write_text("# things\nguitar\n\nzither\n", encoding="utf-8")
    assert setting("cpu", None, ZeroShotChoices(str(file)))[1].classes == ("guitar", "zither")
    config, task = setting("gpu", Task("binary"), ZeroShotChoices("guitar,dog"))
    assert config.vocabulary == ("guitar", "dog") and task == Task("binary")


def test_without_words_the_nouns_of_the_table_are_listened_for() -> None:
    assert len(table_nouns()) == 175 and list(table_nouns()) == sorted(table_nouns())
    for preset in ("cpu", "gpu"):
        config, task = setting(preset, None, NO_CHOICE)
        assert task == Task("instance", table_nouns()) and config.vocabulary == ()
        assert nouns_of(config, Task("binary")).names == nouns_of(config, task).names == table_nouns()


def test_the_classes_of_a_data_set_are_the_words_of_a_tagger_of_any() -> None:
    classes = Task("semantic", ("dog", "missile-rocket", "guzheng"))
    config, task = setting("cpu", classes, NO_CHOICE)
    assert task is classes and nouns_of(config, task).names == ("dog", "missile rocket", "guzheng")


@pytest.mark.parametrize(
    ("preset", "words", "sentence"),
    [
        ("gpu", "dgo", r"no sound of AudioSet stands for 'dgo'; did you mean 'dog'\? The CLAP tagger takes any word"),
        ("cpu", " , ", "the vocabulary is empty; give nouns with commas between them, or a file with one a line"),
        ("gpu", "", "the vocabulary is empty"),
        ("cpu", "St. Bernard", "'st. bernard' has a dot"),
        ("cpu", "gone.txt", "the vocabulary gone.txt cannot be read"),
    ],
)
def test_wrong_words_are_one_sentence(preset: str, words: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        setting(preset, None, ZeroShotChoices(words))


def test_a_model_is_made_without_weights_and_says_so_when_it_needs_them() -> None:
    model = create_model("zeroshot", "cpu", Task("binary"))
    assert model.config == cpu() and not list(model.state_dict()) and model.config.origins["tagger"].endswith("@?")
    assert create_model("zeroshot").task == Task("instance", table_nouns())
    longer = create_model("zeroshot", vocabulary=("dog",), task=Task("instance", ("dog",)))
    assert longer.config.temporal.spacing == 0.2 and longer.wording.nouns == ("dog",)


def test_a_vocabulary_without_a_class_of_the_task_is_named() -> None:
    with pytest.raises(ValueError, match=r"none of the 1 classes .* is a noun of the vocabulary; name classes in it"):
        create_model("zeroshot", vocabulary=("cat",), task=Task("instance", ("dog",)))
