"""kartograph.local(): a private service. Needs the real program."""

import os
import pathlib
import signal
import subprocess
import sys

import pytest
from conftest import REAL, eventually

import kartograph
from kartograph import _local, errors

needs_program = pytest.mark.skipif(not REAL, reason="KARTOGRAPHD names no program")


def processes_of(marker):
    """Pids of the processes that have `marker` in their command line."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            try:
                words = pathlib.Path(f"/proc/{name}/cmdline").read_bytes()
            except OSError:
                continue
            if os.fsencode(str(marker)) in words:
                found.append(int(name))
    return found


@needs_program
def test_it_starts_and_leaves_nothing_behind():
    with kartograph.local(cpu=2, ram=1 << 30, pools={"db_connections": 4}) as service:
        folder = service.folder
        assert service.page.startswith("http://127.0.0.1:")
        assert f"{service.address}: <a href=\"http://127.0.0.1:" in service._repr_html_()
        graph = kartograph.Graph("tools", service)
        node = graph.command("echo $((6 * 7)) > $KARTOGRAPH_RESULT", consumption={"cpu": 1, "db_connections": 1})
        graph.command("exec sleep 600", name="long")
        graph.submit()
        assert node.result(timeout=60) == b"42\n"
    assert not folder.exists()
    assert processes_of(folder) == []


@needs_program
def test_it_ends_with_an_owner_that_is_killed():
    code = """
import sys, kartograph
service = kartograph.local(cpu=1)
print(service.folder, flush=True)
sys.stdin.read()
"""
    environment = {**os.environ, "PYTHONPATH": str(pathlib.Path(kartograph.__file__).parent.parent)}
    owner = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             env=environment, text=True)
    folder = pathlib.Path(owner.stdout.readline().strip())
    assert processes_of(folder)
    owner.send_signal(signal.SIGKILL)
    owner.communicate()
    eventually(lambda: not processes_of(folder) and not folder.exists(), "the service has gone")


@needs_program
def test_a_start_that_fails_says_why():
    with pytest.raises(errors.KartographError, match="no-such-flag"):
        kartograph.local(settings=["--no-such-flag"])


def test_a_program_that_is_not_there(monkeypatch, folder):
    monkeypatch.setenv("KARTOGRAPHD", str(folder / "kartographd"))
    with pytest.raises(errors.ServiceNotFound, match="KARTOGRAPHD is"):
        kartograph.local()
    monkeypatch.setenv("KARTOGRAPHD", "")
    monkeypatch.setenv("PATH", str(folder))
    with pytest.raises(errors.ServiceNotFound, match="nor is one in PATH"):
        kartograph.local()


@pytest.fixture()
def installed(monkeypatch, folder):
    """Where a kartographd is, beside which this package claims to be installed; not in PATH."""
    program = folder / "bin" / "kartographd"
    program.parent.mkdir()
    program.touch(0o755)
    site = folder / "lib" / "site-packages"
    (site / "kartograph-0.dist-info").mkdir(parents=True)
    (site / "kartograph-0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: kartograph\nVersion: 0\n")
    (site / "kartograph-0.dist-info" / "RECORD").write_text("../../bin/kartographd,,\nkartograph/_local.py,,\n")
    monkeypatch.setenv("KARTOGRAPHD", "")
    monkeypatch.setenv("PATH", "")
    monkeypatch.syspath_prepend(site)
    return program


def test_the_program_that_was_installed_with_the_package_is_found(monkeypatch, installed, folder):
    package = folder / "lib" / "site-packages" / "kartograph"
    monkeypatch.setattr(_local, "__file__", str(package / "_local.py"))
    assert _local.find_program() == str(installed)


def test_a_checkout_does_not_take_the_program_of_another_package(installed):
    with pytest.raises(errors.ServiceNotFound, match="installed with one"):
        _local.find_program()


def test_the_program_of_a_package_that_went_to_a_target_folder_is_found(monkeypatch, installed, folder):
    monkeypatch.setattr(_local, "__file__", str(folder / "kartograph" / "_local.py"))
    assert _local.find_program() == str(installed)
