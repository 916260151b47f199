"""A real S3 server: moto's, in a process of its own, or the one at AVSEG_S3. It has no buckets at first."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.request import Request, urlopen

import pytest

from extras import needs

THERE = os.environ.get("AVSEG_S3")
"""A server that runs, with the keys of the environment (benchmarks/radosgw.py)."""
KEY = os.environ["AWS_ACCESS_KEY_ID"] if THERE else "AKIAIOSFODNN7EXAMPLE"
SECRET = os.environ["AWS_SECRET_ACCESS_KEY"] if THERE else "a-secret-of-this-test-alone"


@contextmanager
def s3_server() -> Iterator[str]:
    """Its address."""
    needs("s3fs")
    if THERE:
        yield THERE
        return
    needs("moto")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        except OSError:
            assert process.poll() is None
            time.sleep(0.05)
    yield f"http://127.0.0.1:{port}"
    process.kill()
    process.wait()


@contextmanager
def keys_for(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The environment names the server and keys to it; connections of before and of the block are forgotten."""
    given = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_ENDPOINT_URL": server}
    for name, value in {**given, "AWS_DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(name, value)
    forget_connections()
    yield
    forget_connections()


@contextmanager
def keys_refused(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """In the block the keys are not those of the server; the secret that is given instead."""
    wrong = SECRET[::-1]
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", wrong)
    _look_at_keys(server, "0")
    forget_connections()
    try:
        yield wrong
    finally:
        _look_at_keys(server, "inf")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        forget_connections()


def _look_at_keys(server: str, after: str) -> None:
    """Have moto look at keys after so many requests; other servers always do."""
    if not THERE:
        plain = {"Content-Type": "text/plain"}
        urlopen(Request(f"{server}/moto-api/reset-auth", after.encode(), plain)).close()


def forget_connections() -> None:
    from s3fs import S3FileSystem

    S3FileSystem.clear_instance_cache()
