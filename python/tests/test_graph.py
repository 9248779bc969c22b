"""Graph: order, values handed on, tasks added while it runs."""

import re

import pytest
from conftest import REAL, eventually

import kartograph
from kartograph import errors
from kartograph.v1 import task_executer_pb2 as pb

CHEAP = {"cpu": 0.1}


def add(*numbers):
    return sum(numbers)


class Total:
    def __init__(self, parts):
        self.parts = parts

    def consumption(self):
        return CHEAP

    def run(self):
        return sum(self.parts["all"])


@pytest.fixture()
def graph(service):
    with kartograph.Graph("test", service, consumption=CHEAP) as made:
        yield made


def test_values_are_handed_on(graph):
    one, two = graph.run(add, 1), graph.run(add, 2)
    three = graph.run(add, one, two)
    total = graph.add(Total({"all": [one, two, three]}))
    said = graph.command("echo $((40 + 2)) > $KARTOGRAPH_RESULT")
    number = graph.run(int, said)
    silent = graph.run(repr, graph.command(["true"]))
    graph.submit()
    assert total.result(60) == 6
    assert number.result(60) == 42
    assert said.result() == b"42\n"
    assert silent.result(60) == "None"
    assert graph.wait(60).state == "succeeded"
    assert graph.progress().succeeded == 8
    assert (one.state, one.done()) == ("succeeded", True)


def test_names_with_slashes_hand_on_values_too(graph):
    first = graph.run(add, 1, 2, name="maps/DE")
    assert first.name == "maps/DE"
    second = graph.run(add, first, name="..")
    third = graph.run(add, second)
    graph.submit()
    assert third.result(60) == 3


def test_order_without_values(graph, tmp_path):
    first = graph.command(f"echo one >> {tmp_path}/log")
    second = graph.command(f"echo two >> {tmp_path}/log", after=first)
    graph.command(f"echo three >> {tmp_path}/log", after=[first, second.name])
    graph.submit()
    graph.wait(60, check=True)
    assert (tmp_path / "log").read_text().split() == ["one", "two", "three"]


def test_a_graph_says_which_it_is(graph):
    graph.command(["true"])
    assert repr(graph).endswith(" (not submitted)>")
    graph.submit()
    assert repr(graph).endswith(f" {graph.id}>")


@pytest.mark.skipif(not REAL, reason="the service in Python closes no graphs")
def test_an_open_graph_closes_itself(service):
    with kartograph.Graph("left", service, open=True, open_until_idle=1) as graph:
        graph.command(["true"])
        graph.submit()
    with kartograph.Graph.existing(graph.id, service) as left:
        eventually(lambda: left.progress().state == "succeeded", "the graph closes")
    with pytest.raises(ValueError, match="open_until_idle is a number of seconds"):
        kartograph.Graph("left", service, open=True, open_until_idle="1h")


def test_a_failure(graph):
    bad = graph.run(int, "x")
    after = graph.run(add, bad)
    command = graph.command("echo no >&2; exit 3", name="command")
    graph.submit()
    progress = graph.wait(60)
    assert (progress.state, progress.failed, progress.skipped) == ("failed", 2, 1)
    assert type(bad.exception()) is ValueError
    with pytest.raises(errors.Skipped):
        after.result()
    exception = command.exception()
    assert type(exception) is errors.TaskExited
    assert exception.exit_status == 3
    assert exception.log_tail == "no\n"
    with pytest.raises(errors.GraphFailed, match=r"0 of 3 tasks succeeded") as caught:
        graph.wait(check=True)
    assert set(caught.value.failed) == {bad.name, "command"}
    assert "ValueError: invalid literal for int() with base 10: 'x'" in str(caught.value)
    assert re.search(r"^  command: .*\b3\b", str(caught.value), re.MULTILINE)
    assert type(caught.value.__cause__) is ValueError


def test_cancel(graph, tmp_path):
    node = graph.command(f"touch {tmp_path}/running; exec sleep 600", cancel_grace=0.1)
    graph.submit()
    with pytest.raises(TimeoutError, match="has not ended within"):
        graph.wait(0.2)
    with pytest.raises(TimeoutError):
        node.result(0.2)
    eventually((tmp_path / "running").exists)
    graph.cancel()
    assert graph.wait(60).state == "cancelled"
    with pytest.raises(errors.Cancelled):
        node.result()


def test_an_open_graph_takes_tasks_while_it_runs(service):
    with kartograph.Graph("open", service, open=True, consumption=CHEAP) as graph:
        first = graph.run(add, 1, 2)
        graph.submit()
        assert first.result(60) == 3
        second = graph.run(add, first, 10)
        assert second.result(60) == 13
        with pytest.raises(errors.AlreadyExists):
            graph.run(add, name=first.name)
        assert graph.wait(60).state == "succeeded"
        with pytest.raises(errors.WrongState):
            graph.run(add, 1)


def test_a_task_adds_tasks(service):
    def divide(depth):
        current = kartograph.current()
        if depth:
            current.run(divide, depth - 1, consumption={"cpu": 0.1})
            current.run(divide, depth - 1, consumption={"cpu": 0.1})
        return current.task_name
    with kartograph.Graph("tree", service, open=True, consumption=CHEAP) as graph:
        root = graph.run(divide, 2, name="root")
        graph.submit()
        progress = graph.wait(60, check=True)
        assert progress.total == 7
        assert root.result() == "root"
        assert graph.node("root/divide-2/divide-1").result() == "root/divide-2/divide-1"


def test_an_attempt_finds_what_an_earlier_one_added(service):
    def add_and_fail(path):
        import os
        kartograph.current().command(["true"])
        if not os.path.exists(path):
            with open(path, "w"):
                raise OSError("once more")
    with kartograph.Graph("twice", service, open=True, consumption=CHEAP) as graph:
        import tempfile
        with tempfile.TemporaryDirectory() as folder:
            graph.run(add_and_fail, folder + "/x", retries=1, retry_delay=0.01)
            graph.submit()
            assert graph.wait(60, check=True).total == 2


def test_an_attempt_finds_what_an_earlier_one_added_by_name(service, tmp_path):
    flag = tmp_path / "flag"

    def add():
        here = kartograph.current()
        with here.batch():
            here.run(pow, 2, 3, name="named")
            if flag.exists():
                here.run(pow, 2, 4, name="later")
        if not flag.exists():
            flag.touch()
            raise ValueError("once more")

    with kartograph.Graph("again", service, open=True, consumption={"cpu": 0.1}) as graph:
        graph.run(add, retries=1, retry_delay=0.01)
        graph.submit()
        assert graph.wait(check=True).succeeded == 3

    def clash():
        kartograph.current().run(pow, 2, 3, name="other")

    with kartograph.Graph("clash", service, open=True, consumption={"cpu": 0.1}) as graph:
        graph.run(pow, 1, 1, name="other")
        node = graph.run(clash, after="other")
        graph.submit()
        graph.wait()
        assert isinstance(node.exception(), errors.AlreadyExists)


def test_a_batch_is_added_at_once_or_not_at_all(service):
    with kartograph.Graph("a batch", service, open=True, consumption={"cpu": 0.1}) as graph:
        graph.submit()
        with graph.batch():
            first = graph.run(pow, 2, 3)
            second = graph.run(pow, first, 2)
            assert graph.progress().total == 0
        assert second.result(60) == 64

        def fail():
            with graph.batch():
                graph.run(pow, 2, 5, name="dropped")
                raise LookupError("no")
        with pytest.raises(LookupError, match="no"):
            fail()
        graph.run(pow, 2, 5, name="dropped")
        assert graph.wait(check=True).total == 3
        assert graph.connection.call("GetGraph", pb.GetGraphRequest(graph_id=graph.id)).spec.title == "a batch"


def test_a_graph_is_found_again(graph, service):
    graph.run(add, 1, 2, name="sum")
    graph.submit()
    graph.wait(60)
    with kartograph.Graph.existing(graph.id, service) as again:
        assert again.node("sum").result() == 3
        with pytest.raises(errors.NotFound):
            again.node("nothing")
    with pytest.raises(errors.NotFound):
        kartograph.Graph.existing("g999999", service)


def test_mistakes_are_errors_at_once(graph, service):
    node = graph.run(add, 1)
    with kartograph.Graph("other", service) as other:
        with pytest.raises(ValueError, match="another graph"):
            other.run(add, node)
        with pytest.raises(ValueError, match="another graph"):
            other.run(add, after=[node])
    with kartograph.TaskExecuter(service) as executer, pytest.raises(ValueError, match="task of a graph"):
        executer.execute(Total({"all": [node]}))
    with pytest.raises(errors.AlreadyExists):
        graph.run(add, name=node.name)
    with pytest.raises(errors.WrongState, match="call submit"):
        node.result()
    with pytest.raises(TypeError, match="must be callable"):
        graph.run("add")
    with pytest.raises(TypeError, match="a resource's name"):
        graph.run(add, consumption={"cpu": "two"})
    with pytest.raises(ValueError, match="number of seconds"):
        graph.run(add, timeout="10m")
    graph.run(add, after="nobody")
    with pytest.raises(errors.InvalidTask, match="nobody"):
        graph.submit()


def test_a_graph_delivers_to_an_executer(service):
    queue = f"queue-{id(service)}"
    with kartograph.Graph("delivered", service, queue=queue, consumption=CHEAP) as graph:
        graph.run(add, 1, 2, name="sum")
        graph.submit()
        with kartograph.TaskExecuter(service, queue=queue) as executer:
            [(task, value, _)] = executer.pop_finished(timeout=60)
            assert value == 3
            assert task == kartograph.RemoteTask(graph.id, "sum")
            assert executer.id_of(task) == graph.node("sum").id


def test_progress_and_reasons(graph, tmp_path):
    first = graph.command(f"until test -e {tmp_path}/go; do sleep 0.05; done", name="first")
    second = graph.run(add, after=first, name="second")
    graph.submit()
    eventually(lambda: graph.progress().running == 1)
    assert '"first"' in second.explain()
    (tmp_path / "go").touch()
    assert graph.wait(60).state == "succeeded"
    assert second.log() == ""
