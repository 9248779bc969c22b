"""Runs one case of python_tasks.py on one system and prints what was measured, as a line of JSON.

  PYTHON bench/python_systems.py SYSTEM CASE COUNT FOLDER

PYTHON has the system's package. FOLDER is empty and has a short path, as sockets need it. The system is up, with as
many workers as this process has cores, and has run some tasks before the clock starts.
"""

import collections
import concurrent.futures
import contextlib
import importlib.util
import json
import operator
import os
import pathlib
import pickle
import signal
import statistics
import subprocess
import sys
import time

CORES = len(os.sched_getaffinity(0))
WIDTH = 100  # tasks in a layer
SHARED_BYTES = 50_000_000
WARM_UP = 2 * CORES
LATENCY_WARM_UP = 10


# --- What the tasks do ---------------------------------------------------------------------------------------------


def same(value):
    return value


def deeper(*layers):
    """One more than the deepest of the tasks before."""
    return 1 + max(layers, default=0)


def sleep_10_ms(value):
    time.sleep(0.01)
    return value


def mebibyte(value):
    return bytes([value % 256]) * (1 << 20)


def size_and(table, value):
    return len(table) + value


# --- The systems -----------------------------------------------------------------------------------------------------
# Each is a context manager. `map` and `share` (of calls that all get one large object first) give an iterator of the
# values in order, `layers` one of the first task's value and then those of the last layer; `call` gives one value.
# `service_pids` are the processes that are neither the client nor a worker.


def processes_of(text):
    """The processes in whose command line the text is, by id, except this one."""
    found = {}
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if text in line and int(path.parent.name) != os.getpid():
                found[int(path.parent.name)] = line
    return found


class Kartograph:
    """The service that `kartograph.local` starts: durable, with a history."""

    def __init__(self, folder):
        del folder  # it makes its own
        import kartograph  # pylint: disable=import-outside-toplevel
        self.kartograph = kartograph
        self.stack = contextlib.ExitStack()

    def __enter__(self):
        self.service = self.stack.enter_context(self.kartograph.local(cpu=CORES))
        self.executor = self.stack.enter_context(self.kartograph.KartographExecutor(self.service))
        return self

    def __exit__(self, *error):
        self.stack.close()

    def map(self, function, count):
        return self.executor.map(function, range(count))

    def layers(self, after):
        with self.kartograph.Graph("layers", self.service) as graph:
            nodes = []
            for before in after:
                nodes.append(graph.run(deeper, *[nodes[index] for index in before]))
            graph.submit()
            yield nodes[0].result()
            graph.wait(check=True)
            for node in nodes[-WIDTH:]:
                yield node.result()

    def share(self, function, table, count):
        shared = self.kartograph.put(table)
        futures = [self.executor.submit(function, shared, value) for value in range(count)]
        return (future.result() for future in futures)

    def call(self, function, value):
        return self.executor.submit(function, value).result()

    def cold_start(self):
        """Seconds of a service's first Python task; its connection has been used before."""
        with self.kartograph.local(cpu=CORES) as service, self.kartograph.Graph("cold", service, open=True) as graph:
            graph.submit()
            graph.command(["/bin/true"]).result()
            start = time.monotonic()
            graph.run(same, 1).result()
            return time.monotonic() - start

    def service_pids(self):
        found = processes_of(str(self.service.folder))
        # What is in Python is a worker, or what ends the service with this program.
        return [pid for pid, line in found.items() if "python" not in line.split()[0]]


class Pool:
    """concurrent.futures.ProcessPoolExecutor: nothing durable, one machine, no order but what its user keeps."""

    def __init__(self, folder):
        del folder

    def __enter__(self):
        self.executor = concurrent.futures.ProcessPoolExecutor(CORES)
        return self

    def __exit__(self, *error):
        self.executor.shutdown()

    def map(self, function, count):
        return self.executor.map(function, range(count))

    def layers(self, after):
        done, futures = [], []
        for begin in range(0, len(after), WIDTH):
            futures = [self.executor.submit(deeper, *[done[index] for index in before])
                       for before in after[begin:begin + WIDTH]]
            if not begin:
                yield futures[0].result()
            done += [future.result() for future in futures]
        yield from done[-WIDTH:]

    def share(self, function, table, count):
        # As an argument it would go through a pipe with each task.
        with concurrent.futures.ProcessPoolExecutor(CORES, initializer=keep_table, initargs=(table,)) as executor:
            yield from executor.map(WithTable(function), range(count))

    def call(self, function, value):
        return self.executor.submit(function, value).result()

    def cold_start(self):
        with concurrent.futures.ProcessPoolExecutor(1) as executor:
            start = time.monotonic()
            executor.submit(same, 1).result()
            return time.monotonic() - start

    def service_pids(self):
        return []


_kept = None


def keep_table(table):
    global _kept  # pylint: disable=global-statement
    _kept = table


class WithTable:
    def __init__(self, function):
        self.function = function

    def __call__(self, value):
        return self.function(_kept, value)


class Dask:
    """dask.distributed, with the scheduler in a process of its own as on a cluster."""

    def __init__(self, folder):
        self.folder = folder
        self.processes = []

    def start(self, module, *words):
        with open(self.folder / f"{module}.log", "wb") as log:
            self.processes.append(subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.{module}", *words, "--scheduler-file",
                 self.folder / "scheduler.json", "--no-dashboard"], stdout=log, stderr=log, cwd=self.folder))

    def __enter__(self):
        import distributed  # pylint: disable=import-outside-toplevel
        self.distributed = distributed
        self.start("dask_scheduler", "--host", "127.0.0.1", "--port", "0")
        self.start("dask_worker", "--nworkers", str(CORES), "--nthreads", "1", "--local-directory", str(self.folder))
        self.client = distributed.Client(scheduler_file=str(self.folder / "scheduler.json"), timeout=60)
        self.client.wait_for_workers(CORES)
        return self

    def __exit__(self, *error):
        self.client.close()
        for process in reversed(self.processes):
            process.terminate()
            process.wait()

    def gather(self, futures):
        yield futures[0].result()
        yield from self.client.gather(futures[1:])

    def map(self, function, count):
        return self.gather(self.client.map(function, range(count), pure=False))

    def layers(self, after):
        futures = []
        for before in after:
            futures.append(self.client.submit(deeper, *[futures[index] for index in before], pure=False))
        yield futures[0].result()
        yield from self.client.gather(futures[-WIDTH:])

    def share(self, function, table, count):
        [shared] = self.client.scatter([table])
        return self.gather([self.client.submit(function, shared, value, pure=False) for value in range(count)])

    def call(self, function, value):
        return self.client.submit(function, value, pure=False).result()

    def service_pids(self):
        return [self.processes[0].pid]


class Ray:
    """Ray, with as many processor slots as there are cores and without its dashboard."""

    def __init__(self, folder):
        self.folder = folder
        self.remotes = {}

    def __enter__(self):
        import ray  # pylint: disable=import-outside-toplevel
        self.ray = ray
        ray.init(num_cpus=CORES, include_dashboard=False, _temp_dir=str(self.folder), logging_level="error",
                 log_to_driver=False, object_store_memory=512 << 20)
        return self

    def __exit__(self, *error):
        self.ray.shutdown()

    def remote(self, function):
        if function not in self.remotes:
            self.remotes[function] = self.ray.remote(function)
        return self.remotes[function].remote

    def get(self, references):
        yield self.ray.get(references[0])
        yield from self.ray.get(references[1:])

    def map(self, function, count):
        remote = self.remote(function)
        return self.get([remote(value) for value in range(count)])

    def layers(self, after):
        remote, references = self.remote(deeper), []
        for before in after:
            references.append(remote(*[references[index] for index in before]))
        yield self.ray.get(references[0])
        yield from self.ray.get(references[-WIDTH:])

    def share(self, function, table, count):
        remote, shared = self.remote(function), self.ray.put(table)
        return self.get([remote(shared, value) for value in range(count)])

    def call(self, function, value):
        return self.ray.get(self.remote(function)(value))

    def service_pids(self):
        return [pid for pid, line in processes_of(str(self.folder)).items() if not line.startswith("ray::")
                and "default_worker.py" not in line]


class HyperQueue:
    """HyperQueue's function tasks: each starts an interpreter, and returns nothing, so values go through files.

    Its server and its worker are threads of this process.
    """

    def __init__(self, folder):
        self.folder = folder
        self.jobs = 0

    def __enter__(self):
        import hyperqueue  # pylint: disable=import-outside-toplevel
        from hyperqueue.cluster import WorkerConfig  # pylint: disable=import-outside-toplevel
        from hyperqueue.task.function import PythonEnv  # pylint: disable=import-outside-toplevel
        self.hyperqueue = hyperqueue
        self.cluster = hyperqueue.LocalCluster(str(self.folder / "server"), WorkerConfig(cores=CORES))
        self.client = self.cluster.client(python_env=PythonEnv(sys.executable))
        return self

    def __exit__(self, *error):
        self.cluster.stop()

    def run(self, calls, after=None):
        """Runs functions with arguments, each after tasks whose values it gets as well; gives a value by its index."""
        self.jobs += 1
        folder = self.folder / f"job-{self.jobs}"
        folder.mkdir()
        job, tasks = self.hyperqueue.Job(default_workdir=folder), []
        for index, (function, *arguments) in enumerate(calls):
            before = after[index] if after else []
            tasks.append(job.function(through_files, args=(folder, index, before, function, arguments), stdout=None,
                                      stderr=None, deps=[tasks[one] for one in before]))
        submitted = self.client.submit(job)
        while not (folder / "0").exists():
            time.sleep(0.002)
        yield read_value(folder, 0)
        self.client.wait_for_jobs([submitted])
        for index in range(max(1, len(calls) - WIDTH) if after else 1, len(calls)):
            yield read_value(folder, index)

    def map(self, function, count):
        return self.run([(function, value) for value in range(count)])

    def layers(self, after):
        return self.run([(deeper,)] * len(after), after)

    def share(self, function, table, count):
        path = self.folder / "table"
        path.write_bytes(pickle.dumps(table))
        return self.run([(with_table_of_file, path, function, value) for value in range(count)])

    def call(self, function, value):
        return next(self.run([(function, value)]))

    def service_pids(self):
        return []


def through_files(folder, index, before, function, arguments):
    value = function(*arguments, *[read_value(folder, one) for one in before])
    unfinished = folder / f"{index}.unfinished"
    unfinished.write_bytes(pickle.dumps(value))
    unfinished.rename(folder / str(index))


def read_value(folder, index):
    return pickle.loads((folder / str(index)).read_bytes())


def with_table_of_file(path, function, value):
    return function(pickle.loads(path.read_bytes()), value)


SYSTEMS = {"kartograph": (Kartograph, "kartograph"), "pool": (Pool, "concurrent.futures"),
           "dask": (Dask, "distributed"), "ray": (Ray, "ray"), "hyperqueue": (HyperQueue, "hyperqueue")}


# --- Measuring ---------------------------------------------------------------------------------------------------


def layered(tasks):
    """For each task the two (or no) tasks of the layer before that it comes after."""
    import short_tasks  # pylint: disable=import-outside-toplevel
    return short_tasks.layered(tasks)


def values_of(system, case, count):
    """The iterator to consume against the clock, and the sequence of what it must give."""
    if case == "map":
        return system.map(same, count), range(count)
    if case == "layers":
        return system.layers(layered(count)), [1, *[-(-count // WIDTH)] * min(count, WIDTH)]
    if case == "10 ms":
        return system.map(sleep_10_ms, count), range(count)
    if case == "1 MiB":
        return system.map(mebibyte, count), Mebibytes(count)
    return system.share(size_and, os.urandom(SHARED_BYTES), count), range(SHARED_BYTES, SHARED_BYTES + count)


class Mebibytes:
    """What so many calls of `mebibyte` return, made as it is looked at."""

    def __init__(self, count):
        self.count = count

    def __len__(self):
        return self.count

    def __iter__(self):
        return map(mebibyte, range(self.count))


def throughput(system, case, count):
    """Tasks a second, and seconds from the start of submitting to the first value."""
    collections.deque(system.map(same, WARM_UP), maxlen=0)
    start = time.monotonic()
    values, wanted = values_of(system, case, count)
    got = [next(values)]
    first = time.monotonic() - start
    got += values
    seconds = time.monotonic() - start
    # One by one, so that large ones are not there twice, which would count as the client's memory.
    if len(got) != len(wanted) or not all(map(operator.eq, got, wanted)):
        sys.exit(f"the values are wrong: {len(got)} of them, beginning with {str(got[:5])[:200]}")
    return {"rate": count / seconds, "first": first}


def latency(system, count):
    """The median of seconds that one call takes, alone."""
    for value in range(LATENCY_WARM_UP):
        system.call(same, value)
    took = []
    for value in range(count):
        start = time.monotonic()
        system.call(same, value)
        took.append(time.monotonic() - start)
    return {"seconds": statistics.median(took)}


def peak_mb(pid):
    """Of a process's resident memory; None where it has ended."""
    with contextlib.suppress(OSError):
        for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
    return None


def main():
    name, case, count, folder = sys.argv[1:]
    kind, module = SYSTEMS[name]
    if importlib.util.find_spec(module) is None:
        sys.exit(f"there is no package {module}")
    # So that everything is ended, too, where it takes too long.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("it was stopped"))
    system, count = kind(pathlib.Path(folder)), int(count)
    if case == "cold":
        found = {"seconds": statistics.median(system.cold_start() for _ in range(count))}
    else:
        with system:
            found = latency(system, count) if case == "latency" else throughput(system, case, count)
            service = [peak_mb(pid) for pid in system.service_pids()]
            found["service_mb"] = sum(filter(None, service)) if service else None
            found["client_mb"] = peak_mb("self")
    print(json.dumps(found))


if __name__ == "__main__":
    # By this name, so that what the tasks do is found by its name and does not travel with each.
    import python_systems
    python_systems.main()
