"""Declared memory is kept by the kernel where the agent has a unit of its own, and by measuring elsewhere."""

import pytest

from installation import Installation, outcomes, peak_mib, until

# Uses as many MiB as it is told and ends at once.
USE = "/usr/bin/python3 -SEc 'import sys; x = b\"x\" * (int(sys.argv[1]) << 20)' {}"


@pytest.fixture(scope="module")
def kartograph(machine):
    one = Installation(machine)
    one.start()
    return one


def test_the_kernel_keeps_limits_in_a_unit_with_delegate(kartograph):
    assert kartograph.memory_limits() == "kernel"
    assert "memory_limits=kernel" in kartograph.machine.sh("kartograph status")
    assert "kept by the kernel" in kartograph.machine.sh("journalctl -u kartograph-local-agent --no-pager")


def test_a_task_over_its_ram_is_ended_and_everything_else_lives(kartograph):
    machine = kartograph.machine
    pids = [kartograph.main_pid(unit) for unit in ("kartographd", "kartograph-local-agent")]
    graph = kartograph.submit(
        "limits",
        {"name": "neighbour", "command": until("/tmp/limits.go"), "consumption": {"ram": "50MiB"}},
        {"name": "over", "command": USE.format(300), "consumption": {"ram": "100MiB"}})
    machine.eventually(f"kartograph status {graph} over | grep -q 'out of memory'")
    over = kartograph.task(graph, "over")
    assert outcomes(over) == ["OUT_OF_MEMORY"]
    assert over["attempts"][0]["message"] == "out of memory: used more than its declared ram=100MiB"
    assert 90 < peak_mib(over) <= 101

    machine.sh("touch /tmp/limits.go")
    assert outcomes(kartograph.wait_for_graph(graph)["neighbour"]) == ["SUCCEEDED"]
    assert pids == [kartograph.main_pid(unit) for unit in ("kartographd", "kartograph-local-agent")]


def test_the_peak_is_of_this_attempt_and_counts_each_page_once(kartograph):
    # 40 MiB of its own, and four children that share it.
    shared = ("/usr/bin/python3 -SEc 'import os, time\nx = b\"x\" * (40 << 20)\n"
              "for i in range(4): os.fork() or (time.sleep(1), os._exit(0))\nos.wait()'")
    # Two processes with 20 MiB each.
    both = USE.replace("20)", "20); import time; time.sleep(2)").format(20)
    tasks = kartograph.wait_for_graph(kartograph.submit(
        "peaks", {"name": "large", "command": USE.format(150), "consumption": {"ram": "200MiB"}},
        {"name": "shared", "command": shared, "after": ["large"], "consumption": {"ram": "200MiB"}},
        {"name": "tree", "command": f"{both} & {both}; wait", "after": ["shared"]},
        {"name": "small", "command": ["true"], "after": ["tree"]}))
    assert [outcomes(task) for task in tasks.values()] == [["SUCCEEDED"]] * 4
    assert 150 <= peak_mib(tasks["large"]) < 180
    assert 40 <= peak_mib(tasks["shared"]) < 70
    assert 40 <= peak_mib(tasks["tree"]) < 70
    assert 0 < peak_mib(tasks["small"]) < 10


def test_no_control_group_is_left_behind(kartograph):
    kartograph.machine.eventually(
        "! ls -d /sys/fs/cgroup/system.slice/kartograph-local-agent.service/kartograph-attempt-*")


def test_an_agent_in_the_unit_of_its_service_measures_and_says_why(kartograph):
    machine = kartograph.machine
    machine.sh("systemctl stop kartographd kartograph-local-agent\n"
               "systemd-run --unit alone --property Delegate=yes --property StateDirectory=alone "
               "kartographd --state /var/lib/alone --grpc none")
    try:
        machine.eventually("kartograph --state-folder /var/lib/alone status | grep 'cpu 0 of'")
        status = machine.sh("kartograph --state-folder /var/lib/alone status")
        assert "memory_limits=measuring: other processes are in the agent's cgroup" in status
        assert "needs a unit of its own" in status
        # Long enough to be measured.
        status, output = machine.run(
            "kartograph --state-folder /var/lib/alone run --ram 60MiB -- " +
            USE.format(150).replace("20)", "20); import time; time.sleep(60)"))
        assert status != 0 and "declared ram=60MiB" in output
    finally:
        machine.sh("systemctl stop alone; systemctl start kartographd")
