#!/usr/bin/python3
"""Python tasks against concurrent.futures.ProcessPoolExecutor, dask.distributed, Ray and HyperQueue.

  bench/python_tasks.py [--scale PART] [--rounds N] [--case NAME]... [--peers NAME,...] [--peers-python PYTHON]

The cases: 10,000 tasks that return at once, as a map, and in layers of 100, each after two of the layer before; 1,000
tasks of 10 ms; 200 tasks that return 1 MiB; 100 tasks that share an argument of 50 MB; the latency of one call on an
idle service; the start of a cold worker. Every system runs each case once in a round, in processes of its own, with
as many workers as there are cores; all values are compared with what they must be. Prints tasks a second, seconds
until the first value, and the peak resident memory of the client and of the service (all that is neither client nor
worker; HyperQueue's is part of its client), and then the medians of the ratios to each peer, which are what to quote.

HyperQueue's function tasks start an interpreter each, so it gets a twentieth of the tasks.

Needs Debian's python3-grpcio and python3-cloudpickle and the built binaries:
  bazel build //service:kartographd //executor/local:kartograph-local-agent
The peers are PyPI's packages distributed, ray and hyperqueue, in an environment whose Python --peers-python or
KARTOGRAPH_PEERS_PYTHON names; those that are not there are left out, and it says so:
  python3 -m venv PEERS && PEERS/bin/pip install distributed ray hyperqueue
"""

import argparse
import contextlib
import json
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile

import python_systems

ROOT = pathlib.Path(__file__).resolve().parent.parent
COUNTS = {"map": 10000, "layers": 10000, "10 ms": 1000, "1 MiB": 200, "50 MB": 100, "latency": 300, "cold": 5}
PEERS = ["pool", "dask", "ray", "hyperqueue"]
PART = {"hyperqueue": 0.05}
# Only these have workers that start with a task.
COLD = {"kartograph", "pool"}
# Tasks a second, as times a peer's; one that is not named is not to be better.
GOALS = {("map", "dask"): 5, ("layers", "dask"): 5, **{(case, "pool"): 0.3 for case in COUNTS}}
SECONDS_GOALS = {"latency": 0.003, "cold": 0.150}
LIMIT = 900  # seconds for one case on one system


class Bench:
    """The systems that are there, and what has been measured."""

    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.pythons = {"kartograph": sys.executable, "pool": sys.executable}
        for name in ("dask", "ray", "hyperqueue"):
            self.pythons[name] = options.peers_python
        self.systems = ["kartograph", *filter(self.is_there, options.peers)]
        self.rounds = []
        self.failed = []

    def is_there(self, name):
        module = python_systems.SYSTEMS[name][1]
        if not self.pythons[name]:
            print(f"without {name}: no Python of the peers is given (--peers-python)")
            return False
        check = subprocess.run([self.pythons[name], "-c", f"import {module}"], capture_output=True, text=True,
                               check=False)
        if check.returncode:
            print(f"without {name}: {check.stderr.strip().splitlines()[-1]}")
        return not check.returncode

    def count(self, name, case):
        part = self.options.scale * (1 if case in SECONDS_GOALS else PART.get(name, 1))
        least = {"layers": 2 * python_systems.WIDTH, "cold": 1}.get(case, 10)
        return max(round(COUNTS[case] * part), least)

    def run_round(self):
        found = {}
        for case in self.options.case:
            for name in self.systems:
                if case != "cold" or name in COLD:
                    result = self.run_one(name, case)
                    if result:
                        found[case, name] = result
        self.rounds.append(found)

    def run_one(self, name, case):
        count = self.count(name, case)
        folder = pathlib.Path(tempfile.mkdtemp(prefix="p", dir=self.folder))
        environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'bench'}:{ROOT / 'python'}"}
        words = [self.pythons[name], ROOT / "bench" / "python_systems.py", name, case, str(count), folder]
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
                              start_new_session=True) as child:
            try:
                output, problem = child.communicate(timeout=LIMIT)
            except subprocess.TimeoutExpired:
                problem = f"nothing after {LIMIT} s"
            finally:
                stop(child)
        shutil.rmtree(folder, ignore_errors=True)
        if child.returncode:
            print(f"{case:>8} {name:>11} failed: {problem.strip()[-500:]}", flush=True)
            self.failed.append(f"{case} on {name} failed")
            return None
        result = json.loads(output.splitlines()[-1])
        print(f"{case:>8} {name:>11} {count:>7} {show(result)}", flush=True)
        return result

    def ratios(self, case, peer, key):
        """Of every round that has both; more is better where it is a rate."""
        pairs = [(found.get((case, "kartograph"), {}).get(key), found.get((case, peer), {}).get(key))
                 for found in self.rounds]
        return [ours / theirs for ours, theirs in pairs if ours and theirs]

    def summary(self):
        missed = list(self.failed)
        print("\nkartograph / peer: the median (the smallest to the largest)")
        for case in self.options.case:
            for peer in self.systems[1:]:
                key = "seconds" if case in SECONDS_GOALS else "rate"
                values = self.ratios(case, peer, key)
                if not values:
                    continue
                if key == "seconds":
                    print(f"{case:>8} / {peer:<11} {spread(values)} of the time")
                    continue
                goal = GOALS.get((case, peer), 1)
                more = [f"{what} {statistics.median(parts):.2f}" for what, parts in (
                    ("first value", self.ratios(case, peer, "first")),
                    ("client memory", self.ratios(case, peer, "client_mb")),
                    ("service memory", self.ratios(case, peer, "service_mb"))) if parts]
                print(f"{case:>8} / {peer:<11} {spread(values)} of the tasks a second, goal at least {goal}; "
                      + ", ".join(more))
                if statistics.median(values) < goal:
                    missed.append(f"{case} / {peer}")
        for case, goal in SECONDS_GOALS.items():
            took = [found[case, "kartograph"]["seconds"] for found in self.rounds if (case, "kartograph") in found]
            if took:
                print(f"{case:>8}: {1000 * statistics.median(took):.1f} ms, goal at most {1000 * goal:.0f} ms")
                if statistics.median(took) > goal:
                    missed.append(case)
        print("missed: " + ", ".join(missed) if missed else "all goals are met")


def stop(child):
    """Ends what still runs, with all that it has started."""
    if child.poll() is None:
        child.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(30)
        # It, and what it could not end: a system that was not up yet.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.communicate()


def spread(values):
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def show(result):
    if "rate" in result:
        speed = f"{result['rate']:9.1f} {result['first']:9.3f}"
    else:
        speed = f"{'':9} {result['seconds']:9.4f}"
    memory = [result.get("client_mb"), result.get("service_mb")]
    return speed + "".join(f" {mb:9.0f}" if mb else f" {'-':>9}" for mb in memory)


def names(text):
    chosen = [name for name in text.split(",") if name]
    for name in chosen:
        if name not in PEERS:
            raise argparse.ArgumentTypeError(f"{name} is none of {', '.join(PEERS)}")
    return chosen


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", type=float, default=1, help="part of the tasks to run, for a quick look")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--case", action="append", choices=COUNTS, help="can be given several times; default: all")
    parser.add_argument("--peers", type=names, default=PEERS, metavar="NAME,...", help=f"of {', '.join(PEERS)}")
    parser.add_argument("--peers-python", default=os.environ.get("KARTOGRAPH_PEERS_PYTHON", ""), metavar="PYTHON",
                        help="of the environment with dask, ray and hyperqueue")
    parser.add_argument("--bin", type=pathlib.Path, default=ROOT / "bazel-bin")
    options = parser.parse_args()
    options.case = options.case or list(COUNTS)
    os.environ.setdefault("KARTOGRAPHD", str(options.bin.resolve() / "service" / "kartographd"))
    if not os.access(os.environ["KARTOGRAPHD"], os.X_OK):
        sys.exit(f"there is no {os.environ['KARTOGRAPHD']}: build //service:kartographd, or give --bin or KARTOGRAPHD")
    sys.path.insert(0, str(ROOT / "python"))
    import generate  # pylint: disable=import-outside-toplevel
    if not generate.is_current(ROOT / "python"):
        generate.generate(ROOT / "python")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="kb-"))
    try:
        bench = Bench(options, folder)
        print(f"{python_systems.CORES} cores, {options.scale:g} of the tasks")
        print(f"{'':>8} {'':>11} {'tasks':>7} {'tasks/s':>9} {'first s':>9} {'client MB':>9} {'service MB':>10}")
        for _ in range(options.rounds):
            bench.run_round()
        bench.summary()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
