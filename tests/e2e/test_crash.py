"""Being killed: the service at random moments, the agent, and orderly ends."""

import os
import random
import shutil
import signal
import subprocess
import time
import uuid

import grpc
import pytest

import harness
from harness import (SANITIZER, StartFailed, eventually, is_alive, outcome_name, pb, processes_of_state,
                     processes_with, random_graph, task)

ROUNDS = 2 if SANITIZER else 4


def lines(path):
    return path.read_text().split("\n")[:-1] if path.exists() else []


def test_a_running_task_is_found_again_after_a_kill(start, folder):
    service, gate, trace = start(), folder / "gate", folder / "trace"
    graph = service.submit([
        task("a", shell=f"echo a >> {trace}; while [ ! -e {gate} ]; do sleep 0.02; done; "
                        "printf kept > $KARTOGRAPH_RESULT; echo the log"),
        task("b", shell=f"echo b >> {trace}", after=["a"])], client_queue="q")
    service.wait_for_task(graph, "a", pb.TASK_STATE_RUNNING)
    eventually(lambda: lines(trace) == ["a"], "the task has begun")
    agent = service.agent_pid()
    service.kill()
    assert is_alive(agent)
    service.start()
    found = service.wait_for_task(graph, "a", pb.TASK_STATE_RUNNING)
    assert len(found.attempts) == 1
    assert service.agent_pid() == agent
    gate.touch()
    assert service.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED
    assert lines(trace) == ["a", "b"]
    assert [t.task_name for t in service.pop("q", wait=10)] == ["a", "b"]
    assert service.task(graph, "a").return_value == b"kept"
    assert service.log_of(graph, "a") == b"the log\n"


def test_a_task_that_ended_while_the_service_was_down_is_not_run_again(start, folder):
    service, gate, trace = start(), folder / "gate", folder / "trace"
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


def test_kills_at_random_moments_lose_nothing_and_run_nothing_twice(start, folder):
    seed = int(os.environ.get("KARTOGRAPH_SEED") or random.randrange(1 << 30))
    print(f"KARTOGRAPH_SEED={seed}")  # pytest shows it where the test fails
    rng = random.Random(seed)
    service = start("--cpu", "4", "--pool", "licences=2")
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


def test_a_kill_while_tasks_are_submitted_stores_all_or_nothing(start, folder):
    service = start("--cpu", "4")
    rng = random.Random(7)
    for _ in range(ROUNDS):
        request = uuid.uuid4().hex
        tasks = [task(f"t{i}", consumption={"cpu": 0.5}) for i in range(3000)]

        def messages():
            yield pb.SubmitGraphRequest(graph=pb.SubmitGraphRequest.Start(
                request_id=request, graph=pb.GraphSpec(name="big", open=True)))
            for begin in range(0, len(tasks), 500):
                yield pb.SubmitGraphRequest(tasks=pb.SubmitGraphRequest.TaskBatch(
                    tasks=tasks[begin:begin + 500]))
        call = service.stub.SubmitGraph.future(messages(), timeout=60)
        time.sleep(rng.uniform(0, 0.15))  # the random moment; nothing is expected of it
        service.kill()
        call.exception(60)  # it may have been answered, or not
        service.start()
        graphs = service.call("ListGraphs", pb.ListGraphsRequest(page_size=1000)).graphs
        assert all(graph.counts.total == 3000 for graph in graphs)
        # The client repeats what it has no answer for: there is one graph for it in the end.
        graph = service.submit(tasks, "big", request_id=request, open=True)
        service.cancel(graph)
        service.call("CloseGraph", pb.CloseGraphRequest(graph_id=graph))
    graphs = service.call("ListGraphs", pb.ListGraphsRequest(page_size=1000)).graphs
    assert [graph.counts.total for graph in graphs] == [3000] * ROUNDS


def test_a_killed_agent_costs_no_attempt_and_its_tasks_run_again(start, folder):
    service, trace, gate = start("--cpu", "4"), folder / "trace", folder / "gate"
    graph = service.submit([task(f"t{i}", shell=f"echo t{i} >> {trace}; while [ ! -e {gate} ]; "
                                                "do sleep 0.02; done") for i in range(3)])
    eventually(lambda: len(lines(trace)) == 3, "all tasks run")
    first = service.agent_pid()
    os.kill(first, signal.SIGKILL)
    eventually(lambda: service.agent_pid() not in (None, first), "there is a new agent")
    eventually(lambda: len(lines(trace)) == 6, lambda: f"all tasks run again: {lines(trace)}")
    gate.touch()
    assert service.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED
    for name in ("t0", "t1", "t2"):
        outcomes = [outcome_name(a.outcome) for a in service.task(graph, name).attempts]
        assert outcomes == ["LOST", "SUCCEEDED"]  # though max_attempts is 1


def test_nothing_of_a_killed_agents_tasks_runs_beside_their_next_attempt(start, folder):
    service, mark = start("--cpu", "4"), uuid.uuid4().hex
    graph = service.submit([task("a", "/usr/bin/python3", "-c", "import time; time.sleep(1000)", mark,
                                 grace=0.2)])
    eventually(lambda: len(processes_with(mark)) == 1, "the task runs")
    (before,) = processes_with(mark)
    os.kill(service.agent_pid(), signal.SIGKILL)
    eventually(lambda: processes_with(mark) not in ([], [before]), "the task runs again")
    assert before not in processes_with(mark)
    service.cancel(graph)
    service.wait_for_graph(graph)
    assert processes_with(mark) == []


def test_as_the_first_process_of_a_container_it_reaps_what_its_agent_leaves(start, folder, monkeypatch):
    isolated = ["unshare", "--fork", "--pid", "--mount-proc", "--kill-child"]
    if subprocess.run([*isolated, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine does not allow namespaces of processes")
    wrapper = folder / "first"
    wrapper.write_text(f'#!/bin/sh\nexec {" ".join(isolated)} {harness.KARTOGRAPHD} "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setattr(harness, "KARTOGRAPHD", wrapper)
    service, mark = start(), uuid.uuid4().hex
    service.submit([task("a", shell=f"setsid /usr/bin/python3 -c 'import time; time.sleep(1000)' {mark} "
                                    "& sleep 1000")])
    eventually(lambda: processes_with(mark), "the task runs")
    left = processes_with(mark) + [pid for pid in processes_of_state(service.state)
                                   if pid in processes_with("kartograph-local-agent")]
    agent = left[-1]
    assert len(left) >= 2
    os.kill(agent, signal.SIGKILL)
    # Until it is waited for, an ended process keeps its number.
    eventually(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in left), "all are reaped")
    service.kill()


def test_service_and_agent_killed_together_run_everything_in_the_end(start, folder):
    service, trace, gate = start("--cpu", "4"), folder / "trace", folder / "gate"
    graph = service.submit([task("a", shell=f"echo a >> {trace}; while [ ! -e {gate} ]; "
                                            "do sleep 0.02; done"), task("b", after=["a"])])
    eventually(lambda: lines(trace) == ["a"], "the task runs")
    os.kill(service.agent_pid(), signal.SIGKILL)
    service.kill()
    service.start()
    eventually(lambda: lines(trace) == ["a", "a"], "the task runs again")
    gate.touch()
    assert service.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED


def test_an_older_history_gets_nothing_of_what_it_has_not_launched(start, folder):
    service, old = start(), uuid.uuid4().hex
    state, copy = folder / "state", folder / "copy"
    assert service.terminate() == 0
    shutil.copytree(state, copy, ignore=shutil.ignore_patterns("agent.*", "sandboxes"))
    service.start()
    service.submit([task("a", shell="echo old; exit 3"),
                    task("b", shell="echo old; exec /usr/bin/python3 -c "
                                    f"'import time; time.sleep(1000)' {old}")])
    eventually(lambda: len(processes_with(old)) == 1, "the newer history's task runs")
    agent = service.agent_pid()
    service.kill()
    # The older copy takes the place of the history; the agent lives on.
    for file in state.glob("history.sqlite*"):
        file.unlink()
    for file in copy.glob("history.sqlite*"):
        shutil.copy(file, state)
    with pytest.raises(StartFailed) as refused:
        service.start()
    assert "graphs up to g1: its newest part is lost" in refused.value.stderr
    # Where nothing shows it, the ids come again.
    shutil.rmtree(state / "sandboxes")
    with pytest.raises(StartFailed) as refused:
        service.start()
    assert "it had graphs up to g1, says" in refused.value.stderr
    (state / "history.mark").unlink()
    service.start()
    graph = service.submit([task("a", shell="echo new; printf 1 > $KARTOGRAPH_RESULT"),
                            task("b", shell="echo new")])
    assert service.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED
    assert service.agent_pid() == agent
    assert [service.log_of(graph, name) for name in ("a", "b")] == [b"new\n", b"new\n"]
    assert service.task(graph, "a").return_value == b"1"
    assert processes_with(old) == []


def test_a_history_that_lost_its_end_is_gone_on_with_only_when_asked(start, folder):
    service = start()
    graph = service.submit([task("a")])
    service.wait_for_graph(graph)
    service.kill()
    for file in (folder / "state").glob("history.sqlite*"):
        file.unlink()
    with pytest.raises(StartFailed) as refused:
        service.start()
    assert refused.value.code == 1
    assert "--accept-lost-history" in refused.value.stderr and "ends with nothing" in refused.value.stderr
    service.start("--accept-lost-history")
    assert not service.call("ListGraphs", pb.ListGraphsRequest()).graphs
    again = service.submit([task("a")])
    assert service.wait_for_graph(again).state == pb.GRAPH_STATE_SUCCEEDED
    assert int(again[1:]) > int(graph[1:]), "an answered id does not come again"
    assert service.terminate() == 0
    service.start()  # what was accepted is written down
    assert int(service.submit([task("a")])[1:]) == int(again[1:]) + 1


def test_an_agent_that_is_stopped_goes_on_with_what_it_had(start, folder):
    service, gate = start(), folder / "gate"
    graph = service.submit([task("a", shell=f"while [ ! -e {gate} ]; do sleep 0.02; done"),
                            task("b", shell="sleep 1000", timeout=1)])
    service.wait_for_task(graph, "a", pb.TASK_STATE_RUNNING)
    agent = service.agent_pid()
    os.kill(agent, signal.SIGSTOP)
    try:
        eventually(lambda: "does not answer" in service.stderr(), "it is noticed")
    finally:
        os.kill(agent, signal.SIGCONT)
    gate.touch()
    assert service.wait_for_task(graph, "a", pb.TASK_STATE_SUCCEEDED).attempts[0].number == 1
    failed = service.wait_for_task(graph, "b", pb.TASK_STATE_FAILED)
    assert [outcome_name(a.outcome) for a in failed.attempts] == ["TIMED_OUT"]
    assert service.agent_pid() == agent


def test_sigterm_leaves_running_attempts_to_be_found_again(start, folder):
    service, gate, trace = start(), folder / "gate", folder / "trace"
    graph = service.submit([task("a", shell=f"echo a >> {trace}; while [ ! -e {gate} ]; "
                                            "do sleep 0.02; done")])
    eventually(lambda: lines(trace) == ["a"], "the task runs")
    assert service.terminate() == 0
    assert is_alive(service.agent_pid())
    service.start()
    assert service.wait_for_task(graph, "a", pb.TASK_STATE_RUNNING).attempts[0].number == 1
    gate.touch()
    assert service.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED
    assert lines(trace) == ["a"]


def test_sigterm_answers_those_who_wait(start):
    service = start()
    graph = service.submit([task("a", "sleep", "1000", grace=0.1)])
    pop = pb.PopFinishedRequest(client_queue="q")
    pop.wait.FromSeconds(300)
    waiting = service.stub.PopFinished.future(pop, timeout=300)
    watching = service.stub.WatchGraph(pb.WatchGraphRequest(graph_id=graph), timeout=300)
    next(watching)
    since = time.monotonic()
    service.process.terminate()
    assert service.process.wait(60) == 0
    assert time.monotonic() - since < 30
    assert waiting.exception(60).code() == grpc.StatusCode.UNAVAILABLE
    with pytest.raises(grpc.RpcError) as error:
        list(watching)
    assert error.value.code() == grpc.StatusCode.UNAVAILABLE


def test_drain_waits_for_what_runs_and_starts_nothing_more(start, folder):
    service, gate, trace = start("--drain"), folder / "gate", folder / "trace"
    graph = service.submit([task("a", shell=f"echo a >> {trace}; while [ ! -e {gate} ]; "
                                            "do sleep 0.02; done"),
                            task("b", shell=f"echo b >> {trace}", after=["a"])])
    eventually(lambda: lines(trace) == ["a"], "the task runs")
    service.process.terminate()
    # It takes no more work while it drains.
    def refused():
        try:
            service.submit([task("late")])
        except grpc.RpcError as error:
            return error.code() == grpc.StatusCode.UNAVAILABLE
        return False
    eventually(refused, "new work is refused")
    assert service.running()
    gate.touch()
    assert service.process.wait(60) == 0
    assert lines(trace) == ["a"]
    eventually(lambda: not processes_of_state(service.state), "nothing is left running")
    service.flags.remove("--drain")
    service.start()
    assert service.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED
    assert lines(trace) == ["a", "b"]
    assert len(service.task(graph, "a").attempts) == 1


def test_a_back_off_goes_on_after_a_restart(start, folder):
    service, trace = start(), folder / "trace"
    graph = service.submit([task("flaky", shell=f"echo x >> {trace}; [ $(wc -l < {trace}) -ge 3 ]",
                                 max_attempts=3, retry_delay=0.4)])
    eventually(lambda: lines(trace), "the first attempt has run")
    service.kill()
    service.start()
    assert service.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED
    assert len(lines(trace)) == 3


def test_a_cancel_before_a_kill_is_carried_out_after_it(start):
    service, mark = start(), uuid.uuid4().hex
    graph = service.submit([task("a", "/usr/bin/python3", "-c", "import time; time.sleep(1000)", mark,
                                 grace=0.2), task("b", after=["a"])])
    eventually(lambda: processes_with(mark), "the task runs")
    service.cancel(graph)
    service.kill()
    service.start()
    assert service.wait_for_graph(graph).state == pb.GRAPH_STATE_CANCELLED
    assert processes_with(mark) == []


def test_tasks_find_the_environment_of_the_present_service_and_no_secret(start, folder):
    service = start(environment={"FLAVOUR": "first", "KARTOGRAPH_MESOS_SECRET": "hush-hush"})

    def environment():
        graph = service.submit([task("a", "env", consumption={"cpu": 1, "ram": 64 << 20})])
        assert service.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED
        return dict(line.split("=", 1) for line in
                    service.log_of(graph, "a").decode().splitlines() if "=" in line)
    found = environment()
    assert found["FLAVOUR"] == "first" and found["KARTOGRAPH_RAM"] == str(64 << 20)
    assert found["KARTOGRAPH_CPU"] == found["OMP_NUM_THREADS"] == "1"
    assert "KARTOGRAPH_MESOS_SECRET" not in found
    agent = service.agent_pid()
    with open(f"/proc/{agent}/environ", "rb") as environ:
        assert b"hush" not in environ.read()
    # The agent stays, as it has something to run.
    gate = folder / "gate"
    held = service.submit([task("held", shell=f"while [ ! -e {gate} ]; do sleep 0.02; done")])
    service.wait_for_task(held, "held", pb.TASK_STATE_RUNNING)
    service.terminate()
    service.environment = {"FLAVOUR": "second"}
    service.start()
    assert service.agent_pid() == agent
    assert environment()["FLAVOUR"] == "second"
    gate.touch()
    service.wait_for_graph(held)


def test_a_state_folder_that_was_renamed_while_the_service_was_stopped_is_used_as_it_is(start, folder):
    service = start(state=folder / "before")
    done = service.submit([task("a", shell="echo said; printf kept > $KARTOGRAPH_RESULT")])
    service.wait_for_graph(done)
    gate = folder / "gate"
    running = service.submit([task("b", shell=f"while [ ! -e {gate} ]; do sleep 0.05; done")])
    service.wait_for_task(running, "b", pb.TASK_STATE_RUNNING)
    service.terminate()
    (folder / "before").rename(folder / "after")
    service.use_state(folder / "after")
    service.start()
    assert service.log_of(done, "a") == b"said\n"
    assert service.task(done, "a").return_value == b"kept"
    # What ran meanwhile either goes on or was lost and runs again, and nothing is left behind.
    gate.touch()
    assert service.wait_for_graph(running).state == pb.GRAPH_STATE_SUCCEEDED
    later = service.submit([task("c", shell="echo later")])
    assert service.wait_for_graph(later).state == pb.GRAPH_STATE_SUCCEEDED
    assert service.log_of(later, "c") == b"later\n"
    assert not (folder / "before").exists()
    eventually(lambda: not processes_of_state(folder / "before"), "the agent there has left")
