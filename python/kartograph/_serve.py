"""One task after another in one process: what an agent gives to it over a socket (docs/workers.md)."""

from __future__ import annotations

import contextlib
import contextvars
import os
import socket
from dataclasses import dataclass
from typing import Callable

from kartograph._process import Process

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
    ours = _file_of(descriptor)
    process = Process()
    while True:
        message, descriptors, _, _ = socket.recv_fds(worker, MAX_MESSAGE, 2)
        if not message:
            return 0
        if len(descriptors) < 2:
            return 1  # there is no room for more: what the task prints would be lost
        variables, _, rest = message.partition(b"\0\0")
        process.enter(_parse(variables), descriptors)
        done = contextvars.copy_context().run(run, _read_given(rest))
        if os.getpid() != process.pid:
            done.write()
            os._exit(done.status)  # a child of the task's that has come out here
        answer = b"\n" + done.value
        if len(done.value) > MAX_VALUE or not done.file:
            done.write()
            answer = b""
        goes_on = process.leave()
        if _file_of(descriptor) != ours:  # the task has closed it: it ends as any other program
            done.write()
            return done.status
        try:
            worker.send(f"{done.status} {'keep' if goes_on else 'end'}".encode() + answer)
        except OSError:
            done.write()
            return done.status
        if not goes_on:
            return done.status
        # Nothing of this task is kept while the worker is idle.
        del done, answer, message, variables, rest


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
    except BaseException:
        os.unlink(path)  # a part of it would be read as something else
        raise
    finally:
        os.close(descriptor)


def _file_of(descriptor: int) -> tuple[int, int] | None:
    with contextlib.suppress(OSError):
        state = os.fstat(descriptor)
        return state.st_dev, state.st_ino
    return None


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
