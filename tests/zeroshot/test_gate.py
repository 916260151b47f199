"""When each noun sounds: windows to seconds, hysteresis, the gate of silence, kinds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from avseg.models.zeroshot.config import GateConfig, Part, ZeroShotConfig
from avseg.models.zeroshot.gate import Gate, loudness, of_nouns, smoothed, spans
from avseg.models.zeroshot.names import Nouns, audioset, read_vocabulary
from avseg.models.zeroshot.wording import Wording
from avseg.types import Task

LABELS = tuple(audioset()["nouns"])


def run(rows: list[list[float]], config: GateConfig = GateConfig(), names: tuple[str, ...] = ("dog", "cat")) -> list:
    gate = Gate(config, Nouns.of_vocabulary(names))
    return np.stack([gate.step(np.array(row, np.float32), -20.0) for row in rows])


def test_a_noun_opens_at_on_and_closes_below_off() -> None:
    on = run([[0.34, 0], [0.35, 0], [0.15, 0], [0.149, 0], [0.2, 0]])
    assert on[:, 0].tolist() == [False, True, True, False, False]


def test_a_noun_has_the_highest_of_its_labels_and_not_their_sum() -> None:
    nouns = Nouns.of_audioset(LABELS, ["person"])
    row = np.zeros((1, len(LABELS)), np.float32)
    for label, value in (("Speech", 0.3), ("Conversation", 0.2), ("Laughter", 0.1)):
        row[0, LABELS.index(label)] = value
    assert of_nouns(row, nouns).tolist() == [[pytest.approx(0.3)]]


def test_digital_silence_and_faint_sound_open_nothing() -> None:
    gate = Gate(GateConfig(), Nouns.of_vocabulary(["dog"]))
    certain = np.ones(1, np.float32)
    assert not gate.step(certain, -np.inf).any() and not gate.step(certain, -60.1).any()
    assert gate.step(certain, -59.9).all()
    assert not gate.step(certain, -70).any()
    assert not gate.step(np.full(1, 0.2, np.float32), -20).any(), "silence closes a span"


def test_loudness_is_rms_in_decibels_below_full_scale() -> None:
    sound = np.concatenate([np.full(100, 0.1), np.zeros(100), np.full(50, 1.0)]).astype(np.float32)
    assert loudness(sound, 100, 0.0, range(4)).tolist() == pytest.approx([-20, -np.inf, 0, -np.inf], abs=1e-4)
    assert loudness(sound, 100, 1.0, [0, 1]).tolist() == pytest.approx([-np.inf, -20], abs=1e-4)


def test_a_generic_noun_sounds_only_where_no_specific_one_of_its_kind_does() -> None:
    nouns = Nouns.of_audioset(LABELS)
    place = {name: k for k, name in enumerate(nouns.names)}
    row = np.zeros(len(nouns.names), np.float32)
    row[[place["animal"], place["vehicle"]]] = 0.9
    assert Gate(GateConfig(), nouns).step(row, -20)[[place["animal"], place["vehicle"]]].all()
    row[place["dog"]] = 0.5
    on = Gate(GateConfig(), nouns).step(row, -20)
    assert {nouns.names[k] for k in np.flatnonzero(on)} == {"dog", "vehicle"}
    on = Gate(GateConfig(generic_only_alone=False), nouns).step(row, -20)
    assert {nouns.names[k] for k in np.flatnonzero(on)} == {"dog", "vehicle", "animal"}


def test_a_second_has_at_most_so_many_nouns_the_best_first() -> None:
    names = tuple(f"thing {k}" for k in range(10))
    values = [0.4 + 0.01 * ((3 * k) % 10) for k in range(10)]
    on = run([values], GateConfig(most=3), names)[0]
    assert set(np.flatnonzero(on)) == set(np.argsort(values)[-3:])


def test_pieces_give_what_the_whole_gives() -> None:
    rows = np.random.default_rng(0).random((40, 3)).astype(np.float32)
    nouns = Nouns.of_vocabulary(["a", "b", "c"])
    whole, parts = Gate(GateConfig(), nouns), Gate(GateConfig(), nouns)
    a = [whole.step(row, -20) for row in rows]
    b = [parts.step(row, -20) for row in rows[:13]] + [parts.step(row, -20) for row in rows[13:]]
    assert np.array_equal(a, b)


def test_gaps_are_bridged_then_short_spans_dropped_then_all_padded() -> None:
    flags = np.array([1, 1, 0, 1, 0, 0, 0, 1, 0], bool)
    assert spans(flags) == [(0, 2), (3, 4), (7, 8)]
    assert spans(flags, 1) == [(0, 4), (7, 8)] and spans(flags, 3) == [(0, 8)]
    kept = smoothed(flags[:, None], GateConfig(gap=1, shortest=2, pad=0.5))
    assert kept[:, 0].tolist() == [1, 1, 1, 1, 1, 0, 0, 0, 0]
    assert smoothed(flags[:, None], GateConfig())[:, 0].tolist() == flags.tolist()


def test_the_table_maps_every_label_of_audioset() -> None:
    nouns = audioset()["nouns"]
    assert len(nouns) == 527 and sum(entry["nouns"] is None for entry in nouns.values()) == 145
    words = {noun for entry in nouns.values() for noun in entry["nouns"] or ()}
    assert len(words) == 175 and all(word == word.lower() and "." not in word for word in words)
    assert sum(bool(entry.get("generic")) for entry in nouns.values()) == 45
    assert len(audioset()["yamnet_lacks"]) == 6 and set(audioset()["yamnet_lacks"]) <= set(nouns)
    assert set(Nouns.of_audioset(LABELS).names) == words


def test_unknown_labels_and_words_are_refused() -> None:
    with pytest.raises(ValueError, match="1 labels of the tagger are none of AudioSet's, the first is 'LABEL_0'"):
        Nouns.of_audioset([*LABELS, "LABEL_0"])
    with pytest.raises(ValueError, match=r"no sound of AudioSet stands for 'dogg'; did you mean 'dog'\?"):
        Nouns.of_audioset(LABELS, ["dogg"])
    with pytest.raises(ValueError, match="has a dot"):
        Nouns.of_vocabulary(["st. bernard"])
    with pytest.raises(ValueError, match="the vocabulary is empty"):
        Nouns.of_vocabulary([" "])
    with pytest.raises(ValueError, match="wanted 0 <= off <= on <= 1"):
        GateConfig(on=0.1)


def test_a_vocabulary_is_words_or_a_file(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("# mine\ndog\n\n acoustic guitar \n", encoding="utf-8")
    assert read_vocabulary(str(path)) == ("dog", "acoustic guitar")
    assert read_vocabulary("dog, acoustic guitar,") == ("dog", "acoustic guitar")
    assert Nouns.of_vocabulary(["Dog", "dog", "Acoustic  Guitar"]).names == ("dog", "acoustic guitar")


def test_vocabularies_of_other_editors_and_of_many_words(tmp_path: Path) -> None:
    path = tmp_path / "words.csv"
    path.write_bytes("\ufeffdog, cat\r\n  # mine\r\nguitar,\r\n".encode())
    assert read_vocabulary(str(path)) == ("dog", "cat", "guitar")
    many = tuple(f"noun {number}" for number in range(300))
    assert read_vocabulary(",".join(many)) == many
    for gone in ("gone/words", "gone.txt", str(tmp_path)):
        with pytest.raises(
            ValueError, match=r"cannot be read \((No such file|Is a directory|Permission).*; give nouns"
        ):
            read_vocabulary(gone)
    with pytest.raises(ValueError, match="is not a noun: it contains characters that are not text"):
        Nouns.of_vocabulary(["dog", "\x00\x01PNG"])


def test_words_with_hyphens_are_the_classes_of_the_same_name() -> None:
    assert Nouns.of_vocabulary(["T-shirt", "t_shirt"]).names == ("t shirt",)
    config = replace(ZeroShotConfig(), tagger=Part("clap"), vocabulary=("teddy-bear", "dog"))
    assert not Wording.of(config, Task("instance", ("teddy-bear", "dog"))).unmapped
