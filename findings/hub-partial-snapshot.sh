#!/usr/bin/env bash
# A repository of the Hugging Face Hub of which only the config was fetched: asked without network for all its files,
# snapshot_download gives the folder and raises nothing, although the weights are not in it.
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

from hub import expect
from huggingface_hub import hf_hub_download, snapshot_download
from huggingface_hub.errors import LocalEntryNotFoundError

print("huggingface_hub", version("huggingface_hub"))
hf_hub_download("lab/model", "config.json")  # as a program does that looks at the config first, and is stopped then
wanted = ["config.json", "model.safetensors"]
folder = Path(snapshot_download("lab/model", local_files_only=True, allow_patterns=wanted))
there = sorted(path.name for path in folder.iterdir())
print("asked without network for", wanted, "and given a folder with", there)
expect(there == ["config.json"], "the folder is given without the weights, and no error")

snapshot_download("lab/model", allow_patterns=["config.json"])  # this lists the repository, and keeps the list
try:
    snapshot_download("lab/model", local_files_only=True, allow_patterns=wanted)
    error = None
except LocalEntryNotFoundError as raised:
    error = raised
print("after a download that kept the list of files:", type(error).__name__)
expect(error is not None, "only where the list of files was kept is the missing file noticed")
PYTHON
