"""The HTTP side: the page, the API as JSON, events, metrics, health; and gRPC's own services."""

import http.client
import json
import re

import pytest

from harness import eventually, task


def get_json(service, path):
    status, headers, body = service.get(path)
    assert status == 200, (path, status, body)
    assert headers["Content-Type"].startswith("application/json")
    return json.loads(body)


@pytest.fixture(scope="module")
def graph(shared):
    graph_id = shared.submit([task("a", shell="echo hello; echo oops >&2; exit 4"),
                              task("b/c", after=["a"]), task("d")], name="page")
    shared.wait_for_graph(graph_id)
    return graph_id


def test_the_page_and_its_files_are_served(shared):
    status, headers, body = shared.get("/")
    assert status == 200 and headers["Content-Type"].startswith("text/html")
    assert b"Kartograph" in body
    for path in set(re.findall(rb'(?:src|href)="(/?[\w./-]+\.(?:js|css|svg))"', body)):
        status, _, content = shared.get("/" + path.decode().lstrip("/"))
        assert status == 200 and content, path


def test_healthz_says_ok(shared):
    status, _, body = shared.get("/healthz")
    assert status == 200 and b"ok" in body.lower()


def test_the_api_speaks_the_contracts_messages_as_json(shared, graph):
    one = get_json(shared, f"/api/v1/graphs/{graph}")
    assert one["graphId"] == graph and one["state"] == "GRAPH_STATE_FAILED"
    assert one["counts"]["skipped"] == 1 and one["spec"]["name"] == "page"
    graphs = get_json(shared, "/api/v1/graphs?page_size=1")["graphs"]
    assert [g["graphId"] for g in graphs] == [graph]
    tasks = get_json(shared, f"/api/v1/graphs/{graph}/tasks?full=true")["tasks"]
    assert [t["name"] for t in tasks] == ["a", "b/c", "d"]
    assert tasks[0]["attempts"][0]["exitStatus"] == 4
    failed = get_json(shared, f"/api/v1/graphs/{graph}/tasks?state=failed")["tasks"]
    assert [t["name"] for t in failed] == ["a"]
    a = get_json(shared, f"/api/v1/graphs/{graph}/task?name=b/c")
    assert a["state"] == "TASK_STATE_SKIPPED"
    failures = get_json(shared, "/api/v1/failures?max_failures=1")["failures"]
    assert failures[0]["taskName"] == "a" and "oops" in failures[0]["logTail"]
    cluster = get_json(shared, "/api/v1/cluster")
    assert cluster["connected"] and cluster["pools"][0]["name"] == "licences"


def test_a_log_is_served_as_it_was_written(shared, graph):
    status, headers, body = shared.get(f"/api/v1/graphs/{graph}/log?task=a&stream=stderr")
    assert (status, body) == (200, b"oops\n")
    assert headers["Content-Type"].startswith("text/plain")
    assert shared.get(f"/api/v1/graphs/{graph}/log?task=a&stream=stdout&offset=-3")[2] == b"lo\n"


@pytest.mark.parametrize("path, status", [
    ("/nowhere", 404), ("/api/v1/nowhere", 404), ("/api/v1/graphs/g999999", 404),
    ("/../../etc/passwd", (400, 404)), ("/%2e%2e/%2e%2e/etc/passwd", (400, 404)),
    ("/api/v1/graphs?page_size=lots", 400), ("/api/v1/graphs?state=angry", 400)])
def test_a_wrong_request_is_answered_with_the_right_status(shared, path, status):
    got, _, body = shared.get(path)
    assert got in (status if isinstance(status, tuple) else (status,)), body
    assert body.strip() and b"root:" not in body


def test_only_reading_is_possible(shared):
    for method in ("POST", "PUT", "DELETE"):
        connection = http.client.HTTPConnection(shared.http, timeout=60)
        connection.request(method, "/api/v1/graphs")
        assert connection.getresponse().status in (404, 405)
        connection.close()


def test_a_connection_serves_several_requests(shared):
    connection = http.client.HTTPConnection(shared.http, timeout=60)
    for _ in range(5):
        connection.request("GET", "/healthz")
        assert connection.getresponse().read()
    connection.close()


def test_events_follow_a_graph(shared, folder):
    gate = folder / "gate"
    graph = shared.submit([task("a", shell=f"while [ ! -e {gate} ]; do sleep 0.02; done")])
    connection = http.client.HTTPConnection(shared.http, timeout=60)
    connection.request("GET", "/api/v1/events",
                       headers={"Accept": "text/event-stream", **shared.authorization()})
    answer = connection.getresponse()
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    gate.touch()
    said = b""
    while graph.encode() not in said or b"SUCCEEDED" not in said:
        line = answer.readline()
        assert line, said
        said += line
    connection.close()


def test_metrics_are_prometheus_text_and_count(shared, graph):
    def metrics():
        status, headers, body = shared.get("/metrics")
        assert status == 200 and headers["Content-Type"].startswith("text/plain")
        return body.decode()
    text = metrics()
    samples = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert samples and all(re.fullmatch(r'[a-zA-Z_:][\w:]*(\{.*\})? [-+.\deEinfNa]+( \d+)?', line)
                           for line in samples)
    ours = [line for line in samples if line.startswith("kartograph_")]
    assert any("licences" in line for line in ours), "a pool"
    shared.wait_for_graph(shared.submit([task("more")]))
    eventually(lambda: metrics() != text, "the numbers move")


def test_health_checking_says_serving(shared):
    check = shared.channel.unary_unary("/grpc.health.v1.Health/Check")
    assert check(b"", timeout=60) == b"\x08\x01"  # status: SERVING
    named = b"\x0a\x1a" + b"kartograph.v1.TaskExecuter"
    assert check(named, timeout=60) == b"\x08\x01"


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_reflection_names_the_service(shared, version):
    reflect = shared.channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo")
    answer = next(iter(reflect(iter([b"\x3a\x01*"]), timeout=60)))  # list_services: "*"
    assert b"kartograph.v1.TaskExecuter" in answer

