"""A worker as an agent sees it: attempts over its socket, and what one leaves for the next."""

import contextlib
import os
import pathlib
import socket
import subprocess
import sys

import pytest
from conftest import HERE

from kartograph import _envelope, _pickling, _task

HOME = HERE.parent


class Agent:
    """Starts a worker and gives it one attempt after another."""

    def __init__(self, folder, *arguments):
        self.folder = folder
        self.attempts = 0
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(60)
        command = [sys.executable, "-m", "kartograph.worker", *arguments]

        # It is started in the environment of its first attempt.
        environment = {"KARTOGRAPH_WORKER": str(theirs.fileno()), "KARTOGRAPH_SERVER": "unix:/s",
                       "KARTOGRAPH_TASK": "t1", "PYTHONPATH": f"{HOME}:{HERE}", "FROM_BASE": "yes"}
        self.process = subprocess.Popen(command, env={**os.environ, **environment}, stdin=subprocess.DEVNULL,
                                        pass_fds=[theirs.fileno()], start_new_session=True)
        theirs.close()

    def give(self, function, *args, kind="call", environment=(), inline=False):
        """Runs a call; returns the worker's answer (None where it is gone), the result, and what was printed."""
        self.attempts += 1
        sandbox = self.folder / str(self.attempts)
        sandbox.mkdir()
        payload, _ = _pickling.dump((function, args, {}), "call")
        content = _task._header(kind, "") + payload
        variables = {"PWD": sandbox, "KARTOGRAPH_GRAPH": "g1", "KARTOGRAPH_TASK": f"t{self.attempts}",
                     "KARTOGRAPH_ATTEMPT": f"g1.{self.attempts}.1",
                     "KARTOGRAPH_RESULT": sandbox / "result", **dict(environment)}
        given = b""
        if inline:
            given = b"input %d\n" % len(content) + content
        else:
            (sandbox / "input").write_bytes(content)
            variables["KARTOGRAPH_INPUT"] = sandbox / "input"
        message = b"".join(f"{name}={value}\0".encode() for name, value in variables.items()) + b"\0" + given
        with contextlib.ExitStack() as stack:
            files = [stack.enter_context(open(sandbox / name, "wb")) for name in ("stdout", "stderr")]
            socket.send_fds(self.socket, [message], [file.fileno() for file in files])
        answer, short, value = self.socket.recv(1024).partition(b"\n")
        answer = answer.decode() or None
        result = sandbox / "result"
        assert not (short and result.exists())
        value = value if short else result.read_bytes() if result.exists() else None
        outcome = _envelope.open_result(value) if value is not None else None
        return answer, outcome, (sandbox / "stdout").read_text(), (sandbox / "stderr").read_text()

    def close(self):
        self.socket.close()
        self.process.kill()
        self.process.wait()


@pytest.fixture()
def agent(folder):
    made = Agent(folder)
    yield made
    made.close()


def value(given):
    answer, outcome, _, stderr = given
    assert outcome is not None, (answer, stderr)
    if outcome.exception is not None:
        raise outcome.exception
    return outcome.value


def test_one_process_runs_task_after_task(agent):
    first = agent.give(os.getpid)
    second = agent.give(os.getpid)
    assert first[0] == second[0] == "0 keep"
    assert value(first) == value(second) == agent.process.pid


def test_it_ends_when_the_agent_is_gone(agent):
    agent.give(int)
    agent.socket.close()
    assert agent.process.wait(60) == 0


def test_each_task_has_its_own_output_also_that_of_c_code_and_children(agent):
    def write(text):
        import ctypes
        import subprocess
        print(text)
        print("error", text, file=sys.stderr)
        ctypes.CDLL(None).printf(b"from C %s\n", text.encode())  # stays in the C library's buffer
        subprocess.run(["echo", "from a child", text], check=True)

    for text in ("one", "two"):
        answer, _, stdout, stderr = agent.give(write, text)
        assert answer == "0 keep"
        assert sorted(stdout.splitlines()) == [f"from C {text}", f"from a child {text}", text]
        assert stderr == f"error {text}\n"


def test_what_is_short_comes_and_goes_without_files(agent):
    answer, outcome, _, _ = agent.give(bytes.__add__, b"a", b"b", inline=True)
    assert (answer, outcome.value) == ("0 keep", b"ab")
    assert sorted(os.listdir(agent.folder / "1")) == ["stderr", "stdout"]
    assert value(agent.give(bytes, 5000)) == bytes(5000)
    assert "result" in os.listdir(agent.folder / "2")


def test_a_failed_task_does_not_end_the_worker(agent):
    answer, outcome, _, stderr = agent.give(int, "x")
    assert answer == "1 keep"
    assert isinstance(outcome.exception, ValueError)
    assert "ValueError: invalid literal" in stderr
    assert agent.give(sys.exit, 75)[0] == "75 keep"
    assert value(agent.give(int, "7")) == 7


def changes():
    """All that can be put back."""
    import logging
    import random
    import signal
    import types
    import warnings
    os.environ["LEFT"] = "here"
    os.environ["FROM_BASE"] = "changed"
    os.umask(0)
    sys.path.insert(0, "/left")
    sys.argv.append("left")
    sys.modules["left"] = types.ModuleType("left")
    sys.modules["json"] = None
    sys.stdout = None
    sys.setrecursionlimit(500)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.setitimer(signal.ITIMER_REAL, 3600)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    logging.basicConfig(level=logging.DEBUG)
    warnings.simplefilter("error")
    random.seed(1)
    return random.random()


def state():
    import logging
    import random
    import signal
    import warnings
    umask = os.umask(0o22)
    os.umask(umask)
    return {"environment": {name: os.environ.get(name) for name in ("LEFT", "FROM_BASE", "KARTOGRAPH_WORKER")},
            "umask": umask, "path": "/left" in sys.path, "arguments": sys.argv[1:], "left": "left" in sys.modules,
            "json": __import__("json") is not None, "stdout": sys.stdout is sys.__stdout__,
            "recursion": sys.getrecursionlimit(), "term": signal.getsignal(signal.SIGTERM),
            "timer": signal.getitimer(signal.ITIMER_REAL), "mask": signal.pthread_sigmask(signal.SIG_BLOCK, ()),
            "handlers": len(logging.root.handlers), "level": logging.root.level, "warnings": warnings.filters[:3],
            "directory": os.getcwd() == os.environ["PWD"], "random": random.random()}


def test_what_a_task_changes_in_the_process_is_put_back(agent):
    before = value(agent.give(state))
    assert before.pop("directory")
    number = before.pop("random")
    answer, outcome, _, _ = agent.give(changes)
    assert answer == "0 keep"
    after = value(agent.give(state))
    assert after.pop("directory")
    assert after.pop("random") not in (number, outcome.value)
    assert after == before
    assert before["environment"] == {"LEFT": None, "FROM_BASE": "yes", "KARTOGRAPH_WORKER": None}


def test_variables_of_one_attempt_are_not_those_of_the_next(agent):
    read = "KARTOGRAPH_RESOURCE_GPU"
    assert value(agent.give(os.getenv, read, environment={read: "0"})) == "0"
    assert value(agent.give(os.getenv, read)) is None
    assert value(agent.give(os.getenv, "KARTOGRAPH_TASK")) == "t3"
    assert value(agent.give(os.getenv, "KARTOGRAPH_SERVER")) == "unix:/s"  # it is not an attempt's


def test_what_a_module_sets_at_import_is_there_for_later_tasks(folder):
    (folder / "code").mkdir()
    (folder / "code" / "sets.py").write_text("""
import logging, signal, sys, types
sys.setrecursionlimit(4321)
signal.signal(signal.SIGUSR1, signal.SIG_IGN)
logging.basicConfig(level=logging.INFO)
sys.modules["sets.alias"] = types.ModuleType("sets.alias")
sys.modules["sets.alias"].x = 7
""")
    agent = Agent(folder, f"--path={folder}/code")
    try:
        def use():
            import logging
            import signal

            import sets
            logging.info("said")
            return (sys.getrecursionlimit(), signal.getsignal(signal.SIGUSR1), sys.modules["sets.alias"].x,
                    sets.__name__)
        first, second = agent.give(use), agent.give(use)
        assert first[0] == second[0] == "0 keep"
        assert value(first) == value(second) == (4321, 1, 7, "sets")
        assert "said" in first[3]
    finally:
        agent.close()


def test_threads_and_what_is_registered_finish_before_the_answer(agent):
    def work():
        import atexit
        import time
        from concurrent.futures import ThreadPoolExecutor

        def late():
            time.sleep(0.05)
            print("from the pool")
        ThreadPoolExecutor(1).submit(late)
        atexit.register(print, "at exit")
    answer, _, stdout, _ = agent.give(work)
    assert answer == "0 end"
    assert stdout == "from the pool\nat exit\n"


def test_context_variables_are_a_tasks_own(agent):
    def count():
        import contextvars
        variable = sys.__dict__.setdefault("a_variable", contextvars.ContextVar("v", default=0))
        variable.set(variable.get() + 1)
        return variable.get()
    assert value(agent.give(count)) == value(agent.give(count)) == 1


def test_another_environ_object_is_put_back(agent):
    def replace():
        os.environ = dict(os.environ)  # noqa: B003
    assert agent.give(replace)[0] == "0 keep"
    assert value(agent.give(lambda: subprocess.check_output("echo $KARTOGRAPH_TASK", shell=True))) == b"t2\n"


def leave_timer():
    import signal
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_PROF, 0.05)


def test_no_timer_ends_the_next_task(agent):
    def spin():
        import time
        until = time.process_time() + 0.2
        while time.process_time() < until:
            pass
    assert agent.give(leave_timer)[0] == "0 keep"
    assert agent.give(spin)[0] == "0 keep"


def limit_files():
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))


def leave_files():
    sys.__dict__["left"] = [open(os.devnull) for _ in range(40)]  # noqa: SIM115


def leave_raw_thread():
    import _thread
    import time
    _thread.start_new_thread(time.sleep, (3600,))
    time.sleep(0.05)  # it counts once it runs


def leave_signal():
    import signal
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
    signal.raise_signal(signal.SIGALRM)


def test_a_socket_of_the_tasks_own_is_not_answered_on(agent):
    def take():
        os.closerange(3, 100)
        sys.__dict__["own"] = socket.socketpair()
        return 1
    assert agent.give(take)[0] is None
    assert agent.process.wait(60) == 0


def leave_thread():
    import threading
    import time
    threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()


def close_output():
    os.close(1)
    sys.stdout.close()


def renice():
    os.nice(1)


@pytest.mark.parametrize("function", [
    leave_thread, leave_raw_thread, close_output, renice, limit_files, leave_files, leave_signal])
def test_a_process_that_cannot_be_put_back_is_not_used_again(agent, function):
    assert agent.give(function)[0] == "0 end"
    assert agent.process.wait(60) == 0


def test_the_child_of_a_task_does_not_answer_in_its_place(agent):
    def fork():
        child = os.fork()
        if child:
            return os.waitpid(child, 0)[1]
        return None  # and out into the worker's loop

    answer, outcome, _, _ = agent.give(lambda: (fork(), bytes(5000)))
    assert answer == "0 keep"
    assert value(agent.give(int, "7")) == 7
    del outcome  # of whichever of the two wrote last


def test_a_task_that_closes_the_socket_ends_as_a_program_does(agent):
    assert agent.give(os.closerange, 3, 100)[0] is None
    assert agent.process.wait(60) == 0


def test_modules_are_imported_once_and_found_where_the_client_finds_them(folder):
    (folder / "code").mkdir()
    (folder / "code" / "only_there.py").write_text("imported = 0\n")
    agent = Agent(folder, "--session=s", f"--path={folder}/code", "--path=/not/there")
    try:
        def count():
            import only_there
            only_there.imported += 1
            return only_there.imported, "/not/there" in sys.path
        assert value(agent.give(count)) == (1, False)
        assert value(agent.give(count)) == (2, False)
    finally:
        agent.close()


def test_the_session_changes_with_the_code_of_the_program(folder):
    (folder / "mine.py").write_text("x = 1\n")
    program = f"""
import sys, time
sys.path.insert(0, {str(folder)!r})
from kartograph import _session
import mine
first = _session.session()
assert _session.session() == first
open(mine.__file__, "a").write("y = 2\\n")
time.sleep(max(0, _session._version[0] - time.monotonic()) + 0.01)
print(first, _session.session())
"""
    run = subprocess.run([sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": str(HOME)},
                         capture_output=True, text=True, check=True)
    first, second = run.stdout.split()
    assert first != second
    assert pathlib.Path(folder / "mine.py").exists()
