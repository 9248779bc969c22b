#!/usr/bin/python3
"""How long small calls take while a graph of a million tasks comes, is cancelled, runs again and is pruned.

  bench/front_door.py [--tasks N] [--bin DIR]

Two clients go on all the time: one asks /healthz, the other submits a task with Execute. Prints for each phase how
long it took, the medians and 99th percentiles of both beside those of an idle service (the peer, measured first in
the same run), and the peak memory of the command line and the service. No task of the graph is ever started: the
only core is taken.

Needs Debian's python3-grpcio and protobuf-compiler-grpc and the built binaries:
  bazel build //service:kartographd //cli:kartograph //executor/local:kartograph-local-agent
"""

import argparse
import http.client
import os
import pathlib
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

import million_tasks

ROOT = pathlib.Path(__file__).resolve().parent.parent
GOALS = {"healthz": 0.100, "execute": 0.250, "submit": 8.0, "cli": 400, "service": 500}
DAY_US = 24 * 3600 * 1000000


class Prober(threading.Thread):
    """Calls something again and again, and remembers how long each call took."""

    def __init__(self, call, every):
        super().__init__(daemon=True)
        self.call, self.every, self.took = call, every, []
        self.stopping = threading.Event()
        self.failure = None

    def run(self):
        while not self.stopping.wait(self.every):
            start = time.monotonic()
            try:
                self.call()
            except Exception as error:  # pylint: disable=broad-except
                self.failure = error
                return
            self.took.append(time.monotonic() - start)

    def stop(self):
        self.stopping.set()
        self.join()
        if self.failure:
            sys.exit(f"a call failed: {self.failure}")
        return sorted(self.took)


def percentile(took, part):
    return took[min(len(took) - 1, int(len(took) * part))]


class Phase:
    """Measures both clients for as long as it is entered."""

    def __init__(self, bench, name):
        self.bench, self.name = bench, name

    def __enter__(self):
        host, port = self.bench.service.http.rsplit(":", 1)
        connection = http.client.HTTPConnection(host, int(port), timeout=60)

        def healthz():
            connection.request("GET", "/healthz")
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                raise RuntimeError(f"/healthz answered {answer.status}")
        self.probers = [Prober(healthz, 0.01), Prober(self.bench.execute, 0.05)]
        for prober in self.probers:
            prober.start()
        self.start = time.monotonic()
        return self

    def __exit__(self, *error):
        seconds = time.monotonic() - self.start
        row = [prober.stop() for prober in self.probers]
        if error[0]:
            return
        self.seconds = seconds
        cells = []
        for name, took, idle in zip(("healthz", "execute"), row, self.bench.idle or row):
            p99, idle_p99 = percentile(took, 0.99), percentile(idle, 0.99)
            cells.append(f"{1000 * percentile(took, 0.5):8.1f} {1000 * p99:8.1f} "
                         f"{1000 * took[-1]:8.1f} {p99 / idle_p99:7.1f}x")
            if self.bench.idle and p99 > GOALS[name]:
                self.bench.missed.append(f"{self.name}: p99 of {name} is {1000 * p99:.0f} ms")
        if not self.bench.idle:
            self.bench.idle = row
        print(f"{self.name:>10} {seconds:8.1f} {' '.join(cells)}", flush=True)


class Bench:
    """One service with all that is done to it."""

    def __init__(self, options, folder, harness):
        self.options, self.folder, self.harness = options, folder, harness
        self.pb = harness.pb
        self.idle, self.missed, self.number = None, [], 0
        self.service = harness.Service(folder, "--cpu", "1")

    def task(self, name, command):
        task = self.pb.TaskSpec(name=name)
        task.command.arguments.extend(command)
        return task

    def execute(self):
        self.number += 1
        self.service.call("Execute", self.pb.ExecuteRequest(
            task=self.task(f"small-{self.number}", ["/bin/true"]), request_id=f"small-{self.number}"))

    def state_of(self, graph):
        return self.service.call("GetGraph", self.pb.GetGraphRequest(graph_id=graph)).state

    def wait_until_final(self, graph):
        while self.state_of(graph) == self.pb.GRAPH_STATE_RUNNING:
            time.sleep(0.05)

    def peak_mb(self):
        for line in pathlib.Path(f"/proc/{self.service.process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
        return 0

    def submit(self, path):
        command = subprocess.Popen([self.harness.KARTOGRAPH, "--server", self.service.server, "submit", path],
                                   stdout=subprocess.PIPE, text=True)
        output = command.stdout.read()
        _, status, usage = os.wait4(command.pid, 0)
        command.returncode = os.waitstatus_to_exitcode(status)
        if command.returncode:
            sys.exit("kartograph submit failed")
        return output.split()[0], usage.ru_maxrss / 1024

    def run(self):
        path = self.folder / "large.yaml"
        size = million_tasks.write_graph(path, self.options.tasks)
        service = self.service.start()
        service.wait_for_agent()
        service.call("Execute", self.pb.ExecuteRequest(task=self.task("holder", ["/bin/sleep", "86400"])))
        print(f"{self.options.tasks} tasks, {size / 1e6:.0f} MB of YAML; ms, and p99 against idle")
        print(f"{'':>10} {'seconds':>8} {'healthz':>8} {'p99':>8} {'most':>8} {'':>8} "
              f"{'execute':>8} {'p99':>8} {'most':>8}")
        with Phase(self, "idle"):
            time.sleep(5)
        with Phase(self, "submit") as submit:
            graph, cli_mb = self.submit(path)
        service_mb = self.peak_mb()
        with Phase(self, "cancel"):
            service.call("Cancel", self.pb.CancelRequest(graph_id=graph), timeout=600)
            self.wait_until_final(graph)
        with Phase(self, "retry"):
            service.call("Retry", self.pb.RetryRequest(graph_id=graph), timeout=600)
        with Phase(self, "cancel"):
            service.call("Cancel", self.pb.CancelRequest(graph_id=graph), timeout=600)
            self.wait_until_final(graph)
        peak_mb = self.peak_mb()
        self.prune(graph)
        self.acknowledge_too_many()
        print(f"\ncommand line: {submit.seconds:.1f} s (goal {GOALS['submit']:.0f}), {cli_mb:.0f} MB "
              f"(goal {GOALS['cli']}); service: {service_mb:.0f} MB after the submission "
              f"(goal {GOALS['service']}), {peak_mb:.0f} MB in all")
        for name, value in (("submit", submit.seconds), ("cli", cli_mb), ("service", service_mb)):
            if value > GOALS[name]:
                self.missed.append(f"{name}: {value:.1f}")
        print("missed: " + "; ".join(self.missed) if self.missed else "all goals are met")

    def prune(self, graph):
        """Makes the graph three days old, and lets the service find that out."""
        self.service.terminate()
        history = sqlite3.connect(self.service.state / "history.sqlite")
        history.execute("UPDATE graphs SET submit_us = submit_us - ?1, end_us = end_us - ?1 WHERE id = ?2",
                        (3 * DAY_US, int(graph[1:])))
        history.commit()
        history.close()
        self.service.start("--retention", "1d")
        with Phase(self, "prune"):
            history = sqlite3.connect(f"file:{self.service.state}/history.sqlite?mode=ro", uri=True)
            while history.execute("SELECT EXISTS (SELECT 1 FROM tasks WHERE key >> 20 = ?)",
                                  (int(graph[1:]),)).fetchone()[0]:
                time.sleep(0.2)
            history.close()

    def acknowledge_too_many(self):
        request = self.pb.PopFinishedRequest(client_queue="queue", acknowledge=range(1, 5000001))
        start = time.monotonic()
        try:
            self.service.call("PopFinished", request)
            self.missed.append("5,000,000 acknowledged ids were taken")
        except self.harness.grpc.RpcError as error:
            print(f"5,000,000 acknowledged ids: {error.code().name} after {time.monotonic() - start:.2f} s")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, default=1000000)
    parser.add_argument("--bin", type=pathlib.Path, default=ROOT / "bazel-bin")
    options = parser.parse_args()
    os.environ.setdefault("KARTOGRAPHD", str(options.bin.resolve() / "service" / "kartographd"))
    os.environ.setdefault("KARTOGRAPH", str(options.bin.resolve() / "cli" / "kartograph"))
    sys.path.insert(0, str(ROOT / "tests" / "e2e"))
    import harness  # pylint: disable=import-outside-toplevel
    folder = pathlib.Path(tempfile.mkdtemp(prefix="kartograph-bench-"))
    bench = Bench(options, folder, harness)
    try:
        bench.run()
    finally:
        bench.service.close()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
