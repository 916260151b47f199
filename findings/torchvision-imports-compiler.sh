#!/usr/bin/env bash
# `import torchvision` loads PyTorch's compiler and sympy, several hundred modules that `import torch` leaves out, although
# nothing is compiled; and where wandb is installed `import timm` loads that too.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.15.0 torchvision==0.29.2 timm==1.0.31 \
    wandb==0.31.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import subprocess
import sys
from importlib.metadata import version

for package in ["torch", "torchvision", "timm", "wandb", "numpy"]:
    print(package, version(package))


def expect(holds, sentence):
    print(("still so: " if holds else "NO LONGER SO: ") + sentence)
    if not holds:
        sys.exit(1)


def loaded(statement):
    """Names of all modules after a statement in a fresh process."""
    code = f"import sys\n{statement}\nprint(' '.join(sys.modules))"
    return set(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split())


plain, vision, models = (loaded(f"import {name}") for name in ("torch", "torchvision", "timm"))
print(f"modules: torch {len(plain)}, torchvision {len(vision)}, timm {len(models)}")
compiler = {"torch._dynamo", "torch._inductor.utils", "sympy"}
expect(not compiler & plain, "import torch leaves the compiler and sympy out")
expect(compiler <= vision, "import torchvision loads torch._dynamo, torch._inductor and sympy")
expect(len(vision) - len(plain) > 500, "more than 500 modules come with it")
expect("wandb.sdk" in models, "import timm loads wandb, which it was not asked for")
PYTHON
