from edgeos.events import (
    Clause,
    FirstSound,
    FirstToken,
    PromptFused,
    PromptReady,
    SpeechEnded,
    Transcript,
    TurnEnded,
    TurnStarted,
)
from edgeos.metrics import Timeline

MS = 1_000_000


def spoken_turn(turn, start_ms):
    def at(ms):
        return (start_ms + ms) * MS

    return [
        SpeechEnded(at(0), turn),
        TurnStarted(at(600), turn),
        Transcript(at(900), turn, "hi", at(-1000), at(0)),
        PromptFused(at(920), turn, 50),
        PromptReady(at(1000), turn, 50, 0),
        FirstToken(at(1030), turn),
        Clause(at(1200), turn, "Hello."),
        Clause(at(1300), turn, "There."),
        FirstSound(at(1400), turn),
        TurnEnded(at(2000), turn, "done"),
    ]


def test_steps_lie_end_to_end_from_the_end_of_speech():
    timeline = Timeline()
    for event in [*spoken_turn(1, 0), *spoken_turn(2, 10_000)]:
        timeline.see(event)
    steps = [(s.name, s.start_ms, s.ms) for s in timeline.steps()]
    assert steps == [
        ("end of turn", 0, 600),
        ("hear", 600, 300),
        ("see", 900, 20),
        ("prefill", 920, 80),
        ("first token", 1000, 30),
        ("first clause", 1030, 170),
        ("first sound", 1200, 200),
        ("rest", 1400, 600),
    ]
    assert timeline.since_start_ms("first token") == 430


def test_a_typed_turn_begins_where_work_began():
    timeline = Timeline()
    for turn in (1, 2):
        for event in [
            TurnStarted(turn * 1000 * MS, turn),
            FirstToken((turn * 1000 + 50) * MS, turn),
            TurnEnded((turn * 1000 + 80) * MS, turn, "done"),
        ]:
            timeline.see(event)
    assert [(s.name, s.ms) for s in timeline.steps()] == [("end of turn", 0), ("first token", 50), ("rest", 30)]
    assert timeline.since_start_ms("first sound") is None
