"""The one place that builds ONNX Runtime sessions: threads from the budget, spinning off, no silent fallback."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from edgeos.errors import ModelIncompatible

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from onnxruntime import InferenceSession, OrtValue, RunOptions


@dataclass(frozen=True, slots=True)
class OrtConfig:
    """How a session runs: `threads` inside one operator, `ep` the execution provider's name."""

    threads: int = 1
    ep: str = "CPUExecutionProvider"


def session(path: Path, config: OrtConfig, *, arena: bool = True) -> InferenceSession:
    """Open a verified ONNX file. Raises `ModelIncompatible` for a file or a provider that ONNX Runtime cannot use.

    All sessions share one arena for their activations. Without `arena` a session takes and gives back every block by
    itself: right where the blocks are large and their number small (the text detector: 84 MB resident after a picture
    instead of 198, for 7 % more time; the voice would take 50 % more).
    """
    import onnxruntime as ort

    ort.set_default_logger_severity(3)
    # Random nodes without a seed of their own (the voice has two) take this one when a session is built: the same calls
    # in the same order then give the same result in every process.
    ort.set_seed(0)
    if config.ep not in ort.get_available_providers():
        raise ModelIncompatible(
            f"execution provider {config.ep}",
            expected="one of " + ", ".join(ort.get_available_providers()),
            found="not in this onnxruntime",
            fix="install the onnxruntime build for it, or name another in the profile",
        )
    options = ort.SessionOptions()
    options.intra_op_num_threads = config.threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    if arena:
        _share_arena()
        options.add_session_config_entry("session.use_env_allocators", "1")
        options.add_session_config_entry("session.use_device_allocator_for_initializers", "1")
    else:
        options.enable_cpu_mem_arena = False
    try:
        opened = ort.InferenceSession(str(path), options, providers=[config.ep])
    except Exception as error:  # ORT leaks UnicodeDecodeError beside its own types
        raise ModelIncompatible(
            f"model {path}",
            expected="an ONNX file that this onnxruntime can run",
            found=str(error).split("\n")[0],
            fix=f"check `edgeos models verify`; onnxruntime here is {ort.__version__}",
        ) from error
    if opened.get_providers()[0] != config.ep:
        raise ModelIncompatible(
            f"execution provider {config.ep}",
            expected="it to load",
            found=f"{opened.get_providers()[0]} instead",
            fix="install what that provider needs, or name another",
        )
    return opened


@cache
def _share_arena() -> None:
    """Make the arena of this process. Weights stay outside, so that `shrinking` can empty it."""
    import onnxruntime as ort

    place = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
    sizes = ("initial_chunk_size_bytes", "max_dead_bytes_per_chunk", "initial_growth_chunk_size_bytes")
    by_powers_of_two = {"max_mem": 0, "arena_extend_strategy": 0}
    ort.create_and_register_allocator(place, ort.OrtArenaCfg(by_powers_of_two | dict.fromkeys(sizes, -1)))


def shrinking() -> RunOptions:
    """Return options for a run that gives the arena's memory back when it ends (the voice: 145 MB instead of 248)."""
    import onnxruntime as ort

    options = ort.RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return options


def bindable(array: NDArray[np.float32]) -> OrtValue:
    """Return an array as a value that can be bound to an input again and again without a copy."""
    import onnxruntime as ort

    return ort.OrtValue.ortvalue_from_numpy(array)


def need(opened: InferenceSession, path: Path, inputs: Sequence[str], outputs: Sequence[str] = ()) -> None:
    """Raise `ModelIncompatible` unless the model has these inputs and outputs."""
    has_in = {node.name for node in opened.get_inputs()}
    has_out = {node.name for node in opened.get_outputs()}
    if not set(inputs) <= has_in or not set(outputs) <= has_out:
        raise ModelIncompatible(
            f"model {path}",
            expected=f"inputs {list(inputs)}, outputs {list(outputs)}",
            found=f"inputs {sorted(has_in)}, outputs {sorted(has_out)}",
            fix="name a model made for this job",
        )
