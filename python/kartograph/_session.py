"""Which tasks may share a worker: those of one program, with one version of its code."""

from __future__ import annotations

import functools
import hashlib
import os
import sys
import sysconfig
import time

# How long a version is taken to be still the present one, in seconds: looking takes a moment.
FRESH = 0.1

# One for each process, as modules that only the workers import may change between two runs of a program. A task's own
# tasks are of the program that it belongs to.
_identity = os.urandom(8).hex()
_given = ""
_version: tuple[float, str] = (-FRESH, "")


def begin(session: str) -> None:
    """This process is a worker of that session."""
    global _given
    _given = session


def session() -> str:
    """Changes when the program's own modules do, by their files' times and sizes."""
    global _version
    if _given:
        return _given
    now = time.monotonic()
    if now - _version[0] >= FRESH:
        _version = (now, _digest(tuple(sys.path)))
    return _version[1]


def arguments() -> list[str]:
    """Of `kartograph.worker`: what distinguishes the workers of this program."""
    return [f"--session={session()}", *(f"--path={folder}" for folder in own_path())]


def own_path() -> tuple[str, ...]:
    """Where modules are found here, besides Python's own folders: there an agent with the same folders finds them."""
    return _own_path(tuple(sys.path))


@functools.lru_cache(maxsize=16)
def _own_path(path: tuple[str, ...]) -> tuple[str, ...]:
    own = sysconfig.get_paths()
    folders = [os.path.abspath(entry) for entry in path if isinstance(entry, str)]
    python = (own["stdlib"], own["platstdlib"], own["purelib"])
    return tuple(folder for folder in dict.fromkeys(folders) if not folder.startswith(python)
                 and not folder.endswith((".zip", "dist-packages")))


def _digest(path: tuple[str, ...]) -> str:
    own = tuple(os.path.join(folder, "") for folder in _own_path(path))
    found = []
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if not isinstance(file, str) or not file.startswith(own):
            continue
        try:
            state = os.stat(file)
        except OSError:
            continue
        found.append(f"{file} {state.st_mtime_ns} {state.st_size}")
    found.sort()
    return hashlib.sha256("\n".join([_identity, *found]).encode(errors="surrogateescape")).hexdigest()[:16]
