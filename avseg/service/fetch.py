"""Download of videos from hosts that the owner of the service allows, never from private addresses."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from avseg.service.names import safe_name
from avseg.service.refusal import Refusal

PORTS = {"http": 80, "https": 443}
PIECE = 2**16
"""Bytes per read."""
PATIENCE = 15.0
"""Largest pause in s."""
_OPEN = ipaddress.ip_network("2000::/3")
"""Global unicast addresses of IPv6 (RFC 4291, section 2.4, and IANA's registry)."""
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def is_public(address: Address) -> bool:
    """Whether an address is public and does not embed another address."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if inner is not None or address not in _OPEN:  # ::127.0.0.1, 64:ff9b::127.0.0.1 and fec0:: are not of these
            return False
    return address.is_global and not address.is_multicast


def fetch(
    url: str,
    folder: Path,
    hosts: Sequence[str],
    most: int,
    seconds: float,
    allowed: Callable[[Address], bool] = is_public,
) -> Path:
    """Download a URL to `folder`, from exactly the address that was checked; redirects are not followed.

    Args:
        url: http or https.
        folder: made where it is missing.
        hosts: names that are taken, `host` or `host:port`.
        most: bytes that are taken.
        seconds: how long it may take.
        allowed: which addresses may be asked.

    Raises:
        Refusal: 403 or 422, a URL that is not taken; 413, too many bytes; 502 or 504, the other host does not give it.
    """
    parts = _parts(url, hosts)
    until = time.monotonic() + seconds
    ending: threading.Timer | None = None
    connection = HTTPConnection(parts.hostname or "", parts.port or PORTS[parts.scheme], timeout=PATIENCE)
    try:
        connection.sock = _connected(parts, allowed, until)
        ending = threading.Timer(max(0.0, until - time.monotonic()), _broken_off, (connection.sock,))
        ending.daemon = True
        ending.start()  # a header may come byte by byte
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("GET", target, headers={"User-Agent": "avseg", "Accept-Encoding": "identity"})
        place = folder / safe_name(unquote(Path(parts.path).name))
        folder.mkdir(exist_ok=True)
        _save(connection.getresponse(), place, most, until)
        return place
    except TimeoutError as error:
        raise Refusal(504, f"the host of the URL did not send the video within {seconds:g} s") from error
    except (OSError, ValueError, HTTPException) as error:
        if time.monotonic() >= until:
            raise Refusal(504, f"the host of the URL did not send the video within {seconds:g} s") from error
        raise Refusal(502, f"the host of the URL does not send the video ({type(error).__name__})") from error
    finally:
        if ending is not None:
            ending.cancel()
        connection.close()


def _broken_off(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def _parts(url: str, hosts: Sequence[str]) -> SplitResult:
    """
    Raises:
        Refusal: see `fetch`.
    """
    if not hosts:
        raise Refusal(403, "this service accepts no URLs; send the file as the field video of multipart/form-data")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise Refusal(422, "url is not a valid URL") from error
    if parts.scheme not in PORTS or not parts.hostname or any(ord(one) <= 32 for one in url) or not url.isascii():
        raise Refusal(422, "url must begin with http:// or https://, name a host, and hold no spaces")
    if parts.username is not None or parts.password is not None:
        raise Refusal(422, "url must not contain a user name or a password")
    usual = PORTS[parts.scheme]
    named = parts.hostname if port in (None, usual) else f"{parts.hostname}:{port}"
    if {named, f"{parts.hostname}:{port or usual}"}.isdisjoint(host.lower() for host in hosts):
        raise Refusal(403, f"URLs of {named} are not accepted here; allowed hosts: {', '.join(hosts)}")
    return parts


def _connected(parts: SplitResult, allowed: Callable[[Address], bool], until: float) -> socket.socket:
    """Connect to an address of the host after checking that all its addresses are allowed."""
    port = parts.port or PORTS[parts.scheme]
    found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    addresses = [ipaddress.ip_address(one[4][0]) for one in found]
    if not all(allowed(address) for address in addresses):
        raise Refusal(403, f"{parts.hostname} has a private address, which is not allowed")
    plain = _first_of(list(map(str, dict.fromkeys(addresses))), port, until)
    if parts.scheme == "http":
        return plain
    return ssl.create_default_context().wrap_socket(plain, server_hostname=parts.hostname)


def _first_of(addresses: Sequence[str], port: int, until: float) -> socket.socket:
    """Connect to the first reachable address; not every machine reaches IPv6 addresses.

    Raises:
        OSError: none of them does.
    """
    *others, last = addresses
    for address in others:
        with suppress(OSError):
            return socket.create_connection((address, port), max(0.1, min(PATIENCE, until - time.monotonic())))
    return socket.create_connection((last, port), max(0.1, min(PATIENCE, until - time.monotonic())))


def _save(response: HTTPResponse, place: Path, most: int, until: float) -> None:
    if response.status != 200:
        also = "; send the URL to which it redirects" if 300 <= response.status < 400 else ""
        raise Refusal(502, f"the host of the URL answers with status {response.status}{also}")
    done = 0
    with place.open("xb") as out:
        while piece := response.read1(PIECE):
            done += len(piece)
            if done > most:
                raise Refusal(413, f"the video is larger than the limit of {most / 1e6:g} MB")
            if time.monotonic() > until:
                raise TimeoutError
            out.write(piece)
    if time.monotonic() > until:  # it was broken off
        raise TimeoutError
    if response.length:
        raise HTTPException("cut short")
