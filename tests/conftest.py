"""Shared fixtures: the real starter models, the real test data, a guard against leaks."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TESTDATA = Path(os.environ.get("EDGEOS_TESTDATA", ROOT.parent / "shared" / "testdata"))


@pytest.fixture(scope="session")
def testdata() -> Path:
    """The folder of real recordings and photographs; skips where it is absent."""
    if not (TESTDATA / "manifest.jsonl").is_file():
        pytest.skip(f"no test data at {TESTDATA} (set EDGEOS_TESTDATA)")
    return TESTDATA


@pytest.fixture(scope="session")
def starter():
    """A function model id -> {file name: verified path} of the real starter models; skips where one is not pulled."""
    from edgeos import manifest
    from edgeos.errors import ModelMissing
    from edgeos.store import Store

    store = Store()

    def files(model_id: str) -> dict[str, Path]:
        try:
            return store.files(manifest.find(model_id))
        except ModelMissing as error:
            pytest.skip(f"{error}")

    return files


@pytest.fixture(autouse=True)
def nothing_left_behind():
    """Every test ends with the threads and file descriptors that it began with."""
    threads, fds = set(threading.enumerate()), len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").is_dir() else 0
    yield
    left = [t.name for t in threading.enumerate() if t not in threads and t.name.startswith("edgeos-")]
    assert not left, f"threads left behind: {left}"
    if fds:
        assert len(os.listdir("/proc/self/fd")) <= fds + 8, "file descriptors left behind"
