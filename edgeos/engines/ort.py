"""The one place that builds ONNX Runtime sessions: threads from the budget, spinning off, no silent fallback."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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


def session(path: Path, config: OrtConfig) -> InferenceSession:
    """Open a verified ONNX file. Raises `ModelIncompatible` for a file or a provider that ONNX Runtime cannot use."""
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


def bindable(array: NDArray[np.float32]) -> OrtValue:
    """Return an array as a value that can be bound to an input again and again without a copy."""
    import onnxruntime as ort

    return ort.OrtValue.ortvalue_from_numpy(array)


def frugal() -> RunOptions:
    """Return options for `run` that give a call's memory back when it ends.

    For inputs of ever other shapes: ONNX Runtime keeps the most that any of them took (text reading: 455 MB resident
    after five photographs, 261 MB with this, for 3 % more time).
    """
    import onnxruntime as ort

    options = ort.RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return options


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
