"""Starts that cannot succeed: one line that says what to do, an exit code, nothing damaged."""

import os
import pathlib
import resource
import socket
import sqlite3
import subprocess

import grpc
import pytest

from harness import (KARTOGRAPHD, PATIENCE, SANITIZER, Service, StartFailed, eventually, pb,
                     processes_with, task)
from small_disk import fill_up


def refused(start, *flags, **options):
    """Starts a service that must not come up; returns what it said."""
    with pytest.raises(StartFailed) as error:
        start(*flags, **options)
    failed = error.value
    assert failed.code not in (0, None) and failed.code > 0, f"no crash, please: {failed}"
    said = [line for line in failed.stderr.splitlines() if line.strip()]
    assert len(said) == 1, failed.stderr
    assert failed.stdout == ""
    return said[0]


def history_of(state):
    """The history's database file."""
    found = [path for path in pathlib.Path(state).rglob("*") if path.is_file()
             and path.read_bytes()[:15] == b"SQLite format 3"]
    assert len(found) == 1, found
    return found[0]


def test_a_state_folder_that_is_a_file_is_refused(start, folder):
    (folder / "state").write_text("mine")
    assert str(folder / "state") in refused(start)
    assert (folder / "state").read_text() == "mine"


def test_a_state_folder_that_cannot_be_written_is_refused(start, folder):
    state = folder / "state"
    state.mkdir()
    if os.geteuid() != 0:
        state.chmod(0o500)
        made = True
    else:
        # Root writes where it likes, unless the file system itself forbids it.
        made = subprocess.run(["mount", "-t", "tmpfs", "-o", "ro,size=1m", "kartograph-test", state],
                              stderr=subprocess.DEVNULL, check=False).returncode == 0
    if not made:
        pytest.skip("a read-only folder takes the right to mount")
    try:
        assert str(state) in refused(start)
    finally:
        if os.geteuid() == 0:
            subprocess.run(["umount", state], check=True)
        else:
            state.chmod(0o700)


def test_a_state_folder_in_use_is_refused_and_its_owner_goes_on(start):
    first = start()
    graph = first.submit([task("a", "sleep", "1000", grace=0.1)])
    second = Service(first.folder, state=first.state)
    second.starts = 100  # a log of its own
    assert str(first.state) in refused(second.start)
    first.wait_for_task(graph, "a", pb.TASK_STATE_RUNNING)
    first.cancel(graph)
    assert first.wait_for_graph(graph).state == pb.GRAPH_STATE_CANCELLED


def test_a_database_of_a_newer_version_is_refused_and_left_as_it_is(start):
    service = start()
    graph = service.submit([task("a")])
    service.wait_for_graph(graph)
    assert service.terminate() == 0
    database = history_of(service.state)
    with sqlite3.connect(database) as connection:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        assert version >= 1
        connection.execute("PRAGMA user_version = 999")
    connection.close()
    before = database.read_bytes()
    said = refused(service.start)
    assert "newer" in said and "999" in said
    assert database.read_bytes() == before
    with sqlite3.connect(database) as connection:
        connection.execute(f"PRAGMA user_version = {version}")
    connection.close()
    service.start()
    assert service.graph(graph).state == pb.GRAPH_STATE_SUCCEEDED


def test_a_database_that_is_none_is_refused_and_left_as_it_is(start):
    service = start()
    assert service.terminate() == 0
    database = history_of(service.state)
    for extra in database.parent.glob(database.name + "-*"):
        extra.unlink()
    database.write_bytes(b"this is a letter to my mother, not a database\n" * 100)
    before = database.read_bytes()
    assert str(database) in refused(service.start)
    assert database.read_bytes() == before


@pytest.mark.parametrize("flag", ["--grpc", "--http"])
def test_a_taken_port_is_refused_by_name(start, folder, flag):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        command = [KARTOGRAPHD, "--state", folder / "state", "--grpc", "127.0.0.1:0", "--http",
                   "127.0.0.1:0"]
        command[command.index(flag) + 1] = address
        ended = subprocess.run(list(map(str, command)), capture_output=True, text=True,
                               timeout=PATIENCE, check=False)
    assert ended.returncode > 0 and ended.stdout == ""
    said = ended.stderr.strip().splitlines()
    assert len(said) == 1 and address in said[0], ended.stderr
    service = start()  # nothing is in its way, and nothing was damaged
    service.wait_for_graph(service.submit([task("a")]))


@pytest.mark.parametrize("flags, words", [
    (["--cpu", "-1"], "--cpu"), (["--cpu", "many"], "--cpu"), (["--ram", "lots"], "--ram"),
    (["--ram", "5parsecs"], "--ram"), (["--pool", "db"], "--pool"), (["--pool", "db=-1"], "--pool"),
    (["--pool", "=3"], "--pool"), (["--cluster", "moon"], "--cluster"),
    (["--config", "/no/such/file.yaml"], "/no/such/file.yaml"), (["--nonsense"], "--nonsense"),
    (["--grpc", "nowhere"], "--grpc"), (["--http", "127.0.0.1:99999"], "--http")])
def test_a_wrong_flag_is_refused_by_name(folder, flags, words):
    command = [KARTOGRAPHD, "--state", folder / "state", "--grpc", "127.0.0.1:0", "--http",
               "127.0.0.1:0", *flags]
    for duplicated in ("--grpc", "--http"):
        if duplicated in flags:
            at = command.index(duplicated)
            del command[at:at + 2]
    ended = subprocess.run(list(map(str, command)), capture_output=True, text=True,
                           timeout=PATIENCE, check=False)
    assert ended.returncode > 0 and words in ended.stderr
    assert not (folder / "state").exists(), "a wrong call leaves nothing behind"


def test_help_names_every_flag_and_exits_with_zero():
    completed = subprocess.run([KARTOGRAPHD, "--help"], capture_output=True, text=True, timeout=PATIENCE,
                               check=False)
    assert completed.returncode == 0
    for flag in ("--state", "--grpc", "--http", "--cluster", "--cpu", "--ram", "--pool", "--config",
                 "--drain", "--max-graph-tasks"):
        assert flag in completed.stdout, flag


def test_a_configuration_file_is_read_and_a_flag_wins_over_it(folder, start):
    config = folder / "kartograph.yaml"
    config.write_text("cpu: 3\nram: 1GiB\npools:\n  db_connections: 7\n  licences: 2\n")
    service = start("--config", config, "--cpu", "2", "--pool", "licences=5")
    agent = service.wait_for_agent()
    assert agent.capacity["cpu"] == 2 and agent.capacity["ram"] == 1 << 30
    cluster = service.call("GetCluster", pb.GetClusterRequest())
    assert {pool.name: pool.capacity for pool in cluster.pools} == {"db_connections": 7,
                                                                    "licences": 5}


@pytest.mark.parametrize("text, words", [
    ("cpu: many\n", "cpu"), ("colour: blue\n", "colour"), ("pools: [1, 2]\n", "pools"),
    ("cpu: [\n", "line")])
def test_a_wrong_configuration_file_is_refused_with_its_place(folder, start, text, words):
    config = folder / "kartograph.yaml"
    config.write_text(text)
    said = refused(start, "--config", config)
    assert str(config) in said and words in said


def test_it_listens_on_loopback_unless_told_otherwise(folder, start):
    service = start()
    for address in (service.grpc, service.http):
        assert address.startswith("127.0.0.1:")


def test_running_out_of_disk_is_told_and_damages_nothing(small_disk, start, folder):
    mounted = small_disk(24)
    service = start(state=mounted / "state")
    kept = service.submit([task("kept")])
    service.wait_for_graph(kept)
    gate = folder / "gate"
    running = service.submit([task("a", shell=f"while [ ! -e {gate} ]; do sleep 0.05; done")])
    service.wait_for_task(running, "a", pb.TASK_STATE_RUNNING)
    assert service.get("/healthz")[0] == 200
    filler = fill_up(mounted)
    accepted = submit_until_refused(service)
    assert service.running()
    # It says so wherever somebody may look, and what runs is shown as that.
    eventually(lambda: service.get("/healthz")[0] == 503, "it is not healthy")
    assert b"cannot be written" in service.get("/healthz")[2]
    assert b"kartograph_history_writable 0" in service.get("/metrics")[2]
    assert "cannot be written" in service.cli("status").stdout
    service.wait_for_task(running, "a", pb.TASK_STATE_RUNNING)
    eventually(lambda: service.stderr().count("cannot be written") == 1, "it is logged once")
    assert service.graph(kept).state == pb.GRAPH_STATE_SUCCEEDED
    graphs = service.call("ListGraphs", pb.ListGraphsRequest()).graphs
    assert [graph.graph_id for graph in graphs] == [*reversed(accepted), running, kept], \
        "half a graph is stored"
    # With room again, it goes on as if nothing had been.
    filler.unlink()

    def accepted():
        try:
            return service.submit([task("late")])
        except grpc.RpcError:
            return None
    late = eventually(accepted, "a graph is accepted again")
    assert service.wait_for_graph(late).state == pb.GRAPH_STATE_SUCCEEDED
    assert service.get("/healthz")[0] == 200
    assert b"kartograph_history_writable 1" in service.get("/metrics")[2]
    assert "cannot be written" not in service.cli("status").stdout
    eventually(lambda: "can be written again" in service.stderr(), "it is logged")
    gate.touch()
    assert service.wait_for_graph(running).state == pb.GRAPH_STATE_SUCCEEDED
    service.kill()
    service.start()
    assert service.graph(kept).state == service.graph(late).state == pb.GRAPH_STATE_SUCCEEDED


def test_a_start_on_a_full_disk_is_refused(small_disk, start):
    mounted = small_disk(4)
    fill_up(mounted)
    assert str(mounted) in refused(start, state=mounted / "state")


def test_what_runs_can_be_cancelled_on_a_disk_that_others_have_filled(small_disk, start):
    mounted = small_disk(48)
    service = start(state=mounted / "state")
    running = service.submit([task("a", "sleep", "600.25"), task("b", after=["a"])])
    service.wait_for_task(running, "a", pb.TASK_STATE_RUNNING)
    filler = fill_up(mounted)
    submit_until_refused(service)
    eventually(lambda: b"is full" in service.get("/healthz")[2], "it says why")
    cancelled = service.cli("cancel", running)
    assert cancelled.returncode == 0, cancelled.stderr
    # What runs is told to end at once; a kill of the service does not bring it back.
    eventually(lambda: not processes_with("600.25"), "it has ended")
    assert service.get("/healthz")[0] == 503, "there is still no room for anything else"
    service.kill()
    filler.unlink()
    service.start()
    assert service.wait_for_graph(running).state == pb.GRAPH_STATE_CANCELLED
    assert service.states(running) == {"a": "CANCELLED", "b": "CANCELLED"}


def submit_until_refused(service):
    """Submits graphs that wait for a long time until the full disk refuses one; returns their ids."""
    accepted = []
    for _ in range(20):
        tasks = [task("first", "sleep", "300", consumption={"cpu": 0})]
        tasks += [task(f"t{i}", "true", "x" * 1000, after=["first"]) for i in range(1000)]
        try:
            accepted.append(service.submit(tasks))
        except grpc.RpcError as error:
            assert error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED)
            return accepted
    raise AssertionError("a full disk refuses nothing")


@pytest.mark.skipif(SANITIZER is not None, reason="a sanitizer needs more files of its own")
def test_few_open_files_do_not_stop_a_graph(start):
    def few():
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    service = start("--cpu", "32", limits=few)
    graph = service.submit([task(f"t{i}", "sleep", "0.05") for i in range(150)])
    assert service.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED
