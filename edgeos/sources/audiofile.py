"""Sound files to 16 kHz mono: the only file that imports soundfile (libsndfile) and, for files, soxr."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgeos.errors import BadAudio, FileMissing
from edgeos.events import CHUNK, RATE_HZ, Samples

if TYPE_CHECKING:
    from soundfile import SoundFile

_log = logging.getLogger(__name__)

LONGEST_S = 4 * 3600
"""Longer files are refused: 4 h of 16 kHz float32 are 0.9 GB."""

_SLOWEST_HZ, _FASTEST_HZ = 4_000, 768_000
_BLOCK = 1 << 16
"""Frames decoded at a time, so that a long file needs little more memory than its result."""

_LOUDEST = 16.0
"""Float files overshoot 1.0 a little; a peak far above it means integers stored as floats."""

_SLACK_BYTES = 64
"""Writers disagree about padding and header bytes; less than this missing is not a cut."""

_PLACEHOLDER = 64
"""A copy that broke off lacks a part; a claim of more than this many times what is there was never a length."""

_CONVERT = "convert it, for example `ffmpeg -i FILE -ar 16000 -ac 1 out.wav`"
_SIZE = re.compile(r"^\s*(?:riff|data|SSND|Data Size)\s*: (\d+) \(should be (\d+)\)", re.MULTILINE)


def read(path: Path, warn: Callable[[str], None] = _log.warning) -> Samples:
    """Return the whole file as [n] float32 at 16 kHz, channels averaged, resampled with soxr HQ.

    Takes what libsndfile takes: WAV (int, float, mu-law), FLAC, OGG, MP3, AIFF and more. Raises `FileMissing`, and
    `BadAudio` for what is not sound, has less than 32 ms, lasts longer than 4 h, was cut short or holds values that are
    not numbers. An MP3 without a frame count in its header cannot show that it was cut.

    A header that claims more than 64 times what is there was never filled in (written to a pipe, or trimmed by a tool
    that left it alone): what is there is read, and `warn` is told.
    """
    _check_file(path)
    with path.open("rb") as handle, _open(path, handle.fileno()) as sound:
        _check_header(path, sound, warn)
        pieces = list(_resampled(sound.samplerate, _blocks(path, sound)))
    samples = np.concatenate(pieces) if pieces else np.zeros(0, np.float32)
    if len(samples) < CHUNK:
        raise BadAudio(
            f"sound file {path}", expected="at least 32 ms", found=f"{len(samples)} samples", fix="record it again"
        )
    return np.clip(samples, -1.0, 1.0, out=samples)


def _check_file(path: Path) -> None:
    if not path.exists():
        raise FileMissing(f"sound file {path}", expected="a file", found="nothing there", fix="check the path")
    if not path.is_file():
        raise BadAudio(f"sound file {path}", expected="a file", found="a folder or a device", fix="name one sound file")
    if path.stat().st_size == 0:
        raise BadAudio(f"sound file {path}", expected="sound", found="an empty file", fix="record or download it again")


def _open(path: Path, handle: int) -> SoundFile:
    """Open by file descriptor: by name, soundfile would take `x.raw` for headerless samples."""
    import soundfile

    try:
        return soundfile.SoundFile(handle, closefd=False)
    except (soundfile.LibsndfileError, TypeError, ValueError) as error:
        raise BadAudio(
            f"sound file {path}",
            expected="WAV, FLAC, OGG, MP3 or another format of libsndfile",
            found=str(error).split(": ", 1)[-1].rstrip("."),
            fix=_CONVERT,
        ) from error


def _check_header(path: Path, sound: SoundFile, warn: Callable[[str], None]) -> None:
    """Refuse what the header already tells: libsndfile itself clamps a false length in silence, and only logs it."""
    rate, log = sound.samplerate, sound.extra_info
    if not _SLOWEST_HZ <= rate <= _FASTEST_HZ:
        raise BadAudio(
            f"sound file {path}",
            expected=f"a sample rate of {_SLOWEST_HZ} to {_FASTEST_HZ} Hz",
            found=f"{rate} Hz",
            fix=_CONVERT,
        )
    if sound.frames > LONGEST_S * rate:
        raise BadAudio(
            f"sound file {path}",
            expected=f"at most {LONGEST_S // 3600} h",
            found=f"{sound.frames / rate / 3600:.1f}",
            fix="cut it into shorter files",
        )
    for claimed, there in ((int(a), int(b)) for a, b in _SIZE.findall(log)):
        if claimed > _PLACEHOLDER * there:
            warn(f"sound file {path}: its header claims {claimed} bytes, {there} are there and were read")
        elif claimed > there + _SLACK_BYTES:
            raise _cut(path, f"{claimed} bytes as its header says", f"{there} bytes")
    if "does not match value from 'ds64'" in log:
        raise _cut(path, "as many frames as its header says", f"{sound.frames} frames")
    if "lacks an end-of-stream bit" in log:
        raise _cut(path, "an Ogg stream with its last page", "a stream without it")


def _cut(path: Path, expected: str, found: str) -> BadAudio:
    return BadAudio(
        f"sound file {path} was cut short",
        expected=expected,
        found=found,
        fix="copy or download it again, or keep what is there with `ffmpeg -i FILE out.wav`",
    )


def _blocks(path: Path, sound: SoundFile) -> Iterator[Samples]:
    """Decode to mono blocks, [up to 65536] float32 at the file's own rate."""
    import soundfile

    claimed, there = sound.frames, 0
    try:
        while len(block := sound.read(_BLOCK, dtype="float32", always_2d=True)):
            there += len(block)
            peak = np.abs(block).max()
            if not np.isfinite(peak):
                raise BadAudio(f"sound file {path}", expected="numbers", found="NaN or infinity", fix="export it again")
            if peak > _LOUDEST:
                raise BadAudio(
                    f"sound file {path}",
                    expected="values within -1..1",
                    found=f"{peak:.0f}",
                    fix="divide by 32768, or store integers as integers",
                )
            yield block.mean(axis=1, dtype=np.float32)
    except soundfile.LibsndfileError as error:
        raise _cut(path, f"{claimed} frames", f"damage near frame {there} ({error})") from error
    if there < claimed:
        raise _cut(path, f"{claimed} frames as its header says", f"{there} frames")


def _resampled(rate_hz: int, blocks: Iterator[Samples]) -> Iterator[Samples]:
    """Resample block by block with the filter's state carried over; nothing is lost or added at the ends."""
    if rate_hz == RATE_HZ:
        yield from blocks
        return
    import soxr

    stream = soxr.ResampleStream(rate_hz, RATE_HZ, 1, dtype="float32", quality="HQ")
    for block in blocks:
        yield stream.resample_chunk(block)
    yield stream.resample_chunk(np.zeros(0, np.float32), last=True)
