"""Everything that this package raises, below `KartographError`.

Two kinds: a *service* that refused a call or cannot be reached (`ServiceError`), and a *task* that ended without a
return value for another reason than an exception of its own (`TaskError`). An exception that a task's own code raised
arrives as it is, with its own type.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class KartographError(Exception):
    """Base class of this package's errors."""


# --- Calls to the service ----------------------------------------------------------------------------------


class ServiceError(KartographError):
    """The service refused a call. `code` is gRPC's name of the reason, such as "NOT_FOUND"."""

    def __init__(self, message: str = "", code: str = "") -> None:
        super().__init__(message, code)
        self.code = code

    def __str__(self) -> str:
        return str(self.args[0])


class Problem(NamedTuple):
    """One thing that is wrong with a request."""

    field: str  # such as tasks["decode"].consumption["ram"]
    value: str  # what was there
    message: str  # what is wrong and what would be right


class InvalidTask(ServiceError, ValueError):
    """The service does not accept a task, a graph or another request; `problems` says all that is wrong with it."""

    def __init__(self, message: str = "", code: str = "INVALID_ARGUMENT", problems: Sequence[Problem] = ()) -> None:
        super().__init__(message, code)
        self.args = (message, code, tuple(problems))
        self.problems = tuple(problems)


class NotFound(ServiceError, LookupError):
    """There is no such graph, task or attempt."""


class AlreadyExists(ServiceError):
    """The graph has a task of this name."""


class WrongState(ServiceError):
    """Not in this state: the graph is closed or has ended, or has not ended yet."""


class LimitExceeded(ServiceError):
    """Over a limit of the service; the message says which."""


class AccessDenied(ServiceError, PermissionError):
    """The token is missing or wrong."""


class NotSupported(ServiceError, NotImplementedError):
    """The service is older than this package and does not know the call."""


class ServiceUnavailable(ServiceError, ConnectionError):
    """The service could not be reached, or could not serve, for as long as the call was repeated.

    A write may have taken effect.
    """


class ServiceNotFound(KartographError, FileNotFoundError):
    """No address was given and no service of this user is running, or its program is missing."""


class ForkedProcess(KartographError, RuntimeError):
    """An object of the parent process was used after a fork, or a new one made there, which gRPC does not support.

    Start processes by `spawn` (multiprocessing.set_start_method), or fork before the first connection is made.
    """


# --- Pickling ----------------------------------------------------------------------------------------------


class NotPicklable(KartographError, TypeError):
    """Something that has to travel cannot be pickled. `path` leads to it, such as "task.session.lock"."""

    def __init__(self, message: str = "", path: str = "") -> None:
        super().__init__(message, path)
        self.path = path

    def __str__(self) -> str:
        return str(self.args[0])


class NotReadable(KartographError, ValueError):
    """Bytes cannot be turned back into an object: another version of Python or cloudpickle, or missing code."""


# --- Tasks that ended without a return value ------------------------------------------------------------------


class TaskError(KartographError):
    """A task ended without a return value, and not by an exception of its own."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message)
        self.graph_id = ""
        self.task_name = ""
        self.attempt = 0  # number of the last attempt, from 1; 0 if there was none
        self.attempts = 0  # how many there were
        self.agent = ""  # the host of the last attempt
        self.outcome = ""  # of the last attempt, as in the contract, such as "OUT_OF_MEMORY"
        self.exit_status: int | None = None  # where the process exited
        self.signal: int | None = None  # where a signal ended it
        self.log_tail = ""  # the last lines of its stderr, or of stdout where stderr is empty

    def __str__(self) -> str:
        text = str(self.args[0])
        if not self.log_tail.strip():
            return text
        lines = self.log_tail.rstrip("\n").split("\n")[-10:]
        return "\n".join([text, "the last lines of its output:", *("  " + line for line in lines)])


class TaskExited(TaskError):
    """Its process exited before the task returned, such as by `os._exit`; for a command: with a status other than 0."""


class TaskKilled(TaskError):
    """A signal ended its process: a crash, or somebody's `kill`. `signal` says which."""


class OutOfMemory(TaskError, MemoryError):
    """It used more memory than the `ram` it declared."""


class TimedOut(TaskError, TimeoutError):
    """It took longer than its timeout."""


class NotStarted(TaskError):
    """Its program could not be started; the message says why."""


class ResultTooLarge(TaskError):
    """It returned more than the service takes."""


class AgentLost(TaskError):
    """It was lost together with its agent too often."""


class Cancelled(TaskError):
    """It was cancelled."""


class Skipped(TaskError):
    """It never ran, as a task before it failed, was cancelled or was skipped."""


class GraphFailed(KartographError):
    """A graph ended and not all of its tasks succeeded. `failed` has the first names, at most 100."""

    def __init__(self, message: str = "", failed: Sequence[str] = ()) -> None:
        super().__init__(message, tuple(failed))
        self.failed = tuple(failed)

    def __str__(self) -> str:
        return str(self.args[0])


# --- Exceptions of a task's own code ---------------------------------------------------------------------------


class RemoteException(KartographError):
    """Stands for an exception that cannot be pickled. `type_name` and `text` are the original's."""

    def __init__(self, type_name: str = "", text: str = "") -> None:
        super().__init__(type_name, text)
        self.type_name = type_name
        self.text = text

    def __str__(self) -> str:
        return f"{self.type_name}: {self.text}" if self.text else self.type_name


class RemoteTraceback(Exception):
    """The traceback of a task's exception as it was printed where it ran. Is the cause of the first of its causes."""

    def __init__(self, text: str = "") -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return "\n\n" + self.text.rstrip("\n") + "\n"
