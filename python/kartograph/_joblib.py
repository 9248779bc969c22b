"""joblib's backend, so that `joblib.Parallel`, and scikit-learn with it, runs on a cluster.

Needs joblib 1.3 or newer.
"""

from __future__ import annotations

import os
import threading
from typing import Any, Callable

from joblib.parallel import AutoBatchingMixin, ParallelBackendBase, register_parallel_backend

from kartograph._address import Where
from kartograph._futures import KartographExecutor, KartographFuture
from kartograph.v1 import task_executer_pb2 as pb

NAME = "kartograph"


class KartographBackend(AutoBatchingMixin, ParallelBackendBase):  # type: ignore[misc]
    """Each batch of calls is a task. Options are as for KartographExecutor."""

    supports_retrieve_callback = True
    supports_inner_max_num_threads = False
    default_n_jobs = -1
    # A task takes longer to start than a call in a process that is there.
    MIN_IDEAL_BATCH_DURATION = 1.0
    MAX_IDEAL_BATCH_DURATION = 10.0

    def __init__(self, service: Where = None, token: str | None = None, ca: str | os.PathLike[str] | None = None,
                 nesting_level: int | None = None, **options: Any) -> None:
        super().__init__(nesting_level=nesting_level)
        self._where = (service, token, ca)
        self._options = options
        self._lock = threading.Lock()
        self._executor: KartographExecutor | None = None
        self._futures: set[KartographFuture] = set()

    def configure(self, n_jobs: int = 1, parallel: Any = None, **_: Any) -> int:
        """Called once for each Parallel; returns how many jobs run at once."""
        self.parallel = parallel
        if self._executor is None:
            service, token, ca = self._where
            self._executor = KartographExecutor(service, token=token, ca=ca, name="joblib", **self._options)
        return self.effective_n_jobs(n_jobs)

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """-1 is as many as the cluster has cores for."""
        if n_jobs == 0:
            raise ValueError("n_jobs == 0 in Parallel has no meaning")
        if n_jobs is not None and n_jobs > 0:
            return n_jobs
        if self._executor is None:
            return 1
        cluster = self._executor._core._connection.call("GetCluster", pb.GetClusterRequest())
        cores = sum(agent.capacity.get("cpu", 0.0) for agent in cluster.agents)
        return max(int(cores / (self._options.get("consumption") or {}).get("cpu", 1)) + 1 + (n_jobs or -1), 1)

    def submit(self, func: Callable[[], Any], callback: Callable[[Any], Any] | None = None) -> KartographFuture:
        """Starts a batch; `callback` is called with the future when it has ended."""
        assert self._executor is not None, "joblib configures a backend before it uses it"
        future = self._executor.submit(func)
        with self._lock:
            self._futures.add(future)
        future.add_done_callback(self._done)
        if callback is not None:
            future.add_done_callback(callback)
        return future

    apply_async = submit  # its name before joblib 1.5

    def _done(self, future: Any) -> None:
        with self._lock:
            self._futures.discard(future)

    def retrieve_result_callback(self, out: Any) -> Any:
        """The values of a batch, or its exception."""
        return out.result()

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """Cancels what has not ended."""
        with self._lock:
            futures = list(self._futures)
        for future in futures:
            future.cancel()
        if not ensure_ready:
            self.terminate()

    def terminate(self) -> None:
        """Ends the connection; nothing waits for what was cancelled."""
        if self._executor is not None:
            self._executor.shutdown(wait=False)
            self._executor = None


def register_joblib() -> None:
    """Makes `with joblib.parallel_config("kartograph", service=...):` run on a cluster."""
    register_parallel_backend(NAME, KartographBackend)
