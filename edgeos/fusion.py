"""Fusion: system, history, scene and speech become one typed prompt under a token budget. Pure: no clock, no I/O."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import msgspec

from edgeos.errors import BadConfig
from edgeos.events import Fact

Kind: TypeAlias = Literal["system", "memory", "history", "scene", "speech"]
Role: TypeAlias = Literal["system", "user", "assistant"]
Trust: TypeAlias = Literal["system", "user", "world"]
Count: TypeAlias = Callable[[str], int]
"""Text to its number of tokens; the language model's own."""

SYSTEM = (
    "You are a helpful voice assistant with a camera. Answer the user in one short sentence, "
    "using what the camera sees when it matters."
)
SEES = "The camera sees: {}."
READS = 'It reads the text: "{}".'

MESSAGE_TOKENS = 8
"""What a chat template may add to one message: ChatML takes 5, and 3 are left for the seams between joined parts."""

HISTORY_STEP = 4
"""Turns dropped at a time: dropping one by one would move the whole past, and evaluate it anew, at every turn."""

HISTORY_TURNS = 64
"""Turns that `History` keeps, so that it does not grow for ever."""


@dataclass(frozen=True, slots=True)
class Part:
    """One typed piece of the prompt.

    `role` says into which chat message it is rendered (neighbours of one role share a message), `trust` who vouches for
    it: `world` is text that the camera read, quoted as data and never an instruction. `tokens` is its cost.
    """

    kind: Kind
    role: Role
    trust: Trust
    text: str
    tokens: int
    source: str = ""
    t_ns: int = 0


@dataclass(frozen=True, slots=True)
class Prompt:
    """The parts in order: stable first, volatile last."""

    parts: tuple[Part, ...]

    @property
    def tokens(self) -> int:
        """Cost of all parts, without the chat template's own tokens."""
        return sum(part.tokens for part in self.parts)


@dataclass(frozen=True, slots=True)
class Question:
    """What one turn brings: the words and their source, what the camera shows, and what is remembered of the person."""

    text: str
    facts: tuple[Fact, ...] = ()
    memory: tuple[str, ...] = ()
    source: str = "text"
    t_ns: int = 0


class Example(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A turn that never was: it shows a small model how to use a scene and how long to speak."""

    question: str
    answer: str
    labels: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()


EXAMPLES = (
    Example("What is this?", "It is a rocking chair.", labels=("rocking chair",)),
    Example("What color is a lemon?", "A lemon is yellow.", labels=("rocking chair",)),
)


class PromptConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Wording and budget. The default wording is the best of those that `benchmarks/llm.py` measured.

    `answer_tokens` of the context are kept free for the answer. `sees` and `reads` hold one `{}` each.
    """

    system: str = SYSTEM
    sees: str = SEES
    reads: str = READS
    examples: tuple[Example, ...] = EXAMPLES
    scene_tokens: int = 40
    answer_tokens: int = 96

    def __post_init__(self) -> None:
        """Raise `BadConfig` for a wording that would not say what is seen."""
        for name, wording in (("sees", self.sees), ("reads", self.reads)):
            if wording.count("{}") != 1:
                raise BadConfig(
                    f"prompt wording `{name}`",
                    expected="one {} where the facts go",
                    found=repr(wording),
                    fix="correct it under [prompt] of the profile",
                )


@dataclass(frozen=True, slots=True)
class History:
    """The turns so far, each as it was evaluated: the parts of its user message, then what was heard of the answer."""

    turns: tuple[tuple[Part, ...], ...] = ()

    def add(self, prompt: Prompt, heard: str, count: Count) -> History:
        """Return the history with the turn of `prompt` added, where `heard` is the part of the answer that was played.

        A turn of which nothing was heard leaves no trace. Past `HISTORY_TURNS` the oldest go, a step at a time.
        """
        if not heard:
            return self
        asked = tuple(replace(part, kind="history") for part in prompt.parts if part.kind in {"scene", "speech"})
        # An answer may repeat what the camera read: it is worth no more trust than that.
        answered = Part("history", "assistant", "world", heard, count(heard), source="answer")
        turns = (*self.turns, (*asked, answered))
        return History(turns if len(turns) <= HISTORY_TURNS else turns[HISTORY_STEP:])


def fuse(
    question: Question, history: History, count: Count, context_tokens: int, config: PromptConfig | None = None
) -> Prompt:
    """Return the prompt of one turn, of at most `context_tokens` less the answer's share, template included.

    The order is system, memory, examples, history, scene, speech. Over budget, things go by rule: the oldest turns,
    then the oldest memory, then the scene's least certain facts, then the beginning of the question (its end says what
    is wanted).
    """
    config = config or PromptConfig()
    room = context_tokens - config.answer_tokens - 3 * MESSAGE_TOKENS
    system = Part("system", "system", "system", config.system, count(config.system))
    examples = tuple(part for example in config.examples for part in _example(example, count, config))
    room -= system.tokens + sum(part.tokens for part in examples) + 2 * MESSAGE_TOKENS * len(config.examples)
    text = _cut_front(_one_line(question.text), room, count)
    speech = Part("speech", "user", "user", text, count(text), question.source, question.t_ns)
    room -= speech.tokens
    scene = _scene(question.facts, min(config.scene_tokens, room), count, config)
    room -= sum(part.tokens for part in scene)
    memory = [Part("memory", "system", "user", text, count(text), source="memory") for text in question.memory]
    while memory and sum(part.tokens + 1 for part in memory) > room:
        memory.pop(0)
    room -= sum(part.tokens + 1 for part in memory)
    return Prompt((system, *memory, *examples, *_recent(history, room), *scene, speech))


def _example(example: Example, count: Count, config: PromptConfig) -> tuple[Part, ...]:
    """Return the parts of one example, worded as a real turn; it is ours, so its kind and trust are `system`."""
    seen = (
        *(Fact("label", v, 1.0, "example", 0) for v in example.labels),
        *(Fact("text", v, 1.0, "example", 0) for v in example.reads),
    )
    texts: list[tuple[Role, str]] = [("user", example.question), ("assistant", example.answer)]
    if seen:
        texts.insert(0, ("user", scene_text(seen, config)))
    return tuple(Part("system", role, "system", text, count(text), source="example") for role, text in texts)


def _recent(history: History, room: int) -> tuple[Part, ...]:
    """Return the parts of the newest turns that fit, having dropped the oldest in whole steps."""
    turns = history.turns
    while turns and sum(sum(p.tokens for p in turn) + 2 * MESSAGE_TOKENS for turn in turns) > room:
        turns = turns[HISTORY_STEP:]
    return tuple(part for turn in turns for part in turn)


def _scene(facts: Sequence[Fact], room: int, count: Count, config: PromptConfig) -> tuple[Part, ...]:
    """Return the scene as one part of at most `room` tokens.

    The least certain facts go first; the last one is cut at its end. No fact, or no room for one, leaves no part.
    """
    kept = [fact for fact in facts if _quoted(fact.value)]
    while len(kept) > 1 and count(scene_text(kept, config)) > room:
        kept.remove(min(kept, key=lambda fact: fact.confidence))
    if len(kept) == 1:
        kept = [replace(kept[0], value=_cut_end(kept[0], room, count, config))]
    if not kept or not kept[0].value:
        return ()
    text, newest = scene_text(kept, config), max(kept, key=lambda fact: fact.t_ns)
    return (Part("scene", "user", "world", text, count(text), newest.source, newest.t_ns),)


def scene_text(facts: Sequence[Fact], config: PromptConfig) -> str:
    """Return the words for the scene: the labels, then the text read, quoted."""
    labels = ", ".join(_quoted(fact.value) for fact in facts if fact.kind == "label")
    lines = ", ".join(_quoted(fact.value) for fact in facts if fact.kind == "text")
    return " ".join(
        [config.sees.replace("{}", labels)] * bool(labels) + [config.reads.replace("{}", lines)] * bool(lines)
    )


_UNSAFE = str.maketrans({'"': "'", "“": "'", "”": "'", "<": " ", ">": " ", "|": " "})


def _quoted(value: str) -> str:
    """Return text of the world so that it stays inside its quotes: one line, no double quotes, no control tokens."""
    return _one_line(value.translate(_UNSAFE))


def _one_line(text: str) -> str:
    """Return `text` with every run of blanks and unprintable characters as one space."""
    return re.sub(r"\s+", " ", "".join(c if c.isprintable() else " " for c in text)).strip()


def _cut_end(fact: Fact, room: int, count: Count, config: PromptConfig) -> str:
    """Return as much of the fact's beginning as a scene of `room` tokens has room for, "" where that is nothing."""

    def fits(value: str) -> bool:
        return count(scene_text([replace(fact, value=value)], config)) <= room

    value = _quoted(fact.value)
    if fits(value):
        return value
    keep = _most(len(value), lambda n: fits(value[:n] + "…"))
    return value[:keep] + "…" if keep else ""


def _cut_front(text: str, room: int, count: Count) -> str:
    """Return the end of `text` that costs at most `room` tokens, after an ellipsis where something was cut."""
    if count(text) <= room:
        return text
    keep = _most(len(text), lambda n: count("… " + text[len(text) - n :]) <= room)
    return "… " + text[len(text) - keep :] if keep else "…"


def _most(n: int, fits: Callable[[int], bool]) -> int:
    """Return the largest number up to `n` that fits, found by halving; 0 where none does."""
    low, high = 0, n + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low
