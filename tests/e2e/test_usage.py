"""What tasks have used, and what follows from it: orders, warnings, the list of kinds."""

import json
import uuid

import grpc
import pytest

from harness import pb, problems_of, task

HERE = uuid.uuid4().hex.translate(str.maketrans("0123456789", "ghijklmnop"))  # names without digits


def kinds(service, **request):
    return list(service.call("ListUsage", pb.ListUsageRequest(**request)).kinds)


def graph_file(folder, name, tasks):
    path = folder / "graph.json"
    path.write_text(json.dumps({"name": name, "tasks": tasks}))
    return path


def test_usage_is_learnt_by_kind_and_survives_a_kill(start):
    service = start("--cpu", "4", "--ram", "2GiB")
    graph = service.submit([task(f"tile-{i}", "sleep", "0.2", consumption={"cpu": 0.5, "ram": 64 << 20})
                            for i in range(6)] + [task("bad", shell="exit 1")], name="release-2024")
    service.wait_for_graph(graph)

    def check():
        (kind,) = kinds(service)  # what failed says nothing
        assert (kind.graph, kind.task, kind.runs) == ("release-#", "tile-#", 6)
        assert dict(kind.consumption) == {"cpu": 0.5, "ram": 64 << 20}
        assert 0.19 < kind.wall_time_median.ToMicroseconds() / 1e6 < 5
        assert kind.wall_time_median.ToMicroseconds() <= kind.wall_time_p95.ToMicroseconds()
        assert 0 < kind.ram_median <= kind.ram_peak and kind.cpu_p95 < 1
        assert kind.proposal["cpu"] <= 0.5 and kind.proposal["ram"] >= 16 << 20
    check()
    service.kill()
    service.start()
    check()
    again = service.submit([task("tile-7", "sleep", "0.2", consumption={"cpu": 0.5, "ram": 64 << 20})],
                           name="release-2025")
    service.wait_for_graph(again)
    (kind,) = kinds(service)
    assert kind.runs == 7


def test_the_list_is_paged_and_filtered(shared):
    name = f"listed-{HERE}"
    shared.wait_for_graph(shared.submit([task("one-1"), task("two-1"), task("three")], name=name))
    assert [kind.task for kind in kinds(shared, graph=name)] == ["one-#", "three", "two-#"]
    (kind,) = kinds(shared, graph=name, task="two-77")
    assert kind.task == "two-#"
    seen, token = [], ""
    while True:
        page = shared.call("ListUsage", pb.ListUsageRequest(page_size=1, page_token=token))
        assert len(page.kinds) <= 1
        seen += [kind.task for kind in page.kinds if kind.graph == name]
        token = page.next_page_token
        if not token:
            break
    assert seen == ["one-#", "three", "two-#"]
    with pytest.raises(grpc.RpcError) as refused:
        shared.call("ListUsage", pb.ListUsageRequest(page_token="nonsense"))
    assert problems_of(refused.value)[0].field == "page_token"


def test_what_is_expected_to_take_long_goes_first(start):
    service = start("--cpu", "1", "--ram", "2GiB", "--search-schedules", "0")
    tasks = [task("blocker", "sleep", "1")]
    tasks += [task(f"short-{i}", after=[f"short-{i - 1}"] if i else ["blocker"]) for i in range(5)]
    for short in tasks:
        short.expected_duration.FromSeconds(1)
    long = task("long", after=["blocker"])
    long.expected_duration.FromSeconds(600)
    graph = service.submit([*tasks, long])
    assert service.task(graph, "long").spec.expected_duration.seconds == 600
    service.wait_for_graph(graph)
    launched = {name: one.attempts[0].launch_time.ToNanoseconds() for name, one in service.tasks(graph).items()}
    assert launched["long"] < launched["short-1"]


def test_an_expected_duration_is_checked(shared):
    wrong = task("a")
    wrong.expected_duration.FromSeconds(0)
    with pytest.raises(grpc.RpcError) as refused:
        shared.submit([wrong])
    (problem,) = problems_of(refused.value)
    assert problem.field == 'tasks["a"].expected_duration' and "longer than 0" in problem.message


def test_submit_warns_of_a_declaration_that_is_far_off(shared, folder):
    def submit(ram):
        return shared.cli("submit", "--wait", graph_file(folder, f"warned-{HERE}", [
            {"name": f"part-{i}", "command": "sleep 0.01", "consumption": {"cpu": 0.1, "ram": ram}} for i in range(6)]))
    first = submit("1GiB")
    assert "warning" not in first.stderr  # nothing is known
    second = submit("1GiB")
    assert second.returncode == 0
    assert 'warning: tasks like "part-#" declare ram 1GiB, and 95 % of 6 runs used at most' in second.stderr
    right = submit("32MiB")
    assert "warning" not in right.stderr


def test_usage_is_shown_as_a_table_and_as_json(shared, folder):
    name = f"shown-{HERE}"
    graph = shared.submit([task(f"t{i}", shell="sleep 0.01") for i in range(5)], name=name)
    shared.wait_for_graph(graph)
    for words in ((name, "t3"), (name, "t#"), (graph, "t9")):
        table = shared.cli("usage", *words)
        assert table.returncode == 0, table.stderr
        header, row = table.stdout.splitlines()
        assert header.split()[:3] == ["GRAPH", "KIND", "RUNS"]
        assert row.split()[:3] == [name, "t#", "5"] and "cpu=1" in row
    assert "t#" in shared.cli("usage", "t1").stdout and "t#" in shared.cli("usage").stdout
    document = json.loads(shared.cli("usage", name, "t1", "--json").stdout)
    assert document["kinds"][0]["runs"] == "5"
    nothing = shared.cli("usage", "no-such-kind")
    assert nothing.returncode == 0 and "No task of this kind" in nothing.stdout
    assert shared.cli("usage", "g999999", "t1").returncode == 2
    assert shared.cli("usage", "a", "b", "c").returncode == 2


def test_a_search_changes_nothing_but_the_order(start):
    service = start("--cpu", "2", "--ram", "2GiB")
    tasks = []
    for i, seconds in enumerate((0.6, 0.6, 0.4, 0.4, 0.4)):
        tasks.append(task(f"t{i}", "sleep", seconds))
        tasks[-1].expected_duration.FromMilliseconds(int(seconds * 1000))
    ended = service.wait_for_graph(service.submit(tasks))
    assert ended.state == pb.GRAPH_STATE_SUCCEEDED
    # 1.4 s in the order of durations, 1.2 s at best; launches cost some.
    assert ended.end_time.ToMilliseconds() - ended.submit_time.ToMilliseconds() < 10_000
