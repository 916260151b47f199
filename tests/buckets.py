"""A real S3 server (moto's, in a process of its own), which has no buckets at first."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from extras import needs

KEY = "AKIAIOSFODNN7EXAMPLE"
SECRET = "a-secret-of-this-test-alone"


@contextmanager
def s3_server() -> Iterator[str]:
    """Its address."""
    needs("s3fs")
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


def forget_connections() -> None:
    from s3fs import S3FileSystem

    S3FileSystem.clear_instance_cache()
