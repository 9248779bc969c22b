"""What a task is, and how it becomes what the service takes."""

from __future__ import annotations

import functools
import json
import os
import pathlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from kartograph import _blobs, _code, _envelope, _pickling, _session

if TYPE_CHECKING:
    from kartograph.v1 import task_executer_pb2 as pb

# Above this an input goes as a blob; it is the service's limit for one within the task.
MAX_INPUT = 1 << 20
WORKER = "kartograph.worker"
# Where this package is. If it is not installed, the worker has to be told.
HOME = pathlib.Path(__file__).resolve().parent.parent
INSTALLED = HOME.name in ("site-packages", "dist-packages")


class Task:
    """A task: an object with its arguments in it. Derive from it, or from nothing at all.

    Any object with these two methods will do; this class only says what they are.
    """

    def consumption(self) -> Mapping[str, float]:
        """What it holds while it runs, by resource: `cpu` in cores (1 if not named), `ram` in bytes, others in units.

        `ram` is also a limit. May be left out, or be a dict instead of a method.
        """
        return {}

    def run(self) -> Any:
        """Does the work, in another process and perhaps on another host. What it returns or raises comes back."""
        raise NotImplementedError(f"{type(self).__name__} has no method `run`")


@dataclass(frozen=True)
class Constraint:
    """What an attribute of an agent must be: give exactly one of `equals`, `one_of` and `matches`.

    `attribute` is the name of one that `kartograph status` shows, or "agent.name" or "agent.id"; `matches` a regular
    expression of RE2 for the whole value. An agent without the attribute is like one whose value is none of these.
    """

    attribute: str
    equals: str | None = None
    one_of: Sequence[str] = ()
    matches: str | None = None
    negated: bool = False  # it must not be so

    def check(self) -> None:
        """Raises TypeError or ValueError for what no service would take."""
        values = [self.attribute, *self.one_of, *(text for text in (self.equals, self.matches) if text is not None)]
        if isinstance(self.one_of, str) or not all(isinstance(text, str) for text in values):
            raise TypeError(f"a constraint is made of strings, and one_of is a list of them, unlike {self!r}")
        if (self.equals is not None) + bool(self.one_of) + (self.matches is not None) != 1:
            raise ValueError(f"a constraint has exactly one of equals, one_of and matches, unlike {self!r}")

    def fill(self, message: pb.Constraint) -> None:
        """Writes it into a message."""
        message.attribute = self.attribute
        message.negated = self.negated
        message.one_of.extend(self.one_of)
        if self.equals is not None:
            message.equals = self.equals
        if self.matches is not None:
            message.matches = self.matches


@dataclass(frozen=True)
class Options:
    """How to run something; each field as in the contract's TaskSpec. Times are in seconds."""

    consumption: Mapping[str, float] | None = None
    timeout: float | None = None
    expected_duration: float | None = None  # how long it probably takes: decides what goes first, is no limit
    retries: int = 0  # how many attempts after the first one
    retry_delay: float | None = None
    # Which failures are worth it: exit statuses ("75", "64-78"), signals ("SIGKILL"), "exit", "timeout", ...
    retry_on: Sequence[str] = ()
    no_retry_on: Sequence[str] = ()
    priority: int = 0
    cancel_grace: float | None = None
    constraints: Sequence[Constraint] = ()  # it runs only on agents that meet all of these
    # A group of the graph and a number: at most so many of its attempts are on one agent at a time.
    spread: tuple[str, int] | None = None
    avoid_last_failure: bool = False  # the next attempt is made on another agent, if there is one
    preemptible: bool = False  # it may be ended for a task of higher priority, and runs again later
    labels: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    python: str = ""  # the interpreter on the agents; default: this one's path
    # "worker": in a process that runs one task of this program after another; "process": in one of its own
    isolation: str = "worker"
    # Folders and wheels with the program's modules, which go along. Without, they are to be on the agents.
    code: Sequence[str | os.PathLike[str]] = ()

    def but(self, **changes: Any) -> Options:
        """These options with changes. TypeError names one that does not exist, ValueError one that cannot be."""
        known = set(self.__dataclass_fields__)
        for name in changes:
            if name not in known:
                raise TypeError(f"there is no option {name!r}; there are {', '.join(sorted(known))}")
        changed = replace(self, **changes)
        if changes:
            changed.check()
        return changed

    def check(self) -> None:
        """Raises TypeError or ValueError for what no service would take."""
        check_consumption(self.consumption or {})
        for name in ("timeout", "retry_delay", "cancel_grace"):
            if getattr(self, name) is not None:
                check_seconds(getattr(self, name), name)
        if self.expected_duration is not None and check_seconds(self.expected_duration, "expected_duration") == 0:
            raise ValueError("expected_duration is longer than 0 seconds; leave it out where it is not known")
        for constraint in self.constraints:
            if not isinstance(constraint, Constraint):
                raise TypeError(f"constraints are a list of kartograph.Constraint, not of {constraint!r}")
            constraint.check()
        if self.spread is not None and not (isinstance(self.spread, tuple) and len(self.spread) == 2
                                            and isinstance(self.spread[0], str) and isinstance(self.spread[1], int)
                                            and self.spread[0] and 1 <= self.spread[1] <= 1000):
            raise ValueError("spread is a group and how many of it may be on an agent, 1 to 1000, such as "
                             f"('workers', 1), not {self.spread!r}")
        if self.isolation not in ("worker", "process"):
            raise ValueError(f'isolation is "worker" or "process", not {self.isolation!r}')
        if not isinstance(self.retries, int) or self.retries < 0:
            raise ValueError(f"retries is how often it may run again, 0 or more, not {self.retries!r}")
        if not isinstance(self.priority, int) or not -(1 << 31) <= self.priority < 1 << 31:
            raise ValueError(f"priority is a whole number of 32 bits, the higher the sooner, not {self.priority!r}")
        for name in ("labels", "environment"):
            given = getattr(self, name)
            if not isinstance(given, Mapping) or not all(isinstance(text, str) for item in given.items()
                                                         for text in item):
                raise TypeError(f"{name} is a dict of strings, not {given!r}")

    def fill(self, spec: pb.TaskSpec) -> None:
        """Writes them into a specification."""
        for name, quantity in check_consumption(self.consumption or {}).items():
            spec.consumption[name] = quantity
        for name, seconds in (("timeout", self.timeout), ("retry_delay", self.retry_delay),
                              ("cancel_grace", self.cancel_grace), ("expected_duration", self.expected_duration)):
            if seconds is not None:
                getattr(spec, name).FromNanoseconds(round(seconds * 1e9))
        spec.max_attempts = self.retries + 1
        for name, causes in (("retry_on", self.retry_on), ("no_retry_on", self.no_retry_on)):
            getattr(spec, name).extend([causes] if isinstance(causes, str) else causes)
        spec.priority = self.priority
        if self.spread is not None:
            spec.spread.group, spec.spread.per_agent = self.spread
        spec.avoid_last_failure = self.avoid_last_failure
        spec.preemptible = self.preemptible
        for constraint in self.constraints:
            constraint.fill(spec.constraints.add())
        spec.labels.update(self.labels)
        spec.command.environment.update(self.environment)


def check_seconds(value: Any, name: str) -> float:
    """A span of time in seconds, not below 0."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1e10:
        raise ValueError(f"{name} is a number of seconds, 0 or more, not {value!r}")
    return float(value)


def check_consumption(consumption: Any) -> dict[str, float]:
    """Names and quantities, as numbers. Whether they can be met is for the service to say."""
    if not isinstance(consumption, Mapping):
        raise TypeError("a consumption is a dict of resource names and quantities, such as {'cpu': 2, 'ram': 4 << 30}, "
                        f"not {consumption!r}")
    checked = {}
    for name, quantity in consumption.items():
        try:
            if not isinstance(name, str) or isinstance(quantity, (bool, str, bytes)):
                raise TypeError
            checked[name] = float(quantity)
        except (TypeError, ValueError, OverflowError):
            raise TypeError(f"consumption: {name!r}: {quantity!r} is not a resource's name and a number of units "
                            "(`cpu` in cores, `ram` in bytes)") from None
    return checked


def consumption_of(task: Any) -> Mapping[str, float] | None:
    """What a task says it consumes; None where it says nothing."""
    consumption = getattr(task, "consumption", None)
    if callable(consumption):
        consumption = consumption()
    return None if consumption is None else check_consumption(consumption)


@dataclass
class Prepared:
    """A task as the service takes it, and what has to be there before."""

    spec: pb.TaskSpec
    blobs: dict[str, _blobs.Blob | None] = field(default_factory=dict)
    references: list[_pickling.Reference] = field(default_factory=list)


def prepare_object(task: Any, options: Options, server: str = "") -> Prepared:
    """A task of an object with a method `run`. Raises NotPicklable, TypeError."""
    if not callable(getattr(task, "run", None)) or isinstance(task, type):
        raise TypeError(f"a task is an object with a method `run`, not {task!r}")
    prepared = _prepare_python("task", task, "task", options, server)
    if options.consumption is None:
        prepared.spec.consumption.update(consumption_of(task) or {})
    return prepared


def prepare_call(function: Any, args: Sequence[Any], kwargs: Mapping[str, Any], options: Options,
                 server: str = "") -> Prepared:
    """A task that calls a function. Raises NotPicklable, TypeError."""
    if not callable(function):
        raise TypeError(f"what is to run must be callable, not {function!r}")
    return _prepare_python("call", (function, tuple(args), dict(kwargs)), name_of(function), options, server)


def prepare_command(command: str | Sequence[str], options: Options) -> Prepared:
    """A task that runs a program: a list is run as it is, a string by /bin/sh."""
    from kartograph.v1 import task_executer_pb2 as pb
    spec = pb.TaskSpec()
    options.fill(spec)
    if isinstance(command, str):
        spec.command.shell = command
    else:
        words = [os.fspath(word) if isinstance(word, os.PathLike) else word for word in command]
        if not words or not all(isinstance(word, str) for word in words):
            raise TypeError(f"a command is a string for the shell or a list of strings, not {command!r}")
        spec.command.arguments.extend(words)
    spec.client_data = mark("command")
    return Prepared(spec)


def _prepare_python(kind: str, value: Any, name: str, options: Options, server: str) -> Prepared:
    from kartograph.v1 import task_executer_pb2 as pb
    payload, references = _pickling.dump(value, name)
    data = _header(kind, server) + payload
    code = _code.blobs_of([options.code] if isinstance(options.code, (str, os.PathLike)) else options.code)
    setting = _session.setting([one.id for one in code])
    spec = pb.TaskSpec()
    spec.CopyFrom(_template(options, setting))
    blobs: dict[str, _blobs.Blob | None] = {}
    if references or setting.code:
        blobs.update(_blobs.contents_of(references))
        blobs.update(dict.fromkeys(setting.code))
        blobs.update((one.id, one) for one in code)
        spec.blobs.extend(blobs)
    if len(data) <= MAX_INPUT:
        spec.input = data
    else:
        blob = _blobs.Blob(data)
        blobs[blob.id] = blob
        spec.input_blob = blob.id
    for reference in references:
        task_name = getattr(reference, "task_name", None)
        if task_name is not None:
            spec.reads_values = True
            if task_name not in spec.after:
                spec.after.append(task_name)
    return Prepared(spec, blobs, references)


def _template(options: Options, setting: _session.Setting) -> pb.TaskSpec:
    """What all tasks with these options have in common: made once, as that takes longer than the rest of a task."""
    known = options.__dict__.get("_template")
    if known is None or known[0] != setting:
        from kartograph.v1 import task_executer_pb2 as pb
        spec = pb.TaskSpec(client_data=mark("python"))
        options.fill(spec)
        spec.command.arguments.extend([options.python or sys.executable, "-m", WORKER, *setting.arguments()])
        spec.command.worker = options.isolation == "worker"
        if not INSTALLED and "PYTHONPATH" not in spec.command.environment:
            spec.command.environment["PYTHONPATH"] = str(HOME)
        options.__dict__["_template"] = known = (setting, spec)
    return known[1]


@functools.lru_cache(maxsize=16)
def _header(kind: str, server: str) -> bytes:
    """What an input begins with: the same for all tasks of a program."""
    return _envelope.seal({"kind": kind, "server": server}, b"")


def name_of(function: Any) -> str:
    """What people call a function, a task's class or a program."""
    function = getattr(function, "func", function)  # of a functools.partial
    return str(getattr(function, "__name__", "") or type(function).__name__)


def plain_name(text: str) -> str:
    """Characters that a task's name may have, of any text; at most 100, so that a number fits behind."""
    kept = "".join(one if one.isascii() and (one.isalnum() or one in "_.-/:+@=,[]") else "_" for one in text)
    return kept.lstrip("-")[:100] or "task"


# What we write into `client_data`: who wrote it, and how the task's value is to be read.


def mark(kind: str, key: str = "") -> bytes:
    """`kind` is "python" or "command"; `key` tells a client which of its objects it is."""
    return json.dumps({"kartograph-python": _envelope.FORMAT, "kind": kind, "key": key}).encode()


def read_mark(client_data: bytes) -> tuple[str, str]:
    """Kind and key. What another program submitted is a command to us: its value is bytes."""
    try:
        data = json.loads(client_data)
        return ("python" if data["kind"] == "python" else "command"), str(data["key"])
    except (ValueError, KeyError, TypeError):
        return "command", ""
