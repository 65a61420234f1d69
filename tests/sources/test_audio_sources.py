"""Streaming sound: files by the clock, a microphone of any rate that may stall or vanish, URIs that name neither."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading

import numpy as np
import pytest
import soundfile

from edgeos.clock import MonotonicClock
from edgeos.errors import BadAudio, BadConfig, DeviceMissing, FileMissing
from edgeos.segment import CHUNK_NS
from edgeos.sources import audio
from edgeos.sources.audio import Microphone, open_audio
from edgeos.testing import VirtualClock


async def all_of(source):
    async with source as chunks:
        return [chunk async for chunk in chunks]


@pytest.fixture
def recording(tmp_path):
    path = tmp_path / "tone.wav"
    soundfile.write(path, 0.5 * np.sin(np.arange(22_050) / 5), 22_050)
    return path


def test_a_file_is_given_in_whole_chunks_the_last_one_padded(recording):
    chunks = asyncio.run(all_of(open_audio(f"wav:{recording}", VirtualClock())))
    assert len(chunks) == 32  # 16000 samples are 31.25 chunks
    assert all(chunk.samples.shape == (512,) and chunk.samples.dtype == np.float32 for chunk in chunks)
    assert chunks[-1].samples[:128].any()
    assert not chunks[-1].samples[128:].any()
    assert np.diff([chunk.t_ns for chunk in chunks]).tolist() == [CHUNK_NS] * 31


def test_a_chunk_comes_when_its_last_sample_would_have_been_heard(recording):
    clock = VirtualClock()

    async def lateness():
        async with open_audio(f"wav:{recording}", clock) as chunks:
            return {clock.now_ns() - chunk.t_ns async for chunk in chunks}

    assert asyncio.run(lateness()) == {CHUNK_NS}


def test_fast_does_not_wait(recording):
    clock = VirtualClock()
    before = clock.now_ns()
    chunks = asyncio.run(all_of(open_audio(f"wav:{recording}?pace=fast", clock)))
    assert clock.now_ns() == before
    assert [chunk.t_ns - before for chunk in chunks] == [k * CHUNK_NS for k in range(32)]


def test_null_ends_at_once():
    source = open_audio("null:", VirtualClock())
    assert asyncio.run(all_of(source)) == []
    assert (source.name, source.live, source.dropped) == ("null:", False, 0)


@pytest.mark.parametrize(
    "uri", ["", "mic", "http://example.org/a.wav", "speaker:", "wav:", "wav:a.wav?pace=slow", "null:x", "question.wav"]
)
def test_other_uris_are_refused_with_the_list_of_schemes(uri):
    with pytest.raises(BadConfig, match=r"mic:, mic:NAME, wav:PATH, wav:PATH\?pace=fast or null:"):
        open_audio(uri, VirtualClock())


def test_a_bad_file_is_refused_on_entering(tmp_path):
    (tmp_path / "notes.wav").write_text("not a sound")
    with pytest.raises(BadAudio, match="notes"):
        asyncio.run(all_of(open_audio(f"wav:{tmp_path}/notes.wav", VirtualClock())))
    with pytest.raises(FileMissing, match="none"):
        asyncio.run(all_of(open_audio(f"wav:{tmp_path}/none.wav", VirtualClock())))


# ---------------------------------------------------------------- microphone


class Device:
    """A sound card: `play` hands blocks to the callback from another thread, as PortAudio does."""

    def __init__(self, rate_hz):
        self.samplerate, self.closed, self.started = rate_hz, False, False

    def connect(self, on_sound):
        self.on_sound = on_sound
        return self

    def start(self):
        self.started = True

    def close(self):
        self.closed = True

    def play(self, samples, block=441, status=None):
        def run():
            buffer = np.zeros((block, 2), np.float32)
            for at in range(0, len(samples) - block + 1, block):
                buffer[:, 0] = samples[at : at + block]
                self.on_sound(buffer, block, None, status)
            buffer[:] = 9.0  # PortAudio uses its buffer again

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()


async def take(device, samples, n, clock=None, **how):
    microphone = Microphone("mic:", device.connect, clock or VirtualClock())
    async with microphone as chunks:
        device.play(samples, **how)
        return [await anext(chunks) for _ in range(n)], microphone


@pytest.mark.parametrize("rate_hz", [16_000, 44_100, 48_000])
def test_the_devices_own_rate_becomes_16_khz_without_seams(rate_hz):
    device = Device(rate_hz)
    seconds = 2
    sound = 0.5 * np.sin(2 * np.pi * 440 * np.arange(seconds * rate_hz) / rate_hz).astype(np.float32)
    chunks, microphone = asyncio.run(take(device, sound, 55))
    got = np.concatenate([chunk.samples for chunk in chunks])
    wanted = 0.5 * np.sin(2 * np.pi * 440 * np.arange(len(got)) / 16_000)
    assert np.abs(got - wanted)[400:].max() < 1e-3
    assert np.diff([chunk.t_ns for chunk in chunks]).tolist() == [CHUNK_NS] * 54
    assert device.started
    assert device.closed
    assert microphone.live
    assert microphone.dropped == 0


def test_stamps_are_capture_times():
    clock = VirtualClock()
    chunks, _ = asyncio.run(take(Device(16_000), np.ones(16_000, np.float32), 30, clock, block=500))
    assert chunks[0].t_ns == clock.now_ns() - 1_000_000_000


def test_sound_that_nobody_takes_is_counted_and_becomes_silence_of_the_same_length():
    sound = np.ones(14 * 16_000, np.float32)
    chunks, microphone = asyncio.run(take(Device(16_000), sound, 437, block=1_600))
    got = np.concatenate([chunk.samples for chunk in chunks])
    assert microphone.dropped == 40
    assert not got[: 4 * 16_000].any()
    assert got[4 * 16_000 :].all()


def test_an_overflow_inside_the_driver_is_counted():
    class Status:
        input_overflow = True

    _, microphone = asyncio.run(take(Device(16_000), np.ones(16_000, np.float32), 10, block=1_600, status=Status()))
    assert microphone.dropped == 10


def test_a_clock_that_drifts_away_from_the_device_sets_the_stamps_anew():
    clock, device = VirtualClock(), Device(16_000)

    async def stamps():
        async with Microphone("mic:", device.connect, clock) as chunks:
            device.play(np.ones(5_120, np.float32), block=512)
            first = [await anext(chunks) for _ in range(10)]
            await clock.sleep_until(clock.now_ns() + 3_000_000_000)
            device.play(np.ones(512, np.float32), block=512)
            return first[-1].t_ns, (await anext(chunks)).t_ns

    before, after = asyncio.run(stamps())
    assert after - before == 3_000_000_000
    assert after == clock.now_ns() - CHUNK_NS


def test_a_microphone_that_falls_silent_is_lost(monkeypatch):
    monkeypatch.setattr(audio, "SILENT_S", 0.05)
    device = Device(16_000)

    async def listen():
        async with Microphone("mic:USB", device.connect, MonotonicClock()) as chunks:
            device.play(np.ones(16_000, np.float32), block=1_600)
            async for _ in chunks:
                pass

    with pytest.raises(DeviceMissing, match=r"mic:USB.* lost.*arecord -l"):
        asyncio.run(listen())
    assert device.closed


def test_a_callback_after_the_end_does_nothing():
    device = Device(16_000)
    asyncio.run(take(device, np.ones(16_000, np.float32), 1, block=1_600))
    device.play(np.ones(16_000, np.float32), block=1_600)


def test_without_portaudio_or_a_sound_card_the_fix_is_named():
    """In a process of its own: what is installed here decides which of the three it is."""
    script = (
        "import asyncio\n"
        "from edgeos.clock import MonotonicClock\n"
        "from edgeos.errors import DeviceMissing\n"
        "from edgeos.sources.audio import devices, open_audio\n"
        "async def main():\n"
        "    async with open_audio('mic:no such microphone', MonotonicClock()): pass\n"
        "try: asyncio.run(main())\n"
        "except DeviceMissing as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert "libportaudio2" in done.stdout or "arecord -l" in done.stdout
    assert "--mic wav:" in done.stdout
