"""The task that is running here, for its own code: `kartograph.current()`."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from kartograph.errors import KartographError, ServiceNotFound

if TYPE_CHECKING:
    from kartograph._client import Connection
    from kartograph._graph import Graph, Node


class Current:
    """The task that runs here, and its graph."""

    def __init__(self, graph_id: str, task_name: str, server: str, environment: Mapping[str, str]) -> None:
        self.graph_id = graph_id
        self.task_name = task_name
        self._server = server
        self._environment = environment
        self._graph: Graph | None = None

    def add(self, task: Any, **options: Any) -> Node:
        """Adds a task to the graph of this one, as `Graph.add` does. The graph must be open.

        Without a name it gets one below this task's own, so that a further attempt of this task, which adds the same
        tasks in the same order, finds those that an earlier one has added. The same holds for a name that is given.
        """
        return self._open().add(task, **options)

    def run(self, function: Any, *args: Any, **options: Any) -> Node:
        """Adds a call, as `Graph.run` does."""
        return self._open().run(function, *args, **options)

    def command(self, command: Any, **options: Any) -> Node:
        """Adds a program, as `Graph.command` does."""
        return self._open().command(command, **options)

    def batch(self) -> contextlib.AbstractContextManager[None]:
        """What is added in this block is sent at its end, in one call, as by `Graph.batch`."""
        return self._open().batch()

    def _open(self) -> Graph:
        if self._graph is None:
            from kartograph._graph import Graph
            self._graph = Graph._join(open_connection(self._server, self._environment), self.graph_id,
                                      prefix=self.task_name + "/")
        return self._graph

    def _close(self) -> None:
        if self._graph is not None:
            self._graph.close()


# A worker runs one task at a time, and threads that the task starts belong to it.
_running: Current | None = None


def current() -> Current:
    """The task that runs here. Raises KartographError outside of tasks."""
    if _running is None:
        raise KartographError("no task of Kartograph runs here: current() is for the code of tasks")
    return _running


@contextlib.contextmanager
def entered(graph_id: str, task_name: str, server: str, environment: Mapping[str, str]) -> Iterator[None]:
    """For the duration of a task."""
    global _running
    before = _running
    _running = task = Current(graph_id, task_name, server, environment)
    try:
        yield
    finally:
        _running = before
        task._close()


def open_connection(server: str, environment: Mapping[str, str]) -> Connection:
    """To the service from a task: what its environment names, else the socket that the client used, on this host."""
    from kartograph._client import Connection
    if environment.get("KARTOGRAPH_SERVER"):
        return Connection(environment["KARTOGRAPH_SERVER"])
    path = server[len("unix:"):]
    if not server.startswith("unix:") or not os.path.exists(path):
        raise ServiceNotFound("a task reaches the service where its environment has KARTOGRAPH_SERVER, or on the host "
                              f"of the service, through its socket; here is neither (the client used {server!r})")
    return Connection(server)


@contextlib.contextmanager
def connection(server: str, environment: Mapping[str, str]) -> Iterator[Connection]:
    """For one use."""
    opened = open_connection(server, environment)
    try:
        yield opened
    finally:
        opened.close()
