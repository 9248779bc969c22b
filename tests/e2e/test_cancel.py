"""Cancelling: whole trees of processes end, and what comes after is reported."""

import uuid

import pytest

from harness import eventually, outcome_name, pb, processes_with, task

# A tree that wants to stay: parent, child and grandchild ignore SIGTERM, the grandchild has left the
# session and lost its parents. Each carries a mark in its command line.
STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGHUP, signal.SIG_IGN)
mark, depth, folder = sys.argv[1], int(sys.argv[2]), sys.argv[3]
if depth:
    words = [sys.executable, "-c", sys.argv[4], mark, str(depth - 1), folder, sys.argv[4]]
    if depth == 1 and os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.execv(words[0], words)
        os._exit(0)
    elif depth > 1:
        subprocess.Popen(words)
open(os.path.join(folder, "up.%d" % depth), "w").close()
while True:
    time.sleep(1000)
"""


def stubborn_task(name, mark, folder, **fields):
    return task(name, "/usr/bin/python3", "-c", STUBBORN, mark, 2, folder, STUBBORN, **fields)


def tree_is_up(folder):
    return all((folder / f"up.{depth}").exists() for depth in range(3))


@pytest.mark.parametrize("whole_graph", [True, False])
def test_a_tree_that_ignores_sigterm_ends_with_its_task(shared, folder, whole_graph):
    mark = uuid.uuid4().hex
    graph = shared.submit([stubborn_task("tree", mark, folder, grace=0.3),
                           task("after", after=["tree"]), task("other")])
    eventually(lambda: tree_is_up(folder), "the tree is up")
    assert len(processes_with(mark)) >= 3
    shared.cancel(graph, "" if whole_graph else "tree")
    shared.wait_for_graph(graph)
    # The task's end is reported when its whole tree has ended, not before.
    assert processes_with(mark) == []
    tree = shared.task(graph, "tree")
    assert tree.state == pb.TASK_STATE_CANCELLED
    assert outcome_name(tree.attempts[0].outcome) == "CANCELLED"
    assert shared.states(graph)["after"] in (("CANCELLED", "SKIPPED") if whole_graph
                                             else ("SKIPPED",))


def test_a_timeout_ends_the_whole_tree(shared, folder):
    mark = uuid.uuid4().hex
    graph = shared.submit([stubborn_task("tree", mark, folder, grace=0.2, timeout=3)])
    shared.wait_for_graph(graph)
    assert tree_is_up(folder)
    assert processes_with(mark) == []
    assert outcome_name(shared.task(graph, "tree").attempts[0].outcome) == "TIMED_OUT"


def test_what_a_task_leaves_behind_ends_with_it(shared):
    mark = uuid.uuid4().hex
    left = f"/usr/bin/python3 -c 'import time; time.sleep(1000)' {mark}"
    graph = shared.submit([task("leaver", shell=f"setsid {left} & {left} & sleep 0.2")])
    assert shared.wait_for_graph(graph).state == pb.GRAPH_STATE_SUCCEEDED
    eventually(lambda: not processes_with(mark), "nothing of the task is left")


def test_a_task_that_heeds_sigterm_has_time_to_clean_up(shared, folder):
    cleaned, up = folder / "cleaned", folder / "up"
    graph = shared.submit([task("polite", shell=f"trap 'sleep 0.2; touch {cleaned}; exit 0' TERM; "
                                                f"touch {up}; while true; do sleep 0.05; done",
                                grace=30)])
    eventually(up.exists, "the task is up")
    shared.cancel(graph)
    assert shared.wait_for_graph(graph).state == pb.GRAPH_STATE_CANCELLED
    assert cleaned.exists()
    assert shared.task(graph, "polite").state == pb.TASK_STATE_CANCELLED


def test_a_cancelled_task_that_has_not_started_never_starts(shared, folder):
    started, gate = folder / "started", folder / "gate"
    graph = shared.submit([task("first", shell=f"while [ ! -e {gate} ]; do sleep 0.02; done"),
                           task("second", shell=f"touch {started}", after=["first"]),
                           task("third", after=["second"])])
    assert shared.cancel(graph, "second") >= 1
    gate.touch()
    assert shared.wait_for_graph(graph).state == pb.GRAPH_STATE_CANCELLED
    assert shared.states(graph) == {"first": "SUCCEEDED", "second": "CANCELLED", "third": "SKIPPED"}
    assert not started.exists()


def test_cancelling_frees_what_was_consumed(shared):
    everything = {"licences": 3}
    graph = shared.submit([task("hog", "sleep", "1000", consumption=everything, grace=0.1)])
    shared.wait_for_task(graph, "hog", pb.TASK_STATE_RUNNING)
    shared.cancel(graph)
    after = shared.submit([task("next", consumption=everything)])
    assert shared.wait_for_graph(after).state == pb.GRAPH_STATE_SUCCEEDED
