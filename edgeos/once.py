"""One question, one answer: what `edgeos ask` does, for programs too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from edgeos.assemble import Chosen, assemble
from edgeos.clock import MonotonicClock
from edgeos.conversation import Conversation
from edgeos.crew import Crew, need, open_crew
from edgeos.errors import BadAudio
from edgeos.events import CameraFrame, Event, Fact, PromptReady, Samples, SceneChanged, Transcript, TurnStarted, Warned
from edgeos.fusion import Part
from edgeos.hearing import probabilities
from edgeos.manifest import Job
from edgeos.metrics import Timeline
from edgeos.profile import Profile
from edgeos.segment import windows
from edgeos.sinks import open_speaker
from edgeos.sources import audiofile, picture
from edgeos.stages import Log, Observe
from edgeos.store import Store


@dataclass(frozen=True, slots=True)
class Request:
    """`text`, or the words in `audio`, is asked; `images` are what the camera shows; the voice goes to `speak`."""

    text: str = ""
    audio: Path | None = None
    images: Sequence[Path] = ()
    speak: Path | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """Everything about the one turn.

    `timings_ms`: `first_token`, `first_audio` and `total` count from the question, after loading; the others are
    durations. None: that stage was not needed.
    """

    heard: str
    scene: tuple[Fact, ...]
    prompt: tuple[Part, ...]
    answer: str
    spoken_s: float
    timings_ms: dict[str, float | None]
    models: dict[Job, Chosen]
    warnings: tuple[str, ...]


async def ask(
    request: Request, profile: Profile, observe: Observe = lambda _: None, store: Store | None = None
) -> Reply:
    """Answer one request. Bad files are refused before any model loads; `speak` is written whole or not at all."""
    clock, timeline, events = MonotonicClock(), Timeline(), list[Event]()

    def seen(event: Event) -> None:
        timeline.see(event)
        events.append(event)
        observe(event)

    log = Log(seen, clock)
    samples = None
    if request.audio:
        samples = audiofile.read(request.audio, lambda text: log(Warned(log.now_ns(), text)))
    frames = [CameraFrame(picture.read(path), clock.now_ns(), str(path)) for path in request.images]
    jobs: list[Job] = ["llm"]
    jobs += ["vad", "asr"] if samples is not None else []
    jobs += ["labels", "ocr"] if frames else []
    jobs += ["tts"] if request.speak else []
    async with open_speaker(f"wav:{request.speak}" if request.speak else "null:", clock) as speaker:
        begun = perf_counter()
        assembly = assemble(profile, jobs, store)
        async with open_crew(assembly.specs) as crew:
            load_ms = (perf_counter() - begun) * 1000
            seen(TurnStarted(clock.now_ns(), 1))
            heard = request.text if samples is None else await _hear(request, samples, crew, profile, log)
            facts = await _look(crew, frames, log) if frames else ()
            turn = await Conversation(crew, profile, speaker, log).turn(1, heard, facts)
    costs = {type(e): e.compute_ms for e in events if isinstance(e, Transcript | SceneChanged | PromptReady)}
    return Reply(
        heard=heard,
        scene=facts,
        prompt=turn.prompt.parts,
        answer=turn.answer,
        spoken_s=turn.spoken_s,
        timings_ms={
            "load": load_ms,
            "asr": costs.get(Transcript),
            "vision": costs.get(SceneChanged),
            "prefill": costs.get(PromptReady),
            "first_token": timeline.since_start_ms("first token"),
            "first_audio": timeline.since_start_ms("first sound"),
            "total": timeline.since_start_ms("rest"),
        },
        models=assembly.chosen,
        warnings=tuple(event.text for event in events if isinstance(event, Warned)),
    )


async def _hear(request: Request, samples: Samples, crew: Crew, profile: Profile, log: Log) -> str:
    begun, begun_ns = perf_counter(), log.now_ns()
    speech = await need(crew.vad).run(lambda vad, _: probabilities(samples, vad))
    spans = windows(speech, len(samples), profile.listening)
    text = await need(crew.asr).run(
        lambda asr, stop: " ".join(filter(None, (asr.transcribe(samples[a:b], stop) for a, b in spans)))
    )
    if not text:
        raise BadAudio(
            f"sound file {request.audio}",
            expected="a question",
            found="no words in it",
            fix="say it again, or give TEXT",
        )
    log(Transcript(log.now_ns(), 1, text, begun_ns, log.now_ns(), (perf_counter() - begun) * 1000))
    return text


async def _look(crew: Crew, frames: Sequence[CameraFrame], log: Log) -> tuple[Fact, ...]:
    begun = perf_counter()
    facts = await need(crew.eyes).run(lambda eyes, _: tuple(fact for frame in frames for fact in eyes.look(frame)))
    log(SceneChanged(frames[-1].t_ns, facts, (perf_counter() - begun) * 1000, turn=1))
    return facts
