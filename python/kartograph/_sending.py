"""Tasks on their way to the service: many at once where many are given at once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from typing import NamedTuple

from kartograph import errors
from kartograph._blobs import Uploader
from kartograph._client import CLOSED, WRITE_DEADLINE, Connection, new_request_id
from kartograph._task import Prepared
from kartograph.v1 import task_executer_pb2 as pb

log = logging.getLogger("kartograph")

# Of one message of tasks, with their inputs. gRPC takes 4 MiB.
MOST_BYTES = 2 << 20
MOST_TASKS = 10000


class TaskId(NamedTuple):
    """What a task is called everywhere: on the page, on the command line, after a restart of the client."""

    graph_id: str
    name: str

    def __str__(self) -> str:
        return f"{self.graph_id}/{self.name}"


class OpenGraph:
    """A graph that tasks are added to as they come. A new one takes its place where it has closed itself.

    Not safe with threads.
    """

    def __init__(self, connection: Connection, spec: pb.GraphSpec) -> None:
        self.connection = connection
        self._spec = spec
        self._uploader = Uploader(connection)
        self.graph_id = ""

    def add(self, tasks: Sequence[Prepared], after: Sequence[Sequence[TaskId]]) -> list[TaskId]:
        """Adds all of them or none."""
        blobs = {identity: blob for task in tasks for identity, blob in task.blobs.items()}
        if blobs:
            self._uploader.upload(blobs)
        for fresh in (False, True):
            if not self.graph_id:
                self.graph_id = self.connection.submit_graph(self._spec, ())
            for task, before in zip(tasks, after):
                task.spec.ClearField("after")
                task.spec.after.extend(self._after(before))
            request = pb.AddTasksRequest(request_id=new_request_id(), graph_id=self.graph_id,
                                         tasks=[task.spec for task in tasks])
            try:
                answer = self.connection.call("AddTasks", request, deadline=WRITE_DEADLINE)
            except (errors.WrongState, errors.NotFound):
                # It has closed itself, or somebody has cancelled or removed it.
                if fresh:
                    raise
                log.debug("graph %s takes no more tasks; a new one is opened", self.graph_id)
                self.graph_id = ""
            else:
                return [TaskId(self.graph_id, name) for name in answer.task_names]
        raise AssertionError("not reached")

    def _after(self, tasks: Iterable[TaskId]) -> list[str]:
        """Names in this graph. What is in an earlier one has ended with it: it must have succeeded."""
        names = []
        for task in tasks:
            if task.graph_id == self.graph_id:
                names.append(task.name)
                continue
            known = self.connection.call("GetTask", pb.GetTaskRequest(graph_id=task.graph_id, task_name=task.name))
            if known.state != pb.TASK_STATE_SUCCEEDED:
                raise errors.WrongState(f"{task} has not succeeded ({known.reason}), so nothing can come after it",
                                        "FAILED_PRECONDITION")
        return names

    def close(self) -> None:
        """Lets it end when its tasks have."""
        if self.graph_id:
            request = pb.CloseGraphRequest(request_id=new_request_id(), graph_id=self.graph_id)
            self.connection.call("CloseGraph", request, patience=5.0)


class _Item(NamedTuple):
    task: Prepared
    after: Sequence[TaskId]
    sent: Future[TaskId]


class Sender:
    """Adds tasks to an open graph by a thread of its own, as many at once as wait. Safe with threads."""

    def __init__(self, graph: OpenGraph) -> None:
        self._graph = graph
        self._changed = threading.Condition()
        self._waiting: list[_Item] = []  # guarded by _changed, as is _closing
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="kartograph-sender", daemon=True)
        self._thread.start()

    def send(self, tasks: Sequence[tuple[Prepared, Sequence[TaskId]]]) -> list[Future[TaskId]]:
        """Starts sending; each future has the id, or the error, when the service has answered."""
        self._graph.connection.check()
        items = [_Item(task, after, Future()) for task, after in tasks]
        with self._changed:
            if self._closing:
                raise errors.KartographError(CLOSED)
            self._waiting.extend(items)
            self._changed.notify_all()
        return [item.sent for item in items]

    def close(self) -> None:
        """Sends what waits, then closes the graph."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._closing:
                    self._changed.wait()
                if not self._waiting:
                    break
                batch = self._next_batch()
            self._add(batch)
        try:
            self._graph.close()
        except errors.ServiceError as error:
            # It closes itself later.
            log.debug("graph %s could not be closed: %s", self._graph.graph_id, error)

    def _next_batch(self) -> list[_Item]:
        size, count = 0, 0
        for item in self._waiting[:MOST_TASKS]:
            size += item.task.spec.ByteSize()
            if count and size > MOST_BYTES:
                break
            count += 1
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        return batch

    def _add(self, batch: list[_Item]) -> None:
        try:
            ids = self._graph.add([item.task for item in batch], [item.after for item in batch])
        except Exception as error:
            if len(batch) == 1:
                batch[0].sent.set_exception(error)
            elif isinstance(error, errors.ServiceUnavailable) or self._graph.connection.closed:
                for item in batch:
                    item.sent.set_exception(error)
            else:
                # None of them was added. Alone, each gets its own answer.
                for item in batch:
                    self._add([item])
        else:
            for item, identity in zip(batch, ids):
                item.sent.set_result(identity)

