import pytest

from edgeos import manifest, profile
from edgeos.errors import BadConfig, UnknownName


def test_every_packaged_profile_names_models_that_exist_and_do_the_job():
    assert "starter" in profile.names()
    for name in profile.names():
        for job, model in profile.load(name).models.items():
            assert manifest.find(model).job == job


def test_unknown_names_say_what_there_is():
    with pytest.raises(UnknownName, match="starter"):
        profile.load("toaster")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('name = "x"\ntitle = "x"\nmodells = {}', "modells"),
        ('name = "x"\ntitle = "x"\n[models]\nllm = 3', "models"),
        ('name = "x"\ntitle = "x"\n[models]\ntaste = "x"', "taste"),
        ('name = "x"\ntitle = "x"\n[models]\n[listening]\nsilence = 3', "silence"),
        ('name = "x"\ntitle = "x"\n[models]\n[sampling]\ntemperature = "hot"', "temperature"),
        ('name = "x"\ntitle = "x"\n[models]\n[prompt]\nsytem = "x"', "sytem"),
        ("name = ", "Invalid value"),
    ],
)
def test_mistakes_name_the_file_and_the_key(tmp_path, text, named):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(BadConfig, match=named) as caught:
        profile.load(str(path))
    assert "mine.toml" in str(caught.value)
