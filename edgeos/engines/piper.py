"""The voice: a Piper model in our own ONNX Runtime session; `piper-tts` only turns text into espeak-ng's phonemes."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from edgeos.engines.ort import OrtConfig, need, session, shrinking
from edgeos.errors import DependencyMissing, EngineFailed, ModelIncompatible, ModelMissing
from edgeos.events import Samples
from edgeos.spoken import spoken

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from piper.phonemize_espeak import EspeakPhonemizer

_QUIET = 10 ** (-50 / 20)
"""-50 dBFS: the voice's own background lies at about -95 dBFS, its softest consonants above -45."""
_FRAME_S = 0.01
_LEAD_S, _TAIL_S = 0.03, 0.06
"""Silence left before and after the words: soft onsets and endings keep their shape."""
_GAP_S = 0.45
"""Longest silence left inside a clause."""
_FADE_S = 0.005
_PEAK = 0.95
_PAUSES_S = {".": 0.35, "!": 0.35, "?": 0.35, ":": 0.25, ";": 0.2, ",": 0.12}
_PLAIN_PAUSE_S = 0.05
_MAX_PHONEMES = 400
"""Attention over the phonemes is quadratic; 400 are about 30 seconds."""


class _Audio(msgspec.Struct, frozen=True):
    sample_rate: int


class _Espeak(msgspec.Struct, frozen=True):
    voice: str


class _Inference(msgspec.Struct, frozen=True):
    noise_scale: float = 0.667
    length_scale: float = 1.0
    noise_w: float = 0.8


class _Config(msgspec.Struct, frozen=True):
    """The keys of a voice's `.onnx.json` that matter here; defaults are Piper's."""

    audio: _Audio
    espeak: _Espeak
    phoneme_id_map: dict[str, list[int]]
    inference: _Inference = _Inference()
    phoneme_type: str = "espeak"


@dataclass(frozen=True, slots=True)
class PiperSpec:
    """A Piper voice: the ONNX file, its `.onnx.json`, and how it speaks.

    `length_scale` stretches the voice's own pace (above 1 is slower), `noise_scale` and `noise_w` vary its tone and its
    timing (None: what the voice's config says), `volume` multiplies the samples, `speaker` picks one voice of several.
    """

    model: Path
    config: Path
    ort: OrtConfig = field(default_factory=OrtConfig)
    length_scale: float = 1.0
    noise_scale: float | None = None
    noise_w: float | None = None
    volume: float = 1.4
    speaker: int = 0

    def build(self) -> Piper:
        """Load the voice.

        Raises `DependencyMissing` without the package `piper-tts`, `ModelMissing` and `ModelIncompatible`.
        """
        config = _read(self.config)
        phonemizer = _espeak()
        opened = session(self.model, self.ort)
        need(opened, self.model, ["input", "input_lengths", "scales"])
        return Piper(self, config, opened, phonemizer)


def _read(path: Path) -> _Config:
    try:
        config = msgspec.json.decode(path.read_bytes(), type=_Config)
    except OSError as error:
        raise ModelMissing(
            f"voice config {path}", found=str(error.strerror), fix="run `edgeos pull`, or name the voice's .onnx.json"
        ) from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ModelIncompatible(
            f"voice config {path}",
            expected="the JSON beside a Piper voice",
            found=str(error),
            fix="name the .onnx.json that belongs to the voice",
        ) from error
    lacking = {"^", "$", "_"} - set(config.phoneme_id_map)
    if config.phoneme_type != "espeak" or lacking:
        raise ModelIncompatible(
            f"voice config {path}",
            expected="espeak phonemes with ids for ^ $ _",
            found=f"{config.phoneme_type!r} phonemes" + (f" without {sorted(lacking)}" if lacking else ""),
            fix="name a Piper voice whose phoneme_type is espeak",
        )
    return config


def _espeak() -> EspeakPhonemizer:
    try:
        from piper.phonemize_espeak import EspeakPhonemizer
    except ImportError as error:
        raise DependencyMissing(
            "the voice",
            expected="the package piper-tts, which brings espeak-ng (GPL-3.0-or-later)",
            found=str(error),
            fix="pip install 'edgeos[voice]'",
        ) from error
    return EspeakPhonemizer()


class Piper:
    """Text to speech with one Piper voice (`Tts`)."""

    def __init__(
        self, spec: PiperSpec, config: _Config, opened: InferenceSession, phonemizer: EspeakPhonemizer
    ) -> None:
        """Take the open session; `PiperSpec.build` makes it."""
        self.rate_hz = config.audio.sample_rate
        self._voice, self._ids = config.espeak.voice, config.phoneme_id_map
        self._session, self._phonemizer, self._shrinking = opened, phonemizer, shrinking()
        self._many = "sid" in {node.name for node in opened.get_inputs()}
        self._speaker, self._volume = spec.speaker, spec.volume
        own = config.inference
        noise = own.noise_scale if spec.noise_scale is None else spec.noise_scale
        timing = own.noise_w if spec.noise_w is None else spec.noise_w
        self._scales = np.array([noise, own.length_scale * spec.length_scale, timing], np.float32)

    def synthesize(self, text: str) -> Samples:
        """One clause, Markdown and figures allowed -> [n] float32 at `rate_hz`, within ±0.95, ending in a pause.

        Empty where there is nothing to say. The same clauses in the same order sound the same in every process; one
        clause said twice varies a little, as the noise goes on. Raises `EngineFailed`.
        """
        words = spoken(text)
        if not words:
            return np.zeros(0, np.float32)
        parts = [self._sound(ids) for ids in self._phoneme_ids(words)]
        if not parts:
            return np.zeros(0, np.float32)
        # A full stop inside the clause pauses like one at its end.
        between = self._silence(_PAUSES_S["."])
        joined = parts[0]
        for part in parts[1:]:
            joined = np.concatenate([joined, between, part])
        return np.concatenate([joined, self._silence(_PAUSES_S.get(words[-1], _PLAIN_PAUSE_S))])

    def _phoneme_ids(self, words: str) -> list[list[int]]:
        """Ids of each sentence, as Piper was trained: ^ _ p _ p _ … $; unknown phonemes are left out."""
        pad, ends = self._ids["_"], self._ids["$"]
        sentences = []
        for phonemes in self._phonemizer.phonemize(self._voice, words):
            known = [p for p in phonemes if p in self._ids]
            for first in range(0, len(known), _MAX_PHONEMES):
                piece = known[first : first + _MAX_PHONEMES]
                if any(p.isalpha() for p in piece):
                    body = [i for p in piece for i in (*self._ids[p], *pad)]
                    sentences.append([*self._ids["^"], *pad, *body, *ends])
        return sentences

    def _sound(self, ids: list[int]) -> Samples:
        feed = {
            "input": np.array([ids], np.int64),
            "input_lengths": np.array([len(ids)], np.int64),
            "scales": self._scales,
        }
        if self._many:
            feed["sid"] = np.array([self._speaker], np.int64)
        try:
            samples: Samples = (
                np.asarray(self._session.run(None, feed, self._shrinking)[0], np.float32).reshape(-1) * self._volume
            )
        except Exception as error:  # ORT's own types are not importable by name
            raise EngineFailed(
                "the voice", found=str(error).split("\n")[0], fix="check `edgeos models verify`"
            ) from error
        if not np.isfinite(samples).all():
            raise EngineFailed(
                "the voice", expected="samples", found="values that are not numbers", fix="try another voice"
            )
        peak = float(np.abs(samples).max(initial=0.0))
        if peak > _PEAK:
            samples *= _PEAK / peak
        return tidy(samples, self.rate_hz)

    def _silence(self, seconds: float) -> Samples:
        return np.zeros(round(seconds * self.rate_hz), np.float32)


def tidy(samples: Samples, rate_hz: int) -> Samples:
    """Shorten silence before, after and inside a stretch of speech, and fade both ends so that it joins without clicks.

    [n] float32 at `rate_hz` -> [m], m <= n; empty where nothing is louder than -50 dBFS.
    """
    frame = round(_FRAME_S * rate_hz)
    count = -(-len(samples) // frame)
    padded = np.pad(samples, (0, count * frame - len(samples))).reshape(count, frame)
    loud = np.flatnonzero(np.sqrt((padded**2).mean(axis=1)) > _QUIET)
    if not len(loud):
        return np.zeros(0, np.float32)
    keep = np.zeros(count, bool)
    lead, tail, gap = (round(s / _FRAME_S) for s in (_LEAD_S, _TAIL_S, _GAP_S))
    keep[max(0, loud[0] - lead) : loud[-1] + 1 + tail] = True
    for before, after in pairwise(loud):
        if after - before - 1 > gap:
            keep[before + 1 + gap // 2 : after - (gap - gap // 2)] = False
    kept = np.asarray(samples[np.repeat(keep, frame)[: len(samples)]])
    fade = min(round(_FADE_S * rate_hz), len(kept) // 2)
    ramp = np.linspace(0, 1, fade, endpoint=False, dtype=np.float32)
    kept[:fade] *= ramp
    kept[len(kept) - fade :] *= ramp[::-1]
    return kept
