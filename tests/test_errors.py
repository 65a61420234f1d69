import inspect

from edgeos import errors

TREE = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]


def test_the_message_names_thing_expected_found_and_fix():
    error = errors.BadAudio("x.wav", expected="sound", found="text", fix="give a sound file")
    assert str(error) == "x.wav: expected sound, found text. Fix: give a sound file."
    assert str(errors.FileMissing("x.wav", fix="check the name")) == "x.wav. Fix: check the name."


def test_every_error_can_be_made_keeps_its_parts_and_stands_in_the_tree():
    for kind in TREE:
        error = kind("thing", expected="a", found="b", fix="c")
        assert (error.thing, error.expected, error.found, error.fix) == ("thing", "a", "b", "c")
        assert kind.__name__ in errors.__doc__ or kind is errors.EdgeosError
        assert isinstance(error, errors.EdgeosError)


def test_they_are_also_the_builtin_kind():
    assert issubclass(errors.ModelMissing, FileNotFoundError)
    assert issubclass(errors.BadConfig, ValueError)
    assert issubclass(errors.DependencyMissing, ImportError)
