"""Fixtures of the end-to-end tests on Mesos: a stand-in cluster with real tasks, and services on it."""

import os
import pathlib
import re
import shutil
import sys
import tempfile

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "e2e")]
# What the tests of the local cluster expect of a graph holds here too: see test_as_locally.py.
pytest.register_assert_rewrite("test_cancel", "test_graphs")
import harness  # noqa: E402
import stand_in  # noqa: E402

EXECUTOR = os.environ.get(
    "KARTOGRAPH_EXECUTOR",
    str(harness.ROOT / "bazel-bin" / "executor" / "mesos" / "executor" / "kartograph-executor"))
# Of an agent: what tests have for tasks, and what the executor takes for itself.
RESOURCES = "cpus:4.01;mem:2080;disk:1000"
# The stand-in does at once what a cluster takes its time for.
FAST = ("--real", "--allocation-ms", 20, "--retry-ms", 300)


def pytest_configure(config):
    for binary in (harness.KARTOGRAPHD, harness.KARTOGRAPH, stand_in.STAND_IN, EXECUTOR):
        if not os.access(binary, os.X_OK):
            raise pytest.UsageError(f"{binary} is not there: build it first (bazel build //...)")


class Mesos:
    """Stand-in clusters and services in one folder; `close` ends them and checks what they left."""

    def __init__(self, folder):
        self.folder = folder
        self.clusters, self.services = [], []

    def cluster(self, *flags, resources=RESOURCES):
        """Starts a cluster; flags are those of stand_in_main, `resources` those of each agent."""
        cluster = stand_in.StandIn(self.folder / f"mesos{len(self.clusters)}", *FAST, "--resources",
                                   resources, *flags)
        self.clusters.append(cluster)
        return cluster.start()

    def service(self, cluster, *flags, executor=EXECUTOR, **options):
        """Starts a service on it. The agents have kartograph-executor, unless that is None."""
        flags = ("--cluster", f"mesos:http://{cluster.master}", *flags)
        if executor:
            flags += ("--mesos-executor-path", executor)
        service = harness.Service(self.folder, *flags, **options)
        self.services.append(service)
        return service.start()

    def close(self):
        for service in self.services:
            service.close()
        for cluster in self.clusters:
            cluster.close()
        harness.eventually(lambda: not harness.processes_of_state(self.folder),
                           lambda: f"nothing is left: {harness.processes_of_state(self.folder)}")
        for log in self.folder.glob("mesos*/agents/**/std*"):
            text = log.read_text(errors="replace") if log.is_file() else ""
            found = re.search(r"(ERROR: \w+Sanitizer|WARNING: ThreadSanitizer).*", text)
            assert not found, f"{log}:\n{text[found.start():found.start() + 6000]}"


def in_a_folder():
    path = pathlib.Path(tempfile.mkdtemp(prefix="kg-mesos-"))
    mesos = Mesos(path)
    yield mesos
    mesos.close()
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def mesos():
    """Clusters and services of one test, with a folder of their own."""
    yield from in_a_folder()


@pytest.fixture
def folder():
    """A folder for what the tasks of a test write."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="kg-e2e-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def both():
    """One cluster of one agent and one service on it for many tests: 4 cores, 2 GiB and a pool
    `licences` of 3, as the tests of the local cluster have it."""
    for mesos in in_a_folder():
        cluster = mesos.cluster()
        service = mesos.service(cluster, "--pool", "licences=3")
        service.wait_for_agent()
        yield cluster, service


@pytest.fixture
def shared(both):
    return both[1]
