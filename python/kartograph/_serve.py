"""One task after another in one process: what an agent gives to it over a socket (docs/workers.md).

What a task changes in the process is put back before the next one as far as that is possible; where it is not, or where
the task has left threads behind, the process says that it is not to be used again.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import sys
import threading
import warnings
from dataclasses import dataclass
from typing import Any, Callable

try:  # the same without making an enum of what it gives, which takes most of the time
    from _signal import getsignal  # type: ignore[import]
except ImportError:
    from signal import getsignal

VARIABLE = "KARTOGRAPH_WORKER"
MAX_MESSAGE = 1 << 17
MAX_VALUE = 1000  # in an answer, which has at most 1,024 bytes


@dataclass
class Given:
    """What came with an attempt. None: what there is of it is in files, which its environment names."""

    input: bytes | None = None
    values: dict[str, bytes] | None = None  # by the names of the tasks before


@dataclass
class Done:
    """What came of an attempt: the exit status, the return value, and the file for that."""

    status: int
    value: bytes = b""
    file: str | os.PathLike[str] = ""

    def write(self) -> None:
        """Puts the value into its file."""
        if self.file:
            write_file(self.file, self.value)


def serve(descriptor: int, run: Callable[[Given], Done]) -> int:
    """Calls `run` for each task, in its environment, until the agent is gone. Returns the process's exit status."""
    worker = socket.socket(fileno=descriptor)
    worker.set_inheritable(False)
    os.environ.pop(VARIABLE, None)
    process = _Process()
    while True:
        message, descriptors, _, _ = socket.recv_fds(worker, MAX_MESSAGE, 2)
        if not message:
            return 0
        variables, _, rest = message.partition(b"\0\0")
        process.enter(variables, descriptors)
        done = run(_read_given(rest))
        if os.getpid() != process.pid:
            done.write()
            os._exit(done.status)  # a child of the task's that has come out here
        answer = b"\n" + done.value
        if len(done.value) > MAX_VALUE or not done.file:
            done.write()
            answer = b""
        goes_on = process.leave()
        try:
            worker.send(f"{done.status} {'keep' if goes_on else 'end'}".encode() + answer)
        except OSError:
            done.write()
            return done.status  # the task has closed the socket: it ends as any other program
        if not goes_on:
            return done.status


class _Process:
    """What belongs to the process and not to a task."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        self._environment: dict[str, str] | None = None  # without the variables of attempts
        self._variables: dict[str, str] = {}  # of the attempt
        self._entered: Any = None  # all of the environment as the attempt found it
        self._umask = os.umask(0o077)
        os.umask(self._umask)
        self._signals = [(int(number), getsignal(number)) for number in signal.valid_signals()]
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        self._streams = sys.stdin, sys.stdout, sys.stderr
        self._hooks = sys.excepthook, sys.displayhook, threading.excepthook
        self._path, self._arguments = list(sys.path), list(sys.argv)
        self._recursion = sys.getrecursionlimit()
        self._affinity = os.sched_getaffinity(0)
        self._nice = os.getpriority(os.PRIO_PROCESS, 0)
        self._warnings = list(warnings.filters)
        self._modules: dict[str, Any] = {}
        self._flush = _find_flush()

    def enter(self, message: bytes, descriptors: list[int]) -> None:
        """Makes the process that of a task. Raises OSError where its directory cannot be entered."""
        self._set_environment(_parse(message))
        for number, descriptor in zip((1, 2), descriptors):
            os.dup2(descriptor, number)
            os.close(descriptor)
        os.chdir(os.environ["PWD"])
        # Each has a sequence of its own, as if it were a new process.
        random.seed()
        if "numpy.random" in sys.modules:
            sys.modules["numpy.random"].seed()
        self._modules = dict(sys.modules)

    def _set_environment(self, variables: dict[str, str]) -> None:
        if self._environment is None:
            self._environment = {name: value for name, value in os.environ.items() if name not in variables}
        elif _raw_environment() != self._entered:  # the task has changed it
            for name in [name for name in os.environ if name not in self._environment]:
                del os.environ[name]
            os.environ.update(self._environment)
            self._variables = {}
        for name in self._variables.keys() - variables.keys():
            del os.environ[name]
        for name, value in variables.items():
            if self._variables.get(name) != value:
                os.environ[name] = value
        self._variables = variables
        self._entered = _raw_environment()

    def leave(self) -> bool:
        """Puts everything back. Whether that went well."""
        try:
            self._flush_output()
            self._restore()
            return len(threading.enumerate()) == 1 and os.getpriority(os.PRIO_PROCESS, 0) == self._nice
        except BaseException:  # whatever the task has broken, or what its objects do
            return False

    def _flush_output(self) -> None:
        # All that it has written is to be in its log: what C code has not written yet, too.
        for own in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):  # it may be whatever the task has put there
                own.flush()
        for stream in self._streams[1:]:
            stream.flush()
        self._flush()
        for number in (0, 1, 2):
            os.dup2(self._null, number)

    def _restore(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in self._signals:
            if handler is not None and getsignal(number) is not handler:
                signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
        sys.settrace(None)
        sys.setprofile(None)
        sys.setrecursionlimit(self._recursion)
        sys.stdin, sys.stdout, sys.stderr = self._streams
        sys.excepthook, sys.displayhook, threading.excepthook = self._hooks
        sys.path[:], sys.argv[:] = self._path, self._arguments
        os.umask(self._umask)
        os.chdir("/")
        if os.sched_getaffinity(0) != self._affinity:
            os.sched_setaffinity(0, self._affinity)
        if warnings.filters != self._warnings:
            warnings.resetwarnings()
            warnings.filters[:] = self._warnings  # type: ignore[index]
        self._restore_modules()

    def _restore_modules(self) -> None:
        """Modules that were imported stay; those that were replaced or removed come back, those made by hand go."""
        if sys.modules != self._modules:
            for name, module in self._modules.items():
                if sys.modules.get(name) is not module:
                    sys.modules[name] = module
            made = [name for name, module in sys.modules.items()
                    if name not in self._modules and getattr(module, "__spec__", None) is None]
            for name in made:
                del sys.modules[name]
        logging = sys.modules.get("logging")
        if logging is not None:
            for handler in list(logging.root.handlers):
                logging.root.removeHandler(handler)
            logging.root.setLevel(logging.WARNING)
            logging.disable(logging.NOTSET)


def _raw_environment() -> Any:
    """A copy of it that is quick to make and to compare."""
    data = getattr(os.environ, "_data", None)
    return dict(os.environ if data is None else data)


# Without the buffers and objects of `open`, which take longer than a short task.


def read_file(path: str | os.PathLike[str]) -> bytes:
    """All of it."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = os.fstat(descriptor).st_size
        parts = []
        while size > 0:
            part = os.read(descriptor, size)
            if not part:
                break
            parts.append(part)
            size -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)
    finally:
        os.close(descriptor)


def write_file(path: str | os.PathLike[str], data: bytes) -> None:
    """In place of what is there."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view):]
    finally:
        os.close(descriptor)


def _read_given(text: bytes) -> Given:
    """Sections, each a line with its kind, its length and perhaps a name, and so many bytes."""
    given = Given()
    while text:
        line, _, text = text.partition(b"\n")
        kind, _, rest = line.partition(b" ")
        length, _, name = rest.partition(b" ")
        if kind == b"values":
            given.values = {}
            continue
        data, text = text[:int(length)], text[int(length):]
        if kind == b"input":
            given.input = data
        elif kind == b"value" and given.values is not None:
            given.values[name.decode()] = data
    return given


def _parse(message: bytes) -> dict[str, str]:
    return dict(os.fsdecode(entry).split("=", 1) for entry in message.split(b"\0") if entry)


def _find_flush() -> Callable[[], Any]:
    """fflush(NULL) of the C library."""
    with contextlib.suppress(Exception):  # a Python without ctypes: what C code has buffered comes later, or not at all
        import ctypes
        flush = ctypes.CDLL(None).fflush
        return lambda: flush(None)
    return lambda: None
