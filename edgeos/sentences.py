"""The answer's text, as it streams in, cut into clauses that a voice can speak one by one. Pure."""

from __future__ import annotations

import re

MIN_CHARS = 24
"""A clause shorter than this is not cut at a comma: very short pieces sound chopped."""
FIRST_CHARS = 60
"""Window of the first clause, where the listener waits for the first sound."""
WINDOW_CHARS = 90
"""Window of later ones: about six seconds of speech."""
LIMIT_CHARS = 200
"""Beyond this, brackets and quotes do not hold a clause together, and any space ends it; code blocks have no limit."""

_TITLES = frozenset(
    {
        "dr",
        "mr",
        "mrs",
        "ms",
        "prof",
        "st",
        "mt",
        "ft",
        "rev",
        "gen",
        "capt",
        "col",
        "sgt",
        "lt",
        "sen",
        "rep",
        "gov",
        "hon",
        "vs",
        "approx",
        "cf",
        "dept",
        "est",
        "apt",
    }
)
"""Abbreviations whose full stop never ends a sentence."""
_BEFORE_FIGURES = frozenset(
    {
        "no",
        "nos",
        "vol",
        "pp",
        "ch",
        "fig",
        "jan",
        "feb",
        "mar",
        "apr",
        "jun",
        "jul",
        "aug",
        "sep",
        "sept",
        "oct",
        "nov",
        "dec",
    }
)
"""Abbreviations only where a figure follows; else words that may end a sentence."""
_INITIALS = re.compile(r"(?:[A-Za-z]\.)*[A-Za-z]")
_NOON = re.compile(r"[AaPp]\.[Mm]")
_CONJUNCTIONS = frozenset(
    {
        "and",
        "but",
        "or",
        "because",
        "so",
        "while",
        "which",
        "although",
        "when",
        "where",
        "if",
        "that",
        "then",
        "until",
    }
)

_CLOSERS = r"[\"'”’)\]}*_`~]*"
_END = re.compile(rf"[.!?…]+{_CLOSERS}(?=\s)")
_COMMA = re.compile(rf"[,;:]{_CLOSERS}(?=\s)|\s[-–—]+(?=\s)|—(?=\s)")
_TOKEN = re.compile(r"[\w.]+\Z")
_LIST_NUMBER = re.compile(r"(?:^|\n)\s*[0-9]{1,3}\Z")
_LAST_WORD = re.compile(r"(\s+)(\w+)\W*\Z")
_FENCE = re.compile(r"^[ \t]*```[^`\n]*$", re.MULTILINE)
_BRACKETS = (("(", ")"), ("[", "]"), ("{", "}"), ("“", "”"))


class Clauser:
    """Feed it pieces of text; it gives back clauses as soon as they are certain.

    A clause ends at the end of a sentence or line; the first one, and long ones, also at a comma or a conjunction.
    Never inside numbers, times, abbreviations, addresses, quotes, brackets or code. Every clause has a letter or a
    digit; joined they give the text back but for white space; how the text was split into pieces makes no difference.
    """

    def __init__(self) -> None:
        """Begin an answer."""
        self._text = ""
        self._first = True
        self._comma: int | None = None
        self._conjunction: int | None = None

    def feed(self, piece: str) -> list[str]:
        """Take the next piece, of any length, and return the clauses that are complete now."""
        clauses = []
        for char in piece:
            # Only the start of the next word tells what the gap before it was.
            if char.isalnum() and not self._text[-1:].isalnum():
                while (cut := self._cut(char)) is not None:
                    clauses += self._take(cut)
            self._text += char
        return clauses

    def finish(self) -> list[str]:
        """Return what is left, and begin anew."""
        rest = self._text.strip()
        self._restart(first=True)
        return [rest] if _has_word(rest) else []

    def _restart(self, *, first: bool) -> None:
        self._text, self._first, self._comma, self._conjunction = "", first, None, None

    def _take(self, cut: int) -> list[str]:
        clause, rest = self._text[:cut].strip(), self._text[cut:]
        self._restart(first=False)
        return [clause, *self.feed(rest)]

    def _cut(self, following: str) -> int | None:
        """Return where to cut, given that the word after the text begins with `following`; None: not yet."""
        end, comma = self._end(following), self._pause(following)
        if end is not None:
            return end
        text = self._text
        length = len(text.strip())
        if length >= (FIRST_CHARS if self._first else WINDOW_CHARS):
            earlier = self._comma or self._conjunction or comma
            if earlier is not None:
                return earlier
        if comma is not None and self._first:
            return comma
        self._comma = comma or self._comma
        last = _LAST_WORD.search(text)
        if last and last[2].lower() in _CONJUNCTIONS and self._allowed(last.start(), MIN_CHARS):
            self._conjunction = last.start()
        if length >= LIMIT_CHARS and text[-1:].isspace() and not _in_block(text) and _has_word(text):
            return len(text)
        return None

    def _end(self, following: str) -> int | None:
        """The end of a sentence or line in the gap before `following`, if there is one."""
        gap = self._gap()
        for line_end in (m.start() for m in re.finditer(r"\n", self._text[gap:])):
            if _has_word(self._text[: gap + line_end]) and not _in_block(self._text[: gap + line_end]):
                return gap + line_end
        stop = _END.search(self._text, gap)
        if stop is None or self._abbreviated(gap, following):
            return None
        if following.islower() and not {"!", "?"} & set(stop[0]):
            return None  # an abbreviation that is not in the lists, or an ellipsis
        return stop.end() if self._allowed(stop.end(), 1) else None

    def _pause(self, following: str) -> int | None:
        """A comma or the like in that gap, where the clause before it is long enough."""
        gap = self._gap()
        mark = _COMMA.search(self._text, gap)
        if mark is None or (following.isdecimal() and self._text[gap - 1 : gap].isdecimal()):
            return None  # "May 5, 2024"
        return mark.end() if self._allowed(mark.end(), MIN_CHARS) else None

    def _gap(self) -> int:
        """Where the last word ends."""
        gap = len(self._text)
        while gap and not self._text[gap - 1].isalnum():
            gap -= 1
        return gap

    def _abbreviated(self, gap: int, following: str) -> bool:
        """Whether the full stop at `gap` belongs to an abbreviation or a list number."""
        if self._text[gap : gap + 1] != ".":
            return False
        token = _TOKEN.search(self._text[:gap])
        word = token[0].lower() if token else ""
        if _NOON.fullmatch(word):
            return not following.isupper()
        return (
            word in _TITLES
            or (word in _BEFORE_FIGURES and following.isdecimal())
            or bool(_INITIALS.fullmatch(word))
            or bool(_LIST_NUMBER.search(self._text[:gap]))
        )

    def _allowed(self, cut: int, least: int) -> bool:
        """Whether a cut there leaves a clause of `least` characters with a word, outside code, quotes and brackets."""
        before = self._text[:cut]
        if len(before.strip()) < least or not _has_word(before) or _in_block(before):
            return False
        if len(before) >= LIMIT_CHARS:
            return True
        line = before[before.rfind("\n") + 1 :]
        balanced = all(line.count(left) <= line.count(right) for left, right in _BRACKETS)
        return balanced and line.count("`") % 2 == 0 and line.count('"') % 2 == 0


def _has_word(text: str) -> bool:
    return any(map(str.isalnum, text))


def _in_block(text: str) -> bool:
    """Whether the end of `text` lies in a fenced block of code."""
    return len(_FENCE.findall(text)) % 2 == 1
