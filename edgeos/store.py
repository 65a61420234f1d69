"""The model store: files by manifest, their sha256 verified before anyone opens them; `pull` brings what is missing."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, assert_never
from urllib.parse import quote

from edgeos import data
from edgeos.errors import BadConfig, DownloadFailed, ModelCorrupt, ModelMissing
from edgeos.manifest import FileSource, HubSource, Manifest, ModelFile, PackageSource, RepoSource, Source

if TYPE_CHECKING:
    from edgeos.fetch import Http, Progress

HUB = "https://huggingface.co"
"""Where `hub` sources are, unless HF_ENDPOINT names a mirror."""


class Store:
    """Model files under `root` (by default `models` in the cache folder): `root/<model id>/<file name>`.

    `repo` and `file` sources are used where they are. A file becomes visible under its name only after its sha256 was
    verified. Nothing is remembered between calls, so several stores and processes may share one root.
    """

    def __init__(self, root: Path | None = None) -> None:
        """Use that folder; it is made by the first `pull`."""
        self.root = data.cache() / "models" if root is None else root

    def files(self, manifest: Manifest) -> dict[str, Path]:
        """Return file name -> path of all files of a model, each hashed now (about 1.5 GB/s).

        Raises `ModelMissing`, `ModelCorrupt`.
        """
        return {file.name: self.check(manifest, file) for file in manifest.files}

    def check(self, manifest: Manifest, file: ModelFile) -> Path:
        """Return the path of one file, verified. Raises `ModelMissing`, `ModelCorrupt` (naming the first place)."""
        wrong: tuple[Path, str] | None = None
        for path in self._places(manifest, file):
            if not path.is_file():
                continue
            found = _difference(path, file)
            if not found:
                return path
            wrong = wrong or (path, found)
        if wrong is None:
            raise ModelMissing(
                f"model {manifest.id}",
                expected=f"{file.name} ({file.bytes} bytes) in {self.root / manifest.id}",
                found="no such file",
                fix=f"edgeos pull {manifest.id}",
            )
        raise ModelCorrupt(
            f"model {manifest.id}, file {wrong[0]}",
            expected=f"{file.bytes} bytes with sha256 {file.sha256}",
            found=wrong[1],
            fix=f"edgeos pull {manifest.id}",
        )

    def missing(self, manifest: Manifest) -> list[ModelFile]:
        """Return the files that are not here, or not intact: those that `pull` would fetch."""
        lacking = []
        for file in manifest.files:
            try:
                self.check(manifest, file)
            except (ModelMissing, ModelCorrupt):
                lacking.append(file)
        return lacking

    def pull(self, manifest: Manifest, progress: Progress, http_config: Http | None = None) -> list[ModelFile]:
        """Fetch what is missing or corrupt, trying each file's sources in order; return the files fetched.

        What a cut leaves is kept under `root/.downloads/<id>` and continued by the next call. Two pulls of one model
        wait for each other. Raises `DownloadFailed` with what every source answered, `StoreError` (disk, permissions).
        """
        from edgeos.fetch import Http, need_space, writing

        if not self.missing(manifest):
            return []
        home, downloads = self.root / manifest.id, self.root / ".downloads" / manifest.id
        with writing(self.root, manifest.total_bytes):
            home.mkdir(parents=True, exist_ok=True)
        with _locked(home, progress):
            lacking = self.missing(manifest)
            needed = sum(file.bytes for file in lacking)
            with writing(self.root, needed):
                downloads.mkdir(parents=True, exist_ok=True)
                need_space(self.root, needed)
            for file in lacking:
                fetched = self._fetch(manifest, file, downloads, progress, http_config or Http())
                with writing(home, file.bytes):
                    fetched.replace(home / file.name)
                progress.say(f"{file.name}: verified sha256 {file.sha256[:8]}")
            shutil.rmtree(downloads, ignore_errors=True)
        return lacking

    def _places(self, manifest: Manifest, file: ModelFile) -> Iterator[Path]:
        """Where the file may be: in place by its sources, in their order, then in the cache."""
        for source in file.sources:
            match source:
                case RepoSource():
                    yield _inside(data.folder("models"), source.path, manifest)
                case FileSource():
                    yield Path(source.path).expanduser()
                case PackageSource() | HubSource():
                    pass
                case _:
                    assert_never(source)
        yield self.root / manifest.id / file.name

    def _fetch(
        self, manifest: Manifest, file: ModelFile, downloads: Path, progress: Progress, http_config: Http
    ) -> Path:
        """Return a verified temporary file. Raises `DownloadFailed` naming what was tried, `StoreError`."""
        tried = []
        for source in file.sources:
            if isinstance(source, RepoSource | FileSource):
                tried.append(f"{_name(source)}: not there, or other bytes")
                continue
            left_over = any(downloads.iterdir())
            try:
                try:
                    return _from_source(source, file, downloads, progress, http_config)
                except ModelCorrupt as error:
                    if not left_over:
                        raise
                    # Perhaps what an earlier run left was bad: once more from the beginning.
                    progress.say(f"{file.name}: found {error.found}; starting again from the beginning")
                    return _from_source(source, file, downloads, progress, http_config)
            except (DownloadFailed, ModelCorrupt) as error:
                tried.append(f"{_name(source)}: {error.found}")
        raise DownloadFailed(
            f"model {manifest.id}, file {file.name}",
            expected=f"{file.bytes} bytes with sha256 {file.sha256} from one of its sources",
            found="; ".join(tried) or "no sources in its manifest",
            fix="connect to the network, or configure pip's index, or copy the file to "
            f"{self.root / manifest.id / file.name}",
        )


def _from_source(
    source: PackageSource | HubSource, file: ModelFile, downloads: Path, progress: Progress, http_config: Http
) -> Path:
    """Bring one file into `downloads`, verified. Raises `DownloadFailed`, or `ModelCorrupt` after throwing all away."""
    from edgeos.fetch import writing

    try:
        if isinstance(source, PackageSource):
            fetched = _join(source, file, downloads, progress, http_config)
        else:
            fetched = _from_hub(source, file, downloads, progress, http_config)
        _verify(fetched, file)
    except ModelCorrupt:
        with writing(downloads):
            shutil.rmtree(downloads)
            downloads.mkdir(parents=True)
        raise
    with writing(downloads), fetched.open("rb") as written:
        os.fsync(written.fileno())
    return fetched


def _from_hub(source: HubSource, file: ModelFile, downloads: Path, progress: Progress, http_config: Http) -> Path:
    from edgeos.fetch import download

    base = os.environ.get("HF_ENDPOINT", HUB).rstrip("/")
    url = f"{base}/{source.repo}/resolve/{source.revision}/{quote(source.path)}"
    target = downloads / f"{hashlib.sha256(url.encode()).hexdigest()[:12]}-{file.name}"
    download(url, target, file.name, file.bytes, progress, http_config)
    return target


def _join(source: PackageSource, file: ModelFile, downloads: Path, progress: Progress, http_config: Http) -> Path:
    """Write the parts one behind the other, never more than the manifest's size whatever a zip header says."""
    from edgeos.fetch import need_space, writing
    from edgeos.pipindex import members, wheel

    label = f"{file.name} ({{}}/{len(source.parts)})" if len(source.parts) > 1 else file.name
    wheels = [
        wheel(part.requirement, downloads, label.format(i), progress, http_config)
        for i, part in enumerate(source.parts, 1)
    ]
    joined = downloads / f"{file.name}.joined"
    done = 0
    with writing(downloads, file.bytes), joined.open("wb") as out:
        need_space(downloads, file.bytes)
        for archive, part in zip(wheels, source.parts, strict=True):
            for block in members(archive, part.path):
                done += len(block)
                if done > file.bytes:
                    break
                out.write(block)
    return joined


def _verify(path: Path, file: ModelFile) -> None:
    found = _difference(path, file)
    if found:
        raise ModelCorrupt(
            f"file {path}", expected=f"{file.bytes} bytes with sha256 {file.sha256}", found=found, fix="edgeos pull"
        )


def _difference(path: Path, file: ModelFile) -> str:
    """Say what a file has instead of the manifest's bytes; empty where it is intact."""
    here = path.stat().st_size
    if here != file.bytes:
        return f"{here} bytes"
    with path.open("rb") as opened:
        sha256 = hashlib.file_digest(opened, "sha256").hexdigest()
    return "" if sha256 == file.sha256 else f"sha256 {sha256}"


def _inside(folder: Path, path: str, manifest: Manifest) -> Path:
    """Return `folder/path`. Raises `BadConfig` for a path that leaves the folder."""
    if not (folder / path).resolve().is_relative_to(folder.resolve()):
        raise BadConfig(
            f"model manifest {manifest.id}", expected=f"a path inside {folder}", found=path, fix="correct it"
        )
    return folder / path


def _name(source: Source) -> str:
    match source:
        case RepoSource():
            return f"models/{source.path}"
        case FileSource():
            return f"file {source.path}"
        case PackageSource():
            return "package " + ", ".join(part.requirement for part in source.parts)
        case HubSource():
            return f"hub {source.repo}@{source.revision[:8]} {source.path}"
        case _:
            assert_never(source)


@contextmanager
def _locked(folder: Path, progress: Progress) -> Iterator[None]:
    """Hold the folder's lock, so that two pulls of one model do not write into one file. Ends with the process."""
    import fcntl

    from edgeos.fetch import writing

    with writing(folder):
        handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.say(f"waiting for another pull into {folder}")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
