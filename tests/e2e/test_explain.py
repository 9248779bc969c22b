"""What tasks wait for, who holds pools, and pools that are changed while the service runs."""

import json
import signal

import grpc
import pytest

from harness import eventually, pb, task

HOLD = {"cpu": 0, "db": 2}


def hold(gate):
    return f"while [ ! -e {gate} ]; do sleep 0.02; done"


@pytest.fixture
def held(start, folder):
    """A service in which "holder" holds the pool of two and "waiter" waits for it."""
    service = start("--cpu", "1", "--ram", "1GiB", "--pool", "db=2")
    gate = folder / "gate"
    graph = service.submit([task("holder", shell=hold(gate), priority=1, consumption=HOLD),
                            task("waiter", consumption=HOLD),
                            task("after", after=["waiter"])], name="held")
    eventually(lambda: service.states(graph)["holder"] == "RUNNING", "the holder runs")
    yield service, graph, gate
    gate.touch()


def explain(service, *words, code=0):
    result = service.cli("explain", *words)
    assert result.returncode == code, result
    return result.stdout if code == 0 else result.stderr


def test_a_task_says_who_holds_what_it_waits_for(held):
    service, graph, _ = held
    text = explain(service, "held", "waiter")
    assert text.startswith(f'"waiter" of held ({graph}) is ready:\n')
    assert 'waits for pool db: needs 2, 0 of 2 free' in text
    assert f'"holder" of {graph} holds 2 on agent ' in text
    assert "when it starts is not known" in text
    document = json.loads(explain(service, "held", "waiter", "--json"))
    assert document["state"] == "TASK_STATE_READY" and document["summary"]
    (reason,) = [r for r in document["reasons"] if r["kind"] == "POOL"]
    assert reason["holders"][0]["taskName"] == "holder" and reason["holderCount"] == "1"
    assert reason["shortages"] == [
        {"resource": "db", "need": 2, "free": 0, "capacity": 2, "missing": 2}]


def test_every_state_is_explained(held):
    service, graph, gate = held
    assert "runs on agent" in explain(service, "held", "holder")
    assert 'waits for "waiter"' in explain(service, "held", "after")
    assert 'at the beginning' not in explain(service, "held", "after")
    gate.touch()
    service.wait_for_graph(graph)
    assert "has succeeded" in explain(service, "held", "waiter")
    assert "succeeded" in explain(service, "held")
    failed = service.submit([task("bad", shell="exit 3"), task("next", after=["bad"]),
                             task("last", after=["next"])], name="failing")
    service.wait_for_graph(failed)
    text = explain(service, "failing", "last")
    assert "was skipped" in text and '"bad" failed: exited with status 3' in text
    document = json.loads(explain(service, "failing", "last", "--json"))
    assert document["because"]["taskName"] == "bad"
    assert "exited with status 3" in explain(service, "failing", "bad")


def test_a_wrong_name_is_refused_with_the_one_that_was_meant(held):
    service, _, _ = held
    assert 'did you mean "waiter"' in explain(service, "held", "waitr", code=2)
    assert 'no graph' in explain(service, "hold", code=2)
    service.cli("cancel", "held")


def test_a_graph_says_what_holds_most_of_it_up(held):
    service, graph, _ = held
    text = explain(service, "held")
    assert text.startswith(f"held ({graph}) is running: ")
    assert '1 task, "waiter": waits for pool db' in text
    assert '"waiter" holds up 1 task' in text
    document = json.loads(explain(service, "held", "--json"))
    assert {group["kind"] for group in document["groups"]} == {"RUNNING", "POOL", "TASKS"}
    assert [blocker["holdsUp"] for blocker in document["blockers"]] == ["1"]


def test_the_http_api_explains_as_well(held):
    service, graph, gate = held
    status, _, body = service.get(f"/api/v1/graphs/{graph}/explain?task=waiter")
    assert status == 200 and json.loads(body)["reasons"][0]["kind"] == "POOL"
    status, _, body = service.get(f"/api/v1/graphs/{graph}/explain")
    assert status == 200 and json.loads(body)["graphId"] == graph
    assert service.get(f"/api/v1/graphs/{graph}/explain?task=nobody")[0] == 404
    assert service.get("/api/v1/graphs/g99/explain")[0] == 404
    assert service.get(f"/api/v1/graphs/{graph}/explain?tusk=a")[0] == 400
    status, _, body = service.get("/api/v1/pools")
    (pool,) = json.loads(body)["pools"]
    assert status == 200 and pool["holders"][0]["taskName"] == "holder"
    assert pool["waiting"][0]["taskName"] == "waiter" and "setting" not in pool
    gate.touch()
    service.wait_for_graph(graph)
    assert service.get(f"/api/v1/graphs/{graph}/explain")[0] == 409


def test_pools_are_shown_with_who_holds_them_and_changed(held):
    service, graph, _ = held
    shown = service.cli("pools").stdout
    assert "db    2 of 2  1 task   the settings" in shown
    assert "first in line: \"waiter\" of " + graph in shown
    assert service.cli("pool", "set", "db=4").stdout == "pool db: 2 -> 4\n"
    eventually(lambda: service.states(graph)["waiter"] == "SUCCEEDED", "there is room for two")
    assert "(2 in the settings)" in service.cli("pools").stdout
    eventually(lambda: "pool db was set at run time by "
               in service.stderr(), "the log says who")
    assert service.cli("pool", "set", "db=default").stdout == "pool db: 4 -> 2, as in the settings\n"
    assert service.cli("pool", "set", "tapes=3").stdout == "pool tapes: new -> 3\n"
    assert service.cli("pool", "set", "tapes=default").stdout == "pool tapes is gone\n"


def test_what_was_set_survives_a_kill_and_yields_to_a_changed_setting(start, folder):
    config = folder / "config.yaml"
    config.write_text("pools: {db: 2}\n")
    service = start("--config", config)

    def capacity():
        return {p.pool.name: p.pool.capacity
                for p in service.stub.ListPools(pb.ListPoolsRequest()).pools}
    assert service.cli("pool", "set", "db=7").returncode == 0
    assert service.cli("pool", "set", "tapes=1").returncode == 0
    service.kill()
    service.start()
    assert capacity() == {"db": 7, "tapes": 1}
    assert "db=7 (set at run time)" in service.stderr()
    config.write_text("pools: {db: 2}\nretention-graphs: 100\n")
    service.process.send_signal(signal.SIGHUP)
    eventually(lambda: "retention-graphs" in service.stderr(), "the settings were read")
    assert capacity() == {"db": 7, "tapes": 1}, "the setting of the pool is as it was"
    config.write_text("pools: {db: 3}\n")
    service.process.send_signal(signal.SIGHUP)
    eventually(lambda: capacity() == {"db": 3, "tapes": 1}, "the setting was changed")
    eventually(lambda: "pool db: its setting was changed, so what was set at run time is over: 3"
               in service.stderr(), "the log says so")


@pytest.mark.parametrize("setting, why", [
    ("db", "must be NAME=NUMBER"), ("db=", "must be NAME=NUMBER"), ("db=0", "more than 0"),
    ("db=-1", "-1"), ("db=lots", "lots"), ("cpu=3", "belongs to agents"),
    ("no name=3", "no name"), ("nobody=default", "no pool \"nobody\"")])
def test_wrong_settings_of_pools_are_refused(shared, setting, why):
    result = shared.cli("pool", "set", setting)
    assert result.returncode == 2 and why in result.stderr, result


def test_a_pool_that_is_needed_does_not_go(held):
    service, graph, _ = held
    assert service.cli("pool", "set", "tapes=1").returncode == 0
    other = service.submit([task("a", consumption={"cpu": 0, "tapes": 1, "db": 1})])
    result = service.cli("pool", "set", "tapes=default")
    assert result.returncode == 1 and f"needed by 1 task of graph {other}" in result.stderr
    with pytest.raises(grpc.RpcError) as error:
        service.stub.SetPool(pb.SetPoolRequest(request_id="r", name="tapes"))
    assert error.value.code() == grpc.StatusCode.FAILED_PRECONDITION
