"""Recorded workflows in WfFormat run as graphs that sleep their recorded runtimes, scaled."""

import json

import pytest

from harness import pb

FILES = ["1000genome-chameleon-8ch-100k-001", "bwa-chameleon-small-001",
         "cycles-chameleon-1l-2c-9p-001", "epigenomics-chameleon-hep-4seq-100k-001",
         "montage-chameleon-2mass-015d-001", "montage-chameleon-dss-10d-001", "rnaseq-dirt02-001",
         "sarek-dirt02-001", "seismology-chameleon-300p-001", "soykb-chameleon-20fastq-10ch-001"]


@pytest.mark.parametrize("name", FILES)
def test_a_recorded_workflow_runs_to_its_end(data, start, name):
    path = data / "wfinstances" / f"{name}.json"
    recorded = json.loads(path.read_text())["workflow"]["specification"]["tasks"]
    service = start("--cpu", "256", "--ram", "4TiB")
    submitted = service.cli("submit", path, "--scale", "0.00001", "--wait")
    assert submitted.returncode == 0, submitted.stderr
    graph = submitted.stdout.split()[0]
    ended = service.graph(graph)
    assert ended.state == pb.GRAPH_STATE_SUCCEEDED and ended.counts.succeeded == len(recorded)
    after = sum(len(t.spec.after) for t in service.tasks(graph).values())
    assert after == sum(len(t["parents"]) for t in recorded)


def test_a_workflow_that_fits_no_agent_is_refused_not_queued(data, start):
    service = start("--cpu", "0.5")
    service.wait_for_agent()
    path = data / "wfinstances" / "sarek-dirt02-001.json"
    completed = service.cli("submit", path, "--scale", "0.0001")
    assert completed.returncode == 2 and "cpu" in completed.stderr
    assert not service.call("ListGraphs", pb.ListGraphsRequest()).graphs
