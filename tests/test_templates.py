"""Chat templates, and what comes back out of a model."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeos.errors import UnknownName
from edgeos.fusion import Part, Prompt
from edgeos.templates import Decoder, Segment, find, loops


def prompt(*messages: tuple[str, str]) -> Prompt:
    return Prompt(tuple(Part("speech", role, "user", text, 0) for role, text in messages))


def text(segments: tuple[Segment, ...]) -> str:
    return "".join(segment.text for segment in segments)


TALK = prompt(("system", "S"), ("user", "scene"), ("user", "Q1"), ("assistant", "A1"), ("user", "Q2"))


def test_chatml_is_what_smollm2_was_trained_on():
    assert text(find("chatml").render(TALK)) == (
        "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nscene\nQ1<|im_end|>\n"
        "<|im_start|>assistant\nA1<|im_end|>\n<|im_start|>user\nQ2<|im_end|>\n<|im_start|>assistant\n"
    )


def test_gemma_puts_the_system_text_into_the_first_user_message():
    assert text(find("gemma").render(TALK)) == (
        "<start_of_turn>user\nS\n\nscene\nQ1<end_of_turn>\n<start_of_turn>model\nA1<end_of_turn>\n"
        "<start_of_turn>user\nQ2<end_of_turn>\n<start_of_turn>model\n"
    )


@pytest.mark.parametrize("name", ["chatml", "gemma"])
def test_only_the_templates_own_tokens_are_control(name):
    template = find(name)
    spelt = "".join(template.controls)
    controls = [s.text for s in template.render(prompt(("system", spelt), ("user", spelt))) if s.control]
    assert set(controls) == set(template.controls)
    assert all(len(control) < len(spelt) for control in controls)


def test_a_base_models_answer_ends_with_its_line():
    assert feed([b"Paris.", b"\nWhat"], find("gemma-base").stops) == (["Paris.", "", ""], True)
    assert text(find("gemma-base").render(TALK)) == text(find("gemma").render(TALK))


def test_answers_are_marked_as_such():
    assert [s.text for s in find("chatml").render(TALK) if s.answer] == ["A1"]


@pytest.mark.parametrize("name", ["chatml", "gemma"])
def test_a_longer_conversation_begins_with_the_shorter_one(name):
    template = find(name)
    shorter = text(template.render(TALK))
    longer = text(template.render(Prompt((*TALK.parts, *prompt(("assistant", "A2"), ("user", "Q3")).parts))))
    assert longer.startswith(shorter + "A2")


def test_an_unknown_template():
    with pytest.raises(UnknownName, match="chatml, gemma, gemma-base"):
        find("vicuna")


# ---------------------------------------------------------------- Decoder


def feed(pieces: list[bytes], stops: tuple[str, ...] = ("<|im_end|>",)) -> tuple[list[str], bool]:
    decoder, out = Decoder(stops), []
    for piece in pieces:
        out.append(decoder.feed(piece))
        if decoder.ended:
            break
    return [*out, decoder.finish()], decoder.ended


@given(st.text(st.characters(exclude_characters="<", codec="utf-8")), st.integers(1, 5))
def test_however_the_bytes_are_cut_the_text_comes_out_whole(value, size):
    data = value.encode()
    pieces, ended = feed([data[i : i + size] for i in range(0, len(data), size)])
    assert "".join(pieces) == value
    assert not ended


def test_a_character_comes_when_its_last_byte_does():
    assert feed([b"\xe2", b"\x82", b"\xac!"])[0] == ["", "", "€!", ""]


def test_half_a_character_at_the_end_is_dropped():
    assert feed([b"ok", b"\xe2\x82"])[0] == ["ok", "", ""]


@pytest.mark.parametrize("size", [1, 3, 50])
def test_a_stop_text_ends_the_answer_and_is_never_seen(size):
    data = b"Paris.<|im_end|>more"
    pieces, ended = feed([data[i : i + size] for i in range(0, len(data), size)])
    assert "".join(pieces) == "Paris."
    assert ended


def test_what_only_looks_like_a_stop_text_comes_out_after_all():
    assert feed([b"a <", b"|im", b"portant|>", b" b <"])[0] == ["a ", "", "<|important|>", " b ", "<"]


def test_whole_is_false_while_something_is_held_back():
    decoder = Decoder(("<|im_end|>",))
    seen = []
    for piece in (b"a", b"\xe2\x82", b"\xac", b"<|", b"b"):
        decoder.feed(piece)
        seen.append(decoder.whole)
    assert seen == [True, False, True, False, True]


# ---------------------------------------------------------------- loops


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ([], False),
        ([1, 2, 3] * 3, False),  # too short to be sure
        ([1, 2, 3, 4] * 3, True),
        ([9, 8, *[1, 2, 3, 4] * 3], True),
        ([*[1, 2, 3, 4] * 3, 5], False),
        ([7] * 11, False),
        ([7] * 12, True),
        (list(range(40)) * 2, False),
        (list(range(40)) * 3, True),
    ],
)
def test_loops(tokens, expected):
    assert loops(tokens) is expected
