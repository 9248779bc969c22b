"""Finished queues, Execute, open graphs, and writes that are repeated."""

import threading
import time
import uuid

import grpc
import pytest

from harness import pb, task


def new_queue():
    return "queue-" + uuid.uuid4().hex


def execute(service, spec, graph_id="", queue="", request_id=""):
    return service.call("Execute", pb.ExecuteRequest(
        request_id=request_id, task=spec, graph_id=graph_id, client_queue=queue))


def test_finished_tasks_come_with_a_value_or_an_exception(shared):
    queue = new_queue()
    graph = shared.submit([
        task("good", shell="printf 42 > $KARTOGRAPH_RESULT"),
        task("bad", shell="printf '{\"type\": \"ValueError\"}' > $KARTOGRAPH_RESULT; exit 5"),
        task("skipped", after=["bad"]),
    ], client_queue=queue)
    shared.wait_for_graph(graph)
    finished = {t.task_name: t for t in shared.pop(queue, wait=10)}
    assert set(finished) == {"good", "bad", "skipped"}
    assert finished["good"].return_value == b"42" and finished["good"].attempts == 1
    bad = finished["bad"].exception
    assert bad.state == pb.TASK_STATE_FAILED and bad.outcome == pb.OUTCOME_EXITED
    assert bad.exit_status == 5 and bad.value == b'{"type": "ValueError"}' and bad.message
    skipped = finished["skipped"].exception
    assert skipped.state == pb.TASK_STATE_SKIPPED and skipped.outcome == pb.OUTCOME_UNSPECIFIED
    assert all(t.graph_id == graph for t in finished.values())


def test_what_is_not_acknowledged_is_delivered_again_and_what_is_never(shared):
    queue = new_queue()
    graph = shared.submit([task("a"), task("b", after=["a"]), task("c", after=["b"])],
                          client_queue=queue)
    shared.wait_for_graph(graph)
    first = shared.pop(queue, wait=10, lease=0.01)
    assert [t.task_name for t in first] == ["a", "b", "c"]  # in order of finishing
    again = shared.pop(queue, wait=10)  # until the leases are over
    assert again == first
    assert shared.pop(queue) == []
    rest = shared.pop(queue, acknowledge=[first[0].delivery_id, first[1].delivery_id],
                      release=[first[2].delivery_id], wait=10)
    assert rest == first[2:]
    assert shared.pop(queue, acknowledge=[rest[0].delivery_id]) == []
    assert shared.pop(queue, acknowledge=[123456789]) == []  # an unknown one is ignored


def test_a_queue_gives_at_most_what_is_asked_for(shared):
    queue = new_queue()
    shared.wait_for_graph(shared.submit([task(f"t{i}") for i in range(5)], client_queue=queue))
    assert len(shared.pop(queue, max_tasks=2, wait=10)) == 2


def test_an_acknowledgement_of_another_queue_is_ignored(shared):
    mine, other = new_queue(), new_queue()
    shared.wait_for_graph(shared.submit([task("a")], client_queue=mine))
    (delivery,) = shared.pop(mine, wait=10, lease=0)
    shared.pop(other, acknowledge=[delivery.delivery_id])
    assert shared.pop(mine, wait=10) == [delivery]


def test_two_consumers_share_a_queue(shared):
    queue = new_queue()
    graph = shared.submit([task(f"t{i}") for i in range(40)], client_queue=queue)
    shared.wait_for_graph(graph)
    got = {name: [] for name in "ab"}

    def consume(name):
        while page := shared.pop(queue, max_tasks=3, consumer=name):
            got[name] += [t.task_name for t in page]
            shared.pop(queue, acknowledge=[t.delivery_id for t in page], max_tasks=-1)
    consumers = [threading.Thread(target=consume, args=(name,)) for name in got]
    for consumer in consumers:
        consumer.start()
    for consumer in consumers:
        consumer.join(60)
    assert sorted(got["a"] + got["b"]) == sorted(f"t{i}" for i in range(40))


def test_a_consumer_that_was_started_again_gets_its_own_at_once(shared):
    queue = new_queue()
    shared.wait_for_graph(shared.submit([task("a"), task("b")], client_queue=queue))
    first = shared.pop(queue, max_tasks=1, consumer="one", wait=10)
    other = shared.pop(queue, max_tasks=1, consumer="two", wait=10)
    assert first != other
    assert shared.pop(queue, consumer="one", resume=True) == first


def test_a_held_delivery_does_not_make_the_next_pop_return_at_once(shared):
    queue = new_queue()
    shared.wait_for_graph(shared.submit([task("a")], client_queue=queue))
    assert len(shared.pop(queue, wait=10)) == 1
    since = time.monotonic()
    assert shared.pop(queue, wait=0.3) == []
    assert time.monotonic() - since >= 0.3


def test_a_queue_that_nobody_pops_is_listed_and_can_be_dropped(shared):
    queue = new_queue()
    shared.wait_for_graph(shared.submit([task("a"), task("b")], client_queue=queue))
    sizes = {q.name: q.size for q in shared.call("ListQueues", pb.ListQueuesRequest()).queues}
    assert sizes[queue] == 2
    assert shared.call("DeleteQueue", pb.DeleteQueueRequest(client_queue=queue)).tasks == 2
    names = [q.name for q in shared.call("ListQueues", pb.ListQueuesRequest()).queues]
    assert queue not in names
    assert shared.pop(queue) == []


def test_pop_waits_for_a_task_to_finish(shared, folder):
    queue, gate = new_queue(), folder / "gate"
    shared.submit([task("a", shell=f"while [ ! -e {gate} ]; do sleep 0.02; done")],
                  client_queue=queue)
    assert shared.pop(queue, wait=0.05) == []
    answer = []
    waiter = threading.Thread(target=lambda: answer.extend(shared.pop(queue, wait=60)))
    waiter.start()
    gate.touch()
    waiter.join(60)
    assert [t.task_name for t in answer] == ["a"]


def test_deliveries_survive_a_kill_of_the_service(start):
    service, queue = start(), new_queue()
    graph = service.submit([task("a", shell="printf one > $KARTOGRAPH_RESULT"), task("b", after=["a"])],
                           client_queue=queue)
    service.wait_for_graph(graph)
    first = service.pop(queue, wait=10)
    service.pop(queue, acknowledge=[first[0].delivery_id], max_tasks=-1)
    service.kill()
    service.start()
    assert service.pop(queue, wait=10) == first[1:]


def test_a_repeated_request_id_changes_nothing_and_gets_the_first_answer(start):
    service = start()
    request = uuid.uuid4().hex
    graph = service.submit([task("a"), task("b")], request_id=request)
    assert service.submit([task("a"), task("b")], request_id=request) == graph
    service.wait_for_graph(graph)
    service.kill()
    service.start()
    assert service.submit([task("a"), task("b")], request_id=request) == graph
    assert service.submit([task("a")], request_id=uuid.uuid4().hex) != graph
    assert service.submit([task("a")]) != service.submit([task("a")])  # no id: not repeatable


def test_a_repeated_cancel_and_retry_answer_as_the_first_time(shared):
    graph = shared.submit([task("a", "sleep", "1000", grace=0.1), task("b", after=["a"])])
    cancel = pb.CancelRequest(request_id=uuid.uuid4().hex, graph_id=graph)
    assert shared.call("Cancel", cancel).tasks == 2
    shared.wait_for_graph(graph)
    assert shared.call("Cancel", cancel).tasks == 2
    assert shared.cancel(graph) == 0  # all have ended: no error
    retry = pb.RetryRequest(request_id=uuid.uuid4().hex, graph_id=graph)
    assert shared.call("Retry", retry).tasks == 2
    shared.cancel(graph)
    shared.wait_for_graph(graph)
    assert shared.call("Retry", retry).tasks == 2
    assert shared.graph(graph).state == pb.GRAPH_STATE_CANCELLED  # and ran nothing again


def test_execute_alone_makes_a_graph_of_its_own(shared):
    queue, request = new_queue(), uuid.uuid4().hex
    spec = task("alone", shell="printf done > $KARTOGRAPH_RESULT")
    first = execute(shared, spec, queue=queue, request_id=request)
    assert execute(shared, spec, queue=queue, request_id=request) == first
    assert first.task_name == "alone"
    assert shared.wait_for_graph(first.graph_id).spec.name == "alone"
    (finished,) = shared.pop(queue, wait=10)
    assert finished.return_value == b"done" and finished.graph_id == first.graph_id


def test_an_open_graph_takes_tasks_until_it_is_closed(shared, folder):
    trace = folder / "trace"
    graph = shared.submit([task("a", shell=f"echo a >> {trace}")], open=True)
    shared.wait_for_task(graph, "a", pb.TASK_STATE_SUCCEEDED)
    assert shared.graph(graph).state == pb.GRAPH_STATE_RUNNING  # open: more may come
    assert shared.graph(graph).spec.open
    execute(shared, task("b", shell=f"echo b >> {trace}", after=["a"]), graph)
    execute(shared, task("c", shell=f"echo c >> {trace}", after=["b"]), graph)
    with pytest.raises(grpc.RpcError) as unknown:
        execute(shared, task("d", after=["nobody"]), graph)
    assert unknown.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "nobody" in unknown.value.details()
    with pytest.raises(grpc.RpcError) as repeated:
        execute(shared, task("a"), graph)
    assert repeated.value.code() == grpc.StatusCode.ALREADY_EXISTS
    shared.call("CloseGraph", pb.CloseGraphRequest(graph_id=graph))
    assert shared.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED
    assert trace.read_text().split() == ["a", "b", "c"]
    with pytest.raises(grpc.RpcError) as closed:
        execute(shared, task("late"), graph)
    assert closed.value.code() == grpc.StatusCode.FAILED_PRECONDITION


def test_an_open_graph_without_tasks_ends_when_it_is_closed(shared):
    graph = shared.submit([], open=True)
    assert shared.graph(graph).state == pb.GRAPH_STATE_RUNNING
    shared.call("CloseGraph", pb.CloseGraphRequest(graph_id=graph))
    assert shared.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED


@pytest.mark.parametrize("method, request_type", [
    ("GetGraph", pb.GetGraphRequest), ("Cancel", pb.CancelRequest), ("Retry", pb.RetryRequest),
    ("CloseGraph", pb.CloseGraphRequest), ("ListTasks", pb.ListTasksRequest)])
def test_an_unknown_graph_is_not_found(shared, method, request_type):
    for graph_id in ("g999999", "nonsense"):
        with pytest.raises(grpc.RpcError) as error:
            shared.call(method, request_type(graph_id=graph_id))
        assert error.value.code() in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT)
        assert graph_id in error.value.details()
