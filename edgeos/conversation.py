"""Turns, one after another: owns the history and the turn that is going on."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Literal

from edgeos.channel import Channel
from edgeos.crew import Crew, need
from edgeos.engines import Llm, Sampling
from edgeos.events import Fact, PromptFused, TurnEnded
from edgeos.fusion import History, Prompt, Question, fuse
from edgeos.profile import Profile
from edgeos.sinks import Speaker
from edgeos.stages import Log, Said, answer, speak
from edgeos.worker import Stop


@dataclass(frozen=True, slots=True)
class Turn:
    """One question with its answer."""

    prompt: Prompt
    answer: str
    spoken_s: float


class Conversation:
    """`crew` and `speaker` are lent to it; `speaking` is true from the first clause to the last sample of an answer."""

    def __init__(self, crew: Crew, profile: Profile, speaker: Speaker | None, log: Log) -> None:
        """Begin with an empty history."""
        self._crew, self._profile, self._speaker, self._log = crew, profile, speaker, log
        self._history = History()
        self.speaking = False

    async def warm(self) -> None:
        """Evaluate what every prompt begins with, before the first question: its answer then starts sooner."""
        empty, nothing_more = Question(""), Sampling(max_tokens=0)

        def evaluate(engine: Llm, stop: Stop) -> None:
            prompt = fuse(empty, History(), engine.count, engine.context_tokens, self._profile.prompt)
            for _ in engine.generate(prompt, nothing_more, stop):
                pass

        await need(self._crew.llm).run(evaluate)

    async def turn(self, number: int, heard: str, facts: tuple[Fact, ...] = ()) -> Turn:
        """Answer `heard`, seeing `facts`. A turn that is cut short reports what was said until then."""
        llm, said, text = need(self._crew.llm), Said(), ""
        question = Question(heard, facts, t_ns=self._log.now_ns())
        history = self._history
        prompt = await llm.run(
            lambda engine, _: fuse(question, history, engine.count, engine.context_tokens, self._profile.prompt)
        )
        self._log(PromptFused(self._log.now_ns(), number, prompt.tokens))
        reason: Literal["done", "interrupted", "failed"] = "failed"
        try:
            text = await self._respond(number, prompt, said)
            reason = "done"
            self._history = await llm.run(lambda engine, _: history.add(prompt, text, engine.count))
        except asyncio.CancelledError:
            reason = "interrupted"
            text = " ".join(said.clauses)
            raise
        finally:
            self.speaking = False
            self._log(TurnEnded(self._log.now_ns(), number, reason, heard, text, said.seconds))
        return Turn(prompt, text, said.seconds)

    async def _respond(self, number: int, prompt: Prompt, said: Said) -> str:
        clauses: Channel[str] = Channel(4)
        async with asyncio.TaskGroup() as tasks:
            writing = tasks.create_task(
                answer(need(self._crew.llm), prompt, self._profile.sampling, number, clauses, self._log)
            )
            if self._crew.tts is None or self._speaker is None:
                async for _ in clauses:
                    pass
            else:
                self.speaking = True
                await speak(self._crew.tts, clauses, self._speaker, number, said, self._log)
        return writing.result()
