"""Streaming text to clauses: where it cuts, where it must not, and that pieces make no difference."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeos.sentences import FIRST_CHARS, LIMIT_CHARS, MIN_CHARS, WINDOW_CHARS, Clauser


def cut(*pieces):
    clauser = Clauser()
    return [clause for piece in pieces for clause in clauser.feed(piece)] + clauser.finish()


@pytest.mark.parametrize(
    ("text", "clauses"),
    [
        ("Hello. I am fine. How are you?", ["Hello.", "I am fine.", "How are you?"]),
        ("Yes! Really?! Good… Right.", ["Yes!", "Really?!", "Good…", "Right."]),
        ("It is on the table, isn't it?", ["It is on the table, isn't it?"]),
        ("I can see a cup on the table, a laptop, a pen.", ["I can see a cup on the table,", "a laptop, a pen."]),
        ("There are three things on it: a cup, a pen.", ["There are three things on it:", "a cup, a pen."]),
        ("# Title\n- one\n- two\n\nBye", ["# Title", "- one", "- two", "Bye"]),
        ("1. Eggs\n2. Milk. Fresh milk", ["1. Eggs", "2. Milk.", "Fresh milk"]),
        ("Done.** _Good._ `Ok.` Then", ["Done.**", "_Good._", "`Ok.`", "Then"]),
        ("... hello ... there", ["... hello ... there"]),
        ("Hello. ... -- !", ["Hello. ... -- !"]),
        ("Sure! 😀 Here it is.", ["Sure!", "😀 Here it is."]),
        ("No. I will not. See No. 5 now.", ["No.", "I will not.", "See No. 5 now."]),
        ("Open at 5 p.m. Then we eat at 6 p.m. as always.", ["Open at 5 p.m.", "Then we eat at 6 p.m. as always."]),
    ],
)
def test_where_it_cuts(text, clauses):
    assert cut(text) == clauses


@pytest.mark.parametrize(
    "text",
    [
        "It is 3.5 km or 1,000 m",
        "At 14:30 or at 9:05",
        "Dr. Smith, Mr. Jones and Prof. Li",
        "See e.g. This or i.e. That",
        "The U.S. Army",
        "Go to https://example.com/a.b?c=1,2 now",
        "Write to me@mail.com now",
        'He said "Stop. Now. Or else." and left',
        "He (who is old. Very old.) left",
        "He [who is old. Very old.] left",
        "He said “Stop. Now.” and left",
        "Call `a. B. c()` now",
        "On Thursday, we meet on May 5, 2024",
        "About approx. Five of them",
    ],
)
def test_where_it_must_not_cut(text):
    assert cut(text) == [text]


def test_a_code_block_stays_whole():
    block = "```python\nx = 1. Yes, no\n\nprint(x)\n```"
    assert cut(f"Here it is:\n{block}\nDone. Bye.") == ["Here it is:", block, "Done.", "Bye."]


def test_the_first_clause_comes_at_the_first_comma_and_later_ones_are_longer():
    part = "the cup on the left is blue"
    first, *rest = cut(", ".join([part] * 8) + ".")
    assert first == f"{part},"
    assert MIN_CHARS <= len(rest[0]) <= WINDOW_CHARS
    assert len(rest[0]) > len(first)


def test_a_first_clause_without_a_comma_ends_at_a_conjunction():
    text = "The meeting on the whiteboard is set for Thursday and everyone should bring a laptop to it."
    clauser = Clauser()
    early = clauser.feed(text[: FIRST_CHARS + 12])
    assert early == ["The meeting on the whiteboard is set for Thursday"]


def test_text_without_any_mark_is_cut_at_a_space_in_the_end():
    clauses = cut("word " * 200)
    assert len(clauses) > 3
    assert all(len(c) <= LIMIT_CHARS + 10 and c.startswith("word") and c.endswith("word") for c in clauses)


def test_a_quotation_that_never_ends_does_not_hold_the_voice_back():
    assert len(cut('He said "' + "I am here. " * 60)) > 10


def test_a_sentence_is_given_as_soon_as_the_next_word_begins():
    clauser = Clauser()
    assert clauser.feed("Hello there.") == []
    assert clauser.feed(" ") == []
    assert clauser.feed("H") == ["Hello there."]
    assert clauser.finish() == ["H"]


def test_finish_begins_anew():
    clauser = Clauser()
    text = "I can see a cup on the table, a laptop."
    once = clauser.feed(text) + clauser.finish()
    assert clauser.feed(text) + clauser.finish() == once
    assert clauser.finish() == []


TEXT = st.lists(
    st.sampled_from(
        [
            "word",
            "A",
            "3",
            "3.5",
            "Dr",
            "p.m",
            "and",
            "the cup on the table",
            "`",
            "```",
            "\n",
            "\n\n",
            "(",
            ")",
            '"',
            "[",
            "]",
            ".",
            ",",
            "!",
            "…",
            ";",
            ":",
            "—",
            "-",
            "*",
            " ",
            "  ",
            "é",
            "😀",
            "e\u0301",
            "1.",
            "https://a.io/b",
        ]
    )
    | st.text(max_size=3),
    max_size=80,
).map("".join)


@given(TEXT, st.lists(st.integers(1, 7), min_size=1, max_size=5))
def test_pieces_make_no_difference(text, sizes):
    pieces, at, k = [], 0, 0
    while at < len(text):
        size = sizes[k % len(sizes)]
        pieces.append(text[at : at + size])
        at, k = at + size, k + 1
    assert cut(*pieces) == cut(text)


@given(TEXT)
def test_clauses_have_words_and_give_the_text_back(text):
    clauses = cut(text)
    assert all(any(map(str.isalnum, clause)) and clause == clause.strip() for clause in clauses)
    if any(map(str.isalnum, text)):
        assert "".join("".join(clauses).split()) == "".join(text.split())
    else:
        assert clauses == []
