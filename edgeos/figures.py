"""Figures in running English text to words: times, dates, money, units, phone numbers, ranges, plain numbers. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias

from edgeos.numerals import cardinal, decimal, digits, ordinal, year

Match: TypeAlias = "re.Match[str]"

_N = r"[0-9]+(?:,[0-9]{3})+(?:\.[0-9]+)?|[0-9]+(?:\.[0-9]+)?|\.[0-9]+"
"""A number with optional thousands separators and decimals."""
_START = r"(?<![\w.,:/-])"
_MINUS = r"(?:(?<![\w)\]-])[-−])?"

_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)\.?|" + "|".join(_MONTHS)

_UNITS = {
    "km": "kilometer",
    "m": "meter",
    "cm": "centimeter",
    "mm": "millimeter",
    "mi": "mile",
    "yd": "yard",
    "km/h": "kilometer per hour",
    "kph": "kilometer per hour",
    "mph": "mile per hour",
    "m/s": "meter per second",
    "kg": "kilogram",
    "g": "gram",
    "mg": "milligram",
    "lb": "pound",
    "lbs": "pound",
    "oz": "ounce",
    "l": "liter",
    "L": "liter",
    "ml": "milliliter",
    "mL": "milliliter",
    "cl": "centiliter",
    "tbsp": "tablespoon",
    "tsp": "teaspoon",
    "KB": "kilobyte",
    "kB": "kilobyte",
    "MB": "megabyte",
    "GB": "gigabyte",
    "TB": "terabyte",
    "Mbps": "megabit per second",
    "Gbps": "gigabit per second",
    "W": "watt",
    "kW": "kilowatt",
    "kWh": "kilowatt hour",
    "V": "volt",
    "mA": "milliamp",
    "mAh": "milliamp hour",
    "s": "second",
    "sec": "second",
    "secs": "second",
    "ms": "millisecond",
    "min": "minute",
    "mins": "minute",
    "h": "hour",
    "hr": "hour",
    "hrs": "hour",
    "px": "pixel",
    "MP": "megapixel",
    "kcal": "kilocalorie",
    "cal": "calorie",
    "dB": "decibel",
    "Hz": "hertz",
    "kHz": "kilohertz",
    "MHz": "megahertz",
    "GHz": "gigahertz",
    "ft": "foot",
    "rpm": "RPM",
    "fps": "frame per second",
    "°C": "degree Celsius",
    "°F": "degree Fahrenheit",
    "€": "euro",
    "¢": "cent",
    "°": "degree",
    "%": "percent",
}
_SAME_PLURAL = ("hertz", "percent", "RPM")
_UNIT = "|".join(re.escape(u) for u in sorted(_UNITS, key=len, reverse=True))

_MONEY = {"$": ("dollar", "cent"), "€": ("euro", "cent"), "£": ("pound", "penny"), "¥": ("yen", "")}
_SCALES = {"k": "thousand", "K": "thousand", "M": "million", "B": "billion"}
_PLURALS = {"penny": "pence", "foot": "feet", "yen": "yen"}
_FRACTIONS = {"2": ("half", "halves"), "4": ("quarter", "quarters")}


def _number(text: str) -> str:
    minus = "minus " if text[:1] in {"-", "−"} else ""
    return minus + decimal(text.lstrip("-−").replace(",", ""))


def _plural(word: str, count: str) -> str:
    if count in {"1", "-1", "−1"} or word in _SAME_PLURAL:
        return word
    head, per, rest = word.partition(" per ")
    first, space, tail = head.partition(" ")
    if first == "degree":
        return f"degrees{space}{tail}"
    return _PLURALS.get(head, f"{head}s") + per + rest


def _time(m: Match) -> str:
    hour, minute, half = m["hour"], m["minute"], (m["half"] or "").upper().replace(".", "")
    words = [cardinal(str(int(hour)))]
    if minute and int(minute):
        words.append(f"oh {cardinal(minute[1])}" if minute[0] == "0" else cardinal(minute))
    elif minute and not half:
        words.append("o'clock" if 0 < int(hour) <= 12 else "hundred")
    # The full stop of "p.m." may also be that of the sentence.
    stop = "." if (m["half"] or "").endswith(".") and re.match(r"\s+[A-Z]|\s*$", m.string[m.end() :]) else ""
    return " ".join([*words, half] if half else words) + stop


def _date(month: int, day: str, in_year: str | None) -> str:
    return f"{_MONTHS[month - 1]} {ordinal(str(int(day)))}" + (f", {year(in_year)}" if in_year else "")


def _iso_date(m: Match) -> str:
    if not 1 <= int(m[2]) <= 12 or not 1 <= int(m[3]) <= 31:
        return m[0]
    return _date(int(m[2]), m[3], m[1])


def _us_date(m: Match) -> str:
    month, day = int(m[1]), int(m[2])
    if month > 12 >= day:
        month, day = day, month  # written the European way
    return _date(month, str(day), m[3]) if 1 <= month <= 12 and 1 <= day <= 31 else m[0]


def _month_day(m: Match) -> str:
    name = next(name for name in _MONTHS if name.startswith(m["month"][:3]))
    return _date(_MONTHS.index(name) + 1, m["day"], m["year"])


def _money(m: Match) -> str:
    big, small = _MONEY[m["sign"]]
    amount, scale = m["amount"].replace(",", ""), m["scale"]
    minus = "minus " if m["minus"] else ""
    if scale:
        return f"{minus}{decimal(amount)} {_SCALES.get(scale, scale)} {_plural(big, '')}"
    whole, _, part = amount.partition(".")
    if len(part) != 2 or not small:
        return f"{minus}{decimal(amount)} {_plural(big, amount)}"
    coins = f"{cardinal(str(int(part)))} {_plural(small, str(int(part)))}"
    if not int(whole or 0) and int(part):
        return minus + coins
    return f"{minus}{cardinal(whole)} {_plural(big, whole)}" + (f" and {coins}" if int(part) else "")


def _measure(m: Match) -> str:
    singular = _UNITS[m["unit"]]
    # "a 16-oz can" is singular, "16 oz" is not.
    unit = singular if m["gap"] == "-" else _plural(singular, m["upper"] or m["number"])
    upper = f" to {_number(m['upper'])}" if m["upper"] else ""
    return f"{_number(m['number'])}{upper} {unit}"


def _fraction(m: Match) -> str:
    whole, top, bottom = m["whole"], m["top"], m["bottom"]
    if bottom in _FRACTIONS:
        one, many = _FRACTIONS[bottom]
    else:
        one = ordinal(bottom)
        many = f"{one}s"
    part = f"{cardinal(top)} {one if top == '1' else many}"
    if not whole:
        return part
    return f"{cardinal(whole)} and " + (f"a {one}" if top == "1" else part)


def _phone(m: Match) -> str:
    return ", ".join(digits(group) for group in re.findall(r"[0-9]+", m[0]))


def _range(m: Match) -> str:
    names = year if len(m[1]) == len(m[2]) == 4 and _looks_like_year(m[1]) and _looks_like_year(m[2]) else _number
    return f"{names(m[1])} to {names(m[2])}"


def _version(m: Match) -> str:
    return " " + " point ".join(cardinal(n) for n in m[0].split("."))


def _looks_like_year(text: str) -> bool:
    return 1900 <= int(text) <= 2099


def _decade(m: Match) -> str:
    words = year(m[1]) if len(m[1]) == 4 else cardinal(m[1])
    return f"{words[:-1]}ies" if words.endswith("y") else f"{words}s"


_YEAR_CUE = r"(?i:(?<=\bin )|(?<=\bsince )|(?<=\byear )|(?<=\buntil )|(?<=\bfrom ))"
_SUFFIX = r"(?:st|nd|rd|th)"
_IN_YEAR = r"(?:,? (?P<year>[12][0-9]{3})\b)?"
_HALF = r"(?P<half>[AaPp](?:\.[Mm]\.|[Mm]\b))"

_PATTERNS: tuple[tuple[str, Callable[[Match], str]], ...] = (
    # "9am-5pm" and "9:00-10:30"
    (r"(?<=[0-9mM])\s?[-–]\s?(?=[0-9]{1,2}(?::[0-9]{2}|\s?[AaPp]\.?[Mm]\b))", lambda _: " to "),
    (r"(?<=[0-9])\s?[-–]\s?(?=[$€£¥])", lambda _: " to "),
    (r"(?i:(?<=\bcall )|(?<=\bdial ))(?:911|999|112|988)\b(?![.,]?[0-9])", lambda m: digits(m[0])),
    (rf"{_START}([0-9]{{4}})-([0-9]{{2}})-([0-9]{{2}})(?![\w-])", _iso_date),
    (rf"{_START}([0-9]{{1,2}})/([0-9]{{1,2}})/([0-9]{{4}})(?![\w/])", _us_date),
    (
        rf"{_START}\+?(?:[0-9]{{1,3}}[-. ])?(?:\([0-9]{{3}}\) ?|[0-9]{{3}}[-. ])[0-9]{{3}}[-. ][0-9]{{4}}(?!\w)",
        _phone,
    ),
    (rf"{_START}[0-9]{{3}}-[0-9]{{4}}(?![\w-])", _phone),
    (rf"\b(?P<month>{_MONTH}) (?P<day>[0-9]{{1,2}}){_SUFFIX}?\b(?![:./-]?[0-9]){_IN_YEAR}", _month_day),
    (rf"{_START}(?P<day>[0-9]{{1,2}}){_SUFFIX}? (?:of )?(?P<month>{_MONTH})\b{_IN_YEAR}", _month_day),
    (
        rf"(?<![\w.,:/])(?P<hour>[01]?[0-9]|2[0-4]):(?P<minute>[0-5][0-9])(?::[0-5][0-9])?(?:\s?{_HALF})?(?![\w:])",
        _time,
    ),
    (rf"(?<![\w.,:/])(?P<hour>1[0-2]|0?[1-9])(?P<minute>)\s?{_HALF}", _time),
    (
        rf"(?P<minus>{_MINUS})(?P<sign>[$€£¥])\s?(?P<amount>{_N})"
        r"(?:\s?(?P<scale>thousand|million|billion|trillion|[kKMB])\b)?",
        _money,
    ),
    (
        rf"{_START}(?:(?P<whole>[0-9]+)[ -])?(?P<top>[0-9]{{1,2}})[/⁄]"
        r"(?P<bottom>[2-9]|1[0-9]|[2-9][0-9]|100)(?![\w/⁄.])",
        _fraction,
    ),
    (rf"{_START}([0-9]{{1,3}}):([0-9]{{1,3}})(?![\w:])", lambda m: f"{cardinal(m[1])} to {cardinal(m[2])}"),
    (r"(?<![\w.])'?([2-9]0|1[5-9][0-9]0|20[0-9]0)'?s\b", _decade),
    (
        rf"(?P<number>{_MINUS}(?:{_N}))(?:\s?(?:-|–|to)\s?(?P<upper>{_N}))?(?P<gap>[ -]?)(?P<unit>{_UNIT})(?![\w/])",
        _measure,
    ),
    (rf"{_START}({_N})(?:[-–]|\s–\s)({_N})(?![\w-]|\.[0-9])", _range),
    (rf"(?<![\w.])([0-9]{{1,3}}(?:,[0-9]{{3}})+|[0-9]+){_SUFFIX}\b", lambda m: ordinal(m[1].replace(",", ""))),
    (r"(?<![0-9.])[0-9]+(?:\.[0-9]+){2,}(?![\w.]*[0-9])", _version),
    (rf"{_YEAR_CUE}(1[0-8][0-9]{{2}})(?![\w,.:/-]*[0-9])", lambda m: year(m[1])),
    (r"(?<![\w.,$€£-])((?:19|20)[0-9]{2})(?![\w%°]|[,.:/-][0-9])", lambda m: year(m[1])),
    (rf"({_MINUS}(?:{_N}))", lambda m: f" {_number(m[1])} "),
)
"""In order: what is more specific comes first, plain numbers last."""

_RULES = tuple((re.compile(pattern), words) for pattern, words in _PATTERNS)


def in_words(text: str) -> str:
    """Replace every ASCII figure in `text` by words; nothing else changes."""
    for pattern, words in _RULES:
        text = pattern.sub(words, text)
    return text
