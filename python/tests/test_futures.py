"""KartographExecutor: what concurrent.futures documents."""

import concurrent.futures
import itertools
import os
import pathlib
import subprocess
import sys
import time

import pytest
from conftest import eventually

import kartograph
from kartograph import errors

CHEAP = {"cpu": 0.1}


def fail(error):
    raise error


def touch_and_hang(path):
    pathlib.Path(path).touch()
    time.sleep(600)


def environment():
    return {**os.environ, "PYTHONPATH": str(pathlib.Path(kartograph.__file__).parent.parent)}


@pytest.fixture()
def executor(service):
    with kartograph.KartographExecutor(service, consumption=CHEAP, cancel_grace=0.1) as made:
        yield made
        made.shutdown(cancel_futures=True)


def test_submit(executor):
    future = executor.submit(pow, 2, exp=10)
    assert isinstance(future, concurrent.futures.Future)
    assert future.result(60) == 1024
    assert future.done()
    assert future.exception() is None
    assert future.id.name.startswith("pow-")


def test_an_exception(executor):
    future = executor.submit(fail, KeyError("x"))
    assert type(future.exception(60)) is KeyError
    with pytest.raises(KeyError):
        future.result()


def test_a_process_that_dies_is_an_exception_of_this_future_alone(executor):
    dead, good = executor.submit(os._exit, 4), executor.submit(abs, -1)
    assert dead.exception(60).exit_status == 4
    assert good.result(60) == 1


def test_map_is_in_order(executor):
    assert list(executor.map(pow, range(5), itertools.repeat(2))) == [0, 1, 4, 9, 16]
    assert list(executor.map(str, range(10), chunksize=4)) == [str(n) for n in range(10)]
    assert list(executor.map(str, [])) == []


def test_map_raises_where_the_call_did(executor):
    values = executor.map(int, ["1", "x", "3"])
    assert next(values) == 1
    with pytest.raises(ValueError, match="invalid literal"):
        next(values)


def test_map_over_an_endless_iterable(executor, monkeypatch):
    monkeypatch.setattr("kartograph._futures.WINDOW", 6)
    drawn = []

    def numbers():
        for n in itertools.count():
            drawn.append(n)
            yield n
    values = executor.map(abs, numbers())
    assert [next(values) for _ in range(8)] == list(range(8))
    assert len(drawn) <= 8 + 6
    values.close()


def test_map_times_out(executor, tmp_path):
    with pytest.raises(concurrent.futures.TimeoutError):
        list(executor.map(touch_and_hang, [str(tmp_path / "x")], timeout=0.2))


def test_as_completed_and_wait(executor):
    futures = {executor.submit(abs, -n): n for n in range(4)}
    assert {futures[future] for future in concurrent.futures.as_completed(futures, 60)} == {0, 1, 2, 3}
    done, rest = concurrent.futures.wait([executor.submit(abs, -1), executor.submit(fail, OSError())], 60,
                                         concurrent.futures.FIRST_EXCEPTION)
    assert any(future.exception() for future in done)
    assert len(done) + len(rest) == 2


def test_cancel_ends_what_runs(executor, tmp_path):
    future = executor.submit(touch_and_hang, str(tmp_path / "running"))
    eventually((tmp_path / "running").exists, "the call runs")
    assert future.cancel()
    assert future.cancelled()
    with pytest.raises(concurrent.futures.CancelledError):
        future.result()
    graph = kartograph.Graph.existing(future.id.graph_id, executor._core._connection.endpoint.address)
    eventually(lambda: graph.node(future.id.name).state == "cancelled", "its process ends")
    graph.close()


def test_cancel_before_it_runs(service, tmp_path):
    with kartograph.KartographExecutor(service, consumption={"db_connections": 2, "cpu": 0.1}) as executor:
        first = executor.submit(touch_and_hang, str(tmp_path / "running"))
        eventually((tmp_path / "running").exists, "the call runs")
        second = executor.submit(abs, -1)
        assert second.cancel()
        assert first.cancel()
    assert second.cancelled()


def test_a_done_future_cannot_be_cancelled(executor):
    future = executor.submit(abs, -1)
    future.result(60)
    assert not future.cancel()


def test_callbacks(executor):
    called = []
    future = executor.submit(abs, -3)
    future.add_done_callback(lambda done: called.append(done.result()))
    future.result(60)
    eventually(lambda: called == [3])


def test_shutdown(service):
    executor = kartograph.KartographExecutor(service, consumption=CHEAP)
    future = executor.submit(abs, -2)
    executor.shutdown()
    assert future.done()
    assert future.result() == 2
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(abs, -2)
    executor.shutdown()


def test_shutdown_without_waiting_goes_on(service):
    executor = kartograph.KartographExecutor(service, consumption=CHEAP)
    future = executor.submit(abs, -2)
    executor.shutdown(wait=False)
    assert future.result(60) == 2


def test_shutdown_can_cancel(service, tmp_path):
    executor = kartograph.KartographExecutor(service, consumption=CHEAP, cancel_grace=0.1)
    future = executor.submit(touch_and_hang, str(tmp_path / "x"))
    executor.shutdown(cancel_futures=True)
    assert future.cancelled()


def test_a_program_that_ends_waits_for_its_futures(service):
    code = """
import sys, kartograph
executor = kartograph.KartographExecutor(sys.argv[1])
executor.submit(abs, -5).add_done_callback(lambda done: print(done.result()))
"""
    done = subprocess.run([sys.executable, "-c", code, service.address], capture_output=True, text=True, timeout=120,
                          env=environment(), check=False)
    assert (done.stdout, done.returncode) == ("5\n", 0), done.stderr


def test_options_are_of_the_calls_alone(executor):
    with pytest.raises(errors.InvalidTask, match="unobtainium"):
        executor.options(consumption={"unobtainium": 1}).submit(abs, -1).result(60)
    assert executor.submit(abs, -1).result(60) == 1
    with pytest.raises(TypeError, match="there is no option 'retrys'"):
        executor.options(retrys=3)


def test_retries(executor, tmp_path):
    def second_time(path):
        if not os.path.exists(path):
            pathlib.Path(path).touch()
            raise OSError("once more")
        return 2
    assert executor.options(retries=1, retry_delay=0.01).submit(second_time, str(tmp_path / "x")).result(60) == 2


def test_what_cannot_be_pickled(executor):
    import threading
    with pytest.raises(errors.NotPicklable, match=r"abs\[1\]\[0\]"):
        executor.submit(abs, threading.Lock())
    assert isinstance(executor.submit(threading.Lock).exception(60), errors.NotPicklable)
