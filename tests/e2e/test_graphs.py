"""Graphs of real tasks: what runs, in which order, with what, and how it ends."""

import re

from harness import greatest_overlap, instant, outcome_name, pb, task


def test_tasks_run_after_those_they_name_and_find_their_environment(shared, folder):
    trace = folder / "trace"
    graph = shared.submit([
        task("a", shell=f"echo a >> {trace}"),
        task("b", "/bin/sh", "-c", f"echo b:$COLOUR:$KARTOGRAPH_TASK >> {trace}", after=["a"],
             environment={"COLOUR": "blue green"}),
        task("c", shell=f"pwd > {trace}.c; echo c >> {trace}", after=["b"], directory=folder),
        task("d", shell=f'echo "$KARTOGRAPH_GRAPH $KARTOGRAPH_ATTEMPT"; pwd > {trace}.d; ls -A | wc -l',
             after=["c"]),
    ])
    assert shared.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED
    assert trace.read_text().split("\n") == ["a", "b:blue green:b", "c", ""]
    assert (folder / "trace.c").read_text().strip() == str(folder)
    assert (folder / "trace.d").read_text().strip() not in ("/", str(folder))
    said = shared.log_of(graph, "d").decode().split()
    attempt = shared.task(graph, "d").attempts[0]
    assert said[:2] == [graph, attempt.attempt_id]


def test_the_history_tells_when_where_and_at_what_cost_an_attempt_ran(shared):
    graph = shared.submit([task("busy", "/usr/bin/python3", "-c",
                                "import time\nx = bytearray(60 << 20)\n"
                                "end = time.process_time() + 0.3\nwhile time.process_time() < end: pass",
                                consumption={"cpu": 1, "ram": 512 << 20})])
    shared.wait_for_graph(graph)
    busy = shared.task(graph, "busy")
    assert busy.state == pb.TASK_STATE_SUCCEEDED
    (attempt,) = busy.attempts
    assert attempt.number == 1 and attempt.agent and attempt.outcome == pb.OUTCOME_SUCCEEDED
    assert instant(attempt.launch_time) <= instant(attempt.start_time) + 0.001
    assert instant(attempt.start_time) < instant(attempt.end_time)
    assert attempt.usage.cpu_time.ToMilliseconds() >= 290
    assert attempt.usage.wall_time.ToMilliseconds() >= 290
    assert 50 << 20 < attempt.usage.peak_ram_bytes < 512 << 20
    assert busy.spec.command.arguments[0] == "/usr/bin/python3"
    assert busy.consumption["ram"] == 512 << 20


def test_return_values_are_kept_byte_by_byte(shared):
    graph = shared.submit([task("a", shell=r"printf '\000\377\nvalue' > $KARTOGRAPH_RESULT"),
                           task("none")])
    shared.wait_for_graph(graph)
    assert shared.task(graph, "a").return_value == b"\x00\xff\nvalue"
    assert shared.task(graph, "none").return_value == b""


def test_a_failing_task_is_tried_again_until_it_succeeds(shared, folder):
    count = folder / "count"
    graph = shared.submit([task("flaky", shell=f"echo x >> {count}; [ $(wc -l < {count}) -ge 3 ]",
                                max_attempts=5, retry_delay=0.05)])
    assert shared.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED
    attempts = shared.task(graph, "flaky").attempts
    assert [outcome_name(a.outcome) for a in attempts] == ["EXITED", "EXITED", "SUCCEEDED"]
    assert [a.number for a in attempts] == [1, 2, 3]
    assert attempts[0].exit_status == 1
    # The wait doubles: 50 ms, then 100 ms.
    assert instant(attempts[1].start_time) - instant(attempts[0].end_time) >= 0.05
    assert instant(attempts[2].start_time) - instant(attempts[1].end_time) >= 0.1


def test_attempts_are_capped_and_what_comes_after_is_skipped_while_the_rest_goes_on(shared):
    graph = shared.submit([
        task("bad", shell="exit 7", max_attempts=2, retry_delay=0.01),
        task("after", after=["bad"]), task("later", after=["after", "good"]),
        task("good"), task("also_good", after=["good"]),
    ])
    assert shared.wait_for_graph(graph).state == pb.GRAPH_STATE_FAILED
    assert shared.states(graph) == {"bad": "FAILED", "after": "SKIPPED", "later": "SKIPPED",
                                    "good": "SUCCEEDED", "also_good": "SUCCEEDED"}
    bad = shared.task(graph, "bad")
    assert [a.exit_status for a in bad.attempts] == [7, 7]
    assert "7" in bad.reason
    assert "bad" in shared.task(graph, "after").reason


def test_fail_fast_cancels_everything_else(shared, folder):
    started = folder / "started"
    graph = shared.submit([
        task("long", shell=f"touch {started}; exec sleep 1000", grace=0.1),
        task("waits", after=["long"]),
        task("bad", shell=f"while [ ! -e {started} ]; do sleep 0.02; done; exit 1"),
    ], fail_fast=True)
    assert shared.wait_for_graph(graph).state == pb.GRAPH_STATE_FAILED
    states = shared.states(graph)
    assert states["bad"] == "FAILED" and states["long"] == "CANCELLED"
    assert states["waits"] in ("CANCELLED", "SKIPPED")


def test_a_task_over_its_timeout_is_ended_and_says_so(shared):
    graph = shared.submit([task("slow", "sleep", "1000", timeout=0.3, grace=0.2)])
    assert shared.wait_for_graph(graph).state == pb.GRAPH_STATE_FAILED
    slow = shared.task(graph, "slow")
    assert outcome_name(slow.attempts[0].outcome) == "TIMED_OUT"
    assert re.search(r"time", slow.reason)


def test_a_timeout_is_tried_again_where_attempts_are_left(shared, folder):
    mark = folder / "mark"
    graph = shared.submit([task("slow", shell=f"[ -e {mark} ] || {{ touch {mark}; sleep 1000; }}",
                                timeout=0.5, grace=0.1, max_attempts=2, retry_delay=0.01)])
    assert shared.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED
    outcomes = [outcome_name(a.outcome) for a in shared.task(graph, "slow").attempts]
    assert outcomes == ["TIMED_OUT", "SUCCEEDED"]


def test_a_program_that_is_not_there_says_so(shared):
    graph = shared.submit([task("nothing", "/no/such/program"), task("nowhere", directory="/no/dir")])
    assert shared.wait_for_graph(graph).state == pb.GRAPH_STATE_FAILED
    nothing, nowhere = shared.task(graph, "nothing"), shared.task(graph, "nowhere")
    assert outcome_name(nothing.attempts[0].outcome) == "NOT_STARTED"
    assert "/no/such/program" in nothing.reason
    assert outcome_name(nowhere.attempts[0].outcome) == "NOT_STARTED"
    assert "/no/dir" in nowhere.reason


def test_a_task_ended_by_a_signal_says_which(shared):
    graph = shared.submit([task("killed", shell="kill -USR1 $$; sleep 5")])
    shared.wait_for_graph(graph)
    (attempt,) = shared.task(graph, "killed").attempts
    assert outcome_name(attempt.outcome) == "SIGNALLED" and attempt.signal == 10


def test_memory_over_the_declared_limit_ends_the_attempt_with_a_reason(shared):
    eat = "x = []\nwhile True: x.append(bytearray(8 << 20))"
    graph = shared.submit([task("eater", "/usr/bin/python3", "-c", eat, consumption={"ram": 128 << 20})])
    shared.wait_for_graph(graph)
    eater = shared.task(graph, "eater")
    assert eater.state == pb.TASK_STATE_FAILED
    assert outcome_name(eater.attempts[0].outcome) == "OUT_OF_MEMORY"
    assert re.search(r"(memory|ram)", eater.reason, re.IGNORECASE)
    assert "128" in eater.reason  # what was declared


def test_no_pool_and_no_agent_is_ever_used_over_its_capacity(shared):
    tasks = [task(f"t{i}", "sleep", f"0.0{i % 5}", consumption={"licences": 1 + i % 2, "cpu": 0.5})
             for i in range(60)]
    graph = shared.submit(tasks)
    assert shared.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED
    done = shared.tasks(graph).values()
    runs = [(t, a) for t in done for a in t.attempts]
    licences = {a.attempt_id: t.consumption["licences"] for t, a in runs}
    assert greatest_overlap([a for _, a in runs], lambda a: licences[a.attempt_id]) <= 3
    assert greatest_overlap([a for _, a in runs], lambda a: 0.5) <= 4


def test_higher_priority_goes_first(shared, folder):
    trace, gate = folder / "trace", folder / "gate"
    everything = {"licences": 3}
    tasks = [task("holder", shell=f"while [ ! -e {gate} ]; do sleep 0.02; done",
                  consumption=everything, priority=100)]
    first = shared.submit(tasks)
    shared.wait_for_task(first, "holder", pb.TASK_STATE_RUNNING)
    second = shared.submit([task(f"p{p}", shell=f"echo {p} >> {trace}", consumption=everything,
                                 priority=p) for p in (1, 3, 2, -1)])
    waiting = shared.task(second, "p1")
    assert waiting.state == pb.TASK_STATE_READY and "licences" in waiting.reason
    gate.touch()
    shared.wait_for_graph(first)
    shared.wait_for_graph(second)
    assert trace.read_text().split() == ["3", "2", "1", "-1"]


def test_a_wide_and_deep_graph_ends_with_every_task_run_once(shared, folder):
    trace = folder / "trace"
    tasks = []
    for layer in range(12):
        for i in range(25):
            after = [f"l{layer - 1}.{i}", f"l{layer - 1}.{(i + 1) % 25}"] if layer else []
            tasks.append(task(f"l{layer}.{i}", shell=f"echo $KARTOGRAPH_TASK >> {trace}", after=after,
                              consumption={"cpu": 0.25}))
    graph = shared.submit(tasks, batch=7)
    ended = shared.wait_for_graph(graph)
    assert ended.state == pb.GRAPH_STATE_SUCCEEDED
    assert ended.counts.total == ended.counts.succeeded == 300
    order = {name: i for i, name in enumerate(trace.read_text().split())}
    assert len(order) == 300 == len(trace.read_text().split())
    assert all(order[before] < order[t.name] for t in tasks for before in t.after)


def test_watching_tells_the_graph_and_then_every_change_until_it_ends(shared, folder):
    gate = folder / "gate"
    graph = shared.submit([task("a", shell=f"while [ ! -e {gate} ]; do sleep 0.02; done"),
                           task("b", after=["a"])])
    messages = shared.stub.WatchGraph(pb.WatchGraphRequest(graph_id=graph), timeout=60)
    first = next(messages)
    assert first.graph.state == pb.GRAPH_STATE_RUNNING and first.graph.counts.total == 2
    gate.touch()
    rest = list(messages)
    assert rest[-1].graph.state == pb.GRAPH_STATE_SUCCEEDED
    last = {change.task_name: change.state for message in rest for change in message.changes}
    assert last == {"a": pb.TASK_STATE_SUCCEEDED, "b": pb.TASK_STATE_SUCCEEDED}


def test_the_cluster_tells_what_runs_where(shared, folder):
    gate = folder / "gate"
    graph = shared.submit([task("a", shell=f"while [ ! -e {gate} ]; do sleep 0.02; done",
                                consumption={"licences": 2, "cpu": 1.5})], name="visible")
    shared.wait_for_task(graph, "a", pb.TASK_STATE_RUNNING)
    cluster = shared.call("GetCluster", pb.GetClusterRequest())
    gate.touch()
    (agent,) = cluster.agents
    assert cluster.connected and agent.connected and agent.capacity["cpu"] == 4
    assert agent.capacity["ram"] == 2 << 30 and agent.used["cpu"] == 1.5
    (pool,) = cluster.pools
    assert (pool.name, pool.capacity, pool.used) == ("licences", 3, 2)
    (running,) = [r for r in cluster.running if r.graph_id == graph]
    assert running.task_name == "a" and running.graph_name == "visible"
    shared.wait_for_graph(graph)


def test_lists_are_paged_without_gaps_or_repetitions(shared):
    graph = shared.submit([task(f"t{i:03}", consumption={"cpu": 0.1}) for i in range(45)])
    shared.wait_for_graph(graph)
    names, token = [], ""
    while True:
        page = shared.call("ListTasks", pb.ListTasksRequest(graph_id=graph, page_size=10,
                                                            page_token=token))
        assert len(page.tasks) <= 10
        names += [t.name for t in page.tasks]
        token = page.next_page_token
        if not token:
            break
    assert names == [f"t{i:03}" for i in range(45)]
    graphs, token = [], ""
    while True:
        page = shared.call("ListGraphs", pb.ListGraphsRequest(page_size=3, page_token=token))
        graphs += [g.graph_id for g in page.graphs]
        token = page.next_page_token
        if not token:
            break
    assert graphs[0] == graph and len(set(graphs)) == len(graphs)


def test_the_last_failures_come_with_the_end_of_their_log(shared):
    graph = shared.submit([task("loud", shell="echo the cause >&2; exit 3")], name="unlucky")
    shared.wait_for_graph(graph)
    failures = shared.call("ListFailures", pb.ListFailuresRequest(max_failures=5)).failures
    assert failures[0].task_name == "loud" and failures[0].graph_name == "unlucky"
    assert "the cause" in failures[0].log_tail


def test_retry_runs_again_what_failed_and_what_was_skipped_and_nothing_else(shared, folder):
    trace, fixed = folder / "trace", folder / "fixed"
    graph = shared.submit([
        task("good", shell=f"echo good >> {trace}"),
        task("bad", shell=f"echo bad >> {trace}; [ -e {fixed} ]"),
        task("after", shell=f"echo after >> {trace}", after=["bad", "good"]),
    ])
    assert shared.wait_for_graph(graph).state == pb.GRAPH_STATE_FAILED
    fixed.touch()
    assert shared.call("Retry", pb.RetryRequest(graph_id=graph)).tasks == 2
    assert shared.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED
    assert sorted(trace.read_text().split()) == ["after", "bad", "bad", "good"]
