import json
import typing

from edgeos import events
from edgeos.events import Fact, SceneChanged, Token, as_json


def test_json_names_the_event_and_the_time_first():
    line = as_json(SceneChanged(5, (Fact("text", "EXIT", 0.9, "ocr", 4),), 12.5))
    assert list(line)[:3] == ["event", "t_ns", "turn"]
    assert line["event"] == "SceneChanged"
    assert line["facts"][0]["value"] == "EXIT"
    json.dumps(line)


def test_every_event_has_a_time_and_a_turn_and_no_arrays():
    for kind in typing.get_args(events.Event):
        fields = kind.__dataclass_fields__
        assert {"t_ns", "turn"} <= set(fields), kind
        assert not any("Samples" in str(f.type) or "Image" in str(f.type) for f in fields.values()), kind


def test_events_cannot_be_changed():
    import dataclasses

    import pytest

    with pytest.raises(dataclasses.FrozenInstanceError):
        Token(1, 1, "a").text = "b"
