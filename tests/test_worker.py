import asyncio
import threading
import time

import pytest

from edgeos.errors import ModelIncompatible
from edgeos.testing import Ready
from edgeos.worker import Worker


class Engine:
    def __init__(self):
        self.threads, self.closed = set(), False

    def work(self, value):
        self.threads.add(threading.current_thread().name)
        return value * 2

    def close(self):
        self.closed = True


class Broken:
    def build(self):
        raise ModelIncompatible("model x", found="nonsense")


def test_calls_run_on_the_one_thread_and_the_engine_is_closed():
    async def main():
        engine = Engine()
        async with Worker("w", Ready(engine)) as worker:
            results = await asyncio.gather(*(worker.run(lambda e, _, i=i: e.work(i)) for i in range(5)))
        assert results == [0, 2, 4, 6, 8]
        assert engine.threads == {"edgeos-w"}
        assert engine.closed

    asyncio.run(main())


def test_what_building_and_calling_raise_arrives():
    async def main():
        with pytest.raises(ModelIncompatible, match="nonsense"):
            async with Worker("w", Broken()):
                pass
        async with Worker("w", Ready(Engine())) as worker:
            with pytest.raises(ZeroDivisionError):
                await worker.run(lambda e, _: 1 / 0)
            assert await worker.run(lambda e, _: e.work(4)) == 8, "an error does not end the worker"

    asyncio.run(main())


def test_cancelling_a_call_sets_its_stop_flag():
    async def main():
        noticed = threading.Event()

        def long(_, stop):
            while not stop():
                time.sleep(0.001)
            noticed.set()

        async with Worker("w", Ready(Engine())) as worker:
            task = asyncio.ensure_future(worker.run(long))
            await asyncio.sleep(0.02)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await worker.run(lambda e, _: e.work(1)) == 2, "the next call waits until the engine has noticed"
            assert noticed.is_set()

    asyncio.run(main())


def endless(_, stop):
    n = 0
    while not stop():
        yield n
        n += 1


def test_leaving_a_stream_stops_the_engine():
    async def main():
        async with Worker("w", Ready(Engine())) as worker:
            async with worker.stream(endless, capacity=2) as items:
                got = []
                async for item in items:
                    got.append(item)
                    if item == 10:
                        break
            assert got == list(range(11))
            assert await worker.run(lambda e, _: e.work(3)) == 6

    asyncio.run(main())


def test_a_stream_delivers_everything_and_then_the_error():
    def two_then_fail(_, stop):
        yield 1
        yield 2
        raise ValueError("three")

    async def main():
        got = []
        async with Worker("w", Ready(Engine())) as worker:
            with pytest.raises(ValueError, match="three"):
                async with worker.stream(two_then_fail) as items:
                    async for item in items:
                        got.append(item)
        assert got == [1, 2]

    asyncio.run(main())


def test_leaving_while_the_engine_is_built_ends_the_thread():
    """The build goes on (native code cannot be interrupted); its thread ends after it."""

    class Slow:
        def build(self):
            time.sleep(0.2)
            return Engine()

    async def main():
        worker = Worker("slow", Slow())
        entering = asyncio.ensure_future(worker.__aenter__())
        await asyncio.sleep(0.05)
        entering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await entering

    asyncio.run(main())
    deadline = time.monotonic() + 5
    while any(t.name == "edgeos-slow" for t in threading.enumerate()) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not any(t.name == "edgeos-slow" for t in threading.enumerate())
