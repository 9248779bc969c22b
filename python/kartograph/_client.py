"""One connection to the service: calls that are repeated while it is away, and errors as exceptions."""

from __future__ import annotations

import logging
import os
import threading
import time
import urllib.parse
import uuid
from collections.abc import Iterable, Iterator
from typing import Any, Callable, NoReturn

# gRPC's support of forks makes children of a program with threads abort now and then, those of `subprocess` too, before
# they run their program. Without it a fork cannot use gRPC, which `Connection` says.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

import grpc

from kartograph import errors
from kartograph._address import Endpoint, Where, find_service
from kartograph.v1 import page_pb2, page_pb2_grpc, task_executer_pb2_grpc
from kartograph.v1 import task_executer_pb2 as pb

log = logging.getLogger("kartograph")

# What is said of an object that cannot be used any more.
CLOSED = "it has been closed, by close() or at the end of its `with` block"
READ_DEADLINE = 60.0
# A graph of a million tasks is checked and stored before it is answered.
WRITE_DEADLINE = 600.0
# How long a call is repeated while the service is away, and the longest pause between two tries.
PATIENCE = 60.0
LONGEST_PAUSE = 1.0
# A message of tasks or of a blob. gRPC takes 4 MiB; small ones stay in the processor's cache on both sides.
BATCH_BYTES = 64 << 10
PART_BYTES = 1 << 20
# Of trailing metadata, where the service lists problems.
METADATA_BYTES = 256 << 10

_CHANNEL_OPTIONS = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_metadata_size", METADATA_BYTES),
    # Two connections of one process share nothing, so that closing one does not disturb the other.
    ("grpc.use_local_subchannel_pool", 1),
    # A host that vanished sends no error.
    ("grpc.keepalive_time_ms", 10000),
    ("grpc.keepalive_timeout_ms", 10000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 2000),
    ("grpc.max_reconnect_backoff_ms", 1000),
    # The service is on this host or nearby, never behind a web proxy.
    ("grpc.enable_http_proxy", 0),
)

_FORK_ADVICE = ("start processes by `spawn` (multiprocessing.set_start_method), or fork before the first connection is "
                "made")
# The process that has used gRPC; its forks cannot.
_grpc_pid: int | None = None

_AWAY = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.DEADLINE_EXCEEDED}

_ERRORS: dict[grpc.StatusCode, type[errors.ServiceError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: errors.InvalidTask,
    grpc.StatusCode.NOT_FOUND: errors.NotFound,
    grpc.StatusCode.ALREADY_EXISTS: errors.AlreadyExists,
    grpc.StatusCode.FAILED_PRECONDITION: errors.WrongState,
    grpc.StatusCode.RESOURCE_EXHAUSTED: errors.LimitExceeded,
    grpc.StatusCode.UNAUTHENTICATED: errors.AccessDenied,
    grpc.StatusCode.PERMISSION_DENIED: errors.AccessDenied,
    grpc.StatusCode.UNIMPLEMENTED: errors.NotSupported,
}


def new_request_id() -> str:
    """An id for one write and all its repetitions."""
    return uuid.uuid4().hex


def is_away(error: grpc.RpcError) -> bool:
    """Whether the same call may succeed later, without any change."""
    code = error.code()
    return code in _AWAY or (code == grpc.StatusCode.RESOURCE_EXHAUSTED and "try again" in (error.details() or ""))


def to_exception(error: grpc.RpcError) -> errors.ServiceError:
    """The exception of this package for a call that failed."""
    code, details = error.code(), error.details() or ""
    if code == grpc.StatusCode.INVALID_ARGUMENT:
        problems: list[errors.Problem] = []
        for key, value in error.trailing_metadata() or ():
            if key == "kartograph-problems-bin":
                problems = [errors.Problem(one.field, one.value, one.message)
                            for one in pb.Problems.FromString(value).problems]
        return errors.InvalidTask(details, problems=problems)
    if code == grpc.StatusCode.UNIMPLEMENTED:
        details = f"the service does not know this call: it is older than this package ({details})"
    return _ERRORS.get(code, errors.ServiceError)(details or code.name, code.name)


class Pauses:
    """The pauses between tries: they grow up to a second. `left` says whether another try is due in time."""

    def __init__(self, patience: float) -> None:
        self.deadline = time.monotonic() + patience
        self._next = 0.02

    def left(self) -> bool:
        return time.monotonic() < self.deadline

    def next(self) -> float:
        pause, self._next = self._next, min(self._next * 1.6, LONGEST_PAUSE)
        return pause


class Connection:
    """A channel to one service. Safe with threads.

    Closing it ends the calls under way with ServiceError. After a fork, the child cannot use it (ForkedProcess).
    """

    def __init__(self, where: Where = None, *, token: str | None = None, ca: str | os.PathLike[str] | None = None,
                 patience: float = PATIENCE) -> None:
        self.endpoint = find_service(where, token=token, ca=ca)
        self.patience = patience
        self._pid = os.getpid()
        _claim_grpc()
        self._closed = threading.Event()
        self._channel = _open_channel(self.endpoint)
        self._stub = task_executer_pb2_grpc.TaskExecuterStub(self._channel)
        self._metadata = [("kartograph-metadata-bytes", str(METADATA_BYTES))]
        if self.endpoint.token:
            self._metadata.append(("authorization", f"Bearer {self.endpoint.token}"))

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed.is_set()

    @property
    def forked(self) -> bool:
        """Whether this process is a fork of the one that made it, and so cannot use it."""
        return os.getpid() != self._pid

    def close(self) -> None:
        """Ends the connection and what waits on it. May be called again."""
        if not self.forked and not self._closed.is_set():
            self._closed.set()
            self._channel.close()

    def check(self) -> None:
        """Raises ForkedProcess or ServiceError where this object cannot be used any more."""
        self.check_fork()
        if self._closed.is_set():
            raise errors.ServiceError(CLOSED)

    def check_fork(self) -> None:
        """Raises ForkedProcess in a fork of the process that made it."""
        if self.forked:
            raise errors.ForkedProcess(
                f"this was made by process {self._pid}, of which this one is a fork; connections are not inherited: "
                f"{_FORK_ADVICE}")

    def call(self, method: str, request: Any, *, deadline: float = READ_DEADLINE, patience: float | None = None) -> Any:
        """One call, repeated while the service is away.

        Writes must carry a request id. Raises ServiceUnavailable where the service stays away for `patience` seconds
        (default: the connection's).
        """
        stub_method = getattr(self._stub, method)
        return self.repeat(method, lambda: stub_method(request, timeout=deadline, metadata=self._metadata), patience)

    def start(self, method: str, request: Any, *, deadline: float) -> Any:
        """Starts a call once and returns gRPC's future of it."""
        self.check()
        return getattr(self._stub, method).future(request, timeout=deadline, metadata=self._metadata)

    def send(self, method: str, messages: Callable[[], Iterable[Any]], *, deadline: float = WRITE_DEADLINE) -> Any:
        """A call that sends a stream, which `messages` makes anew for each try."""
        stub_method = getattr(self._stub, method)
        return self.repeat(method, lambda: stub_method(iter(messages()), timeout=deadline, metadata=self._metadata))

    def stream(self, method: str, request: Any, *, deadline: float | None = None) -> Any:
        """Starts a call that receives a stream and returns gRPC's iterator. Errors come from `next` as gRPC's own."""
        self.check()
        return getattr(self._stub, method)(request, timeout=deadline, metadata=self._metadata)

    def page(self) -> str:
        """A link that logs one browser in to the status page. It works once, and for five minutes."""
        method = page_pb2_grpc.StatusPageStub(self._channel).GetPageLink
        answer = self.repeat("GetPageLink", lambda: method(page_pb2.GetPageLinkRequest(), timeout=READ_DEADLINE,
                                                           metadata=self._metadata))
        return str(answer.url)

    def repeat(self, what: str, attempt: Callable[[], Any], patience: float | None = None) -> Any:
        """Calls `attempt` until it gives an answer or an error that repeating does not mend."""
        patience = self.patience if patience is None else patience
        pauses = Pauses(patience)
        said = False
        while True:
            self.check()
            try:
                answer = attempt()
            except grpc.RpcError as error:
                if self._closed.is_set():
                    raise errors.ServiceError("it was closed during the call") from None
                if not is_away(error):
                    raise to_exception(error) from None
                if not pauses.left():
                    self._give_up(what, error, patience)
                if not said:
                    log.warning("%s does not answer (%s); trying again", self.endpoint.address, error.details())
                said = True
            except ValueError:
                # gRPC's way to say that the channel was closed meanwhile.
                self.check()
                raise
            else:
                if said:
                    log.info("%s is back", self.endpoint.address)
                return answer
            self._closed.wait(pauses.next())

    def _give_up(self, what: str, error: grpc.RpcError, patience: float) -> NoReturn:
        raise errors.ServiceUnavailable(
            f"{what}: the service at {self.endpoint.address} was away for {patience:g} s: "
            f"{error.details() or error.code().name}", error.code().name) from None

    # --- What several parts need ---------------------------------------------------------------------------

    def submit_graph(self, spec: pb.GraphSpec, tasks: Iterable[pb.TaskSpec]) -> str:
        """Submits a graph and returns its id. `tasks` is read again for each try."""
        tasks, request_id = list(tasks), new_request_id()

        def messages() -> Iterator[pb.SubmitGraphRequest]:
            yield pb.SubmitGraphRequest(graph=pb.SubmitGraphRequest.Start(request_id=request_id, graph=spec))
            for batch in batches(tasks):
                yield pb.SubmitGraphRequest(tasks=pb.SubmitGraphRequest.TaskBatch(tasks=batch))
        return str(self.send("SubmitGraph", messages).graph_id)

    def watch(self, graph_id: str, timeout: float | None = None) -> Iterator[pb.WatchGraphResponse]:
        """A graph as it is, then its changes until it has ended, through any restart of the service.

        After each interruption the state comes again. Raises TimeoutError after `timeout` seconds.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        pauses = Pauses(0)
        while True:
            left = None if deadline is None else max(deadline - time.monotonic(), 0.001)
            stream = self.stream("WatchGraph", pb.WatchGraphRequest(graph_id=graph_id), deadline=left)
            try:
                for message in stream:
                    pauses = Pauses(0)
                    yield message
                    if message.graph.state not in (pb.GRAPH_STATE_UNSPECIFIED, pb.GRAPH_STATE_RUNNING):
                        return
            except grpc.RpcError as error:
                self.check()
                if deadline is not None and time.monotonic() >= deadline:
                    raise TimeoutError(f"graph {graph_id} has not ended within {timeout:g} s") from None
                # The service ends the stream of a watcher that reads too slowly.
                if not is_away(error) and error.code() != grpc.StatusCode.RESOURCE_EXHAUSTED:
                    raise to_exception(error) from None
            finally:
                stream.cancel()
            self._closed.wait(pauses.next())

    def explain(self, graph_id: str, task_name: str) -> str:
        """What a task waits for, or how it ended, in lines."""
        answer = self.call("ExplainTask", pb.ExplainTaskRequest(graph_id=graph_id, task_name=task_name))
        return "\n".join(answer.summary)

    def read_result(self, graph_id: str, task_name: str, attempt: int = 0) -> bytes:
        """The whole return value of an attempt (0: the last one), however large."""
        value = bytearray()

        def read() -> bytes:
            request = pb.ReadResultRequest(graph_id=graph_id, task_name=task_name, attempt=attempt, offset=len(value))
            for part in self.stream("ReadResult", request, deadline=WRITE_DEADLINE):
                value.extend(part.data)
            return bytes(value)
        return bytes(self.repeat("ReadResult", read))

    def read_log(self, graph_id: str, task_name: str, *, stderr: bool = False, attempt: int = 0,
                 offset: int = 0) -> bytes:
        """What an attempt (0: the last one) has written so far. A negative offset counts from the end."""
        def read() -> bytes:
            stream = pb.LOG_STREAM_STDERR if stderr else pb.LOG_STREAM_STDOUT
            request = pb.ReadLogRequest(graph_id=graph_id, task_name=task_name, attempt=attempt, stream=stream,
                                        offset=offset)
            return b"".join(part.data for part in self.stream("ReadLog", request, deadline=READ_DEADLINE))
        return bytes(self.repeat("ReadLog", read))


def batches(tasks: Iterable[pb.TaskSpec], most_bytes: int = BATCH_BYTES,
            most: int = 10000) -> Iterator[list[pb.TaskSpec]]:
    """Tasks in messages of about `most_bytes` and at most `most` tasks; one that is larger goes alone."""
    batch: list[pb.TaskSpec] = []
    size = 0
    for task in tasks:
        task_size = task.ByteSize() + 8
        if batch and (size + task_size > most_bytes or len(batch) == most):
            yield batch
            batch, size = [], 0
        batch.append(task)
        size += task_size
    if batch:
        yield batch


def _claim_grpc() -> None:
    """Raises ForkedProcess in a fork of a process that has used gRPC, where calls would hang."""
    global _grpc_pid
    if _grpc_pid is None:
        _grpc_pid = os.getpid()
    if _grpc_pid != os.getpid() and os.environ.get("GRPC_ENABLE_FORK_SUPPORT", "").lower() not in ("1", "true"):
        raise errors.ForkedProcess(f"process {_grpc_pid}, of which this one is a fork, has used gRPC, which does not "
                                   f"work in forks: {_FORK_ADVICE}")


def _open_channel(endpoint: Endpoint) -> grpc.Channel:
    if endpoint.is_socket:
        # A target is a URI, where some characters mean something else than in a path.
        path = endpoint.address[len("unix:"):]
        return grpc.insecure_channel("unix:" + urllib.parse.quote(path), options=_CHANNEL_OPTIONS)
    if not endpoint.ca:
        return grpc.insecure_channel(endpoint.address, options=_CHANNEL_OPTIONS)
    credentials = grpc.ssl_channel_credentials(endpoint.ca, endpoint.key or None, endpoint.certificate or None)
    return grpc.secure_channel(endpoint.address, credentials, options=_CHANNEL_OPTIONS)
