"""Streaming sound: `mic:`, `mic:NAME`, `wav:PATH[?pace=fast]` and `null:`, all as 32 ms chunks of 16 kHz mono."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgeos import portaudio
from edgeos.clock import Clock
from edgeos.errors import BadConfig, DeviceMissing
from edgeos.events import CHUNK, RATE_HZ, AudioChunk, Samples
from edgeos.segment import CHUNK_NS
from edgeos.sources import Source, audiofile

_INSTEAD = "use a file with `--mic wav:question.wav`"

FIRST_SOUND_S, SILENT_S = 5.0, 1.0
"""A microphone that delivers nothing for so long is lost; a wireless one takes seconds to begin."""

_HELD_S = 10.0
"""Sound kept while nobody takes it; more is dropped from the old end."""

_DRIFT_NS = 250_000_000
"""Sound cards run a little fast or slow, and lose blocks: beyond this the stamps are set by the clock anew."""

OnSound: TypeAlias = Callable[[NDArray[np.float32], int, Any, Any], None]
"""What PortAudio calls: [frames, channels] float32, frames, times, status."""


class Input(Protocol):
    """The part of `sounddevice.InputStream` that is used; tests and other sound libraries may bring their own."""

    samplerate: float

    def start(self) -> None:
        """Begin to deliver."""

    def close(self) -> None:
        """Stop, and give the device back."""


def open_audio(uri: str, clock: Clock) -> Source[AudioChunk]:
    """Return the source that a URI names, not yet entered. Raises `BadConfig`.

    `mic:` the default microphone, `mic:NAME` one whose name contains NAME (or its number), `wav:PATH` any sound file in
    real time by the clock, `wav:PATH?pace=fast` without waiting, `null:` nothing.
    """
    scheme, colon, rest = uri.partition(":")
    path, _, query = rest.partition("?pace=")
    match scheme, bool(colon):
        case "mic", True:
            return Microphone(uri, lambda on_sound: _connect(rest, on_sound), clock)
        case "wav", True if path and query in {"", "fast", "real"}:
            return _File(uri, Path(path).expanduser(), clock, fast=query == "fast")
        case "null", True if not rest:
            return _Nothing(uri)
        case _:
            raise BadConfig(
                f"audio source {uri!r}",
                expected="mic:, mic:NAME, wav:PATH, wav:PATH?pace=fast or null:",
                found="another scheme" if scheme not in {"mic", "wav", "null"} else "a part that does not fit",
                fix="see `edgeos run --help`",
            )


class _File:
    """A sound file as if it were spoken now: a chunk comes when its last sample would have been captured."""

    live = False
    dropped = 0

    def __init__(self, name: str, path: Path, clock: Clock, *, fast: bool) -> None:
        self.name, self._path, self._clock, self._fast = name, path, clock, fast
        self.warnings: list[str] = []

    async def __aenter__(self) -> AsyncIterator[AudioChunk]:
        # The whole file is read before its first chunk is given, so that a damaged one is refused and not half heard.
        samples = await asyncio.to_thread(audiofile.read, self._path, self.warnings.append)
        return self._chunks(np.pad(samples, (0, -len(samples) % CHUNK)))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    async def _chunks(self, samples: Samples) -> AsyncIterator[AudioChunk]:
        start_ns = self._clock.now_ns()
        for k, chunk in enumerate(samples.reshape(-1, CHUNK)):
            t_ns = start_ns + k * CHUNK_NS
            if self._fast:
                await asyncio.sleep(0)
            else:
                await self._clock.sleep_until(t_ns + CHUNK_NS)
            yield AudioChunk(chunk, t_ns)


class _Nothing:
    """No sound at all: it ends at once."""

    live = False
    dropped = 0

    def __init__(self, name: str) -> None:
        self.name = name
        self.warnings: list[str] = []

    async def __aenter__(self) -> AsyncIterator[AudioChunk]:
        return self._chunks()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    async def _chunks(self) -> AsyncIterator[AudioChunk]:
        nothing: tuple[AudioChunk, ...] = ()
        for chunk in nothing:
            yield chunk


class Microphone:
    """A live device at its own rate. Its callback only copies; resampling happens where the chunks are taken."""

    live = True

    def __init__(self, name: str, connect: Callable[[OnSound], Input], clock: Clock) -> None:
        """`connect` opens the device, on entering; it may block."""
        self.name, self.dropped = name, 0
        self.warnings: list[str] = []
        self._connect, self._clock = connect, clock
        self._ready = asyncio.Event()
        self._lock = threading.Lock()
        self._blocks: deque[Samples] = deque()
        self._held = self._lost = self._heard_ns = 0

    async def __aenter__(self) -> AsyncIterator[AudioChunk]:
        self._loop = asyncio.get_running_loop()
        self._input = await asyncio.to_thread(self._connect, self._on_sound)
        self._rate_hz = float(self._input.samplerate)
        await asyncio.to_thread(self._input.start)
        return self._chunks()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self._input.close)

    def _on_sound(self, block: NDArray[np.float32], frames: int, _times: Any, status: Any) -> None:
        """Take a block on PortAudio's own thread, which must not wait; the first channel only."""
        samples = block[:, 0].copy()
        with self._lock:
            self.dropped += bool(status and status.input_overflow)
            while self._blocks and self._held + frames > _HELD_S * self._rate_hz:
                oldest = len(self._blocks.popleft())
                self._held, self._lost, self.dropped = self._held - oldest, self._lost + oldest, self.dropped + 1
            self._blocks.append(samples)
            self._held += frames
            self._heard_ns = self._clock.now_ns()
        with suppress(RuntimeError):  # the loop has ended before the device
            self._loop.call_soon_threadsafe(self._ready.set)

    async def _chunks(self) -> AsyncIterator[AudioChunk]:
        import soxr

        resampler = soxr.ResampleStream(self._rate_hz, RATE_HZ, 1, dtype="float32", quality="HQ")
        rest = np.zeros(0, np.float32)
        start_ns, taken, given = None, 0, 0
        while True:
            block, heard_ns = await self._next(SILENT_S if taken else FIRST_SOUND_S)
            taken += len(block)
            behind_ns = heard_ns - round(taken / self._rate_hz * 1e9)
            if start_ns is None or abs(behind_ns - start_ns) > _DRIFT_NS:
                start_ns = behind_ns
            rest = np.concatenate([rest, np.clip(resampler.resample_chunk(block), -1.0, 1.0)])
            while len(rest) >= CHUNK:
                yield AudioChunk(rest[:CHUNK], start_ns + given * CHUNK_NS)
                rest, given = rest[CHUNK:], given + 1

    async def _next(self, patience_s: float) -> tuple[Samples, int]:
        """Return all sound since the last call, what was dropped as silence, and when its last sample came."""
        try:
            await asyncio.wait_for(self._ready.wait(), patience_s)
        except TimeoutError:
            raise DeviceMissing(
                f"microphone {self.name!r} lost",
                expected="sound all the time",
                found=f"nothing for {patience_s:.0f} s",
                fix="plug it in again and see `arecord -l`",
            ) from None
        self._ready.clear()
        with self._lock:
            pieces = [np.zeros(self._lost, np.float32), *self._blocks]
            self._blocks.clear()
            self._held = self._lost = 0
            return np.concatenate(pieces), self._heard_ns


def devices() -> list[str]:
    """Return the names of all microphones. Raises `DeviceMissing` where PortAudio is not installed."""
    return [
        device["name"]
        for device in portaudio.load("microphone", _INSTEAD).query_devices()
        if device["max_input_channels"] > 0
    ]


def _connect(name: str, on_sound: OnSound) -> Input:
    """Open the microphone whose name contains `name` (or of that number, or the default) at its own rate."""
    sounddevice = portaudio.load("microphone", _INSTEAD)
    wanted = int(name) if name.isdigit() else name or None
    try:
        device = sounddevice.query_devices(wanted, "input")
        rate_hz, channels = device["default_samplerate"], 1
        try:
            sounddevice.check_input_settings(wanted, channels, "float32", None, rate_hz)
        except sounddevice.PortAudioError:
            channels = device["max_input_channels"]  # raw ALSA devices do not mix down
        stream: Input = sounddevice.InputStream(
            rate_hz, device=wanted, channels=channels, dtype="float32", latency="low", callback=on_sound
        )
    except (ValueError, sounddevice.PortAudioError) as error:
        raise DeviceMissing(
            f"microphone {name!r}" if name else "microphone",
            expected="a sound card with an input",
            found=f"{', '.join(devices()) or 'no sound card'} ({error})",
            fix=f"plug one in and see `arecord -l`, or {_INSTEAD}",
        ) from error
    return stream
