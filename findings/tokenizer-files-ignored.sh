#!/usr/bin/env bash
# A tokenizer of transformers 5 that is made from local files by its constructor: the files are ignored and it knows a
# handful of special tokens; no error is raised. from_pretrained on their folder reads them.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check transformers==5.24.0 tokenizers==0.23.3
cd "$folder"
HF_HUB_OFFLINE=1 "$folder/venv/bin/python" - <<'PYTHON'
import json
import sys
from importlib.metadata import version
from pathlib import Path

from tokenizers.pre_tokenizers import ByteLevel
from transformers import BertTokenizer, CLIPTokenizer, RobertaTokenizer

for package in ["transformers", "tokenizers"]:
    print(package, version(package))


def expect(holds, sentence):
    print(("still so: " if holds else "NO LONGER SO: ") + sentence)
    if not holds:
        sys.exit(1)


def pairs(folder, tokens):
    Path(folder).mkdir()
    Path(folder, "vocab.json").write_text(json.dumps({token: number for number, token in enumerate(tokens)}))
    Path(folder, "merges.txt").write_text("#version: 0.2\nd o\n")
    return {"vocab_file": f"{folder}/vocab.json", "merges_file": f"{folder}/merges.txt"}


letters = sorted(ByteLevel.alphabet())
Path("bert").mkdir()
words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "dog", "barks"]
Path("bert/vocab.txt").write_text("\n".join(words))
clip = ["<|startoftext|>", "<|endoftext|>", *letters, *(letter + "</w>" for letter in letters), "do"]
roberta = ["<s>", "<pad>", "</s>", "<unk>", *letters, "do", "<mask>"]
for kind, folder, files, size in (
    (BertTokenizer, "bert", {"vocab_file": "bert/vocab.txt"}, len(words)),
    (CLIPTokenizer, "clip", pairs("clip", clip), len(clip)),
    (RobertaTokenizer, "roberta", pairs("roberta", roberta), len(roberta)),
):
    made, read = kind(**files), kind.from_pretrained(folder)
    print(f"{kind.__name__}, {size} tokens in its files: {len(made)} by the constructor, {len(read)} from the folder")
    print("   'dog':", *(known.convert_ids_to_tokens(known("dog").input_ids) for known in (made, read)))
    expect(len(made) <= 5, "the constructor ignores the files and raises nothing")
    expect(len(read) == size, "from_pretrained reads them")
PYTHON
