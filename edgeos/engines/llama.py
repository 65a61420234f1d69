"""Language models on llama.cpp: our own chat template, streamed answers, and a past that is never evaluated twice."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from edgeos.engines import Prefilled, Sampling
from edgeos.engines.llama_context import Context
from edgeos.errors import EngineFailed, ModelIncompatible
from edgeos.fusion import Prompt
from edgeos.templates import Decoder, find, loops
from edgeos.worker import Stop

_REMEMBERED = 64


@dataclass(frozen=True, slots=True)
class LlamaSpec:
    """A verified GGUF and how to run it; `batch` tokens are evaluated between two looks at `stop`."""

    path: Path
    template: str
    context_tokens: int
    threads_prefill: int
    threads_decode: int
    batch: int = 64

    def build(self) -> Llama:
        """Load the model. Raises `ModelMissing`, `ModelIncompatible`, `UnknownName`."""
        return Llama(self)


@dataclass(slots=True)
class _Written:
    """One answer as it was written: its tokens, and where in it whole tokens meet whole text."""

    tokens: list[int] = field(default_factory=list)
    text: str = ""
    chars: list[int] = field(default_factory=lambda: [0])
    counts: list[int] = field(default_factory=lambda: [0])

    def add(self, token: int, text: str, whole: bool) -> None:
        """Add a token and the text that came out with it; `whole` when no byte of it is still held back."""
        self.tokens.append(token)
        self.text += text
        if whole:
            self.chars.append(len(self.text))
            self.counts.append(len(self.tokens))

    def upto(self, chars: int) -> tuple[list[int], int]:
        """Return the tokens of at most the first `chars` characters, and how many characters those are."""
        at = bisect_right(self.chars, chars) - 1
        return self.tokens[: self.counts[at]], self.chars[at]


class Llama:
    """`engines.Llm` on llama.cpp."""

    def __init__(self, spec: LlamaSpec) -> None:
        """Load the model and check that the template's control tokens are in its vocabulary."""
        self._template = find(spec.template)
        self.context = Context(spec.path, spec.context_tokens, spec.threads_prefill, spec.threads_decode, spec.batch)
        self.context_tokens = self.context.size
        self._answers: deque[_Written] = deque(maxlen=_REMEMBERED)
        for text in self._template.controls:
            if len(self.context.tokenize(text, control=True)) != 1:
                self.close()
                raise ModelIncompatible(
                    f"model {spec.path}",
                    expected=f"the control token {text} of template {spec.template}",
                    found="a vocabulary without it",
                    fix="correct `template` under [settings] of its manifest",
                )

    def count(self, text: str) -> int:
        """Return how many tokens `text` costs."""
        return len(self.context.tokenize(text))

    def tokens(self, prompt: Prompt) -> list[int]:
        """Return the rendered prompt as tokens: control tokens only where the template put them."""
        tokens = self.context.first()
        for segment in self._template.render(prompt):
            if segment.answer:
                tokens += self._answer(segment.text)
            else:
                tokens += self.context.tokenize(segment.text, segment.control)
        return tokens

    def _answer(self, text: str) -> list[int]:
        """Return the tokens of an earlier answer, as they were evaluated.

        A model does not always choose the tokens that the tokenizer would. Where `text` is an answer of this engine, or
        the part of one that was heard, its own tokens are used, so that the KV cache still fits.
        """
        for answer in reversed(self._answers):
            if answer.text.startswith(text):
                tokens, chars = answer.upto(len(text))
                return tokens + self.context.tokenize(text[chars:])
        return self.context.tokenize(text)

    def generate(self, prompt: Prompt, sampling: Sampling, stop: Stop) -> Iterator[Prefilled | str]:
        """Evaluate what is new in the prompt, then write; once `stop` says so, return without a further piece.

        The answer ends at an end-of-turn token, a stop text of the template, `max_tokens`, the end of the context, or
        when it goes round in a loop. Raises `EngineFailed` where the prompt leaves no room for an answer.
        """
        wanted = self.tokens(prompt)
        if len(wanted) >= self.context_tokens:
            raise EngineFailed(
                "language model",
                expected=f"a prompt of fewer than {self.context_tokens} tokens",
                found=f"{len(wanted)}",
                fix="shorten the prompt, or raise `context_tokens` in the profile",
            )
        # The last token is evaluated anew even if it is there: its logits are not.
        reused = self.context.rewind(min(_common(self.context.tokens, wanted), len(wanted) - 1))
        if self.context.append(wanted[reused:], stop):
            yield Prefilled(len(wanted), reused)
            yield from self._write(sampling, stop)

    def _write(self, sampling: Sampling, stop: Stop) -> Iterator[str]:
        decoder = Decoder(self._template.stops)
        written = _Written()
        self._answers.append(written)
        chain = self.context.sampler(sampling)
        try:
            for _ in range(min(sampling.max_tokens, self.context_tokens - len(self.context.tokens))):
                if stop():
                    return
                token = self.context.sample(chain)
                if self.context.ends(token):
                    break
                text = decoder.feed(self.context.piece(token))
                written.add(token, text, decoder.whole)
                if text:
                    yield text
                if decoder.ended or loops(written.tokens) or not self.context.append([token], stop):
                    break
            held = decoder.finish()
            if held and not stop():
                written.text += held
                yield held
        finally:
            self.context.free_sampler(chain)

    def close(self) -> None:
        """Free the model and its context; closing twice is allowed."""
        self.context.close()


def _common(a: list[int], b: list[int]) -> int:
    """Return the length of the common prefix."""
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
