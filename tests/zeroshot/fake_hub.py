"""A Hub on this machine: repositories of small files at commits, by HTTP, as huggingface_hub asks for them."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

Files = Mapping[str, bytes]


@dataclass
class Repository:
    commits: dict[str, Files] = field(default_factory=dict)
    main: str = ""
    gated: bool = False
    forbidden: bool = False
    """Whether no file is sent, for a reason that is not told."""

    def commit(self, files: Files) -> str:
        """A new commit, which `main` names from now on."""
        self.main = hashlib.sha1(f"{len(self.commits)} {sorted(files.items())}".encode()).hexdigest()
        self.commits[self.main] = files
        return self.main


@dataclass
class FakeHub:
    repositories: dict[str, Repository] = field(default_factory=dict)
    served: list[str] = field(default_factory=list)
    """Files whose contents were sent, as ID/NAME."""
    stalls_at: str = ""
    """A file of which half is sent and no more."""
    stalled: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    def add(self, name: str, files: Files) -> str:
        return self.repositories.setdefault(name, Repository()).commit(files)

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of a path."""
        words = [unquote(word) for word in urlsplit(path).path.strip("/").split("/")]
        api = words[:2] == ["api", "models"]
        owner, name, kind, revision, *rest = [*(words[2:] if api else words), "", "", ""][:6]
        repository = self.repositories.get(f"{owner}/{name}")
        if repository is None:
            return 404, {"X-Error-Code": "RepoNotFound"}, b""
        commit = repository.main if revision in ("main", "") else revision
        if commit not in repository.commits:
            return 404, {"X-Error-Code": "RevisionNotFound"}, b""
        files = repository.commits[commit]
        if api:
            siblings = [{"rfilename": file} for file in files]
            tree = [{"type": "file", "path": f, "size": len(b), "oid": _etag(b)} for f, b in files.items()]
            about = {"id": f"{owner}/{name}", "sha": commit, "siblings": siblings}
            return 200, {"Content-Type": "application/json"}, json.dumps(tree if kind == "tree" else about).encode()
        if repository.gated:
            return 401, {"X-Error-Code": "GatedRepo"}, b""
        if repository.forbidden:
            return 403, {}, b""
        file = rest[0]
        if file not in files:
            return 404, {"X-Error-Code": "EntryNotFound"}, b""
        return 200, {"X-Repo-Commit": commit, "ETag": f'"{_etag(files[file])}"'}, files[file]


def _etag(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()


@contextmanager
def serving(hub: FakeHub) -> Iterator[FakeHub]:
    """The hub at `hub.url` while the block runs."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.reply(with_body=False)

        def do_GET(self) -> None:
            self.reply(with_body=True)

        def reply(self, with_body: bool) -> None:
            status, headers, body = hub.answer(self.path)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if not with_body:
                return
            if "/resolve/" in self.path:
                hub.served.append("/".join([*self.path.split("/")[1:3], Path(self.path).name]))
                if hub.stalls_at and self.path.endswith(hub.stalls_at):
                    self.wfile.write(body[: len(body) // 2])
                    self.wfile.flush()
                    hub.stalled.set()
                    release.wait(60)
                    return
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    release = threading.Event()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    hub.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        release.set()
        server.shutdown()
        server.server_close()
