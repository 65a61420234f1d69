"""Markdown to plain text for the voice: what marks up is dropped, what was meant to be read stays. Pure and total."""

from __future__ import annotations

import re

_FENCE = re.compile(r"^[ \t]*(```|~~~)[^`\n]*$(.*?)(?:^[ \t]*\1[ \t]*$|\Z)", re.MULTILINE | re.DOTALL)
_RULE = re.compile(r"^\s*(?:[-*_=][ \t]*){3,}$")
_TABLE_RULE = re.compile(r"^\s*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?\s*$")
_ROW = re.compile(r"^\s*\|(.*?)\|?\s*$")
_HEADING = re.compile(r"^\s*#{1,6}(?:\s+|$)(.*?)[\s#]*$")
_QUOTE = re.compile(r"^\s*(?:>[ \t]?)+")
_BULLET = re.compile(r"^\s*[-*+•‣◦]\s+(?:\[[ xX]\]\s+)?")
_NUMBERED = re.compile(r"^\s*(\d{1,3})[.)]\s+(?=\S)")

_INLINE = (
    (re.compile(r"<!--.*?-->", re.DOTALL), ""),
    (re.compile(r"!?\[([^\[\]]*)\]\([^()\s]*(?:\s[^()]*)?\)"), r"\1"),  # [text](url) and ![alt](url)
    (re.compile(r"\[([^\[\]]+)\]\[[^\[\]]*\]"), r"\1"),  # [text][reference]
    (re.compile(r"\[\^?\d{1,3}\]"), ""),  # [1] and [^1]: footnotes
    (re.compile(r"<((?:https?://|mailto:)[^<>\s]+)>"), r"\1"),
    (re.compile(r"</?[A-Za-z][^<>]{0,200}>"), " "),
    (re.compile(r"(\*{1,3}|~~)(?=\S)([^*~]+?)(?<=\S)\1"), r"\2"),
    (re.compile(r"(?<!\w)(_{1,3})(?=\S)([^_]+?)(?<=\S)\1(?!\w)"), r"\2"),
    (re.compile(r"`+"), ""),
    (re.compile(r"\*\*|~~|__"), ""),  # one half of a pair: the other half was in another clause
)


def plain(text: str) -> str:
    """Return `text` without its Markdown, on one line.

    A code block becomes the word "code", a link its text, a table row its cells with commas between. Headings, list
    items and table rows end like sentences.
    """
    lines: list[str] = []
    open_block = False
    for raw in _FENCE.sub(_block, text).splitlines():
        line, block = _line(raw)
        if lines and (block or open_block or not line):
            lines[-1] = _closed(lines[-1])
        if line:
            lines.append(line)
        open_block = block
    if lines and open_block:
        lines[-1] = _closed(lines[-1])
    joined = " ".join(lines)
    for pattern, replacement in _INLINE:
        joined = pattern.sub(replacement, joined)
    return joined


def _block(fenced: re.Match[str]) -> str:
    return "\ncode\n" if fenced[2].strip() else "\n"


def _line(raw: str) -> tuple[str, bool]:
    """Return the text of one line, and whether it stands alone (heading, item, row) rather than flows on."""
    line = _QUOTE.sub("", raw)
    if _RULE.match(line) or (("|" in line or "--" in line) and _TABLE_RULE.match(line)):
        return "", True
    if heading := _HEADING.match(line):
        return heading[1], True
    if row := _ROW.match(line):
        return ", ".join(cell.strip() for cell in row[1].split("|") if cell.strip()), True
    if bullet := _BULLET.match(line):
        return line[bullet.end() :].strip(), True
    if numbered := _NUMBERED.match(line):
        return f"{numbered[1]}, {line[numbered.end() :].strip()}", True
    return line.strip(), line.strip() == "code"


def _closed(line: str) -> str:
    """End the line with a full stop unless it ends with punctuation (behind closing marks)."""
    bare = line.rstrip(" *_`~\"')]”’")
    return line if not bare or bare[-1] in ".,;:!?…" else f"{line}."
