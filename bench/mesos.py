#!/usr/bin/python3
"""What Kartograph costs on Mesos: tasks a second, latencies, and processor time of kartographd for a task.

  bench/mesos.py [--tasks N] [--agents N]... [--bin DIR]
  bench/mesos.py --master URL [--tasks N] [--bin DIR]

Without --master on a stand-in for Mesos whose tasks take no time, with 1, 10 and 1,000 agents of 16 cores:
what is measured is Kartograph with its durable history and the protocol. Latencies are of the stand-in
(from an offer to the ACCEPT that uses it; from a task's end to its ACKNOWLEDGE) and of the history (from a
task's launch to its start); each as median and 99th percentile, in milliseconds. With many tasks they are
mostly the time that a task queues behind others; the first line is of tasks that come one after the other,
so that it shows what Kartograph adds to each.

With --master on a real cluster: as many times /bin/true under kartograph-executor, and the same under
Mesos's own command executor (`container: {}`), and their ratio, which is what to quote.

Needs the built binaries:
  bazel build //service:kartographd //cli:kartograph //executor/mesos/executor:kartograph-executor //tests/mesos:stand_in_main
"""

import argparse
import datetime
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

TICKS = os.sysconf("SC_CLK_TCK")
CHAIN = 1000


def write_graph(path, tasks, cpu, more="", chain=False):
    with open(path, "w", encoding="utf-8") as out:
        out.write(f"name: mesos-bench\ndefaults: {{consumption: {{cpu: {cpu}}}{more}}}\ntasks:\n")
        for i in range(tasks):
            after = f", after: [t{i - 1}]" if chain and i else ""
            out.write(f"- {{name: t{i}, command: [/bin/true]{after}}}\n")


class Process:
    """A program that says `ready name=value ...` when it is."""

    def __init__(self, log, *words):
        with open(log, "wb") as out:
            self.process = subprocess.Popen(list(map(str, words)), stdin=subprocess.PIPE,
                                            stdout=subprocess.PIPE, stderr=out, text=True)
        ready = self.process.stdout.readline()
        if not ready.startswith("ready "):
            sys.exit(f"{words[0]} did not start: {log.read_text()}")
        self.said = dict(field.split("=", 1) for field in ready.split()[1:])

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


def start_service(options, folder, master, *flags):
    state = folder / "state"
    service = Process(folder / "kartographd.log", options.bin / "service/kartographd", "--state",
                      state, "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--cluster",
                      f"mesos:{master}", "--mesos-executor-path",
                      options.bin / "executor/mesos/executor/kartograph-executor", *flags)
    service.state = state
    return service


def command_line(options, service, *words):
    return subprocess.run([options.bin / "cli/kartograph", "--state-folder", service.state, *words],
                          check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout


def when(text):
    # Nanoseconds are more than Python's own parser takes.
    whole, _, fraction = text.rstrip("Z").partition(".")
    begin = datetime.datetime.fromisoformat(whole + "+00:00").timestamp()
    return begin + float(f"0.{fraction or 0}")


def percentiles(values):
    values = sorted(values)
    return values[len(values) // 2], values[min(len(values) - 1, len(values) * 99 // 100)]


def run_graph(options, service, graph):
    """Seconds of the whole, kartographd's processor time for a task, and the latencies of starts."""
    cpu, begin = service.cpu_seconds(), time.monotonic()
    graph_id = command_line(options, service, "submit", graph, "--wait").split()[0]
    wall, cpu = time.monotonic() - begin, service.cpu_seconds() - cpu
    tasks = json.loads(command_line(options, service, "status", graph_id, "--json", "--tasks"))["tasks"]
    starts = []
    for task in tasks:
        last = task["attempts"][-1]
        starts.append((when(last["startTime"]) - when(last["launchTime"])) * 1000)
    return wall, cpu / len(tasks) * 1e6, percentiles(starts)


def on_stand_in(options, folder):
    print(f"{options.tasks} tasks of no length, 1 cpu each, on agents of 16; offers every 10 ms; "
          f"first {CHAIN}, one after the other")
    print(f"{'agents':>8} {'tasks/s':>9} {'cpu us/task':>12} {'offer to accept':>18} "
          f"{'end to acknowledge':>20} {'launch to start':>18}")
    write_graph(folder / "chain.yaml", CHAIN, 1, chain=True)
    write_graph(folder / "many.yaml", options.tasks, 1)
    rows = [(1, CHAIN, "chain")] + [(n, options.tasks, "many") for n in options.agents or (1, 10, 1000)]
    for agents, tasks, graph in rows:
        here = folder / f"{graph}-{agents}"
        here.mkdir()
        cluster = Process(here / "stand_in.log", options.bin / "tests/mesos/stand_in_main", "--agents",
                          agents, "--resources", "cpus:16.01;mem:4096", "--allocation-ms", 10,
                          "--exit-with-stdin")
        service = start_service(options, here, f"http://{cluster.said['master']}")
        wall, cpu, starts = run_graph(options, service, folder / f"{graph}.yaml")
        with urllib.request.urlopen(f"http://{cluster.said['control']}/state") as answer:
            state = json.load(answer)
        service.stop()
        cluster.stop()

        def pair(name):
            return f"{state[name]['p50_ms']:.1f} / {state[name]['p99_ms']:.1f}"
        print(f"{agents:8} {tasks / wall:9.0f} {cpu:12.0f} {pair('offer_to_accept'):>18} "
              f"{pair('end_to_acknowledge'):>20} {f'{starts[0]:.1f} / {starts[1]:.1f}':>18}", flush=True)


def on_cluster(options, folder):
    print(f"{options.tasks} times /bin/true, 0.1 cpu each, on {options.master}")
    print(f"{'under':>20} {'tasks/s':>9} {'cpu us/task':>12} {'launch to start':>18}")
    service = start_service(options, folder, options.master, "--mesos-failover-timeout", "1s")
    walls = []
    for name, more in (("kartograph-executor", ""), ("Mesos's own", ", container: {}")):
        write_graph(folder / "graph.yaml", options.tasks, 0.1, more)
        wall, cpu, starts = run_graph(options, service, folder / "graph.yaml")
        walls.append(wall)
        print(f"{name:>20} {options.tasks / wall:9.0f} {cpu:12.0f} "
              f"{f'{starts[0]:.1f} / {starts[1]:.1f}':>18}", flush=True)
    service.stop()
    print(f"kartograph-executor / Mesos's own: {walls[0] / walls[1]:.3f} of the time")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--master", help="of a real cluster: http://host:5050")
    parser.add_argument("--tasks", type=int)
    parser.add_argument("--agents", type=int, action="append")
    parser.add_argument("--bin", type=pathlib.Path,
                        default=pathlib.Path(__file__).resolve().parent.parent / "bazel-bin")
    options = parser.parse_args()
    options.bin = options.bin.resolve()
    options.tasks = options.tasks or (1000 if options.master else 10000)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="kartograph-bench-"))
    try:
        (on_cluster if options.master else on_stand_in)(options, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
