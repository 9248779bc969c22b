"""What client libraries are built on: batches, titles and labels, ends of graphs, what a delivery
says, repeated requests, and how errors travel."""

import time
import uuid

import grpc
import pytest
from google.protobuf import any_pb2

from harness import eventually, instant, pb, problems_of, task


def new_queue():
    return "queue-" + uuid.uuid4().hex


def add(service, graph, specs, request_id=""):
    return list(service.call("AddTasks", pb.AddTasksRequest(
        request_id=request_id, graph_id=graph, tasks=specs)).task_names)


def close(service, graph):
    service.call("CloseGraph", pb.CloseGraphRequest(graph_id=graph))


def refused(call, *arguments, **more):
    with pytest.raises(grpc.RpcError) as error:
        call(*arguments, **more)
    return error.value


def test_a_batch_is_added_as_a_whole(shared):
    graph = shared.submit([], open=True)
    names = add(shared, graph, [task("last", after=["first", "second"]), task("second", after=["first"]),
                                task("first")])
    assert names == ["last", "second", "first"]
    # A cycle, an unknown name, and one that is taken: nothing is added.
    cycle = refused(add, shared, graph, [task("x", after=["y"]), task("y", after=["x"])])
    assert cycle.code() == grpc.StatusCode.INVALID_ARGUMENT and "x -> y -> x" in cycle.details()
    unknown = refused(add, shared, graph, [task("x"), task("y", after=["nothing"])])
    assert unknown.code() == grpc.StatusCode.INVALID_ARGUMENT and "nothing" in unknown.details()
    taken = refused(add, shared, graph, [task("x"), task("first")])
    assert taken.code() == grpc.StatusCode.ALREADY_EXISTS
    assert taken.details() == f'graph "{graph}" already has a task "first"; give another name'
    same = refused(shared.call, "Execute", pb.ExecuteRequest(graph_id=graph, task=task("first")))
    assert same.code() == grpc.StatusCode.ALREADY_EXISTS
    close(shared, graph)
    assert shared.wait_for_graph(graph).counts.succeeded == 3
    ends = {name: instant(t.end_time) for name, t in shared.tasks(graph).items()}
    assert ends["first"] <= ends["second"] <= ends["last"]
    assert refused(add, shared, graph, [task("x")]).code() == grpc.StatusCode.FAILED_PRECONDITION
    none = refused(add, shared, graph, [])
    assert none.code() == grpc.StatusCode.INVALID_ARGUMENT and "1 to 10000" in none.details()


def test_tasks_without_a_name_get_one(shared):
    graph = shared.submit([task(""), task("named")], open=True)
    assert add(shared, graph, [task(""), task("x"), task("")]) == ["task[2]", "x", "task[4]"]
    assert shared.call("Execute", pb.ExecuteRequest(graph_id=graph, task=task(""))).task_name == "task[5]"
    close(shared, graph)
    shared.wait_for_graph(graph)
    assert set(shared.tasks(graph)) == {"task[0]", "named", "task[2]", "x", "task[4]", "task[5]"}
    alone = shared.call("Execute", pb.ExecuteRequest(task=task("")))
    assert alone.task_name == "task[0]"
    assert shared.wait_for_graph(alone.graph_id).spec.name == "task[0]"


def test_a_request_id_stands_for_one_request(start):
    service = start()
    graph = service.submit([], open=True)
    assert add(service, graph, [task("a")], "one") == ["a"]
    for again in range(2):
        assert add(service, graph, [task("a")], "one") == ["a"]
        other = refused(add, service, graph, [task("b")], "one")
        assert other.code() == grpc.StatusCode.INVALID_ARGUMENT and "request_id" in other.details()
        if not again:
            service.kill()
            service.start()
    environment = {f"V{i}": str(i) for i in range(20)}
    first = service.submit([task("a", environment=environment)], request_id="two")
    backwards = dict(reversed(environment.items()))
    # The order of a map says nothing, nor how many messages there were.
    assert service.submit([task("a", environment=backwards)], request_id="two", batch=1) == first
    error = refused(service.submit, [task("a"), task("b")], request_id="two")
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    cancelled = pb.CancelRequest(request_id="three", graph_id=graph, task_name="a")
    service.call("Cancel", cancelled)
    service.call("Cancel", cancelled)
    cancelled.task_name = "b"
    assert refused(service.call, "Cancel", cancelled).code() == grpc.StatusCode.INVALID_ARGUMENT


def test_titles_labels_and_client_data_come_back(start):
    service = start()
    queue = new_queue()
    spec = task("a", title="Straßen 道路", labels={"layer": "roads", "region": "süd"}, client_data=b"\0\1")
    graph = service.submit([spec, task("b", labels={"layer": "water"}), task("c")], client_queue=queue,
                           title="Wochenausgabe", labels={"kind": "release"})
    service.wait_for_graph(graph)
    for _ in range(2):
        got = service.task(graph, "a").spec
        assert (got.title, dict(got.labels), got.client_data) == (
            "Straßen 道路", {"layer": "roads", "region": "süd"}, b"\0\1")
        shown = service.graph(graph).spec
        assert (shown.title, dict(shown.labels)) == ("Wochenausgabe", {"kind": "release"})
        finished = {t.task_name: t for t in service.pop(queue, wait=10, lease=0)}
        assert finished["a"].client_data == b"\0\1" and finished["b"].client_data == b""
        service.kill()
        service.start()


def test_what_is_wrong_with_titles_and_labels_is_said(shared):
    error = refused(shared.submit, [
        task("a", title="x" * 257, labels={"": "v", "b": "two\nlines", "c" * 64: ""}, client_data=b"x" * 4097),
        task("b", labels={f"l{i}": "" for i in range(33)}),
    ], title="bell\a", open_until_idle=pb.TaskSpec().timeout)
    fields = {p.field: p.message for p in problems_of(error)}
    assert fields['tasks["a"].title'] == "has 257 characters; at most 256 are allowed"
    assert 'tasks["a"].labels[""]' in fields and 'tasks["a"].labels["b"]' in fields
    assert "at most 63" in fields[f'tasks["a"].labels["{"c" * 64}"]']
    assert "4096" in fields['tasks["a"].client_data']
    assert "at most 32" in fields['tasks["b"].labels']
    assert "control character" in fields["graph.title"]
    assert "set `open`" in fields["graph.open_until_idle"]
    assert "client_queue" in problems_of(refused(shared.submit, [task("a")], deliver_end=True))[0].message


def test_lists_are_filtered(start):
    service = start()
    begin = time.time()
    red = [service.submit([task("a")], name="x", labels={"colour": "red", "n": str(i % 2)},
                          client_queue="even" if i % 2 == 0 else "") for i in range(4)]
    blue = service.submit([task("a")], name="x", labels={"colour": "blue"})
    plain = service.submit([task("a", labels={"k": str(i)}) for i in range(1)], name="y")
    for graph in [*red, blue, plain]:
        service.wait_for_graph(graph)

    def graphs(page_size=100, **filters):
        found, token = [], ""
        while True:
            page = service.call("ListGraphs", pb.ListGraphsRequest(
                page_size=page_size, page_token=token, **filters))
            found += [g.graph_id for g in page.graphs]
            token = page.next_page_token
            if not token:
                return found
    newest_first = list(reversed(red))
    for page_size in (1, 2, 100):
        assert graphs(page_size, labels={"colour": "red"}) == newest_first
        assert graphs(page_size, labels={"colour": "red", "n": "1"}) == [red[3], red[1]]
    assert graphs(labels={"colour": "red"}, client_queue="even", name="x",
                  state=pb.GRAPH_STATE_SUCCEEDED) == [red[2], red[0]]
    assert graphs(client_queue="even") == [red[2], red[0]]
    assert graphs(labels={"colour": "green"}) == [] and graphs(labels={"colour": ""}) == []
    assert graphs(name="y") == [plain]
    before = pb.ListGraphsRequest().submitted_before
    before.FromMilliseconds(int(begin * 1000) - 1000)
    assert graphs(submitted_before=before) == []
    assert graphs(submitted_since=before) == [plain, blue, *newest_first]
    wrong = pb.ListGraphsRequest(labels={"": ""})
    wrong.submitted_since.nanos = -1
    fields = {p.field for p in problems_of(refused(service.call, "ListGraphs", wrong))}
    assert fields == {'labels[""]', "submitted_since"}


def test_tasks_are_listed_by_label(shared, folder):
    gate = folder / "gate"
    specs = [task(f"t{i}", labels={"third": str(i % 3)},
                  shell=f"while [ ! -e {gate} ]; do sleep 0.02; done" if i == 6 else "true",
                  consumption={"cpu": 0}) for i in range(10)]
    graph = shared.submit(specs)

    def listed(page_size=100, **filters):
        found, token = [], ""
        while True:
            page = shared.call("ListTasks", pb.ListTasksRequest(
                graph_id=graph, page_size=page_size, page_token=token, labels={"third": "0"}, **filters))
            found += [t.name for t in page.tasks]
            token = page.next_page_token
            if not token:
                return found
    eventually(lambda: shared.graph(graph).counts.succeeded == 9, "all but one have ended")
    shared.wait_for_task(graph, "t6", pb.TASK_STATE_RUNNING)
    for page_size in (1, 2, 100):
        for full in (False, True):
            assert listed(page_size, full=full) == ["t0", "t3", "t6", "t9"]
        assert listed(page_size, states=[pb.TASK_STATE_RUNNING]) == ["t6"]
        assert listed(page_size, states=[pb.TASK_STATE_SUCCEEDED]) == ["t0", "t3", "t9"]
    gate.touch()
    shared.wait_for_graph(graph)
    assert listed(2, states=[pb.TASK_STATE_SUCCEEDED]) == ["t0", "t3", "t6", "t9"]


def test_a_delivery_says_what_became_of_the_attempt(shared):
    queue = new_queue()
    graph = shared.submit([
        task("empty", shell=": > $KARTOGRAPH_RESULT"), task("none"),
        task("bad", shell="echo out; echo oops >&2; exit 3", max_attempts=2, retry_delay=0.01),
        task("skipped", after=["bad"])], client_queue=queue)
    shared.wait_for_graph(graph)
    finished = {t.task_name: t for t in shared.pop(queue, wait=10, lease=0, log_tails=True)}
    assert finished["empty"].has_value and finished["empty"].return_value == b""
    assert not finished["none"].has_value
    assert shared.task(graph, "empty").has_return_value and not shared.task(graph, "none").has_return_value
    bad = finished["bad"]
    assert bad.attempts == 2 and bad.attempt == 2 and bad.retries == 0
    last = shared.task(graph, "bad").attempts[-1]
    assert (bad.attempt_id, bad.agent, bad.start_time, bad.usage) == (
        last.attempt_id, last.agent, last.start_time, last.usage)
    assert bad.exception.log_tail == "oops\n"
    assert finished["skipped"].attempt_id == "" and not finished["skipped"].HasField("usage")
    without = {t.task_name: t for t in shared.pop(queue, lease=0)}
    assert without["bad"].exception.log_tail == ""
    # After a retry it is told apart.
    shared.pop(queue, acknowledge=[t.delivery_id for t in finished.values()])
    shared.call("Retry", pb.RetryRequest(graph_id=graph))
    shared.wait_for_graph(graph)
    again = {t.task_name: t for t in shared.pop(queue, wait=10)}
    assert again["bad"].retries == 1 and again["bad"].attempt == 4 and again["bad"].attempts == 2


def test_the_end_of_a_graph_is_delivered_after_its_tasks(start):
    service = start()
    queue = new_queue()
    graph = service.submit([task("a"), task("b", "false")], client_queue=queue, deliver_end=True)
    service.wait_for_graph(graph)
    silent = service.submit([task("c")], client_queue=queue)
    service.wait_for_graph(silent)

    def pop(**more):
        return service.call("PopFinished", pb.PopFinishedRequest(client_queue=queue, **more))
    got = eventually(lambda: (answer := pop(max_tasks=10)).graphs and answer, "the end is delivered")
    assert {t.task_name for t in got.tasks} == {"a", "b", "c"}
    (end,) = got.graphs
    assert end.graph.graph_id == graph and end.graph.state == pb.GRAPH_STATE_FAILED
    assert end.graph.counts.failed == 1
    assert end.delivery_id > max(t.delivery_id for t in got.tasks if t.graph_id == graph)
    (waiting,) = service.call("ListQueues", pb.ListQueuesRequest()).queues
    assert waiting.size == 4
    tasks = [t.delivery_id for t in got.tasks]
    pop(acknowledge=tasks, max_tasks=-1)
    # It keeps its graph as an unacknowledged task does, and survives a kill.
    forget = pb.ForgetGraphRequest(graph_id=graph)
    assert refused(service.call, "ForgetGraph", forget).code() == grpc.StatusCode.FAILED_PRECONDITION
    service.kill()
    service.start()
    (again,) = eventually(lambda: pop().graphs, "it is delivered again")
    assert again.delivery_id == end.delivery_id
    (waiting,) = service.call("ListQueues", pb.ListQueuesRequest()).queues
    assert waiting.size == 1 and waiting.oldest_time == again.graph.end_time
    pop(acknowledge=[end.delivery_id], max_tasks=-1)
    assert not pop().graphs
    service.call("ForgetGraph", forget)


def test_a_pop_whose_client_is_gone_leases_nothing(shared, folder):
    queue, gate = new_queue(), folder / "gate"
    graph = shared.submit([task("a", shell=f"while [ ! -e {gate} ]; do sleep 0.02; done")], client_queue=queue)
    request = pb.PopFinishedRequest(client_queue=queue)
    request.wait.FromSeconds(60)
    request.lease.FromSeconds(3600)
    waiting = [shared.stub.PopFinished.future(request, timeout=60) for _ in range(3)]
    shared.wait_for_task(graph, "a", pb.TASK_STATE_RUNNING)
    for call in waiting:
        call.cancel()
    gate.touch()
    shared.wait_for_graph(graph)
    eventually(lambda: shared.pop(queue), "it is offered to another")


def test_an_open_graph_closes_when_it_has_been_idle(start):
    service = start()
    idle = pb.GraphSpec().open_until_idle
    idle.FromSeconds(1)
    graph = service.submit([task("a")], open=True, open_until_idle=idle)
    stays = service.submit([task("a")], open=True)
    assert service.graph(graph).spec.open_until_idle == idle
    assert service.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED
    assert service.graph(stays).state == pb.GRAPH_STATE_RUNNING
    # Also where its client, and the service, went away meanwhile.
    other = service.submit([], open=True, open_until_idle=idle)
    service.kill()
    service.start()
    assert service.wait_for_graph(other).state == pb.GRAPH_STATE_SUCCEEDED


def test_a_watch_may_begin_with_all_states(shared, folder):
    gate = folder / "gate"
    graph = shared.submit([task("a"), task("b", "false"), task("c", after=["b"]),
                           task("d", shell=f"while [ ! -e {gate} ]; do sleep 0.02; done")])
    eventually(lambda: shared.graph(graph).counts.failed == 1 and shared.graph(graph).counts.skipped == 1
               and shared.graph(graph).counts.succeeded == 1, "three have ended")
    shared.wait_for_task(graph, "d", pb.TASK_STATE_RUNNING)

    def watch(open_gate):
        states, calls = {}, 0
        for message in shared.stub.WatchGraph(pb.WatchGraphRequest(graph_id=graph, all_states=True),
                                              timeout=60):
            states.update({c.task_name: (c.state, c.attempts) for c in message.changes})
            calls += 1
            if open_gate and calls == 2:
                assert len(states) == 4 and states["d"] == (pb.TASK_STATE_RUNNING, 1)
                gate.touch()
        return states
    expected = {"a": (pb.TASK_STATE_SUCCEEDED, 1), "b": (pb.TASK_STATE_FAILED, 1),
                "c": (pb.TASK_STATE_SKIPPED, 0), "d": (pb.TASK_STATE_SUCCEEDED, 1)}
    assert watch(True) == expected
    assert watch(False) == expected  # and of a graph that has ended


def test_a_watch_of_all_states_is_sent_in_parts(shared):
    graph = shared.submit([task(f"t{i}", after=["t0"] if i else []) for i in range(2500)])
    shared.cancel(graph)
    shared.wait_for_graph(graph)
    names = [c.task_name for message in shared.stub.WatchGraph(
        pb.WatchGraphRequest(graph_id=graph, all_states=True), timeout=60) for c in message.changes]
    assert names == [f"t{i}" for i in range(2500)]


def test_problems_come_as_the_details_that_grpc_libraries_know(shared):
    error = refused(shared.submit, [task("a", timeout=-1), task("a")])
    (raw,) = [value for key, value in error.trailing_metadata() if key == "grpc-status-details-bin"]
    # google.rpc.Status: its field 3 holds Any messages.
    details = []
    position = 0
    while position < len(raw):
        tag, size = raw[position], raw[position + 1]
        if tag == 0x08:
            assert raw[position + 1] == 3  # INVALID_ARGUMENT
            position += 2
            continue
        length, position = _varint(raw, position + 1)
        if tag == 0x1A:
            details.append(any_pb2.Any.FromString(raw[position:position + length]))
        position += length
    (bad,) = details
    assert bad.type_url == "type.googleapis.com/google.rpc.BadRequest"
    assert b'tasks["a"].timeout' in bad.value and b"must not be negative" in bad.value
    del size


def _varint(raw, position):
    value = shift = 0
    while True:
        byte = raw[position]
        position += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, position
