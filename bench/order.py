#!/usr/bin/python3
"""How long what should be soon waits behind what should not: the live cases of the planner's order.

  bench/order.py [--cpu N] [--bin DIR]

Each case runs against a service of its own on this machine, with N cores (2) that are offered, not used: its tasks
sleep. Printed are seconds, with what they are to be compared to:

  chain       a chain of 50 tasks of 50 ms, submitted after a graph of 2,000 independent ones: from its submission to
              its end, and alone
  two         a graph of two tasks of 10 ms, submitted in the same second as a chain of 754: from submission to end
  agent       a task that needs all cores, priority 1000, submitted after 60 of one core that take 0.3 to 1.3 s: until it
              starts; the longest of the others is 1.3 s
  pool        the same with all units of a pool instead of the cores

Needs the built programs:
  bazel build //service:kartographd //cli:kartograph //executor/local:kartograph-local-agent
"""

import argparse
import calendar
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
LONGEST = 1.3


class Service:
    """A service in a folder of its own, ended with its tasks."""

    def __init__(self, programs, cpu, *flags):
        self.programs = programs
        self.folder = tempfile.TemporaryDirectory(prefix="kartograph-order-")
        self.state = pathlib.Path(self.folder.name) / "state"
        words = [programs["kartographd"], "--state", self.state, "--grpc", "none", "--http", "127.0.0.1:0", "--cpu", cpu,
                 "--agent-binary", programs["kartograph-local-agent"], *flags]
        self.process = subprocess.Popen(list(map(str, words)), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        if not self.process.stdout.readline():
            sys.exit("kartographd did not start")

    def run(self, *words):
        done = subprocess.run([self.programs["kartograph"], "--state-folder", str(self.state), *map(str, words)],
                              stdout=subprocess.PIPE, text=True, check=True)
        return done.stdout

    def submit(self, tasks, name):
        path = pathlib.Path(self.folder.name) / f"{name}.json"
        path.write_text(json.dumps({"name": name, "tasks": tasks}))
        return self.run("submit", path).strip()

    def times(self, graph, task):
        """When the task's attempt started and ended, in seconds since 1970."""
        attempt = json.loads(self.run("status", graph, task, "--json"))["attempts"][-1]
        return [to_seconds(attempt[key]) for key in ("startTime", "endTime")]

    def wait(self, graph):
        self.run("watch", graph)

    def close(self):
        pid = int((self.state / "agent.pid").read_text() or 0)
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        if pid:
            os.kill(pid, signal.SIGTERM)
            while pathlib.Path(f"/proc/{pid}").exists():
                time.sleep(0.02)
        self.folder.cleanup()


def to_seconds(text):
    moment, _, fraction = text.rstrip("Z").partition(".")
    return calendar.timegm(time.strptime(moment, "%Y-%m-%dT%H:%M:%S")) + float(f"0.{fraction or 0}")


def sleep(name, seconds, after=(), **more):
    return {"name": name, "command": f"/bin/sleep {seconds}", "after": list(after), **more}


def chain(name, tasks, seconds):
    return [sleep(f"{name}{i}", seconds, [f"{name}{i - 1}"] if i else []) for i in range(tasks)]


def case_chain(programs, cpu):
    service = Service(programs, cpu)
    try:
        def run_chain():
            begin = time.time()
            graph = service.submit(chain("c", 50, 0.05), "chain")
            service.wait(graph)
            return service.times(graph, "c49")[1] - begin
        alone = run_chain()
        large = service.submit([sleep(f"t{i}", 0.05) for i in range(2000)], "large")
        time.sleep(1)
        beside = run_chain()
        service.run("cancel", large)
        return f"{beside:.2f} s beside 2,000 tasks, {alone:.2f} s alone"
    finally:
        service.close()


def case_two(programs, cpu):
    service = Service(programs, cpu)
    try:
        long = service.submit([task for k in range(int(cpu)) for task in chain(f"l{k}-", 377, 0.05)], "long")
        begin = time.time()
        two = service.submit(chain("two", 2, 0.01), "two")
        service.wait(two)
        seconds = service.times(two, "two1")[1] - begin
        service.run("cancel", long)
        return f"{seconds:.2f} s beside {377 * int(cpu)} tasks in chains"
    finally:
        service.close()


def case_large(programs, cpu, needs, small_needs, *flags):
    service = Service(programs, cpu, *flags)
    try:
        service.submit([sleep(f"s{i}", round(0.3 + (i % 11) / 10, 1), consumption=small_needs) for i in range(60)], "small")
        time.sleep(0.5)
        begin = time.time()
        large = service.submit([sleep("large", 0.01, consumption=needs, priority=1000)], "large")
        service.wait(large)
        return f"{service.times(large, 'large')[0] - begin:.2f} s; the longest small task takes {LONGEST} s"
    finally:
        service.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cpu", type=int, default=2)
    parser.add_argument("--bin", type=pathlib.Path, default=ROOT / "bazel-bin")
    options = parser.parse_args()
    programs = {name: options.bin / folder / name for folder, name in (
        ("service", "kartographd"), ("cli", "kartograph"), ("executor/local", "kartograph-local-agent"))}
    cpu = options.cpu
    print("chain ", case_chain(programs, cpu), flush=True)
    print("two   ", case_two(programs, cpu), flush=True)
    print("agent ", case_large(programs, cpu, {"cpu": cpu}, {"cpu": 1}), flush=True)
    print("pool  ", case_large(programs, cpu, {"cpu": 0.1, "db": 4}, {"cpu": 0.1, "db": 1}, "--pool", "db=4"), flush=True)


if __name__ == "__main__":
    main()
