"""What one task leaves for the next in the process of a worker.

What a task changes is put back as far as that is possible. Where it is not, the process says that it is not to be used
again.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import random
import resource
import signal
import sys
import threading
import warnings
from _thread import _count as _count_threads  # also those that `threading` does not know; without the main one
from typing import Any, Callable

try:  # the same without making an enum of what it gives, which takes most of the time
    from _signal import getsignal  # type: ignore[import]
except ImportError:
    from signal import getsignal

# Descriptors that tasks may leave open, together.
MOST_LEFT_OPEN = 32
# Memory beyond this many times what it was at first is looked for garbage, in bytes and at least.
GROWN = 2
LEAST_GROWN = 64 << 20
_TIMERS = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)
_LIMITS = [getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")]
# RLIMIT_DATA is the agent's: it follows what each task has declared.
_LIMITS = [limit for limit in _LIMITS if limit != resource.RLIMIT_DATA]


class Process:
    """What belongs to the process and not to a task."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        self._environ = os.environ
        self._environment: dict[str, str] | None = None  # without the variables of attempts
        self._variables: dict[str, str] = {}  # of the attempt
        self._entered: Any = None  # all of the environment as the attempt found it
        self._umask = os.umask(0o077)
        os.umask(self._umask)
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        self._streams = sys.stdin, sys.stdout, sys.stderr
        self._arguments = list(sys.argv)
        self._affinity = os.sched_getaffinity(0)
        self._fixed = self._what_cannot_be_put_back()
        self._flush = _find_flush()
        self._open = self._rss = 0
        self._adopt()

    def _adopt(self) -> None:
        """Takes the interpreter's state as what tasks are to find."""
        self._signals = [(int(number), getsignal(number)) for number in signal.valid_signals()]
        self._hooks = (sys.excepthook, sys.displayhook, sys.unraisablehook, sys.breakpointhook, threading.excepthook)
        self._path, self._meta_path = list(sys.path), list(sys.meta_path)
        self._recursion = sys.getrecursionlimit()
        self._warnings = list(warnings.filters)
        self._logging = _logging()
        self._modules = dict(sys.modules)

    @staticmethod
    def _what_cannot_be_put_back() -> Any:
        return (os.getpriority(os.PRIO_PROCESS, 0), os.sched_getscheduler(0),
                [resource.getrlimit(limit) for limit in _LIMITS])

    # --- Before a task -------------------------------------------------------------------------------------------

    def enter(self, variables: dict[str, str], descriptors: list[int]) -> None:
        """Makes the process that of a task. Raises OSError where its directory cannot be entered."""
        self._set_environment(variables)
        for number, descriptor in zip((1, 2), descriptors):
            os.dup2(descriptor, number)
            os.close(descriptor)
        os.chdir(variables["PWD"])
        # Each has a sequence of its own, as if it were a new process.
        random.seed()
        if "numpy.random" in sys.modules:
            sys.modules["numpy.random"].seed()
        if not self._open:
            self._open, self._rss = _open_descriptors(), _resident()

    def _set_environment(self, variables: dict[str, str]) -> None:
        if self._environment is None:
            self._environment = {name: value for name, value in os.environ.items() if name not in variables}
        elif _raw_environment() != self._entered:  # the task has changed it
            for name in [name for name in os.environ if name not in self._environment]:
                del os.environ[name]
            os.environ.update(self._environment)
            self._variables = {}
        for name in self._variables.keys() - variables.keys():
            os.environ.pop(name, None)
        for name, value in variables.items():
            if self._variables.get(name) != value:
                os.environ[name] = value
        self._variables = variables
        self._entered = _raw_environment()

    # --- After it ------------------------------------------------------------------------------------------------

    def leave(self) -> bool:
        """Puts everything back. Whether the process can be used again."""
        try:
            goes_on = self._is_alone()
            if not goes_on:
                self._finish()
            self._flush_output()
            # A signal that waits would come when it is let in, and end the process.
            if not goes_on or signal.sigpending():
                return False
            self._restore()
            self._tidy()
            return (self._what_cannot_be_put_back() == self._fixed
                    and _open_descriptors() <= self._open + MOST_LEFT_OPEN)
        except BaseException:  # whatever the task has broken, or what its objects do
            return False

    @staticmethod
    def _is_alone() -> bool:
        if len(threading.enumerate()) > 1 or _count_threads() > 0:
            return False
        multiprocessing = sys.modules.get("multiprocessing")
        return multiprocessing is None or not multiprocessing.active_children()

    @staticmethod
    def _finish() -> None:
        """What an interpreter does at its end: waits for threads, and for processes of multiprocessing."""
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()

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
        for timer in _TIMERS:
            signal.setitimer(timer, 0)
        if "faulthandler" in sys.modules:
            sys.modules["faulthandler"].cancel_dump_traceback_later()
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
        sys.settrace(None)
        sys.setprofile(None)
        threading.settrace(None)  # type: ignore[arg-type]
        threading.setprofile(None)
        gc.enable()
        sys.stdin, sys.stdout, sys.stderr = self._streams
        if sys.stdin.closed:
            raise ValueError("stdin is closed")
        sys.argv[:] = self._arguments
        os.environ = self._environ  # noqa: B003
        os.umask(self._umask)
        os.chdir("/")
        if os.sched_getaffinity(0) != self._affinity:
            os.sched_setaffinity(0, self._affinity)
        if self._has_imported():
            # What modules set when they are imported is theirs: they are not imported again.
            self._restore_modules()
            self._adopt()
        else:
            self._restore_interpreter()

    def _has_imported(self) -> bool:
        """Whether there are new modules, besides those that were made by hand."""
        return sys.modules != self._modules and any(
            name not in self._modules and getattr(module, "__spec__", None) is not None
            for name, module in list(sys.modules.items()))

    def _restore_interpreter(self) -> None:
        for number, handler in self._signals:
            if handler is not None and getsignal(number) is not handler:
                signal.signal(number, handler)
        (sys.excepthook, sys.displayhook, sys.unraisablehook, sys.breakpointhook, threading.excepthook) = self._hooks
        sys.path[:], sys.meta_path[:] = self._path, self._meta_path
        sys.setrecursionlimit(self._recursion)
        if warnings.filters != self._warnings:
            warnings.resetwarnings()
            warnings.filters[:] = self._warnings  # type: ignore[index]
        if _logging() != self._logging:
            _set_logging(self._logging)
        if sys.modules != self._modules:
            self._restore_modules()
            for name in sys.modules.keys() - self._modules.keys():
                del sys.modules[name]  # made by hand

    def _restore_modules(self) -> None:
        """Those that were replaced or removed come back."""
        for name, module in self._modules.items():
            if sys.modules.get(name) is not module:
                sys.modules[name] = module

    def _tidy(self) -> None:
        if _resident() > max(GROWN * self._rss, LEAST_GROWN):
            gc.collect()


def _logging() -> Any:
    module = sys.modules.get("logging")
    return None if module is None else (list(module.root.handlers), module.root.level, module.root.manager.disable)


def _set_logging(state: Any) -> None:
    module = sys.modules["logging"]
    module.root.handlers[:], level, disabled = state or ([], module.WARNING, module.NOTSET)
    module.root.setLevel(level)
    module.disable(disabled)


def _raw_environment() -> Any:
    """A copy of it that is quick to make and to compare."""
    data = getattr(os.environ, "_data", None)
    return dict(os.environ if data is None else data)


def _open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def _resident() -> int:
    with open("/proc/self/statm", "rb", buffering=0) as file:
        return int(file.read(100).split()[1]) * resource.getpagesize()


def _find_flush() -> Callable[[], Any]:
    """fflush(NULL) of the C library."""
    with contextlib.suppress(Exception):  # a Python without ctypes: what C code has buffered comes later, or not at all
        import ctypes
        flush = ctypes.CDLL(None).fflush
        return lambda: flush(None)
    return lambda: None
