"""One live llama.cpp context that owns its token list. The only file that imports llama_cpp.

It drives llama.cpp's C functions. The context has few operations (append, rewind, snapshot, restore), and what is
evaluated is at every moment exactly `Context.tokens`: after any sequence of them the next logits are those of a fresh
context over the same tokens, which a test holds.
"""

from __future__ import annotations

import ctypes
import os
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeos.engines import Sampling
from edgeos.errors import EngineFailed, ModelIncompatible, ModelMissing
from edgeos.worker import Stop

_ERROR = 4  # GGML_LOG_LEVEL_ERROR
_PENALTY_WINDOW = 64
_complaints: deque[str] = deque(maxlen=4)
_log: Any = None  # the callback must outlive every call into llama.cpp


def _library() -> Any:
    """Import llama_cpp, and keep its errors for our messages instead of writing to stderr."""
    global _log
    # Read once, when OpenMP loads. Its threads spin at every barrier by default: on 2 cores with one of them busy,
    # prefill of 48 tokens with 2 threads took seconds; with threads that sleep it took 0.28 s (0.16 s on idle cores,
    # where spinning takes 0.14 s).
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    import llama_cpp.llama_cpp as library

    if _log is None:

        def keep(level: int, text: bytes, _user: object) -> None:
            if level == _ERROR:
                _complaints.append(text.decode(errors="replace").strip())

        _log = library.llama_log_callback(keep)
        library.llama_log_set(_log, ctypes.c_void_p(0))
        library.llama_backend_init()
    return library


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A copy of the context: its tokens and llama.cpp's state of them (about 23 kB a token for SmolLM2-135M)."""

    tokens: tuple[int, ...]
    state: bytes


def _check_header(path: Path) -> None:
    """Refuse what is not a GGUF before the native parser sees it: llama.cpp's own words for that are no help."""
    try:
        with path.open("rb") as file:
            start = file.read(4)
    except OSError as error:
        raise ModelMissing(
            f"model {path}", expected="a GGUF file", found=error.strerror or "nothing", fix="run `edgeos pull`"
        ) from error
    if start != b"GGUF":
        raise ModelIncompatible(
            f"model {path}",
            expected="a GGUF file, which begins with GGUF",
            found=repr(start),
            fix="name a GGUF, or run `edgeos models verify`",
        )


class Context:
    """llama.cpp's model and its one context; `tokens` is what has been evaluated."""

    def __init__(self, path: Path, context_tokens: int, threads_prefill: int, threads_decode: int, batch: int) -> None:
        """Load the file and make the context. Raises `ModelMissing`, `ModelIncompatible`."""
        self._path, self._batch_size = path, batch
        _check_header(path)
        self._c = c = _library()
        self.tokens: list[int] = []
        self._model: Any = None
        self._context: Any = None
        self._batch: Any = None
        _complaints.clear()
        params = c.llama_model_default_params()
        params.n_gpu_layers = 0
        # llama.cpp's AMX kernels crash on this model's first batch (ggml-org/llama.cpp issue 20824).
        params.use_extra_bufts = b"AMX_INT8 = 1" not in c.llama_print_system_info()
        self._model = c.llama_model_load_from_file(str(path).encode(), params)
        if not self._model:
            raise self._unfit("a GGUF that this llama.cpp can load", " ".join(_complaints) or "a refusal")
        try:
            self._open(context_tokens)
        except BaseException:
            self.close()
            raise
        c.llama_set_n_threads(self._context, threads_decode, threads_prefill)

    def _open(self, context_tokens: int) -> None:
        c = self._c
        if c.llama_model_has_encoder(self._model) or not c.llama_model_has_decoder(self._model):
            raise self._unfit("a model that writes text", "an encoder")
        trained = c.llama_model_n_ctx_train(self._model)
        if context_tokens > trained:
            raise self._unfit(f"a context of {context_tokens} tokens", f"a model trained for {trained}")
        self.vocab = c.llama_model_get_vocab(self._model)
        self.vocab_size = c.llama_vocab_n_tokens(self.vocab)
        params = c.llama_context_default_params()
        params.n_ctx, params.n_batch, params.n_ubatch = context_tokens, self._batch_size, self._batch_size
        params.n_seq_max = 1
        params.no_perf = True
        # On a CPU flash attention halves the speed of a long context (SmolLM2-135M after 1500 tokens: 20 tokens/s with
        # it, 39 without), and its logits depend on how a prompt was cut into batches (35 moved by up to 0.9).
        params.flash_attn_type = c.LLAMA_FLASH_ATTN_TYPE_DISABLED
        # A sliding-window model keeps all of its past, or it could not be rewound.
        params.swa_full = True
        self._context = c.llama_init_from_model(self._model, params)
        if not self._context:
            raise self._unfit(f"room for {context_tokens} tokens", " ".join(_complaints) or "a refusal")
        self._memory = c.llama_get_memory(self._context)
        self._batch = c.llama_batch_init(self._batch_size, 0, 1)
        self.size: int = c.llama_n_ctx(self._context)
        # A recurrent state holds the past as a whole: it cannot forget its end alone.
        self.can_rewind = not (c.llama_model_is_recurrent(self._model) or c.llama_model_is_hybrid(self._model))

    def _unfit(self, expected: str, found: str) -> ModelIncompatible:
        return ModelIncompatible(
            f"model {self._path}",
            expected=expected,
            found=found,
            fix="check it with `edgeos models verify`, or name another model",
        )

    def append(self, tokens: Sequence[int], stop: Stop) -> bool:
        """Evaluate `tokens` after what is there; return whether all of them were, that is, `stop` never said so.

        Raises `EngineFailed` where they do not fit or llama.cpp reports an error; `self.tokens` then holds what was
        evaluated.
        """
        if len(self.tokens) + len(tokens) > self.size:
            raise EngineFailed(
                "language model",
                expected=f"at most {self.size} tokens",
                found=f"{len(self.tokens) + len(tokens)}",
                fix="shorten the prompt, or raise `context_tokens` in the profile",
            )
        _complaints.clear()
        for start in range(0, len(tokens), self._batch_size):
            if stop():
                return False
            self._evaluate(tokens[start : start + self._batch_size])
        return True

    def _evaluate(self, tokens: Sequence[int]) -> None:
        batch, past = self._batch, len(self.tokens)
        batch.n_tokens = len(tokens)
        for i, token in enumerate(tokens):
            batch.token[i], batch.pos[i], batch.logits[i] = token, past + i, i == len(tokens) - 1
            batch.n_seq_id[i], batch.seq_id[i][0] = 1, 0
        code = self._c.llama_decode(self._context, batch)
        if code != 0:
            # llama.cpp keeps the part of a batch that it evaluated: take it out again.
            if not self._c.llama_memory_seq_rm(self._memory, 0, past, -1):
                self._forget()
            raise EngineFailed(
                "language model",
                expected="llama_decode to return 0",
                found=f"{code} {' '.join(_complaints)}".strip(),
                fix="ask again; if it stays, check the model",
            )
        self.tokens += tokens

    def rewind(self, keep: int) -> int:
        """Forget all but the first `keep` tokens; return how many are left (0 for a model that cannot rewind)."""
        if keep < len(self.tokens):
            if self.can_rewind and self._c.llama_memory_seq_rm(self._memory, 0, keep, -1):
                del self.tokens[keep:]
            else:
                self._forget()
        return len(self.tokens)

    def _forget(self) -> None:
        self._c.llama_memory_clear(self._memory, True)
        self.tokens.clear()

    def snapshot(self) -> Snapshot:
        """Copy the context. Raises `EngineFailed`."""
        size = self._c.llama_state_seq_get_size(self._context, 0)
        buffer = (ctypes.c_uint8 * size)()
        if self._c.llama_state_seq_get_data(self._context, buffer, size, 0) != size:
            raise EngineFailed("language model", expected=f"a state of {size} bytes", found="less", fix="start anew")
        return Snapshot(tuple(self.tokens), bytes(buffer))

    def restore(self, snapshot: Snapshot) -> None:
        """Put the context back to `snapshot`; logits are there after the next append. Raises `EngineFailed`."""
        self._forget()
        size = len(snapshot.state)
        buffer = (ctypes.c_uint8 * size).from_buffer_copy(snapshot.state)
        if self._c.llama_state_seq_set_data(self._context, buffer, size, 0) != size:
            self._forget()
            raise EngineFailed(
                "language model",
                expected=f"a state of {size} bytes that fits this model",
                found="another",
                fix="restore only what this context gave out",
            )
        self.tokens = list(snapshot.tokens)

    def logits(self) -> NDArray[np.float32]:
        """Return a copy of the logits after the last token, [vocab_size] float32. Only after an append."""
        row = self._c.llama_get_logits_ith(self._context, -1)
        return np.ctypeslib.as_array(row, (self.vocab_size,)).copy()

    def sample(self, sampler: Any) -> int:
        """Pick the next token; it is not evaluated yet."""
        return int(self._c.llama_sampler_sample(sampler, self._context, -1))

    def tokenize(self, text: str, control: bool = False) -> list[int]:
        """Return the tokens of `text`; `control` parses it as control tokens, else nothing in it is one."""
        data = text.encode(errors="replace")
        room = len(data) + 8
        buffer = (ctypes.c_int32 * room)()
        n = self._c.llama_tokenize(self.vocab, data, len(data), buffer, room, False, control)
        if n < 0:
            raise EngineFailed(
                "tokenizer", expected=f"at most {room} tokens", found=f"code {n}", fix="shorten the text"
            )
        return buffer[:n]

    def piece(self, token: int) -> bytes:
        """Return the bytes of one token; control tokens have none."""
        buffer = ctypes.create_string_buffer(256)
        n = self._c.llama_token_to_piece(self.vocab, token, buffer, len(buffer), 0, False)
        return buffer.raw[: max(0, n)]

    def ends(self, token: int) -> bool:
        """Return whether the answer ends here: an end of generation, or any other control token."""
        return bool(self._c.llama_vocab_is_eog(self.vocab, token) or self._c.llama_vocab_is_control(self.vocab, token))

    def first(self) -> list[int]:
        """Return the token that the model wants at the very start, if any."""
        return [self._c.llama_vocab_bos(self.vocab)] if self._c.llama_vocab_get_add_bos(self.vocab) else []

    def sampler(self, sampling: Sampling) -> Any:
        """Return a new sampler chain; give it back with `free_sampler`."""
        c = self._c
        chain = c.llama_sampler_chain_init(c.llama_sampler_chain_default_params())
        links = []
        if sampling.repeat_penalty != 1.0:
            links.append(
                c.llama_sampler_init_penalties(self.vocab_size, _PENALTY_WINDOW, sampling.repeat_penalty, 0.0, 0.0)
            )
        if sampling.temperature <= 0.0:
            links.append(c.llama_sampler_init_greedy())
        else:
            links += [c.llama_sampler_init_top_k(sampling.top_k), c.llama_sampler_init_top_p(sampling.top_p, 1)]
            links += [c.llama_sampler_init_temp(sampling.temperature), c.llama_sampler_init_dist(sampling.seed)]
        for link in links:
            c.llama_sampler_chain_add(chain, link)
        return chain

    def free_sampler(self, chain: Any) -> None:
        """Free a chain of `sampler`."""
        self._c.llama_sampler_free(chain)

    def close(self) -> None:
        """Free everything; closing twice is allowed."""
        if self._batch is not None:
            self._c.llama_batch_free(self._batch)
        if self._context:
            self._c.llama_free(self._context)
        if self._model:
            self._c.llama_model_free(self._model)
        self._batch = self._context = self._model = None
