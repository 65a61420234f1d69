"""The engines of a conversation: from what each is built, and the workers that run them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from edgeos import memory
from edgeos.engines import Asr, Llm, Tts, Vad, Vision
from edgeos.errors import BadConfig, DependencyMissing, EdgeosError
from edgeos.worker import Spec, Worker

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Specs:
    """From what each engine is built; None where this conversation needs no such engine."""

    llm: Spec[Llm] | None = None
    vad: Spec[Vad] | None = None
    asr: Spec[Asr] | None = None
    eyes: Spec[Vision] | None = None
    tts: Spec[Tts] | None = None


@dataclass(frozen=True, slots=True)
class Crew:
    """The open engines."""

    llm: Worker[Llm] | None
    vad: Worker[Vad] | None
    asr: Worker[Asr] | None
    eyes: Worker[Vision] | None
    tts: Worker[Tts] | None


def need(worker: Worker[T] | None) -> Worker[T]:
    """Return the worker. Raises `BadConfig` where the profile names no model for this job."""
    if worker is None:
        raise BadConfig("profile", expected="a model for every job", found="one missing", fix="add it under [models]")
    return worker


@asynccontextmanager
async def open_crew(specs: Specs, warn: Callable[[EdgeosError], None] | None = None) -> AsyncIterator[Crew]:
    """Load every engine that is specified, each on its own worker.

    Where `warn` is given, a voice whose optional package is missing is reported to it and left out.
    """
    memory.be_thrifty()
    async with AsyncExitStack() as stack:

        async def start(name: str, spec: Spec[T] | None) -> Worker[T] | None:
            return None if spec is None else await stack.enter_async_context(Worker(name, spec))

        async def start_voice() -> Worker[Tts] | None:
            try:
                return await start("tts", specs.tts)
            except DependencyMissing as error:
                if warn is None:
                    raise
                warn(error)
                return None

        yield Crew(
            llm=await start("llm", specs.llm),
            vad=await start("vad", specs.vad),
            asr=await start("asr", specs.asr),
            eyes=await start("eyes", specs.eyes),
            tts=await start_voice(),
        )
