"""Fixtures: the wheel that scripts/build_wheel.sh has made, and a place where it is installed."""

import os
import pathlib
import shutil
import subprocess
import sys
import zipfile

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from clean_root import CACHE, CleanRoot  # noqa: E402

ROOT = HERE.parent.parent


@pytest.fixture(scope="session")
def wheel():
    """The path of the wheel: the one in the folder that KARTOGRAPH_WHEEL names, or in dist/."""
    folder = pathlib.Path(os.environ.get("KARTOGRAPH_WHEEL", ROOT / "dist"))
    found = list(folder.glob("kartograph-*.whl"))
    if len(found) != 1:
        pytest.fail(f"{folder} has {len(found)} wheels: build it first (scripts/build_wheel.sh)")
    return found[0]


@pytest.fixture(scope="session")
def contents(wheel):
    """The wheel as an open zip file."""
    with zipfile.ZipFile(wheel) as opened:
        yield opened


def dependencies(wheel):
    """A folder of wheels of what the wheel needs, the newest there are; fetched where they are not there."""
    folder, mark = CACHE / "dependencies", CACHE / "dependencies" / "of"
    with zipfile.ZipFile(wheel) as opened:
        name = next(name for name in opened.namelist() if name.endswith("/METADATA"))
        needs = [line for line in opened.read(name).decode().splitlines() if line.startswith("Requires-Dist: ")]
    wanted = "\n".join([sys.version, *needs])
    if not mark.exists() or mark.read_text() != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check",
                        "--only-binary=:all:", "--dest", folder,
                        *(line.split(" ", 1)[1] for line in needs)], check=True, stdin=subprocess.DEVNULL)
        mark.write_text(wanted)
    return folder


@pytest.fixture(scope="session")
def installed(wheel):
    """A clean Debian in which `pip install` has put the wheel into /opt/venv."""
    if os.geteuid() != 0:
        pytest.skip("a clean Debian is made and entered: takes root")
    root = CleanRoot()
    shutil.rmtree(root.path("/opt/venv"), ignore_errors=True)
    shutil.rmtree(root.path("/opt/wheels"), ignore_errors=True)
    shutil.copytree(dependencies(wheel), root.path("/opt/wheels"))
    shutil.copy(wheel, root.path("/opt/wheels"))
    root.run("python3", "-m", "venv", "/opt/venv")
    root.run("/opt/venv/bin/pip", "install", "--no-index", "--find-links", "/opt/wheels", f"/opt/wheels/{wheel.name}")
    return root
