"""kartograph plan: what would happen, compared with what then does."""

import datetime
import json
import re
import xml.etree.ElementTree

import pytest

from harness import cli, one_document

DONE, WRONG, UNREACHABLE = 0, 2, 3
NOBODY = "127.0.0.1:1"
SVG = "{http://www.w3.org/2000/svg}"


def seconds(text):
    return float(text.rstrip("s"))


def test_a_recorded_workflow_is_planned_without_a_service(data, tmp_path):
    path = data / "wfinstances" / "epigenomics-chameleon-hep-4seq-100k-001.json"
    recorded = json.loads(path.read_text())["workflow"]["specification"]["tasks"]
    chart = tmp_path / "plan.svg"
    completed = cli("plan", path, "--agents", "4xcpu=8,ram=16GiB", "--gantt", chart, "--json", server=NOBODY)
    assert completed.returncode == DONE, completed.stderr
    plan = one_document(completed.stdout)
    assert len(plan["tasks"]) == len(recorded) and plan["agents"] == 4
    assert seconds(plan["lowerBound"]) <= seconds(plan["makespan"]) * 1.000001
    assert seconds(plan["criticalPathLength"]) <= seconds(plan["lowerBound"]) * 1.000001
    ends = {t["name"]: seconds(t["end"]) for t in plan["tasks"]}
    assert max(ends.values()) == pytest.approx(seconds(plan["makespan"]), rel=1e-6)
    path_ends = [ends[name] for name in plan["criticalPath"]]
    assert path_ends == sorted(path_ends)
    bars = xml.etree.ElementTree.parse(chart).getroot().iter(SVG + "title")
    assert len(list(bars)) == len(recorded)


def test_without_agents_the_plan_is_for_the_services_cluster(start, tmp_path):
    service = start("--cpu", "2", "--ram", "1GiB", "--pool", "db_connections=2")
    service.wait_for_agent()
    graph = tmp_path / "graph.yaml"
    graph.write_text("name: loads\ndefaults: {expected_duration: 10s, consumption: {db_connections: 1}}\n"
                     "tasks: [{name: load-1, command: 'true'}, {name: load-2, command: 'true'}, "
                     "{name: load-3, command: 'true'}]\n")
    plan = one_document(service.cli("plan", graph, "--json").stdout)
    assert plan["agents"] == 1 and seconds(plan["makespan"]) == 20
    assert {r["name"]: r["pool"] for r in plan["resources"]} == {
        "cpu": False, "ram": False, "db_connections": True}
    # What such tasks took goes before what the file says.
    assert service.cli("submit", graph, "--wait").returncode == DONE
    learned = one_document(service.cli("plan", graph, "--learned", "--json").stdout)
    assert seconds(learned["makespan"]) < 5


def test_a_running_graph_says_when_it_is_expected_to_end(start, tmp_path):
    service = start("--cpu", "1", "--ram", "1GiB")
    service.wait_for_agent()
    graph = tmp_path / "graph.yaml"
    graph.write_text("name: loads\ndefaults: {expected_duration: 10m}\ntasks:\n"
                     + "".join(f"  - {{name: {name}, command: sleep 1000}}\n" for name in "abc"))
    assert service.cli("submit", graph).returncode == DONE
    asked = datetime.datetime.now(datetime.timezone.utc)
    status = one_document(service.cli("status", "loads", "--json").stdout)
    expected = datetime.datetime.fromisoformat(status["expectedEndTime"][:19] + "+00:00")
    assert 27 * 60 < (expected - asked).total_seconds() < 31 * 60
    assert re.search(r", expected to end in (29|30) min \d\d s \(\d{4}-", service.cli("status", "loads").stdout)
    assert service.cli("cancel", "loads").returncode == DONE
    assert "expected to end" not in service.cli("status", "loads").stdout


def test_what_cannot_be_planned_is_said(tmp_path):
    graph = tmp_path / "graph.yaml"
    graph.write_text("name: large\ntasks: [{name: a, command: 'true', consumption: {cpu: 9}}]\n")
    completed = cli("plan", graph, "--agents", "2xcpu=8", server=NOBODY)
    assert completed.returncode == WRONG
    assert f"{graph}:2:" in completed.stderr and "ask for at most 8" in completed.stderr
    completed = cli("plan", graph, server=NOBODY)
    assert completed.returncode == UNREACHABLE and "--agents" in completed.stderr
    completed = cli("plan", graph, "--agents", "many", server=NOBODY)
    assert completed.returncode == WRONG and "20xcpu=16,ram=64GiB" in completed.stderr
