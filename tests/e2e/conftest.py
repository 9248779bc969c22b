"""Fixtures of the end-to-end tests."""

import contextlib
import os
import pathlib
import shutil
import sys
import tempfile

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
import harness  # noqa: E402
from small_disk import mounted  # noqa: E402


def pytest_configure(config):
    for binary in (harness.KARTOGRAPHD, harness.KARTOGRAPH):
        if not os.access(binary, os.X_OK):
            raise pytest.UsageError(f"{binary} is not there: build it first (bazel build //...)")


@pytest.fixture
def folder():
    """A fresh folder with a short path, as sockets need it."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="kg-e2e-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def small_disk(folder):
    """A function that mounts a disk of so many MiB, to be filled; ask for it before `start`, so that
    it goes after the services on it."""
    with contextlib.ExitStack() as disks:
        yield lambda mebibytes: disks.enter_context(mounted(folder / "disk", mebibytes))


@pytest.fixture
def start(folder):
    """A function that starts a service in the test's folder; ends it after the test."""
    services = []

    def start_service(*flags, **options):
        service = harness.Service(folder, *flags, **options)
        services.append(service)
        return service.start()
    yield start_service
    for service in services:
        service.close()


@pytest.fixture(scope="module")
def shared():
    """One service for all tests of a file: 4 cores, 2 GiB and a pool `licences` of 3, on paper."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="kg-e2e-"))
    service = harness.Service(path, "--cpu", "4", "--ram", "2GiB", "--pool", "licences=3")
    service.start()
    service.wait_for_agent()
    yield service
    service.close()
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def data():
    """The folder of recorded workflows and scheduling problems."""
    path = pathlib.Path(os.environ.get("KARTOGRAPH_DATA", "/nonexistent"))
    if not path.is_dir():
        pytest.skip("KARTOGRAPH_DATA names no folder of recorded data")
    return path
