"""The composition root: profile, manifests and verified files become engine specs. It alone knows every adapter."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from edgeos import budget, manifest
from edgeos.crew import Specs
from edgeos.engines.ort import OrtConfig
from edgeos.engines.settings import checked
from edgeos.errors import BadConfig
from edgeos.manifest import Job, Manifest
from edgeos.profile import Profile
from edgeos.store import Store
from edgeos.worker import Spec


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which model does a job, and how it runs."""

    id: str
    kind: Literal["ep", "backend"]
    runs_on: str
    """The execution provider of ONNX Runtime, or the backend of llama.cpp."""
    threads: int


@dataclass(frozen=True, slots=True)
class Assembly:
    """The specs of the engines that were asked for, and what was chosen for each job."""

    specs: Specs
    chosen: dict[Job, Chosen]


def assemble(profile: Profile, jobs: Collection[Job], store: Store | None = None) -> Assembly:
    """Resolve and verify the models of `jobs`, and describe their engines. Nothing is loaded yet.

    Raises `ModelMissing`, `ModelCorrupt`, `UnknownName`, `BadConfig`.
    """
    store = store or Store()
    threads = budget.plan(budget.cores())
    specs: dict[Job, Spec[Any]] = {}
    chosen: dict[Job, Chosen] = {}
    for job in jobs:
        if job not in profile.models:
            continue
        model = manifest.find(profile.models[job])
        if model.job != job or model.engine not in _ADAPTERS:
            raise BadConfig(
                f"profile {profile.name!r}, job {job!r}",
                expected=f"a model for {job}",
                found=f"{model.id}, a model for {model.job} on engine {model.engine!r}",
                fix="see `edgeos models list`",
            )
        specs[job] = _ADAPTERS[model.engine](_Part(model, store.files(model), threads, profile))
        chosen[job] = _choice(model, threads)
    return Assembly(_gather(specs), chosen)


def _gather(specs: dict[Job, Spec[Any]]) -> Specs:
    from edgeos.engines.eyes import EyesSpec

    eyes = tuple(specs[job] for job in ("labels", "ocr") if job in specs)
    return Specs(
        llm=specs.get("llm"),
        vad=specs.get("vad"),
        asr=specs.get("asr"),
        eyes=EyesSpec(eyes) if eyes else None,
        tts=specs.get("tts"),
    )


def _choice(model: Manifest, threads: budget.Threads) -> Chosen:
    share = {"asr": threads.asr, "llm": threads.llm_decode, "labels": threads.vision, "ocr": threads.vision}
    count = share.get(model.job, threads.small)
    if model.engine == "llama":
        return Chosen(model.id, "backend", "cpu", count)
    return Chosen(model.id, "ep", OrtConfig().ep, count)


@dataclass(frozen=True, slots=True)
class _Part:
    """What an adapter's spec is made from."""

    model: Manifest
    files: Mapping[str, Path]
    threads: budget.Threads
    profile: Profile

    def file(self, suffix: str) -> Path:
        """Return the verified file whose name ends so."""
        return next(path for name, path in self.files.items() if name.endswith(suffix))


def _silero(part: _Part) -> Spec[Any]:
    from edgeos.engines.silero import SileroSpec

    return SileroSpec(part.file(".onnx"), OrtConfig(part.threads.small))


def _whisper(part: _Part) -> Spec[Any]:
    from edgeos.engines.whisper import WhisperSpec

    encoder, decoder, tokens = (part.file(name) for name in ("encoder.onnx", "decoder.onnx", "tokens.json"))
    return WhisperSpec(encoder, decoder, tokens, part.model.settings, OrtConfig(part.threads.asr))


def _classifier(part: _Part) -> Spec[Any]:
    from edgeos.engines.classifier import ClassifierSettings, ClassifierSpec

    settings = checked(part.model.id, part.model.settings, ClassifierSettings)
    ort = OrtConfig(part.threads.vision)
    return ClassifierSpec(part.file(".onnx"), part.file("labels.json"), settings, ort, part.model.id)


def _ppocr(part: _Part) -> Spec[Any]:
    from edgeos.engines.ppocr import PpocrSettings, PpocrSpec

    settings = checked(part.model.id, part.model.settings, PpocrSettings)
    ort = OrtConfig(part.threads.vision)
    return PpocrSpec(part.file("det_small.onnx"), part.file("rec_small.onnx"), settings, ort, part.model.id)


def _llama(part: _Part) -> Spec[Any]:
    from edgeos.engines.llama import LlamaSpec

    threads, template = part.threads, str(part.model.settings.get("template"))
    return LlamaSpec(part.file(".gguf"), template, part.profile.context_tokens, threads.llm_prefill, threads.llm_decode)


def _piper(part: _Part) -> Spec[Any]:
    from edgeos.engines.piper import PiperSpec

    return PiperSpec(part.file(".onnx"), part.file(".json"), OrtConfig(part.threads.small))


_ADAPTERS: dict[str, Callable[[_Part], Spec[Any]]] = {
    "silero": _silero,
    "whisper": _whisper,
    "classifier": _classifier,
    "ppocr": _ppocr,
    "llama": _llama,
    "piper": _piper,
}
