"""What runs where the task runs: one call in, one result out.

`run` is one task and touches nothing but what the job names, so that a process can run one after the other.
This module is imported in every worker: it needs neither gRPC nor protobuf.
"""

from __future__ import annotations

import os
import pathlib
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kartograph import _context, _envelope, _pickling, _session
from kartograph._serve import Done, Given, read_file
from kartograph.errors import NotReadable

# The status of a script that ended by an exception, and of one that Ctrl-C ended.
FAILED = 1
INTERRUPTED = 130


@dataclass(frozen=True)
class Job:
    """One attempt as its environment describes it. Folders are None where there is nothing for this task."""

    graph_id: str
    task_name: str
    attempt_id: str
    input: pathlib.Path | None
    result: pathlib.Path
    blobs: pathlib.Path | None = None
    inputs: pathlib.Path | None = None  # the return values of tasks before this one
    environment: Mapping[str, str] = field(default_factory=dict)
    given: Given = field(default_factory=Given)

    @classmethod
    def of(cls, environment: Mapping[str, str], given: Given | None = None) -> Job:
        """Raises NotReadable where no agent made the environment."""
        given = given or Given()
        needed = ["KARTOGRAPH_RESULT"] if given.input is not None else ["KARTOGRAPH_INPUT", "KARTOGRAPH_RESULT"]
        missing = [name for name in needed if not environment.get(name)]
        if missing:
            verb = "is" if len(missing) == 1 else "are"
            raise NotReadable(f"{' and '.join(missing)} {verb} not set: this program is started by Kartograph's agent, "
                              "for a task that the Python package submitted")

        def folder(name: str) -> pathlib.Path | None:
            return pathlib.Path(environment[name]) if environment.get(name) else None
        return cls(environment.get("KARTOGRAPH_GRAPH", ""), environment.get("KARTOGRAPH_TASK", ""),
                   environment.get("KARTOGRAPH_ATTEMPT", ""), folder("KARTOGRAPH_INPUT"),
                   pathlib.Path(environment["KARTOGRAPH_RESULT"]), folder("KARTOGRAPH_BLOBS"),
                   folder("KARTOGRAPH_INPUTS"), environment, given)

    def read_input(self) -> bytes:
        """What the client has sent."""
        if self.given.input is not None:
            return self.given.input
        assert self.input is not None
        return read_file(self.input)

    def has_values(self) -> bool:
        """Whether the values of tasks before it are here."""
        return self.given.values is not None or self.inputs is not None

    def value_of(self, task_name: str) -> bytes | None:
        """What a task before it has returned; None where that is nothing."""
        if self.given.values is not None:
            return self.given.values.get(task_name)
        assert self.inputs is not None
        path = self.inputs / file_of_value(task_name)
        return read_file(path) if path.exists() else None


class Cache:
    """Objects of blobs, unpickled once by a process. The least recently used go."""

    def __init__(self, most: int = 16) -> None:
        self._most = most
        self._values: dict[str, Any] = {}

    def get(self, identity: str, folder: pathlib.Path | None) -> Any:
        """The object of a blob that this task has named."""
        if identity in self._values:
            self._values[identity] = self._values.pop(identity)  # the newest
            return self._values[identity]
        if folder is None:
            raise NotReadable(f"KARTOGRAPH_BLOBS is not set, so {identity} cannot be read")
        value = _pickling.load((folder / identity).read_bytes())
        self._values[identity] = value
        while len(self._values) > self._most:
            del self._values[next(iter(self._values))]
        return value


_cache = Cache()


def begin(setting: _session.Setting, blobs: str) -> None:
    """Once for each process, before its first task. `blobs` is where blobs are."""
    _session.begin(setting)
    sys.path[:0] = [os.path.join(blobs, blob) for blob in setting.code]
    sys.path.extend(entry for entry in setting.path if entry not in sys.path and os.path.exists(entry))


def run(job: Job, cache: Cache = _cache) -> Done:
    """Runs one task.

    The status is 0 where the task returned, otherwise 1, or what it gave to `sys.exit`, with a traceback on stderr.
    """
    try:
        value = _call(job, cache)
        data, status = _envelope.seal_value(value), 0
    except BaseException as error:  # SystemExit and KeyboardInterrupt are what came of it, too
        _forget_own_frames(error)
        data, status = _envelope.seal_exception(error), _status_of(error)
        _print(error)
    return Done(status, data, job.result)


def _call(job: Job, cache: Cache) -> Any:
    header, payload = _envelope.open_header(job.read_input())
    _envelope.check_versions(header, "the client", "this worker")
    server = str(header.get("server") or "")

    def resolve(reference: tuple[str, ...]) -> Any:
        if reference[0] == "blob":
            return cache.get(reference[1], job.blobs)
        if reference[0] == "result":
            return _value_of(job, server, reference[1], reference[2])
        raise NotReadable(f"the task refers to {reference[0]!r}, which this version of the package does not know")

    loaded = _pickling.load(payload, resolve)
    with _context.entered(job.graph_id, job.task_name, server, job.environment):
        if header.get("kind") == "task":
            return loaded.run()
        if header.get("kind") == "call":
            function, args, kwargs = loaded
            return function(*args, **kwargs)
    raise NotReadable(f"the task is of kind {header.get('kind')!r}, which this version of the package does not know")


def file_of_value(task_name: str) -> str:
    """The file in $KARTOGRAPH_INPUTS with the return value of a task. Names of tasks may have slashes; files not."""
    return task_name.replace("/", "%2F") if task_name.strip(".") else task_name.replace(".", "%2E")


def _value_of(job: Job, server: str, task_name: str, kind: str) -> Any:
    """The return value of a task before this one: with the launch, or from the service where it did not come so."""
    if job.has_values():
        data = job.value_of(task_name)
    else:
        with _context.connection(server, job.environment) as connection:
            data = connection.read_result(job.graph_id, task_name)
    if kind == "command":
        return data or None
    if data is None:
        raise NotReadable(f"{task_name} has returned nothing")
    result = _envelope.open_result(data)
    if result.exception is not None:
        raise result.exception
    return result.value


def _status_of(error: BaseException) -> int:
    if isinstance(error, SystemExit):
        # A task that exits has not returned, whatever it says.
        return error.code & 0xFF or FAILED if isinstance(error.code, int) else FAILED
    return INTERRUPTED if isinstance(error, KeyboardInterrupt) else FAILED


def _forget_own_frames(error: BaseException) -> None:
    """A traceback begins with the task's code. If all of it is ours, it stays."""
    trace = error.__traceback__
    here = os.path.dirname(os.path.abspath(__file__))
    while trace is not None and os.path.dirname(os.path.abspath(trace.tb_frame.f_code.co_filename)) == here:
        trace = trace.tb_next
    if trace is not None:
        error.__traceback__ = trace


def _print(error: BaseException) -> None:
    try:
        sys.stdout.flush()
        traceback.print_exception(type(error), error, error.__traceback__)
        sys.stderr.flush()
    except Exception:  # closed by the task, or the text cannot be had; the result has it all
        pass
