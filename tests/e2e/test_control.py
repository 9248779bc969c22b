"""Parts of a graph cancelled and tried again, graphs forgotten, queues emptied, slots."""

import json
import os
import signal
import uuid

import grpc
import pytest
from harness import eventually, greatest_overlap, pb, problems_of, task

DONE, NOT_SUCCEEDED, WRONG = 0, 1, 2


def fails_once(folder, name):
    """A command that fails until the file is there that it makes."""
    return f"if [ -e {folder}/{name} ]; then exit 0; fi; touch {folder}/{name}; exit 1"


def test_a_failed_task_is_retried_with_what_was_skipped_while_its_graph_runs(shared, folder):
    gate = folder / "gate"
    graph = shared.submit([task("a", shell=fails_once(folder, "a")), task("b", after=["a"]),
                           task("long", shell=f"while [ ! -e {gate} ]; do sleep 0.02; done")])
    shared.wait_for_task(graph, "b", pb.TASK_STATE_SKIPPED)
    retried = shared.cli("retry", graph, "a")
    assert (retried.returncode, retried.stdout) == (DONE, f"2 tasks of graph ({graph}) will run again\n")
    shared.wait_for_task(graph, "b", pb.TASK_STATE_SUCCEEDED)
    again = shared.cli("retry", graph, "a")
    assert again.stdout == "nothing to retry: a has not failed, nor been cancelled or skipped\n"
    gate.touch()
    assert shared.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED
    assert [a.number for a in shared.task(graph, "a").attempts] == [1, 2]


def test_one_task_of_an_ended_graph_is_retried_alone(shared, folder):
    graph = shared.submit([task("tree/a", shell=fails_once(folder, "a")),
                           task("tree/b", shell=fails_once(folder, "b")), task("c", shell="exit 1"),
                           task("after-a", after=["tree/a"])])
    assert shared.wait_for_graph(graph).state == pb.GRAPH_STATE_FAILED
    assert shared.cli("retry", graph, "tree/*", "--wait").returncode == NOT_SUCCEEDED
    assert shared.states(graph) == {"tree/a": "SUCCEEDED", "tree/b": "SUCCEEDED", "c": "FAILED",
                                    "after-a": "SUCCEEDED"}
    assert len(shared.task(graph, "c").attempts) == 1
    unknown = shared.cli("retry", graph, "nobody")
    assert unknown.returncode == WRONG and "nobody" in unknown.stderr
    nothing = shared.cli("retry", graph, "forest/*")
    assert nothing.returncode == WRONG
    assert f'({graph}) matches "forest/*" and is failed, cancelled or skipped\n' in nothing.stderr


def test_tasks_are_cancelled_by_pattern_and_what_is_skipped_is_counted(shared, folder):
    gate = folder / "gate"
    wait = f"while [ ! -e {gate} ]; do sleep 0.02; done"
    graph = shared.submit([task("root", shell=wait), *[task(f"tree/{i}", after=["root"])
                                                       for i in range(5)],
                           task("leaf", after=["tree/0", "tree/1"])])
    shared.wait_for_task(graph, "root", pb.TASK_STATE_RUNNING)
    cancelled = shared.cli("cancel", graph, "tree/*")
    assert cancelled.stdout == (f"5 tasks of graph ({graph}) are being cancelled; "
                                "1 that comes after them is skipped\n")
    assert shared.task(graph, "leaf").state == pb.TASK_STATE_SKIPPED
    assert shared.task(graph, "tree/3").state == pb.TASK_STATE_CANCELLED
    gate.touch()
    assert shared.wait_for_graph(graph).state == pb.GRAPH_STATE_CANCELLED
    assert shared.cli("cancel", graph, "tree/0", "leaf").stdout == (
        "nothing to cancel: tree/0, leaf have ended\n")


def test_a_graph_is_forgotten_with_its_logs(start):
    service, queue = start(), "waiting"
    graph = service.submit([task("a", shell="echo something")], client_queue=queue)
    service.wait_for_graph(graph)
    sandbox = service.task(graph, "a").attempts[0].sandbox
    assert os.path.exists(os.path.join(sandbox, "stdout"))
    early = service.cli("forget", graph)
    assert early.returncode == NOT_SUCCEEDED and "client queue" in early.stderr
    assert service.cli("queue", "purge", queue).stdout == f"1 finished task of queue {queue} is gone\n"
    forgotten = service.cli("forget", graph)
    assert forgotten.returncode == DONE, forgotten.stderr
    assert "forgotten" in forgotten.stdout
    assert service.cli("status", graph).returncode == WRONG
    eventually(lambda: not os.path.exists(sandbox), "the sandbox is removed")
    running = service.submit([task("long", shell="sleep 1000")])
    refused = service.cli("forget", running)
    assert refused.returncode == NOT_SUCCEEDED and "still running" in refused.stderr
    service.cancel(running)


def test_queues_at_the_terminal(shared):
    queue = "queue-" + uuid.uuid4().hex
    graph = shared.submit([task("good"), task("bad", shell="exit 7")], client_queue=queue)
    shared.wait_for_graph(graph)
    assert queue in shared.cli("queue", "list").stdout
    looked = shared.cli("queue", "pop", queue, "--keep")
    assert "exited with status 7" in looked.stdout and "good" in looked.stdout
    popped = json.loads(shared.cli("--json", "queue", "pop", queue, "--limit", "1").stdout)
    assert len(popped["tasks"]) == 1
    assert shared.cli("queue", "pop", queue).stdout.count(graph) == 1
    assert shared.cli("queue", "pop", queue).stdout == f"no finished task waits in queue {queue}\n"
    assert queue not in shared.cli("queue", "list").stdout
    assert shared.cli("queue", "purge", queue).stdout == f"no finished task waits in queue {queue}\n"
    assert shared.cli("queue").returncode == WRONG


@pytest.mark.parametrize("how, said", [
    (dict(arguments=["pyhton3"]), "No such file"),
    (dict(arguments=["/etc/passwd"]), "Permission denied"),
    (dict(arguments=["true"], directory="/no/such/folder"), "No such file"),
])
def test_what_can_never_be_started_fails_at_once(shared, how, said):
    graph = shared.submit([pb.TaskSpec(name="a", command=pb.Command(**how), max_attempts=6)])
    shared.wait_for_graph(graph)
    failed = shared.task(graph, "a")
    assert len(failed.attempts) == 1 and said in failed.reason
    assert failed.attempts[0].outcome == pb.OUTCOME_NOT_STARTED


def test_only_chosen_failures_are_tried_again(shared, folder):
    file = folder / "graph.yaml"
    file.write_text("""
defaults: {max_attempts: 3, retry_delay: 10ms}
tasks:
- {name: temporary, command: "exit 75", retry_on: [75, SIGKILL]}
- {name: other, command: "exit 1", retry_on: 64-78}
- {name: never, command: "exit 2", no_retry_on: [2, timeout]}
- {name: killed, command: "kill -9 $$", no_retry_on: signal}
""")
    graph = shared.cli("submit", file).stdout.strip()
    shared.wait_for_graph(graph)
    attempts = {name: len(t.attempts) for name, t in shared.tasks(graph).items()}
    assert attempts == {"temporary": 3, "other": 1, "never": 1, "killed": 1}
    assert shared.task(graph, "never").reason == "exited with status 2 (not tried again: no_retry_on)"
    assert list(shared.task(graph, "temporary").spec.retry_on) == ["75", "SIGKILL"]
    assert "retry_on: 64-78" in shared.cli("status", graph, "other").stdout
    file.write_text("tasks: [{name: a, command: 'true', retry_on: [1, often]}]\n")
    wrong = shared.cli("validate", file)
    assert wrong.returncode == WRONG and "retry_on[1]" in wrong.stderr and "SIGKILL" in wrong.stderr


def test_a_program_that_is_not_found_says_where_it_was_looked_for(shared):
    graph = shared.submit([task("a", shell="./load.sh")])
    shared.wait_for_graph(graph)
    failed = shared.task(graph, "a")
    sandbox = failed.attempts[0].sandbox
    assert sandbox and failed.reason == (
        f"exited with status 127; it ran in its own empty folder, {sandbox}")
    assert f"folder: {sandbox}\n" in shared.cli("status", graph, "a").stdout
    graph = shared.submit([task("a", "./load.sh"), task("b", "bin/load", directory="/tmp")])
    shared.wait_for_graph(graph)
    assert shared.task(graph, "a").reason.startswith(
        'cannot start "./load.sh": No such file or directory; it was looked for in its own empty folder, /')
    assert shared.task(graph, "b").reason == (
        'cannot start "bin/load": No such file or directory; it was looked for in /tmp')


def test_an_agent_runs_as_many_attempts_as_it_has_slots(start, folder):
    service = start("--slots", "3")
    gate = folder / "gate"
    graph = service.submit([task(f"t{i}", shell=f"while [ ! -e {gate} ]; do sleep 0.02; done",
                                 consumption={"cpu": 0}) for i in range(8)])
    eventually(lambda: list(service.states(graph).values()).count("RUNNING") == 3, "three run")
    waiting = service.tasks(graph, states=[pb.TASK_STATE_READY]).values()
    assert len(waiting) == 5 and all("waits for a slot" in t.reason for t in waiting)
    gate.touch()
    service.wait_for_graph(graph)
    attempts = [a for t in service.tasks(graph).values() for a in t.attempts]
    assert greatest_overlap(attempts) <= 3


def test_a_container_is_refused_where_there_is_none(shared):
    with pytest.raises(grpc.RpcError) as error:
        shared.submit([pb.TaskSpec(name="a", command=pb.Command(arguments=["true"]),
                                   container=pb.Container(image="alpine:3"))])
    (problem,) = problems_of(error.value)
    assert problem.field == 'tasks["a"].container' and "no containers" in problem.message


def test_sighup_takes_over_new_settings_and_ends_nothing(start, folder):
    config, gate = folder / "config.yaml", folder / "gate"
    config.write_text("pools: {db: 1}\n")
    service = start("--config", config)
    graph = service.submit([task(f"t{i}", shell=f"while [ ! -e {gate} ]; do sleep 0.02; done",
                                 consumption={"cpu": 0, "db": 1}) for i in range(4)])

    def running():
        return list(service.states(graph).values()).count("RUNNING")
    eventually(lambda: running() == 1, "one has the pool")
    config.write_text("pools: {db: 3}\n")
    service.process.send_signal(signal.SIGHUP)
    eventually(lambda: running() == 3, "three have the pool")
    config.write_text("pools: {db: 2}\n")
    service.process.send_signal(signal.SIGHUP)
    eventually(lambda: "3 of 2 in use" in service.task(graph, "t3").reason,
               "the pool is over its capacity")
    config.write_text("pools: {new: 1}\n")
    service.process.send_signal(signal.SIGHUP)
    eventually(lambda: f"pool db is needed by 4 tasks of graph {graph}" in service.stderr(),
               "a pool that is needed does not go")
    config.write_text("pools: {db: 2, new: 1}\n")
    service.process.send_signal(signal.SIGHUP)
    eventually(lambda: "pool new none -> 1" in service.stderr(), "a new pool is made")
    config.write_text("poools: {db: 3}\n")
    service.process.send_signal(signal.SIGHUP)
    eventually(lambda: "poools" in service.stderr(), "a mistake is said")
    config.write_text("pools: {db: 2, new: 1}\nlog-level: debug\nmax-streams: 7\n")
    service.process.send_signal(signal.SIGHUP)
    eventually(lambda: "with a restart: max-streams default -> 7" in service.stderr(), "the rest is named")
    gate.touch()
    assert service.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED


def test_tasks_that_are_marked_give_way_to_urgent_ones(start, folder):
    service = start("--cpu", "2", "--preempt-after", "1s")
    gate = f"while [ ! -e {folder}/gate ]; do sleep 0.02; done"
    low = service.submit([task("kept", shell=gate), task("gives_way", shell=gate, preemptible=True, grace=0.1)])
    for name in ("kept", "gives_way"):
        service.wait_for_task(low, name, pb.TASK_STATE_RUNNING)
    high = service.submit([task("urgent", shell=gate, priority=10)])
    service.wait_for_task(high, "urgent", pb.TASK_STATE_RUNNING)
    ended = service.task(low, "gives_way")
    assert ended.state == pb.TASK_STATE_READY
    assert ended.attempts[0].outcome == pb.OUTCOME_PREEMPTED
    assert ended.attempts[0].message == f'for "urgent" of {high}, which has priority 10'
    assert "preempted" in service.cli("status", low, "gives_way").stdout
    (folder / "gate").touch()
    for graph in (low, high):
        assert service.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED
