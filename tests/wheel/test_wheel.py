"""The wheel: what is in it, and that nothing but it is needed where it is installed."""

import base64
import csv
import hashlib
import io
import json
import re
import subprocess
import sys

import pytest
from conftest import ROOT

PROGRAMS = {"kartographd", "kartograph", "kartograph-local-agent", "kartograph-executor"}
OF_GLIBC = {"libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1", "ld-linux-x86-64.so.2"}


@pytest.fixture(scope="session")
def programs(contents, tmp_path_factory):
    """The programs of the wheel, as files, by name."""
    folder, found = tmp_path_factory.mktemp("programs"), {}
    for name in contents.namelist():
        if ".data/scripts/" in name:
            path = folder / name.rsplit("/", 1)[1]
            path.write_bytes(contents.read(name))
            found[path.name] = path
    return found


def readelf(flag, path):
    return subprocess.run(["readelf", "--wide", flag, path], check=True, capture_output=True, text=True).stdout


def test_its_platform_is_the_oldest_that_auditwheel_allows(wheel):
    said = subprocess.run([sys.executable, "-m", "auditwheel", "show", wheel], check=True, capture_output=True,
                          text=True).stdout
    tag = re.search(r'the following platform tag:\s+"([^"]+)"', said)
    assert tag, said
    assert wheel.name.endswith(f"-py3-none-{tag[1]}.whl")


def test_it_has_each_program_once_and_they_need_glibc_alone(contents, programs):
    assert set(programs) == PROGRAMS
    elf = [name for name in contents.namelist() if contents.read(name)[:4] == b"\x7fELF"]
    assert len(elf) == len(PROGRAMS)
    for path in programs.values():
        assert set(re.findall(r"\(NEEDED\).*\[(.*)\]", readelf("--dynamic", path))) <= OF_GLIBC, path.name
        assert ".debug_info" not in readelf("--sections", path), path.name


def test_its_record_is_right(contents):
    record = next(name for name in contents.namelist() if name.endswith(".dist-info/RECORD"))
    lines = list(csv.reader(io.StringIO(contents.read(record).decode())))
    assert [name for name, _, _ in lines] == contents.namelist()
    for name, digest, size in lines:
        if name != record:
            content = contents.read(name)
            assert int(size) == len(content)
            assert digest == "sha256=" + base64.urlsafe_b64encode(
                hashlib.sha256(content).digest()).decode().rstrip("=")


def test_it_has_types_and_the_licences_of_what_is_linked(contents):
    names = contents.namelist()
    assert {"kartograph/py.typed", "kartograph/v1/task_executer_pb2.pyi"} <= set(names)
    assert not [name for name in names if "__pycache__" in name]
    for package in ("libgrpc++-dev", "libssl-dev", "libfmt-dev"):
        assert any(name.endswith(f".dist-info/licenses/{package}.txt") for name in names)


def test_the_same_sources_make_the_same_wheel(wheel, tmp_path):
    subprocess.run([ROOT / "scripts" / "build_wheel.sh", "--out", tmp_path], check=True, stdin=subprocess.DEVNULL,
                   stdout=subprocess.DEVNULL)
    again, = tmp_path.iterdir()
    assert again.name == wheel.name
    assert again.read_bytes() == wheel.read_bytes()



@pytest.mark.parametrize("program", ["kartographd", "kartograph", "kartograph-executor"])
def test_a_program_that_pip_has_installed_says_the_version(installed, wheel, program):
    version = wheel.name.split("-")[1]
    assert installed.run(f"/opt/venv/bin/{program}", "--version") == f"{program} {version}\n"


def test_a_service_and_the_command_line_work_together(installed):
    """kartographd finds the agent that is beside it, which runs what the command line has submitted."""
    graph = json.dumps({"name": "greeting", "tasks": [
        {"name": "greet", "command": "echo hello from $(head -1 /etc/os-release)"}]})
    said = installed.run("/bin/sh", "-e", stdin=f"""
export PATH=/opt/venv/bin:$PATH
rm -rf /tmp/state
kartographd --state /tmp/state --grpc none --http 127.0.0.1:0 >/tmp/ready 2>/tmp/log &
for i in $(seq 600); do grep -q ready /tmp/ready && break; sleep 0.1; done
export KARTOGRAPH_STATE_FOLDER=/tmp/state
echo '{graph}' | kartograph submit - --wait >&2
kartograph logs greeting greet
""")
    assert said == 'hello from PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n'


def test_the_example_of_its_description_works(installed):
    """Neither PATH nor a variable says where kartographd is, as in a notebook."""
    example = re.search(r"^```python\n(.*?)^```", (ROOT / "python" / "README.md").read_text(),
                        re.MULTILINE | re.DOTALL)[1]
    said = installed.run("/opt/venv/bin/python", "-", stdin=example)
    assert said == re.search(r"# (.*)", example)[1] + "\n"
