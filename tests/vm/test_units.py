"""The units of packaging/ under systemd: what survives which restart."""

import pytest

from installation import Installation, outcomes, until


@pytest.fixture(scope="module")
def kartograph(machine):
    one = Installation(machine)
    one.start()
    return one


class Waiting:
    """A graph of one task, which notes each of its starts and waits until it is let go."""

    def __init__(self, kartograph, name):
        self.kartograph, self.machine, self.name = kartograph, kartograph.machine, name
        self.graph = kartograph.submit(
            name, {"name": "waiting", "consumption": {"ram": "50MiB"},
                   "command": f"echo $$ >> /tmp/{name}.starts; {until(f'/tmp/{name}.go')}"})
        self.wait_for_starts(1)

    def wait_for_starts(self, number):
        self.machine.eventually(f'[ "$(wc -l < /tmp/{self.name}.starts)" = {number} ]')

    def pids(self):
        return self.machine.sh(f"cat /tmp/{self.name}.starts").split()

    def let_go(self):
        """Lets it end; returns the outcomes of its attempts."""
        self.machine.sh(f"touch /tmp/{self.name}.go")
        return outcomes(self.kartograph.wait_for_graph(self.graph)["waiting"])


def test_tasks_run_as_the_user_of_the_units(kartograph):
    assert kartograph.machine.sh("kartograph run --sandbox -- id -un") == "kartograph"


def test_a_restart_of_the_service_leaves_its_tasks_alone(kartograph):
    waiting = Waiting(kartograph, "service")
    before = kartograph.main_pid("kartographd")
    kartograph.machine.sh("systemctl restart kartographd")
    assert kartograph.main_pid("kartographd") != before
    kartograph.wait_until_connected()
    kartograph.machine.sh(f"kill -0 {waiting.pids()[0]}")
    assert waiting.let_go() == ["SUCCEEDED"]
    assert len(waiting.pids()) == 1
    assert kartograph.memory_limits() == "kernel"


def test_a_restart_of_the_agent_runs_its_tasks_again_with_no_attempt_spent(kartograph):
    waiting = Waiting(kartograph, "agent")
    kartograph.machine.sh("systemctl restart kartograph-local-agent")
    waiting.wait_for_starts(2)
    status, _ = kartograph.machine.run(f"kill -0 {waiting.pids()[0]}")
    assert status != 0, "what the first agent ran has ended"
    assert waiting.let_go() == ["LOST", "SUCCEEDED"]
    assert kartograph.memory_limits() == "kernel"


def test_an_agent_that_was_killed_is_started_again_once(kartograph):
    machine = kartograph.machine
    waiting = Waiting(kartograph, "killed")
    restarts = "systemctl show --property NRestarts --value kartograph-local-agent"
    before = int(machine.sh(restarts))
    machine.sh("systemctl kill --kill-whom main --signal KILL kartograph-local-agent")
    waiting.wait_for_starts(2)
    assert waiting.let_go() == ["LOST", "SUCCEEDED"]
    assert int(machine.sh(restarts)) == before + 1
    assert machine.sh("cat /var/lib/kartograph/agent.pid") == kartograph.main_pid("kartograph-local-agent")


def test_without_its_agent_the_service_waits_and_says_so(kartograph):
    machine = kartograph.machine
    machine.sh("systemctl stop kartograph-local-agent")
    why = "no kartograph-local-agent serves /var/lib/kartograph"
    machine.eventually(f"kartograph status | grep -q 'NOT connected to its cluster: {why}'")
    healthz = ("/usr/bin/python3 -c 'import socket\ns = socket.create_connection((\"127.0.0.1\", 50062))\n"
               "s.sendall(b\"GET /healthz HTTP/1.0\\r\\n\\r\\n\")\nprint(s.makefile().read())'")
    machine.eventually(f"{healthz} | grep -q '{why}'")
    assert why in machine.sh("journalctl -u kartographd --no-pager")
    graph = kartograph.submit("patient", {"name": "a", "command": ["true"]})
    machine.sh("systemctl start kartograph-local-agent")
    assert outcomes(kartograph.wait_for_graph(graph)["a"]) == ["SUCCEEDED"]


def test_a_reload_reads_the_settings_again(kartograph):
    kartograph.machine.sh("echo 'slots: 7' >> /etc/kartograph/kartographd.yaml; systemctl reload kartographd")
    kartograph.machine.eventually(
        "journalctl -u kartographd --no-pager | grep 'the settings were read again'")
