"""Deliveries under leases, against the fake service, which can be looked into and restarted."""

import threading
import time

import pytest
from conftest import eventually

import kartograph
from kartograph import errors
from kartograph._client import Connection, to_exception
from kartograph._delivery import Receiver
from kartograph.v1 import task_executer_pb2 as pb

LEASE = 0.9


def deliver(fake, queue, count=1, size=0, first=1):
    """Puts finished tasks into a queue, as if they had run."""
    with fake.changed:
        for n in range(first, first + count):
            key = next(fake.deliveries)
            fake.queues.setdefault(queue, {})[key] = pb.FinishedTask(
                delivery_id=key, graph_id="g1", task_name=f"t{n}", has_value=True, return_value=bytes(size))
        fake.changed.notify_all()


def names(tasks):
    return [task.task_name for task in tasks]


@pytest.fixture()
def connection(fake):
    made = Connection(fake)
    yield made
    made.close()


@pytest.fixture()
def receiver(connection):
    made = Receiver(connection, "q", lease=LEASE)
    yield made
    made.close()


def test_what_was_taken_is_acknowledged_by_the_next_take(fake, receiver):
    deliver(fake, "q")
    assert names(receiver.take(timeout=60)) == ["t1"]
    assert fake.queues["q"]
    assert receiver.take() == []
    eventually(lambda: not fake.queues["q"], "it is acknowledged")


def test_each_thread_acknowledges_its_own(fake, receiver):
    deliver(fake, "q")
    assert names(receiver.take(timeout=60)) == ["t1"]
    deliver(fake, "q", first=2)
    other = threading.Thread(target=lambda: (receiver.take(timeout=60), receiver.take()))
    other.start()
    other.join()
    eventually(lambda: len(fake.queues["q"]) == 1, "the other thread's is acknowledged")
    receiver.take()
    eventually(lambda: not fake.queues["q"])


def test_leases_are_renewed_while_something_is_held_or_worked_on(fake, receiver):
    deliver(fake, "q", count=2)
    eventually(lambda: len(fake.leases) == 2)
    taken = receiver.take(lambda task: task.task_name == "t1", timeout=60)
    assert names(taken) == ["t1"]
    begin = time.monotonic()
    # Far beyond the first lease, both are still ours.
    eventually(lambda: time.monotonic() > begin + 3 * LEASE)
    assert all(end > time.monotonic() for end, _ in fake.leases.values())
    assert len(fake.leases) == 2
    assert names(receiver.take(timeout=60)) == ["t2"]
    assert receiver.take() == []


def test_what_is_delivered_twice_is_taken_once(fake, receiver):
    deliver(fake, "q", count=3)
    eventually(lambda: len(fake.leases) == 3)
    assert names(receiver.take(most=1, timeout=60)) == ["t1"]
    polls = fake.calls.count("PopFinished")
    with fake.changed:
        fake.leases.clear()  # as after a restart
        fake.changed.notify_all()
    eventually(lambda: fake.calls.count("PopFinished") > polls + 1)
    assert names(receiver.take(timeout=60)) == ["t2", "t3"]
    assert receiver.take() == []
    eventually(lambda: not fake.queues["q"])


def test_closing_gives_back_what_nobody_took(fake, connection):
    receiver = Receiver(connection, "q")
    deliver(fake, "q", count=2)
    eventually(lambda: len(fake.leases) == 2)
    assert len(receiver.take(most=1, timeout=60)) == 1
    receiver.close()
    assert [task.task_name for task in fake.queues["q"].values()] == ["t2"]
    assert not fake.leases
    with pytest.raises(errors.KartographError, match="closed"):
        receiver.take()


def test_closing_without_acknowledging_gives_back_everything(fake, connection):
    receiver = Receiver(connection, "q")
    deliver(fake, "q", count=2)
    eventually(lambda: len(fake.leases) == 2)
    receiver.take(most=1, timeout=60)
    receiver.close(acknowledge=False)
    assert len(fake.queues["q"]) == 2
    assert not fake.leases


def test_what_was_given_back_comes_again_first(fake, receiver):
    deliver(fake, "q", count=3)
    eventually(lambda: len(fake.leases) == 3)
    taken = receiver.take(most=2, timeout=60)
    receiver.give_back(taken)
    assert names(receiver.take(timeout=60)) == ["t1", "t2", "t3"]


def test_it_does_not_fetch_without_end(fake, connection, monkeypatch):
    monkeypatch.setattr("kartograph._delivery.MOST_BYTES", 1 << 20)
    receiver = Receiver(connection, "q", lease=LEASE)
    deliver(fake, "q", count=40, size=256 << 10)
    eventually(lambda: receiver._held_bytes >= 1 << 20)
    assert receiver._held_bytes <= 6 << 20  # the limit, and one answer
    # Somebody who waits for the last one gets it all the same.
    assert names(receiver.take(lambda task: task.task_name == "t40", timeout=60)) == ["t40"]
    left = 39
    while left:
        left -= len(receiver.take(timeout=60))
    receiver.take()
    eventually(lambda: not fake.queues["q"])
    receiver.close()


def test_a_waiting_client_survives_restarts(fake, receiver):
    got = []

    def wait():
        while len(got) < 6:
            got.extend(names(receiver.take(timeout=60)))
        receiver.take()
    waiter = threading.Thread(target=wait)
    waiter.start()
    for n in range(1, 4):
        deliver(fake, "q", first=2 * n - 1)
        fake.kill()
        deliver(fake, "q", first=2 * n)
        fake.start()
        eventually(lambda n=n: len(got) >= 2 * n, f"what was delivered comes after restart {n}")
    waiter.join(60)
    assert sorted(got) == [f"t{n}" for n in range(1, 7)]
    eventually(lambda: not fake.queues["q"])


def test_a_refusal_is_an_error_for_who_waits(fake, connection, monkeypatch):
    class Refusal(kartograph._client.grpc.RpcError):
        def code(self):
            return kartograph._client.grpc.StatusCode.UNAUTHENTICATED

        def details(self):
            return "the token is wrong"
    monkeypatch.setattr(connection, "start", lambda *_, **__: (_ for _ in ()).throw(Refusal()))
    receiver = Receiver(connection, "q")
    with pytest.raises(errors.AccessDenied, match="the token is wrong"):
        receiver.take(timeout=60)
    assert isinstance(to_exception(Refusal()), PermissionError)
    receiver.close()


def test_many_tasks_through_restarts(fake):
    class Add:
        def __init__(self, n):
            self.n = n

        def consumption(self):
            return {"cpu": 0.5}

        def run(self):
            return self.n + 1
    with kartograph.TaskExecuter(fake) as executer:
        tasks = [Add(n) for n in range(12)]
        sender = threading.Thread(target=lambda: [executer.execute(task) for task in tasks])
        sender.start()
        popped = []
        for _ in range(3):
            goal = len(popped) + 3
            while len(popped) < goal:
                popped += executer.pop_finished(timeout=60)
            fake.kill()
            fake.start()
        sender.join(60)
        while executer.unfinished:
            popped += executer.pop_finished(timeout=60)
        assert sorted(value for _, value, _ in popped) == list(range(1, 13))
        assert {id(task) for task, _, _ in popped} == {id(task) for task in tasks}
