"""Fixtures: the fake service, or a real one where KARTOGRAPHD names a program."""

import os
import pathlib
import shutil
import sys
import tempfile
import time

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

import generate  # noqa: E402

if not generate.is_current(HERE.parent):
    generate.generate(HERE.parent)

from fake_service import FakeService  # noqa: E402

REAL = bool(os.environ.get("KARTOGRAPHD"))


def eventually(condition, what="", timeout=60):
    """Waits until `condition()` is true and returns what it gave."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {timeout} s: {what}"
        time.sleep(0.02)


@pytest.fixture()
def folder():
    """A fresh folder with a short path, as sockets need it."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="kg-py-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture()
def fake(folder):
    """The fake service, for what has to be seen or done inside of a service."""
    service = FakeService(folder / "s", pools={"db_connections": 2})
    yield service
    service.close()


@pytest.fixture(scope="module")
def service():
    """A service with 4 cores and a pool of 2 `db_connections`, for all tests of a file."""
    if REAL:
        import kartograph
        with kartograph.local(cpu=4, ram=2 << 30, pools={"db_connections": 2}) as real:
            yield real
        return
    path = pathlib.Path(tempfile.mkdtemp(prefix="kg-py-"))
    double = FakeService(path / "s", pools={"db_connections": 2})
    yield double
    double.close()
    shutil.rmtree(path, ignore_errors=True)
