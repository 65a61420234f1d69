"""Where speech begins and ends: golden traces, and the promise that nothing is lost or doubled."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeos.errors import BadConfig
from edgeos.events import AudioChunk, SpeechStarted, Utterance
from edgeos.segment import CHUNK_NS, SegmentConfig, Segmenter, windows

CONFIG = SegmentConfig(min_speech_ms=64, silence_ms=128, pre_roll_ms=96, post_roll_ms=64, max_speech_s=3.0)


def chunk(k, loud=0.5):
    """The k-th chunk of a stream; its samples carry their own number, so that every one can be told apart."""
    samples = np.arange(k * 512, (k + 1) * 512, dtype=np.float32)
    return AudioChunk(samples if loud == 0.5 else samples * 0 + loud, k * CHUNK_NS)


def run(probabilities, config=CONFIG):
    segmenter = Segmenter(config)
    out = [item for k, p in enumerate(probabilities) for item in segmenter.feed(chunk(k), p)]
    return out + segmenter.finish()


def spans(out):
    """Utterances as [first, end) chunk numbers."""
    return [
        (int(item.samples[0]) // 512, int(item.samples[-1]) // 512 + 1) for item in out if isinstance(item, Utterance)
    ]


def trace(pattern, config=CONFIG):
    """Events of a drawn stream: `#` speech, `+` between release and threshold, `.` silence; times in chunks."""
    out = run([{"#": 0.9, "+": 0.4, ".": 0.05}[c] for c in pattern], config)
    lines = []
    for item in out:
        if isinstance(item, SpeechStarted):
            lines.append(("started", item.t_ns // CHUNK_NS))
        else:
            lines.append(("utterance", item.t_start_ns // CHUNK_NS, item.t_end_ns // CHUNK_NS))
    return lines, spans(out)


def test_an_utterance_has_its_pre_roll_and_post_roll_and_the_times_of_the_speech():
    assert trace("......####......") == ([("started", 6), ("utterance", 6, 10)], [(3, 12)])


def test_pre_roll_ends_at_the_begin_of_the_stream():
    assert trace(".###......") == ([("started", 1), ("utterance", 1, 4)], [(0, 6)])


def test_a_click_is_no_speech():
    assert trace("....#.........") == ([], [])


def test_a_pause_shorter_than_the_silence_does_not_end_it():
    assert trace("....##...##......")[1] == [(1, 13)]


def test_a_weak_end_is_kept_and_a_weak_begin_is_not_speech():
    assert trace("...++##++......") == ([("started", 5), ("utterance", 5, 9)], [(2, 11)])
    assert trace("...++++++......") == ([], [])


def test_two_utterances_share_no_sample():
    lines, found = trace("...###....###......")
    assert [line[0] for line in lines] == ["started", "utterance", "started", "utterance"]
    assert found == [(0, 8), (8, 15)]


def test_the_end_of_the_stream_ends_speech():
    assert trace("....###") == ([("started", 4), ("utterance", 4, 7)], [(1, 7)])
    assert trace("....#") == ([], [])


def test_finish_begins_anew():
    segmenter = Segmenter(CONFIG)
    for k in range(5):
        segmenter.feed(chunk(k), 0.9)
    assert len(segmenter.finish()) == 1
    assert segmenter.finish() == []
    assert [item for k in range(20) for item in segmenter.feed(chunk(k), 0.1)] == []


def test_speech_without_end_is_cut_at_its_quietest_chunk_and_goes_on_without_a_gap():
    segmenter, out = Segmenter(CONFIG), []
    quiet = 80
    for k in range(150):
        samples = np.full(512, 0.01 if k == quiet else 0.5, np.float32)
        out += segmenter.feed(AudioChunk(samples, k * CHUNK_NS), 0.9)
    out += segmenter.finish()
    first, second = [item for item in out if isinstance(item, Utterance)]
    assert first.t_end_ns == second.t_start_ns == (quiet + 1) * CHUNK_NS
    assert len(first.samples) + len(second.samples) == 150 * 512


def test_a_pause_is_preferred_to_a_quiet_vowel_when_cutting():
    segmenter, out = Segmenter(CONFIG), []
    for k in range(100):
        samples = np.full(512, 0.01 if k == 70 else 0.5, np.float32)
        out += segmenter.feed(AudioChunk(samples, k * CHUNK_NS), 0.1 if k == 85 else 0.9)
    assert next(item for item in out if isinstance(item, Utterance)).t_end_ns == 86 * CHUNK_NS


def test_not_a_number_is_not_speech():
    assert run([math.nan] * 30) == []


@pytest.mark.parametrize(
    "change",
    [
        {"threshold": 1.5},
        {"release": 0.6},
        {"silence_ms": 0},
        {"pre_roll_ms": -1},
        {"max_speech_s": 31.0},
        {"max_speech_s": 1.0},
    ],
)
def test_settings_that_cannot_work_are_refused(change):
    with pytest.raises(BadConfig, match="speech segments"):
        SegmentConfig(**change)


streams = st.lists(
    st.tuples(st.sampled_from([0.0, 0.2, 0.4, 0.6, 1.0]), st.integers(1, 60)), min_size=1, max_size=12
).map(lambda runs: [p for p, n in runs for _ in range(n)])


@settings(deadline=None, max_examples=150)
@given(streams)
def test_no_sample_is_doubled_and_no_speech_is_lost(probabilities):
    out = run(probabilities)
    found = spans(out)
    assert all(
        isinstance(a, SpeechStarted) and isinstance(b, Utterance) for a, b in zip(out[::2], out[1::2], strict=True)
    )
    for (_, end), (start, _) in pairwise(found):
        assert end <= start
    for item in (item for item in out if isinstance(item, Utterance)):
        assert np.all(np.diff(item.samples) == 1)
        assert len(item.samples) <= CONFIG.max_speech_s * 16_000
    covered = {k for start, end in found for k in range(start, end)}
    # Speech of two chunks in a row is more than a click: each such chunk is in an utterance.
    for k in range(len(probabilities) - 1):
        if min(probabilities[k], probabilities[k + 1]) >= CONFIG.threshold:
            assert {k, k + 1} <= covered


# ---------------------------------------------------------------- whole files


def test_a_file_of_silence_has_no_window():
    assert windows([0.1] * 100, 100 * 512) == []
    assert windows([], 0) == []


def test_windows_are_padded_and_stay_inside_the_file():
    found = windows([0.0] * 40 + [0.9] * 20 + [0.0] * 40, 100 * 512 - 100)
    assert found == [((40 - 16) * 512, (60 + 10) * 512)]
    assert windows([0.9] * 10, 10 * 512 - 100) == [(0, 10 * 512 - 100)]


def test_a_short_pause_is_inside_a_window_and_a_long_one_between_two_that_share_no_sample():
    speech = [0.9] * 20
    assert windows(speech + [0.0] * 10 + speech, 50 * 512) == [(0, 50 * 512)]
    assert windows(speech + [0.0] * 20 + speech, 60 * 512) == [(0, 30 * 512), (30 * 512, 60 * 512)]


def test_a_long_speech_is_split_where_speech_is_least_likely():
    probabilities = [0.9] * 1500
    probabilities[700:705] = [0.6] * 5
    found = windows(probabilities, 1500 * 512)
    assert [start for start, _ in found] == [0, 702 * 512]


@settings(deadline=None, max_examples=150)
@given(streams, st.integers(0, 511))
def test_windows_hold_every_speech_once_and_fit_the_model(probabilities, short):
    n_samples = len(probabilities) * 512 - short
    found = windows(probabilities, n_samples, CONFIG)
    for start, end in found:
        assert 0 <= start < end <= n_samples
        assert end - start <= CONFIG.max_speech_s * 16_000
    for (_, end), (start, _) in pairwise(found):
        assert end <= start
    covered = {k for start, end in found for k in range(start // 512, -(-end // 512))}
    for k in range(len(probabilities) - 1):
        if min(probabilities[k], probabilities[k + 1]) >= CONFIG.threshold:
            assert {k, k + 1} <= covered
