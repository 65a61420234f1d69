"""Speech to text against faster-whisper: the same weights (tiny.en, int8, greedy), threads and recordings, in turns.

    python benchmarks/asr.py [--ct2 DIR] [--rounds 3] [--threads N] [--contexts]

Needs `pip install -e '.[bench]'` and `edgeos pull silero-vad whisper-tiny.en-int8`. Ours is the product's own path:
VAD, windows, Whisper, guards. faster-whisper gets the same samples, `language="en"`, `beam_size=1`, its other defaults,
and its model from `--ct2` or pulled by `whisper-tiny.en-ct2.toml`. Both run on every clip, one after the other,
`--rounds` times; a clip's time is its best round. Writes `benchmarks/results/asr.json`. `--contexts` also runs ours at
other context lengths, and all clips as one file in three orders.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
from common import median_ratio, versions, wer, write

from edgeos import manifest
from edgeos.budget import cores
from edgeos.engines.ort import OrtConfig
from edgeos.engines.silero import SileroSpec
from edgeos.engines.whisper import WhisperSpec
from edgeos.events import RATE_HZ, Samples
from edgeos.fetch import Quiet
from edgeos.hearing import hear
from edgeos.sources import audiofile
from edgeos.store import Store

HERE = Path(__file__).resolve().parent
TESTDATA = Path(os.environ.get("EDGEOS_TESTDATA", HERE.parent.parent / "shared" / "testdata"))

Hear: TypeAlias = Callable[[Samples], str]
Clip: TypeAlias = tuple[str, Samples, str]


def clips() -> list[Clip]:
    """Name, samples and transcript of every recording of speech."""
    lines = map(json.loads, (TESTDATA / "manifest.jsonl").read_text().splitlines())
    speech = [record for record in lines if record["kind"] == "speech"]
    return [(r["path"], audiofile.read(TESTDATA / r["path"]), r["transcript"]) for r in speech]


def whisper(threads: int) -> WhisperSpec:
    files, settings = Store().files(model := manifest.find("whisper-tiny.en-int8")), model.settings
    return WhisperSpec(files["encoder.onnx"], files["decoder.onnx"], files["tokens.json"], settings, OrtConfig(threads))


def ours(spec: WhisperSpec) -> Hear:
    vad = SileroSpec(Store().files(manifest.find("silero-vad"))["silero_vad_16k_op15.onnx"], OrtConfig(1)).build()
    asr = spec.build()
    return lambda samples: hear(samples, vad, asr, lambda: False)


def theirs(folder: Path | None, threads: int) -> Hear:
    from faster_whisper import WhisperModel

    if folder is None:
        model, store = manifest.load_file(HERE / "whisper-tiny.en-ct2.toml"), Store()
        store.pull(model, Quiet())
        folder = store.root / model.id
    peer = WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=threads)

    def transcribe(samples: Samples) -> str:
        segments, _ = peer.transcribe(samples, language="en", beam_size=1)
        return " ".join(segment.text.strip() for segment in segments)

    return transcribe


def timed(engine: Hear, samples: Samples) -> tuple[float, str]:
    start = time.perf_counter()
    text = engine(samples)
    return time.perf_counter() - start, text


def errors(found: list[tuple[str, str]]) -> dict[str, float]:
    """Word errors over (reference, hypothesis) pairs."""
    wrong, words = (sum(column) for column in zip(*(wer(*pair) for pair in found), strict=True))
    return {"wer": round(wrong / words, 4), "errors": wrong, "words": words}


def compare(engines: dict[str, Hear], speech: list[Clip], rounds: int) -> dict[str, dict[str, object]]:
    """Run all engines in turns over every clip, each first as often as the others."""
    best = {name: [float("inf")] * len(speech) for name in engines}
    texts = {name: [""] * len(speech) for name in engines}
    for name in engines:
        engines[name](speech[0][1])
    for turn in range(rounds):
        for i, (_, samples, _) in enumerate(speech):
            for name in sorted(engines, reverse=(turn + i) % 2 == 1):
                took, texts[name][i] = timed(engines[name], samples)
                best[name][i] = min(best[name][i], took)
    audio_s = sum(len(samples) for _, samples, _ in speech) / RATE_HZ
    return {
        name: {
            **errors([(truth, text) for (_, _, truth), text in zip(speech, texts[name], strict=True)]),
            "rtf": round(sum(best[name]) / audio_s, 4),
            "seconds": [round(took, 4) for took in best[name]],
            "texts": texts[name],
        }
        for name in engines
    }


def long_file(engine: Hear, speech: list[Clip]) -> dict[str, float]:
    """All clips in one file, in three orders: what is lost at the seams shows as word errors."""
    pairs = []
    for seed in range(3):
        order = [speech[i] for i in np.random.default_rng(seed).permutation(len(speech))]
        pairs.append((" ".join(clip[2] for clip in order), engine(np.concatenate([clip[1] for clip in order]))))
    return errors(pairs)


def contexts(spec: WhisperSpec, speech: list[Clip]) -> dict[str, object]:
    """Our WER and speed by the least context, in seconds; the long-file check with the default."""
    rows = {}
    for frames in (1000, 1500, 2000, 3000):
        row = compare({"ours": ours(replace(spec, fewest_frames=frames))}, speech, 2)["ours"]
        rows[f"{frames // 100}"] = {key: row[key] for key in ("wer", "errors", "words", "rtf")}
    return {"by_context_s": rows, "one_long_file": long_file(ours(spec), speech)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ct2", type=Path, help="folder of the CTranslate2 model; pulled where it is not given")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=min(4, cores()))
    parser.add_argument("--contexts", action="store_true")
    asked = parser.parse_args()

    speech, spec = clips(), whisper(asked.threads)
    rows = compare({"ours": ours(spec), "theirs": theirs(asked.ct2, asked.threads)}, speech, asked.rounds)
    ratio = median_ratio(rows["ours"]["seconds"], rows["theirs"]["seconds"])  # type: ignore[arg-type]
    more = contexts(spec, speech) if asked.contexts else {}
    write(
        "asr",
        {
            "clips": [name for name, _, _ in speech],
            "rounds": asked.rounds,
            "threads": asked.threads,
            **rows,
            "time_ratio_per_clip": {"median": ratio[0], "low": ratio[1], "high": ratio[2]},
            "table": [
                [
                    f"speech to text: word error rate, {len(speech)} recordings",
                    f"{rows['ours']['wer']:.1%}",
                    f"{rows['theirs']['wer']:.1%} faster-whisper tiny.en int8, beam 1, same weights",
                ],
                [
                    "speech to text: time per recording",
                    f"{ratio[0]:.2f} ({ratio[1]:.2f} to {ratio[2]:.2f}) of the peer's",
                    f"real-time factor {rows['ours']['rtf']:.3f} against {rows['theirs']['rtf']:.3f}",
                ],
            ],
            **more,
            "versions": versions("edgeos", "onnxruntime", "numpy", "faster-whisper", "ctranslate2"),
        },
    )
    print(
        "| speech to text, tiny.en int8 | WER | RTF | time per clip, ours / theirs (95 %) |\n| --- | --- | --- | --- |"
    )
    spread = f"{ratio[0]:.2f} ({ratio[1]:.2f}-{ratio[2]:.2f})"
    for name, label, note in (("ours", "edgeos", spread), ("theirs", "faster-whisper, beam 1", "")):
        print(f"| {label} | {rows[name]['wer']:.1%} | {rows[name]['rtf']:.3f} | {note} |")
    print(json.dumps(more, indent=1) if more else "", end="")


if __name__ == "__main__":
    main()
