"""What travels, what does not, and what is said about it. No service is needed."""

import functools
import io
import json
import os
import pathlib
import sys
import threading
import traceback

import pytest

from kartograph import _address, _blobs, _envelope, _pickling, _task, _worker, errors


class Box:
    def __init__(self, content):
        self.content = content


class Slotted:
    __slots__ = ("__hidden", "shown")

    def __init__(self, hidden, shown):
        self.__hidden, self.shown = hidden, shown


class Custom(Exception):
    def __init__(self, code, *, hint=""):
        super().__init__(code)
        self.code, self.hint = code, hint


class Unreadable(Exception):
    """Can be pickled, but not unpickled: its arguments are not those of its constructor."""

    def __init__(self, first, second):
        super().__init__(f"{first} and {second}")


class Broken(Exception):
    def __str__(self):
        raise RuntimeError("no text")


def raised(error):
    try:
        raise error
    except BaseException as caught:
        return caught


def travel(error):
    result = _envelope.open_result(_envelope.seal_exception(raised(error)))
    assert result.exception is not None
    return result.exception


# --- What cannot be pickled -----------------------------------------------------------------------------------


def closure():
    lock = threading.Lock()
    return lambda: lock


def default(lock=threading.Lock()):  # noqa: B008
    return lock


@pytest.mark.parametrize(("value", "path"), [
    (Box({"a": [1, threading.Lock()]}), "task.content['a'][1]"),
    (Box(Box(io.TextIOWrapper(io.BytesIO()))), "task.content.content"),
    (Slotted(threading.Lock(), 1), "task._Slotted__hidden"),
    (Box(closure()), "the variable 'lock' of task.content"),
    (functools.partial(print, threading.Lock()), "task.args[0]"),
    (Box(threading.Lock()).__init__, "task.__self__.content"),
    ([{1: threading.Lock()}], "task[0][1]"),
    (threading.Lock(), "task"),
])
def test_the_culprit_is_named(value, path):
    with pytest.raises(errors.NotPicklable) as caught:
        _pickling.dump(value, "task")
    assert caught.value.path == path
    assert str(caught.value).startswith(path)
    assert "cannot be pickled" in str(caught.value)


def test_an_open_file_is_named(tmp_path):
    with open(tmp_path / "x", "w") as file, pytest.raises(errors.NotPicklable, match=r"task\.content"):
        _pickling.dump(Box(file), "task")


def test_a_structure_that_is_too_deep_is_said_to_be_so():
    value = []
    for _ in range(100000):
        value = [value]
    with pytest.raises(errors.NotPicklable, match="nested too deeply"):
        _pickling.dump(value, "task")


def test_an_object_that_refers_to_itself_is_searched_once():
    box = Box(threading.Lock())
    box.me = [box]
    with pytest.raises(errors.NotPicklable, match=r"task\.content"):
        _pickling.dump(box, "task")


def test_an_own_state_is_what_counts():
    class Careful(Box):
        def __getstate__(self):
            return {"content": None}
    data, _ = _pickling.dump(Careful(threading.Lock()), "task")
    assert _pickling.load(data).content is None


@pytest.mark.parametrize("value", [
    None, b"", "ä\udcff", 10 ** 100, {1: {2, 3}}, Box([1]), lambda x: x + 1, closure, pathlib.Path("/x"), Box,
    functools.partial(print, 1), float("inf"),
])
def test_what_can_be_pickled_is(value):
    data, references = _pickling.dump(value, "task")
    _pickling.load(data)
    assert references == []


def test_missing_modules_are_said_to_be_missing(monkeypatch, tmp_path):
    (tmp_path / "gone_soon.py").write_text("class Here: pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    import gone_soon
    data, _ = _pickling.dump(gone_soon.Here(), "task")
    monkeypatch.undo()
    monkeypatch.delitem(sys.modules, "gone_soon")
    with pytest.raises(errors.NotReadable, match="the module 'gone_soon', which is not installed here"):
        _pickling.load(data)


def test_damage_is_said_to_be_damage():
    data, _ = _pickling.dump([1, 2, 3], "task")
    for cut in (b"", data[:-3], b"junk"):
        with pytest.raises(errors.NotReadable, match="damaged"):
            _pickling.load(cut)


# --- References -------------------------------------------------------------------------------------------------


def test_an_object_that_was_put_arrives_as_itself(tmp_path):
    ref = _blobs.put({"a": 1})
    assert _blobs.put({"a": 1}) == ref
    data, references = _pickling.dump(Box([ref, ref]), "task")
    assert references == [ref]
    (tmp_path / ref.id).write_bytes(ref.blob.data)
    cache = _worker.Cache()
    box = _pickling.load(data, lambda reference: cache.get(reference[1], tmp_path))
    assert box.content == [{"a": 1}, {"a": 1}]
    assert box.content[0] is box.content[1]
    (tmp_path / ref.id).unlink()
    assert cache.get(ref.id, tmp_path) is box.content[0]


def test_a_cache_forgets_what_was_not_used(tmp_path):
    cache = _worker.Cache(most=2)
    refs = [_blobs.put([n]) for n in range(3)]
    for ref in refs:
        (tmp_path / ref.id).write_bytes(ref.blob.data)
    first, _ = cache.get(refs[0].id, tmp_path), cache.get(refs[1].id, tmp_path)
    assert cache.get(refs[0].id, tmp_path) is first
    cache.get(refs[2].id, tmp_path)
    assert cache.get(refs[0].id, tmp_path) is first


def test_a_reference_is_nothing_where_nobody_resolves_it():
    data, _ = _pickling.dump(_blobs.put(1), "task")
    with pytest.raises(errors.NotReadable, match="only there where tasks run"):
        _pickling.load(data)


# --- Envelopes ---------------------------------------------------------------------------------------------------


def test_values_travel():
    result = _envelope.open_result(_envelope.seal_value({"a": [1, None]}))
    assert (result.value, result.exception) == ({"a": [1, None]}, None)


def changed(data, **changes):
    line, payload = data[len(_envelope.MAGIC):].split(b"\n", 1)
    return _envelope.MAGIC + json.dumps({**json.loads(line), **changes}).encode() + b"\n" + payload


@pytest.mark.parametrize(("data", "words"), [
    (b"", "were not written by the Python package"),
    (b"hello", "were not written by the Python package"),
    (_envelope.MAGIC + b"{nonsense\n", "were not written by the Python package"),
    (_envelope.MAGIC + b"[]\n", "were not written by the Python package"),
    (changed(_envelope.seal_value(1), format=99), "in format 99, and this version of the package kartograph reads"),
    (changed(_envelope.seal_value(1), python="3.2"), "the worker has Python 3.2 and this client has Python 3"),
    (changed(_envelope.seal_value(1), cloudpickle="0.1"), "the worker has cloudpickle 0.1 and this client has"),
])
def test_what_cannot_be_read_is_an_error_with_words(data, words):
    result = _envelope.open_result(data)
    assert isinstance(result.exception, errors.NotReadable)
    assert words in str(result.exception)


def test_an_exception_with_too_much_in_it_still_says_what_it_was():
    data = _envelope.seal_exception(raised(ValueError("large", bytes(_envelope.MAX_EXCEPTION))))
    assert len(data) < 1 << 20
    exception = _envelope.open_result(data).exception
    assert isinstance(exception, errors.RemoteException)
    assert exception.type_name == "ValueError"
    assert "raise error" in exception.__cause__.text


def test_an_exception_of_another_version_still_says_what_it_was():
    data = changed(_envelope.seal_exception(raised(Custom(3))), python="3.2")
    exception = _envelope.open_result(data).exception
    assert isinstance(exception, errors.RemoteException)
    assert exception.type_name.endswith("Custom")
    assert "raise error" in exception.__cause__.text


# --- Exceptions --------------------------------------------------------------------------------------------------


def test_exceptions_keep_type_arguments_and_attributes():
    exception = travel(Custom(7, hint="look there"))
    assert type(exception) is Custom
    assert (exception.args, exception.code, exception.hint) == ((7,), 7, "look there")
    assert isinstance(exception.__cause__, errors.RemoteTraceback)


@pytest.mark.parametrize(("error", "name", "text"), [
    (Unreadable(1, 2), "Unreadable", "1 and 2"),
    (Custom(threading.Lock()), "Custom", "lock"),
    (Broken(), "Broken", "cannot be had"),
])
def test_exceptions_that_cannot_travel_have_a_stand_in(error, name, text):
    exception = travel(error)
    assert type(exception) in (errors.RemoteException, Broken)
    if type(exception) is errors.RemoteException:
        assert exception.type_name.endswith(name)
        assert text in str(exception)
    assert "Traceback" in exception.__cause__.text or "printing it raised" in exception.__cause__.text


def test_causes_and_contexts_travel():
    def chain():
        try:
            try:
                raise KeyError("first")
            except KeyError:
                raise ValueError("second")  # noqa: B904
        except ValueError as error:
            raise Custom(3) from error
    try:
        chain()
    except Custom as error:
        exception = _envelope.open_result(_envelope.seal_exception(error)).exception
    assert type(exception) is Custom
    assert type(exception.__cause__) is ValueError
    assert type(exception.__cause__.__context__) is KeyError
    printed = "".join(traceback.format_exception(type(exception), exception, None))
    assert printed.startswith("kartograph.errors.RemoteTraceback: \n\nTraceback (most recent call last):\n")
    assert 'raise KeyError("first")' in printed


def test_from_none_travels():
    try:
        try:
            raise KeyError("hidden")
        except KeyError:
            raise ValueError("shown") from None
    except ValueError as error:
        exception = _envelope.open_result(_envelope.seal_exception(error)).exception
    assert exception.__suppress_context__
    assert isinstance(exception.__cause__, errors.RemoteTraceback)
    assert "hidden" not in exception.__cause__.text


def test_a_circle_of_exceptions_ends():
    first, second = ValueError(1), ValueError(2)
    first.__cause__, second.__cause__ = second, first
    exception = travel(first)
    assert exception.args == (1,)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python has no groups and notes before 3.11")
def test_groups_and_notes_travel():
    inner = raised(Unreadable(1, 2))
    inner.add_note("a note")
    member = raised(KeyError("x"))
    member.__cause__ = inner
    group = ExceptionGroup("several", [member, ExceptionGroup("more", [OSError(2, "no")])])  # noqa: F821
    group.add_note("of the group")
    exception = travel(group)
    assert exception.message == "several"
    assert exception.__notes__ == ["of the group"]
    assert type(exception.exceptions[0]) is KeyError
    assert exception.exceptions[0].__cause__.__notes__ == ["a note"]
    assert exception.exceptions[1].exceptions[0].errno == 2


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), StopIteration(5)])
def test_exceptions_that_are_no_errors_travel(error):
    exception = travel(error)
    assert type(exception) is type(error)
    assert exception.args == error.args


def test_our_own_errors_travel():
    error = errors.TaskKilled("gone")
    error.signal, error.log_tail = 9, "last words"
    exception = travel(error)
    assert (exception.signal, str(exception)) == (9, "gone\nthe last lines of its output:\n  last words")
    for kind in (errors.InvalidTask, errors.NotFound, errors.NotPicklable, errors.GraphFailed, errors.AccessDenied,
                 errors.ServiceNotFound, errors.TimedOut, errors.OutOfMemory, errors.RemoteException):
        assert type(travel(kind("words"))) is kind


# --- The worker --------------------------------------------------------------------------------------------------


def job_of(folder, data):
    (folder / "input").write_bytes(data)
    return _worker.Job("g1", "t", "a", folder / "input", folder / "result")


def run_call(folder, function, *args):
    payload, _ = _pickling.dump((function, args, {}), "call")
    done = _worker.run(job_of(folder, _envelope.seal({"kind": "call"}, payload)))
    return done.status, _envelope.open_result(done.value)


def test_a_worker_runs_one_after_the_other(tmp_path):
    for n in range(3):
        assert run_call(tmp_path, abs, -n) == (0, _envelope.Result(n))


@pytest.mark.parametrize(("code", "status"), [(None, 1), (0, 1), (75, 75), ("words", 1), (256, 1)])
def test_a_task_that_exits_has_failed(tmp_path, code, status):
    got, result = run_call(tmp_path, sys.exit, code)
    assert got == status
    assert type(result.exception) is SystemExit


def test_a_failure_is_printed_as_a_script_would(tmp_path, capsys):
    status, result = run_call(tmp_path, int, "x")
    assert status == 1
    assert capsys.readouterr().err.endswith("ValueError: invalid literal for int() with base 10: 'x'\n")
    assert type(result.exception) is ValueError


def test_a_task_of_another_python_is_refused_with_words(tmp_path, capsys):
    payload, _ = _pickling.dump((abs, (-1,), {}), "call")
    done = _worker.run(job_of(tmp_path, changed(_envelope.seal({"kind": "call"}, payload), python="2.7")))
    exception = _envelope.open_result(done.value).exception
    assert done.status == 1
    assert str(exception).startswith("the client has Python 2.7 and this worker has Python 3")
    assert "the client has Python 2.7" in capsys.readouterr().err


def test_a_worker_that_nobody_asked_says_so():
    with pytest.raises(errors.NotReadable, match="KARTOGRAPH_INPUT and KARTOGRAPH_RESULT are not set"):
        _worker.Job.of({})


@pytest.mark.parametrize(("name", "file"), [
    ("plain", "plain"), ("maps/DE", "maps%2FDE"), (".", "%2E"), ("..", "%2E%2E"), ("a.b", "a.b")])
def test_names_of_tasks_as_files(name, file):
    assert _worker.file_of_value(name) == file


# --- Addresses and options ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("given", "complete"), [
    ("host:1", "host:1"), ("host", "host:50061"), ("host:", "host:50061"), ("[::1]", "[::1]:50061"),
    ("[::1]:5", "[::1]:5"), ("unix:/a/b", "unix:/a/b"), ("unix:///a/b", "unix:/a/b"),
])
def test_addresses(given, complete):
    assert _address.complete_address(given) == complete


@pytest.mark.parametrize(("given", "words"), [
    ("http://host:1", 'without "http://"'), ("unix:", "path of a socket"), (" host", "is neither"),
    ("unix:/" + 120 * "x", "longer than 107 bytes"),
])
def test_addresses_that_are_none(given, words):
    with pytest.raises(ValueError, match=words):
        _address.complete_address(given)


def test_the_service_is_found_as_the_command_line_finds_it(tmp_path):
    token = tmp_path / "token"
    token.write_text("secret\n")
    found = _address.find_service(environment={"KARTOGRAPH_SERVER": "host", "KARTOGRAPH_TOKEN_FILE": str(token)})
    assert found == _address.Endpoint("host:50061", "secret")
    (tmp_path / "run").mkdir()
    state = {"KARTOGRAPH_STATE_FOLDER": str(tmp_path)}
    with pytest.raises(errors.ServiceNotFound, match="start kartographd"):
        _address.find_service(environment=state)
    (tmp_path / "run" / "grpc.sock").touch()
    assert _address.find_service(environment=state).address == f"unix:{tmp_path}/run/grpc.sock"
    if os.geteuid() != 0:
        assert _address.default_state_folder({"XDG_STATE_HOME": "/s"}) == pathlib.Path("/s/kartograph")
    with pytest.raises(ValueError, match="a token is one word"):
        _address.find_service("host", token="two words")
    with pytest.raises(TypeError, match="not by int"):
        _address.find_service(3)


@pytest.mark.parametrize("consumption", [{"cpu": "2"}, {1: 2}, {"cpu": None}, {"cpu": True}, [("cpu", 1)], "cpu"])
def test_consumptions_that_are_none(consumption):
    with pytest.raises(TypeError):
        _task.check_consumption(consumption)


def test_options_become_a_specification():
    from kartograph.v1 import task_executer_pb2 as pb
    spec = pb.TaskSpec()
    _task.Options(consumption={"cpu": 2}, timeout=1.5, expected_duration=2.5, retries=3, retry_on=["75"],
                  no_retry_on="timeout", priority=4, labels={"a": "b"}, environment={"X": "y"}).fill(spec)
    assert dict(spec.consumption) == {"cpu": 2.0}
    assert spec.timeout.ToMilliseconds() == 1500
    assert spec.expected_duration.ToMilliseconds() == 2500
    assert (spec.max_attempts, list(spec.retry_on), list(spec.no_retry_on)) == (4, ["75"], ["timeout"])
    assert (spec.priority, dict(spec.labels), dict(spec.command.environment)) == (4, {"a": "b"}, {"X": "y"})
    assert not spec.HasField("cancel_grace")
    with pytest.raises(ValueError, match="0 or more, not -1"):
        _task.Options().but(retries=-1)
    with pytest.raises(TypeError, match="labels is a dict of strings"):
        _task.Options().but(labels=["a"])


def test_constraints_become_a_specification():
    from kartograph.v1 import task_executer_pb2 as pb
    spec = pb.TaskSpec()
    _task.Options(avoid_last_failure=True, spread=("workers", 2), constraints=[
        _task.Constraint("disk", equals="ssd"), _task.Constraint("rack", one_of=["b3", "b4"], negated=True),
        _task.Constraint("agent.name", matches="node-.*")]).fill(spec)
    assert spec.avoid_last_failure
    assert (spec.spread.group, spec.spread.per_agent) == ("workers", 2)
    with pytest.raises(ValueError, match="such as"):
        _task.Options().but(spread=("workers", 0))
    assert list(spec.constraints) == [pb.Constraint(attribute="disk", equals="ssd"),
                                      pb.Constraint(attribute="rack", one_of=["b3", "b4"], negated=True),
                                      pb.Constraint(attribute="agent.name", matches="node-.*")]


@pytest.mark.parametrize(("constraint", "error"), [
    (_task.Constraint("rack"), ValueError),
    (_task.Constraint("rack", equals="b3", matches="b.*"), ValueError),
    (_task.Constraint("rack", one_of="b3"), TypeError),
    (_task.Constraint("rack", equals=3), TypeError),  # type: ignore[arg-type]
    ({"attribute": "rack", "equals": "b3"}, TypeError),
])
def test_constraints_that_are_none(constraint, error):
    with pytest.raises(error, match="constraint"):
        _task.Options().but(constraints=[constraint])


def test_options_that_do_not_exist_are_named():
    with pytest.raises(TypeError, match="there is no option 'memory'"):
        _task.Options().but(memory=1)
