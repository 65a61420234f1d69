"""Sinks: WAV files that are whole or absent, the null sink, and the loudspeaker's thread on a device in memory."""

from __future__ import annotations

import asyncio
import resource
import threading
import wave

import numpy as np
import pytest

from edgeos.clock import MonotonicClock
from edgeos.errors import BadConfig, DeviceMissing, FileMissing, StoreError
from edgeos.events import Speech
from edgeos.loudspeaker import Loudspeaker
from edgeos.sinks import TURN_GAP_S, open_speaker

RATE_HZ = 22_050
CLOCK = MonotonicClock()


def speech(seconds=0.5, *, turn=1, level=0.5, rate_hz=RATE_HZ):
    return Speech(turn, "a cup", np.full(round(seconds * rate_hz), level, np.float32), rate_hz)


def read(path):
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
        return file.getframerate(), np.frombuffer(file.readframes(file.getnframes()), "<i2")


def left(folder):
    return sorted(p.name for p in folder.iterdir())


# ---------------------------------------------------------------- URIs


@pytest.mark.parametrize("uri", ["", "wav", "wav:", "null:x", "speaker", "mp3:a.mp3", "answer.wav"])
def test_unknown_uris_name_the_known_ones(uri):
    with pytest.raises(BadConfig, match=r"speaker:, speaker:NAME, wav:PATH or null:"):
        open_speaker(uri, CLOCK)


def test_null_counts_seconds():
    async def go():
        async with open_speaker("null:", CLOCK) as sink:
            before = CLOCK.now_ns()
            t_ns = await sink.play(speech(0.5))
            await sink.drain()
            await sink.flush()
            assert before <= t_ns <= CLOCK.now_ns()
            assert not sink.live
            return sink.played_s

    assert asyncio.run(go()) == pytest.approx(0.5)


# ---------------------------------------------------------------- WAV


def play(uri, *clauses):
    async def go():
        async with open_speaker(uri, CLOCK) as sink:
            times = [await sink.play(clause) for clause in clauses]
            await sink.drain()
            return times, sink.played_s

    return asyncio.run(go())


def test_a_conversation_becomes_one_wav_with_a_gap_between_turns(tmp_path):
    path = tmp_path / "answer.wav"
    times, played_s = play(f"wav:{path}", speech(0.5), speech(0.25, level=-0.25), speech(0.5, turn=2))
    rate_hz, samples = read(path)
    gap = round(TURN_GAP_S * RATE_HZ)
    first, second = round(0.5 * RATE_HZ), round(0.25 * RATE_HZ)
    assert rate_hz == RATE_HZ
    assert played_s == pytest.approx(1.25, abs=1e-3)
    assert times == sorted(times)
    assert len(samples) == 2 * first + second + gap
    assert (samples[:first] == round(0.5 * 32767)).all()
    assert (samples[first : first + second] == round(-0.25 * 32767)).all()
    assert not samples[first + second : first + second + gap].any()
    assert samples[-first:].all()
    assert left(tmp_path) == ["answer.wav"]


def test_samples_beyond_full_scale_are_clipped_and_do_not_wrap(tmp_path):
    play(f"wav:{tmp_path}/a.wav", speech(level=1.5), speech(level=-1.5))
    samples = read(tmp_path / "a.wav")[1]
    assert (samples.max(), samples.min()) == (32767, -32767)


def test_another_rate_is_resampled_to_that_of_the_file(tmp_path):
    play(f"wav:{tmp_path}/a.wav", speech(0.5), speech(0.5, rate_hz=16_000))
    rate_hz, samples = read(tmp_path / "a.wav")
    assert len(samples) / rate_hz == pytest.approx(1.0, abs=0.01)


def test_an_old_answer_is_replaced_only_by_a_new_one(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(b"old")
    play(f"wav:{path}")
    assert path.read_bytes() == b"old", "no sound: nothing changes"
    play(f"wav:{path}", speech())
    assert len(read(path)[1]) > 0
    assert left(tmp_path) == ["a.wav"]


def test_an_error_leaves_nothing_half_written(tmp_path):
    async def go():
        async with open_speaker(f"wav:{tmp_path}/a.wav", CLOCK) as sink:
            await sink.play(speech())
            raise ValueError("the model broke")

    with pytest.raises(ValueError, match="the model broke"):
        asyncio.run(go())
    assert left(tmp_path) == []


def test_cancelling_completes_the_file(tmp_path):
    async def talk(said: asyncio.Event):
        async with open_speaker(f"wav:{tmp_path}/a.wav", CLOCK) as sink:
            await sink.play(speech(0.5))
            said.set()
            await asyncio.sleep(60)

    async def go():
        said = asyncio.Event()
        task = asyncio.ensure_future(talk(said))
        await said.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(go())
    assert len(read(tmp_path / "a.wav")[1]) == round(0.5 * RATE_HZ)
    assert left(tmp_path) == ["a.wav"]


def test_a_missing_folder_is_told_before_anything_is_opened(tmp_path):
    with pytest.raises(FileMissing, match=r"mkdir -p"):
        open_speaker(f"wav:{tmp_path}/none/a.wav", CLOCK)


def test_a_folder_is_not_a_file(tmp_path):
    with pytest.raises(BadConfig, match="a folder"):
        open_speaker(f"wav:{tmp_path}", CLOCK)


def test_a_folder_without_permission_is_a_store_error():
    with pytest.raises(StoreError):  # also for root: nobody creates files in /proc
        asyncio.run(_enter("wav:/proc/a.wav"))


async def _enter(uri):
    async with open_speaker(uri, CLOCK):
        raise AssertionError("opened")


def test_a_full_disk_is_a_store_error_and_leaves_nothing(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))  # writing beyond it fails as on a full disk
    try:
        with pytest.raises(StoreError, match=r"a\.wav.*free some space"):
            play(f"wav:{tmp_path}/a.wav", speech(0.1), speech(5.0))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert left(tmp_path) == []


# ---------------------------------------------------------------- loudspeaker


class Device:
    """An `Output` that keeps what it is given; `gate` holds its writes back, as a busy sound card does."""

    samplerate = 44_100.0

    def __init__(self, fails_after=None):
        self.written, self.calls = [], []
        self.gate, self.wrote = threading.Event(), threading.Event()
        self.gate.set()
        self.fails_after = fails_after

    def start(self):
        self.calls.append("start")

    def stop(self):
        self.calls.append("stop")

    def abort(self):
        self.calls.append("abort")

    def close(self):
        self.calls.append("close")

    def write(self, data):
        if self.fails_after is not None and len(self.written) >= self.fails_after:
            raise RuntimeError("device unplugged")
        self.written.append(data.copy())
        self.wrote.set()
        assert self.gate.wait(10)

    @property
    def seconds(self):
        return sum(map(len, self.written)) / self.samplerate


def loudspeaker(device):
    return Loudspeaker("speaker:test", lambda: device, CLOCK)


def test_the_loudspeaker_plays_all_at_the_devices_rate_and_closes_it():
    device = Device()

    async def go():
        async with loudspeaker(device) as sink:
            assert sink.live
            await sink.play(speech(0.5))
            await sink.play(speech(0.25, level=-0.5))
            await sink.drain()
            assert device.calls[-1] == "stop"
            assert sink.played_s == pytest.approx(0.75, abs=0.01)

    asyncio.run(go())
    assert device.seconds == pytest.approx(0.75, abs=0.01)
    assert device.calls[-1] == "close"
    sound = np.concatenate(device.written)
    assert np.median(sound[:10_000]) == pytest.approx(0.5, abs=0.01)
    assert max(map(len, device.written)) <= 0.021 * 44_100


def test_the_second_clause_waits_until_the_first_is_out():
    device = Device()
    device.gate.clear()

    async def go():
        async with loudspeaker(device) as sink:
            await sink.play(speech(0.1))
            second = asyncio.ensure_future(sink.play(speech(0.1)))
            await asyncio.to_thread(device.wrote.wait, 10)
            await asyncio.sleep(0.05)
            assert not second.done()
            device.gate.set()
            assert await second <= CLOCK.now_ns()

    asyncio.run(go())
    assert device.seconds == pytest.approx(0.2, abs=0.01)


def test_a_flush_stops_within_a_block_and_drops_what_waits():
    device = Device()
    device.gate.clear()

    async def go():
        async with loudspeaker(device) as sink:
            await sink.play(speech(1.0))
            waiting = asyncio.ensure_future(sink.play(speech(1.0)))
            await asyncio.to_thread(device.wrote.wait, 10)
            flushed = asyncio.ensure_future(sink.flush())
            await asyncio.wait_for(waiting, 10)
            device.gate.set()
            await flushed
            assert device.calls[-1] == "abort"
            heard = device.seconds
            assert heard <= 0.041, "more than the block under way and one more"
            await sink.play(speech(0.1))
            await sink.drain()
            assert device.seconds == pytest.approx(heard + 0.1, abs=0.01)

    asyncio.run(go())


def test_a_cancelled_play_is_not_heard():
    device = Device()
    device.gate.clear()

    async def go():
        async with loudspeaker(device) as sink:
            await sink.play(speech(0.1))
            second = asyncio.ensure_future(sink.play(speech(1.0)))
            await asyncio.to_thread(device.wrote.wait, 10)
            await asyncio.sleep(0.05)
            second.cancel()
            await asyncio.wait([second])
            device.gate.set()

    asyncio.run(go())
    assert device.seconds == pytest.approx(0.1, abs=0.01)


def test_leaving_by_an_error_does_not_play_to_the_end():
    device = Device()

    async def go():
        async with loudspeaker(device) as sink:
            device.gate.clear()
            await sink.play(speech(5.0))
            asyncio.get_running_loop().call_later(0.05, device.gate.set)
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        asyncio.run(go())
    assert device.seconds < 1.0
    assert device.calls[-1] == "close"


def test_a_device_that_goes_away_is_told_and_does_not_hang():
    device = Device(fails_after=3)

    async def go():
        async with loudspeaker(device) as sink:
            await sink.play(speech(1.0))
            with pytest.raises(DeviceMissing, match="device unplugged"):
                await sink.drain()
            with pytest.raises(DeviceMissing, match="device unplugged"):
                await sink.play(speech(0.1))
            raise KeyError("left")

    with pytest.raises(KeyError):
        asyncio.run(asyncio.wait_for(go(), 20))
    assert device.calls[-1] == "close"


def test_a_device_that_does_not_open_is_missing():
    def connect():
        raise RuntimeError("busy")

    async def go():
        async with Loudspeaker("speaker:test", connect, CLOCK):
            raise AssertionError("opened")

    with pytest.raises(DeviceMissing, match="busy"):
        asyncio.run(go())


def test_without_portaudio_or_a_card_the_fix_is_exact():
    try:
        import sounddevice

        if any(d["max_output_channels"] for d in sounddevice.query_devices()):
            pytest.skip("this machine has a loudspeaker")
        told = "aplay -l"
    except OSError:
        told = "sudo apt install libportaudio2"
    with pytest.raises(DeviceMissing, match=told):
        open_speaker("speaker:", CLOCK)
    with pytest.raises(DeviceMissing, match=r"wav:answer\.wav"):
        open_speaker("speaker:No Such Card", CLOCK)
