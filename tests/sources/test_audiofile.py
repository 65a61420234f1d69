"""Sound files of every kind become 16 kHz mono; what is no sound, or not all of it, is refused with a reason."""

from __future__ import annotations

import os
import struct

import numpy as np
import pytest
import soundfile

from edgeos.errors import BadAudio, FileMissing
from edgeos.events import RATE_HZ
from edgeos.sources import audiofile


def tone(seconds, rate_hz, hz=440.0):
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate_hz)) / rate_hz)).astype(np.float32)


def written(path, samples, rate_hz=RATE_HZ, **how):
    soundfile.write(path, samples, rate_hz, **how)
    return path


def snr_db(got, wanted):
    middle = slice(800, len(wanted) - 800)
    return 10 * np.log10(np.square(wanted[middle]).sum() / (np.square(got[middle] - wanted[middle]).sum() + 1e-12))


FORMATS = [
    ("wav", "PCM_U8", 30),
    ("wav", "PCM_16", 70),
    ("wav", "PCM_24", 100),
    ("wav", "PCM_32", 100),
    ("wav", "FLOAT", 100),
    ("wav", "DOUBLE", 100),
    ("wav", "ULAW", 30),
    ("wav", "ALAW", 30),
    ("flac", "PCM_16", 70),
    ("flac", "PCM_24", 100),
    ("ogg", "VORBIS", 20),
    ("mp3", "MPEG_LAYER_III", 20),
    ("aiff", "PCM_16", 70),
    ("caf", "PCM_16", 70),
    ("w64", "PCM_16", 70),
]


@pytest.mark.parametrize(("suffix", "subtype", "quality_db"), FORMATS)
def test_every_format_is_read(tmp_path, suffix, subtype, quality_db):
    wanted = tone(1.0, RATE_HZ)
    got = audiofile.read(written(tmp_path / f"tone.{suffix}", wanted, subtype=subtype))
    assert got.dtype == np.float32
    assert len(got) == len(wanted)
    assert snr_db(got, wanted) > quality_db


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_every_rate_becomes_16_khz_mono_of_the_same_length_and_pitch(tmp_path, rate_hz, channels):
    sound = np.repeat(tone(5.0, rate_hz)[:, None], channels, axis=1)
    got = audiofile.read(written(tmp_path / "tone.wav", sound, rate_hz, subtype="FLOAT"))
    assert got.shape == (5 * RATE_HZ,)
    assert snr_db(got, tone(5.0, RATE_HZ)) > 70


def test_what_16_khz_cannot_hold_is_filtered_out_and_not_mirrored(tmp_path):
    got = audiofile.read(written(tmp_path / "high.wav", tone(1.0, 48_000, hz=11_000.0), 48_000, subtype="FLOAT"))
    assert np.abs(got[800:-800]).max() < 1e-3


def test_stereo_is_averaged(tmp_path):
    left = tone(0.5, RATE_HZ)
    got = audiofile.read(written(tmp_path / "x.wav", np.stack([left, -left], axis=1), subtype="FLOAT"))
    assert np.abs(got).max() == 0.0


def test_a_little_overshoot_is_clipped(tmp_path):
    got = audiofile.read(written(tmp_path / "x.wav", tone(0.5, RATE_HZ) * 3, subtype="FLOAT"))
    assert np.abs(got).max() == 1.0


@pytest.mark.parametrize("name", ["x.raw", "x.bin", "noext"])
def test_the_name_does_not_matter(tmp_path, name):
    path = written(tmp_path / "x.wav", tone(0.5, RATE_HZ)).rename(tmp_path / name)
    assert len(audiofile.read(path)) == 8_000


# ---------------------------------------------------------------- refusals


def refused(path, *parts):
    with pytest.raises(BadAudio) as caught:
        audiofile.read(path)
    text = str(caught.value)
    assert str(path) in text
    assert "Fix: " in text
    for part in parts:
        assert part in text


def test_a_missing_file(tmp_path):
    with pytest.raises(FileMissing, match=r"no\.wav"):
        audiofile.read(tmp_path / "no.wav")


def test_a_folder(tmp_path):
    refused(tmp_path, "a folder")


def test_an_empty_file(tmp_path):
    (tmp_path / "x.wav").touch()
    refused(tmp_path / "x.wav", "an empty file")


@pytest.mark.parametrize("name", ["notes.wav", "notes.mp3", "notes.raw", "notes.txt"])
def test_a_text_file(tmp_path, name):
    (tmp_path / name).write_text("Bread, milk, eggs.\n" * 50)
    refused(tmp_path / name, "libsndfile")


def test_random_bytes(tmp_path):
    (tmp_path / "x.mp3").write_bytes(np.random.default_rng(0).bytes(20_000))
    refused(tmp_path / "x.mp3", "libsndfile")


@pytest.mark.parametrize("n", [0, 1, 511])
def test_too_few_samples(tmp_path, n):
    refused(written(tmp_path / "x.wav", tone(1.0, RATE_HZ)[:n]), "at least 32 ms", f"{n} samples")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_numbers(tmp_path, bad):
    sound = tone(6.0, RATE_HZ)
    sound[90_000] = bad
    refused(written(tmp_path / "x.wav", sound, subtype="FLOAT"), "NaN")


def test_integers_stored_as_floats(tmp_path):
    refused(written(tmp_path / "x.wav", tone(1.0, RATE_HZ) * 32768, subtype="FLOAT"), "16384", "divide")


@pytest.mark.parametrize("rate_hz", [1, 1_000_000])
def test_an_absurd_rate(tmp_path, rate_hz):
    refused(written(tmp_path / "x.wav", tone(1.0, RATE_HZ), rate_hz), f"{rate_hz} Hz")


def test_more_than_four_hours(tmp_path):
    # 8-bit samples at the lowest rate, left as a hole in the file.
    n = 4 * 3600 * 4_000 + 4_000
    head = struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + n, b"WAVE", b"fmt ", 16, 1, 1, 4_000, 4_000, 1, 8, b"data", n
    )
    path = tmp_path / "x.wav"
    path.write_bytes(head)
    os.truncate(path, len(head) + n)
    refused(path, "at most 4 h")


CUT = ["wav", "flac", "ogg", "mp3", "aiff", "au", "w64", "rf64", "caf"]


@pytest.mark.parametrize("suffix", CUT)
@pytest.mark.parametrize("part", [0.3, 0.9])
def test_a_file_that_was_cut_short(tmp_path, suffix, part):
    noise = np.random.default_rng(0).normal(size=(2 * 44_100, 2)) * 0.1
    path = written(tmp_path / f"x.{suffix}", noise, 44_100, format="RF64" if suffix == "rf64" else None)
    assert len(audiofile.read(path)) == 2 * RATE_HZ
    os.truncate(path, int(path.stat().st_size * part))
    refused(path)


def with_claim(tmp_path, claim):
    path = written(tmp_path / "x.wav", tone(1.0, RATE_HZ))
    content = bytearray(path.read_bytes())
    at = content.index(b"data") + 4
    content[at : at + 4] = struct.pack("<I", claim)
    path.write_bytes(content)
    return path


def test_a_header_that_claims_more_than_there_is(tmp_path):
    refused(with_claim(tmp_path, 33_000), "33000 bytes", "32000 bytes")


def test_a_header_whose_length_was_never_filled_in_is_read_and_reported(tmp_path):
    said = []
    got = audiofile.read(with_claim(tmp_path, 0xFFFFFFFF), said.append)
    assert len(got) == RATE_HZ
    assert len(said) == 1
    assert "4294967295" in said[0]


def test_a_sound_file_has_nothing_to_report(tmp_path):
    said = []
    audiofile.read(written(tmp_path / "x.wav", tone(1.0, RATE_HZ)), said.append)
    assert said == []


def test_every_recording_of_the_test_data_is_read(testdata):
    for path in sorted((testdata / "speech").iterdir()):
        assert len(audiofile.read(path, lambda _: None)) > RATE_HZ
