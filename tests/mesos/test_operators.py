"""What operators of a Mesos cluster do and set, and what then becomes of tasks."""

import json
import os
import pwd
import socket
import subprocess
import time
import uuid

import pytest

from harness import (PATIENCE, StartFailed, eventually, is_alive, outcome_name, pb, processes_with, state_name,
                     task)
from test_example import HELLO

USER = pwd.getpwuid(os.geteuid()).pw_name


def outcomes(service, graph, name):
    return [outcome_name(attempt.outcome) for attempt in service.task(graph, name).attempts]


def waits(gate, trace):
    return f"echo >> {trace}; while [ ! -e {gate} ]; do sleep 0.02; done"


def reason_has(service, graph, name, *words):
    eventually(lambda: all(word in service.task(graph, name).reason for word in words),
               lambda: f"the reason says {words}: {service.task(graph, name).reason}")


def strays_of(mark):
    """The Python processes with this mark; the shell that started one has it, too."""
    return [pid for pid in processes_with(mark) if "python" in os.path.realpath(f"/proc/{pid}/exe")]


def warnings(service, word):
    return [line for line in service.stderr().splitlines() if "warn" in line and word in line]


# --- executors -----------------------------------------------------------------------------------


def test_a_renamed_role_has_executors_of_its_own(mesos, folder):
    cluster, gate, trace = mesos.cluster(resources="cpus:4.02;mem:2112"), folder / "gate", folder / "trace"
    service = mesos.service(cluster, "--mesos-roles", "team1")
    first = service.submit([task("a", shell=waits(gate, trace))])
    eventually(trace.exists, "it runs")
    assert service.terminate() == 0
    service.flags[service.flags.index("team1")] = "team2"
    service.start()
    second = service.submit([task("b")])
    assert service.wait_for_graph(second).state == pb.GRAPH_STATE_SUCCEEDED
    assert outcomes(service, second, "b") == ["SUCCEEDED"]
    gate.touch()
    assert service.wait_for_graph(first).state == pb.GRAPH_STATE_SUCCEEDED


def test_an_executor_that_mesos_takes_no_launch_on_is_not_used_again(mesos, folder):
    cluster, gate, trace = mesos.cluster(resources="cpus:4.02;mem:2112"), folder / "gate", folder / "trace"
    service = mesos.service(cluster)
    first = service.submit([task("a", shell=waits(gate, trace))])
    eventually(trace.exists, "it runs")
    cluster.do("/agent/0/alter_executors")
    second = service.submit([task("b")])
    assert service.wait_for_graph(second).state == pb.GRAPH_STATE_SUCCEEDED
    assert outcomes(service, second, "b") == ["REFUSED", "SUCCEEDED"]
    assert len(warnings(service, "not compatible")) == 1
    gate.touch()
    assert service.wait_for_graph(first).state == pb.GRAPH_STATE_SUCCEEDED


def test_what_a_killed_executor_leaves_is_ended_by_the_next(mesos):
    cluster = mesos.cluster()
    service, mark = mesos.service(cluster), uuid.uuid4().hex
    service.wait_for_agent()
    cluster.do("/agent/0/leave_strays")
    # In a session of its own, whose parent has ended.
    stray = f"(setsid /usr/bin/python3 -c 'import time; time.sleep(1000)' {mark} &)"
    graph = service.submit([task("a", shell=f"{stray}; sleep 1000", grace=0)])
    eventually(lambda: len(processes_with(mark)) >= 1 and service.task(graph, "a").attempts, "it runs")
    eventually(lambda: any(is_alive(pid) for pid in strays_of(mark)), "and its stray")
    (before,) = strays_of(mark)
    cluster.do("/agent/0/kill_executor")
    eventually(lambda: len(service.task(graph, "a").attempts) == 2
               and state_name(service.task(graph, "a").state) == "RUNNING", "it runs again")
    eventually(lambda: before not in strays_of(mark), "the first one's stray has gone")
    service.cancel(graph)
    service.wait_for_graph(graph)
    eventually(lambda: not processes_with(mark), "nothing is left")


def test_an_executor_that_cannot_be_started_sets_its_agent_aside_and_says_why(mesos):
    cluster = mesos.cluster()
    service = mesos.service(cluster, executor="/no/such/executor")
    graph = service.submit([task(f"t{i}", consumption={"cpu": 0.1}) for i in range(20)])
    reason_has(service, graph, "t7", "could not start an attempt", "its executor did not start",
               "/no/such/executor", "tried again at")
    status = service.cli("status").stdout
    assert "set aside until" in status and "its executor did not start" in status
    # Another failure of the same cause makes no line of its own.
    before = cluster.state()["counters"]["launched"]
    eventually(lambda: cluster.state()["counters"]["launched"] > before, "it is tried again")
    assert 1 <= len(warnings(service, "its executor did not start")) <= 2, service.stderr()
    assert service.graph(graph).state == pb.GRAPH_STATE_RUNNING


def test_what_a_principal_may_not_launch_waits_and_says_why(mesos):
    cluster = mesos.cluster()
    service = mesos.service(cluster)
    cluster.do("/forbid_tasks")
    graph = service.submit([task("a")])
    reason_has(service, graph, "a", "attempts have ended without its doing", "refused",
               f"Not authorized to launch as user '{USER}'")
    assert len(warnings(service, "Not authorized")) == 1
    cluster.do("/forbid_tasks", on=0)
    assert service.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED


def test_what_mesos_does_not_let_a_framework_change_is_refused_at_the_start(mesos):
    cluster = mesos.cluster()
    service = mesos.service(cluster)
    service.wait_for_graph(service.submit([task("a")]))
    assert service.terminate() == 0
    identity = (service.state / "mesos-framework").read_text().strip()
    with pytest.raises(StartFailed) as refused:
        service.start("--mesos-checkpoint", "false")
    assert f"--mesos-abandon {identity}" in refused.value.stderr
    # Another user is one of what is launched from then on.
    service.start("--mesos-user", "somebody-else")
    graph = service.submit([task("b")])
    assert service.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED
    assert "somebody-else" in service.stderr()
    assert cluster.state()["refused"] == {}


# --- limits --------------------------------------------------------------------------------------


@pytest.mark.parametrize("what, outcome, said", [
    ("memory", "OUT_OF_MEMORY", "Memory limit exceeded"), ("disk", "SIGNALLED", "Disk usage")])
def test_what_takes_its_container_over_a_limit_ends_and_its_neighbours_do_not(mesos, folder, what, outcome, said):
    cluster, gate, trace = mesos.cluster(resources="cpus:4.1;mem:2400"), folder / "gate", folder / "trace"
    service = mesos.service(cluster)
    cluster.do("/agent/0/limit", task="hog", what=what)
    names = ["hog", "good1", "good2"]
    graph = service.submit([task(name, shell=waits(gate, trace), consumption={"cpu": 0.5}) for name in names])
    service.wait_for_task(graph, "hog", pb.TASK_STATE_FAILED)
    gate.touch()
    assert service.wait_for_graph(graph).state == pb.GRAPH_STATE_FAILED
    assert outcomes(service, graph, "hog")[-1] == outcome
    assert set(outcomes(service, graph, "hog")[:-1]) <= {"LOST"}
    assert said in service.task(graph, "hog").reason
    for name in names[1:]:
        assert outcomes(service, graph, name)[-1] == "SUCCEEDED"
        assert outcomes(service, graph, name).count("LOST") <= 1, outcomes(service, graph, name)


def grows(mib, where):
    """Takes so much in steps, of memory or of the disk, and stays."""
    take = "taken.append(bytearray(1 << 20))" if where == "memory" else "print(chr(120) * (1 << 20), flush=True)"
    return f"exec /usr/bin/python3 -Sc 'import time; taken = []\nfor _ in range({mib}): {take}; time.sleep(0.02)\n" \
           f"time.sleep(1000)'"


@pytest.mark.parametrize("what, outcome, has", [("memory", "OUT_OF_MEMORY", "of memory"),
                                                ("disk", "SIGNALLED", "of disk")])
def test_who_grew_is_found_out_at_once_and_its_neighbours_do_not_count_as_lost(mesos, folder, what, outcome, has):
    cluster, gate, trace = mesos.cluster(resources="cpus:4.1;mem:2400;disk:1000"), folder / "gate", folder / "trace"
    service = mesos.service(cluster)
    cluster.do("/agent/0/enforce_limits")
    consumption = {"cpu": 0.5, **({"disk": 16 << 20} if what == "disk" else {})}
    graph = service.submit([task("hog", shell=f"while [ ! -s {trace} ]; do sleep 0.02; done; {grows(200, what)}",
                                 consumption=consumption),
                            *(task(name, shell=f"echo 1 >> {trace}; while [ ! -e {gate} ]; do sleep 0.02; done",
                                   consumption=consumption) for name in ("good1", "good2"))])
    service.wait_for_task(graph, "hog", pb.TASK_STATE_FAILED)
    assert outcomes(service, graph, "hog") == [outcome]
    assert has in service.task(graph, "hog").reason and "more than it consumes" in service.task(graph, "hog").reason
    gate.touch()
    assert service.wait_for_graph(graph).state == pb.GRAPH_STATE_FAILED
    for name in ("good1", "good2"):
        assert outcomes(service, graph, name) == ["DROPPED", "SUCCEEDED"]


def test_old_logs_do_not_count_against_what_runs_under_a_quota_of_disk(mesos, folder):
    cluster, gate, trace = mesos.cluster(), folder / "gate", folder / "trace"
    service = mesos.service(cluster)
    cluster.do("/agent/0/enforce_limits")
    shell = "head -c 40000000 /dev/zero | tr '\\0' x"
    graph = service.submit([task(name, shell=shell, consumption={"cpu": 0.1, "disk": 100 << 20})
                            for name in ("a", "b")])
    assert service.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED
    assert service.cli("logs", graph, "a").stdout.startswith("xxx")
    modest = service.submit([task("c", shell=waits(gate, trace), consumption={"cpu": 0.1, "disk": 10 << 20})])
    eventually(trace.exists, "it runs")

    def told():
        said = service.cli("logs", graph, "a")
        return said.returncode != 0 and "removed" in said.stderr and "--mesos-executor-disk" in said.stderr
    eventually(told, lambda: f"it is said: {service.cli('logs', graph, 'a')}")
    gate.touch()
    assert service.wait_for_graph(modest).state == pb.GRAPH_STATE_SUCCEEDED
    assert outcomes(service, modest, "c") == ["SUCCEEDED"]


def test_a_task_that_names_no_ram_is_counted_with_the_default(mesos, folder):
    cluster, gate, trace = mesos.cluster(), folder / "gate", folder / "trace"
    service = mesos.service(cluster, "--mesos-default-ram", "1GiB")
    graph = service.submit([task("named", consumption={"cpu": 0.1, "ram": 64 << 20}),
                            *(task(f"t{i}", shell=waits(gate, trace), consumption={"cpu": 0.1}) for i in range(3))])
    # Of 2 GiB there is room for one of them beside what else was in use, or for two.
    def reasons():
        return [t.reason for t in service.tasks(graph).values() if state_name(t.state) == "READY"]
    eventually(lambda: any("ram" in why for why in reasons()), lambda: f"one waits for ram: {reasons()}")
    gate.touch()
    assert service.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED
    assert service.task(graph, "t0").spec.consumption["ram"] == 1 << 30
    assert service.task(graph, "named").spec.consumption["ram"] == 64 << 20


# --- containers ----------------------------------------------------------------------------------


def contained(name, shell, **more):
    spec = task(name, shell=shell, **more)
    spec.container.SetInParent()
    return spec


def test_a_container_over_its_timeout_has_its_grace(mesos, folder):
    service, said = mesos.service(mesos.cluster()), folder / "said"
    graph = service.submit([contained(
        "a", f"trap 'echo goodbye > {said}; exit 0' TERM; while :; do sleep 0.02; done", timeout=0.5, grace=PATIENCE)])
    assert service.wait_for_graph(graph).state == pb.GRAPH_STATE_FAILED
    assert outcomes(service, graph, "a") == ["TIMED_OUT"]
    assert said.read_text() == "goodbye\n"


def test_values_come_though_nobody_may_read_the_agents_files(mesos):
    cluster = mesos.cluster()
    service = mesos.service(cluster)
    service.wait_for_agent()
    cluster.do("/agent/0/hide_files", status=403)
    large = service.submit([task("a", shell="head -c 3000000 /dev/zero > $KARTOGRAPH_RESULT")])
    assert service.wait_for_graph(large).state == pb.GRAPH_STATE_SUCCEEDED
    # Mesos's own executor knows no messages.
    closed = service.submit([contained("a", "echo 1 > $KARTOGRAPH_RESULT")])
    assert service.wait_for_graph(closed).state == pb.GRAPH_STATE_FAILED
    assert len(service.task(closed, "a").attempts) == 1
    assert "403" in service.task(closed, "a").reason


def test_a_value_that_cannot_be_read_is_what_its_task_waits_for_and_a_cancel_ends_that(mesos):
    cluster = mesos.cluster()
    service = mesos.service(cluster)
    service.wait_for_agent()
    cluster.do("/agent/0/hide_files")
    graph = service.submit([contained("a", "echo 1 > $KARTOGRAPH_RESULT")])
    reason_has(service, graph, "a", "return value", "503")
    assert "return value" in service.cli("status", graph).stdout
    service.cancel(graph)
    began = time.monotonic()
    assert service.wait_for_graph(graph).state == pb.GRAPH_STATE_CANCELLED
    assert time.monotonic() - began < PATIENCE / 2


# --- maintenance and drains ----------------------------------------------------------------------


def test_an_agent_whose_maintenance_is_over_is_used(mesos):
    cluster = mesos.cluster()
    cluster.do("/agent/0/drain", in_ms=-5000, for_ms=4000)
    service = mesos.service(cluster)
    graph = service.submit([task("a")])
    assert service.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED


def test_a_drained_agent_is_not_held_up_by_us_and_not_shown_as_free(mesos):
    cluster = mesos.cluster()
    service = mesos.service(cluster)
    service.wait_for_graph(service.submit([task("a")]))
    cluster.do("/agent/0/drain_agent")
    graph = service.submit([task("b"), task("c")])
    reason_has(service, graph, "b", "was drained by its operator")
    status = service.cli("status").stdout
    assert "not offered" in status and "was drained by its operator" in status
    eventually(lambda: cluster.state()["agents"][0]["executors"] == 0, "our executor has ended")
    cluster.do("/agent/0/reactivate")
    assert service.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED
    assert cluster.state()["update_states"].get("TASK_DROPPED", 0) == 0


# --- smaller -------------------------------------------------------------------------------------


def test_tasks_of_a_framework_that_was_torn_down_say_so(mesos, folder):
    cluster, gate, trace = mesos.cluster(), folder / "gate", folder / "trace"
    service = mesos.service(cluster)
    runs = service.submit([task("a", shell=waits(gate, trace))])
    service.wait_for_task(runs, "a", pb.TASK_STATE_RUNNING)
    waiting = service.submit([task("b", consumption={"cpu": 4})])  # the whole agent
    cluster.do("/error", message="Framework has been removed")
    for graph, name in ((runs, "a"), (waiting, "b")):
        reason_has(service, graph, name, "not connected", "--mesos-abandon")
    gate.touch()


def test_an_agent_that_is_too_small_for_the_executor_says_so(mesos):
    service = mesos.service(mesos.cluster(resources="cpus:4;mem:16"))
    eventually(lambda: "less than kartograph-executor takes" in service.cli("status").stdout,
               lambda: f"status says so: {service.cli('status').stdout}")


def test_a_secret_that_is_changed_is_read_again(mesos, folder):
    cluster = mesos.cluster("--user", "kartograph", "--password", "right")
    secret = folder / "secret"
    secret.write_text("old\n")
    secret.chmod(0o600)
    service = mesos.service(cluster, "--mesos-principal", "kartograph", "--mesos-secret-file", secret)
    eventually(lambda: "401" in service.stderr(), "it is refused")
    graph = service.submit([task("a")])
    secret.write_text("right\n")
    assert service.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED


def test_status_shows_an_agent_once_with_its_id_and_its_roles(mesos):
    cluster = mesos.cluster()
    service = mesos.service(cluster, "--mesos-roles", "team1,team2")
    agent = cluster.state()["agents"][0]["id"]

    def told():
        status = service.cli("status").stdout
        return f"mesos_id={agent}" in status and "mesos_role=team1, team2" in status
    eventually(told, lambda: f"status names it: {service.cli('status').stdout}")
    seen = json.loads(service.cli("status", "--json").stdout)
    assert int(seen["agentCount"]) == 1 and len(seen["agents"]) == 1, seen
    assert seen["agents"][0]["capacity"]["cpu"] == 4


def test_what_a_quota_holds_back_says_so_with_its_figures(mesos, folder):
    cluster, gate, trace = mesos.cluster(), folder / "gate", folder / "trace"
    cluster.do("/quota", role="team1", cpus=1.51)
    service = mesos.service(cluster, "--mesos-roles", "team1")
    graph = service.submit([task("a", shell=waits(gate, trace), consumption={"cpu": 1})])
    eventually(trace.exists, "it runs")
    second = service.submit([task("c", consumption={"cpu": 1})])
    reason_has(service, second, "c", "held back by the quota of role \"team1\"", "of cpu=1.51 is allocated",
               "cpu=1 is waited for")
    assert "quota of role" in service.cli("explain", second, "c").stdout
    assert "quota of role" in service.cli("status").stdout
    cluster.do("/quota", role="team1", cpus=3)
    assert service.wait_for_graph(second).state == pb.GRAPH_STATE_SUCCEEDED
    gate.touch()
    assert service.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED


def test_hello_mesos_is_shown_by_the_master_as_its_readme_says(mesos):
    cluster = mesos.cluster()
    program = subprocess.Popen([HELLO, "--master", f"http://{cluster.master}", "--tasks", "3"],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    eventually(lambda: cluster.state()["frameworks"], "it has registered")
    (framework,) = cluster.state()["frameworks"]
    assert (framework["name"], framework["user"], framework["hostname"]) == ("hello", USER, socket.gethostname())
    program.communicate(timeout=PATIENCE)
    assert program.returncode == 0
