"""The stages of a conversation: one async function each. They move records and report events; engines do the maths."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import TypeAlias

from edgeos.channel import Channel
from edgeos.clock import Clock
from edgeos.engines import Asr, Llm, Prefilled, Sampling, Tts, Vad, Vision
from edgeos.errors import EdgeosError
from edgeos.events import (
    AudioChunk,
    CameraFrame,
    Clause,
    Event,
    Fact,
    FirstSound,
    FirstToken,
    PromptReady,
    SceneChanged,
    Speech,
    SpeechStarted,
    Token,
    Transcript,
    Utterance,
)
from edgeos.fusion import Prompt
from edgeos.scene import Scene
from edgeos.segment import Segmenter
from edgeos.sentences import Clauser
from edgeos.sinks import Speaker
from edgeos.worker import Worker

Observe: TypeAlias = Callable[[Event], None]
"""The one observer of a conversation."""


@dataclass(frozen=True, slots=True)
class Log:
    """Where stages report: the observer, and the clock that stamps the events."""

    observe: Observe
    clock: Clock

    def __call__(self, event: Event) -> None:
        """Report one event."""
        self.observe(event)

    def now_ns(self) -> int:
        """The time now."""
        return self.clock.now_ns()


async def listen(
    chunks: AsyncIterator[AudioChunk],
    vad: Worker[Vad],
    segmenter: Segmenter,
    out: Channel[Utterance] | Channel[Utterance | str],
    log: Log,
    deaf: Callable[[], bool] = lambda: False,
) -> None:
    """Cut sound into utterances. While `deaf()` holds (we are speaking, half duplex) sound is not listened to.

    Where the source fails, what was said until then still goes out before the error does.
    """

    async def emit(found: list[SpeechStarted | Utterance]) -> None:
        for item in found:
            if isinstance(item, SpeechStarted):
                log(item)
            else:
                await out.send(item)

    was_deaf = False
    try:
        async for chunk in chunks:
            if deaf():
                was_deaf = True
                continue
            if was_deaf:
                was_deaf = False
                await emit(segmenter.finish())
                await vad.run(lambda engine, _: engine.reset())
            await emit(segmenter.feed(chunk, await _speech_in(chunk, vad)))
    except EdgeosError:
        await emit(segmenter.finish())
        raise
    await emit(segmenter.finish())


async def _speech_in(chunk: AudioChunk, vad: Worker[Vad]) -> float:
    return await vad.run(lambda engine, _: engine(chunk.samples))


async def transcribe(asr: Worker[Asr], utterance: Utterance, turn: int, log: Log) -> str:
    """Return the words of one utterance, empty where there are none."""
    begun = perf_counter()
    text = await asr.run(lambda engine, stop: engine.transcribe(utterance.samples, stop))
    log(Transcript(log.now_ns(), turn, text, utterance.t_start_ns, utterance.t_end_ns, (perf_counter() - begun) * 1000))
    return text


class Sight:
    """The current scene: `watch` keeps it, `at` reads it."""

    def __init__(self, eyes: Worker[Vision], log: Log) -> None:
        """Start with nothing seen."""
        self._eyes, self._log = eyes, log
        self._scene = Scene()
        self._seen = asyncio.Condition()
        self._captured_ns = self._looked_ns = 0

    async def watch(self, frames: AsyncIterator[CameraFrame]) -> None:
        """Look at the newest frame, again and again; frames that come meanwhile are replaced by newer ones."""
        newest: Channel[CameraFrame] = Channel(1, "latest")
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._capture(frames, newest))
                async for frame in newest:
                    await self.look(frame)
        finally:
            await self._looked_at(self._captured_ns)  # no more will be: nobody needs to wait for it

    async def _capture(self, frames: AsyncIterator[CameraFrame], newest: Channel[CameraFrame]) -> None:
        async with newest:
            async for frame in frames:
                self._captured_ns = frame.t_ns
                await newest.send(frame)

    async def look(self, frame: CameraFrame) -> None:
        """See one frame: the gate first, the encoders only where something changed."""
        if self._scene.differs(frame):
            begun = perf_counter()
            facts = await self._eyes.run(lambda engine, _: engine.look(frame))
            if self._scene.update(frame, facts):
                self._log(SceneChanged(frame.t_ns, facts, (perf_counter() - begun) * 1000))
        await self._looked_at(frame.t_ns)

    async def _looked_at(self, t_ns: int) -> None:
        async with self._seen:
            self._looked_ns = t_ns
            self._seen.notify_all()

    async def at(self, t_ns: int, max_wait_s: float) -> tuple[Fact, ...]:
        """Return the facts of the newest picture taken at or before `t_ns`, waiting for it to be understood."""
        captured = self._captured_ns
        try:
            async with asyncio.timeout(max_wait_s), self._seen:
                await self._seen.wait_for(lambda: self._looked_ns >= captured)
        except TimeoutError:
            pass  # an older picture answers better than none
        return self._scene.at(t_ns)


async def answer(
    llm: Worker[Llm],
    prompt: Prompt,
    sampling: Sampling,
    turn: int,
    clauses: Channel[str],
    log: Log,
) -> str:
    """Stream the answer: its text to the observer, its clauses to the voice. Returns the whole text."""
    pieces: list[str] = []
    cutter = Clauser()
    begun = perf_counter()

    async def hand_over(ready: list[str]) -> None:
        for clause in ready:
            log(Clause(log.now_ns(), turn, clause))
            await clauses.send(clause)

    async with clauses, llm.stream(lambda engine, stop: engine.generate(prompt, sampling, stop)) as stream:
        async for item in stream:
            if isinstance(item, Prefilled):
                took_ms = (perf_counter() - begun) * 1000
                log(PromptReady(log.now_ns(), turn, item.tokens, item.reused, took_ms))
                continue
            if not pieces:
                log(FirstToken(log.now_ns(), turn))
            pieces.append(item)
            log(Token(log.now_ns(), turn, item))
            await hand_over(cutter.feed(item))
        await hand_over(cutter.finish())
    return "".join(pieces).strip()


@dataclass(slots=True)
class Said:
    """What was handed to the sink so far."""

    clauses: list[str] = field(default_factory=list)
    seconds: float = 0.0


async def synthesize(tts: Worker[Tts], text: str, turn: int) -> Speech:
    """Return one clause as sound."""
    return await tts.run(lambda engine, _: Speech(turn, text, engine.synthesize(text), engine.rate_hz))


async def speak(
    tts: Worker[Tts], clauses: AsyncIterator[str], speaker: Speaker, turn: int, said: Said, log: Log
) -> None:
    """Synthesize and play clause by clause, and return when the last one has been played."""
    async for clause in clauses:
        speech = await synthesize(tts, clause, turn)
        if not speech.samples.size:
            continue
        t_ns = await speaker.play(speech)
        if not said.clauses:
            log(FirstSound(t_ns, turn))
        said.clauses.append(clause)
        said.seconds += speech.samples.size / speech.rate_hz
    await speaker.drain()
