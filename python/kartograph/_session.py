"""Which tasks may share a worker: those of one program, with one version of its code."""

from __future__ import annotations

import functools
import hashlib
import os
import sys
import sysconfig
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

# How long a version is taken to be still the present one, in seconds: looking takes a moment. At least this, and
# this many times as long as it took.
FRESH = 0.1
PATIENCE = 50
HERE = os.path.dirname(os.path.abspath(__file__))

# One for each process, as modules that only the workers import may change between two runs of a program.
_identity = os.urandom(8).hex()
_version: tuple[float, str] = (0.0, "")  # until when it is fresh


@dataclass(frozen=True)
class Setting:
    """Of `kartograph.worker`: what distinguishes the workers of this program."""

    session: str
    path: tuple[str, ...] = ()  # where modules are found as well, if it is there
    code: tuple[str, ...] = ()  # ids of blobs with modules, which go first

    def arguments(self) -> list[str]:
        """As `kartograph.worker` reads them."""
        return [f"--session={self.session}", *(f"--path={folder}" for folder in self.path),
                *(f"--code={blob}" for blob in self.code)]


# In a worker: what it was started with. A task's own tasks are of the program that it belongs to.
_given: Setting | None = None


def begin(setting: Setting) -> None:
    """Called in a worker."""
    global _given
    _given = setting


def setting(code: Sequence[str] = ()) -> Setting:
    """For a task with these blobs of code; without any, a worker's are those that it has itself."""
    if _given is not None:
        return replace(_given, code=tuple(code)) if code else _given
    return Setting(session(), own_path(), tuple(code))


def session() -> str:
    """Changes when the program's own modules do, by their files' times and sizes."""
    global _version
    now = time.monotonic()
    if not _version[1] or now >= _version[0]:
        digest = _digest(tuple(sys.path))
        after = time.monotonic()
        _version = (after + max(FRESH, PATIENCE * (after - now)), digest)
    return _version[1]


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
        if not isinstance(file, str) or not file.startswith(own) or file.startswith(HERE):
            continue
        try:
            state = os.stat(file)
        except OSError:
            continue
        found.append(f"{file} {state.st_mtime_ns} {state.st_size}")
    found.sort()
    return hashlib.sha256("\n".join([_identity, *found]).encode(errors="surrogateescape")).hexdigest()[:16]
