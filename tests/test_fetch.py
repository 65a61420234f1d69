from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tracemalloc

import pytest
from assets.index_server import Fault, loopback, serving

from edgeos.errors import DownloadFailed, StoreError
from edgeos.fetch import Http, download, need_space, writing

BODY = os.urandom(700_000)
FAST = Http(timeout_s=5, attempts=2, backoff_s=0.001, longest_wait_s=0.01)


class Watch:
    def __init__(self):
        self.begun, self.seen, self.said = [], [], []

    def begin(self, what, total, done):
        self.begun.append((what, total, done))

    def at(self, done):
        self.seen.append(done)

    def say(self, text):
        self.said.append(text)


@pytest.fixture
def server(monkeypatch):
    if why := loopback():
        pytest.skip(why)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with serving() as running:
        running.files["/m.bin"] = BODY
        yield running


def get(server, target, path="/m.bin", limit=10**7, http=FAST):
    watch = Watch()
    download(server.url + path, target, "m.bin", limit, watch, http)
    return watch


def test_a_whole_file_arrives_and_nothing_else_stays(server, tmp_path):
    watch = get(server, tmp_path / "m.bin")
    assert (tmp_path / "m.bin").read_bytes() == BODY
    assert watch.begun == [("m.bin", len(BODY), 0)]
    assert watch.seen == sorted(watch.seen)
    assert watch.seen[-1] == len(BODY)
    assert [path.name for path in tmp_path.iterdir()] == ["m.bin"]


def test_a_file_that_is_here_is_not_asked_for(server, tmp_path):
    (tmp_path / "m.bin").write_bytes(b"here")
    get(server, tmp_path / "m.bin")
    assert server.asked == []
    assert (tmp_path / "m.bin").read_bytes() == b"here"


def test_a_cut_connection_is_continued_where_it_stopped(server, tmp_path):
    server.faults["/m.bin"] = Fault("cut", at=300_000)
    watch = get(server, tmp_path / "m.bin")
    first, second = server.of("/m.bin")
    assert (tmp_path / "m.bin").read_bytes() == BODY
    assert (first.range, second.range) == ("", "bytes=300000-")
    assert second.if_range.startswith('"')
    assert "ended at 300000 of 700000 bytes" in watch.said[0]
    assert watch.begun[1] == ("m.bin", len(BODY), 300_000)


def test_a_later_call_continues_what_an_earlier_one_left(server, tmp_path):
    server.faults["/m.bin"] = Fault("cut", at=250_000, times=1)
    with pytest.raises(DownloadFailed, match="250000 bytes kept"):
        get(server, tmp_path / "m.bin", http=Http(attempts=0, backoff_s=0))
    assert not (tmp_path / "m.bin").exists()
    get(server, tmp_path / "m.bin")
    assert (tmp_path / "m.bin").read_bytes() == BODY
    assert server.of("/m.bin")[-1].range == "bytes=250000-"


def test_many_cuts_are_no_failure_while_each_try_brings_something(server, tmp_path):
    server.faults["/m.bin"] = Fault("cut", at=100_000, times=6)
    get(server, tmp_path / "m.bin")
    assert (tmp_path / "m.bin").read_bytes() == BODY
    assert len(server.of("/m.bin")) == 7


def test_a_file_that_changed_meanwhile_is_fetched_anew(server, tmp_path):
    server.faults["/m.bin"] = Fault("cut", at=200_000)
    with pytest.raises(DownloadFailed):
        get(server, tmp_path / "m.bin", http=Http(attempts=0, backoff_s=0))
    server.files["/m.bin"] = BODY[::-1]
    watch = get(server, tmp_path / "m.bin")
    assert (tmp_path / "m.bin").read_bytes() == BODY[::-1]
    assert watch.begun == [("m.bin", len(BODY), 0)]


@pytest.mark.parametrize("kind", ["no_range", "shifted"])
def test_a_server_that_cannot_continue_sends_it_all_again(server, tmp_path, kind):
    (tmp_path / "m.bin.part").write_bytes(BODY[:1000])
    server.faults["/m.bin"] = Fault(kind)
    get(server, tmp_path / "m.bin")
    assert (tmp_path / "m.bin").read_bytes() == BODY


def test_a_part_longer_than_the_file_is_thrown_away(server, tmp_path):
    (tmp_path / "m.bin.part").write_bytes(bytes(len(BODY) + 5))
    get(server, tmp_path / "m.bin")
    assert (tmp_path / "m.bin").read_bytes() == BODY


def test_a_length_that_is_never_sent_is_a_failure(server, tmp_path):
    server.faults["/m.bin"] = Fault("longer", at=5000, times=-1)
    with pytest.raises(DownloadFailed, match=r"continues where it stopped"):
        get(server, tmp_path / "m.bin")
    assert not (tmp_path / "m.bin").exists()


def test_more_than_the_limit_is_refused_before_it_is_fetched(server, tmp_path):
    with pytest.raises(DownloadFailed, match="expected at most 1000 bytes, found 700000 or more"):
        get(server, tmp_path / "m.bin", limit=1000)
    assert list(tmp_path.iterdir()) == []


def test_an_endless_answer_without_a_length_is_cut_at_the_limit(server, tmp_path):
    server.faults["/m.bin"] = Fault("endless", at=20_000_000)
    with pytest.raises(DownloadFailed, match="at most 1000000 bytes"):
        get(server, tmp_path / "m.bin", limit=1_000_000)
    assert not (tmp_path / "m.bin").exists()
    assert not (tmp_path / "m.bin.part").exists()


@pytest.mark.parametrize(("code", "why"), [(401, "login"), (403, "refused"), (404, "not there"), (410, "taken away")])
def test_a_refusal_is_final_and_explained(server, tmp_path, code, why):
    server.faults["/m.bin"] = Fault("status", at=code, times=-1)
    with pytest.raises(DownloadFailed, match=f"HTTP {code} .*{why}"):
        get(server, tmp_path / "m.bin")
    assert len(server.asked) == 1


@pytest.mark.parametrize("code", [429, 500, 503])
def test_a_server_in_trouble_is_asked_again(server, tmp_path, code):
    server.faults["/m.bin"] = Fault("status", at=code)
    assert str(code) in get(server, tmp_path / "m.bin").said[0]
    assert (tmp_path / "m.bin").read_bytes() == BODY


def test_silence_is_a_cut(server, tmp_path):
    server.faults["/m.bin"] = Fault("stall", at=400_000)
    watch = get(server, tmp_path / "m.bin", http=Http(timeout_s=0.3, attempts=2, backoff_s=0.001))
    assert (tmp_path / "m.bin").read_bytes() == BODY
    assert "timed out" in watch.said[0]


def test_range_survives_a_redirect(server, tmp_path):
    server.redirects["/repo/resolve/abc/m.bin"] = "/m.bin"
    (tmp_path / "m.bin.part").write_bytes(BODY[:123_456])
    get(server, tmp_path / "m.bin", path="/repo/resolve/abc/m.bin")
    assert (tmp_path / "m.bin").read_bytes() == BODY
    assert server.of("/m.bin")[0].range == "bytes=123456-"


def test_no_server_is_a_failure_that_says_so(server, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/m.bin"
        with pytest.raises(DownloadFailed, match=r"no answer .*refused"):
            download(url, tmp_path / "m.bin", "m.bin", 10, Watch(), FAST)


def test_the_proxy_of_the_environment_is_used(server, tmp_path, monkeypatch):
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", server.url)
    server.files["http://models.invalid/m.bin"] = BODY
    download("http://models.invalid/m.bin", tmp_path / "m.bin", "m.bin", 10**7, Watch(), FAST)
    assert (tmp_path / "m.bin").read_bytes() == BODY


def test_memory_stays_flat(server, tmp_path):
    server.files["/big.bin"] = bytes(40_000_000)
    tracemalloc.start()
    get(server, tmp_path / "big.bin", path="/big.bin", limit=10**8)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # The server, in this same process, holds the file already and slices one copy of it.
    assert peak < 40_000_000 + 4_000_000


def test_a_private_certificate_authority_is_named_by_pip_cert(server, tmp_path, monkeypatch):
    if shutil.which("openssl") is None:
        pytest.skip("no openssl command to make a certificate with")
    pem = tmp_path / "localhost.pem"
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    make += ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(tmp_path / "key"), "-out", str(tmp_path / "crt")]
    subprocess.run(make, check=True, capture_output=True)
    pem.write_text((tmp_path / "key").read_text() + (tmp_path / "crt").read_text())
    for name in ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "https_proxy", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with serving(pem) as secure:
        secure.files["/m.bin"] = BODY
        with pytest.raises(DownloadFailed, match=r"certificate.*PIP_CERT"):
            get(secure, tmp_path / "m.bin")
        monkeypatch.setenv("PIP_CERT", str(tmp_path / "crt"))
        get(secure, tmp_path / "m.bin")
    assert (tmp_path / "m.bin").read_bytes() == BODY


def test_too_little_space_names_folder_and_bytes(tmp_path):
    with pytest.raises(StoreError, match=rf"{tmp_path}.*1{'0' * 18} bytes free.*bytes free\. Fix: .*EDGEOS_CACHE"):
        need_space(tmp_path, 10**18)


def test_what_the_disk_refuses_names_the_folder_that_does_not_exist_yet(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    folder = tmp_path / "file" / "models"
    with pytest.raises(StoreError, match=rf"{folder}.*Not a directory"), writing(folder):
        folder.mkdir(parents=True)
