"""`KartographExecutor`: the interface of concurrent.futures."""

from __future__ import annotations

import functools
import itertools
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any, Callable

from kartograph import _ending, _task, errors
from kartograph._address import Where
from kartograph._client import Connection, new_request_id
from kartograph._delivery import Receiver
from kartograph._executer import IDLE
from kartograph._sending import OpenGraph, Sender, TaskId
from kartograph.v1 import task_executer_pb2 as pb

log = logging.getLogger("kartograph")

_Call = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]

# How many chunks of `map` are on their way at once, so that an endless iterable can be mapped.
WINDOW = 1000
# Tasks named in one call of Cancel.
MOST_NAMES = 1000
# How often the thread that delivers looks whether the program ends.
LOOK = 0.5


class KartographFuture(Future):  # type: ignore[type-arg]
    """A future whose task can be cancelled while it runs: until it has ended, `running()` is False."""

    def __init__(self, core: _Core, key: str) -> None:
        super().__init__()
        self._core = core
        self._key = key
        self.id: TaskId | None = None  # once the service has it
        self._settled = False  # whether what became of it has been decided; guarded by the core

    def cancel(self) -> bool:
        """Cancels the call, even while it runs; its process is ended. False if it has ended."""
        cancelled = super().cancel()
        if cancelled:
            self._core.cancel(self)
        return cancelled


class KartographExecutor(Executor):
    """Runs calls as tasks on a cluster.

        with kartograph.KartographExecutor() as executor:
            future = executor.submit(pow, 2, 100)
            big = executor.options(consumption={"cpu": 4, "ram": 8 << 30}, retries=2)
            for value in big.map(simulate, seeds, chunksize=10):
                ...

    `service`, `token`, `ca` and `options` are as for TaskExecuter. Everything that concurrent.futures documents holds,
    with two differences: a call can be cancelled while it runs, so `Future.running` is always False; and `map` reads
    its iterables as it goes, at most `WINDOW` chunks ahead. A future's exception may be a `TaskError`.

    Safe with threads. In a fork of the process every call raises ForkedProcess.
    """

    def __init__(self, service: Where = None, *, token: str | None = None, ca: str | os.PathLike[str] | None = None,
                 name: str = "", labels: Mapping[str, str] | None = None, **options: Any) -> None:
        self._options = _task.Options().but(**options)
        self._core = _Core(Connection(service, token=token, ca=ca), name, labels or {})

    def options(self, **options: Any) -> KartographExecutor:
        """The same executor with other options: `consumption`, `retries`, `timeout` (seconds), `priority`, ...

        `shutdown` of either shuts both down.
        """
        other = KartographExecutor.__new__(KartographExecutor)
        other._options = self._options.but(**options)
        other._core = self._core
        return other

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> KartographFuture:
        """Starts a call. Raises NotPicklable, and RuntimeError after `shutdown`.

        If the service refuses it, that becomes the future's exception.
        """
        return self._core.submit([(fn, args, kwargs)], self._options)[0]

    def map(self, fn: Callable[..., Any], *iterables: Iterable[Any], timeout: float | None = None,
            chunksize: int = 1) -> Iterator[Any]:
        """`fn` of each, in order, in tasks of `chunksize` calls. Iterables may be endless.

        Raises TimeoutError if a value is not there `timeout` seconds after this call.
        """
        if chunksize < 1:
            raise ValueError("chunksize must be 1 or more")
        deadline = None if timeout is None else time.monotonic() + timeout
        chunks = _chunks(iter(zip(*iterables)), chunksize)
        futures: deque[KartographFuture] = deque()

        def refill() -> None:
            room = WINDOW - len(futures)
            more: list[_Call] = [(_call_chunk, (fn, chunk), {}) for chunk in itertools.islice(chunks, room)]
            if more:
                futures.extend(self._core.submit(more, self._options, like=fn))

        def results() -> Iterator[Any]:
            try:
                while futures:
                    left = None if deadline is None else max(deadline - time.monotonic(), 0)
                    values = futures[0].result(left)
                    futures.popleft()
                    # By halves, so that many go by one call.
                    if len(futures) <= WINDOW // 2:
                        refill()
                    # What has been yielded is not kept.
                    values.reverse()
                    while values:
                        yield values.pop()
            finally:
                for future in futures:
                    future.cancel()
        refill()
        return results()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Takes no more calls; waits until all have ended, or leaves that to a thread of its own."""
        self._core.shutdown(wait, cancel_futures)


def _chunks(calls: Iterator[tuple[Any, ...]], size: int) -> Iterator[list[tuple[Any, ...]]]:
    while True:
        chunk = list(itertools.islice(calls, size))
        if not chunk:
            return
        yield chunk


def _call_chunk(function: Callable[..., Any], chunk: list[tuple[Any, ...]]) -> list[Any]:
    return [function(*args) for args in chunk]


class _Core:
    """What an executor and those made by `options` share: the connection and the futures that are not done."""

    def __init__(self, connection: Connection, name: str, labels: Mapping[str, str]) -> None:
        self._connection = connection
        self._queue = f"python-{new_request_id()}"
        plain = _task.plain_name(name or "python")
        spec = pb.GraphSpec(name=plain, client_queue=self._queue, open=True, labels=labels,
                            title=name if name != plain else "")
        spec.open_until_idle.FromNanoseconds(int(IDLE * 1e9))
        self._sender = Sender(OpenGraph(connection, spec))
        self._receiver = Receiver(connection, self._queue)
        self._lock = threading.RLock()
        self._futures: dict[str, KartographFuture] = {}  # by key; guarded by _lock, as are the next two
        self._to_cancel: list[TaskId] = []
        self._shut_down = False
        self._canceller = ThreadPoolExecutor(1, "kartograph-cancel")
        self._numbers = itertools.count(1)
        # Not a daemon, as the futures of a program that ends are to be fulfilled, as in concurrent.futures.
        self._thread = threading.Thread(target=self._run, name="kartograph-futures")
        self._thread.start()

    def submit(self, calls: list[_Call], options: _task.Options,
               like: Any = None) -> list[KartographFuture]:
        self._connection.check_fork()
        prepared, futures = [], []
        for function, args, kwargs in calls:
            one = _task.prepare_call(function, args, kwargs, options, self._connection.endpoint.address)
            if one.spec.after:
                raise ValueError("an argument refers to a task of a graph: only tasks of that graph can have its value")
            number = str(next(self._numbers))
            one.spec.name = f"{_task.plain_name(_task.name_of(like or function))}-{number}"
            one.spec.client_data = _task.mark("python", number)
            prepared.append(one)
            futures.append(KartographFuture(self, number))
        with self._lock:
            if self._shut_down:
                raise RuntimeError("cannot schedule new futures after shutdown")
            self._futures.update((future._key, future) for future in futures)
            sent = self._sender.send([(one, ()) for one in prepared])
        for future, sending in zip(futures, sent):
            sending.add_done_callback(functools.partial(self._sent, future))
        return futures

    def _sent(self, future: KartographFuture, done: Future[TaskId]) -> None:
        error = done.exception()
        if error is not None:
            self._fulfil(future._key, None, error)
            return
        future.id = done.result()
        if future.cancelled():
            self.cancel(future)

    def cancel(self, future: KartographFuture) -> None:
        """Tells those who wait for a cancelled future, and ends its task when the service has it."""
        self._settle(future)
        if future.id is not None:
            with self._lock:
                self._to_cancel.append(future.id)
            self._canceller.submit(self._send_cancels)

    def _send_cancels(self) -> None:
        """All that wait by now go by one call."""
        with self._lock:
            waiting, self._to_cancel = self._to_cancel, []
        by_graph: dict[str, list[str]] = {}
        for identity in waiting:
            by_graph.setdefault(identity.graph_id, []).append(identity.name)
        for graph_id, names in by_graph.items():
            for start in range(0, len(names), MOST_NAMES):
                request = pb.CancelRequest(request_id=new_request_id(), graph_id=graph_id,
                                           task_names=names[start:start + MOST_NAMES])
                try:
                    self._connection.call("Cancel", request)
                except errors.ServiceError as error:
                    log.debug("tasks of %s could not be cancelled: %s", graph_id, error)

    def _settle(self, future: KartographFuture) -> bool:
        """Whether its result may be set: True for one caller, and not where it was cancelled."""
        with self._lock:
            if future._settled:
                return False
            future._settled = True
            return future.set_running_or_notify_cancel()

    def _run(self) -> None:
        try:
            while not self._is_over():
                for finished in self._receiver.take(timeout=LOOK):
                    self._arrived(finished)
        except BaseException as error:
            if not self._connection.closed:
                self._fail(error)
        finally:
            self._close()

    def _is_over(self) -> bool:
        with self._lock:
            ends = self._shut_down or not threading.main_thread().is_alive()
            return ends and not self._futures

    def _arrived(self, finished: pb.FinishedTask) -> None:
        key = _task.read_mark(finished.client_data)[1]
        with self._lock:
            future = self._futures.get(key)
        if future is None:
            return
        value: Any = None
        exception: BaseException | None = None
        if not future.cancelled():
            try:
                value, exception = _ending.of_finished(finished, self._connection).open()
            except Exception as error:  # a large value that cannot be read
                exception = error
        self._fulfil(key, value, exception)

    def _fulfil(self, key: str, value: Any, exception: BaseException | None) -> None:
        with self._lock:
            future = self._futures.pop(key, None)
        if future is None or not self._settle(future):
            return
        if exception is None:
            future.set_result(value)
        else:
            future.set_exception(exception)

    def _fail(self, error: BaseException) -> None:
        """Nothing can be delivered any more."""
        with self._lock:
            self._shut_down = True
            keys = list(self._futures)
        for key in keys:
            self._fulfil(key, None, error)

    def shutdown(self, wait: bool, cancel_futures: bool) -> None:
        if self._connection.forked:
            return
        with self._lock:
            self._shut_down = True
            futures = list(self._futures.values()) if cancel_futures else []
        for future in futures:
            future.cancel()
        if wait and threading.current_thread() is not self._thread:
            self._thread.join()

    def _close(self) -> None:
        with self._lock:
            self._shut_down = True
        self._sender.close()
        self._receiver.close()
        try:
            request = pb.DeleteQueueRequest(request_id=new_request_id(), client_queue=self._queue)
            self._connection.call("DeleteQueue", request, patience=5.0)
        except errors.ServiceError as error:
            log.debug("the queue %s stays: %s", self._queue, error)
        self._connection.close()
        self._canceller.shutdown(wait=False)
