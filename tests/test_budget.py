import os

import pytest

from edgeos import budget


@pytest.mark.parametrize("n", [1, 2, 4, 8, 64])
def test_the_voice_has_a_core_while_the_model_writes(n):
    threads = budget.plan(n)
    assert threads.llm_decode + threads.small <= max(2, n)
    assert all(1 <= t <= max(1, n) for t in (threads.asr, threads.llm_prefill, threads.vision))


def test_cores_are_those_this_process_may_use():
    if hasattr(os, "sched_setaffinity"):
        all_cores = os.sched_getaffinity(0)
        try:
            os.sched_setaffinity(0, {min(all_cores)})
            assert budget.cores() == 1
        finally:
            os.sched_setaffinity(0, all_cores)
    assert budget.cores() >= 1
