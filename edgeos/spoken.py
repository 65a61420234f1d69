"""Text to what a voice should say: no Markdown, no symbols, figures and abbreviations in words. Pure and total."""

from __future__ import annotations

import re
import unicodedata

from edgeos.figures import in_words
from edgeos.markdown import plain

_DOMAINS = "com|org|net|edu|gov|io|dev|ai|app|info|co|uk|us|de|fr|eu|ch|ca|au"
_ADDRESS = re.compile(
    r"(?:https?://|mailto:|www\.)[^\s<>\"]+"
    r"|(?<![\w@./-])[\w.+-]+@(?:[\w-]+\.)+\w+"
    rf"|(?<![\w@./-])(?:[\w-]+\.)+(?:{_DOMAINS})\b(?:/[^\s<>\"]*)?",
    re.IGNORECASE,
)
_MARKS = {".": "dot", "/": "slash", "-": "dash", "_": "underscore", ":": "colon", "@": "at", "+": "plus", "#": "hash"}

_ENDS = r"(?=\s+[A-Z]|\s*$)"
"""What follows the full stop of an abbreviation that also ends a sentence."""
_ABBREVIATIONS = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (r"(?<=[a-z])\.(?=[A-Z][a-z])", ". "),  # a space forgotten after a full stop
        (r"\bDr\.(?!\S)", "Doctor"),
        (r"\bMr\.(?!\S)", "Mister"),
        (r"\bMrs\.(?!\S)", "Missus"),
        (r"\bMs\.(?!\S)", "Miz"),
        (r"\bProf\.(?!\S)", "Professor"),
        (r"\bSt\.(?=\s+[A-Z])", "Saint"),
        (r"\bMt\.(?=\s+[A-Z])", "Mount"),
        (r"\b[Nn]os?\.\s*(?=[0-9])", "number "),
        (r"\b([Ff]ig)\.\s*(?=[0-9])", r"\1ure "),
        (r"\b24/7\b", "24 7"),
        (r"\b[Ee]\.\s?g\.,?", "for example,"),
        (r"\b[Ii]\.\s?e\.,?", "that is,"),
        (rf"\betc\.{_ENDS}", "et cetera."),
        (r"\betc\b\.?", "et cetera"),
        (r"\b[Vv]s\b\.?", "versus"),
        (r"\b[Aa]pprox\.", "approximately"),
        (r"\b[Aa]pt\.", "apartment"),
        (r"\b[Dd]ept\.", "department"),
        (r"\bw/o\b", "without"),
        (r"\bw/\s?", "with "),
        (r"\band/or\b", "and or"),
        (rf"\b(?![AaPp]\.[Mm])([A-Za-z])\.([A-Za-z])\.{_ENDS}", r"\1 \2."),
        (r"\b(?![AaPp]\.[Mm])([A-Za-z])\.([A-Za-z])\.(?:([A-Za-z])\.)?", r"\1 \2 \3 "),  # U.S. and U.S.A.
        (r"\bC#", "C sharp"),
    )
)
_ROMAN = dict(
    zip(
        ("II", "III", "IV", "VI", "VII", "VIII", "IX", "XI", "XII", "XIII", "XIV", "XV", "XVI", "XVII", "XVIII", "XIX"),
        ("2", "3", "4", "6", "7", "8", "9", "11", "12", "13", "14", "15", "16", "17", "18", "19"),
        strict=True,
    )
)
"""Without I, V and X, which are words and letters of their own. espeak-ng alone says "Roman two"."""
_AFTER_NAME = re.compile(rf"(?<=[a-z] )(?:{'|'.join(_ROMAN)})\b(?![.'])")

_SYMBOLS = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (r"#(?=\s?[0-9])", " number "),
        (r"#(?=\w)", " hashtag "),
        (r"~(?=\s?[0-9])", " about "),
        (r"(?<=[0-9])\s?[x×*]\s?(?=[0-9])", " times "),
        (r"×| \* ", " times "),
        (r"(?<=[0-9])\s?\^\s?(?=[0-9])", " to the power of "),
        (r"(?<=[0-9])\s\+\s?(?=[0-9])", " plus "),
        (r"(?<=[0-9])\s[-−]\s(?=[0-9])", " minus "),
        (r"÷", " divided by "),
        (r"±", " plus or minus "),
        (r"≈", " about "),
        (r"≠", " is not "),
        (r"<=|≤", " at most "),
        (r">=|≥", " at least "),
        (r"[-=]+>|→", " to "),
        (r"(?<=\s)<(?=\s)", " less than "),
        (r"(?<=\s)>(?=\s)", " greater than "),
        (r"=+", " equals "),
        (r"&", " and "),
        (r"\+", " plus "),
        (r"@", " at "),
        (r"²", " squared "),
        (r"³", " cubed "),
    )
)

_PUNCTUATION = tuple(
    (re.compile(pattern), mark)
    for pattern, mark in (
        (r"[‘’ʼ`´]", "'"),
        (r"(?:\.{2,}|…)\s*(?=[a-z])", ", "),
        (r"\.{2,}|…", ". "),
        (r"\s*[—–―|]+\s*|\s+-+\s+|--+", ", "),
        (r"[)\]}](?=\s*$)", " "),
        (r"[()\[\]{}]", ", "),
        (r"(?<=\w)\.(?=\w)", " dot "),
        (r"%", " percent "),
        (r"[$€£¥]", " "),
        (r"°", " degrees "),
    )
)
_LETTER = r"[^\W\d_]"
_STRENGTH = " ,:;.!?"
"""Of several marks in a row the voice gets the strongest."""
_SILENT = ("Cc", "Cf", "Cs", "Co", "Cn", "So", "Sk")
"""Unicode categories without a sound: controls, and symbols such as emoji, their skin tones, © and box drawing."""
_SPARED = "\n\t^`°"
"""Of those categories, what later rules read."""


def spoken(text: str) -> str:
    """Return what to say for `text`: letters with `' - , . ; : ? !` on one line, empty where there is nothing to say.

    English. Any text is taken; words that are plain already come back as they are. Acronyms stay in capitals, which
    espeak-ng spells out where they are not words.
    """
    text = _ADDRESS.sub(_address, plain(_clean(text)))
    for pattern, words in _ABBREVIATIONS + _SYMBOLS:
        text = pattern.sub(words, text)
    text = in_words(_AFTER_NAME.sub(lambda numeral: _ROMAN[numeral[0]], text))
    for pattern, mark in _PUNCTUATION:
        text = pattern.sub(mark, text)
    return _tidy(text)


def _clean(text: str) -> str:
    """Compose letters, spell ½ as 1⁄2, write digits in ASCII; drop control characters, emoji and their modifiers."""
    text = re.sub(r"(?<=[0-9])(?=[¼½¾⅓⅔⅛⅜⅝⅞])", " ", text)
    whole = unicodedata.normalize("NFC", text)
    composed = "".join(c if c in "²³" else unicodedata.normalize("NFKC", c) for c in whole)
    ascii_digits = "".join(str(unicodedata.decimal(c)) if c.isdecimal() else c for c in composed)
    return "".join(c if c in _SPARED or unicodedata.category(c) not in _SILENT else " " for c in ascii_digits)


def _address(match: re.Match[str]) -> str:
    """Speak a web or mail address: "https://example.com/a?x=1" -> "example dot com slash a"."""
    whole = match[0].rstrip(".,;:!?)]}'*_")
    bare = re.sub(r"^(?:https?://|mailto:)?(?:www\.)?", "", whole, flags=re.IGNORECASE)
    bare = re.split(r"[?#]", bare)[0].rstrip("/")
    words = "".join(f" {_MARKS[c]} " if c in _MARKS else c for c in bare)
    return f" {words} " + match[0][len(whole) :]


def _tidy(text: str) -> str:
    """Keep letters and the marks that steer the voice, one mark at a time, none at the start."""
    text = "".join(c if c.isspace() or c in "'-.,;:?!" or unicodedata.category(c)[0] in "LM" else " " for c in text)
    text = re.sub(rf"(?<!{_LETTER})['-]+|['-]+(?!{_LETTER})", " ", text)
    text = re.sub(r"\s*[.,;:?!][\s.,;:?!]*", lambda run: max(run[0].strip(), key=_STRENGTH.find) + " ", text)
    text = " ".join(text.split()).lstrip(".,;:?! ")
    return text if re.search(_LETTER, text) else ""
