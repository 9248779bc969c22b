"""Finished tasks from a client queue: fetched ahead, leased while they are held, acknowledged when they were had."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import OrderedDict
from typing import Any, Callable

import grpc

from kartograph import errors
from kartograph._client import CLOSED, Connection, Pauses, is_away, new_request_id, to_exception
from kartograph.v1 import task_executer_pb2 as pb

log = logging.getLogger("kartograph")

# Of what is delivered, in seconds; renewed three times as often.
LEASE = 60.0
# How long the service holds a call while nothing finishes.
POLL = 30.0
# Beyond these nothing is fetched ahead, unless somebody waits for something that is not there.
MOST_TASKS = 2000
MOST_BYTES = 64 << 20
# Ids in one call; the service takes 100,000.
MOST_IDS = 50000
# Between the starts of two fetches, at least, in seconds.
PACE = 0.01
# How long an acknowledgement may wait for the next fetch to take it along.
ACKNOWLEDGE_WITHIN = 0.05
# Acknowledged ids that are remembered, as a delivery may cross its acknowledgement on the way.
REMEMBERED = 20000


class Receiver:
    """Takes what finishes from one queue. Safe with threads.

    Each thread that takes something acknowledges it by taking again: until then it counts as being worked on. One
    thread of our own fetches, renews leases and sends acknowledgements, and goes on through restarts of the service.
    """

    def __init__(self, connection: Connection, queue: str, *, lease: float = LEASE, consumer: str = "") -> None:
        self._connection = connection
        self._queue = queue
        # One that is named gets at once what it had before it was started again.
        self._consumer = consumer or new_request_id()
        self._resume = bool(consumer)
        self._lease = lease
        self._changed = threading.Condition()
        # All below is guarded by _changed.
        self._held: OrderedDict[int, pb.FinishedTask] = OrderedDict()
        self._held_bytes = 0
        self._taken: set[int] = set()
        self._acknowledge: set[int] = set()
        self._acknowledged: OrderedDict[int, None] = OrderedDict()
        self._seeking = 0  # callers who wait for something that is not among what is held
        self._closing = False
        self._failure: BaseException | None = None
        self._own = threading.local()  # what each thread has taken last
        # Called from our thread when there is something to take, or will be nothing any more.
        self.on_arrival: Callable[[], None] = lambda: None
        self._thread = threading.Thread(target=self._run, name=f"kartograph-{queue}", daemon=True)
        self._thread.start()

    # --- For callers -------------------------------------------------------------------------------------

    def take(self, wanted: Callable[[pb.FinishedTask], bool] | None = None, timeout: float | None = 0,
             most: int | None = None) -> list[pb.FinishedTask]:
        """Acknowledges what this thread took last, then takes what is there.

        With `wanted`, only those that it accepts. Waits up to `timeout` seconds (None: without end) for the first one.
        """
        self._connection.check()
        deadline = None if timeout is None else time.monotonic() + timeout
        self.acknowledge()
        with self._changed:
            while True:
                if self._closing:
                    raise errors.KartographError(CLOSED)
                found = self._take_held(wanted, most)
                if found:
                    return found
                if self._failure is not None:
                    raise self._failure
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    return []
                self._seeking += 1
                self._changed.notify_all()
                self._changed.wait(left)
                self._seeking -= 1

    def acknowledge(self) -> None:
        """Acknowledges what this thread took last."""
        own: list[int] = getattr(self._own, "ids", [])
        if own:
            with self._changed:
                self._settle(own)
            self._own.ids = []

    def _take_held(self, wanted: Callable[[pb.FinishedTask], bool] | None, most: int | None) -> list[pb.FinishedTask]:
        ids = [key for key, task in self._held.items() if wanted is None or wanted(task)][:most]
        found = [self._held.pop(key) for key in ids]
        if found:
            self._held_bytes -= sum(task.ByteSize() for task in found)
            self._taken.update(ids)
            self._own.ids = [*getattr(self._own, "ids", []), *ids]
            self._changed.notify_all()
        return found

    def give_back(self, tasks: list[pb.FinishedTask]) -> None:
        """Undoes `take` in this thread: they are held again, before the others."""
        with self._changed:
            ids = {task.delivery_id for task in tasks}
            self._own.ids = [key for key in self._own.ids if key not in ids]
            self._taken -= ids
            for task in reversed(tasks):
                self._held[task.delivery_id] = task
                self._held.move_to_end(task.delivery_id, last=False)
                self._held_bytes += task.ByteSize()
            self._changed.notify_all()

    def _settle(self, ids: list[int]) -> None:
        self._taken.difference_update(ids)
        self._acknowledge.update(ids)
        self._changed.notify_all()

    def close(self, acknowledge: bool = True, patience: float = 5.0) -> None:
        """Acknowledges what was taken, by any thread, and gives back the rest.

        Where the service is away for longer than `patience` seconds, both happen when the leases are over: what was
        taken is delivered again then. May be called again.
        """
        with self._changed:
            if self._closing:
                return
            self._closing = True
            self._changed.notify_all()
        # It cancels its waiting call, which would take again what is given back.
        self._thread.join(patience)
        with self._changed:
            if acknowledge:
                self._settle(list(self._taken))
            done, released = list(self._acknowledge), [*self._held, *self._taken]
            self._held.clear()
        if (done or released) and not self._connection.closed:
            try:
                self._connection.call("PopFinished", self._settlement(done, release=released), patience=patience)
            except errors.ServiceError as error:
                log.warning("the last finished tasks could not be acknowledged and will be delivered again: %s", error)

    # --- The thread ----------------------------------------------------------------------------------------

    def _run(self) -> None:
        pauses = Pauses(0)
        fetch_at = 0.0
        while True:
            with self._changed:
                # Where much finishes, many at once cost service and client far less than each alone.
                while not self._closing and (early := fetch_at - time.monotonic()) > 0:
                    self._changed.wait(early)
                # What is held needs its lease renewed, also while nothing is fetched.
                while not self._closing and not self._has_room() and not self._acknowledge:
                    if not self._changed.wait(self._lease / 3):
                        break
                if self._closing:
                    return None
                room = self._has_room()
            try:
                if room:
                    now = time.monotonic()
                    fetch_at = now + PACE if self._fetch() > 1 else now
                else:
                    self._send_settlement()
                pauses = Pauses(0)
            except grpc.RpcError as error:
                if self._closing or self._connection.closed:
                    return None
                if not is_away(error):
                    return self._fail(to_exception(error))
                log.debug("waiting for the service: %s", error.details())
                time.sleep(pauses.next())
            except Exception as error:
                if self._closing or self._connection.closed:
                    return None
                return self._fail(error)

    def _has_room(self) -> bool:
        return self._seeking > 0 or (len(self._held) < MOST_TASKS and self._held_bytes < MOST_BYTES)

    def _fetch(self) -> int:
        """One waiting call; acknowledgements and renewals that come meanwhile go by calls of their own.

        Returns how many tasks it brought.
        """
        request = self._settlement(*self._pending())
        request.max_tasks = 1000
        request.resume = self._resume
        request.lease.FromNanoseconds(int(self._lease * 1e9))
        request.wait.FromNanoseconds(int(POLL * 1e9))
        call = self._connection.start("PopFinished", request, deadline=POLL + 30)
        call.add_done_callback(lambda _: self._wake())
        try:
            sent, renewed, send_at = set(request.acknowledge), time.monotonic(), math.inf
            while not call.done():
                with self._changed:
                    now = time.monotonic()
                    send_at = min(send_at, now + ACKNOWLEDGE_WITHIN) if not self._acknowledge <= sent else math.inf
                    due = min(send_at, renewed + self._lease / 3) - now
                    if not call.done() and due > 0 and not self._closing:
                        self._changed.wait(due)
                if self._closing:
                    return 0
                if time.monotonic() >= min(send_at, renewed + self._lease / 3):
                    self._send_settlement()
                    renewed, send_at = time.monotonic(), math.inf
            answer = call.result()
        finally:
            call.cancel()
        self._resume = False
        self._arrived(answer.tasks, list(request.acknowledge))
        return len(answer.tasks)

    def _send_settlement(self) -> None:
        acknowledge, renew = self._pending()
        if acknowledge or renew:
            self._connection.start("PopFinished", self._settlement(acknowledge, renew), deadline=30).result()
            with self._changed:
                self._forget(acknowledge)

    def _pending(self) -> tuple[list[int], list[int]]:
        with self._changed:
            return list(self._acknowledge)[:MOST_IDS], [*self._held, *self._taken][:MOST_IDS]

    def _settlement(self, acknowledge: list[int], renew: list[int] | None = None,
                    release: list[int] | None = None) -> pb.PopFinishedRequest:
        return pb.PopFinishedRequest(client_queue=self._queue, consumer=self._consumer, max_tasks=-1,
                                     acknowledge=acknowledge, renew=renew or [], release=release or [])

    def _arrived(self, tasks: Any, acknowledged: list[int]) -> None:
        with self._changed:
            self._forget(acknowledged)
            for task in tasks:
                key = task.delivery_id
                if key in self._acknowledged:
                    self._acknowledge.add(key)  # it crossed the acknowledgement, or that was lost with a disk
                elif key not in self._held and key not in self._taken and key not in self._acknowledge:
                    self._held[key] = task
                    self._held_bytes += task.ByteSize()
            self._changed.notify_all()
        if tasks:
            self.on_arrival()

    def _forget(self, acknowledged: list[int]) -> None:
        self._acknowledge.difference_update(acknowledged)
        self._acknowledged.update((key, None) for key in acknowledged)
        while len(self._acknowledged) > REMEMBERED:
            self._acknowledged.popitem(last=False)

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _fail(self, error: BaseException) -> None:
        with self._changed:
            self._failure = error
            self._changed.notify_all()
        self.on_arrival()
