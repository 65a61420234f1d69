"""The wiring of one conversation: which stage is linked to which, from the sources to the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Literal, TypeAlias, TypeVar

from edgeos.channel import Channel
from edgeos.clock import Clock
from edgeos.conversation import Conversation
from edgeos.crew import Crew, Specs, need, open_crew
from edgeos.errors import DeviceMissing, EdgeosError
from edgeos.events import (
    AudioChunk,
    CameraFrame,
    SourceEnded,
    SourceStarted,
    SpeechEnded,
    TurnEnded,
    TurnStarted,
    Utterance,
    Warned,
)
from edgeos.profile import Profile
from edgeos.segment import Segmenter
from edgeos.sinks import Speaker
from edgeos.sources import Source
from edgeos.stages import Log, Observe, Sight, listen, transcribe

R = TypeVar("R", AudioChunk, CameraFrame)
Sense: TypeAlias = Literal["audio", "camera"]


@dataclass(frozen=True, slots=True)
class Senses:
    """How to open what a conversation listens to, looks at and speaks through; None where it has no such thing."""

    typed: Callable[[], AsyncIterator[str]]
    """Questions as text, used where there is no microphone."""
    mic: Callable[[], Source[AudioChunk]] | None = None
    camera: Callable[[], Source[CameraFrame]] | None = None
    speaker: Callable[[], Speaker] | None = None


@dataclass(frozen=True, slots=True)
class _Devices:
    """What could be opened. `live_mic`: the microphone is a device, which hears the loudspeaker too."""

    speaker: Speaker | None
    crew: Crew
    conversation: Conversation
    frames: AsyncIterator[CameraFrame] | None
    chunks: AsyncIterator[AudioChunk] | None
    live_mic: bool


async def converse(specs: Specs, profile: Profile, senses: Senses, observe: Observe, clock: Clock) -> None:
    """Hold a conversation until the questions end. A missing device is reported, and the rest goes on."""
    log = Log(observe, clock)
    async with AsyncExitStack() as stack:
        devices = await _open(stack, specs, profile, senses, log)
        crew, speaker, conversation = devices.crew, devices.speaker, devices.conversation
        sight = Sight(crew.eyes, log) if crew.eyes and devices.frames else None
        questions: Channel[Utterance | str] = Channel(8)
        # Without echo cancellation a live microphone hears a live speaker: listen and speak in turns.
        half_duplex = devices.live_mic and speaker is not None and speaker.live

        def deaf() -> bool:
            return half_duplex and conversation.speaking

        async with asyncio.TaskGroup() as tasks:
            watching = None
            if sight and devices.frames:
                watching = tasks.create_task(_watch(sight, devices.frames, log))
            tasks.create_task(_ask(devices, senses, profile, questions, log, deaf))
            await _answer_all(questions, conversation, crew, sight, profile, log)
            if watching:
                watching.cancel()


async def caption(specs: Specs, profile: Profile, source: Source[AudioChunk], observe: Observe, clock: Clock) -> None:
    """Transcribe every utterance of a source until it ends."""
    log = Log(observe, clock)
    async with open_crew(specs) as crew, source as chunks:
        heard: Channel[Utterance] = Channel(8)
        async with asyncio.TaskGroup() as tasks:
            told = _told(source, chunks, "audio", log)

            async def hear() -> None:
                async with heard:
                    await listen(told, need(crew.vad), Segmenter(profile.listening), heard, log)

            tasks.create_task(hear())
            async for utterance in heard:
                await transcribe(need(crew.asr), utterance, 0, log)


async def observe_scene(specs: Specs, source: Source[CameraFrame], observe: Observe, clock: Clock) -> None:
    """Report every change of the scene until the source ends."""
    log = Log(observe, clock)
    async with open_crew(specs) as crew, source as frames:
        await Sight(need(crew.eyes), log).watch(_told(source, frames, "camera", log))


async def _open(stack: AsyncExitStack, specs: Specs, profile: Profile, senses: Senses, log: Log) -> _Devices:
    """Open files before models load (a wrong one shows at once), devices after (nothing said meanwhile is lost)."""
    mic = senses.mic() if senses.mic else None
    camera = senses.camera() if senses.camera else None
    speaker = None
    if senses.speaker is not None:
        try:
            speaker = await stack.enter_async_context(senses.speaker())
        except DeviceMissing as error:
            log(Warned(log.now_ns(), str(error)))
    frames = await _enter(stack, camera, "camera", log) if camera and not camera.live else None
    chunks = await _enter(stack, mic, "audio", log) if mic and not mic.live else None
    crew = await stack.enter_async_context(open_crew(specs, lambda error: log(Warned(log.now_ns(), str(error)))))
    conversation = Conversation(crew, profile, speaker, log)
    await conversation.warm()
    if camera and camera.live:
        frames = await _enter(stack, camera, "camera", log)
    if mic and mic.live:
        chunks = await _enter(stack, mic, "audio", log)
    return _Devices(speaker, crew, conversation, frames, chunks, live_mic=mic is not None and mic.live)


async def _enter(stack: AsyncExitStack, source: Source[R], kind: Sense, log: Log) -> AsyncIterator[R] | None:
    """Open a source and say what it warns of; a device that is not there is reported, and None."""
    try:
        records = await stack.enter_async_context(source)
    except DeviceMissing as error:
        log(Warned(log.now_ns(), str(error)))
        return None
    for text in source.warnings:
        log(Warned(log.now_ns(), text))
    return _told(source, records, kind, log)


async def _answer_all(
    questions: Channel[Utterance | str],
    conversation: Conversation,
    crew: Crew,
    sight: Sight | None,
    profile: Profile,
    log: Log,
) -> None:
    number = 0
    async for question in questions:
        number += 1
        asked_ns = log.now_ns()
        if isinstance(question, Utterance):
            asked_ns = question.t_end_ns
            log(SpeechEnded(asked_ns, number))
        log(TurnStarted(log.now_ns(), number))
        text = question if isinstance(question, str) else await transcribe(need(crew.asr), question, number, log)
        if not text:
            log(TurnEnded(log.now_ns(), number, "nothing heard"))
            continue
        facts = await sight.at(asked_ns, profile.camera.max_wait_s) if sight else ()
        await conversation.turn(number, text, facts)


async def _ask(
    devices: _Devices,
    senses: Senses,
    profile: Profile,
    questions: Channel[Utterance | str],
    log: Log,
    deaf: Callable[[], bool],
) -> None:
    """Put every question into the channel: spoken, or typed where there is no microphone (any more)."""
    async with questions:
        if devices.chunks:
            try:
                segmenter = Segmenter(profile.listening)
                return await listen(devices.chunks, need(devices.crew.vad), segmenter, questions, log, deaf)
            except DeviceMissing as error:
                log(Warned(log.now_ns(), str(error)))
        log(Warned(log.now_ns(), "Type your questions here, one a line."))
        async for line in senses.typed():
            await questions.send(line)
    return None


async def _watch(sight: Sight, frames: AsyncIterator[CameraFrame], log: Log) -> None:
    """Watch; a camera that fails leaves a conversation without one."""
    try:
        await sight.watch(frames)
    except* EdgeosError as errors:
        for error in errors.exceptions:
            log(Warned(log.now_ns(), str(error)))


async def _told(source: Source[R], records: AsyncIterator[R], kind: Sense, log: Log) -> AsyncIterator[R]:
    """Pass records on, reporting when the source begins and ends."""
    begun = False
    async for record in records:
        if not begun:
            begun = True
            log(SourceStarted(record.t_ns, source.name, kind))
        yield record
    log(SourceEnded(log.now_ns(), source.name, kind, source.dropped))
