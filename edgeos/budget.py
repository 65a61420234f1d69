"""The one compute budget: how many threads each engine may use, so that together they never oversubscribe the cores."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Threads:
    """Threads per job."""

    asr: int
    """Nothing else computes while an utterance is transcribed."""
    llm_prefill: int
    llm_decode: int
    """One less than the cores: the voice speaks the first clause while the rest is written."""
    vision: int
    small: int = 1
    """VAD and voice: small models lose time with more than one."""


def cores() -> int:
    """Return how many cores this process may really use (affinity, not the machine's count)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)


def plan(available: int) -> Threads:
    """Share out `available` cores."""
    n = max(1, available)
    return Threads(asr=min(n, 4), llm_prefill=n, llm_decode=max(1, n - 1), vision=max(1, n // 2))
