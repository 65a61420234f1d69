"""The wiring, with fakes for every port: what happens, in which order, and what is left when something is missing."""

import asyncio

import numpy as np
import pytest

from edgeos.crew import Specs
from edgeos.errors import DependencyMissing, DeviceMissing, EngineFailed
from edgeos.events import (
    CameraFrame,
    Fact,
    FirstSound,
    FirstToken,
    PromptReady,
    SceneChanged,
    SourceEnded,
    SourceStarted,
    SpeechEnded,
    SpeechStarted,
    Transcript,
    TurnEnded,
    TurnStarted,
    Warned,
)
from edgeos.profile import Profile
from edgeos.session import Senses, caption, converse, observe_scene
from edgeos.testing import (
    FakeAsr,
    FakeLlm,
    FakeSource,
    FakeSpeaker,
    FakeTts,
    FakeVad,
    FakeVision,
    Ready,
    Recorder,
    VirtualClock,
    chunks,
    silence,
    tone,
)

PROFILE = Profile("test", "Test", {})
WHITE = np.full((64, 64, 3), 250, np.uint8)
BLACK = np.zeros((64, 64, 3), np.uint8)
BLACK[:, :24] = 250


def speech(*seconds):
    """Stretches of a loud tone with a second of silence around each."""
    return np.concatenate([silence(1.0), *(part for s in seconds for part in (tone(s), silence(1.0)))])


def read_brightness(frame):
    value = "MEETING AT 3 PM" if frame.image.mean() > 128 else "CLOSED"
    return (Fact("text", value, 0.99, "fake", frame.t_ns),)


async def nothing_typed():
    for line in ():
        yield line


def typed(*lines):
    async def give():
        for line in lines:
            yield line

    return give


class Team:
    """Fakes for one conversation."""

    def __init__(self, heard=(), answers=(), live=False):
        self.clock = VirtualClock()
        self.vad, self.asr, self.llm, self.tts = FakeVad(), FakeAsr(list(heard)), FakeLlm(list(answers)), FakeTts()
        self.eyes, self.speaker, self.events = FakeVision(read_brightness), FakeSpeaker(self.clock, live), Recorder()

    def specs(self, **changes):
        ready = {name: Ready(getattr(self, name)) for name in ("llm", "vad", "asr", "eyes", "tts")}
        return Specs(**{**ready, **changes})

    def converse(self, mic=None, camera=None, lines=nothing_typed, speaker=True, specs=None):
        senses = Senses(
            typed=lines,
            mic=None if mic is None else lambda: mic,
            camera=None if camera is None else lambda: camera,
            speaker=(lambda: self.speaker) if speaker is True else speaker,
        )
        asyncio.run(converse(specs or self.specs(), PROFILE, senses, self.events, self.clock))
        return self.events


def test_two_spoken_questions_get_two_spoken_answers():
    team = Team(["What time is it?", "Thank you."], ["It is three. Have a nice day.", "You are welcome."])
    events = team.converse(FakeSource(chunks(speech(1.0, 0.7))))
    assert [e.text for e in events.of(Transcript)] == ["What time is it?", "Thank you."]
    assert [(e.turn, e.reason, e.answer) for e in events.of(TurnEnded)] == [
        (1, "done", "It is three. Have a nice day."),
        (2, "done", "You are welcome."),
    ]
    assert [s.turn for s in team.speaker.speeches] == [1, 1, 2]
    order = [n for n in events.names() if n not in {"Token", "Clause", "SpeechStarted", "SourceStarted", "SourceEnded"}]
    turn = ["SpeechEnded", "TurnStarted", "Transcript", "PromptFused", "PromptReady", "FirstToken", "FirstSound"]
    turn.append("TurnEnded")
    assert order == turn * 2
    assert team.events.of(SourceStarted)[0].t_ns == 0, "the time of sample 0"


def test_end_of_speech_is_the_last_loud_sample_not_the_decision():
    team = Team(["Hi."])
    events = team.converse(FakeSource(chunks(speech(1.0))))
    assert events.of(SpeechStarted)[0].t_ns == pytest.approx(1e9, abs=64e6)
    assert events.of(SpeechEnded)[0].t_ns == pytest.approx(2e9, abs=64e6)


def test_the_answer_knows_what_the_camera_showed_when_the_question_ended():
    """The second picture is taken after the first question: it must not answer it."""
    team = Team(["What does it say?", "And now?"], ["Three.", "Closed."])
    frames = FakeSource([CameraFrame(WHITE, 10, "a"), CameraFrame(BLACK, 2_500_000_000, "b")])
    events = team.converse(FakeSource(chunks(speech(1.0, 1.0))), frames)
    assert [e.facts[0].value for e in events.of(SceneChanged)][-1] == "CLOSED"
    scenes = [[p.text for p in prompt.parts if p.kind == "scene"] for prompt in team.llm.prompts]
    assert "MEETING AT 3 PM" in scenes[0][0]
    assert "CLOSED" in scenes[1][0]


def test_an_unchanged_picture_is_not_looked_at_twice():
    team = Team(["Hi."])
    looked = []
    team.eyes.see = lambda frame: looked.append(frame.t_ns) or ()
    frames = FakeSource([CameraFrame(WHITE, t, "a") for t in range(5)])
    asyncio.run(observe_scene(team.specs(llm=None), frames, team.events, team.clock))
    assert len(looked) == 1


def test_no_words_end_the_turn_without_an_answer():
    team = Team([""])
    events = team.converse(FakeSource(chunks(speech(1.0))))
    assert [e.reason for e in events.of(TurnEnded)] == ["nothing heard"]
    assert not team.llm.prompts


class Missing(FakeSource):
    def __init__(self):
        super().__init__([], live=True)

    async def __aenter__(self):
        raise DeviceMissing("microphone", expected="the library PortAudio", found="nothing", fix="install it")


def no_speaker():
    raise DeviceMissing("speaker", expected="the library PortAudio", found="nothing", fix="install it")


def test_without_a_microphone_questions_are_typed():
    team = Team(answers=["Paris."])
    events = Recorder()
    senses = Senses(typed("What is the capital of France?"), mic=Missing, camera=Missing, speaker=no_speaker)
    asyncio.run(converse(team.specs(), PROFILE, senses, events, team.clock))
    assert [e.answer for e in events.of(TurnEnded)] == ["Paris."]
    told = [e.text for e in events.of(Warned)]
    assert len(told) == 4
    assert "Fix: install it" in told[0]
    assert "Type your questions" in told[3]
    assert not events.of(FirstSound)
    assert events.of(FirstToken)


def test_without_the_voice_package_answers_are_printed():
    class NoVoice:
        def build(self):
            raise DependencyMissing("piper-tts", fix="pip install 'edgeos[voice]'")

    team = Team(answers=["Paris."])
    events = team.converse(lines=typed("Capital?"), specs=team.specs(tts=NoVoice()))
    assert "edgeos[voice]" in events.of(Warned)[0].text
    assert events.of(TurnEnded)[0].reason == "done"


def test_a_camera_that_fails_is_reported_and_the_conversation_goes_on():
    team = Team(["Hi."], ["Hello."])
    camera = FakeSource([CameraFrame(WHITE, 1, "a")], fails=DeviceMissing("camera", found="unplugged"))
    events = team.converse(FakeSource(chunks(speech(1.0))), camera)
    assert "unplugged" in events.of(Warned)[0].text
    assert events.of(TurnEnded)[0].reason == "done"
    assert not camera.open


def test_a_microphone_that_is_lost_leaves_what_was_said_and_the_keyboard():
    team = Team(["Half a"], ["Yes.", "Typed."])
    mic = FakeSource(chunks(np.concatenate([silence(1.0), tone(1.0)])), fails=DeviceMissing("microphone", found="gone"))
    events = team.converse(mic, lines=typed("Still there?"))
    assert [e.heard for e in events.of(TurnEnded)] == ["Half a", "Still there?"]
    assert "gone" in events.of(Warned)[0].text


def test_what_a_source_warns_of_is_told():
    team = Team(["Hi."])
    mic = FakeSource(chunks(speech(0.5)))
    mic.warnings.append("the header is wrong")
    assert [e.text for e in team.converse(mic).of(Warned)] == ["the header is wrong"]


def test_the_second_turn_sees_the_first_in_its_history():
    team = Team(answers=["Paris.", "Two million."])
    team.converse(lines=typed("Capital of France?", "How many people live there?"))
    kinds = [(p.kind, p.text) for p in team.llm.prompts[1].parts]
    assert ("history", "Capital of France?") in kinds
    assert ("history", "Paris.") in kinds
    assert kinds[-1] == ("speech", "How many people live there?")


def test_while_a_live_speaker_talks_a_live_microphone_is_not_listened_to():
    """The answer of turn 1 lies in the sound that the microphone delivers while the speaker is talking."""
    team = Team(["Question.", "Own voice."], ["Answer."], live=True)
    ears = []

    class Talking(FakeSpeaker):
        async def play(self, spoken):
            await super().play(spoken)
            for _ in range(60):
                await asyncio.sleep(0.005)  # the microphone goes on meanwhile
            return 0

    team.speaker = Talking(team.clock, live=True)
    team.asr.transcribe = lambda samples, stop: (ears.append(len(samples)), "Question.")[1]

    class Paced(FakeSource):
        async def __aenter__(self):
            records = await super().__aenter__()

            async def slow():
                async for n_record in records:
                    await asyncio.sleep(0.002)
                    yield n_record

            return slow()

    events = team.converse(Paced(chunks(speech(1.0, 0.5)), live=True))
    assert len(ears) == 1
    assert len(events.of(TurnEnded)) == 1


def test_an_engine_that_fails_ends_the_turn_as_failed_and_tells():
    class Failing(FakeLlm):
        def generate(self, prompt, sampling, stop):
            yield from super().generate(prompt, sampling, stop)
            if not sampling.max_tokens:
                return  # warming up
            raise EngineFailed("language model", found="code 3")

    team = Team(answers=["Well."])
    with pytest.raises(BaseExceptionGroup) as caught:
        team.converse(lines=typed("Hi"), specs=team.specs(llm=Ready(Failing(["Well."]))))
    assert caught.group_contains(EngineFailed)
    assert team.events.of(TurnEnded)[0].reason == "failed"


def test_cancelling_in_the_middle_of_an_endless_answer_ends_cleanly():
    team = Team(answers=["Never"])
    team.llm.endless = True

    senses = Senses(typed("Talk"), speaker=lambda: team.speaker)

    async def main():
        running = asyncio.ensure_future(converse(team.specs(), PROFILE, senses, team.events, team.clock))
        while not team.events.of(FirstToken):
            await asyncio.sleep(0.001)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(main())
    assert team.events.of(TurnEnded)[0].reason == "interrupted"


def test_captions_and_prompt_counts():
    team = Team(["One.", "Two."])
    source = FakeSource(chunks(speech(0.5, 0.5)))
    asyncio.run(caption(team.specs(llm=None), PROFILE, source, team.events, team.clock))
    assert [e.text for e in team.events.of(Transcript)] == ["One.", "Two."]
    assert len(team.events.of(SourceEnded)) == 1
    assert not team.events.of(PromptReady)
    assert not team.events.of(TurnStarted)
