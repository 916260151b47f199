"""Tiny random taggers, saved as their checkpoints are: AST, CLAP with and without fusion, YAMNet as ONNX."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import torch

from avseg.models.zeroshot.config import Part, ZeroShotConfig, hearing
from avseg.models.zeroshot.names import audioset

ROWS = 304
"""Of the tiny AST: 3 s of sound are 298."""
SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")
MERGES = ("d o", "do g")


def local(kind: str, place: Path) -> Part:
    return Part(kind, str(place), "sha256:of-a-folder")


def config(seconds: float, *vocabulary: str) -> ZeroShotConfig:
    return ZeroShotConfig(audio=hearing(seconds), vocabulary=vocabulary)


def seeded(kind: Any, *args: Any) -> Any:
    """A random model, the same each time, in evaluation mode."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = kind(*args).eval()
    assert sum(p.numel() for p in model.parameters()) < 4e6
    return model


def save_ast(folder: Path, rows: int = ROWS, **extractor: Any) -> Path:
    from transformers import ASTConfig, ASTFeatureExtractor, ASTForAudioClassification

    names = dict(enumerate(audioset()["nouns"]))
    settings = ASTConfig(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        initializer_range=0.5,
        max_length=rows,
        id2label=names,
        label2id={name: k for k, name in names.items()},
    )
    seeded(ASTForAudioClassification, settings).save_pretrained(folder)
    ASTFeatureExtractor(**{"max_length": rows, **extractor}).save_pretrained(folder)
    return folder


def roberta_files(folder: Path) -> int:
    """A byte-level vocabulary with two merges as local files; its size."""
    from tokenizers.pre_tokenizers import ByteLevel

    folder.mkdir(parents=True, exist_ok=True)
    tokens = [*SPECIAL, *sorted(ByteLevel.alphabet()), "do", "dog", "<mask>"]
    (folder / "vocab.json").write_text(json.dumps({token: k for k, token in enumerate(tokens)}), encoding="utf-8")
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *MERGES]) + "\n", encoding="utf-8")
    return len(tokens)


def save_clap(folder: Path, fusion: bool = False) -> Path:
    from transformers import ClapConfig, ClapFeatureExtractor, ClapModel, ClapProcessor, RobertaTokenizer

    size = roberta_files(folder)
    tokenizer = RobertaTokenizer.from_pretrained(folder, model_max_length=77)
    assert len(tokenizer) == size
    text = {"vocab_size": size, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    text |= {"intermediate_size": 32, "max_position_embeddings": 80}
    audio = {"patch_embeds_hidden_size": 8, "hidden_size": 64, "depths": [1, 1, 1, 1]}
    audio |= {"num_attention_heads": [1, 2, 4, 8], "enable_fusion": fusion, "fusion_type": "aff_2d" if fusion else None}
    for one in (text, audio):
        one["initializer_factor"] = 10.0
    settings = ClapConfig(text_config=text, audio_config=audio, projection_dim=32)
    seeded(ClapModel, settings).save_pretrained(folder)
    extractor = ClapFeatureExtractor(truncation="fusion" if fusion else "rand_trunc")
    ClapProcessor(extractor, tokenizer).save_pretrained(folder)
    return folder


FLOAT, UINT8 = 1, 2
"""ONNX's numbers of these types."""


def field(number: int, value: int | bytes | str) -> bytes:
    """One field of a protobuf message: a number, or bytes with their length before them."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    found = b""
    while value > 127:
        found, value = found + bytes([value & 127 | 128]), value >> 7
    return found + bytes([value])


def _many(number: int, values: Any) -> bytes:
    return b"".join(field(number, value) for value in values)


def _typed(name: str, kind: int, shape: tuple[int, ...]) -> bytes:
    sizes = _many(1, [field(1, size) for size in shape])
    return field(1, name) + field(2, field(1, field(1, kind) + field(2, sizes)))


def _tensor(name: str, kind: int, shape: tuple[int, ...], data: bytes, file: str = "") -> bytes:
    head = _many(1, shape) + field(2, kind) + field(8, name)
    if not file:
        return head + field(9, data)
    return head + field(13, field(1, "location") + field(2, file)) + field(14, 1)


def _node(operator: str, inputs: list[str], output: str, attributes: bytes = b"") -> bytes:
    return _many(1, inputs) + field(2, output) + field(4, operator) + attributes


def save_yamnet(
    path: Path,
    packed: tuple[tuple[float, int], tuple[float, int]] | None = None,
    *,
    shape: tuple[int, ...] = (1, 1, 96, 64),
    classes: int = 521,
    sigmoid: bool = False,
    data_file: str = "",
) -> tuple[Any, Any]:
    """logits = mean over frames @ W + b, as an ONNX file; W (64, classes) and b (classes,) come back.

    Args:
        path: of the file.
        packed: scale and zero point of uint8 input and output; None for float32.
        shape: of the input.
        classes: numbers of the output.
        sigmoid: whether the file gives probabilities instead of logits.
        data_file: name of a file beside it that holds W.
    """
    random = np.random.default_rng(0)
    weight = random.normal(0, 0.3, (64, classes)).astype("<f4")
    bias = random.normal(0, 1, classes).astype("<f4")
    tensors = [_tensor("w", FLOAT, weight.shape, weight.tobytes(), data_file)]
    tensors += [_tensor("b", FLOAT, bias.shape, bias.tobytes())]
    if data_file:
        (path.parent / data_file).write_bytes(weight.tobytes())
    axes = field(5, field(1, "axes") + _many(8, (1, 2)) + field(20, 7))
    axes += field(5, field(1, "keepdims") + field(3, 0) + field(20, 2))
    source, end, nodes = "audio", "class_scores", []
    for name, (scale, zero) in zip((source, end), packed or (), strict=False):
        tensors += [_tensor(f"{name}_scale", FLOAT, (), struct.pack("<f", scale))]
        tensors += [_tensor(f"{name}_zero", UINT8, (), bytes([zero]))]
    if packed:
        nodes += [_node("DequantizeLinear", ["audio", "audio_scale", "audio_zero"], "picture")]
        source, end = "picture", "logits"
    nodes += [_node("ReduceMean", [source], "mean", axes), _node("MatMul", ["mean", "w"], "product")]
    nodes += [_node("Add", ["product", "b"], "raw" if sigmoid else end)]
    nodes += [_node("Sigmoid", ["raw"], end)] if sigmoid else []
    if packed:
        nodes += [_node("QuantizeLinear", [end, "class_scores_scale", "class_scores_zero"], "class_scores")]
    kind = UINT8 if packed else FLOAT
    graph = _many(1, nodes) + field(2, "tiny") + _many(5, tensors)
    graph += field(11, _typed("audio", kind, shape)) + field(12, _typed("class_scores", kind, (1, classes)))
    path.write_bytes(field(1, 8) + field(7, graph) + field(8, field(1, "") + field(2, 13)))
    return weight, bias
