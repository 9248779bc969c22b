"""Fixtures of the tests in a virtual machine, which ./test --vm runs."""

import os
import pathlib
import subprocess
import sys
import tempfile

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import image as vm_image  # noqa: E402
from machine import Machine  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PACKAGING = ROOT / "packaging"
BIN = ROOT / "bazel-bin"
BUILT = {"kartographd": os.environ.get("KARTOGRAPHD", BIN / "service/kartographd"),
         "kartograph": os.environ.get("KARTOGRAPH", BIN / "cli/kartograph"),
         "kartograph-local-agent": os.environ.get("KARTOGRAPH_LOCAL_AGENT",
                                                  BIN / "executor/local/kartograph-local-agent")}


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """What is installed in the machine, as a package would do it."""
    installed = {"etc/systemd/system/kartographd.service": PACKAGING / "kartographd.service",
                 "etc/systemd/system/kartograph-local-agent.service":
                     PACKAGING / "kartograph-local-agent.service",
                 "etc/sysusers.d/kartograph.conf": PACKAGING / "sysusers.conf",
                 "etc/kartograph/kartographd.yaml": PACKAGING / "kartographd.yaml"}
    stripped = tmp_path_factory.mktemp("bin")
    for name, path in BUILT.items():
        if not os.access(path, os.X_OK):
            pytest.fail(f"{path} is not there: build it first (bazel build //...)")
        subprocess.run(["strip", "-o", stripped / name, path], check=True)
        installed[f"usr/bin/{name}"] = stripped / name
    return installed


@pytest.fixture(scope="module")
def machine(files):
    """A machine that is booted, for all tests of a file."""
    folder = tempfile.mkdtemp(prefix="kartograph-vm-")
    one = Machine(vm_image.image(list(BUILT.values())), folder, files)
    try:
        yield one.boot()
    finally:
        one.close()
