#!/bin/sh
# PyTorch: whoever unpickles its version number imports all of PyTorch.
#
# torch.__version__ looks and compares like a text, and json writes it as one. It is of a class of torch's own, though, so
# that a pickle of it (through a multiprocessing pipe, a queue, a cache file, a cluster's rows) makes the process that
# reads it import torch: some seconds and hundreds of MiB in a process that was to stay small, and a ModuleNotFoundError
# where torch is not installed. str(torch.__version__) is a plain text.
#
# Seen with torch 2.15.0:
#   torch.__version__ is a str: True, of the class torch.torch_version.TorchVersion
#   read back, of str(torch.__version__): torch is loaded: False
#   read back, of torch.__version__: torch is loaded: True
#   read back without torch installed: ModuleNotFoundError
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" --quiet install torch==2.15.0 numpy==2.4.6
cat > "$dir/write.py" <<'PYTHON'
import pickle
import sys

import torch

kind = type(torch.__version__)
print("torch", torch.__version__)
print(f"torch.__version__ is a str: {isinstance(torch.__version__, str)}, of the class {kind.__module__}.{kind.__name__}")
for name, value in (("own", torch.__version__), ("plain", str(torch.__version__))):
    with open(f"{sys.argv[1]}/{name}", "wb") as file:
        pickle.dump({"torch": value}, file)
PYTHON
cat > "$dir/read.py" <<'PYTHON'
import pickle
import sys

found = {}
for name, told in (("plain", "str(torch.__version__)"), ("own", "torch.__version__")):
    with open(f"{sys.argv[1]}/{name}", "rb") as file:
        pickle.load(file)
    found[name] = "torch" in sys.modules
    print(f"read back, of {told}: torch is loaded: {found[name]}")
sys.exit(0 if found == {"plain": False, "own": True} else 1)
PYTHON
"$dir/venv/bin/python" "$dir/write.py" "$dir"
"$dir/venv/bin/python" "$dir/read.py" "$dir"
python3 -m venv "$dir/bare"
if "$dir/bare/bin/python" "$dir/read.py" "$dir" > /dev/null 2> "$dir/told"; then
    echo "read back without torch installed: no error"
    exit 1
fi
grep -o ModuleNotFoundError "$dir/told" | sed 's/^/read back without torch installed: /' | head -1
grep -q ModuleNotFoundError "$dir/told"
