"""A disk that is small enough to be filled; for the fixtures of several folders of tests."""

import contextlib
import subprocess

import pytest


@contextlib.contextmanager
def mounted(path, mebibytes):
    """Mounts one at the new folder `path`; skips the test where that is not allowed."""
    path.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "kartograph-test", path],
                      stderr=subprocess.DEVNULL, check=False).returncode != 0:
        pytest.skip("a full disk takes the right to mount a small one")
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", path], check=True)


def fill_up(folder):
    """Writes a file until nothing more fits; returns it, to be removed."""
    path = folder / "filler"
    with open(path, "wb", buffering=0) as filler:
        for size in (1 << 20, 1 << 12, 1 << 8, 1):
            try:
                while True:
                    filler.write(b"\0" * size)
            except OSError:
                pass
    return path
