"""Starts real services, talks to them, and leaves nothing behind.

A test waits for conditions (`eventually`), never for time to pass, and ends only processes that
belong to its own state folder.
"""

import http.client
import importlib
import json
import os
import pathlib
import re
import select
import signal
import subprocess
import sys
import tempfile
import time

import grpc

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
KARTOGRAPHD = os.environ.get("KARTOGRAPHD", str(ROOT / "bazel-bin" / "service" / "kartographd"))
KARTOGRAPH = os.environ.get("KARTOGRAPH", str(ROOT / "bazel-bin" / "cli" / "kartograph"))
LOCAL_AGENT = os.environ.get("KARTOGRAPH_LOCAL_AGENT", str(
    ROOT / "bazel-bin" / "executor" / "local" / "kartograph-local-agent"))
SANITIZER = os.environ.get("KARTOGRAPH_SANITIZER")

# How long a condition may take to come true. Long, because a busy machine is slow; a test that
# passes never waits so long.
PATIENCE = 180 if SANITIZER else 60

_stubs = tempfile.TemporaryDirectory(prefix="kartograph-stubs-")


def _generate_stubs():
    subprocess.run(
        ["protoc", f"-I{ROOT / 'api'}", f"--python_out={_stubs.name}", f"--grpc_out={_stubs.name}",
         "--plugin=protoc-gen-grpc=/usr/bin/grpc_python_plugin",
         "kartograph/v1/task_executer.proto"], cwd=ROOT / "api", check=True)
    sys.path.insert(0, _stubs.name)
    return (importlib.import_module("kartograph.v1.task_executer_pb2"),
            importlib.import_module("kartograph.v1.task_executer_pb2_grpc"))


pb, pb_grpc = _generate_stubs()

FINAL_TASK = {pb.TASK_STATE_SUCCEEDED, pb.TASK_STATE_FAILED, pb.TASK_STATE_CANCELLED,
              pb.TASK_STATE_SKIPPED}


def eventually(condition, what, timeout=PATIENCE):
    """Waits until `condition()` is true and returns what it gave."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout} s: {what() if callable(what) else what}")
        time.sleep(0.02)


# --- Processes -----------------------------------------------------------------------------------


def _processes():
    for name in os.listdir("/proc"):
        if name.isdigit():
            yield int(name)


def _read_proc(pid, what):
    try:
        return pathlib.Path(f"/proc/{pid}/{what}").read_bytes()
    except OSError:
        return b""


def is_alive(pid):
    """Whether a process runs; a zombie does not."""
    fields = _read_proc(pid, "stat").rpartition(b")")[2].split()
    return bool(fields) and fields[0] not in (b"Z", b"X")


def processes_with(marker):
    """Pids of the processes that have `marker` in their command line, without this one."""
    marker = marker.encode()
    return [pid for pid in _processes()
            if pid != os.getpid() and marker in _read_proc(pid, "cmdline") and is_alive(pid)]


def processes_of_state(state):
    """Pids of every process that belongs to a state folder: by command line, environment or folder."""
    marker = os.fsencode(str(state))
    found = []
    for pid in _processes():
        if pid == os.getpid() or not is_alive(pid):
            continue
        if marker in _read_proc(pid, "cmdline") or marker in _read_proc(pid, "environ"):
            found.append(pid)
            continue
        try:
            if os.fsencode(os.readlink(f"/proc/{pid}/cwd")).startswith(marker):
                found.append(pid)
        except OSError:
            pass
    return found


def signal_quietly(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


# --- The service ---------------------------------------------------------------------------------


class StartFailed(Exception):
    """kartographd ended before it was ready."""

    def __init__(self, code, stdout, stderr):
        super().__init__(f"exit code {code}\nstdout: {stdout}\nstderr: {stderr}")
        self.code, self.stdout, self.stderr = code, stdout, stderr


class Service:
    """A kartographd on a state folder of its own. Can be killed and started again.

    `folder` is the test's; the state is in it. Flags given here hold for every start.
    """

    def __init__(self, folder, *flags, state=None, limits=None, listen="127.0.0.1:0",
                 listen_grpc="127.0.0.1:0", environment=None):
        self.folder = pathlib.Path(folder)
        self.flags = [str(flag) for flag in flags]
        self.limits = limits  # called in the child before the program starts
        self.listen = listen  # for HTTP
        self.listen_grpc = listen_grpc
        self.environment = environment  # changes of ours; values may be bytes
        self.process = self.channel = self.stub = None
        self.grpc = self.http = None
        self.use_state(state or self.folder / "state")
        self.starts = 0

    def use_state(self, state):
        self.state = pathlib.Path(state)
        # Where its user needs no token, and the file with the token for `grpc` and `http`.
        self.server = f"unix:{self.state}/run/grpc.sock"
        self.token_file = self.state / "token"

    def start(self, *more):
        """Starts the daemon and waits until it serves; StartFailed where it ends instead."""
        self.starts += 1
        self.log = self.folder / f"kartographd.{self.starts}.log"
        words = [KARTOGRAPHD, "--state", self.state, "--grpc", self.listen_grpc, "--http",
                 self.listen, *self.flags, *more]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                list(map(str, words)), cwd=self.folder, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=log, start_new_session=True, preexec_fn=self.limits,
                env={**os.environ, **(self.environment or {})})
        self.grpc, self.http = self._ready()
        self.channel = grpc.insecure_channel(
            self.server, options=[("grpc.use_local_subchannel_pool", 1)])
        self.stub = pb_grpc.TaskExecuterStub(self.channel)
        return self

    def _ready(self):
        deadline, said = time.monotonic() + PATIENCE, b""
        output = self.process.stdout
        while time.monotonic() < deadline:
            if not select.select([output], [], [], 1)[0]:
                continue
            chunk = os.read(output.fileno(), 4096)
            said += chunk
            ready = re.search(rb"^ready grpc=(\S+) http=(\S+)$", said, re.MULTILINE)
            if ready:
                return ready[1].decode(), ready[2].decode()
            if not chunk:
                break
        else:
            self.process.kill()
        code = self.process.wait()
        output.close()
        raise StartFailed(code, said.decode(errors="replace"), self.stderr())

    def stderr(self):
        return self.log.read_text(errors="replace")

    def _hang_up(self):
        # The daemon waits a moment for connected clients to go; Python's do so only when closed.
        if self.channel:
            self.channel.close()
            self.channel = self.stub = None

    def _ended(self):
        self._hang_up()
        self.process.stdout.close()

    def kill(self):
        """kill -9 of the daemon alone."""
        self.process.kill()
        self.process.wait()
        self._ended()

    def terminate(self, timeout=PATIENCE):
        """SIGTERM; returns the exit code."""
        self._hang_up()
        self.process.terminate()
        code = self.process.wait(timeout)
        self._ended()
        return code

    def running(self):
        return self.process is not None and self.process.poll() is None

    def agent_pid(self):
        """The local agent's process, which outlives the daemon; None where there is none."""
        try:
            pid = int((self.state / "agent.pid").read_text().split()[0])
        except (OSError, ValueError, IndexError):
            return None
        # The file outlives the agent, and pids come again.
        ours = os.fsencode(str(self.state)) in _read_proc(pid, "cmdline")
        return pid if ours and is_alive(pid) else None

    def close(self):
        """Ends the daemon, the agent and every task, and checks what the sanitizers said."""
        if self.running():
            self._hang_up()
            self.process.terminate()
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self._ended()
        agent = self.agent_pid()
        if agent:
            signal_quietly(agent, signal.SIGTERM)
        deadline = time.monotonic() + 10
        while (left := processes_of_state(self.state)) and time.monotonic() < deadline:
            time.sleep(0.02)
        for pid in left:
            signal_quietly(pid, signal.SIGKILL)
        self._check_sanitizers()

    def _check_sanitizers(self):
        logs = list(self.folder.glob("kartographd.*.log"))
        logs += [path for path in self.state.glob("*.log") if path.is_file()]
        for log in logs:
            text = log.read_text(errors="replace")
            found = re.search(r"(ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:).*", text)
            assert not found, f"{log}:\n{text[found.start():found.start() + 6000]}"

    # Calls, with a deadline so that nothing waits forever.

    def call(self, method, request, timeout=PATIENCE):
        return getattr(self.stub, method)(request, timeout=timeout)

    def submit(self, tasks, name="graph", request_id="", batch=1000, **spec):
        """Submits a graph and returns its id."""
        def messages():
            start = pb.SubmitGraphRequest.Start(request_id=request_id,
                                                graph=pb.GraphSpec(name=name, **spec))
            yield pb.SubmitGraphRequest(graph=start)
            for begin in range(0, len(tasks), batch):
                yield pb.SubmitGraphRequest(
                    tasks=pb.SubmitGraphRequest.TaskBatch(tasks=tasks[begin:begin + batch]))
        return self.stub.SubmitGraph(messages(), timeout=PATIENCE).graph_id

    def wait_for_agent(self):
        """Waits until the local agent has offered what it has; returns it."""
        return eventually(lambda: self.call("GetCluster", pb.GetClusterRequest()).agents,
                          "the agent is there")[0]

    def graph(self, graph_id):
        return self.call("GetGraph", pb.GetGraphRequest(graph_id=graph_id))

    def task(self, graph_id, name):
        return self.call("GetTask", pb.GetTaskRequest(graph_id=graph_id, task_name=name))

    def tasks(self, graph_id, full=True, states=()):
        """All tasks of a graph, over all pages, by name."""
        tasks, token = {}, ""
        while True:
            page = self.call("ListTasks", pb.ListTasksRequest(
                graph_id=graph_id, page_size=1000, page_token=token, full=full, states=states))
            tasks.update((task.name, task) for task in page.tasks)
            token = page.next_page_token
            if not token:
                return tasks

    def states(self, graph_id):
        """Task name to the state's word: {"a": "SUCCEEDED"}."""
        return {name: state_name(task.state) for name, task in self.tasks(graph_id, False).items()}

    def wait_for_graph(self, graph_id, timeout=PATIENCE):
        """Waits until a graph is final and returns it."""
        last = []

        def final():
            last[:] = [self.graph(graph_id)]
            return last[0].state != pb.GRAPH_STATE_RUNNING
        eventually(final, lambda: f"the graph ends; it is {last}", timeout)
        return last[0]

    def wait_for_task(self, graph_id, name, *states):
        """Waits until a task is in one of the states and returns it."""
        last = []

        def there():
            last[:] = [self.task(graph_id, name)]
            return last[0].state in states
        eventually(there, lambda: f"{name} is in {[state_name(s) for s in states]}; it is {last}")
        return last[0]

    def log_of(self, graph_id, name, stream=pb.LOG_STREAM_STDOUT, follow=False, offset=0, attempt=0):
        request = pb.ReadLogRequest(graph_id=graph_id, task_name=name, stream=stream, follow=follow,
                                    offset=offset, attempt=attempt)
        return b"".join(part.data for part in self.stub.ReadLog(request, timeout=PATIENCE))

    def pop(self, queue, acknowledge=(), wait=0, max_tasks=0, lease=None, **more):
        """What has finished; `lease` in seconds, 0: it goes on being offered to everybody."""
        request = pb.PopFinishedRequest(client_queue=queue, acknowledge=acknowledge,
                                        max_tasks=max_tasks, **more)
        request.wait.FromMilliseconds(int(wait * 1000))
        if lease is not None:
            request.lease.FromMilliseconds(int(lease * 1000))
        return list(self.call("PopFinished", request, timeout=PATIENCE + wait).tasks)

    def cancel(self, graph_id, task_name=""):
        return self.call("Cancel", pb.CancelRequest(graph_id=graph_id, task_name=task_name)).tasks

    def token(self):
        return self.token_file.read_text().strip()

    def authorization(self):
        """Headers with which HTTP requests are answered."""
        return {"Authorization": f"Bearer {self.token()}"}

    def get(self, path, headers=None):
        """Status, headers and body of an HTTP answer; with the token unless headers are given."""
        connection = http.client.HTTPConnection(self.http, timeout=PATIENCE)
        try:
            connection.request("GET", path, headers=self.authorization() if headers is None else headers)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def cli(self, *words, **options):
        """Runs the command line against this service."""
        return cli(*words, server=self.server, **options)


def state_name(state):
    return pb.TaskState.Name(state).removeprefix("TASK_STATE_")


def outcome_name(outcome):
    return pb.Outcome.Name(outcome).removeprefix("OUTCOME_")


def cli(*words, server=None, timeout=PATIENCE, env=None, text=True, **options):
    """Runs the command line; returns what subprocess.run returns."""
    environment = {key: value for key, value in os.environ.items()
                   if key not in ("KARTOGRAPH_SERVER", "KARTOGRAPH_STATE_FOLDER")}
    if server:
        environment["KARTOGRAPH_SERVER"] = server
    options.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.run([KARTOGRAPH, *map(str, words)], env={**environment, **(env or {})},
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=text,
                          timeout=timeout, check=False, **options)


def one_document(text):
    """Parses text that must be exactly one JSON document."""
    document, end = json.JSONDecoder().raw_decode(text.lstrip())
    assert not text.lstrip()[end:].strip(), f"more than one document: {text}"
    return document


# --- Graphs --------------------------------------------------------------------------------------


def task(name, *arguments, shell=None, after=(), timeout=None, retry_delay=None, grace=None,
         environment=None, directory="", consumption=None, **fields):
    """A TaskSpec; `arguments` or `shell` is what it runs (default: `true`)."""
    if not arguments and shell is None:
        arguments = ("true",)
    spec = pb.TaskSpec(name=name, after=after, consumption=consumption or {}, **fields)
    spec.command.arguments.extend(map(str, arguments))
    if shell is not None:
        spec.command.shell = shell
    spec.command.environment.update(environment or {})
    spec.command.directory = str(directory)
    for field, value in (("timeout", timeout), ("retry_delay", retry_delay), ("cancel_grace", grace)):
        if value is not None:
            getattr(spec, field).FromMicroseconds(int(value * 1e6))
    return spec


def problems_of(error):
    """The contract's Problems that a failed call carries; empty where it carries none."""
    for key, value in error.trailing_metadata() or ():
        if key == "kartograph-problems-bin":
            return list(pb.Problems.FromString(value).problems)
    return []


def instant(timestamp):
    return timestamp.seconds + timestamp.nanos / 1e9


def greatest_overlap(attempts, weight=lambda attempt: 1):
    """The greatest sum of weights of attempts that ran at one time, from their start to their end.
    Those that never started, such as refused ones, did not run."""
    edges = []
    for attempt in attempts:
        if not attempt.HasField("start_time"):
            continue
        edges.append((instant(attempt.start_time), 1, weight(attempt)))
        edges.append((instant(attempt.end_time), 0, -weight(attempt)))
    most = now = 0
    for _, _, change in sorted(edges):
        now += change
        most = max(most, now)
    return most


def random_graph(rng, trace, size=60):
    """Tasks with random order, length and licences; each writes its name to `trace` once."""
    tasks = []
    for i in range(size):
        after = rng.sample([t.name for t in tasks], min(len(tasks), rng.randint(0, 3)))
        delay = rng.choice([0, 0, 0.02, 0.1, 0.3])
        # One write of one line: what a task does, it does once.
        tasks.append(task(f"t{i}", shell=f"sleep {delay}; echo t{i} >> {trace}; "
                                         f"printf value{i} > $KARTOGRAPH_RESULT",
                          after=after, consumption={"cpu": 0.5, "licences": rng.choice([0, 1])}))
    return tasks
