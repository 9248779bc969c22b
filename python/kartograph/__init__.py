"""Runs graphs of tasks on a cluster and never promises more of a resource than there is.

    import kartograph

    with kartograph.local(cpu=2) as service, kartograph.KartographExecutor(service) as executor:
        print(list(executor.map(len, ["one", "three"])))

Names are imported when they are used, so that a task that needs none of this starts soon.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kartograph import errors as errors
    from kartograph._blobs import Ref as Ref
    from kartograph._blobs import put as put
    from kartograph._context import Current as Current
    from kartograph._context import current as current
    from kartograph._executer import RemoteTask as RemoteTask
    from kartograph._executer import TaskExecuter as TaskExecuter
    from kartograph._futures import KartographExecutor as KartographExecutor
    from kartograph._graph import Graph as Graph
    from kartograph._graph import Node as Node
    from kartograph._graph import Progress as Progress
    from kartograph._joblib import register_joblib as register_joblib
    from kartograph._local import Service as Service
    from kartograph._local import local as local
    from kartograph._sending import TaskId as TaskId
    from kartograph._task import Constraint as Constraint
    from kartograph._task import Task as Task
    from kartograph.aio import AsyncExecuter as AsyncExecuter
    from kartograph.errors import KartographError as KartographError
    from kartograph.errors import TaskError as TaskError

_WHERE = {
    "AsyncExecuter": "aio", "Constraint": "_task",
    "Current": "_context", "Graph": "_graph", "KartographError": "errors", "KartographExecutor": "_futures",
    "Node": "_graph", "Progress": "_graph", "Ref": "_blobs", "RemoteTask": "_executer", "Service": "_local",
    "Task": "_task", "TaskError": "errors", "TaskExecuter": "_executer", "TaskId": "_sending", "current": "_context",
    "local": "_local", "put": "_blobs", "register_joblib": "_joblib",
}

__all__ = [  # noqa: PLE0604
    *sorted([*_WHERE, "errors"]),
]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    import importlib
    if name == "errors":
        return importlib.import_module("kartograph.errors")
    if name not in _WHERE:
        raise AttributeError(f"module 'kartograph' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"kartograph.{_WHERE[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_WHERE, "errors"])
