#!/usr/bin/python3
"""10,000 tasks of /bin/true, in layers of 100, each after two of the layer before: against ninja and the bare loop.

  bench/short_tasks.py [--tasks N] [--rounds N] [--bin DIR]

Each round runs, one after the other: kartograph with the command as a list and as a shell string (durable
history and logs included, `kartograph submit --wait` as a whole, reading the file included), ninja -j<cores> on the same graph
(it goes through a shell), and the bare posix_spawn and wait loop, as many at a time. Prints every
round and the medians of the ratios, which are what to quote: machines are noisy, a round is run in one breath.

Needs ninja (Debian's ninja-build) and the built binaries:
  bazel build //service:kartographd //cli:kartograph //executor/local:kartograph-local-agent //bench:bare_spawn
"""

import argparse
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
        self.address = dict(field.split("=", 1) for field in ready.split()[1:])["grpc"]

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, default=10000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--bin", type=pathlib.Path,
                        default=pathlib.Path(__file__).resolve().parent.parent / "bazel-bin")
    options = parser.parse_args()
    binaries = options.bin.resolve()
    cores = len(os.sched_getaffinity(0))
    after = layered(options.tasks)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="kartograph-bench-"))
    try:
        write_graph(folder / "list.yaml", after, "[/bin/true]")
        write_graph(folder / "shell.yaml", after, "/bin/true")
        rows = []
        print(f"{options.tasks} tasks on {cores} cores; seconds of wall time")
        print(f"{'list':>8} {'shell':>8} {'ninja':>8} {'bare':>8}")
        for round_number in range(options.rounds):
            row = {}
            service = Service(binaries, folder / f"state{round_number}", cores)
            for kind in ("list", "shell"):
                row[kind] = timed([binaries / "cli/kartograph", "--server", service.address,
                                   "submit", "--wait", folder / f"{kind}.yaml"],
                                  stderr=subprocess.DEVNULL)
            service.stop()
            build = folder / f"ninja{round_number}"
            build.mkdir()
            write_ninja(build / "build.ninja", after)
            row["ninja"] = timed(["ninja", "-C", build, f"-j{cores}", f"t{options.tasks - 1}",
                                  *[f"t{i}" for i in range(options.tasks)]])
            row["bare"] = float(subprocess.run(
                [binaries / "bench/bare_spawn", str(options.tasks), str(cores), "/bin/true"],
                check=True, capture_output=True, text=True).stdout)
            rows.append(row)
            print(" ".join(f"{row[k]:8.2f}" for k in ("list", "shell", "ninja", "bare")), flush=True)
        for name, a, b, goal in (("list / ninja", "list", "ninja", 0.6),
                                 ("shell / ninja", "shell", "ninja", 1.0),
                                 ("list / bare loop", "list", "bare", 1.6)):
            ratios = [row[a] / row[b] for row in rows]
            print(f"{name:>18}: {statistics.median(ratios):.2f} "
                  f"({min(ratios):.2f} to {max(ratios):.2f}), goal at most {goal}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
