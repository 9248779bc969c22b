"""Kartograph as it is installed in a machine: its units, and the command line as root uses it."""

import json


class Installation:
    """Thin words for what the tests ask of a machine."""

    def __init__(self, machine):
        self.machine = machine

    def start(self):
        """Starts the service, and the agent with it; waits until both are connected."""
        self.machine.sh("systemctl start kartographd")
        self.wait_until_connected()

    def wait_until_connected(self):
        self.machine.eventually("kartograph status | grep 'cpu [0-9.]* of'")

    def submit(self, name, *tasks, **spec):
        """Submits a graph, a dictionary for each task as in a graph file; returns its id."""
        graph = json.dumps({"name": name, **spec, "tasks": tasks})
        # Warnings come before it.
        return self.machine.sh(f"kartograph submit - <<'END'\n{graph}\nEND").splitlines()[-1]

    def json(self, words):
        return json.loads(self.machine.sh(f"kartograph {words} --json"))

    def task(self, graph, name):
        return self.json(f"status {graph} {name}")

    def tasks(self, graph):
        """All tasks of a graph by name, with their attempts."""
        return {task["name"]: task for task in self.json(f"status {graph} --tasks")["tasks"]}

    def wait_for_graph(self, graph, patience=120):
        """Waits until a graph has ended, however it did; returns its tasks."""
        self.machine.run(f"kartograph watch {graph} >/dev/null 2>&1", patience)
        return self.tasks(graph)

    def main_pid(self, unit):
        return self.machine.sh(f"systemctl show --property MainPID --value {unit}")

    def memory_limits(self):
        """By what the agent keeps them, as status says it."""
        return self.json("status")["agents"][0]["attributes"]["memory_limits"]


def outcomes(task):
    """The outcomes of its attempts, such as ["LOST", "SUCCEEDED"]."""
    return [attempt["outcome"].removeprefix("OUTCOME_") for attempt in task["attempts"]]


def peak_mib(task):
    return int(task["attempts"][-1]["usage"]["peakRamBytes"]) / 2 ** 20


def until(file):
    """A shell line that waits until a file is there."""
    return f"until [ -e {file} ]; do sleep 0.2; done"
