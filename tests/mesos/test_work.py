"""What is particular to tasks on Mesos: values and logs that agents keep, offers, and the executor."""

import hashlib
import importlib.util
import json
import os
import re
import socket
import subprocess
import sys
import threading
import uuid

import grpc
import pytest

from harness import (PATIENCE, ROOT, Service, cli, eventually, one_document, outcome_name, pb,
                     problems_of, processes_with, task)
from conftest import EXECUTOR

EXAMPLE = ROOT / "examples" / "map_release"


def load(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


tiny = load("tiny_world", EXAMPLE / "tests" / "conftest.py")
topology, published = tiny.topology, tiny.published  # fixtures: the tiny world


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def test_return_values_come_whole_whatever_their_size(shared):
    sizes = [0, 1, 65537, 512 << 10, 1 << 20]
    graph = shared.submit([task(f"t{size}", "/usr/bin/python3", "-c", f"""
import os
open(os.environ["KARTOGRAPH_RESULT"], "wb").write(bytes(i * 7 % 251 for i in range({size})))
""") for size in sizes])
    assert shared.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED
    for size in sizes:
        value = shared.task(graph, f"t{size}").return_value
        assert value == bytes(i * 7 % 251 for i in range(size))


def test_a_log_is_followed_while_its_task_runs_and_read_after_it(shared, folder):
    gate = folder / "gate"
    graph = shared.submit([task("a", shell=f"echo first; while [ ! -e {gate} ]; do sleep 0.02; done; "
                                           "seq 100000; echo last >&2")])
    shared.wait_for_task(graph, "a", pb.TASK_STATE_RUNNING)
    eventually(lambda: shared.log_of(graph, "a") == b"first\n", "the first line is there")
    followed = []
    follower = threading.Thread(
        target=lambda: followed.append(shared.cli("logs", graph, "a", "--follow").stdout))
    follower.start()
    gate.touch()
    follower.join(PATIENCE)
    whole = "first\n" + "".join(f"{i}\n" for i in range(1, 100001))
    assert followed == [whole]
    assert shared.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED
    assert shared.log_of(graph, "a").decode() == whole
    assert shared.log_of(graph, "a", offset=-7) == b"100000\n"
    assert shared.log_of(graph, "a", stream=pb.LOG_STREAM_STDERR) == b"last\n"


def test_what_agents_have_is_known_while_another_framework_uses_it(mesos, folder):
    cluster = mesos.cluster()
    first = mesos.service(cluster)
    hog = first.submit([task("hog", "sleep", 1000, grace=0, consumption={"cpu": 4})])
    first.wait_for_task(hog, "hog", pb.TASK_STATE_RUNNING)
    second = Service(folder, "--cluster", f"mesos:http://{cluster.master}",
                     "--mesos-executor-path", EXECUTOR)
    mesos.services.append(second)
    second.start()
    agent = second.wait_for_agent()
    assert agent.capacity["cpu"] == 4 and not agent.used
    waiting = second.submit([task("a", consumption={"cpu": 2})])
    eventually(lambda: second.task(waiting, "a").reason.startswith("waits for an offer"),
               lambda: f"it waits for an offer: {second.task(waiting, 'a').reason}")
    with pytest.raises(grpc.RpcError) as refused:
        second.submit([task("b", consumption={"cpu": 5})])
    assert [problem.message for problem in problems_of(refused.value)] == [
        "is more than any agent has; ask for at most 4"]
    first.cancel(hog)
    assert second.wait_for_graph(waiting).state == pb.GRAPH_STATE_SUCCEEDED


def test_logs_are_found_again_by_a_service_that_has_started_since(mesos):
    cluster = mesos.cluster()
    service = mesos.service(cluster)
    graph = service.submit([task("a", shell="echo here")])
    service.wait_for_graph(graph)
    service.kill()
    service.start()
    service.wait_for_agent()
    assert service.log_of(graph, "a") == b"here\n"
    # Also when its executor has gone.
    cluster.do("/agent/0/kill_executor")
    assert service.log_of(graph, "a") == b"here\n"


def test_agents_fetch_the_executor_from_the_service(mesos):
    cluster = mesos.cluster()
    service = mesos.service(cluster, executor=None, listen=f"127.0.0.1:{free_port()}")
    graph = service.submit([task(f"t{i}", shell="printf yes > $KARTOGRAPH_RESULT")
                            for i in range(5)])
    assert service.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED
    assert service.task(graph, "t4").return_value == b"yes"
    assert cluster.state()["counters"]["downloads"] == 1
    assert "only this machine reaches" in service.stderr()


def test_nobody_guesses_where_agents_fetch_the_executor_and_a_restart_keeps_it(mesos):
    cluster = mesos.cluster()
    service = mesos.service(cluster, executor=None, listen=f"127.0.0.1:{free_port()}")

    def path():
        return re.search(rf"from http://{service.http}(/executor/\S+/kartograph-executor),",
                         service.stderr())[1]
    first = path()
    assert re.fullmatch("/executor/[0-9a-f]{32}/kartograph-executor", first)
    # Agents have no token, and use whatever name the operator gave the service.
    status, _, program = service.get(first, {"Host": "kartograph.cluster.example"})
    assert status == 200 and program.startswith(b"\x7fELF")
    assert service.get("/", {"Host": "kartograph.cluster.example"})[0] == 403
    guess = first[:12] + ("0" if first[12] != "0" else "1") + first[13:]
    assert service.get(guess, {})[0] == 401 and service.get(guess)[0] == 404
    service.terminate()
    service.start()
    assert path() == first


def test_work_goes_to_all_agents_and_what_waits_says_why(mesos, folder):
    cluster = mesos.cluster("--agents", 2, "--attributes", "rack:b3")
    service, gate = mesos.service(cluster), folder / "gate"
    graph = service.submit([task(f"t{i}", shell=f"while [ ! -e {gate} ]; do sleep 0.02; done",
                                 consumption={"cpu": 4}) for i in range(3)])
    eventually(lambda: list(service.states(graph).values()).count("RUNNING") == 2, "two run")
    agents = service.call("GetCluster", pb.GetClusterRequest()).agents
    assert len(agents) == 2 and all(
        dict(agent.attributes) == {"rack": "b3", "mesos_id": agent.agent_id, "mesos_role": "*"} for agent in agents)
    assert len({task["agent_id"] for task in cluster.state()["tasks"]}) == 2
    assert "cpu" in service.cli("status", graph).stdout
    gate.touch()
    assert service.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED


def test_what_no_agent_has_is_refused(shared):
    with pytest.raises(grpc.RpcError) as error:
        shared.submit([task("large", consumption={"cpu": 400})])
    assert "at most 4" in error.value.details()


def test_nothing_is_held_while_nothing_is_wanted(both):
    cluster, service = both
    graph = service.submit([task(f"t{i}") for i in range(20)])
    assert service.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED
    # Offers are given back, and no more are asked for, until there is work again.
    eventually(lambda: not cluster.state()["offers"], "no offer is held")
    offered = cluster.state()["counters"]["offers"]
    assert cluster.calls("SUPPRESS") >= 1
    graph = service.submit([task("again")])
    assert service.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED
    assert cluster.state()["counters"]["offers"] > offered
    assert cluster.state()["counters"]["overpromised"] == 0


def test_one_executor_runs_all_tasks_of_an_agent(both):
    cluster, service = both
    graph = service.submit([task(f"t{i}", shell="echo $PPID", consumption={"cpu": 1})
                            for i in range(12)])
    assert service.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED
    assert len({service.log_of(graph, f"t{i}") for i in range(12)}) == 1


def test_a_task_with_a_container_runs_under_mesoss_own_executor(both, folder):
    cluster, service = both
    good = task("good", shell=f"printf value > $KARTOGRAPH_RESULT; echo $KARTOGRAPH_TASK; "
                              f"touch {folder}/ran")
    bad = task("bad", shell="exit 3")
    for spec in (good, bad):
        spec.container.SetInParent()
    graph = service.submit([good, bad])
    assert service.wait_for_graph(graph).state == pb.GRAPH_STATE_FAILED
    good, bad = service.task(graph, "good"), service.task(graph, "bad")
    assert (folder / "ran").exists() and good.return_value == b"value"
    assert service.log_of(graph, "good") == b"good\n"
    assert (outcome_name(bad.attempts[0].outcome), bad.attempts[0].exit_status) == ("EXITED", 3)


def test_tasks_find_their_inputs_with_and_without_a_container(both):
    cluster, service = both
    content = bytes(range(256)) + b"-%s\\n'$HOME`"
    line = "sha256sum < $KARTOGRAPH_INPUT > $KARTOGRAPH_RESULT"
    plain, contained = task("plain", shell=line), task("contained", shell=line)
    plain.input = content * 3000
    contained.input = content * 50
    contained.container.SetInParent()
    graph = service.submit([plain, contained])
    assert service.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED
    for spec in (plain, contained):
        digest = hashlib.sha256(spec.input).hexdigest().encode()
        assert service.task(graph, spec.name).return_value.split()[0] == digest


def test_blobs_come_to_the_agents_that_read_them(both):
    _, service = both
    content = bytes(range(256)) * 12345
    blob = hashlib.sha256(content).hexdigest()
    parts = [pb.PutBlobRequest(data=content[at:at + (1 << 20)]) for at in range(0, len(content), 1 << 20)]
    start = pb.PutBlobRequest(blob=pb.PutBlobRequest.Start(blob_id=blob, size=len(content)))
    service.stub.PutBlob(iter([start, *parts]), timeout=60)
    graph = service.submit([
        task("input", shell="sha256sum < $KARTOGRAPH_INPUT > $KARTOGRAPH_RESULT", input_blob=blob),
        task("other", shell=f"sha256sum < $KARTOGRAPH_BLOBS/{blob} > $KARTOGRAPH_RESULT", blobs=[blob]),
        task("values", shell="cat $KARTOGRAPH_INPUTS/* > $KARTOGRAPH_RESULT", after=["input", "other"],
             reads_values=True)])
    assert service.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED
    value = f"{blob}  -\n".encode()
    assert [service.task(graph, name).return_value for name in ("input", "other", "values")] == [value, value, 2 * value]
    inside = task("inside", input_blob=blob, container=pb.Container(image="alpine:3"))
    with pytest.raises(grpc.RpcError) as error:
        service.submit([inside])
    assert "a container has no blobs" in error.value.details()


def test_the_python_package_works_as_on_the_local_cluster(both):
    _, service = both
    program = """
import os, sys, kartograph
def total(table, *numbers):
    return sum(table) + sum(numbers)
table = kartograph.put(list(range(1000)))
with kartograph.KartographExecutor(sys.argv[1], consumption={"cpu": 1}) as executor:
    pids = {executor.submit(os.getpid).result() for _ in range(3)}
    assert len(pids) == 1, pids   # one worker after the other's task
    assert list(executor.map(total, [table] * 20, range(20))) == [499500 + n for n in range(20)]
graph = kartograph.Graph("handed on", sys.argv[1], consumption={"cpu": 0.1})
first = graph.run(pow, 2, 10)
second = graph.run(total, [1, 2], first)
graph.submit()
graph.wait(check=True)
assert second.result() == 1027
"""
    generate = load("generate", ROOT / "python" / "generate.py")
    if not generate.is_current(ROOT / "python"):
        generate.generate(ROOT / "python")
    address = f"unix:{service.state}/run/grpc.sock"
    done = subprocess.run([sys.executable, "-c", program, address], capture_output=True, text=True, check=False,
                          env={**os.environ, "PYTHONPATH": str(ROOT / "python")}, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr


def test_an_agent_of_which_the_executor_needs_the_rest_takes_no_task(mesos):
    # 4 cores are there, but not for a task of 4 and the executor's 0.01.
    cluster = mesos.cluster(resources="cpus:4;mem:1024")
    service = mesos.service(cluster)
    service.wait_for_agent()
    with pytest.raises(grpc.RpcError) as error:
        service.submit([task("large", consumption={"cpu": 4})])
    assert "at most 3.99" in error.value.details()
    graph = service.submit([task("small", consumption={"cpu": 3.99})])
    assert service.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED


def test_a_cancel_reaches_a_task_that_waits_to_be_ended_politely(both, folder):
    _, service = both
    mark, up = uuid.uuid4().hex, folder / "up"
    graph = service.submit([task(
        "deaf", "/usr/bin/python3", "-c",
        "import signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        "open(sys.argv[2], 'w').close(); time.sleep(1000)", mark, up, grace=0.3)])
    eventually(up.exists, "it is up")
    service.cancel(graph)
    assert service.wait_for_graph(graph).state == pb.GRAPH_STATE_CANCELLED
    assert processes_with(mark) == []
    assert outcome_name(service.task(graph, "deaf").attempts[0].outcome) == "CANCELLED"


@pytest.fixture
def release(folder, topology, published):
    """(the graph file, the folder of the release) of the example, for the tiny world."""
    (folder / "world.json").write_text(json.dumps(topology))
    (folder / "published.json").write_text(json.dumps(published))
    graph = folder / "graph.yaml"
    subprocess.run(["/usr/bin/python3", "-B", EXAMPLE / "make_graph.py", "--data",
                    folder / "world.json", "--release", folder / "release", "--out", graph,
                    "--published", folder / "published.json"], check=True)
    return graph, folder / "release"


def test_the_example_is_released(mesos, release):
    graph_file, made = release
    cluster = mesos.cluster("--agents", 2)
    service = mesos.service(cluster, "--pool", "db_connections=4")
    submitted = cli("submit", graph_file, "--wait", "--json", server=service.server,
                    timeout=4 * PATIENCE)
    assert submitted.returncode == 0, submitted.stderr
    graph = one_document(submitted.stdout)
    assert graph["state"] == "GRAPH_STATE_SUCCEEDED"
    assert "<svg" in (made / "world.svg").read_text()
    # The example's own proof: no pool was over its limit, every task ran after those before it.
    tasks = made.parent / "tasks.json"
    tasks.write_text(service.cli("status", graph["graphId"], "--json", "--tasks").stdout)
    proof = subprocess.run(["/usr/bin/python3", "-B", EXAMPLE / "prove.py", tasks],
                           capture_output=True, text=True, check=False)
    assert proof.returncode == 0, proof.stdout + proof.stderr
