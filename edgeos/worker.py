"""Where synchronous compute meets the event loop: one thread builds and owns one engine."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import Future
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Generic, Protocol, TypeAlias, TypeVar, cast

from edgeos import memory
from edgeos.channel import Channel, ChannelClosed

E_co = TypeVar("E_co", covariant=True)
E = TypeVar("E")
T = TypeVar("T")

Stop: TypeAlias = Callable[[], bool]
"""Polled by long calls; true means: return now."""


class Spec(Protocol[E_co]):
    """A small frozen description from which a worker builds its engine."""

    def build(self) -> E_co:
        """Load the model and return the engine. Runs on the worker's thread."""
        ...


_Job: TypeAlias = "tuple[Future[Any], Callable[[Any], Any]]"


class Worker(Generic[E]):
    """`async with Worker("asr", spec) as worker: await worker.run(lambda asr, stop: asr.transcribe(samples, stop))`.

    Entering builds the engine and raises what building raised. Cancelling a `run` sets its stop flag and leaves at
    once; the next call waits on the thread until the engine has noticed.
    """

    def __init__(self, name: str, spec: Spec[E]) -> None:
        """Prepare; the thread starts on entering."""
        self._name, self._spec = name, spec
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    async def __aenter__(self) -> Worker[E]:
        built: Future[None] = Future()
        self._thread = threading.Thread(target=self._serve, args=(built,), name=f"edgeos-{self._name}", daemon=True)
        self._thread.start()
        try:
            await asyncio.wrap_future(built)
        except BaseException:
            self._jobs.put(None)  # who leaves early is not there to end the thread
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._jobs.put(None)
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, 10)

    def _serve(self, built: Future[None]) -> None:
        built.set_running_or_notify_cancel()  # from here on, who waits may leave: the result is still set
        try:
            engine = self._spec.build()
            memory.trim()
        except BaseException as error:
            built.set_exception(error)
            return
        built.set_result(None)
        while (job := self._jobs.get()) is not None:
            future, call = job
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(call(engine))
            except BaseException as error:
                future.set_exception(error)
        close = getattr(engine, "close", None)
        if close is not None:
            close()

    async def run(self, call: Callable[[E, Stop], T]) -> T:
        """Run `call(engine, stop)` on the thread and return its result."""
        stopped = threading.Event()
        future: Future[T] = Future()
        self._jobs.put((future, lambda engine: call(cast(E, engine), stopped.is_set)))
        try:
            return await asyncio.wrap_future(future)
        finally:
            stopped.set()

    @asynccontextmanager
    async def stream(
        self, call: Callable[[E, Stop], Iterable[T]], capacity: int = 64
    ) -> AsyncIterator[AsyncIterator[T]]:
        """Iterate over what `call(engine, stop)` yields; leaving the block stops the engine and waits for it."""
        loop = asyncio.get_running_loop()
        items: Channel[T] = Channel(capacity)
        stopped = threading.Event()
        future: Future[None] = Future()

        def pump(engine: object) -> None:
            try:
                for item in call(cast(E, engine), stopped.is_set):
                    asyncio.run_coroutine_threadsafe(items.send(item), loop).result()
                    if stopped.is_set():
                        return
            except ChannelClosed:
                return
            finally:
                asyncio.run_coroutine_threadsafe(items.close(), loop).result()

        self._jobs.put((future, pump))
        done = asyncio.wrap_future(future)

        async def received() -> AsyncIterator[T]:
            async for item in items:
                yield item
            await done

        try:
            yield received()
        finally:
            stopped.set()
            await items.close()
            await asyncio.wait({done})
