"""TaskExecuter: the three verbs, what comes back, and who gets it when."""

import os
import pathlib
import signal
import subprocess
import sys
import threading
import traceback

import pytest
from conftest import REAL, eventually

import kartograph
from kartograph import errors


class Square(kartograph.Task):
    def __init__(self, n):
        self.n = n

    def consumption(self):
        return {"cpu": 0.5}

    def run(self):
        return self.n * self.n


class Plain:
    """As pipelines have them: no base class, slots, a property."""

    __slots__ = ("n",)
    factor = 3

    def __init__(self, n):
        self.n = n

    @property
    def double(self):
        return 2 * self.n

    def consumption(self):
        return {"cpu": 0.1, "db_connections": 1}

    def run(self):
        return self.double * self.factor


class Call(kartograph.Task):
    def __init__(self, function, *args):
        self.function, self.args = function, args

    def consumption(self):
        return {"cpu": 0.1}

    def run(self):
        return self.function(*self.args)


@pytest.fixture()
def executer(service):
    with kartograph.TaskExecuter(service) as made:
        yield made


def pop_all(executer):
    """Everything that was executed."""
    popped = []
    while executer.unfinished:
        found = executer.pop_finished(timeout=60)
        assert found, f"{executer.unfinished} tasks do not come back"
        popped += found
    return popped


def only(executer):
    [(task, value, exception)] = pop_all(executer)
    return task, value, exception


def test_a_task_comes_back_as_the_object_that_was_executed(executer):
    tasks = [Square(n) for n in range(5)]
    for task in tasks:
        executer.execute(task)
    popped = pop_all(executer)
    assert {id(task): value for task, value, _ in popped} == {id(task): task.n ** 2 for task in tasks}
    assert [exception for _, _, exception in popped] == [None] * 5


def test_a_class_without_a_base_works_with_slots_and_properties(executer):
    task = Plain(7)
    executer.execute(task)
    assert only(executer) == (task, 42, None)


def test_what_main_defines_travels_by_value(service):
    code = """
import sys, kartograph
class Base:
    def run(self): return Result(self.n + offset)
class Add(Base):
    def __init__(self, n): self.n = n
class Result:
    def __init__(self, n): self.n = n
class Wrong(Exception): pass
def fail(): raise Wrong("no", 3)
offset = 10
with kartograph.TaskExecuter(sys.argv[1]) as executer:
    executer.execute(Add(4))
    [(task, value, exception)] = executer.pop_finished(timeout=60)
    assert isinstance(value, Result) and value.n == 14, (value, exception)
    Add.run = lambda self: fail()
    executer.execute(Add(4))
    [(task, value, exception)] = executer.pop_finished(timeout=60)
    assert type(exception) is Wrong and exception.args == ("no", 3), exception
print("good")
"""
    environment = {**os.environ, "PYTHONPATH": str(pathlib.Path(kartograph.__file__).parent.parent)}
    done = subprocess.run([sys.executable, "-", service.address], input=code, capture_output=True, text=True,
                          timeout=120, env=environment, check=False)
    assert done.stdout == "good\n", done.stderr


def test_an_exception_keeps_its_type_and_shows_where_it_was_raised(executer):
    def fail():
        raise KeyError("not there")
    executer.execute(Call(fail))
    _, value, exception = only(executer)
    assert value is None
    assert type(exception) is KeyError
    assert exception.args == ("not there",)
    text = "".join(traceback.format_exception(type(exception), exception, None))
    assert "in fail" in text  # cloudpickle may leave out the line itself
    assert "_worker.py" not in text


def test_a_chain_of_exceptions_survives(executer):
    def fail():
        try:
            {}["x"]
        except KeyError as error:
            raise ValueError("no x") from error
    executer.execute(Call(fail))
    exception = only(executer)[2]
    assert type(exception.__cause__) is KeyError
    assert isinstance(exception.__cause__.__cause__, errors.RemoteTraceback)


@pytest.mark.parametrize(("way", "kind", "attributes"), [
    (lambda: os.kill(os.getpid(), signal.SIGSEGV), errors.TaskKilled, {"signal": signal.SIGSEGV}),
    (lambda: os._exit(3), errors.TaskExited, {"exit_status": 3}),
    (lambda: os._exit(0), errors.TaskExited, {"exit_status": 0}),
])
def test_a_task_that_dies_says_how(executer, way, kind, attributes):
    def die():
        print("the end is near", file=sys.stderr, flush=True)
        way()
    identity = executer.execute(Call(die))
    exception = only(executer)[2]
    assert type(exception) is kind
    assert {name: getattr(exception, name) for name in attributes} == attributes
    assert (exception.graph_id, exception.task_name) == identity
    assert exception.attempt == 1
    assert exception.agent
    if attributes != {"exit_status": 0}:
        assert "the end is near" in exception.log_tail
        assert "the end is near" in str(exception)


def test_sys_exit_and_interrupts_come_back_as_such(executer):
    def exit_with(code):
        sys.exit(code)

    def interrupt():
        raise KeyboardInterrupt
    executer.execute(Call(exit_with, 75))
    exception = only(executer)[2]
    assert type(exception) is SystemExit
    assert exception.code == 75
    executer.execute(Call(interrupt))
    assert type(only(executer)[2]) is KeyboardInterrupt


def test_a_timeout_is_an_exception_of_its_own(executer):
    def hang():
        import time
        time.sleep(600)
    executer.execute(Call(hang), timeout=0.3, cancel_grace=0.1)
    exception = only(executer)[2]
    assert type(exception) is errors.TimedOut
    assert isinstance(exception, TimeoutError)


def test_a_return_value_that_cannot_be_pickled_is_named(executer):
    def lock():
        return {"a": [1, threading.Lock()]}
    executer.execute(Call(lock))
    exception = only(executer)[2]
    assert type(exception) is errors.NotPicklable
    assert exception.path == "the return value['a'][1]"


def test_large_arguments_and_values_travel(executer, service):
    data = os.urandom(5 << 20)
    executer.execute(Call(bytes.__add__, data, b"!"))
    _, value, exception = only(executer)
    assert exception is None
    assert value == data + b"!"


def test_an_object_that_was_put_is_sent_once(fake):
    table = kartograph.put({"rows": list(range(200000))})
    with kartograph.TaskExecuter(fake) as executer:
        for n in range(4):
            executer.execute(Call(lambda table, n: table["rows"][n], table, n))
        assert sorted(value for _, value, _ in pop_all(executer)) == [0, 1, 2, 3]
    assert fake.calls.count("PutBlob") == 1


def test_what_cannot_be_pickled_is_refused_at_once(executer):
    task = Square(threading.Lock())
    with pytest.raises(errors.NotPicklable, match=r"task\.n"):
        executer.execute(task)
    assert executer.unfinished == 0


def test_a_task_without_run_is_refused(executer):
    with pytest.raises(TypeError, match="method `run`"):
        executer.execute(object())
    with pytest.raises(TypeError, match="method `run`"):
        executer.execute(Square)


@pytest.mark.parametrize(("options", "words"), [
    ({"isolation": "thread"}, "isolation"), ({"retries": -1}, "retries"), ({"timeout": "1h"}, "timeout"),
    ({"priority": 1 << 31}, "priority"), ({"priority": "high"}, "priority"), ({"environment": {"A": 1}}, "environment"),
    ({"consumption": {"ram": "1GiB"}}, "ram"), ({"cancel_grace": -1}, "cancel_grace"),
    ({"expected_duration": 0}, "expected_duration"), ({"expected_duration": "5m"}, "expected_duration"),
])
def test_options_that_no_task_can_have_are_refused_at_once(fake, options, words):
    with pytest.raises((TypeError, ValueError), match=words):
        kartograph.TaskExecuter(fake, **options)
    with pytest.raises((TypeError, ValueError), match=words):
        kartograph.Graph("g", fake, **options)
    with kartograph.KartographExecutor(fake) as futures, pytest.raises((TypeError, ValueError), match=words):
        futures.options(**options)


def test_the_service_says_all_that_is_wrong(executer):
    with pytest.raises(errors.InvalidTask) as caught:
        executer.execute(Square(1), consumption={"unobtainium": 1})
    assert any("unobtainium" in problem.field for problem in caught.value.problems)
    assert executer.unfinished == 0


def test_a_bad_one_among_many_does_not_stop_the_others(executer):
    class Bad(Square):
        def consumption(self):
            return {"unobtainium": 1}
    with pytest.raises(errors.InvalidTask):
        executer.execute_all([Square(1), Bad(2), Square(3)])
    assert sorted(value for _, value, _ in pop_all(executer)) == [1, 9]


def test_tasks_run_in_order(executer, tmp_path):
    first = Call(lambda: (tmp_path / "x").write_text("first"))
    second = Call((tmp_path / "x").read_text)
    executer.execute(first)
    executer.execute(second, after=first)
    assert {value for _, value, _ in pop_all(executer)} == {5, "first"}
    third = Call((tmp_path / "x").read_text)
    executer.execute(third, after=[first, executer.id_of(second)])  # both have been popped
    assert only(executer)[1] == "first"


def test_what_comes_after_a_failure_is_skipped(executer):
    first = Call(lambda: 1 / 0)
    executer.execute(first)
    second = Square(1)
    executer.execute(second, after=first)
    popped = {id(task): exception for task, _, exception in pop_all(executer)}
    assert type(popped[id(first)]) is ZeroDivisionError
    assert type(popped[id(second)]) is errors.Skipped


def test_a_retry_is_another_attempt(executer, tmp_path):
    def second_time():
        if not (tmp_path / "once").exists():
            (tmp_path / "once").touch()
            raise OSError("try again")
        return "done"
    executer.execute(Call(second_time), retries=2, retry_delay=0.01)
    assert only(executer)[1:] == ("done", None)


def test_cancel_in_every_state(executer, tmp_path):
    def hang():
        import time
        (tmp_path / "running").touch()
        time.sleep(600)
    running, waiting, ended = Call(hang), Square(1), Square(2)
    executer.execute(ended)
    assert only(executer)[1] == 4
    executer.execute(running, cancel_grace=0.1)
    executer.execute(waiting, after=running)
    eventually((tmp_path / "running").exists, "the task runs")
    executer.cancel(ended)
    executer.cancel(waiting)
    executer.cancel(running)
    executer.cancel(Square(3))
    popped = {id(task): type(exception) for task, _, exception in pop_all(executer)}
    assert popped == {id(running): errors.Cancelled, id(waiting): errors.Cancelled}


def test_pop_of_one_task_leaves_the_others(executer):
    tasks = [Square(n) for n in range(6)]
    for task in tasks:
        executer.execute(task)
    for task in reversed(tasks):
        [(popped, value, _)] = executer.pop_finished(task, timeout=60)
        assert popped is task
        assert value == task.n ** 2
    assert executer.pop_finished(tasks[0]) == []
    assert executer.pop_finished() == []


def test_pop_waits_as_long_as_it_is_asked_to(executer):
    assert executer.pop_finished() == []
    assert executer.pop_finished(timeout=0.05) == []


def test_the_same_object_can_be_executed_twice(executer):
    task = Square(3)
    first, second = executer.execute(task), executer.execute(task)
    assert first != second
    assert executer.id_of(task) == second
    assert [(popped is task, value) for popped, value, _ in pop_all(executer)] == [(True, 9)] * 2


def test_a_name_is_taken_once(executer):
    executer.execute(Square(1), name="one", title="Eins für dich")
    with pytest.raises(errors.AlreadyExists):
        executer.execute(Square(1), name="one")
    assert len(pop_all(executer)) == 1


def test_what_was_not_acknowledged_is_delivered_again(service):
    queue = f"again-{os.getpid()}-{id(service)}"
    first = kartograph.TaskExecuter(service, queue=queue, consumer="me")
    identity = first.execute(Square(8))
    [(task, value, _)] = first.pop_finished(timeout=60)
    assert value == 64
    first.close(acknowledge=False)
    with kartograph.TaskExecuter(service, queue=queue, consumer="me") as second:
        [(again, value, _)] = second.pop_finished(timeout=60)
        assert again is not task
        assert (again.n, value) == (8, 64)
        assert second.id_of(again) == identity
    with kartograph.TaskExecuter(service, queue=queue, consumer="me") as third:
        assert third.pop_finished(timeout=0.5) == []


def test_a_client_that_is_killed_gets_it_again(service):
    queue = f"killed-{os.getpid()}-{id(service)}"
    code = """
import os, signal, sys, kartograph
class Work:
    def __init__(self, n): self.n = n
    def run(self): return self.n + 1
executer = kartograph.TaskExecuter(sys.argv[1], queue=sys.argv[2], consumer="me")
if sys.argv[3] == "die":
    executer.execute(Work(1))
[(task, value, exception)] = executer.pop_finished(timeout=60)
print(task.n, value, exception, flush=True)
if sys.argv[3] == "die":
    os.kill(os.getpid(), signal.SIGKILL)
executer.close()
"""
    environment = {**os.environ, "PYTHONPATH": str(pathlib.Path(kartograph.__file__).parent.parent)}
    for way, status in (("die", -signal.SIGKILL), ("live", 0)):
        done = subprocess.run([sys.executable, "-", service.address, queue, way], input=code, capture_output=True,
                              text=True, timeout=120, env=environment, check=False)
        assert (done.stdout, done.returncode) == ("1 2 None\n", status), done.stderr
    with kartograph.TaskExecuter(service, queue=queue, consumer="me") as executer:
        assert executer.pop_finished(timeout=0.5) == []


def test_an_error_in_a_with_block_acknowledges_nothing(service):
    queue = f"error-{os.getpid()}-{id(service)}"

    def process_badly():
        with kartograph.TaskExecuter(service, queue=queue, consumer="me") as executer:
            executer.execute(Square(2))
            assert executer.pop_finished(timeout=60)
            raise ZeroDivisionError
    with pytest.raises(ZeroDivisionError):
        process_badly()
    with kartograph.TaskExecuter(service, queue=queue, consumer="me") as executer:
        assert [value for _, value, _ in executer.pop_finished(timeout=60)] == [4]


@pytest.mark.parametrize("use", [lambda executer, _: executer.pop_finished(timeout=5),
                                 lambda _, service: kartograph.TaskExecuter(service)])
def test_a_fork_cannot_use_what_it_inherits(executer, service, use):
    executer.execute(Square(5))
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            use(executer, service)
            said = b"nothing"
        except errors.ForkedProcess as error:
            said = str(error).encode()
        except BaseException as error:
            said = repr(error).encode()
        executer.close()  # has no effect here
        os.write(write, said)
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        assert b"start processes by `spawn`" in pipe.read()
    os.waitpid(child, 0)
    assert only(executer)[1] == 25


def test_threads_share_an_executer(executer):
    values, lock = [], threading.Lock()

    def work(n):
        mine = [Square(10 * n + i) for i in range(5)]
        for task in mine:
            executer.execute(task)
        for task in mine:
            [(_, value, _)] = executer.pop_finished(task, timeout=60)
            with lock:
                values.append(value)
    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert sorted(values) == sorted((10 * n + i) ** 2 for n in range(4) for i in range(5))


@pytest.mark.skipif(REAL, reason="stops and starts the service from inside")
def test_a_restart_of_the_service_is_no_more_than_a_pause(fake, tmp_path):
    with kartograph.TaskExecuter(fake) as executer:
        def wait():
            import time
            (tmp_path / "running").touch()
            while not (tmp_path / "go").exists():
                time.sleep(0.01)
            return "gone through"
        task = Call(wait)
        executer.execute(task)
        popped = []
        waiter = threading.Thread(target=lambda: popped.extend(executer.pop_finished(timeout=60)))
        waiter.start()
        eventually((tmp_path / "running").exists)
        fake.kill()
        (tmp_path / "go").touch()
        late = []
        sender = threading.Thread(target=lambda: late.append(executer.execute(Square(6))))
        sender.start()  # while it is away
        fake.start()
        waiter.join(60)
        sender.join(60)
        assert [value for _, value, _ in popped + pop_all(executer) if value == "gone through"] == ["gone through"]
        assert len(late) == 1


def test_a_service_that_is_not_there_is_an_error_with_words(folder):
    connection = kartograph._client.Connection(f"unix:{folder}/nobody.sock", patience=0.2)
    from kartograph.v1 import task_executer_pb2 as pb
    with pytest.raises(errors.ServiceUnavailable, match=r"was away for 0\.2 s"):
        connection.call("GetGraph", pb.GetGraphRequest(graph_id="g1"))


def test_a_closed_executer_says_so(service):
    executer = kartograph.TaskExecuter(service)
    executer.close()
    executer.close()
    with pytest.raises(errors.KartographError, match="closed"):
        executer.execute(Square(1))
    with pytest.raises(errors.KartographError, match="closed"):
        executer.pop_finished()


@pytest.mark.parametrize("last", ["", "raise ValueError('mine')"])
def test_a_program_that_ends_without_closing_ends_in_peace(service, last):
    code = f"""
import sys, kartograph
class Work:
    def run(self): return 1
executer = kartograph.TaskExecuter(sys.argv[1])
executer.execute(Work())
executer.pop_finished(timeout=60)
{last}
"""
    environment = {**os.environ, "PYTHONPATH": str(pathlib.Path(kartograph.__file__).parent.parent)}
    done = subprocess.run([sys.executable, "-c", code, service.address], capture_output=True, text=True, timeout=120,
                          env=environment, check=False)
    assert done.returncode == bool(last)
    assert done.stderr.splitlines()[-1:] == (["ValueError: mine"] if last else [])


def test_a_graph_that_has_closed_itself_is_followed_by_another(fake):
    with kartograph.TaskExecuter(fake) as executer:
        good, bad = Square(2), Call(lambda: 1 / 0)
        first = executer.execute(good)
        executer.execute(bad)
        assert len(pop_all(executer)) == 2
        with fake.changed:
            fake.graphs[first.graph_id].open = False  # as after an hour without a task
            fake._schedule()
        later = Square(3)
        second = executer.execute(later, after=good)
        assert second.graph_id != first.graph_id
        assert only(executer)[1] == 9
        with pytest.raises(errors.WrongState, match="has not succeeded"):
            executer.execute(Square(4), after=bad)
        assert executer.unfinished == 0
