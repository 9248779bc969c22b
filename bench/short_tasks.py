#!/usr/bin/python3
"""10,000 tasks of /bin/true, in layers of 100, each after two of the layer before: against ninja, HyperQueue and the bare loop.

  bench/short_tasks.py [--tasks N] [--chain N] [--rounds N] [--no-hyperqueue] [--bin DIR]

Each round runs, one after the other: kartograph with the command as a list and as a shell string (durable
history and logs included, `kartograph submit --wait` as a whole, reading the file included), ninja -j<cores> on the same graph
(it goes through a shell), HyperQueue on the same graph (LocalCluster, as many cores, stdout and stderr off, from
submission to end), the bare posix_spawn and wait loop, as many at a time, and a chain of 2,000 tasks through
kartograph and ninja. Prints every round and the medians of the ratios, which are what to quote: machines are
noisy, a round is run without a pause.

Needs ninja (Debian's ninja-build) and the built binaries:
  bazel build //service:kartographd //cli:kartograph //executor/local:kartograph-local-agent //bench:bare_spawn
HyperQueue is PyPI's package hyperqueue, installed into .cache/hyperqueue; without it its column is left out.
"""

import argparse
import json
import os
import pathlib
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
HYPERQUEUE = "hyperqueue==0.27.0"
WIDTH = 100


def layered(tasks):
    """For each task the two (or fewer) tasks of the layer before that it comes after."""
    rng = random.Random(7)
    after = []
    for i in range(tasks):
        first = i // WIDTH * WIDTH - WIDTH
        after.append(sorted(rng.sample(range(first, first + WIDTH), 2)) if first >= 0 else [])
    return after


def write_graph(path, after, command):
    with open(path, "w", encoding="utf-8") as out:
        out.write("name: short-tasks\ntasks:\n")
        for i, before in enumerate(after):
            names = ", ".join(f"t{b}" for b in before)
            out.write(f"- {{name: t{i}, command: {command}, after: [{names}]}}\n")


def write_ninja(path, after):
    with open(path, "w", encoding="utf-8") as out:
        out.write("rule true\n  command = /bin/true\n")
        for i, before in enumerate(after):
            out.write(f"build t{i}: true {' '.join(f't{b}' for b in before)}\n")


def hyperqueue_python():
    """A Python that has HyperQueue, installed where it is missing; None, with a message, where that fails."""
    folder = ROOT / ".cache" / "hyperqueue"
    python, mark = folder / "bin" / "python", folder / "requirement"
    if mark.exists() and mark.read_text() == HYPERQUEUE:
        return python
    for command in (["/usr/bin/python3", "-m", "venv", "--clear", folder],
                    [folder / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", HYPERQUEUE]):
        install = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, text=True, check=False)
        if install.returncode:
            print(f"without HyperQueue: {HYPERQUEUE} cannot be installed: {install.stdout.strip()[-300:]}")
            return None
    mark.write_text(HYPERQUEUE)
    return python


def timed(command, **kwargs):
    start = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **kwargs)
    return time.monotonic() - start


class Service:
    """A kartographd of its own, with a fresh state folder."""

    def __init__(self, binaries, state, cores):
        self.process = subprocess.Popen(
            [binaries / "service/kartographd", "--state", state, "--grpc", "127.0.0.1:0",
             "--http", "127.0.0.1:0", "--cpu", str(cores)],
            stdout=subprocess.PIPE, text=True)
        ready = self.process.stdout.readline()
        if not ready.startswith("ready "):
            sys.exit("kartographd did not start")
        self.state = state

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


class Round:
    """One measurement of everything, in a folder of its own."""

    def __init__(self, options, folder, graphs, hyperqueue):
        self.binaries, self.graphs, self.hyperqueue = options.bin.resolve(), graphs, hyperqueue
        self.folder = folder
        self.cores = len(os.sched_getaffinity(0))
        folder.mkdir()

    def run(self):
        row = {}
        service = Service(self.binaries, self.folder / "state", self.cores)
        for kind in ("list", "shell", "chain"):
            row[kind] = timed([self.binaries / "cli/kartograph", "--state-folder", service.state,
                               "submit", "--wait", self.folder.parent / f"{kind}.yaml"],
                              stderr=subprocess.DEVNULL)
        service.stop()
        row["ninja"] = self.ninja("layers")
        row["ninja_chain"] = self.ninja("chain")
        if self.hyperqueue:
            row["hyperqueue"] = self.run_hyperqueue()
        row["bare"] = float(subprocess.run(
            [self.binaries / "bench/bare_spawn", str(len(self.graphs["layers"])), str(self.cores),
             "/bin/true"], check=True, capture_output=True, text=True).stdout)
        for name in ("chain", "ninja_chain"):
            row[name] *= 1000 / len(self.graphs["chain"])
        return row

    def ninja(self, graph):
        build = self.folder / f"ninja-{graph}"
        build.mkdir()
        write_ninja(build / "build.ninja", self.graphs[graph])
        return timed(["ninja", "-C", build, f"-j{self.cores}",
                      *[f"t{i}" for i in range(len(self.graphs[graph]))]])

    def run_hyperqueue(self):
        folder = self.folder / "hyperqueue"
        folder.mkdir()
        peer = subprocess.run([self.hyperqueue, ROOT / "bench" / "hyperqueue_peer.py", folder],
                              input=json.dumps(self.graphs["layers"]), text=True, check=True,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        return float(peer.stdout.split()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, default=10000)
    parser.add_argument("--chain", type=int, default=2000, help="tasks that come one after the other")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-hyperqueue", action="store_true", help="a round with it takes a minute longer")
    parser.add_argument("--bin", type=pathlib.Path, default=ROOT / "bazel-bin")
    options = parser.parse_args()
    graphs = {"layers": layered(options.tasks),
              "chain": [[i - 1] if i else [] for i in range(options.chain)]}
    hyperqueue = None if options.no_hyperqueue else hyperqueue_python()
    columns = ["list", "shell", "ninja", *(["hyperqueue"] if hyperqueue else []), "bare"]
    folder = pathlib.Path(tempfile.mkdtemp(prefix="kartograph-bench-"))
    try:
        write_graph(folder / "list.yaml", graphs["layers"], "[/bin/true]")
        write_graph(folder / "shell.yaml", graphs["layers"], "/bin/true")
        write_graph(folder / "chain.yaml", graphs["chain"], "[/bin/true]")
        print(f"{options.tasks} tasks on {len(os.sched_getaffinity(0))} cores, seconds of wall time; "
              f"a chain of {options.chain}, ms for each task")
        print(" ".join(f"{name:>10}" for name in [*columns, "chain", "ninja's"]))
        rows = []
        for number in range(options.rounds):
            row = Round(options, folder / str(number), graphs, hyperqueue).run()
            rows.append(row)
            print(" ".join(f"{row[name]:10.2f}" for name in [*columns, "chain", "ninja_chain"]), flush=True)
        summary(rows)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def summary(rows):
    """Prints the medians, each with the smallest, the largest and the goal."""
    def show(name, values, goal):
        print(f"{name:>24}: {statistics.median(values):.2f} "
              f"({min(values):.2f} to {max(values):.2f}), goal at most {goal}")
    for name, a, b, goal in (("list / ninja", "list", "ninja", 0.5),
                             ("shell / ninja", "shell", "ninja", 0.52),
                             ("list / HyperQueue", "list", "hyperqueue", 0.28),
                             ("list / bare loop", "list", "bare", 1.6),
                             ("chain / ninja's chain", "chain", "ninja_chain", 0.5)):
        if b in rows[0]:
            show(name, [row[a] / row[b] for row in rows], goal)
    show("chain, ms each", [row["chain"] for row in rows], 1.0)


if __name__ == "__main__":
    main()
