"""Fusion: what goes into the prompt, in which order, and what goes first when there is no room."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeos import fusion
from edgeos.errors import BadConfig
from edgeos.events import Fact
from edgeos.fusion import EXAMPLES, Example, History, PromptConfig, Question

PLAIN = PromptConfig(examples=())


def fuse(question, history, count, context_tokens, config=PLAIN):
    """The examples make every budget below harder to read."""
    return fusion.fuse(question, history, count, context_tokens, config)


def count(text: str) -> int:
    return len(text.split())


def label(value: str, confidence: float = 0.9, t_ns: int = 0) -> Fact:
    return Fact("label", value, confidence, "classifier", t_ns)


def read(value: str, confidence: float = 0.9) -> Fact:
    return Fact("text", value, confidence, "ocr", 0)


def talk(turns: int, words: int = 3) -> History:
    history = History()
    for i in range(turns):
        prompt = fuse(Question(f"q{i} " + "x " * (words - 1)), history, count, 100_000)
        history = history.add(prompt, f"a{i} " + "y " * (words - 1), count)
    return history


def texts(prompt: fusion.Prompt, kind: str) -> list[str]:
    return [part.text for part in prompt.parts if part.kind == kind]


def test_the_order_is_stable_first_volatile_last():
    question = Question("what is it?", (label("mug"),), memory=("The user is called Ada.",))
    prompt = fuse(question, talk(1), count, 2048)
    assert [(p.kind, p.role, p.trust) for p in prompt.parts] == [
        ("system", "system", "system"),
        ("memory", "system", "user"),
        ("history", "user", "user"),
        ("history", "assistant", "world"),
        ("scene", "user", "world"),
        ("speech", "user", "user"),
    ]
    assert prompt.tokens == sum(count(p.text) for p in prompt.parts)


def test_without_a_camera_there_is_no_scene():
    assert [p.kind for p in fuse(Question("hello"), History(), count, 2048).parts] == ["system", "speech"]


def test_the_words_of_the_scene():
    config = PromptConfig(sees="The camera sees: {}.", reads='It reads the text: "{}".', examples=())
    prompt = fuse(
        Question("?", (label("mug"), read("MEETING"), label("desk"), read("AT 3 PM"))), History(), count, 2048, config
    )
    assert texts(prompt, "scene") == ['The camera sees: mug, desk. It reads the text: "MEETING, AT 3 PM".']
    assert texts(fuse(Question("?", (label("mug"),)), History(), count, 2048, config), "scene") == [
        "The camera sees: mug."
    ]


def test_scene_and_speech_say_where_and_when_they_come_from():
    question = Question("what?", (label("mug", t_ns=3), label("desk", t_ns=7)), source="asr", t_ns=9)
    *_, scene, speech = fuse(question, History(), count, 2048).parts
    assert (scene.source, scene.t_ns, speech.source, speech.t_ns) == ("classifier", 7, "asr", 9)


@given(st.text())
def test_nothing_that_the_camera_reads_leaves_its_quotes(value):
    config = PromptConfig(scene_tokens=10**6, examples=())
    for text in texts(fuse(Question("?", (read(value),)), History(), count, 10**7, config), "scene"):
        before, after = config.reads.split("{}")
        assert text.startswith(before)
        assert text.endswith(after)
        inside = text[len(before) : len(text) - len(after)]
        assert inside.isprintable()
        assert not set(inside) & set('"<>|')


def test_braces_that_the_camera_reads_are_only_text():
    assert "{0} {x}" in texts(fuse(Question("?", (read("{0} {x}"),)), History(), count, 2048), "scene")[0]


def test_the_scene_keeps_to_its_share_and_drops_the_least_certain():
    facts = [label(f"thing{i} " + "word " * 8, confidence=0.5 + i / 100) for i in range(10)]
    (text,) = texts(fuse(Question("?", tuple(facts)), History(), count, 2048), "scene")
    assert count(text) <= 40
    assert "thing9" in text
    assert "thing0" not in text


def test_a_single_fact_over_the_share_is_cut_at_its_end():
    (text,) = texts(fuse(Question("?", (read("first " + "word " * 200),)), History(), count, 2048), "scene")
    assert "first" in text
    assert "…" in text
    assert count(text) <= 40


def test_history_holds_each_turn_as_it_was_evaluated():
    first = fuse(Question("what?", (label("mug"),)), History(), count, 2048)
    history = History().add(first, "A mug.", count)
    second = fuse(Question("and now?", (label("cat"),)), history, count, 2048)
    assert [(p.role, p.text) for p in second.parts[:3]] == [(p.role, p.text) for p in first.parts]
    assert (second.parts[3].role, second.parts[3].text) == ("assistant", "A mug.")


def test_a_turn_of_which_nothing_was_heard_leaves_no_trace():
    history = talk(2)
    assert history.add(fuse(Question("x"), history, count, 2048), "", count) == history


def test_history_does_not_grow_for_ever():
    history = talk(fusion.HISTORY_TURNS + 1)
    assert len(history.turns) == fusion.HISTORY_TURNS + 1 - fusion.HISTORY_STEP
    assert history.turns[-1][-1].text.startswith(f"a{fusion.HISTORY_TURNS}")


def test_over_budget_the_oldest_turns_go_in_steps_and_then_stay_gone():
    starts = []
    for turns in range(1, 40):
        prompt = fuse(Question("now"), talk(turns), count, 600)
        kept = texts(prompt, "history")
        assert prompt.tokens <= 600 - 96
        assert kept[-1].startswith(f"a{turns - 1} ")
        starts.append(int(kept[0].split()[0][1:]))
    assert starts == sorted(starts)
    assert all(start % fusion.HISTORY_STEP == 0 for start in starts)
    assert len(set(starts)) <= 1 + starts[-1] // fusion.HISTORY_STEP


def test_over_budget_memory_goes_after_history_and_the_oldest_first():
    memory = tuple(f"fact{i} " + "word " * 20 for i in range(4))
    prompt = fuse(Question("q", (label("mug"),), memory), talk(3), count, 213)
    assert not texts(prompt, "history")
    assert [text.split()[0] for text in texts(prompt, "memory")] == ["fact2", "fact3"]
    assert texts(prompt, "scene")


def test_a_question_that_is_too_long_keeps_its_end():
    question = " ".join(f"w{i}" for i in range(1000))
    (text,) = texts(fuse(Question(question), History(), count, 300), "speech")
    assert text.startswith("… ")
    assert text.endswith(" w998 w999")
    assert count(text) > 100


def test_a_question_is_one_line():
    assert texts(fuse(Question(" a\n\nb\x00c\t"), History(), count, 2048), "speech") == ["a b c"]


@given(
    st.text(max_size=300),
    st.lists(st.text(max_size=60), max_size=4),
    st.lists(st.text(max_size=60), max_size=4),
    st.integers(0, 12),
    st.integers(0, 400),
)
def test_it_never_raises_and_keeps_to_the_budget_where_the_system_text_fits(question, reads, memory, turns, context):
    asked = Question(question, tuple(read(r) for r in reads), tuple(memory))
    prompt = fuse(asked, talk(turns), count, context)
    assert prompt.parts[0].kind == "system"
    assert prompt.parts[-1].kind == "speech"
    spare = context - 96 - 3 * fusion.MESSAGE_TOKENS - prompt.parts[0].tokens
    if spare > 2:
        messages = 2 + 2 * sum(p.role == "assistant" for p in prompt.parts)
        assert prompt.tokens + messages * fusion.MESSAGE_TOKENS <= context - 96


@pytest.mark.parametrize("facts", [(label(""),), (label(" \n"), read("<>"))])
def test_empty_facts_are_no_facts(facts):
    assert not texts(fuse(Question("?", facts), History(), count, 2048), "scene")


def test_examples_come_after_memory_word_their_scene_as_a_real_turn_does_and_stay_out_of_history():
    shown = Example("What is this?", "A chair.", labels=("chair",))
    config = PromptConfig(examples=(shown,))
    prompt = fuse(Question("and this?", (label("cup"),), memory=("The user is Ada.",)), History(), count, 2048, config)
    assert [(p.kind, p.role, p.source) for p in prompt.parts[1:6]] == [
        ("memory", "system", "memory"),
        ("system", "user", "example"),
        ("system", "user", "example"),
        ("system", "assistant", "example"),
        ("scene", "user", "classifier"),
    ]
    assert prompt.parts[5].text == prompt.parts[2].text.replace("chair", "cup")
    assert [p.text for p in History().add(prompt, "A cup.", count).turns[0]] == [
        prompt.parts[5].text,
        "and this?",
        "A cup.",
    ]


@pytest.mark.parametrize("wording", ["nothing", "{} and {}"])
def test_a_wording_without_its_one_place_for_facts_is_refused(wording):
    with pytest.raises(BadConfig, match=r"`reads`.*one \{\}"):
        PromptConfig(reads=wording)


def test_an_unknown_key_of_the_wording_is_refused():
    with pytest.raises(msgspec.ValidationError, match="sistem"):
        msgspec.convert({"sistem": "x"}, PromptConfig)


def test_the_default_prompt_shows_its_examples_and_they_are_all_it_adds():
    question = Question("what?", (label("mug"),))
    parts = fusion.fuse(question, talk(2), count, 2048).parts
    assert tuple(p for p in parts if p.source != "example") == fuse(question, talk(2), count, 2048).parts
    assert [p.text for p in parts if p.role == "assistant"][: len(EXAMPLES)] == [e.answer for e in EXAMPLES]


def test_fusing_twice_gives_the_same():
    question = Question("what?", (label("mug"), read("TEA")))
    assert fuse(question, talk(5), count, 300) == fuse(question, talk(5), count, 300)
