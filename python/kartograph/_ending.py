"""How a task ended, as a return value or an exception."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kartograph import _envelope, _task, errors
from kartograph._client import Connection
from kartograph.v1 import task_executer_pb2 as pb

FINAL = frozenset((pb.TASK_STATE_SUCCEEDED, pb.TASK_STATE_FAILED, pb.TASK_STATE_CANCELLED, pb.TASK_STATE_SKIPPED))
LOG_TAIL_BYTES = 4096

_BY_OUTCOME: dict[int, type[errors.TaskError]] = {
    pb.OUTCOME_SUCCEEDED: errors.TaskExited,  # without having returned
    pb.OUTCOME_EXITED: errors.TaskExited,
    pb.OUTCOME_SIGNALLED: errors.TaskKilled,
    pb.OUTCOME_TIMED_OUT: errors.TimedOut,
    pb.OUTCOME_OUT_OF_MEMORY: errors.OutOfMemory,
    pb.OUTCOME_CANCELLED: errors.Cancelled,
    pb.OUTCOME_NOT_STARTED: errors.NotStarted,
    pb.OUTCOME_RESULT_TOO_LARGE: errors.ResultTooLarge,
    pb.OUTCOME_LOST: errors.AgentLost,
    pb.OUTCOME_REFUSED: errors.AgentLost,
    pb.OUTCOME_DROPPED: errors.AgentLost,
    pb.OUTCOME_GONE: errors.AgentLost,
    pb.OUTCOME_UNREACHABLE: errors.AgentLost,
    pb.OUTCOME_AGENT_FAILED: errors.AgentLost,
    pb.OUTCOME_PREEMPTED: errors.AgentLost,
}
# After these the worker may have said why.
_HAS_EXCEPTION = frozenset((pb.OUTCOME_EXITED, pb.OUTCOME_SIGNALLED))


def word(state: int) -> str:
    """A task's state as people write it, such as "running"."""
    return str(pb.TaskState.Name(state))[len("TASK_STATE_"):].lower()


@dataclass
class Ending:
    """A task that has ended. `value` is what its last attempt wrote; None where it wrote nothing."""

    graph_id: str
    task_name: str
    state: int
    outcome: int
    message: str
    attempt: int
    attempts: int
    agent: str
    client_data: bytes
    value: bytes | None
    exit_status: int = 0
    signal: int = 0
    log_tail: str = ""

    def open(self) -> tuple[Any, BaseException | None]:
        """The return value, and the exception where there is none."""
        command = _task.read_mark(self.client_data)[0] == "command"
        if self.state == pb.TASK_STATE_SUCCEEDED:
            if command:
                return self.value, None
            if self.value is not None:
                result = _envelope.open_result(self.value)
                return result.value, result.exception
            return None, self._error("its process ended without having returned, such as by os._exit(0)")
        said = self.value is not None and not command and _envelope.is_envelope(self.value)
        if said and self.outcome in _HAS_EXCEPTION and self.state == pb.TASK_STATE_FAILED:
            result = _envelope.open_result(self.value or b"")
            # It may have returned, and failed afterwards.
            if result.exception is not None:
                return None, result.exception
        return None, self._error(self.message)

    def _error(self, message: str) -> errors.TaskError:
        kind = _BY_OUTCOME.get(self.outcome, errors.TaskError)
        if self.state == pb.TASK_STATE_SKIPPED:
            kind = errors.Skipped
        elif self.state == pb.TASK_STATE_CANCELLED:
            kind = errors.Cancelled
        error = kind(f"{self.task_name} ({self.graph_id}): {message}")
        error.graph_id, error.task_name = self.graph_id, self.task_name
        error.attempt, error.attempts, error.agent = self.attempt, self.attempts, self.agent
        error.outcome = pb.Outcome.Name(self.outcome)[len("OUTCOME_"):] if self.attempt else ""
        if self.outcome in (pb.OUTCOME_EXITED, pb.OUTCOME_SUCCEEDED):
            error.exit_status = self.exit_status
        if self.outcome == pb.OUTCOME_SIGNALLED:
            error.signal = self.signal
        error.log_tail = self.log_tail
        return error


def of_finished(finished: pb.FinishedTask, connection: Connection) -> Ending:
    """From a delivery. What is not in it is read by calls of their own: a large value, the last words of a task."""
    failed = finished.WhichOneof("result") == "exception"
    exception = finished.exception
    value: bytes | None = exception.value if failed else finished.return_value
    if not value and finished.value_bytes > 0:
        value = connection.read_result(finished.graph_id, finished.task_name, finished.attempt)
    if not value and not finished.has_value:
        value = None
    tail = exception.log_tail
    if exception.state == pb.TASK_STATE_FAILED and finished.attempt and not _envelope.is_envelope(value or b""):
        tail = tail or _log_tail(connection, finished.graph_id, finished.task_name, finished.attempt)
    return Ending(
        graph_id=finished.graph_id, task_name=finished.task_name,
        state=exception.state if failed else pb.TASK_STATE_SUCCEEDED,
        outcome=exception.outcome if failed else pb.OUTCOME_SUCCEEDED, message=exception.message,
        attempt=finished.attempt, attempts=finished.attempts, agent=finished.agent, client_data=finished.client_data,
        value=value, exit_status=exception.exit_status, signal=exception.signal, log_tail=tail)


def of_task(task: pb.Task, connection: Connection) -> Ending:
    """From GetTask, of a task that has ended."""
    last = task.attempts[-1] if task.attempts else pb.Attempt()
    value: bytes | None = task.return_value
    if "return_value" in task.omitted:
        value = connection.read_result(task.graph_id, task.name)
    if not value and not task.has_return_value:
        value = None
    tail = ""
    if task.state == pb.TASK_STATE_FAILED and task.attempts:
        tail = _log_tail(connection, task.graph_id, task.name, last.number)
    return Ending(
        graph_id=task.graph_id, task_name=task.name, state=task.state, outcome=last.outcome,
        message=task.reason or last.message, attempt=last.number, attempts=len(task.attempts), agent=last.agent,
        client_data=task.spec.client_data, value=value, exit_status=last.exit_status, signal=last.signal,
        log_tail=tail)


def _log_tail(connection: Connection, graph_id: str, task_name: str, attempt: int) -> str:
    try:
        tail = (connection.read_log(graph_id, task_name, stderr=True, attempt=attempt, offset=-LOG_TAIL_BYTES)
                or connection.read_log(graph_id, task_name, attempt=attempt, offset=-LOG_TAIL_BYTES))
    except errors.ServiceError:  # its agent is away, or the log is gone: the rest is known all the same
        return ""
    return tail.decode(errors="replace")
