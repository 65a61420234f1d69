"""English number words for the voice. Pure."""

from __future__ import annotations

_ONES = (
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
)
_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SCALES = ("", "thousand", "million", "billion", "trillion", "quadrillion")
_LONGEST = 3 * len(_SCALES)
_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}


def digits(text: str) -> str:
    """Name the digits of `text` one by one: "501" -> "five zero one"."""
    return " ".join(_ONES[int(c)] for c in text)


def cardinal(text: str) -> str:
    """Name a whole number given as decimal digits: "1234" -> "one thousand two hundred thirty-four".

    More than 18 digits, or a leading zero ("007"), are named digit by digit: such a string is a code, not an amount.
    """
    if len(text) > _LONGEST or (len(text) > 1 and text[0] == "0"):
        return digits(text)
    value = int(text)
    if value == 0:
        return _ONES[0]
    words = []
    for scale in reversed(range(len(_SCALES))):
        group = value // 1000**scale % 1000
        if group:
            words += [_below_thousand(group), _SCALES[scale]]
    return " ".join(word for word in words if word)


def _below_thousand(value: int) -> str:
    hundreds, rest = divmod(value, 100)
    return " ".join([f"{_ONES[hundreds]} hundred"] * bool(hundreds) + [_below_hundred(rest)] * bool(rest))


def _below_hundred(value: int) -> str:
    if value < 20:
        return _ONES[value]
    tens, ones = divmod(value, 10)
    return _TENS[tens] + (f"-{_ONES[ones]}" if ones else "")


def ordinal(text: str) -> str:
    """Name a place given as decimal digits: "21" -> "twenty-first"."""
    words = cardinal(text)
    cut = max(words.rfind(" "), words.rfind("-")) + 1
    head, last = words[:cut], words[cut:]
    if last.endswith("y"):
        return f"{head}{last[:-1]}ieth"
    return head + _ORDINALS.get(last, f"{last}th")


def year(text: str) -> str:
    """Name a year given as four digits: "1905" -> "nineteen oh five", "2024" -> "twenty twenty-four"."""
    century, rest = int(text[:2]), int(text[2:])
    if century % 10 == 0 and rest < 10:
        return cardinal(text)
    if rest == 0:
        return f"{_below_hundred(century)} hundred"
    return f"{_below_hundred(century)} {'oh ' if rest < 10 else ''}{_below_hundred(rest)}"


def decimal(text: str) -> str:
    """Name a number with an optional point: "3.50" -> "three point five zero"."""
    whole, _, part = text.partition(".")
    return cardinal(whole or "0") + (f" point {digits(part)}" if part else "")
