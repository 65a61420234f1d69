"""Wordings and sampling of the language model on the question set, and its speed beside a bare llama_decode loop.

    python benchmarks/llm.py [GGUF] [--template chatml] [--all | --only NAME...]

The shipped wording and the reference answer both halves of the set, and the speed is measured: results/llm.json. With
`--all` every wording answers the half "tune" and the best three the half "held" too: results/llm_wordings.json.
"""

from __future__ import annotations

import argparse
import re
import time
import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
from common import median_ratio, versions, write

from edgeos import budget, manifest
from edgeos.engines import Prefilled, Sampling
from edgeos.engines.llama import Llama, LlamaSpec
from edgeos.events import Fact
from edgeos.fusion import EXAMPLES, Example, History, Prompt, PromptConfig, Question, fuse
from edgeos.store import Store

SHORT = "You are a helpful voice assistant with a camera. Answer the user in one short sentence."
USING = f"{SHORT[:-1]}, using what the camera sees when it matters."
FACTS = f"{SHORT} Use what the camera sees and reads to answer."
HELPFUL = "You are a helpful assistant."


@dataclass(frozen=True)
class Wording:
    """One way to ask: the texts, where the scene goes, and examples that come before the conversation."""

    config: PromptConfig = field(default_factory=PromptConfig)
    place: str = "before"
    ask: str = "{}"
    repeat: bool = True
    sampling: Sampling = field(default_factory=Sampling)


def fact(kind: Any, value: str, confidence: float = 0.9) -> Fact:
    return Fact(kind, value, confidence, "vision", 0)


def facts(item: dict[str, Any]) -> tuple[Fact, ...]:
    return (*(fact("label", v) for v in item.get("labels", ())), *(fact("text", v) for v in item.get("reads", ())))


CHAIR, LEMON = EXAMPLES
MARY = Example("What does it say?", 'It says "TO: MARY".', labels=("envelope",), reads=("TO: MARY",))
MONA = Example("Who painted the Mona Lisa?", "Leonardo da Vinci painted the Mona Lisa.", labels=("rocking chair",))
SUNDAY = Example("When is the concert?", "The concert is on Sunday.", reads=("CONCERT", "SUNDAY"))


def asked(item: dict[str, Any], wording: Wording, history: History, llm: Llama, last: tuple[Fact, ...]) -> Prompt:
    """Return the prompt for one question, as `fuse` makes it, then moved about as the wording says."""
    seen = facts(item) if wording.repeat or facts(item) != last else ()
    question = Question(item["ask"], seen)
    prompt = fuse(question, history, llm.count, llm.context_tokens, wording.config)
    parts = [replace(p, text=wording.ask.format(p.text)) if p.kind == "speech" else p for p in prompt.parts]
    scene = [p for p in parts if p.kind == "scene"]
    rest = [p for p in parts if p.kind != "scene"]
    if scene and wording.place == "after":
        parts = [*rest, *scene]
    elif scene and wording.place == "top":
        parts = [rest[0], replace(scene[0], role="system"), *rest[1:]]
    elif scene and wording.place == "system":
        parts = [*rest[:-1], replace(scene[0], role="system"), rest[-1]]
    elif scene and wording.place == "same line":
        parts = [*rest[:-1], replace(rest[-1], text=f"{scene[0].text} {rest[-1].text}")]
    return Prompt(tuple(parts))


def write_answer(llm: Llama, prompt: Prompt, sampling: Sampling) -> str:
    return "".join(p for p in llm.generate(prompt, sampling, lambda: False) if not isinstance(p, Prefilled)).strip()


def answer(item: dict[str, Any], wording: Wording, llm: Llama) -> str:
    history, last = History(), ()
    for turn in item.get("before", ()):
        history = history.add(asked(turn, wording, history, llm, last), turn["answer"], llm.count)
        last = facts(turn)
    return write_answer(llm, asked(item, wording, history, llm, last), wording.sampling)


def right(item: dict[str, Any], text: str) -> bool:
    def has(patterns: list[str]) -> bool:
        return any(re.search(pattern, text, re.IGNORECASE) for pattern in patterns)

    return has(item["accept"]) and not has(item.get("reject", []))


def wordings() -> dict[str, Wording]:
    reference = PromptConfig(USING, sees="The camera sees: {}.", reads='It reads the text: "{}".', examples=())
    base = Wording(reference)

    def config(**changes: Any) -> Wording:
        return Wording(msgspec.structs.replace(reference, **changes))

    def shown(*examples: Example, **changes: Any) -> Wording:
        return config(examples=examples, **changes)

    return {
        "shipped": Wording(),
        "reference": base,
        "system: helpful": config(system=HELPFUL),
        "system: short": config(system=SHORT),
        "system: facts": config(system=FACTS),
        "scene: you see": config(sees="You see {}.", reads='You read the text "{}".'),
        "scene: brackets": config(sees="[camera: {}]", reads='[text: "{}"]'),
        "scene: picture": config(sees="The picture shows: {}.", reads='The picture says: "{}".'),
        "scene after the question": replace(base, place="after"),
        "scene on the question's line": replace(base, place="same line"),
        "scene in the first system message": replace(base, place="top"),
        "scene as its own system message": replace(base, place="system"),
        "question: user asks": replace(base, ask='The user asks: "{}"'),
        "examples: chair, mary, lemon": shown(CHAIR, MARY, LEMON),
        "examples: chair, sunday, lemon": shown(CHAIR, SUNDAY, LEMON),
        "examples: chair, mary, mona": shown(CHAIR, MARY, MONA),
        "facts, examples: chair, mary, mona": shown(CHAIR, MARY, MONA, system=FACTS),
        "facts, examples: chair, mary, lemon": shown(CHAIR, MARY, LEMON, system=FACTS),
        "facts, examples: chair, lemon": shown(CHAIR, LEMON, system=FACTS),
        "helpful, examples: chair, lemon": shown(CHAIR, LEMON, system=HELPFUL),
        "shipped, scene only when it changed": Wording(repeat=False),
        "shipped, repeat penalty 1.1": Wording(sampling=Sampling(repeat_penalty=1.1)),
        "shipped, temperature 0.2": Wording(sampling=Sampling(temperature=0.2)),
        "shipped, temperature 0.7": Wording(sampling=Sampling(temperature=0.7)),
    }


def score(items: list[dict[str, Any]], wording: Wording, llm: Llama) -> tuple[int, float, list[str]]:
    """Return how many answers are right, their mean length in words, and the answers."""
    answers = [answer(item, wording, llm) for item in items]
    words = sum(len(text.split()) for text in answers) / len(answers)
    return sum(map(right, items, answers)), round(words, 1), answers


def speed(llm: Llama, rounds: int = 7, tokens: int = 48) -> dict[str, Any]:
    """Seconds per token through `generate` and through bare llama_decode, in turns, from the same prompt on."""
    import ctypes

    import llama_cpp.llama_cpp as c

    prompt = fuse(Question("Count from one to one hundred in words."), History(), llm.count, llm.context_tokens)
    ours, bare = [], []
    for _ in range(rounds):
        pieces = llm.generate(prompt, Sampling(max_tokens=tokens), lambda: False)
        next(pieces)
        start = len(llm.context.tokens)
        began = time.perf_counter()
        for _piece in pieces:
            pass
        written = len(llm.context.tokens) - start
        ours.append((time.perf_counter() - began) / written)
        same = llm.context.tokens[start:]
        llm.context.rewind(start)
        began = time.perf_counter()
        for token in same:
            c.llama_decode(llm.context._context, c.llama_batch_get_one((ctypes.c_int32 * 1)(token), 1))
        bare.append((time.perf_counter() - began) / written)
        c.llama_memory_seq_rm(llm.context._memory, 0, start, -1)
    ratio, low, high = median_ratio(ours, bare)
    return {
        "tokens_per_s": round(1 / sorted(ours)[rounds // 2], 1),
        "bare_tokens_per_s": round(1 / sorted(bare)[rounds // 2], 1),
        "seconds_over_bare": [round(x, 3) for x in (ratio, low, high)],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("gguf", type=Path, nargs="?", help="default: the starter model, as pulled")
    parser.add_argument("--template", default="chatml")
    parser.add_argument("--only", action="append", help="run these wordings alone, on both halves; writes nothing")
    parser.add_argument("--all", action="store_true", help="every wording; ten minutes")
    options = parser.parse_args()
    if options.gguf is None:
        (options.gguf,) = Store().files(manifest.find("smollm2-135m-instruct")).values()
    threads = budget.plan(budget.cores())
    llm = LlamaSpec(options.gguf, options.template, 2048, threads.llm_prefill, threads.llm_decode).build()
    items = tomllib.loads((Path(__file__).parent / "questions.toml").read_text())["question"]
    halves = {name: [item for item in items if item["half"] == name] for name in ("tune", "held")}
    rows: dict[str, dict[str, Any]] = {}
    for name, wording in wordings().items():
        if not options.all and name not in (options.only or ("shipped", "reference")):
            continue
        began = time.perf_counter()
        n, words, answers = score(halves["tune"], wording, llm)
        rows[name] = {"tune": n, "tune_words": words, "wording": msgspec.to_builtins(wording)}
        print(f"{n:3}/{len(answers)} {words:5} words {time.perf_counter() - began:5.1f} s  {name}", flush=True)
        if options.only:
            show(halves["tune"], answers)
    best = sorted(rows, key=lambda name: -rows[name]["tune"])[:3]
    for name in dict.fromkeys(["shipped", "reference", *best]):
        if name in rows:
            n, words, answers = score(halves["held"], wordings()[name], llm)
            rows[name] |= {"held": n, "held_words": words, "held_answers": answers}
            print(f"tune {rows[name]['tune']}, held {n} of {len(answers)} each, {words} words  {name}", flush=True)
            if options.only:
                show(halves["held"], answers)
    if not options.only:
        name = "llm_wordings" if options.all else "llm"
        row = {"questions": {half: len(items) for half, items in halves.items()}, "model": options.gguf.name}
        row["versions"] = versions("llama-cpp-python")
        measured = speed(llm)
        table = {"table": tables(rows["shipped"], row["questions"], measured)}
        write(name, row | {"wordings": rows, "speed": measured} | ({} if options.all else table))
    llm.close()


def tables(shipped: dict[str, Any], questions: dict[str, int], measured: dict[str, Any]) -> list[list[str]]:
    """Rows for the README."""
    ratio, low, high = measured["seconds_over_bare"]
    return [
        [
            "answers: right ones to the question set, half held out",
            f"{shipped['held']} of {questions['held']} ({shipped['held'] / questions['held']:.0%})",
            f"{shipped['tune']} of {questions['tune']} on the half used for tuning",
        ],
        [
            "answers: decode, seconds per token over a bare `llama_decode` loop",
            f"{ratio:.3f} ({low:.3f} to {high:.3f})",
            f"{measured['tokens_per_s']} against {measured['bare_tokens_per_s']} tokens a second",
        ],
    ]


def show(items: list[dict[str, Any]], answers: list[str]) -> None:
    for item, text in zip(items, answers, strict=True):
        print(
            "   ",
            "ok " if right(item, text) else "NO ",
            item["ask"],
            item.get("labels", ""),
            item.get("reads", ""),
            "->",
            text,
        )


if __name__ == "__main__":
    main()
