"""A package index (PEP 503) and a hub-like file server on 127.0.0.1 that misbehave on request and log every request."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import os
import socket
import ssl
import struct
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Literal


def loopback() -> str:
    """Bring 127.0.0.1 up where it is down and we may (root in an unshared network); return why not, or nothing."""
    ifreq = struct.pack("16sh22x", b"lo", 0)
    up = 0x1  # IFF_UP, <linux/if.h>
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        try:
            flags = struct.unpack_from("h", fcntl.ioctl(control, 0x8913, ifreq), 16)[0]  # SIOCGIFFLAGS
            if not flags & up:
                fcntl.ioctl(control, 0x8914, struct.pack("16sh22x", b"lo", flags | up))  # SIOCSIFFLAGS
        except OSError as error:
            return f"no loopback here: {error}"
    return ""


@dataclass
class Fault:
    """What to do wrong with one path, `times` times (-1: always).

    `cut`: close after `at` bytes of the answer. `stall`: send `at` bytes, then nothing until the server stops.
    `status`: answer with code `at`. `other`: the same number of other bytes. `longer`: announce `at` bytes more than
    are sent. `endless`: no length, `at` bytes of zeros. `no_range`: ignore Range. `shifted`: continue at another place.
    """

    kind: Literal["cut", "stall", "status", "other", "longer", "endless", "no_range", "shifted"]
    at: int = 0
    times: int = 1


@dataclass(frozen=True)
class Asked:
    """One request as it came in."""

    path: str
    range: str
    if_range: str


@dataclass
class IndexServer:
    """`files`: path -> bytes; `redirects`: path -> path; wheels are listed under `/simple/<name>/`."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    faults: dict[str, Fault] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    login: str = ""
    """user:password that every request must bring."""
    stopping: threading.Event = field(default_factory=threading.Event)

    def add_wheel(self, wheel: Path) -> str:
        """Publish a file; return the path under which it is served."""
        path = f"/files/{wheel.name}"
        self.files[path] = wheel.read_bytes()
        return path

    def of(self, path: str) -> list[Asked]:
        """Return the requests for that path."""
        return [asked for asked in self.asked if asked.path == path]

    def page(self, name: str) -> bytes:
        """Return the index page of a package."""
        stems = [path for path in self.files if path.startswith("/files/" + name.replace("-", "_") + "-")]
        links = [f'<a href="{path}">{path.rsplit("/")[-1]}</a><br>' for path in stems]
        return ("<!DOCTYPE html><html><body>" + "".join(links) + "</body></html>").encode() if links else b""

    def fault(self, path: str) -> Fault | None:
        """Return the fault that applies to this request, and count it."""
        found = self.faults.get(path)
        if found is None or found.times == 0:
            return None
        found.times -= 1
        return found


class _Handler(BaseHTTPRequestHandler):
    index: IndexServer

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        asked = Asked(self.path, self.headers.get("Range", ""), self.headers.get("If-Range", ""))
        self.index.asked.append(asked)
        token = "Basic " + base64.b64encode(self.index.login.encode()).decode()
        if self.index.login and self.headers.get("Authorization") != token:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="index"')
            self.end_headers()
        elif self.path in self.index.redirects:
            self.send_response(302)
            self.send_header("Location", self.index.redirects[self.path])
            self.end_headers()
        else:
            self.answer(asked)

    def answer(self, asked: Asked) -> None:
        name = self.path.removeprefix("/simple/").strip("/")
        body = self.index.page(name) if self.path.startswith("/simple/") else self.index.files.get(self.path, b"")
        fault = self.index.fault(self.path)
        if fault and fault.kind == "status":
            self.send_error(fault.at)
        elif fault and fault.kind == "endless":
            self.send_response(200)
            self.end_headers()
            self.send(bytes(fault.at))
        elif not body:
            self.send_error(404)
        else:
            self.send_file(asked, body, fault)

    def send_file(self, asked: Asked, body: bytes, fault: Fault | None) -> None:
        kind, at = (fault.kind, fault.at) if fault else ("", 0)
        body = bytes(255 - byte for byte in body) if kind == "other" else body
        etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        start = 0
        if asked.range and kind != "no_range" and asked.if_range in {"", etag}:
            start = int(asked.range.removeprefix("bytes=").rstrip("-"))
        if start and start >= len(body):
            return self.send_error(416)
        self.send_response(206 if start else 200)
        if start:
            start += kind == "shifted"
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        self.send_header("Content-Type", "text/html" if self.path.startswith("/simple/") else "application/zip")
        self.send_header("Content-Length", str(len(body) - start + (at if kind == "longer" else 0)))
        self.send_header("ETag", etag)
        self.end_headers()
        self.send(body[start : start + at] if kind in {"cut", "stall"} else body[start:])
        if kind == "stall":
            self.index.stopping.wait()
        return None

    def send(self, body: bytes) -> None:
        try:
            self.wfile.write(body)
            self.wfile.flush()
        except OSError:  # the other side had enough
            pass


@contextmanager
def serving(certificate: Path | None = None) -> Iterator[IndexServer]:
    """Run the server on a free port; with a PEM of key and certificate it speaks HTTPS (as localhost)."""
    server = IndexServer()
    with ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"index": server})) as http:
        http.daemon_threads = False
        server.url = f"http://127.0.0.1:{http.server_port}"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            http.socket = context.wrap_socket(http.socket, server_side=True)
            server.url = f"https://localhost:{http.server_port}"
        thread = threading.Thread(target=http.serve_forever, args=(0.02,), name="index-server")
        thread.start()
        try:
            yield server
        finally:
            server.stopping.set()
            http.shutdown()
            thread.join()


def pip_uses(index: str, monkeypatch: object) -> None:
    """Point pip at one index and nothing else, whatever this machine's own configuration says."""
    for key in list(os.environ):
        if key.startswith("PIP_") or key.lower() in {"http_proxy", "https_proxy", "all_proxy", "no_proxy"}:
            monkeypatch.delenv(key)  # type: ignore[attr-defined]
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)  # type: ignore[attr-defined]
    monkeypatch.setenv("PIP_INDEX_URL", index)  # type: ignore[attr-defined]


def make_wheel(folder: Path, name: str, version: str, files: dict[str, bytes]) -> Path:
    """Write a wheel whose own code would leave a file named RAN where anyone imported it."""
    folder.mkdir(parents=True, exist_ok=True)
    package = name.replace("-", "_")
    wheel = folder / f"{package}-{version}-py3-none-any.whl"
    info = f"{package}-{version}.dist-info"
    code = f"import pathlib\npathlib.Path({str(folder / 'RAN')!r}).touch()\n"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{package}/__init__.py", code)
        for path, content in files.items():
            archive.writestr(path, content)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return wheel
