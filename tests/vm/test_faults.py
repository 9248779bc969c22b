"""What only a whole machine can suffer: no power, other clocks, the wrong disk."""

import pytest

from installation import Installation, outcomes, until


@pytest.fixture(scope="module")
def kartograph(machine):
    one = Installation(machine)
    one.machine.sh("systemctl --quiet enable kartographd")
    one.start()
    return one


def test_a_state_folder_on_a_network_file_system_is_refused(kartograph):
    machine = kartograph.machine
    machine.sh("mkdir -p /srv/export /mnt/nfs\n"
               "echo '/srv/export 127.0.0.1(rw,no_root_squash,fsid=1)' > /etc/exports\n"
               "systemctl start nfs-server && mount -t nfs -o vers=4 127.0.0.1:/srv/export /mnt/nfs")
    try:
        status, output = machine.run("kartographd --state /mnt/nfs/state --grpc none --http 127.0.0.1:0")
    finally:
        machine.sh("umount /mnt/nfs; systemctl stop nfs-server")
    assert status == 2
    assert len(output.splitlines()) == 1
    assert "/mnt/nfs/state" in output and "is on a network file system" in output


def test_clocks_that_jump_change_no_duration(kartograph):
    machine = kartograph.machine
    graph = kartograph.submit(
        "clocks",
        {"name": "long", "command": until("/tmp/clocks.go"), "timeout": "10m"},
        {"name": "again", "command": "[ -e /tmp/clocks.failed ] || { touch /tmp/clocks.failed; exit 1; }",
         "after": ["long"], "max_attempts": 2, "retry_delay": "5s"})
    machine.eventually(f"kartograph status {graph} | grep -q 'long *running'")
    machine.sh("date -s '+1 hour'")
    # A timeout by the wall clock would have ended it by now.
    machine.sh("sleep 2")
    assert kartograph.task(graph, "long")["state"] == "TASK_STATE_RUNNING"
    machine.sh("touch /tmp/clocks.go")
    machine.eventually("[ -e /tmp/clocks.failed ]")
    machine.sh("date -s '-25 hours'")
    # A delay by the wall clock would last for more than a day.
    tasks = kartograph.wait_for_graph(graph, 60)
    assert outcomes(tasks["long"]) == ["SUCCEEDED"]
    assert outcomes(tasks["again"]) == ["EXITED", "SUCCEEDED"]
    for task in tasks.values():
        for attempt in task["attempts"]:
            assert attempt["startTime"] <= attempt["endTime"]


def test_a_power_cut_loses_nothing_that_was_recorded(kartograph):
    machine = kartograph.machine
    graph = kartograph.submit(
        "power", *({"name": f"t{i}", "command": "sleep 5", "consumption": {"cpu": 1}} for i in range(12)))
    machine.eventually(f"kartograph status {graph} | grep -qE '[2-6] of 12 done'")
    before = kartograph.tasks(graph)
    machine.cut_power()
    machine.boot()
    kartograph.wait_until_connected()
    after = kartograph.wait_for_graph(graph)
    done = [name for name, task in before.items() if task["state"] == "TASK_STATE_SUCCEEDED"]
    assert len(done) >= 2
    assert {name: after[name] for name in done} == {name: before[name] for name in done}
    # What ran then is lost with the machine and runs again; no attempt of another kind was made.
    assert all(outcomes(task) in (["SUCCEEDED"], ["LOST", "SUCCEEDED"]) for task in after.values())
    assert any(len(task["attempts"]) == 2 for task in after.values())
    assert kartograph.memory_limits() == "kernel"
