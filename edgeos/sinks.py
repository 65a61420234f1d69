"""Where the answer's sound goes, by URI: `speaker:` or `speaker:NAME`, `wav:PATH`, `null:`."""

from __future__ import annotations

import asyncio
import os
import tempfile
import wave
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Protocol, Self

import numpy as np

from edgeos.clock import Clock
from edgeos.errors import BadConfig, FileMissing, StoreError
from edgeos.events import Speech

TURN_GAP_S = 0.6
"""Silence that a WAV file gets between two turns."""


class Speaker(Protocol):
    """A sink for speech; an async context manager.

    `live` says that it plays in real time. One task at a time calls `play`; any may call `flush`.
    """

    name: str
    live: bool

    @property
    def played_s(self) -> float:
        """Seconds of speech handed on so far."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    async def play(self, speech: Speech) -> int:
        """Take one clause and return the time (ns) at which its first sample was handed over.

        A live sink holds the caller back until the clauses before this one are out.
        """
        ...

    async def drain(self) -> None:
        """Return when everything taken has been played."""
        ...

    async def flush(self) -> None:
        """Drop what waits and stop the sound now."""
        ...


def open_speaker(uri: str, clock: Clock) -> Speaker:
    """Return the sink for `uri`, which opens on entering.

    `speaker:` is the default device, `speaker:NAME` one whose name contains NAME; `wav:PATH` a file; `null:` nothing.
    Raises `BadConfig` for another URI, `FileMissing` or `StoreError` for a path not to be written, `DeviceMissing`.
    """
    scheme, colon, rest = uri.partition(":")
    if colon and scheme == "null" and not rest:
        return NullSpeaker(clock)
    if colon and scheme == "wav" and rest:
        return WavSpeaker(Path(rest), clock)
    if colon and scheme == "speaker":
        from edgeos.loudspeaker import open_loudspeaker

        return open_loudspeaker(rest, clock)
    raise BadConfig(
        f"speaker {uri!r}",
        expected="speaker:, speaker:NAME, wav:PATH or null:",
        found="another URI",
        fix="write for example `--speaker wav:answer.wav`",
    )


class NullSpeaker:
    """Counts what it is given and lets it go."""

    name = "null:"
    live = False

    def __init__(self, clock: Clock) -> None:
        """Stamp with `clock`."""
        self._clock = clock
        self._played_s = 0.0

    @property
    def played_s(self) -> float:
        """Seconds of speech handed over so far."""
        return self._played_s

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return

    async def play(self, speech: Speech) -> int:
        """Count the clause."""
        self._played_s += len(speech.samples) / speech.rate_hz
        return self._clock.now_ns()

    async def drain(self) -> None:
        """Return at once: nothing waits."""

    async def flush(self) -> None:
        """Return at once: nothing waits."""


class WavSpeaker:
    """One WAV file of the whole conversation, int16 at the rate of the first clause.

    It is written beside its place and takes it when the sink is left, also on Ctrl-C; left by an error, or without a
    sound, nothing changes on disk.
    """

    live = False

    def __init__(self, path: Path, clock: Clock) -> None:
        """Check the folder now, before any model is loaded. Raises `FileMissing`, `StoreError`, `BadConfig`."""
        if path.is_dir():
            raise BadConfig(f"speaker wav:{path}", expected="a file", found="a folder", fix="add a file name")
        if not path.parent.is_dir():
            raise FileMissing(
                f"folder {path.parent}",
                expected="it to exist",
                found="nothing",
                fix=f"`mkdir -p {path.parent}`, or name another file",
            )
        if not os.access(path.parent, os.W_OK | os.X_OK):
            raise StoreError(
                f"folder {path.parent}",
                expected="to be allowed to write",
                found="no permission",
                fix="name a file in a folder of yours",
            )
        self.name = f"wav:{path}"
        self._path, self._clock = path, clock
        self._file: IO[bytes] | None = None
        self._part = path
        self._wav: wave.Wave_write | None = None
        self._turn = 0
        self._rate_hz = 0
        self._frames = 0

    @property
    def played_s(self) -> float:
        """Seconds of speech written so far, without the silence between turns."""
        return self._frames / self._rate_hz if self._rate_hz else 0.0

    async def __aenter__(self) -> Self:
        try:
            handle, part = tempfile.mkstemp(".part", f".{self._path.name}.", self._path.parent)
        except OSError as error:
            raise self._refused(error) from error
        self._file, self._part = os.fdopen(handle, "wb"), Path(part)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is None:
            return
        stopped_cleanly = kind is None or issubclass(kind, (asyncio.CancelledError, KeyboardInterrupt))
        try:
            self._settle(self._file, keep=stopped_cleanly and self._frames > 0)
        except OSError as refused:
            if stopped_cleanly:
                raise self._refused(refused) from refused

    def _settle(self, file: IO[bytes], *, keep: bool) -> None:
        """Complete the temporary file and move it into place, or remove it."""
        part, self._file = self._part, None
        try:
            if keep and self._wav is not None:
                self._wav.close()
                file.flush()
                os.fsync(file.fileno())
                # A temporary file is private; the answer gets the rights that any new file of this person has.
                mask = os.umask(0)
                os.umask(mask)
                part.chmod(0o666 & ~mask)
                part.replace(self._path)
        finally:
            for open_file in (self._wav, file):
                with suppress(OSError):  # a full disk, told already
                    if open_file is not None:
                        open_file.close()
            part.unlink(missing_ok=True)

    async def play(self, speech: Speech) -> int:
        """Write the clause, after a pause where it opens another turn. Raises `StoreError` (a full disk)."""
        if self._file is None:
            raise RuntimeError("enter the sink before playing")
        if self._wav is None:
            self._rate_hz = speech.rate_hz
            self._wav = wave.open(self._file, "wb")  # noqa: SIM115 - lives as long as the sink
            self._wav.setnchannels(1)
            self._wav.setsampwidth(2)
            self._wav.setframerate(speech.rate_hz)
        samples = speech.samples
        if speech.rate_hz != self._rate_hz:
            import soxr

            samples = soxr.resample(samples, speech.rate_hz, self._rate_hz)
        pcm = np.round(np.clip(samples, -1.0, 1.0) * 32767).astype("<i2")
        gap = round(TURN_GAP_S * self._rate_hz) if self._frames and speech.turn != self._turn else 0
        t_ns = self._clock.now_ns()
        try:
            self._wav.writeframes(bytes(2 * gap) + pcm.tobytes())
            self._file.flush()
        except OSError as error:
            raise self._refused(error) from error
        self._turn = speech.turn
        self._frames += len(pcm)
        return t_ns

    async def drain(self) -> None:
        """Return at once: what was taken is written."""

    async def flush(self) -> None:
        """Return at once: what was taken is written."""

    def _refused(self, error: OSError) -> StoreError:
        return StoreError(
            f"file {self._path}",
            expected="to write the answer",
            found=error.strerror or str(error),
            fix="free some space, or name a file elsewhere",
        )
