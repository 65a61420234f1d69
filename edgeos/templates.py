"""Chat templates of our own, and what ends an answer. Pure: text in, text out.

A template never comes out of a model file. It turns a typed prompt into segments and says of each whether it is one of
the template's own control tokens. Only those are parsed as control tokens; whatever a person typed or the camera read
is plain text to the tokenizer, even where it spells "<|im_end|>".
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TypeAlias

from edgeos.errors import UnknownName
from edgeos.fusion import Part, Prompt, Role


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of the rendered prompt: a control token, the template's own words, or content.

    `answer` marks what the assistant said before: the engine knows those tokens already.
    """

    text: str
    control: bool = False
    answer: bool = False


Message: TypeAlias = tuple[Role, str]


@dataclass(frozen=True, slots=True)
class Template:
    """How one family of models writes a conversation.

    A message is `open` (control), the role's name and `after_role`, the content, `close` (control), `after`. Where the
    family has no system role (`system` is empty), the system text opens the first user message. `stops` are texts that
    end an answer beside the model's own end-of-turn tokens.
    """

    name: str
    open: str
    close: str
    system: str
    user: str
    assistant: str
    after_role: str
    after: str
    stops: tuple[str, ...]

    @property
    def controls(self) -> tuple[str, ...]:
        """The control tokens that a model must have, each as one token."""
        return tuple(text for text in (self.open, self.close) if text)

    def render(self, prompt: Prompt) -> tuple[Segment, ...]:
        """Return the whole prompt, ending where the assistant is to begin."""
        segments: list[Segment] = []
        for role, text in self._messages(prompt.parts):
            segments += self._header(role)
            segments += [Segment(text, answer=role == "assistant"), Segment(self.close, control=True)]
            segments.append(Segment(self.after))
        segments += self._header("assistant")
        return tuple(segment for segment in segments if segment.text)

    def _header(self, role: Role) -> list[Segment]:
        name = {"system": self.system, "user": self.user, "assistant": self.assistant}[role]
        return [Segment(self.open, control=True), Segment(name + self.after_role)]

    def _messages(self, parts: Sequence[Part]) -> list[Message]:
        """Join neighbours of one role; give a system text to the first user message where there is no such role."""
        messages: list[Message] = [
            (role, "\n".join(part.text for part in group)) for role, group in groupby(parts, key=lambda part: part.role)
        ]
        if not self.system and len(messages) > 1 and messages[0][0] == "system" and messages[1][0] == "user":
            messages[:2] = [("user", f"{messages[0][1]}\n\n{messages[1][1]}")]
        return messages


_CHATML = Template(
    "chatml", "<|im_start|>", "<|im_end|>", "system", "user", "assistant", "\n", "\n",
    stops=("<|im_end|>", "<|im_start|>"),
)  # fmt: skip
_GEMMA = Template(
    "gemma", "<start_of_turn>", "<end_of_turn>", "", "user", "model", "\n", "\n",
    stops=("<end_of_turn>", "<start_of_turn>"),
)  # fmt: skip
# A base model does not know how to end a turn: it would go on and write the next question itself.
_GEMMA_BASE = replace(_GEMMA, name="gemma-base", stops=(*_GEMMA.stops, "\n"))

_KNOWN = {template.name: template for template in (_CHATML, _GEMMA, _GEMMA_BASE)}


def find(name: str) -> Template:
    """Return the template of that name. Raises `UnknownName`."""
    if name not in _KNOWN:
        raise UnknownName(
            f"chat template {name!r}",
            expected="one of " + ", ".join(_KNOWN),
            found="no such template",
            fix="correct `template` under [settings] of the model's manifest",
        )
    return _KNOWN[name]


class Decoder:
    """Bytes of tokens to text: whole characters only, and nothing of a stop text.

    `feed` returns what can be said for certain; `ended` is true once a stop text was seen.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        """Watch for `stops`."""
        self._stops = tuple(stops)
        self._bytes = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._held = ""
        self.ended = False

    def feed(self, piece: bytes) -> str:
        """Add the bytes of one token; return the text that is certain by now."""
        text = self._held + self._bytes.decode(piece)
        cuts = [at for at in map(text.find, self._stops) if at >= 0]
        if cuts:
            self.ended, self._held = True, ""
            return text[: min(cuts)]
        keep = max((n for stop in self._stops for n in range(1, len(stop)) if text.endswith(stop[:n])), default=0)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    @property
    def whole(self) -> bool:
        """Whether every byte so far has come out as text."""
        return not (self._held or self._bytes.getstate()[0] or self.ended)

    def finish(self) -> str:
        """Return what was held back; the bytes of a character that never became whole are dropped."""
        held, self._held = self._held, ""
        return held


def loops(tokens: Sequence[int], repeats: int = 3, least: int = 12) -> bool:
    """Return whether the end of `tokens` is one stretch said `repeats` times over, `least` tokens in all or more.

    Small models fall into such loops under greedy decoding. `least` lets short rhythms pass ("no, no, no").
    """
    n = len(tokens)
    for period in range(1, n // repeats + 1):
        times = max(repeats, -(-least // period))
        if times * period <= n and list(tokens[n - times * period : n - period]) == list(
            tokens[n - (times - 1) * period :]
        ):
            return True
    return False
