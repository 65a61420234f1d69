"""Text to what a voice says: figures, symbols, addresses and Markdown; any text at all."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeos.markdown import plain
from edgeos.numerals import cardinal, decimal, ordinal, year
from edgeos.sentences import Clauser
from edgeos.spoken import spoken

SAID = {
    # numbers
    "0 7 42 100": "zero seven forty-two one hundred",
    "1234 people": "one thousand two hundred thirty-four people",
    "1,000,000": "one million",
    "3.14 and .5 and 10.50": "three point one four and zero point five and ten point five zero",
    "-7 or −7": "minus seven or minus seven",
    "007": "zero zero seven",
    "1st 2nd 3rd 12th 21st 100th": "first second third twelfth twenty-first one hundredth",
    "3-5 people, 10–12": "three to five people, ten to twelve",
    "1/2 cup, 2 1/2 cups, 3/4": "one half cup, two and a half cups, three quarters",
    "2½ cups of it": "two and a half cups of it",
    "No. 5 and nos. 6": "number five and number six",
    "١٢": "twelve",
    "World War II and Henry VIII, I": "World War two and Henry eight, I",
    "10-year-old": "ten year-old",
    "A4, B12, H200, 3D, 4K": "A four, B twelve, H two hundred, three D, four K",
    "v1.2.3": "v one point two point three",
    # years, dates
    "In 1984, since 1066.": "In nineteen eighty-four, since ten sixty-six.",
    "2024, 2000, 2005 and 1900": "twenty twenty-four, two thousand, two thousand five and nineteen hundred",
    "the 1990s and 90s": "the nineteen nineties and nineties",
    "1990-1995": "nineteen ninety to nineteen ninety-five",
    "May 5, 2024": "May fifth, twenty twenty-four",
    "on 3 March": "on March third",
    "Jan. 21st": "January twenty-first",
    "2024-05-17": "May seventeenth, twenty twenty-four",
    "12/25/2024": "December twenty-fifth, twenty twenty-four",
    # times
    "3 PM": "three PM",
    "MEETING AT 3 PM": "MEETING AT three PM",
    "3:00 pm, 9:05 am": "three PM, nine oh five AM",
    "14:30": "fourteen thirty",
    "7:00": "seven o'clock",
    "at 5 p.m. Then": "at five PM. Then",
    "at 10:30a.m. tomorrow": "at ten thirty AM tomorrow",
    "9am-5pm": "nine AM to five PM",
    "9:00-10:30": "nine o'clock to ten thirty",
    # units and money
    "5 km, 1 km, 3-5 km": "five kilometers, one kilometer, three to five kilometers",
    "20°C, -5 °F, 90°": "twenty degrees Celsius, minus five degrees Fahrenheit, ninety degrees",
    "16 oz; a 16-oz can; a 16-ounce can": "sixteen ounces; a sixteen ounce can; a sixteen ounce can",
    "8 GB 90% 60 mph 5.5 ft": "eight gigabytes ninety percent sixty miles per hour five point five feet",
    "5 in the box": "five in the box",
    "$4.50 $1 $1.01 $0.99": "four dollars and fifty cents one dollar one dollar and one cent ninety-nine cents",
    "€10, 10 €, £2.20, ¥500": "ten euros, ten euros, two pounds and twenty pence, five hundred yen",
    "$3 million -$5": "three million dollars minus five dollars",
    "$1.5M, $5-$10": "one point five million dollars, five dollars to ten dollars",
    "$1,200": "one thousand two hundred dollars",
    # phones
    "555-1234": "five five five, one two three four",
    "(415) 555-2671": "four one five, five five five, two six seven one",
    "call 911, won 3:2, open 24/7": "call nine one one, won three to two, open twenty-four seven",
    # abbreviations
    "See Fig. 3": "See Figure three",
    "Dr. Smith vs. Mr. Jones": "Doctor Smith versus Mister Jones",
    "fruit, e.g. apples, i.e. food": "fruit, for example, apples, that is, food",
    "cups, pens, etc. Then": "cups, pens, et cetera. Then",
    "cups, etc., and": "cups, et cetera, and",
    "approx. 3": "approximately three",
    "The U.S. is big": "The U S is big",
    "NASA, USB and OCR": "NASA, USB and OCR",
    # addresses
    "https://example.com/a": "example dot com slash a",
    "See www.example.org.": "See example dot org.",
    "(https://example.com/?q=1)": "example dot com",
    "me.you@mail.com": "me dot you at mail dot com",
    "open main.py": "open main dot py",
    # symbols
    "A & B + C = D": "A and B plus C equals D",
    "2 + 2 = 4, 5 - 3, 2*3, 2 * 3": "two plus two equals four, five minus three, two times three, two times three",
    "#1 #tag @bob": "number one hashtag tag at bob",
    "640x480": "six hundred forty times four hundred eighty",
    "~20, ±2, x ≥ 3": "about twenty, plus or minus two, x at least three",
    "10 m²": "ten meters squared",
    # punctuation
    "Wait… what? — yes": "Wait, what? yes",
    "He said “hi” (quietly).": "He said hi, quietly.",
    "It’s fine": "It's fine",
    "Really?! No!!": "Really? No!",
    "Nice 😀👍🏽!": "Nice!",
    # Markdown
    "**Bold**, _em_, ***both***, ~~gone~~ and `code`": "Bold, em, both, gone and code",
    "snake_case and 2 ** 3": "snake case and two three",
    "# Heading\ntext": "Heading. text",
    "- one\n- two\n": "one. two.",
    "1. Eggs\n2. Milk": "one, Eggs. two, Milk.",
    "- [ ] call\n- [x] write": "call. write.",
    "[the link](https://a.com/b) and ![a cup](c.png)": "the link and a cup",
    "> quoted\n> text": "quoted text",
    "| Name | Price |\n|------|:-----:|\n| Cup | $3 |": "Name, Price. Cup, three dollars.",
    "Look:\n```python\nprint(1)\n```\nDone.": "Look: code. Done.",
    "a\n\n---\n\nb": "a. b",
    "**Hello there.": "Hello there.",
    "<b>bold</b> text[1]": "bold text",
    "two\nlines": "two lines",
    # nothing
    "": "",
    "... !": "",
    "😀": "",
    "***": "",
    "\x00\ud800": "",
}


@pytest.mark.parametrize(("text", "said"), SAID.items(), ids=[repr(k)[:40] for k in SAID])
def test_what_is_said(text, said):
    assert spoken(text) == said


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("0", "zero"),
        ("19", "nineteen"),
        ("80", "eighty"),
        ("110", "one hundred ten"),
        ("1000001", "one million one"),
        ("999999999999999999", None),
        ("1" * 19, " ".join(["one"] * 19)),
    ],
)
def test_cardinals(value, words):
    assert cardinal(value) == words if words else cardinal(value).count("nine hundred ninety-nine") == 6


def test_ordinals_decimals_and_years():
    assert [ordinal(n) for n in ("5", "8", "9", "20", "30", "101")] == [
        "fifth",
        "eighth",
        "ninth",
        "twentieth",
        "thirtieth",
        "one hundred first",
    ]
    assert decimal("0.05") == "zero point zero five"
    assert [year(n) for n in ("1905", "1800", "2010", "2001")] == [
        "nineteen oh five",
        "eighteen hundred",
        "twenty ten",
        "two thousand one",
    ]


WORDS = st.lists(st.text("abcdefghijklmnopqrstuvwxyzABCDE", min_size=2, max_size=8), min_size=1, max_size=12)


@given(WORDS, st.sampled_from(["", ".", "?", "!", ","]))
def test_plain_words_come_back_as_they_are(words, mark):
    text = " ".join(w for w in words if w.lower() not in {"vs", "etc"})
    assert spoken(text + mark if text else "") == (text + mark if text else "")


FIGURES = [
    "word",
    "12",
    "3.5",
    "1,000",
    "$",
    "€",
    "-",
    "/",
    ":",
    "am",
    "PM",
    "p.m.",
    "°",
    "C",
    "%",
    "km",
    "st",
    "s",
    "'",
    "½",
    "²",
    "May",
    "|",
    "\n",
    "```",
    "*",
    "_",
    "#",
    "[",
    "](",
    ")",
    "(",
    "https://",
    "@",
    ".com",
    "<",
    ">",
    "=",
    "~",
    "…",
    "—",
    " ",
    "😀",
    "\u200d",
    "é",
    "ß",
    "中",
    "①",
    "௧",
    "߀",
    "e\u0301",
]
ABBREVIATIONS = ["No.", "e.g.", "U.S.", "etc.", "Dr.", "vs", "w/"]
ROUGH = st.lists(st.sampled_from(FIGURES + ABBREVIATIONS) | st.characters(), max_size=40).map("".join)
"""Anything at all, rich in what the rules look for."""


@given(ROUGH)
def test_any_text_becomes_speakable_text(text):
    said = spoken(text)
    assert said == " ".join(said.split())
    assert all(c in " '-,.;:?!" or unicodedata.category(c)[0] in "LM" for c in said)
    assert not said or any(map(str.isalpha, said))
    assert not re.search(r"[.,;:?!]\S", said), "a mark inside a word"
    assert not re.match(r"[ .,;:?!]", said)


@given(st.lists(st.sampled_from(FIGURES), max_size=30).map("".join))
def test_what_is_said_is_plain_words_already(text):
    once = spoken(text)
    assert spoken(once) == once


@given(ROUGH)
def test_plain_is_one_line_and_total(text):
    assert "\n" not in plain(text)


def test_long_text_takes_linear_time_in_practice():
    for unit in ("a.", "1,", "*a", "[", "`", "1/", "a@", "<a", "- ", "1-", "_a"):
        assert isinstance(spoken(unit * 3000), str)


def test_clauses_of_markdown_are_spoken_without_marks():
    answer = "Here is **what I see. It is bold.** Then:\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```sh\nls -la\n```\nBye."
    clauser = Clauser()
    said = " ".join(spoken(c) for c in clauser.feed(answer) + clauser.finish())
    assert said == "Here is what I see. It is bold. Then: a, b. one, two. code. Bye."
