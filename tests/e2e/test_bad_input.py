"""Bad input: a clear error with all problems, and nothing stored."""

import math
import os
import socket

import grpc
import pytest

from harness import pb, problems_of, task


def refused(service, tasks, code=grpc.StatusCode.INVALID_ARGUMENT, **spec):
    """Submits a graph that must be refused; returns the error."""
    before = stored(service)
    with pytest.raises(grpc.RpcError) as error:
        service.submit(tasks, **spec)
    assert error.value.code() == code, error.value.details()
    assert stored(service) == before, "something was stored"
    return error.value


def stored(service):
    graphs = service.call("ListGraphs", pb.ListGraphsRequest(page_size=1000)).graphs
    return [graph.graph_id for graph in graphs]


def test_a_cycle_is_told_as_a_path_of_names(shared):
    error = refused(shared, [task("a", after=["c"]), task("b", after=["a"]), task("c", after=["b"]),
                             task("fine")])
    assert all(name in error.details() for name in ("a", "b", "c"))
    assert "cycle" in error.details()
    assert "fine" not in error.details()


def test_a_task_after_itself_is_a_cycle(shared):
    assert "cycle" in refused(shared, [task("self", after=["self"])]).details()


def test_all_problems_come_together_each_with_field_value_and_what_would_be_right(shared):
    error = refused(shared, [
        task("twice"), task("twice"),
        task("lost", after=["nobody"]),
        task("less", consumption={"cpu": -1}),
        task("round", after=["trip"]), task("trip", after=["round"]),
    ])
    problems = problems_of(error)
    assert len(problems) >= 4
    for words in ("twice", "nobody", "less", "round"):
        assert any(words in p.field + p.value + p.message for p in problems), words
        assert words in error.details(), words
    assert all(p.field and p.message for p in problems)


@pytest.mark.parametrize("quantity", [-1, -0.001, math.inf, -math.inf, math.nan, 1e300])
def test_a_quantity_that_is_none_is_refused(shared, quantity):
    for resource in ("cpu", "ram", "licences"):
        error = refused(shared, [task("odd", consumption={resource: quantity})])
        (problem,) = problems_of(error)
        assert "odd" in problem.field and resource in problem.field


@pytest.mark.parametrize("make, words", [
    (lambda: pb.TaskSpec(name="a"), "command"),
    (lambda: task("a", ""), "command"),
    (lambda: task("a", shell=""), "command"),
    (lambda: task("-a"), "name"),
    (lambda: task("a b"), "name"),
    (lambda: task("x" * 257), "name"),
    (lambda: task("a", max_attempts=-1), "max_attempts"),
    (lambda: task("a", max_attempts=1001), "max_attempts"),
    (lambda: task("a", timeout=-1), "timeout"),
    (lambda: task("a", retry_delay=-1), "retry_delay"),
    (lambda: task("a", grace=-1), "cancel_grace"),
    (lambda: task("a", directory="relative/path"), "directory"),
    (lambda: task("a", environment={"KARTOGRAPH_TASK": "mine"}), "KARTOGRAPH_TASK"),
    (lambda: task("a", environment={"A=B": "c"}), "environment"),
    (lambda: task("a", "true", "zero\0byte"), "command"),
    (lambda: task("a", consumption={"9 lives": 1}), "9 lives"),
])
def test_a_wrong_field_is_named(shared, make, words):
    error = refused(shared, [make()])
    assert words in error.details()
    assert any(words in p.field + p.message + p.value for p in problems_of(error))


def test_a_task_that_no_agent_and_pool_could_satisfy_is_refused_with_what_there_is(shared):
    for consumption, words in (({"cpu": 5}, "4"), ({"ram": 3 << 30}, "2GiB"), ({"licences": 4}, "3"),
                               ({"unicorns": 1}, "unicorns")):
        error = refused(shared, [task("greedy", consumption=consumption), task("fine")])
        assert "greedy" in error.details() and words in error.details(), error.details()


def test_a_graph_over_the_configured_size_is_refused(start):
    service = start("--max-graph-tasks", "10")
    error = refused(service, [task(f"t{i}") for i in range(11)], grpc.StatusCode.RESOURCE_EXHAUSTED)
    assert "10" in error.details()
    service.wait_for_graph(service.submit([task(f"t{i}") for i in range(10)]))


def test_an_empty_closed_graph_is_answered_at_once(shared):
    before = stored(shared)
    try:
        graph = shared.submit([])
        assert shared.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.INVALID_ARGUMENT and stored(shared) == before


def test_a_stream_that_is_not_the_protocol_is_refused(shared):
    batch = pb.SubmitGraphRequest(tasks=pb.SubmitGraphRequest.TaskBatch(tasks=[task("a")]))
    begin = pb.SubmitGraphRequest(graph=pb.SubmitGraphRequest.Start(graph=pb.GraphSpec(name="g")))
    before = stored(shared)
    for messages in ([], [batch], [begin, begin], [begin, pb.SubmitGraphRequest()],
                     [pb.SubmitGraphRequest()]):
        with pytest.raises(grpc.RpcError) as error:
            shared.stub.SubmitGraph(iter(messages), timeout=60)
        assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT, messages
        assert error.value.details()
    assert stored(shared) == before


def test_a_submission_that_breaks_off_stores_nothing(shared):
    before = stored(shared)

    def messages():
        yield pb.SubmitGraphRequest(graph=pb.SubmitGraphRequest.Start(graph=pb.GraphSpec(name="g")))
        yield pb.SubmitGraphRequest(tasks=pb.SubmitGraphRequest.TaskBatch(tasks=[task("a")]))
        raise RuntimeError("the client breaks off")
    with pytest.raises(Exception):
        shared.stub.SubmitGraph(messages(), timeout=60)
    shared.wait_for_graph(shared.submit([task("a")]))
    assert len(stored(shared)) == len(before) + 1


def test_bytes_that_are_no_message_are_refused(shared):
    for method in ("Cancel", "GetGraph", "PopFinished", "Execute"):
        call = shared.channel.unary_unary(f"/kartograph.v1.TaskExecuter/{method}")
        with pytest.raises(grpc.RpcError):
            call(b"\xff\xff\xff\xff\x07garbage", timeout=60)
    with pytest.raises(grpc.RpcError) as error:
        shared.channel.unary_unary("/kartograph.v1.TaskExecuter/Conquer")(b"", timeout=60)
    assert error.value.code() == grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("port", ["grpc", "http"])
@pytest.mark.parametrize("garbage", [
    b"", b"\0" * 4096, b"hello\r\n\r\n", b"\xff" * 100000, b"GET / HTTP/9.9\r\n\r\n",
    b"GET /" + b"a" * 200000 + b" HTTP/1.1\r\n\r\n", b"POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20000 + b"\r\n",
    b"POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x7f" * 5000], ids=range(10))
def test_garbage_on_a_port_harms_nobody(shared, port, garbage):
    host, number = getattr(shared, port).rsplit(":", 1)
    with socket.create_connection((host, int(number)), timeout=20) as connection:
        try:
            connection.sendall(garbage)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass
        except OSError:
            pass  # it may hang up on us
    assert shared.running()
    assert shared.call("GetCluster", pb.GetClusterRequest()).connected


@pytest.mark.parametrize("request_message, method, words", [
    (pb.ListGraphsRequest(page_size=-1), "ListGraphs", "page_size"),
    (pb.ListGraphsRequest(page_token="nonsense"), "ListGraphs", "page_token"),
    (pb.PopFinishedRequest(), "PopFinished", "client_queue"),
    (pb.CancelRequest(graph_id="g1", request_id="x" * 200), "Cancel", "request_id"),
])
def test_a_wrong_request_names_its_field(shared, request_message, method, words):
    with pytest.raises(grpc.RpcError) as error:
        shared.call(method, request_message)
    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert words in error.value.details()


def test_a_path_that_is_no_utf8_is_told_and_holds_nobody_up(start):
    # The reason of the failure quotes the PATH that was searched, which is ours.
    path = os.environb[b"PATH"] + b":/opt/caf\xe9/bin:/opt/\xff"
    service = start("--cpu", "1", environment={"PATH": path})
    graph = service.submit([task("missing", "no-such-program"), task("fine")])
    service.wait_for_graph(graph)
    assert service.states(graph) == {"missing": "FAILED", "fine": "SUCCEEDED"}
    (attempt,) = service.task(graph, "missing").attempts
    assert "no-such-program" in attempt.message
    assert attempt.message.endswith("/opt/caf\ufffd/bin:/opt/\ufffd)")
    after = service.submit([task("after")])
    service.wait_for_graph(after)
    assert service.states(after) == {"after": "SUCCEEDED"}


def test_names_of_resources_that_were_refused_are_in_nobodys_way(shared):
    for part in range(100):
        with pytest.raises(grpc.RpcError):
            shared.submit([task("no", consumption={f"nobody.has.{part}.{i}": 1 for i in range(50)})])
    graph = shared.submit([task("yes", consumption={"licences": 1})])
    shared.wait_for_graph(graph)
    assert shared.states(graph) == {"yes": "SUCCEEDED"}


def test_a_graph_names_a_few_resources_at_most(shared):
    error = refused(shared, [task(f"t{i}", consumption={f"many.{i}": 1}) for i in range(65)])
    assert any("64" in problem.message for problem in problems_of(error))
