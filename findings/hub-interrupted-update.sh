#!/usr/bin/env bash
# An update of a repository of the Hugging Face Hub that breaks off: the cache's `main` names the new commit before its
# files are there, so that what worked without network an hour ago does not, although the old files are all there.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check huggingface_hub==2.4.0
cd "$folder"
cat > hub.py <<'PYTHON'
"""The endpoints of a Hub that a download needs, for one repository lab/model, and what the scripts say."""

import json
import os
import sys
import threading
from hashlib import sha1
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

commits = {"a" * 40: {"config.json": b"{}", "model.safetensors": b"first weights"}}
state = {"main": "a" * 40, "refused": ""}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = self.path.split("?")[0]
        revision = path.split("/")[-1 if path.startswith("/api") else 4]
        commit = state["main"] if revision == "main" else revision
        files, status, headers = commits[commit], 200, {"Content-Type": "application/json"}
        if "/tree/" in path:
            tree = [{"type": "file", "path": n, "size": len(b), "oid": sha1(b).hexdigest()} for n, b in files.items()]
            body = json.dumps(tree).encode()
        elif path.startswith("/api"):
            names = [{"rfilename": name} for name in files]
            body = json.dumps({"id": "lab/model", "sha": commit, "siblings": names}).encode()
        else:
            body = files[path.split("/")[5]]
            headers = {"X-Repo-Commit": commit, "ETag": f'"{sha1(body).hexdigest()}"'}
            if state["refused"] and path.endswith(state["refused"]):
                status, headers, body = 403, {}, b""
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
os.environ.update(HF_ENDPOINT=f"http://127.0.0.1:{server.server_port}", HF_HOME=os.path.abspath("home"))
os.environ.update(HF_HUB_DISABLE_PROGRESS_BARS="1", HF_HUB_DISABLE_TELEMETRY="1")


def expect(holds, sentence):
    print(("still so: " if holds else "NO LONGER SO: ") + sentence)
    if not holds:
        sys.exit(1)
PYTHON
"$folder/venv/bin/python" - <<'PYTHON'
from importlib.metadata import version
from pathlib import Path

from hub import commits, expect, state
from huggingface_hub import snapshot_download
from huggingface_hub.errors import LocalEntryNotFoundError

print("huggingface_hub", version("huggingface_hub"))
old = Path(snapshot_download("lab/model"))
expect(snapshot_download("lab/model", local_files_only=True) == str(old), "a whole snapshot is found without network")

commits["b" * 40] = {"config.json": b'{"new": 1}', "model.safetensors": b"second weights"}
state.update(main="b" * 40, refused="model.safetensors")
try:
    snapshot_download("lab/model")
    raise SystemExit("the download should have broken off")
except OSError as error:
    print("the update broke off:", type(error).__name__)
try:
    found = snapshot_download("lab/model", local_files_only=True)
except LocalEntryNotFoundError as error:
    found = type(error).__name__
print("without network `main` is now", found)
expect(found != str(old), "the old snapshot is not found by its branch any more")
whole = sorted(path.name for path in old.iterdir())
expect(whole == ["config.json", "model.safetensors"], "it is all there")
by_commit = snapshot_download("lab/model", revision="a" * 40, local_files_only=True)
expect(by_commit == str(old), "by its commit it is found")
PYTHON
