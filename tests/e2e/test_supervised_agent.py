"""An agent that is not the service's to start: --agent-binary none."""

import re
import subprocess

import pytest

from harness import LOCAL_AGENT, eventually, pb, task


@pytest.fixture
def supervise(folder):
    """A function that starts the agent as a supervisor does."""
    agents = []

    def supervised(state):
        with open(folder / f"agent.{len(agents)}.log", "wb") as log:
            agents.append(subprocess.Popen([LOCAL_AGENT, "--state", state, "--foreground"],
                                           stdin=subprocess.DEVNULL, stdout=log, stderr=log))
        return agents[-1]
    yield supervised
    for agent in agents:
        agent.kill()
        agent.wait()


def test_the_service_waits_for_it_and_says_so(start, supervise):
    service = start("--agent-binary", "none")
    why = f"no kartograph-local-agent serves {service.state}"
    eventually(lambda: why in service.get("/healthz", {})[2].decode(), "/healthz says so")
    assert service.get("/healthz")[0] == 200, "graphs are accepted"
    assert f"NOT connected to its cluster: {why}" in service.cli("status").stdout
    assert service.stderr().count(why) == 1
    eventually(lambda: "; no agent has connected yet\n" in service.stderr(), "the log does not wait for it")
    assert b"kartograph_cluster_connected 0" in service.get("/metrics")[2]
    graph = service.submit([task("patient")])
    supervise(service.state)
    assert service.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED
    eventually(lambda: service.get("/healthz")[2] == b"ok\n", "/healthz says so")
    assert re.search(r" local cluster: agent \d+ was found running, with 0 attempts; ", service.stderr())
    agents = service.call("GetCluster", pb.GetClusterRequest()).agents
    kept_by = agents[0].attributes["memory_limits"].partition(":")[0]
    assert kept_by in ("kernel", "measuring")
    assert f'kartograph_agent_memory_limits{{kept_by="{kept_by}"}} 1'.encode() in service.get("/metrics")[2]


def test_it_survives_the_service_without_tasks_too(start, supervise):
    service = start("--agent-binary", "none")
    agent = supervise(service.state)
    service.wait_for_agent()
    assert service.terminate() == 0
    service.start()
    graph = service.submit([task("a")])
    assert service.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED
    assert agent.poll() is None and service.agent_pid() == agent.pid


def test_after_its_end_tasks_run_again_under_the_next_one(start, supervise, folder):
    service = start("--agent-binary", "none")
    agent = supervise(service.state)
    gate = folder / "gate"
    graph = service.submit([task("a", shell=f"until [ -e {gate} ]; do sleep 0.05; done")])
    service.wait_for_task(graph, "a", pb.TASK_STATE_RUNNING)
    agent.terminate()
    assert agent.wait() == 0
    supervise(service.state)
    gate.touch()
    service.wait_for_graph(graph)
    assert [attempt.outcome for attempt in service.task(graph, "a").attempts] == [
        pb.OUTCOME_LOST, pb.OUTCOME_SUCCEEDED]
