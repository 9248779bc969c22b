"""Tasks run only where their constraints let them."""

import json

import grpc
import pytest

from harness import eventually, pb, task

FILE = """
name: where
tasks:
  - {name: anywhere, command: [/bin/true]}
  - name: here
    command: [/bin/true]
    constraints:
      - {attribute: disk, equals: ssd}
      - {attribute: agent.id, matches: "loc.*"}
  - name: elsewhere
    command: [/bin/true]
    priority: 9
    avoid_last_failure: true
    constraints:
      - {attribute: disk, equals: ssd}
      - {attribute: rack, one_of: [b3, b4]}
"""


def test_a_task_waits_for_an_agent_that_meets_its_constraints(start, folder):
    service = start("--cpu", "1", "--attribute", "disk=ssd", "--attribute", "rack=b2")
    (folder / "where.yaml").write_text(FILE, encoding="utf-8")
    graph = service.cli("submit", folder / "where.yaml").stdout.strip()
    eventually(lambda: [service.states(graph)[name] for name in ("anywhere", "here")] == ["SUCCEEDED"] * 2,
               "what may run here has run, though the other goes first")
    assert service.states(graph)["elsewhere"] == "READY"
    text = service.cli("explain", "where", "elsewhere").stdout
    assert 'waits for an agent that meets its constraints: rack is one of "b3", "b4"' in text, text
    document = json.loads(service.cli("explain", "where", "elsewhere", "--json").stdout)
    (reason,) = [one for one in document["reasons"] if one["kind"] == "NO_AGENT"]
    assert reason["agents"] == [{"obstacle": "AGENT_OBSTACLE_CONSTRAINT", "agents": "1"}]
    assert {one["constraint"]: int(one.get("agents", 0)) for one in reason["constraints"]} == {
        'rack is one of "b3", "b4"': 1, 'disk equals "ssd"': 0}
    shown = service.cli("status", "where", "elsewhere").stdout
    assert 'rack is one of "b3", "b4"' in shown and "avoid_last_failure" in shown, shown
    assert "rack=b2" in service.cli("status").stdout
    spec = service.task(graph, "elsewhere").spec
    assert [one.attribute for one in spec.constraints] == ["disk", "rack"] and spec.avoid_last_failure

    # The constraints are in the history; the agent is another one after the next start.
    assert service.terminate() == 0
    service.flags = ["--cpu", "1", "--attribute", "disk=ssd", "--attribute", "rack=b4"]
    service.start()
    assert service.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED


def test_one_of_a_group_at_a_time_is_on_an_agent(start, folder):
    service = start("--cpu", "4")
    gate = folder / "gate"
    (folder / "spread.yaml").write_text(f"""
name: spread
defaults:
  spread: {{group: workers, per_agent: 1}}
tasks:
  - {{name: one, priority: 1, command: "while [ ! -e {gate} ]; do sleep 0.02; done"}}
  - {{name: two, command: [/bin/true]}}
  - {{name: alone, command: [/bin/true], spread: {{group: other, per_agent: 1}}}}
""", encoding="utf-8")
    graph = service.cli("submit", folder / "spread.yaml").stdout.strip()
    eventually(lambda: service.states(graph)["alone"] == "SUCCEEDED", "the other group has its place")
    eventually(lambda: service.states(graph)["one"] == "RUNNING", "the first one runs")
    assert service.states(graph)["two"] == "READY"
    text = service.cli("explain", "spread", "two").stdout
    assert 'waits for an agent with less of group "workers", of which at most 1 may be on each' in text, text
    assert f'"one" of {graph}' in text
    assert 'at most 1 of group "workers" on an agent' in service.cli("status", "spread", "two").stdout
    assert service.task(graph, "two").spec.spread == pb.Spread(group="workers", per_agent=1)
    gate.touch()
    assert service.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED


def test_constraints_that_cannot_be_are_refused_with_what_would_be_right(start):
    service = start()
    bad = [pb.Constraint(attribute="rack"), pb.Constraint(equals="x"), pb.Constraint(attribute="a", matches="(")]
    with pytest.raises(grpc.RpcError) as refused:
        service.submit([task("a", constraints=bad)])
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    problems = pb.Problems.FromString(dict(refused.value.trailing_metadata())["kartograph-problems-bin"])
    assert [one.field for one in problems.problems] == [
        'tasks["a"].constraints[0]', 'tasks["a"].constraints[1].attribute', 'tasks["a"].constraints[2].matches']


def test_on_the_only_agent_the_next_attempt_is_made_where_the_last_one_failed(start):
    service = start("--cpu", "1")
    graph = service.submit([task("a", shell="exit 1", max_attempts=2, retry_delay=0.01, avoid_last_failure=True)])
    assert service.wait_for_graph(graph).state == pb.GRAPH_STATE_FAILED
    assert len(service.task(graph, "a").attempts) == 2
