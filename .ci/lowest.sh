#!/usr/bin/env bash
# Tests avseg with the lowest versions that pyproject.toml declares. Needs Python 3.11 (or PYTHON=...) and about 7 GB.
#
#   bash .ci/lowest.sh                                  # the package alone: import, demo, TESTS
#   EXTRAS=serve,ui TESTS=tests/service bash .ci/lowest.sh
#
# All extras but notebooks and the browser, in three parts as in .ci/run (WORK keeps the environment between them):
#
#   export EXTRAS=fast,export,int8,zeroshot,serve,ui,parquet,remote,ray,track,pandas,supervision,formats,moto WORK=/tmp/lowest
#   TESTS="-m extra -n 2 --dist loadfile --ignore tests/batch --ignore tests/shards" bash .ci/lowest.sh
#   TESTS="-m extra tests/batch" bash .ci/lowest.sh
#   TESTS="-m extra tests/shards" bash .ci/lowest.sh
#
# It is not part of .ci/run. Run it when you change a bound, or when you use a new function of another library.
set -euo pipefail
cd "$(git -C "$(dirname "$0")" rev-parse --show-toplevel)"

work=${WORK:-$(mktemp -d)}
[ -n "${WORK:-}" ] || trap 'rm -rf "$work"' EXIT
extras="test${EXTRAS:+,$EXTRAS}"
tests=${TESTS:-tests/test_types.py tests/test_public_api.py tests/io tests/data tests/metrics tests/losses tests/nn tests/models tests/demo tests/render}

"${PYTHON:-python3.11}" -m venv "$work/tools"
"$work/tools/bin/pip" install --quiet uv
"${PYTHON:-python3.11}" -m venv "$work/lowest"
python="$work/lowest/bin/python"
mapfile -t options < <(tr ',' '\n' <<<"$extras" | sed 's/^/--extra=/')
"$work/tools/bin/uv" pip compile --quiet --no-header --no-annotate --resolution lowest-direct --python "$python" \
    "${options[@]}" pyproject.toml --output-file "$work/lowest.txt"
"$work/tools/bin/uv" pip install --quiet --python "$python" -r "$work/lowest.txt"
"$work/tools/bin/uv" pip install --quiet --python "$python" --no-deps --editable .
grep -E "^(accelerate|av|huggingface-hub|numpy|pillow|pycocotools|rich|safetensors|scipy|timm|torch|torchvision|tyro)==" "$work/lowest.txt"

"$python" -c "import avseg; print('avseg', avseg.__version__)"
"$work/lowest/bin/avseg" demo --out "$work/demo"
# shellcheck disable=SC2086
"$python" -m pytest -q $tests
