"""Results and logs of a megabyte and more, and graphs of many tasks."""

import grpc
import pytest

from harness import outcome_name, pb, task

MEBIBYTE = 1 << 20
# Bytes that no text conversion survives, different at every offset modulo 251.
PATTERN = "import sys; sys.stdout.buffer.write((bytes(range(251)) * (%d // 251 + 1))[:%d])"


def pattern(size):
    return (bytes(range(251)) * (size // 251 + 1))[:size]


def write_pattern(size, where=""):
    return f"/usr/bin/python3 -c '{PATTERN % (size, size)}' {where}"


def test_results_of_a_megabyte_arrive_whole(shared):
    graph = shared.submit([task(f"t{i}", shell=write_pattern(MEBIBYTE + i, "> $KARTOGRAPH_RESULT"))
                           for i in range(6)], client_queue="large")
    assert shared.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED
    assert shared.task(graph, "t3").return_value == pattern(MEBIBYTE + 3)
    got = {}
    while len(got) < 6:
        page = shared.pop("large", wait=10)
        assert page, "the queue is empty before all have come"
        # An answer stays below 4 MiB, which is what clients take by default.
        assert sum(len(t.return_value) for t in page) < 4 * MEBIBYTE
        got.update((t.task_name, t.return_value) for t in page)
        shared.pop("large", acknowledge=[t.delivery_id for t in page], max_tasks=-1)
    assert got == {f"t{i}": pattern(MEBIBYTE + i) for i in range(6)}


def read_result(service, graph, name, **more):
    request = pb.ReadResultRequest(graph_id=graph, task_name=name, **more)
    return b"".join(part.data for part in service.stub.ReadResult(request, timeout=60))


def test_a_client_with_grpcs_default_limit_gets_past_a_large_result_and_can_read_it(shared):
    size = 5 * MEBIBYTE + 1
    graph = shared.submit(
        [task("large", shell=write_pattern(size, "> $KARTOGRAPH_RESULT")),
         task("failed", shell=write_pattern(size, "> $KARTOGRAPH_RESULT") + "; exit 3"),
         task("after", shell="printf small > $KARTOGRAPH_RESULT", after=["large"])],
        client_queue="five")
    shared.wait_for_graph(graph)
    finished = {t.task_name: t for t in shared.pop("five", wait=10)}
    assert set(finished) == {"large", "failed", "after"}
    large = finished["large"]
    assert large.return_value == b"" and large.value_bytes == size and large.attempt == 1
    assert finished["failed"].exception.value == b"" and finished["failed"].value_bytes == size
    assert finished["after"].return_value == b"small" and finished["after"].value_bytes == 5
    assert read_result(shared, graph, "large", attempt=large.attempt) == pattern(size)
    assert read_result(shared, graph, "failed", offset=size - 9) == pattern(size)[-9:]
    known = shared.task(graph, "large")
    assert list(known.omitted) == ["return_value"] and known.return_value_bytes == size
    printed = shared.cli("result", graph, "large", text=False)
    assert printed.returncode == 0 and printed.stdout == pattern(size)
    with pytest.raises(grpc.RpcError) as none:
        read_result(shared, graph, "large", attempt=2)
    assert none.value.code() == grpc.StatusCode.NOT_FOUND


def test_a_client_with_grpcs_default_limit_can_look_at_every_task(shared):
    names = [f"{'n' * 240}-{i}" for i in range(20000)]
    graph = shared.submit(
        [task(name) for name in names] + [task("last", after=names),
                                          task("script", shell=": " + "x" * (5 * MEBIBYTE))])
    last = shared.task(graph, "last")
    assert list(last.omitted) == ["spec.after"]
    assert list(last.spec.after) == names[:len(last.spec.after)] and len(last.spec.after) > 10000
    script = shared.task(graph, "script")
    assert list(script.omitted) == ["spec.command"] and script.name == "script"
    seen = [t.name for t in shared.tasks(graph, full=True).values()]
    assert seen == names + ["last", "script"]
    shown = shared.cli("status", graph, "last")
    assert shown.returncode == 0 and names[-1] in shown.stdout
    shared.cancel(graph)
    shared.wait_for_graph(graph)


def test_a_result_over_the_limit_is_said_so(shared):
    graph = shared.submit([task("huge", shell="head -c 67108865 /dev/zero > $KARTOGRAPH_RESULT")])
    assert shared.wait_for_graph(graph).state == pb.GRAPH_STATE_FAILED
    huge = shared.task(graph, "huge")
    assert outcome_name(huge.attempts[0].outcome) == "RESULT_TOO_LARGE"
    assert "67108865 bytes; the limit is 64MiB" in huge.reason


def test_logs_of_a_megabyte_arrive_whole_and_from_any_offset(shared):
    graph = shared.submit([task("loud", shell=write_pattern(MEBIBYTE) + "; "
                                + write_pattern(2 * MEBIBYTE, ">&2"))])
    assert shared.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED
    assert shared.log_of(graph, "loud") == pattern(MEBIBYTE)
    assert shared.log_of(graph, "loud", pb.LOG_STREAM_STDERR) == pattern(2 * MEBIBYTE)
    assert shared.log_of(graph, "loud", offset=MEBIBYTE - 10) == pattern(MEBIBYTE)[-10:]
    assert shared.log_of(graph, "loud", offset=-7) == pattern(MEBIBYTE)[-7:]
    assert shared.log_of(graph, "loud", offset=MEBIBYTE + 5) == b""


def test_the_command_line_prints_a_log_of_a_megabyte_byte_by_byte(shared):
    graph = shared.submit([task("loud", shell=write_pattern(MEBIBYTE))])
    shared.wait_for_graph(graph)
    logs = shared.cli("logs", graph, "loud", text=False)
    assert logs.returncode == 0 and logs.stdout == pattern(MEBIBYTE)


def test_following_a_log_gives_what_comes_until_the_end(shared, folder):
    gate = folder / "gate"
    graph = shared.submit([task("slow", shell=f"echo first; while [ ! -e {gate} ]; do sleep 0.02; "
                                              f"done; {write_pattern(MEBIBYTE)}")])
    shared.wait_for_task(graph, "slow", pb.TASK_STATE_RUNNING)
    request = pb.ReadLogRequest(graph_id=graph, task_name="slow", follow=True)
    parts = shared.stub.ReadLog(request, timeout=60)
    # The message before it only says that there is an attempt, which may have written nothing yet.
    assert next(part.data for part in parts if part.data) == b"first\n"
    gate.touch()
    assert b"".join(part.data for part in parts) == pattern(MEBIBYTE)


def test_following_ends_when_a_waiting_task_is_cancelled(shared):
    graph = shared.submit([task("a", "sleep", "1000", grace=0.1), task("b", after=["a"])])
    request = pb.ReadLogRequest(graph_id=graph, task_name="b", follow=True)
    follower = shared.stub.ReadLog(request, timeout=60)
    shared.cancel(graph)
    # The same whether the service began to follow before or after the cancellation.
    for call in (follower, shared.stub.ReadLog(request, timeout=60)):
        with pytest.raises(grpc.RpcError) as error:
            b"".join(part.data for part in call)
        assert error.value.code() == grpc.StatusCode.NOT_FOUND
        assert error.value.details() == 'task "b" ended without being launched'


def test_a_log_of_a_task_that_is_not_there_is_not_found(shared):
    graph = shared.submit([task("a")])
    shared.wait_for_graph(graph)
    for name, attempt in (("nobody", 0), ("a", 9)):
        with pytest.raises(grpc.RpcError) as error:
            shared.log_of(graph, name, attempt=attempt)
        assert error.value.code() == grpc.StatusCode.NOT_FOUND


def test_a_graph_of_twenty_thousand_tasks_is_taken_in_one_stream_and_cancelled(shared):
    tasks = [task("gate", "sleep", "1000", grace=0.1)]
    tasks += [task(f"t{i}", after=["gate"]) for i in range(20000)]
    graph = shared.submit(tasks)
    assert shared.graph(graph).counts.waiting == 20000
    assert len(shared.tasks(graph, full=False)) == 20001
    assert shared.cancel(graph) == 20001
    ended = shared.wait_for_graph(graph)
    assert ended.state == pb.GRAPH_STATE_CANCELLED
    assert ended.counts.cancelled + ended.counts.skipped == 20001


def test_a_thousand_short_tasks_leave_a_whole_history(shared):
    graph = shared.submit([task(f"t{i}", consumption={"cpu": 0.1}) for i in range(1000)])
    assert shared.wait_for_graph(graph).counts.succeeded == 1000
    assert all(len(t.attempts) == 1 and t.attempts[0].exit_status == 0
               for t in shared.tasks(graph).values())
