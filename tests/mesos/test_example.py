"""examples/hello_mesos: what a newcomer sees."""

import os
import pathlib
import re
import subprocess

import pytest

from harness import PATIENCE, ROOT, eventually

HELLO = os.environ.get("KARTOGRAPH_HELLO_MESOS",
                       str(ROOT / "bazel-bin" / "examples" / "hello_mesos" / "hello_mesos"))


def hello(*words):
    return subprocess.run([HELLO, *map(str, words)], capture_output=True, text=True,
                          timeout=PATIENCE, check=False)


def leftovers():
    return set(pathlib.Path("/tmp").glob("hello_mesos.*"))


@pytest.mark.parametrize("tasks, resources", [(3, "cpus:1;mem:512"), (5, "cpus:0.11;mem:64")])
def test_it_registers_says_hello_and_leaves_nothing_behind(mesos, tasks, resources):
    # With room for one of the tasks only, they run one after another.
    before = leftovers()
    cluster = mesos.cluster(resources=resources)
    ended = hello("--master", f"http://{cluster.master}", "--tasks", tasks)
    assert ended.returncode == 0, ended.stderr
    said = ended.stdout.splitlines()
    assert re.fullmatch(rf"registered: framework \S+ at http://{cluster.master}", said[0])
    assert said[-1] == "everyone said hello"
    for task in range(tasks):
        mine = [line for line in said if line.startswith(f"hello-{task}")]
        assert [line.split(" ", 1)[1] for line in mine[1:3]] == ["running", "succeeded"]
        assert re.fullmatch(rf"hello-{task}: launched on \S+", mine[0])
        assert re.fullmatch(rf"hello-{task} said: Hello, Mesos, from a task on \S+", mine[3])
    assert leftovers() == before
    eventually(lambda: not cluster.state()["frameworks"], "Mesos has forgotten it")


def test_a_wrong_master_is_told():
    ended = hello("--master", "nowhere")
    assert ended.returncode == 2 and "http://host:5050" in ended.stderr


def test_tasks_that_cannot_run_are_given_up_and_told(mesos):
    cluster = mesos.cluster()
    ended = hello("--master", f"http://{cluster.master}", "--tasks", 1, "--executor", "/no/such/file")
    assert ended.returncode == 1, ended.stdout
    said = ended.stdout.splitlines()
    assert sum(line.startswith("hello-0: agent failed: its executor did not start") for line in said) == 3, ended.stdout
    assert said[-1] == "not everyone said hello"
