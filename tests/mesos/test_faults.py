"""What may go away on a Mesos cluster, and what then happens to tasks."""

import os
import random
import time
import uuid

import pytest
from harness import (SANITIZER, StartFailed, eventually, outcome_name, pb, processes_with, random_graph,
                     state_name, task)

ROUNDS = 2 if SANITIZER else 3


def lines(path):
    return path.read_text().split("\n")[:-1] if path.exists() else []


def gated(name, trace, gate, **fields):
    """A task that says that it runs and waits for a file."""
    return task(name, shell=f"echo {name} >> {trace}; while [ ! -e {gate} ]; do sleep 0.02; done; "
                            f"printf kept > $KARTOGRAPH_RESULT", **fields)


def outcomes(service, graph, name):
    return [outcome_name(attempt.outcome) for attempt in service.task(graph, name).attempts]


# --- kartographd ---------------------------------------------------------------------------------


def test_a_running_task_is_found_again_after_a_kill(mesos, folder):
    cluster = mesos.cluster()
    service, gate, trace = mesos.service(cluster), folder / "gate", folder / "trace"
    graph = service.submit([gated("a", trace, gate),
                            task("b", shell=f"echo b >> {trace}", after=["a"])], client_queue="q")
    eventually(lambda: lines(trace) == ["a"], "the task has begun")
    identity = (service.state / "mesos-framework").read_text()
    service.kill()
    service.start()
    assert len(service.wait_for_task(graph, "a", pb.TASK_STATE_RUNNING).attempts) == 1
    assert (service.state / "mesos-framework").read_text() == identity
    gate.touch()
    assert service.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED
    assert lines(trace) == ["a", "b"]
    assert [t.task_name for t in service.pop("q", wait=10)] == ["a", "b"]
    assert service.task(graph, "a").return_value == b"kept"


def test_a_task_that_ended_while_the_service_was_down_is_not_run_again(mesos, folder):
    cluster = mesos.cluster()
    service, gate, trace = mesos.service(cluster), folder / "gate", folder / "trace"
    graph = service.submit([task("a", shell=f"while [ ! -e {gate} ]; do sleep 0.02; done; "
                                            f"printf kept > $KARTOGRAPH_RESULT; echo a >> {trace}")])
    service.wait_for_task(graph, "a", pb.TASK_STATE_RUNNING)
    service.kill()
    gate.touch()
    eventually(lambda: lines(trace) == ["a"], "the task has ended")
    service.start()
    assert service.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED
    a = service.task(graph, "a")
    assert lines(trace) == ["a"] and len(a.attempts) == 1 and a.return_value == b"kept"


def test_kills_at_random_moments_lose_nothing_and_run_nothing_twice(mesos, folder):
    seed = int(os.environ.get("KARTOGRAPH_SEED") or random.randrange(1 << 30))
    print(f"KARTOGRAPH_SEED={seed}")  # pytest shows it where the test fails
    rng = random.Random(seed)
    cluster = mesos.cluster("--agents", 2)
    service = mesos.service(cluster, "--pool", "licences=2")
    for number in range(ROUNDS):
        trace, queue = folder / f"trace.{number}", f"queue{number}"
        tasks = random_graph(rng, trace)
        graph = service.submit(tasks, client_queue=queue, request_id=uuid.uuid4().hex)
        for _ in range(3):
            time.sleep(rng.uniform(0, 0.8))  # the random moment; nothing is expected of it
            service.kill()
            service.start()
        ended = service.wait_for_graph(graph)
        assert ended.state == pb.GRAPH_STATE_SUCCEEDED
        assert sorted(lines(trace)) == sorted(t.name for t in tasks)
        order = {name: i for i, name in enumerate(lines(trace))}
        assert all(order[before] < order[t.name] for t in tasks for before in t.after)
        finished = service.pop(queue, max_tasks=1000, wait=10)
        assert {t.task_name: t.return_value for t in finished} == {
            t.name: b"value" + t.name[1:].encode() for t in tasks}
    assert cluster.state()["counters"]["overpromised"] == 0


def test_sigterm_leaves_running_attempts_to_be_found_again(mesos, folder):
    cluster = mesos.cluster()
    service, gate, trace = mesos.service(cluster), folder / "gate", folder / "trace"
    graph = service.submit([gated("a", trace, gate)])
    eventually(lambda: lines(trace) == ["a"], "the task runs")
    assert service.terminate() == 0
    service.start()
    service.wait_for_task(graph, "a", pb.TASK_STATE_RUNNING)
    gate.touch()
    assert service.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED
    assert lines(trace) == ["a"]


def test_a_cancel_before_a_kill_is_carried_out_after_it(mesos):
    service, mark = mesos.service(mesos.cluster()), uuid.uuid4().hex
    graph = service.submit([task("a", "/usr/bin/python3", "-c", "import time; time.sleep(1000)", mark,
                                 grace=0.2), task("b", after=["a"])])
    eventually(lambda: processes_with(mark), "the task runs")
    service.cancel(graph)
    service.kill()
    service.start()
    assert service.wait_for_graph(graph).state == pb.GRAPH_STATE_CANCELLED
    assert processes_with(mark) == []


# --- the executor --------------------------------------------------------------------------------


def test_a_killed_executor_costs_no_attempt_and_its_tasks_run_again(mesos, folder):
    cluster = mesos.cluster()
    service, gate, trace = mesos.service(cluster), folder / "gate", folder / "trace"
    graph = service.submit([gated(f"t{i}", trace, gate) for i in range(3)])
    eventually(lambda: len(lines(trace)) == 3, "all tasks run")
    cluster.do("/agent/0/kill_executor")
    eventually(lambda: len(lines(trace)) == 6, lambda: f"all tasks run again: {lines(trace)}")
    gate.touch()
    assert service.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED
    for name in ("t0", "t1", "t2"):
        assert outcomes(service, graph, name) == ["LOST", "SUCCEEDED"]  # though max_attempts is 1


def test_nothing_of_a_killed_executors_tasks_runs_beside_their_next_attempt(mesos):
    cluster = mesos.cluster()
    service, mark = mesos.service(cluster), uuid.uuid4().hex
    graph = service.submit([task("a", "/usr/bin/python3", "-c", "import time; time.sleep(1000)", mark,
                                 grace=0.2)])
    eventually(lambda: len(processes_with(mark)) == 1, "the task runs")
    (before,) = processes_with(mark)
    cluster.do("/agent/0/kill_executor")
    eventually(lambda: processes_with(mark) not in ([], [before]), "the task runs again")
    eventually(lambda: before not in processes_with(mark), "the first has ended")
    service.cancel(graph)
    service.wait_for_graph(graph)
    assert processes_with(mark) == []


def test_service_and_executor_killed_together_run_everything_in_the_end(mesos, folder):
    cluster = mesos.cluster()
    service, gate, trace = mesos.service(cluster), folder / "gate", folder / "trace"
    graph = service.submit([gated("a", trace, gate), task("b", after=["a"])])
    eventually(lambda: lines(trace) == ["a"], "the task runs")
    service.kill()
    cluster.do("/agent/0/kill_executor")
    service.start()
    eventually(lambda: lines(trace) == ["a", "a"], "the task runs again")
    gate.touch()
    assert service.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED


# --- agents --------------------------------------------------------------------------------------


def test_tasks_outlive_a_restart_of_their_agent(mesos, folder):
    cluster = mesos.cluster()
    service, gate, trace = mesos.service(cluster), folder / "gate", folder / "trace"
    graph = service.submit([gated("a", trace, gate), task("b", after=["a"])])
    eventually(lambda: lines(trace) == ["a"], "the task runs")
    cluster.do("/agent/0/restart", down_ms=200)
    gate.touch()
    assert service.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED
    assert lines(trace) == ["a"] and outcomes(service, graph, "a") == ["SUCCEEDED"]
    assert service.task(graph, "a").return_value == b"kept"


def test_an_agent_out_of_reach_keeps_its_task_which_runs_on(mesos, folder):
    cluster = mesos.cluster()
    service, gate, trace = mesos.service(cluster), folder / "gate", folder / "trace"
    graph = service.submit([gated("a", trace, gate)])
    service.wait_for_task(graph, "a", pb.TASK_STATE_RUNNING)
    eventually(lambda: lines(trace) == ["a"], "the task has begun")
    cluster.do("/agent/0/unreachable")
    eventually(lambda: "reach" in service.cli("status", graph, "--tasks").stdout,
               lambda: f"status says so: {service.cli('status', graph, '--tasks').stdout}")
    gate.touch()
    assert state_name(service.task(graph, "a").state) == "RUNNING"
    cluster.do("/agent/0/heal")
    assert service.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED
    assert lines(trace) == ["a"] and outcomes(service, graph, "a") == ["SUCCEEDED"]


def test_tasks_of_an_agent_that_is_gone_run_elsewhere(mesos, folder):
    cluster = mesos.cluster("--agents", 2)
    service, gate, trace = mesos.service(cluster), folder / "gate", folder / "trace"
    graph = service.submit([gated(f"t{i}", trace, gate, consumption={"cpu": 4}) for i in range(2)])
    eventually(lambda: len(lines(trace)) == 2, "both run")
    cluster.do("/agent/0/gone")
    eventually(lambda: sorted(outcomes(service, graph, f"t{i}")[0] for i in range(2))
               == ["GONE", "UNSPECIFIED"], "one of them is known to be gone")
    gate.touch()
    assert service.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED
    assert sorted(outcomes(service, graph, f"t{i}") for i in range(2)) == [
        ["GONE", "SUCCEEDED"], ["SUCCEEDED"]]


# --- the master ----------------------------------------------------------------------------------


def test_another_master_takes_over_while_tasks_run(mesos, folder):
    cluster = mesos.cluster("--agents", 2)
    service, gate, trace = mesos.service(cluster), folder / "gate", folder / "trace"
    graph = service.submit([gated("a", trace, gate),
                            task("b", shell=f"echo b >> {trace}", after=["a"])])
    eventually(lambda: lines(trace) == ["a"], "the task runs")
    cluster.do("/failover", agents_ms=300)
    gate.touch()
    assert service.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED
    assert lines(trace) == ["a", "b"] and outcomes(service, graph, "a") == ["SUCCEEDED"]


def test_many_small_faults_of_the_connection_lose_nothing(mesos, folder):
    seed = int(os.environ.get("KARTOGRAPH_SEED") or random.randrange(1 << 30))
    print(f"KARTOGRAPH_SEED={seed}")
    rng = random.Random(seed)
    cluster = mesos.cluster("--agents", 2, "--heartbeat-ms", 200)
    service, trace = mesos.service(cluster, "--pool", "licences=2"), folder / "trace"
    cluster.do("/repeat_updates")
    cluster.do("/reorder_updates")
    tasks = random_graph(rng, trace, 80)
    graph = service.submit(tasks)
    faults = ["/close", "/cut_record", "/silence", "/rescind", "/next?status=503", "/failover"]
    rng.shuffle(faults)
    for number, fault in enumerate(faults):
        eventually(lambda: len(lines(trace)) >= 10 * number, f"{10 * number} tasks have run")
        path, _, status = fault.partition("?status=")
        cluster.do(path, **({"status": status} if status else {}))
    assert service.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED
    assert sorted(lines(trace)) == sorted(t.name for t in tasks)
    state = cluster.state()
    assert state["counters"]["overpromised"] == 0 and state["counters"]["redundant_launches"] == 0


# --- identity ------------------------------------------------------------------------------------


def test_a_lost_identity_is_not_guessed_and_can_be_given_up(mesos, folder):
    cluster = mesos.cluster()
    service, gate, trace = mesos.service(cluster), folder / "gate", folder / "trace"
    graph = service.submit([gated("a", trace, gate)])
    eventually(lambda: lines(trace) == ["a"], "the task runs")
    assert service.terminate() == 0
    (service.state / "mesos-framework").unlink()
    service.start()
    eventually(lambda: "--mesos-abandon unknown" in service.stderr(), "it says what to do")
    assert lines(trace) == ["a"]  # nothing runs twice while its state is unknown
    assert service.terminate() == 0
    gate.touch()
    service.start("--mesos-abandon", "unknown")
    assert service.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED
    assert outcomes(service, graph, "a") == ["LOST", "SUCCEEDED"]


def test_a_history_that_is_gone_is_not_taken_for_a_new_one(mesos, folder):
    service = mesos.service(mesos.cluster())
    graph = service.submit([gated("a", folder / "trace", folder / "gate")])
    eventually(lambda: lines(folder / "trace") == ["a"], "the task runs")
    service.kill()
    for file in service.state.glob("history.sqlite*"):
        file.unlink()
    with pytest.raises(StartFailed) as refused:
        service.start()
    assert "ends with nothing" in refused.value.stderr and "--accept-lost-history" in refused.value.stderr
    service.start("--accept-lost-history")
    again = service.submit([task("a", shell="echo new")])
    assert service.wait_for_graph(again).state == pb.GRAPH_STATE_SUCCEEDED
    assert int(again[1:]) > int(graph[1:]), "an answered id does not come again"


def test_a_framework_can_be_given_up_with_what_runs_under_it(mesos, folder):
    cluster = mesos.cluster()
    service, gate, trace = mesos.service(cluster), folder / "gate", folder / "trace"
    graph = service.submit([gated("a", trace, gate)])
    eventually(lambda: lines(trace) == ["a"], "the task runs")
    identity = (service.state / "mesos-framework").read_text().strip()
    assert service.terminate() == 0
    gate.touch()
    service.start("--mesos-abandon", identity)
    assert service.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED
    assert (service.state / "mesos-framework").read_text().strip() != identity
    (framework,) = cluster.state()["frameworks"]
    assert framework["id"] != identity


def test_of_two_services_with_one_identity_the_later_stays(mesos, folder):
    cluster = mesos.cluster()
    first = mesos.service(cluster)
    first.wait_for_graph(first.submit([task("a")]))
    other = folder / "other"
    other.mkdir()
    (other / "mesos-framework").write_text((first.state / "mesos-framework").read_text())
    second = mesos.service(cluster, state=other)
    eventually(lambda: "another kartographd has taken over" in first.stderr(), "the first says so")
    assert second.wait_for_graph(second.submit([task("b")])).state == pb.GRAPH_STATE_SUCCEEDED
    assert first.running()  # and answers questions
    assert first.call("ListGraphs", pb.ListGraphsRequest(page_size=10)).graphs
