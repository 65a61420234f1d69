"""A real loudspeaker through PortAudio: a thread of its own writes small blocks, so that a flush is heard at once."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self, cast

import numpy as np

from edgeos import portaudio
from edgeos.clock import Clock
from edgeos.errors import DeviceMissing
from edgeos.events import Samples, Speech

_BLOCK_S = 0.02


class Output(Protocol):
    """The part of `sounddevice.OutputStream` that is used; tests and other sound libraries may bring their own."""

    samplerate: float

    def start(self) -> None:
        """Begin to take samples."""

    def write(self, data: Samples) -> object:
        """Take [n] or [n, 1] samples, blocking while the device is busy."""

    def stop(self) -> None:
        """Play what was taken, then stop."""

    def abort(self) -> None:
        """Stop now and forget what was taken."""

    def close(self) -> None:
        """Give the device back."""


@dataclass(slots=True)
class _Item:
    """One clause at the device's rate, and the moment of its first sample."""

    samples: Samples
    started: Future[int] = field(default_factory=Future)


def open_loudspeaker(name: str, clock: Clock) -> Loudspeaker:
    """Return the loudspeaker whose name contains `name`, or the default one. Raises `DeviceMissing`."""
    sounddevice = portaudio.load("loudspeaker", "write to a file with `--speaker wav:answer.wav`")
    wanted = name or None
    try:
        device = sounddevice.query_devices(wanted, "output")
    except (ValueError, sounddevice.PortAudioError) as error:
        names = [d["name"] for d in sounddevice.query_devices() if d["max_output_channels"] > 0]
        raise DeviceMissing(
            f"loudspeaker {name!r}" if name else "loudspeaker",
            expected="a sound card with an output",
            found=", ".join(names) or "no sound card",
            fix="plug one in and see `aplay -l`, or write to a file with `--speaker wav:answer.wav`",
        ) from error

    def connect() -> Output:
        rate_hz = device["default_samplerate"]
        stream: Output = sounddevice.OutputStream(rate_hz, device=wanted, channels=1, dtype="float32", latency="low")
        return stream

    return Loudspeaker(f"speaker:{name}", connect, clock)


class Loudspeaker:
    """A `Speaker` that plays in real time on the device that `connect` opens."""

    live = True

    def __init__(self, name: str, connect: Callable[[], Output], clock: Clock) -> None:
        """Prepare; the device opens on entering."""
        self.name = name
        self._connect, self._clock = connect, clock
        self._output: Output | None = None
        self._rate_hz = 0
        self._waiting: deque[_Item] = deque()
        self._state = threading.Condition()
        self._busy = self._halt = self._closing = False
        self._flushes = 0
        self._lost: Exception | None = None
        self._frames = 0
        self._thread = threading.Thread(target=self._serve, name="edgeos-speaker", daemon=True)

    @property
    def played_s(self) -> float:
        """Seconds of speech handed to the device so far."""
        return self._frames / self._rate_hz if self._rate_hz else 0.0

    async def __aenter__(self) -> Self:
        try:
            self._output = await asyncio.to_thread(self._connect)
        except Exception as error:  # PortAudio's own error type lives in an optional library
            raise self._gone(error) from error
        self._rate_hz = round(self._output.samplerate)
        self._thread.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                await self.drain()
        finally:
            with self._state:
                self._closing = True
                self._drop()
            await asyncio.to_thread(self._thread.join, 5)

    async def play(self, speech: Speech) -> int:
        """Queue the clause and return the time its first sample went to the device.

        A clause that is flushed before that returns the time of the flush. Raises `DeviceMissing` where the device was
        lost.
        """
        flushes = self._flushes
        item = _Item(await asyncio.to_thread(self._at_device_rate, speech))
        with self._state:
            if flushes != self._flushes:
                return self._clock.now_ns()
            if self._lost is not None or self._closing:
                raise self._gone(self._lost or EOFError("closed"))
            self._waiting.append(item)
            self._state.notify_all()
        return await asyncio.wrap_future(item.started)

    async def drain(self) -> None:
        """Return when the device has been given everything and played it. Raises `DeviceMissing` where it was lost."""
        await asyncio.to_thread(self._idle)
        if self._lost is not None:
            raise self._gone(self._lost)

    async def flush(self) -> None:
        """Drop what waits; the sound stops within one block (20 ms)."""
        with self._state:
            self._drop()
        await asyncio.to_thread(self._idle)

    def _drop(self) -> None:
        """Forget what waits and halt the thread; the caller holds the lock."""
        self._halt = True
        self._flushes += 1
        for item in self._waiting:
            if item.started.set_running_or_notify_cancel():
                item.started.set_result(self._clock.now_ns())
        self._waiting.clear()
        self._state.notify_all()

    def _idle(self) -> None:
        with self._state:
            self._state.wait_for(lambda: not (self._busy or self._waiting) or not self._thread.is_alive())

    def _at_device_rate(self, speech: Speech) -> Samples:
        import soxr

        samples: Samples = soxr.resample(speech.samples, speech.rate_hz, self._rate_hz).astype(np.float32)
        return samples

    def _gone(self, error: Exception) -> DeviceMissing:
        return DeviceMissing(
            f"loudspeaker {self.name}",
            expected="it to take sound",
            found=str(error) or type(error).__name__,
            fix="check the plug and `aplay -l`, or write to a file with `--speaker wav:answer.wav`",
        )

    # ------------------------------------------------------------ on the thread

    def _serve(self) -> None:
        output = cast(Output, self._output)
        try:
            while (item := self._take(wait=True)) is not None:
                output.start()
                whole = True
                while item is not None:
                    whole = self._write(output, item)
                    item = self._take(wait=False) if whole else None
                if whole:
                    output.stop()
                else:
                    output.abort()
                self._rest()
        except Exception as error:  # PortAudio's own error type lives in an optional library
            self._lost = error
        finally:
            self._rest(ended=True)
            output.close()

    def _take(self, *, wait: bool) -> _Item | None:
        """Return the next clause; None at the end, or where none is there and `wait` is false."""
        with self._state:
            if wait:
                self._state.wait_for(lambda: self._waiting or self._closing)
            if not self._waiting:
                return None
            self._busy, self._halt = True, False
            return self._waiting.popleft()

    def _write(self, output: Output, item: _Item) -> bool:
        """Hand one clause to the device block by block; false where a flush cut it short."""
        if not item.started.set_running_or_notify_cancel():
            return True  # nobody waits for it any more
        item.started.set_result(self._clock.now_ns())
        block = max(1, round(_BLOCK_S * self._rate_hz))
        for first in range(0, len(item.samples), block):
            if self._halt:
                return False
            piece = item.samples[first : first + block]
            output.write(piece)
            self._frames += len(piece)
        return not self._halt

    def _rest(self, *, ended: bool = False) -> None:
        """Tell those who drain that the device is silent; at the end, also those who still wait to play."""
        with self._state:
            self._busy = False
            if ended:
                for item in self._waiting:
                    if item.started.set_running_or_notify_cancel():
                        item.started.set_exception(self._gone(self._lost or EOFError("closed")))
                self._waiting.clear()
            self._state.notify_all()
