"""The measures of loss, on cases worked out by hand."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from edgeos_quantize import measure, pictures, speech
from edgeos_quantize.testset import Photo


@pytest.mark.parametrize(
    ("said", "heard", "errors"),
    [
        ("What's the weather like?", "what's the weather like", 0),
        ("turn it off please", "turn off please", 1),
        ("turn it off", "turn it all off now", 2),
        ("double-shot coffee", "double shot coffee", 0),
        ("a b c", "", 3),
    ],
)
def test_word_errors(said, heard, errors):
    assert speech.word_errors(said, heard) == (errors, len(speech.words_of(said)))


def test_the_error_rate_weighs_recordings_by_their_words():
    assert speech.error_rate(["one two three", "four"], ["one two three", "five"]) == 0.25


def test_byte_level_pieces_become_text():
    words = speech.Vocabulary(("ĠcafÃ", "©", "Ġau", "<|end|>"), (3,), 3, (), (), 8)
    assert words.text([0, 1, 2, 3]) == "café au"


def test_the_window_follows_the_sound():
    assert [speech.frames_for(np.zeros(n * 16_000, np.float32)) for n in (1, 15, 60)] == [1000, 1600, 3000]


def test_divergence_of_equal_scores_is_zero_and_of_others_as_computed():
    scores = np.array([[1.0, 2.0, 3.0], [0.0, 0.0, 1.0]])
    assert measure.divergence(scores, scores + 5) == measure.Divergence(0.0, 100.0, 2)
    apart = measure.divergence(np.log([[0.5, 0.5]]), np.log([[0.25, 0.75]]))
    assert apart.kl == pytest.approx(0.5 * math.log(2) + 0.5 * math.log(2 / 3), abs=1e-5)


def test_a_loss_is_positive_where_the_small_model_is_worse():
    assert measure.score("top5", "", 0.9, 0.8, higher_is_better=True).loss == 10.0
    assert measure.score("wer", "", 0.08, 0.10, higher_is_better=False).loss == 2.0


def test_hits_count_any_right_name_among_the_best():
    scored = [Photo(Path("a"), "", ("cat", "tabby")), Photo(Path("b"), "", ("cab",))]
    best = pictures.ranked(np.array([[3, 2, 1], [3, 2, 1.0]], np.float32), ["dog", "tabby", "cab"])
    assert [pictures.hits(best, scored, among) for among in (1, 2, 3)] == [0.0, 0.5, 1.0]


def test_twelve_views_of_a_picture_all_inside_it():
    image = np.arange(90 * 60 * 3, dtype=np.uint32).reshape(90, 60, 3).astype(np.uint8)
    found = list(pictures.views(image))
    assert len(found) == 12
    assert {view.shape for view in found} == {(90, 60, 3), (60, 40, 3)}
    np.testing.assert_array_equal(found[1], image[:, ::-1])


def test_both_sides_of_a_pair_are_called_equally_often_and_in_turns():
    calls = []
    timing = measure.paired("x", lambda: calls.append("a"), lambda: calls.append("b"), 4)
    assert calls == ["a", "b"] * 5
    assert timing.rounds == 4
    assert timing.ratio_low <= timing.ratio <= timing.ratio_high
