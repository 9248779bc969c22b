"""`Graph`: tasks that depend on each other, submitted as one."""

from __future__ import annotations

import contextlib
import html
import logging
import os
import textwrap
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kartograph import _ending, _pickling, _show, _task, errors
from kartograph._address import Where
from kartograph._blobs import Uploader
from kartograph._client import WRITE_DEADLINE, Connection, new_request_id
from kartograph._sending import TaskId
from kartograph.v1 import task_executer_pb2 as pb

log = logging.getLogger("kartograph")

# How many tasks an exception describes.
MOST_SAID = 10
# Arguments of `Graph.run` that are for the task and not for the function.
_OPTIONS = frozenset(_task.Options.__dataclass_fields__)


@dataclass(frozen=True)
class Progress:
    """How far a graph is. `state` is "running", "succeeded", "failed" or "cancelled"; the others count tasks."""

    state: str
    total: int
    waiting: int
    ready: int
    running: int
    succeeded: int
    failed: int
    cancelled: int
    skipped: int

    @property
    def ended(self) -> int:
        """How many tasks have ended, however they did."""
        return self.succeeded + self.failed + self.cancelled + self.skipped

    @classmethod
    def of(cls, graph: pb.Graph) -> Progress:
        """From the service's answer."""
        counts = graph.counts
        return cls(pb.GraphState.Name(graph.state)[len("GRAPH_STATE_"):].lower(), counts.total, counts.waiting,
                   counts.ready, counts.launching + counts.running, counts.succeeded, counts.failed, counts.cancelled,
                   counts.skipped)


class Node(_pickling.Reference):
    """A task of a graph. Given as an argument to another task of the graph, it becomes its return value there."""

    def __init__(self, graph: Graph, name: str, kind: str) -> None:
        self.graph = graph
        self.name = name
        self._kind = kind

    @property
    def task_name(self) -> str:
        """Its name: what comes after it is listed by this."""
        return self.name

    @property
    def id(self) -> TaskId:
        """What it is called outside of this program. The graph must have been submitted."""
        return TaskId(self.graph.id, self.name)

    def reference(self) -> tuple[str, ...]:
        return ("result", self.name, self._kind)

    def __reduce__(self) -> Any:
        raise TypeError("a task of a graph can only be given to another task of the same graph")

    @property
    def state(self) -> str:
        """Such as "waiting", "ready", "running", "succeeded"; see the glossary."""
        return _ending.word(self._get().state)

    def done(self) -> bool:
        """Whether it has ended, however it did."""
        return self._get().state in _ending.FINAL

    def result(self, timeout: float | None = None) -> Any:
        """Waits until it has ended, and returns what it returned or raises what it raised.

        A command's is what it wrote to the file $KARTOGRAPH_RESULT, in bytes, or None. Raises TimeoutError after
        `timeout` seconds, and TaskError if it ended in another way.
        """
        value, exception = self._ending(timeout).open()
        if exception is not None:
            raise exception
        return value

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Waits as `result` does, and returns the exception, or None if there is none."""
        return self._ending(timeout).open()[1]

    def explain(self) -> str:
        """What it waits for, or how it ended: see TaskExecuter.explain."""
        return self.graph.connection.explain(self.graph.id, self.name)

    def log(self, stderr: bool = False) -> str:
        """What its last attempt has printed so far."""
        return self.graph.connection.read_log(self.graph.id, self.name, stderr=stderr).decode(errors="replace")

    def cancel(self) -> None:
        """Stops it; no effect if it has ended."""
        self.graph._cancel([self.name])

    def _get(self) -> pb.Task:
        request = pb.GetTaskRequest(graph_id=self.graph.id, task_name=self.name)
        return self.graph.connection.call("GetTask", request)  # type: ignore[no-any-return]

    def _ending(self, timeout: float | None) -> _ending.Ending:
        task = self._get()
        if task.state not in _ending.FINAL:
            for message in self.graph.connection.watch(self.graph.id, timeout):
                # The first message is the state at that moment; changes follow, so nothing is missed in between.
                if not message.changes or any(change.task_name == self.name and change.state in _ending.FINAL
                                              for change in message.changes):
                    task = self._get()
                    if task.state in _ending.FINAL:
                        break
            else:
                task = self._get()
        return _ending.of_task(task, self.graph.connection)

    def _repr_html_(self) -> str:
        if not self.graph._id:
            return f"<b>{html.escape(self.name)}</b>, not submitted"
        task = self._get()
        rows = [(f"attempt {one.number}", f"{one.message or _ending.word(one.state)} on {one.agent}")
                for one in task.attempts[-10:]]
        return _show.task_html(task.spec.title or self.name, _ending.word(task.state), task.reason, rows)

    def __repr__(self) -> str:
        return f"<kartograph.Node {self.name}>"


class Graph:
    """Tasks that depend on each other.

        graph = kartograph.Graph("release")
        borders = graph.run(decode, "borders.json")
        areas = [graph.run(measure, borders, country) for country in countries]
        report = graph.run(write_report, areas, consumption={"cpu": 2})
        graph.submit()
        print(report.result())

    With `open=True` tasks may also be added after `submit`, by this program and by the tasks themselves
    (`kartograph.current()`); with `open_until_idle` it closes itself when nothing was added for that many seconds after
    all its tasks have ended, as this program may have died. `service`, `token` and `ca` are as for TaskExecuter;
    `options` apply to every task that does not say otherwise. `fail_fast` cancels the rest after the first failure.
    With a `queue`, its tasks are delivered there when they end, to a TaskExecuter of that queue. With a `share`, it is
    charged to that when the cluster is shared out, instead of to its user. With `limits`, its tasks hold no more than
    that at once: `{"running": 20, "cpu": 64}` is twenty tasks, and 64 of `cpu`.

    Safe with threads. Its tasks carry on when this program ends.
    """

    def __init__(self, name: str = "", service: Where = None, *, token: str | None = None,
                 ca: str | os.PathLike[str] | None = None, open: bool = False,
                 open_until_idle: float | None = None, fail_fast: bool = False, queue: str = "", title: str = "",
                 labels: Mapping[str, str] | None = None, share: str = "",
                 limits: Mapping[str, float] | None = None, **options: Any) -> None:
        options_of_all = _task.Options().but(**options)
        plain = _task.plain_name(name or "python")
        spec = pb.GraphSpec(name=plain, client_queue=queue, open=open, fail_fast=fail_fast, share=share,
                            limits=limits or {},
                            title=title or (name if name not in ("", plain) else ""), labels=labels or {})
        if open_until_idle is not None:
            seconds = _task.check_seconds(open_until_idle, "open_until_idle")
            spec.open_until_idle.FromNanoseconds(round(seconds * 1e9))
        self._set(Connection(service, token=token, ca=ca), spec, options_of_all)

    def _set(self, connection: Connection, spec: pb.GraphSpec, options: _task.Options) -> None:
        self.connection = connection
        self._spec = spec
        self._options = options
        self._id = ""
        self._prefix = ""
        self._lock = threading.RLock()
        self._names: set[str] = set()
        self._numbers: dict[str, int] = {}  # the last one of each stem of a name
        self._prepared: list[_task.Prepared] = []  # before it is submitted, and in a batch
        self._batches = 0  # that are open, one in the other
        self._uploader = Uploader(connection)

    @classmethod
    def existing(cls, graph_id: str, service: Where = None, *, token: str | None = None,
                 ca: str | os.PathLike[str] | None = None) -> Graph:
        """A graph that was submitted before, by any program. Raises NotFound."""
        connection = Connection(service, token=token, ca=ca)
        try:
            answer = connection.call("GetGraph", pb.GetGraphRequest(graph_id=graph_id))
        except BaseException:
            connection.close()
            raise
        graph = cls.__new__(cls)
        graph._set(connection, answer.spec, _task.Options())
        graph._id = graph_id
        return graph

    @classmethod
    def _join(cls, connection: Connection, graph_id: str, prefix: str) -> Graph:
        """The open graph that the task here belongs to. Names that we make begin with `prefix`."""
        graph = cls.__new__(cls)
        graph._set(connection, pb.GraphSpec(open=True), _task.Options())
        graph._id, graph._prefix = graph_id, prefix
        return graph

    @property
    def id(self) -> str:
        """What the service calls it, such as "g17". Raises WrongState before `submit`."""
        if not self._id:
            raise errors.WrongState("the graph has not been submitted yet: call submit()", "FAILED_PRECONDITION")
        return self._id

    # --- Adding tasks --------------------------------------------------------------------------------------------

    def add(self, task: Any, *, after: Any = (), name: str = "", title: str = "", **options: Any) -> Node:
        """Adds an object with `run()` and, optionally, `consumption()`.

        It starts when the tasks `after` have succeeded (nodes, or names), and those whose return values are in it.
        Raises NotPicklable; on a graph that runs, InvalidTask, AlreadyExists, WrongState (it is not open).
        """
        prepared = _task.prepare_object(task, self._options.but(**options), self._server)
        return self._place(prepared, "python", name, title, after, like=type(task).__name__)

    def run(self, function: Any, *args: Any, after: Any = (), name: str = "", title: str = "", **kwargs: Any) -> Node:
        """Adds a call of `function`, with arguments that may have nodes in them.

        Options of the task (`consumption`, `timeout`, `retries`, `priority`, `labels`, ...) are not given to the
        function; for one that has an argument of such a name use functools.partial.
        """
        options = {key: kwargs.pop(key) for key in list(kwargs) if key in _OPTIONS}
        prepared = _task.prepare_call(function, args, kwargs, self._options.but(**options), self._server)
        return self._place(prepared, "python", name, title, after, like=_task.name_of(function))

    def command(self, command: str | Sequence[str], *, after: Any = (), name: str = "", title: str = "",
                directory: str = "", **options: Any) -> Node:
        """Adds a program: a list of its words, or a string for /bin/sh. `directory` is absolute, on the agents."""
        prepared = _task.prepare_command(command, self._options.but(**options))
        prepared.spec.command.directory = directory
        word = os.path.basename((command.split() or [""])[0] if isinstance(command, str) else str(command[0]))
        return self._place(prepared, "command", name, title, after, like=word)

    @contextlib.contextmanager
    def batch(self) -> Iterator[None]:
        """What is added in this block to a graph that runs is sent at its end, in one call: all of it or nothing.

        That is much faster for many tasks. They cannot be asked about before that.
        """
        with self._lock:
            self._batches += 1
        try:
            yield
        except BaseException:
            self._end_batch(send=False)
            raise
        self._end_batch(send=True)

    def _end_batch(self, send: bool) -> None:
        with self._lock:
            self._batches -= 1
            if self._batches or not self._id:
                return
            prepared, self._prepared = self._prepared, []
            sent = False
            try:
                if send and prepared:
                    self._send(prepared)
                    sent = True
            finally:
                if not sent:
                    self._names.difference_update(one.spec.name for one in prepared)

    @property
    def _server(self) -> str:
        return self.connection.endpoint.address

    def _place(self, prepared: _task.Prepared, kind: str, name: str, title: str, after: Any, *, like: str) -> Node:
        self.connection.check()
        for node in prepared.references:
            if isinstance(node, Node) and node.graph is not self:
                raise ValueError(f"{node!r} belongs to another graph")
        with self._lock:
            if self._id and not self._spec.open:
                raise errors.WrongState("the graph has been submitted: only an open one, Graph(open=True), takes more "
                                        "tasks", "FAILED_PRECONDITION")
            if name in self._names:
                raise errors.AlreadyExists(f"the graph has a task named {name!r}", "ALREADY_EXISTS")
            spec = prepared.spec
            spec.name = name or self._new_name(like)
            spec.title = title
            for one in self._names_of(after):
                if one not in spec.after:
                    spec.after.append(one)
            if self._prefix:
                spec.client_data = _task.mark(kind, self._prefix)
            if self._id and not self._batches:
                self._send([prepared])
            else:
                self._prepared.append(prepared)
            self._names.add(spec.name)
            return Node(self, spec.name, kind)

    def _new_name(self, like: str) -> str:
        stem = self._prefix + _task.plain_name(like)
        while True:
            self._numbers[stem] = self._numbers.get(stem, 0) + 1
            name = f"{stem}-{self._numbers[stem]}"
            if name not in self._names:
                return name

    def _names_of(self, after: Any) -> Iterable[str]:
        for one in [after] if isinstance(after, (str, Node)) else after:
            if isinstance(one, Node) and one.graph is not self:
                raise ValueError(f"{one!r} belongs to another graph")
            if not isinstance(one, (str, Node)):
                raise TypeError(f"after: {one!r} is neither what add() returned nor the name of a task")
            yield one if isinstance(one, str) else one.name

    def _send(self, prepared: Sequence[_task.Prepared]) -> None:
        self._uploader.upload({identity: blob for one in prepared for identity, blob in one.blobs.items()})
        request = pb.AddTasksRequest(request_id=new_request_id(), graph_id=self._id,
                                     tasks=[one.spec for one in prepared])
        try:
            self.connection.call("AddTasks", request, deadline=WRITE_DEADLINE)
        except errors.AlreadyExists:
            left = [one for one in prepared if not self._was_added(one.spec)]
            if len(left) == len(prepared):
                raise
            if left:
                self._send(left)

    def _was_added(self, spec: pb.TaskSpec) -> bool:
        """By an earlier attempt of the task that this runs in."""
        if not self._prefix:
            return False
        try:
            known = self.connection.call("GetTask", pb.GetTaskRequest(graph_id=self._id, task_name=spec.name))
        except errors.NotFound:
            return False
        return bool(known.spec.client_data == spec.client_data)

    # --- Running it -----------------------------------------------------------------------------------------------

    def submit(self) -> str:
        """Submits the graph and returns its id; nothing of it runs unless all of it is valid. Call it once.

        Raises InvalidTask with all problems, LimitExceeded, ServiceUnavailable.
        """
        with self._lock:
            if self._id:
                raise errors.WrongState("the graph has been submitted before", "FAILED_PRECONDITION")
            self._uploader.upload({identity: blob for one in self._prepared for identity, blob in one.blobs.items()})
            self._id = self.connection.submit_graph(self._spec, [one.spec for one in self._prepared])
            self._prepared = []
            return self._id

    def wait(self, timeout: float | None = None, check: bool = False, progress: bool = False) -> Progress:
        """Waits until it has ended, through any restart of the service, and says how it ended.

        An open graph is closed once all its tasks have ended. Raises TimeoutError after `timeout` seconds; with
        `check`, GraphFailed if not all tasks succeeded, caused by the first of their exceptions. `progress` shows a
        bar meanwhile: tqdm's if that is installed.
        """
        bar = _show.Bar(self._spec.title or self._spec.name) if progress else None
        now = Progress.of(pb.Graph())
        closed = not self._spec.open
        try:
            for message in self.connection.watch(self.id, timeout):
                now = Progress.of(message.graph)
                if bar is not None:
                    bar.show(now)
                if not closed and now.ended == now.total:
                    self.close_graph()
                    closed = True
        finally:
            if bar is not None:
                bar.close()
        if check and now.state != "succeeded":
            self._raise_failed(now)
        return now

    def _raise_failed(self, progress: Progress) -> None:
        states = [pb.TASK_STATE_FAILED, pb.TASK_STATE_CANCELLED]
        answer = self.connection.call("ListTasks", pb.ListTasksRequest(graph_id=self.id, states=states))
        lines = [f"graph {self.id} {progress.state}: {progress.succeeded} of {progress.total} tasks succeeded"]
        first = None
        for task in answer.tasks[:MOST_SAID]:
            exception = self._exception_of(task.name)
            # The reason of a task's other endings says it all.
            own = exception is not None and not isinstance(exception, errors.TaskError)
            what = f"{task.reason}: {type(exception).__name__}: {exception}" if own else task.reason
            lines.append(f"  {task.name}: {textwrap.shorten(what, 500)}")
            first = first or exception
        raise errors.GraphFailed("\n".join(lines), [task.name for task in answer.tasks]) from first

    def _exception_of(self, name: str) -> BaseException | None:
        try:
            return self.node(name).exception()
        except Exception as error:  # it cannot be read here
            log.debug("the exception of %s in %s: %s", name, self.id, error)
            return None

    def progress(self) -> Progress:
        """How far it is now."""
        return Progress.of(self.connection.call("GetGraph", pb.GetGraphRequest(graph_id=self.id)))

    def cancel(self) -> None:
        """Cancels every task that has not ended. Returns as soon as that is recorded."""
        self._cancel([])

    def _cancel(self, names: list[str]) -> None:
        request = pb.CancelRequest(request_id=new_request_id(), graph_id=self.id, task_names=names)
        self.connection.call("Cancel", request)

    def close_graph(self) -> None:
        """Lets an open graph end when its tasks have; nothing can be added to it then."""
        self.connection.call("CloseGraph", pb.CloseGraphRequest(request_id=new_request_id(), graph_id=self.id))

    def node(self, name: str) -> Node:
        """A task of a graph that was submitted. Raises NotFound."""
        task = self.connection.call("GetTask", pb.GetTaskRequest(graph_id=self.id, task_name=name))
        return Node(self, name, _task.read_mark(task.spec.client_data)[0])

    def close(self) -> None:
        """Ends the connection. Running tasks carry on."""
        self.connection.close()

    def _repr_html_(self) -> str:
        title = self._spec.title or self._spec.name
        if not self._id:
            return f"<b>{html.escape(title)}</b>, not submitted: {len(self._prepared)} tasks"
        return _show.graph_html(title, self._id, self.progress())

    def __repr__(self) -> str:
        words = ["<kartograph.Graph", self._spec.name, self._id or "(not submitted)"]
        return " ".join(filter(None, words)) + ">"

    def __enter__(self) -> Graph:
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        self.close()
