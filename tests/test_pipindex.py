from __future__ import annotations

import importlib.util
import os
import socket
import zipfile

import pytest
from assets.index_server import Fault, loopback, make_wheel, pip_uses, serving

from edgeos.errors import BadConfig, DownloadFailed, ModelCorrupt
from edgeos.fetch import Http, Quiet
from edgeos.pipindex import members, wheel

WEIGHTS = os.urandom(300_000)
FAST = Http(timeout_s=5, attempts=1, backoff_s=0.001)


@pytest.fixture
def server():
    if why := loopback():
        pytest.skip(why)
    with serving() as running:
        yield running


@pytest.fixture
def built(tmp_path):
    return make_wheel(tmp_path / "built", "tiny-model", "1.2", {"tiny_model/data/w.bin": WEIGHTS})


def fetch(tmp_path, requirement="tiny-model==1.2"):
    return wheel(requirement, tmp_path / "downloads", "w.bin", Quiet(), FAST)


def test_a_wheel_comes_from_the_index_that_pip_uses_and_its_code_never_runs(server, tmp_path, built, monkeypatch):
    served = server.add_wheel(built)
    pip_uses(server.url + "/simple/", monkeypatch)
    got = fetch(tmp_path)
    assert b"".join(members(got, "tiny_model/data/w.bin")) == WEIGHTS
    assert len(server.of(served)) == 1
    assert not (tmp_path / "built" / "RAN").exists()
    assert importlib.util.find_spec("tiny_model") is None


def test_the_version_that_was_asked_for_is_taken_among_others(server, tmp_path, built, monkeypatch):
    server.add_wheel(make_wheel(tmp_path / "new", "tiny-model", "1.3", {"tiny_model/data/w.bin": b"new"}))
    server.add_wheel(built)
    pip_uses(server.url + "/simple/", monkeypatch)
    assert fetch(tmp_path).name == built.name


def test_a_cut_wheel_is_continued_by_the_next_call(server, tmp_path, built, monkeypatch):
    served = server.add_wheel(built)
    server.faults[served] = Fault("cut", at=100_000, times=1)
    pip_uses(server.url + "/simple/", monkeypatch)
    with pytest.raises(DownloadFailed, match="100000 bytes kept"):
        wheel("tiny-model==1.2", tmp_path / "downloads", "w.bin", Quiet(), Http(attempts=0))
    got = fetch(tmp_path)
    assert got.read_bytes() == built.read_bytes()
    assert [asked.range for asked in server.of(served)] == ["", "bytes=100000-"]


@pytest.mark.parametrize("how", ["find-links", "file index", "extra index"])
def test_an_air_gapped_folder_is_used_in_place(tmp_path, built, monkeypatch, how):
    index = tmp_path / "index"
    (index / "tiny-model").mkdir(parents=True)
    (index / "tiny-model" / "index.html").write_text(f'<a href="{built.as_uri()}">{built.name}</a>')
    (tmp_path / "empty").mkdir()
    pip_uses(index.as_uri() if how == "file index" else (tmp_path / "empty").as_uri(), monkeypatch)
    if how == "find-links":
        monkeypatch.setenv("PIP_NO_INDEX", "1")
        monkeypatch.setenv("PIP_FIND_LINKS", str(built.parent))
    if how == "extra index":
        monkeypatch.setenv("PIP_EXTRA_INDEX_URL", index.as_uri())
    assert fetch(tmp_path) == built


def test_pips_own_configuration_file_counts(tmp_path, built, monkeypatch):
    pip_uses("", monkeypatch)
    monkeypatch.delenv("PIP_INDEX_URL")
    (tmp_path / "pip.conf").write_text(f"[global]\nno-index = true\nfind-links = {built.parent}\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    assert fetch(tmp_path) == built


def test_an_index_with_a_login_works_through_pip(server, tmp_path, built, monkeypatch):
    server.add_wheel(built)
    server.login = "someone:secret"
    pip_uses(server.url.replace("//", "//someone:secret@") + "/simple/", monkeypatch)
    got = fetch(tmp_path)
    assert got.read_bytes() == built.read_bytes()
    assert [path.name for path in got.parent.iterdir()] == [built.name]


def test_a_dead_link_falls_back_to_pip_and_ends_with_its_reason(server, tmp_path, built, monkeypatch):
    served = server.add_wheel(built)
    server.faults[served] = Fault("status", at=404, times=-1)
    pip_uses(server.url + "/simple/", monkeypatch)
    with pytest.raises(DownloadFailed, match=r"package tiny-model==1\.2.*404"):
        fetch(tmp_path)


def test_a_source_package_is_never_built(server, tmp_path, monkeypatch):
    server.files["/files/tiny_model-1.2.tar.gz"] = b"would run setup.py"
    pip_uses(server.url + "/simple/", monkeypatch)
    with pytest.raises(DownloadFailed, match="No matching distribution"):
        fetch(tmp_path)
    assert server.of("/files/tiny_model-1.2.tar.gz") == []


def test_an_unknown_package_says_what_to_do(server, tmp_path, monkeypatch):
    pip_uses(server.url + "/simple/", monkeypatch)
    with pytest.raises(DownloadFailed, match=r"No matching distribution found for tiny-model.*pip config set"):
        fetch(tmp_path)


def test_no_connection_is_named(tmp_path, monkeypatch):
    if why := loopback():
        pytest.skip(why)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        pip_uses(f"http://127.0.0.1:{taken.getsockname()[1]}/simple/", monkeypatch)
        with pytest.raises(DownloadFailed, match=r"no connection: .*connect to the network"):
            fetch(tmp_path)


@pytest.mark.parametrize("requirement", ["tiny-model", "tiny-model>=1", "--index-url=x==1", "a b==1", "../x==1"])
def test_only_pinned_names_reach_pip(tmp_path, requirement):
    with pytest.raises(BadConfig, match="expected name==version"):
        fetch(tmp_path, requirement)


def test_a_damaged_wheel_is_corrupt(tmp_path, built):
    content = bytearray(built.read_bytes())
    content[len(content) // 2] ^= 1
    built.write_bytes(content)
    with pytest.raises(ModelCorrupt, match=built.name):
        list(members(built, "tiny_model/data/w.bin"))
    built.write_bytes(b"not a zip at all")
    with pytest.raises(ModelCorrupt, match="not a zip"):
        list(members(built, "tiny_model/data/w.bin"))


def test_a_wheel_without_the_file_is_corrupt(built):
    with pytest.raises(ModelCorrupt, match=r"no item named 'other\.bin'|other\.bin"):
        list(members(built, "other.bin"))


def test_members_come_in_blocks(tmp_path):
    archive = tmp_path / "bomb.whl"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("zeros", bytes(30_000_000))
    assert archive.stat().st_size < 100_000
    first = next(iter(members(archive, "zeros")))
    assert len(first) <= 1 << 18
