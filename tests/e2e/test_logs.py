"""What tasks write, and how much of it is kept."""

import os

from harness import eventually, pb, state_name, task

MEBIBYTE = 1 << 20


def test_opening_stderr_again_loses_nothing(shared):
    graph = shared.submit([task("a", shell="echo one >&2; echo two > /dev/stderr; echo three >&2; "
                                           "echo four > /dev/stdout; echo five >> /dev/stdout")])
    shared.wait_for_graph(graph)
    assert shared.cli("logs", graph, "a", "--stderr").stdout == "one\ntwo\nthree\n"
    assert shared.cli("logs", graph, "a", "--stdout").stdout == "four\nfive\n"


def test_nothing_is_left_of_streams_that_stayed_empty(shared):
    graph = shared.submit([task("a"), task("b", shell="echo text")])
    shared.wait_for_graph(graph)
    logs = shared.cli("logs", graph, "a")
    assert (logs.returncode, logs.stdout) == (0, "")
    sandboxes = shared.state / "sandboxes" / graph[1:]
    assert sorted(str(file.relative_to(sandboxes)) for file in sandboxes.rglob("*")) == [
        "0.1", "1.1", "1.1/stdout"]


def test_of_a_long_log_the_beginning_and_the_end_are_kept(start):
    service = start("--log-limit", "1MiB")
    graph = service.submit([task("a", shell="seq 1 2000000")])
    service.wait_for_graph(graph)
    log = service.cli("logs", graph, "a").stdout
    assert log.startswith("1\n2\n3\n") and log.endswith("1999999\n2000000\n")
    assert " bytes were cut out here" in log and MEBIBYTE * 0.9 < len(log) < MEBIBYTE * 1.1
    assert service.cli("logs", graph, "a", "--tail", "1").stdout == "2000000\n"
    file = service.state / "sandboxes" / graph[1:] / "0.1" / "stdout"
    if file.stat().st_blocks * 512 < file.stat().st_size:  # a file system with holes
        assert file.stat().st_blocks * 512 < 1.2 * MEBIBYTE


def test_a_long_log_is_read_in_pages_over_http(start):
    service = start("--log-limit", "1MiB")
    graph = service.submit([task("a", shell="seq 1 2000000")])
    service.wait_for_graph(graph)
    log, offset = b"", 0
    while True:
        status, headers, page = service.get(
            f"/api/v1/graphs/{graph}/log?task=a&stream=stdout&offset={offset}")
        assert status == 200
        if not page:
            break
        log += page
        offset = int(headers["X-Kartograph-Offset"]) + len(page)
    assert log.decode() == service.cli("logs", graph, "a").stdout
    assert log.count(b"were cut out here") == 1


def test_a_running_agent_takes_the_limit_of_the_present_service(start):
    service = start()
    held = service.submit([task("a", "sleep", "1000", grace=0.1)])
    service.wait_for_task(held, "a", pb.TASK_STATE_RUNNING)
    agent = (service.state / "agent.pid").read_text()
    service.terminate()
    service.start("--log-limit", "64KiB")
    graph = service.submit([task("a", shell="yes | head -c 1000000")])
    service.wait_for_graph(graph)
    assert len(service.cli("logs", graph, "a").stdout) < 100000
    assert (service.state / "agent.pid").read_text() == agent
    service.cancel(held)


def test_a_task_that_writes_without_end_stops_nobody(small_disk, start):
    mounted = small_disk(48)
    service = start(state=mounted / "state")
    graph = service.submit([task("endless", shell="exec yes 0123456789012345678901234567890",
                                 grace=0.1)])
    disk = lambda: os.statvfs(mounted)  # noqa: E731
    eventually(lambda: disk().f_bavail * 20 <= disk().f_blocks * 1.2, "its log fills the disk")
    # Its log stays above the reserve; something else does not.
    (mounted / "filler").write_bytes(bytes(1 << 20))
    # Nothing more is started, and the reason is said; what is there can be used and cancelled.
    other = service.submit([task("other")])
    eventually(lambda: "kept in reserve" in service.task(other, "other").reason
               or "kept in reserve" in service.cli("status").stdout, "the reason is shown")
    assert service.cli("status", graph).returncode == 0
    assert service.cli("cancel", graph).returncode == 0
    service.wait_for_graph(graph)
    assert "bytes are missing here: only " in service.cli("logs", graph, "endless", "--tail",
                                                          "2").stdout
    service.cli("cancel", other)
    assert state_name(service.task(graph, "endless").state) == "CANCELLED"
    assert service.wait_for_graph(other).state == pb.GRAPH_STATE_CANCELLED
