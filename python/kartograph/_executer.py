"""`TaskExecuter`: execute, cancel, pop_finished."""

from __future__ import annotations

import itertools
import os
import threading
import weakref
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from kartograph import _ending, _envelope, _pickling, _task, errors
from kartograph._address import Where
from kartograph._client import Connection, new_request_id
from kartograph._delivery import Receiver
from kartograph._sending import OpenGraph, Sender, TaskId
from kartograph.v1 import task_executer_pb2 as pb

# An open graph whose client is gone closes itself after so many seconds without a task.
IDLE = 3600.0

Finished = tuple[Any, Any, Optional[BaseException]]


@dataclass(frozen=True)
class RemoteTask:
    """Stands for a task whose object is not available here: one that another program submitted to the queue."""

    graph_id: str
    name: str
    title: str = ""


class TaskExecuter:
    """Runs tasks on a cluster and hands back what became of them.

        with kartograph.TaskExecuter() as executer:
            for task in tasks:
                executer.execute(task)
            while executer.unfinished:
                for task, value, exception in executer.pop_finished(timeout=60):
                    ...

    `service` is a `Service`, an address ("host:port", "unix:/path") or None: then it is found as the command line finds
    it. `token` and `ca` (a PEM file) are for TCP. `options` apply to every task that does not say otherwise.

    What finishes waits in a client queue of this executer's own. With the `queue` of an earlier process, what that did
    not acknowledge is delivered, at the latest when its leases are over (a minute). A `consumer` name makes that at
    once, for a program that was started again under the same name; programs that share a queue need names of their own.

    **Acknowledgement.** What `pop_finished` returns is acknowledged by the next call to it from the same thread, by
    `close`, and by leaving the `with` block without an exception. A program that dies before that is given it again.

    Safe with threads. In a fork of the process every call raises ForkedProcess.
    """

    def __init__(self, service: Where = None, *, token: str | None = None, ca: str | os.PathLike[str] | None = None,
                 queue: str = "", consumer: str = "", name: str = "", labels: Mapping[str, str] | None = None,
                 share: str = "", limits: Mapping[str, float] | None = None, **options: Any) -> None:
        self._options = _task.Options().but(**options)
        self._connection = Connection(service, token=token, ca=ca)
        self._own_queue = not queue
        self.queue = queue or f"python-{new_request_id()}"
        spec = pb.GraphSpec(name=_task.plain_name(name or "python"), client_queue=self.queue, open=True, share=share,
                            limits=limits or {},
                            title=name if name != _task.plain_name(name or "python") else "", labels=labels or {})
        spec.open_until_idle.FromNanoseconds(int(IDLE * 1e9))
        self._sender = Sender(OpenGraph(self._connection, spec))
        self._receiver = Receiver(self._connection, self.queue, consumer=consumer)
        self._table = _Table()
        self._numbers = itertools.count(1)

    # --- The three verbs --------------------------------------------------------------------------------------

    def execute(self, task: Any, after: Any = (), name: str = "", title: str = "", **options: Any) -> TaskId:
        """Starts running `task`: an object with `run()` and, optionally, `consumption()`.

        Returns when the service has stored it; from then on nothing is lost. `after` are tasks that must have
        succeeded first: objects that were executed, or their ids. Raises NotPicklable, InvalidTask, AlreadyExists (of
        the `name`), ServiceUnavailable.
        """
        return self._execute([task], after, name, title, options)[0]

    def execute_all(self, tasks: Iterable[Any], after: Any = (), **options: Any) -> list[TaskId]:
        """Starts running many tasks with few calls, which is much faster than one by one.

        If one is refused, the others run all the same; the first error is raised.
        """
        return self._execute(list(tasks), after, "", "", options)

    def cancel(self, task: Any) -> None:
        """Stops `task`; no effect if it has ended. It comes back with the exception `Cancelled`."""
        self._connection.check()
        for identity in self._table.running(task):
            request = pb.CancelRequest(request_id=new_request_id(), graph_id=identity.graph_id, task_name=identity.name)
            try:
                self._connection.call("Cancel", request)
            except (errors.NotFound, errors.WrongState):
                continue  # it has ended, and is not kept any more

    def pop_finished(self, task: Any = None, timeout: float | None = 0) -> list[Finished]:
        """All that finished since: tuples (task, return_value, exception), the exception None if it succeeded.

        The task is the object that was executed. With `task`, only that one's. Waits up to `timeout` seconds (None:
        without end) until there is something; an empty list if nothing finished in time.

        Acknowledges what the last call in this thread returned, and so tells the service that it was dealt with.
        """
        taken = self._take(task, timeout)
        try:
            opened = self._open(taken)
        except BaseException:
            self._receiver.give_back(taken)  # or the next call would acknowledge what nobody had
            raise
        return self._settle(taken, opened)

    # --- And what goes with them ---------------------------------------------------------------------------------

    @property
    def unfinished(self) -> int:
        """How many tasks of this object were executed and have not been popped."""
        return len(self._table)

    def id_of(self, task: Any) -> TaskId | None:
        """The id of the task when it was last executed here or came out of `pop_finished`; None if neither.

        After a restart of the client its task is another object with the same id.
        """
        return self._table.last(task)

    def explain(self, task: Any) -> str:
        """What the task waits for, or how it ended.

        A line for each reason: who holds what it lacks, what goes first, and when it is expected to start.
        """
        identity = self._id(task)
        return self._connection.explain(identity.graph_id, identity.name)

    def close(self, acknowledge: bool = True) -> None:
        """Acknowledges what was popped (unless told not to) and ends the connection. Running tasks carry on.

        If the executer made its own queue, what has not been popped is not kept.
        """
        if self._connection.closed or self._connection.forked:
            return
        self._sender.close()
        self._receiver.close(acknowledge)
        if self._own_queue:
            try:
                request = pb.DeleteQueueRequest(request_id=new_request_id(), client_queue=self.queue)
                self._connection.call("DeleteQueue", request, patience=5.0)
            except errors.ServiceError:
                pass  # nobody is harmed by what is left in it
        self._connection.close()

    def __enter__(self) -> TaskExecuter:
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        self.close(acknowledge=kind is None)

    # --- Parts ---------------------------------------------------------------------------------------------------

    def _execute(self, tasks: Sequence[Any], after: Any, name: str, title: str,
                 changes: dict[str, Any]) -> list[TaskId]:
        self._connection.check()
        options = self._options.but(**changes)
        before = [self._id(one) for one in _as_list(after)]
        prepared, keys = [], []
        for task in tasks:
            one = _task.prepare_object(task, options, self._connection.endpoint.address)
            if one.spec.after:
                raise ValueError(f"{task!r} refers to a task of a graph: only tasks of that graph can have its value")
            one.spec.name = name or f"{_task.plain_name(type(task).__name__)}-{next(self._numbers)}"
            one.spec.title = title
            keys.append(self._table.add(task))
            one.spec.client_data = _task.mark("python", keys[-1])
            prepared.append(one)
        # Each is known before it is sent, as it may be delivered before the call has returned.
        ids: list[TaskId] = []
        failure: Exception | None = None
        for key, future in zip(keys, self._sender.send([(one, before) for one in prepared])):
            try:
                ids.append(future.result())
            except Exception as error:
                self._table.ended(key)
                failure = failure or error
            else:
                self._table.identify(key, ids[-1])
        if failure is not None:
            raise failure
        return ids

    # Popping takes three steps: what is taken can be given back until it is settled.

    def _take(self, task: Any, timeout: float | None) -> list[pb.FinishedTask]:
        wanted = None
        if task is not None:
            keys = self._table.keys_of(task)
            if not keys:  # it has been popped, or is none of ours
                self._connection.check()
                self._receiver.acknowledge()
                return []
            wanted = lambda finished: _task.read_mark(finished.client_data)[1] in keys  # noqa: E731
        return self._receiver.take(wanted, timeout)

    def _open(self, taken: list[pb.FinishedTask]) -> list[Finished]:
        return [(self._object_of(one), *_ending.of_finished(one, self._connection).open()) for one in taken]

    def _settle(self, taken: list[pb.FinishedTask], opened: list[Finished]) -> list[Finished]:
        for one in taken:
            self._table.ended(_task.read_mark(one.client_data)[1])
        return opened

    def _id(self, task: Any) -> TaskId:
        identity = self._table.last(task)
        if identity is None:
            raise ValueError(f"{task!r} has not been executed here: give a task that was, or its id")
        return identity

    def _object_of(self, finished: pb.FinishedTask) -> Any:
        """The object that was executed; after a restart of the client, another one with the same content."""
        identity, key = TaskId(finished.graph_id, finished.task_name), _task.read_mark(finished.client_data)[1]
        if self._table.identify(key, identity):
            return self._table.object_of(key)
        task = self._recover(identity)
        self._table.remember(task, identity)
        return task

    def _recover(self, identity: TaskId) -> Any:
        spec = pb.TaskSpec()
        try:
            request = pb.GetTaskRequest(graph_id=identity.graph_id, task_name=identity.name)
            spec = self._connection.call("GetTask", request).spec
            header, payload = _envelope.open_header(spec.input)
            if header.get("kind") == "task":
                _envelope.check_versions(header, "the client that executed it", "this client")
                return _pickling.load(payload)
        except errors.ServiceUnavailable:
            raise
        except Exception:  # not ours, or its code is not here: then it has an id at least
            pass
        return RemoteTask(identity.graph_id, identity.name, spec.title)


class _Table:
    """Which object is which task. Safe with threads.

    An object may be executed several times, need not be hashable, and need not allow weak references (`__slots__`).
    Objects are kept until their task has been popped. Each execution has a key, which the service echoes.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._prefix = new_request_id()[:12]
        self._numbers = itertools.count(1)
        self._objects: dict[str, Any] = {}
        self._ids: dict[str, TaskId] = {}  # of those in _objects that the service has stored
        self._keys: dict[int, list[str]] = {}  # by id() of an object in _objects
        self._last: dict[int, tuple[Any, TaskId]] = {}  # of objects that may be gone: a weak reference to each

    def add(self, task: Any) -> str:
        """A key for one execution."""
        with self._lock:
            key = f"{self._prefix}-{next(self._numbers)}"
            self._objects[key] = task
            self._keys.setdefault(id(task), []).append(key)
            return key

    def identify(self, key: str, identity: TaskId) -> bool:
        """Says what the service calls it. False where the key is none of ours, or has ended."""
        with self._lock:
            if key not in self._objects:
                return False
            self._ids[key] = identity
            self.remember(self._objects[key], identity)
            return True

    def remember(self, task: Any, identity: TaskId) -> None:
        """For as long as the object is alive, if it allows weak references."""
        number = id(task)
        try:
            reference = weakref.ref(task, lambda _: self._last.pop(number, None))
        except TypeError:
            return
        with self._lock:
            self._last[number] = (reference, identity)

    def ended(self, key: str) -> None:
        """Forgets an execution."""
        with self._lock:
            if key in self._objects:
                number = id(self._objects.pop(key))
                self._ids.pop(key, None)
                self._keys[number].remove(key)
                if not self._keys[number]:
                    del self._keys[number]

    def object_of(self, key: str) -> Any:
        """The object itself."""
        with self._lock:
            return self._objects[key]

    def keys_of(self, task: Any) -> set[str]:
        """The executions of an object, or of an id, that have not been popped."""
        with self._lock:
            if isinstance(task, (TaskId, RemoteTask)):
                identity = TaskId(task.graph_id, task.name)
                return {key for key, known in self._ids.items() if known == identity}
            return set(self._keys.get(id(task), ()))

    def running(self, task: Any) -> list[TaskId]:
        """The ids of an object's executions that have not been popped."""
        if isinstance(task, (TaskId, RemoteTask)):
            return [TaskId(task.graph_id, task.name)]
        with self._lock:
            return [self._ids[key] for key in self._keys.get(id(task), ()) if key in self._ids]

    def last(self, task: Any) -> TaskId | None:
        """The id of an object's last execution."""
        if isinstance(task, (TaskId, RemoteTask)):
            return TaskId(task.graph_id, task.name)
        with self._lock:
            ids = self.running(task)
            if ids:
                return ids[-1]
            reference, identity = self._last.get(id(task), (None, None))
            return identity if reference is not None and reference() is task else None

    def __len__(self) -> int:
        with self._lock:
            return len(self._objects)


def _as_list(after: Any) -> list[Any]:
    """One task, or several. A TaskId is a tuple, but one task."""
    if isinstance(after, (list, set, frozenset)) or (isinstance(after, tuple) and not isinstance(after, TaskId)):
        return list(after)
    return [after]
