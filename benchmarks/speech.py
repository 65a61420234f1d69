"""How well our spoken answers are understood: speak, write a WAV, transcribe it with our own ears, compare the words.

    python benchmarks/speech.py [--out FOLDER]      # FOLDER keeps the WAV files

An answer goes the product's way: clauses as they stream, the starter voice, the `wav:` sink, VAD and Whisper. Both
texts are put into spoken words before they are compared, so that "$4.50" equals "four dollars and fifty cents";
`recall_as_written` compares them without that step. Synthesis is timed on one thread, per clause.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from difflib import SequenceMatcher
from pathlib import Path

from common import normalise, versions, wer, write

from edgeos.assemble import assemble
from edgeos.clock import MonotonicClock
from edgeos.engines import Tts
from edgeos.events import Speech
from edgeos.hearing import hear
from edgeos.markdown import plain
from edgeos.profile import load
from edgeos.sentences import Clauser
from edgeos.sinks import open_speaker
from edgeos.sources import audiofile
from edgeos.spoken import spoken

GOAL = 0.9
ANSWERS = (
    "The meeting is at 3 PM.",
    "I can see a cup on the table, a laptop, and a cell phone next to the keyboard.",
    "Paris is the capital of France.",
    "It is 72°F outside, with a 20% chance of rain after 5:30 PM.",
    "The coffee costs $4.50, and a large one is $5.25.",
    "The sign says that the museum is open from 9:00 am to 6:30 pm, except on Mondays.",
    "You need 2 cups of flour, 1/2 cup of sugar, and 3 eggs. Mix them well, then bake for 25 minutes.",
    "Dr. Smith will see you on Thursday, May 14th, in room 212.",
    "The box weighs 16 oz and it is about 30 cm long.",
    "World War II ended in 1945, and the Apollo 11 mission landed on the Moon in 1969.",
    "The train to Boston leaves at 14:30 from platform 7.",
    "I'm sorry, I can't read the text in this picture because it is too dark.",
    "That looks like a golden retriever, which is a friendly breed of dog.",
    "The whiteboard lists three tasks:\n- call the bank\n- write the report\n- buy milk",
    "Light travels at about 300,000 km per second, so it reaches us from the Sun in roughly 8 minutes.",
    "Yes, there are 3-5 people in the room, e.g. near the window.",
    "The phone has 8 GB of memory and its battery is at 90%.",
    "**Water** boils at 100°C, which is the same as 212 degrees Fahrenheit.",
    "Please visit example.com for more information about the opening hours.",
    "The speed limit on this road is 60 mph, but the car in front of you is going 45.",
    "Two plus two equals four, and ten times ten equals one hundred.",
    "Good morning! How can I help you today?",
)


def found(reference: list[str], heard: list[str]) -> int:
    """Words of `reference` that `heard` has too, in order."""
    return sum(block.size for block in SequenceMatcher(None, reference, heard, autojunk=False).get_matching_blocks())


async def say(tts: Tts, answer: str, path: Path) -> tuple[list[float], float]:
    """Speak one answer into a WAV; return the seconds that each clause took to make, and the seconds of sound."""
    clauser, took = Clauser(), []
    async with open_speaker(f"wav:{path}", MonotonicClock()) as speaker:
        for clause in clauser.feed(answer) + clauser.finish():
            begun = time.perf_counter()
            samples = tts.synthesize(clause)
            took.append(time.perf_counter() - begun)
            await speaker.play(Speech(1, clause, samples, tts.rate_hz))
        return took, speaker.played_s


def measure(folder: Path) -> dict[str, object]:
    """Speak and hear all answers."""
    made = assemble(load("starter"), ["vad", "asr", "tts"])
    specs = made.specs
    assert specs.tts is not None
    assert specs.vad is not None
    assert specs.asr is not None
    tts, vad, asr = specs.tts.build(), specs.vad.build(), specs.asr.build()
    tts.synthesize("Warm up.")
    words = matched = errors = written = matched_written = 0
    first, spent, sound, heard_as = [], 0.0, 0.0, []
    for number, answer in enumerate(ANSWERS):
        path = folder / f"{number:02}.wav"
        took, seconds = asyncio.run(say(tts, answer, path))
        first, spent, sound = [*first, took[0]], spent + sum(took), sound + seconds
        heard = hear(audiofile.read(path), vad, asr, lambda: False)
        heard_as.append({"answer": answer, "heard": heard})
        reference, hypothesis = normalise(spoken(answer)), normalise(spoken(heard))
        words, matched = words + len(reference), matched + found(reference, hypothesis)
        errors += wer(spoken(answer), spoken(heard))[0]
        as_written = normalise(plain(answer))
        written, matched_written = written + len(as_written), matched_written + found(as_written, normalise(heard))
        mark = " " if reference == hypothesis else "!"
        print(f"{mark} {answer!r}\n  {heard!r}")
    return {
        "recall": matched / words,
        "recall_as_written": matched_written / written,
        "wer": errors / words,
        "words": words,
        "answers": len(ANSWERS),
        "goal_recall": GOAL,
        "rtf": spent / sound,
        "sound_s": sound,
        "first_clause_ms": {"median": 1000 * statistics.median(first), "max": 1000 * max(first)},
        "models": {job: chosen.id for job, chosen in made.chosen.items()},
        "threads": {job: chosen.threads for job, chosen in made.chosen.items()},
        "versions": versions("onnxruntime", "piper-tts", "numpy"),
        "transcripts": heard_as,
    }


def main() -> None:
    """Measure, print a table row, write `results/speech.json`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="keep the WAV files here")
    out = parser.parse_args().out
    with tempfile.TemporaryDirectory() as scratch:
        if out:
            out.mkdir(parents=True, exist_ok=True)
        row = measure(out or Path(scratch))
    heard = f"{row['recall']:.1%}"
    row["table"] = [["voice: words of spoken answers that our own ears hear", heard, f"goal {GOAL:.0%}"]]
    write("speech", row)
    clause = row["first_clause_ms"]
    print("| words heard back | as written | WER | RTF | first clause, median (max) |\n|---|---|---|---|---|")
    print(
        f"| {row['recall']:.1%} (goal {GOAL:.0%}) | {row['recall_as_written']:.1%} | {row['wer']:.1%} "
        f"| {row['rtf']:.3f} | {clause['median']:.0f} ms ({clause['max']:.0f} ms) |"
    )


if __name__ == "__main__":
    main()
