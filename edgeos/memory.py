"""Give memory back to the system: glibc keeps what native libraries free, several hundred megabytes of it, unless told.

With what `engines.ort` does about its arenas, and a smaller picture for the text detector, this took the peak of three
turns with every starter model from 720 to 539 MB (`benchmarks/memory.py`).
"""

from __future__ import annotations

import ctypes
from typing import Any

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
"""Parameters of mallopt(3)."""
_LARGE = 1 << 20
"""Blocks from 1 MB on are mapped one by one, and go back to the system when they are freed."""


def _libc() -> Any:
    """Return glibc, or None on a system with another C library."""
    try:
        libc = ctypes.CDLL("libc.so.6")
        return libc if hasattr(libc, "malloc_trim") else None
    except OSError:
        return None


def be_thrifty() -> None:
    """Make large blocks go back when they are freed, and let threads share two heaps. Call before models load."""
    libc = _libc()
    if libc is not None:
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGE)
        libc.mallopt(_M_TRIM_THRESHOLD, _LARGE)
        libc.mallopt(_M_ARENA_MAX, 2)


def trim() -> None:
    """Give back what is free now: worth it after a model was loaded."""
    libc = _libc()
    if libc is not None:
        libc.malloc_trim(0)
