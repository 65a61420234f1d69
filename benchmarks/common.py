"""What every benchmark shares. Import it from a sibling file and run that as `python benchmarks/NAME.py`.

    from common import machine, median_ratio, normalise, versions, wer, write

    ours, theirs = [...], [...]                       # seconds per item, measured in turns: ours, theirs, ours, theirs
    median, low, high = median_ratio(ours, theirs)    # below 1: we are faster
    errors, words = wer("three pm", "3 p.m.")         # (0, 2): both sides are normalised
    write("asr", {"wer": errors / words, "ratio": [median, low, high]})   # benchmarks/results/asr.json

`write` adds the machine. Measure pairs interleaved, so that whatever else the machine does falls on both.
"""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

RESULTS = Path(__file__).resolve().parent / "results"

_ONES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
_TEENS = ["ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"]
_TENS = ["_", "_", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_NUMBERS = (
    {word: value for value, word in enumerate(_ONES + _TEENS)}
    | {word: 10 * value for value, word in enumerate(_TENS) if word != "_"}
    | {"oh": 0}
)
_SAME = {"mister": "mr", "missus": "mrs", "doctor": "dr", "okay": "ok", "oz": "ounce"}


def normalise(text: str) -> list[str]:
    """Return the words of a text as they are compared: no case, no punctuation, every number as its single digits.

    So "Sixteen-ounce" and "16 ounce" agree, and "one zero oh" equals "100". "oh" is a digit only beside one.
    """
    text = re.sub(r"(?<=\d),(?=\d{3})", "", text.lower())
    text = re.sub(r"\b([ap])\.\s?m\b\.?", r"\1m", text)
    words = [_SAME.get(word, word) for word in re.sub(r"[^a-z0-9 ]+", " ", re.sub(r"[’']", "", text)).split()]
    out: list[str] = []
    for i, word in enumerate(words):
        value = _NUMBERS.get(word)
        if word == "oh" and not any(
            w in _NUMBERS or w.isdigit() for w in (*words[max(0, i - 1) : i], *words[i + 1 : i + 2])
        ):
            value = None
        if value is None:
            out.extend(part for part in re.findall(r"\d|[a-z]+", word))
        elif value in range(1, 10) and i and words[i - 1] in _TENS and words[i - 1] != "_":
            out[-1] = str(value)  # "twenty" gave 2 0; "twenty one" is 2 1
        else:
            out.extend(str(value))
    return out


def wer(reference: str, hypothesis: str) -> tuple[int, int]:
    """Return (errors, words of the reference): Levenshtein distance over normalised words."""
    ours, theirs = normalise(reference), normalise(hypothesis)
    row = list(range(len(theirs) + 1))
    for i, word in enumerate(ours, 1):
        before, row[0] = row[0], i
        for j, other in enumerate(theirs, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (word != other))
    return row[-1], len(ours)


def median_ratio(a: Sequence[float], b: Sequence[float], draws: int = 2000) -> tuple[float, float, float]:
    """Return the median of a[i] / b[i] and its 95 % bootstrap interval (percentiles, seed 0)."""
    ratios = np.asarray(a, float) / np.asarray(b, float)
    picks = np.random.default_rng(0).integers(0, len(ratios), (draws, len(ratios)))
    low, high = np.percentile(np.median(ratios[picks], axis=1), [2.5, 97.5])
    return float(np.median(ratios)), float(low), float(high)


def versions(*packages: str) -> dict[str, str]:
    """Return the installed version of each package, "absent" where there is none."""
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "absent"
    return found


def machine() -> dict[str, Any]:
    """Return what the figures were measured on."""
    cpu, memory = platform.processor() or platform.machine(), 0
    info, meminfo = Path("/proc/cpuinfo"), Path("/proc/meminfo")
    if info.is_file():
        names = re.findall(r"model name\s*:\s*(.+)", info.read_text())
        cpu = names[0].strip() if names else cpu
    if meminfo.is_file():
        memory = int(meminfo.read_text().split()[1]) * 1024
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "cpu": cpu,
        "cores": cores,
        "load_1min": round(os.getloadavg()[0], 2),
        "memory_gb": round(memory / 1e9, 1),
        "system": f"{platform.system()} {platform.release()}",
        "arch": platform.machine(),
        "python": platform.python_version(),
    }


def write(name: str, row: dict[str, Any]) -> Path:
    """Write `benchmarks/results/<name>.json` (the row plus the machine) and return its path."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps({"name": name, **row, "machine": machine()}, indent=2, ensure_ascii=False) + "\n")
    return path
