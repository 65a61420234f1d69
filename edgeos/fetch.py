"""Downloads that survive cuts: resume with Range, retries with backoff, bounded size and memory. Standard library only.

Nothing here runs unless a person asks for it (`edgeos pull`): the runtime never imports this module.
"""

from __future__ import annotations

import http.client
import os
import shutil
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from edgeos.errors import DownloadFailed, EdgeosError, StoreError

BLOCK = 1 << 18
"""Bytes that are held in memory at a time."""

_WHY = {
    401: "it asks for a login",
    403: "access is refused",
    404: "it is not there",
    407: "the proxy asks for a login",
    410: "it was taken away",
    451: "it is blocked for legal reasons",
}


class Progress(Protocol):
    """Who wants to know how a download goes. Called from the thread that downloads."""

    def begin(self, what: str, total: int | None, done: int) -> None:
        """A transfer starts: `total` bytes (None: not known), `done` of them here from an earlier try."""
        ...

    def at(self, done: int) -> None:
        """`done` bytes of the transfer that began last are here."""
        ...

    def say(self, text: str) -> None:
        """One line worth showing: what was verified, why there is a second try, what is waited for."""
        ...


class Quiet:
    """A `Progress` that shows nothing."""

    def begin(self, what: str, total: int | None, done: int) -> None:
        """Show nothing."""

    def at(self, done: int) -> None:
        """Show nothing."""

    def say(self, text: str) -> None:
        """Show nothing."""


@dataclass(frozen=True, slots=True)
class Http:
    """How patient a download is: `attempts` counts tries in a row that brought no new byte; the wait doubles."""

    timeout_s: float = 30.0
    attempts: int = 5
    backoff_s: float = 0.5
    longest_wait_s: float = 20.0


class _Again(Exception):
    """This try failed in a way that the next may not; `wait_s` is what the server asked for."""

    def __init__(self, why: str, wait_s: float = 0.0) -> None:
        super().__init__(why)
        self.wait_s = wait_s


def size(path: Path) -> int:
    """Bytes of a file, 0 where there is none."""
    return path.stat().st_size if path.is_file() else 0


def need_space(folder: Path, needed: int) -> None:
    """Raise `StoreError` unless the disk of `folder` (which exists) has `needed` bytes free."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise _disk_error(folder, needed, "No space left on device")


def _disk_error(folder: Path, needed: int, why: str) -> StoreError:
    there = next(path for path in (folder, *folder.parents) if path.exists())
    return StoreError(
        f"model cache {folder}",
        expected="a folder that can be written" + (f", with {needed} bytes free" if needed else ""),
        found=f"{why}, {shutil.disk_usage(there).free} bytes free",
        fix="free the space or allow writing there, or set EDGEOS_CACHE to another folder",
    )


@contextmanager
def writing(folder: Path, needed: int = 0) -> Iterator[None]:
    """Turn what the disk refuses (full, read-only) into a `StoreError` naming the folder, free and needed bytes."""
    try:
        yield
    except EdgeosError:
        raise
    except OSError as error:
        raise _disk_error(folder, needed, error.strerror or str(error)) from error


def download(url: str, target: Path, label: str, limit: int, progress: Progress, http_config: Http = Http()) -> None:
    """Fetch `url` into `target`; what a cut leaves in `target.part` is continued by the next call.

    `limit` is the most bytes that are accepted, whatever the server announces. The folder of `target` exists. Raises
    `DownloadFailed` (the server refused, or stayed silent for `http_config.attempts` tries), `StoreError` (the disk).
    """
    if target.is_file():
        return
    part = target.with_name(target.name + ".part")
    idle, most = 0, size(part)
    while True:
        try:
            _try(url, part, label, limit, progress, http_config)
            break
        except _Again as error:
            idle = 0 if size(part) > most else idle + 1
            most = max(most, size(part))
            if idle >= http_config.attempts:
                raise DownloadFailed(
                    f"download of {label} from {url}",
                    expected="all of it",
                    found=f"{error} ({idle} tries without a new byte, {size(part)} bytes kept)",
                    fix="check the network, then run the same command again: it continues where it stopped",
                ) from error
            wait_s = min(http_config.longest_wait_s, max(error.wait_s, http_config.backoff_s * 2**idle))
            progress.say(f"{label}: {error}; trying again in {wait_s:.1f} s")
            time.sleep(wait_s)
    with writing(target.parent):
        _validator(part).unlink(missing_ok=True)
        part.replace(target)


def _try(url: str, part: Path, label: str, limit: int, progress: Progress, http_config: Http) -> None:
    with _open(url, part, http_config) as response:
        done = size(part) if response.status == 206 else 0
        length = response.headers.get("Content-Length")
        total = done + int(length) if length is not None and length.isdigit() else None
        if total is not None:
            _check_limit(url, total, limit, part)
            with writing(part.parent, total - done):
                need_space(part.parent, total - done)
        progress.begin(label, total, done)
        with writing(part.parent, total - done if total else 0), part.open("ab" if done else "wb") as file:
            _validator(part).write_text(_strong_validator(response))
            while block := _read(response):
                done += len(block)
                _check_limit(url, done, limit, part)
                file.write(block)
                file.flush()  # whatever ends us, what has come is kept
                progress.at(done)
    if total is not None and done < total:
        raise _Again(f"the connection ended at {done} of {total} bytes")


def _read(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read1(BLOCK)  # what has come so far, so that a slow line still shows progress
    except (OSError, http.client.HTTPException) as error:
        raise _Again(f"the connection broke ({_reason(error)})") from error


def _open(url: str, part: Path, http_config: Http) -> http.client.HTTPResponse:
    """Send the request. A part that the server cannot continue is thrown away."""
    headers = {"User-Agent": "edgeos", "Accept-Encoding": "identity"}
    have = size(part)
    if have:
        headers["Range"] = f"bytes={have}-"
        known = _validator(part).read_text() if _validator(part).is_file() else ""
        if known:
            headers["If-Range"] = known
    request = urllib.request.Request(url, headers=headers)
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=_tls()))
    try:
        response: http.client.HTTPResponse = opener.open(request, timeout=http_config.timeout_s)
    except urllib.error.HTTPError as error:
        with error:
            raise _explain(url, error, part) from error
    except (OSError, http.client.HTTPException) as error:
        if isinstance(getattr(error, "reason", None), ssl.SSLCertVerificationError):
            raise DownloadFailed(
                f"download of {url}",
                expected="a certificate that this machine trusts",
                found=_reason(error),
                fix="set SSL_CERT_FILE or PIP_CERT to the certificates of your network",
            ) from error
        raise _Again(f"no answer ({_reason(error)})") from error
    if response.status == 206 and not (response.headers.get("Content-Range") or "").startswith(f"bytes {have}-"):
        response.close()
        part.unlink(missing_ok=True)
        raise _Again("the server continued at another place")
    return response


def _explain(url: str, error: urllib.error.HTTPError, part: Path) -> Exception:
    """Return what to raise for an HTTP status: another try, or the end with the reason."""
    if error.code == 416:
        part.unlink(missing_ok=True)
        return _Again("the part that was kept does not fit any more")
    if error.code in {408, 425, 429} or error.code >= 500:
        after = error.headers.get("Retry-After") or ""
        return _Again(f"the server answered {error.code} {error.reason}", float(after) if after.isdigit() else 0.0)
    return DownloadFailed(
        f"download of {url}",
        expected="the file",
        found=f"HTTP {error.code} {error.reason}: {_WHY.get(error.code, 'the server refuses')}",
        fix="check the address, or ask whoever runs the server for access",
    )


def _check_limit(url: str, size_now: int, limit: int, part: Path) -> None:
    if size_now > limit:
        part.unlink(missing_ok=True)
        raise DownloadFailed(
            f"download of {url}",
            expected=f"at most {limit} bytes",
            found=f"{size_now} or more",
            fix="check that the manifest names the right file",
        )


def _reason(error: Exception) -> str:
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    return str(cause) or type(cause).__name__


def _validator(part: Path) -> Path:
    """Return where the ETag or date of a part is kept, so that a changed file is not glued to an old half."""
    return part.with_name(part.name + ".etag")


def _strong_validator(response: http.client.HTTPResponse) -> str:
    etag = response.headers.get("ETag") or ""
    return etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified") or ""


def _tls() -> ssl.SSLContext:
    """Trust what pip and requests are told to trust; OpenSSL itself reads SSL_CERT_FILE."""
    own = next((os.environ[key] for key in ("PIP_CERT", "REQUESTS_CA_BUNDLE") if os.environ.get(key)), None)
    if own is None:
        return ssl.create_default_context()
    return ssl.create_default_context(cafile=own) if Path(own).is_file() else ssl.create_default_context(capath=own)
