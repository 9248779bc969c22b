"""A small service in this process that keeps the contract's promises as clients see them, and runs tasks for real.

It stores, leases, delivers, repeats and refuses as `kartographd` does, with one agent and no limits of memory. What is
stored survives `kill` and `start`; leases and calls under way do not.
"""

import contextlib
import hashlib
import itertools
import os
import pathlib
import re
import signal
import subprocess
import threading
import time
from concurrent import futures

# As the package does: else children of this process abort now and then.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

import grpc

from kartograph import _worker
from kartograph.v1 import page_pb2, page_pb2_grpc, task_executer_pb2_grpc
from kartograph.v1 import task_executer_pb2 as pb

NAME = re.compile(r"[A-Za-z0-9_./:+@=,\[\]][A-Za-z0-9_.\-/:+@=,\[\]]{0,255}")
FINAL = {pb.TASK_STATE_SUCCEEDED, pb.TASK_STATE_FAILED, pb.TASK_STATE_CANCELLED, pb.TASK_STATE_SKIPPED}
BAD = {pb.TASK_STATE_FAILED, pb.TASK_STATE_CANCELLED, pb.TASK_STATE_SKIPPED}
MAX_INLINE = 3 << 20
MAX_RESULT = 64 << 20
WORDS = {pb.TASK_STATE_WAITING: "waiting", pb.TASK_STATE_READY: "ready", pb.TASK_STATE_LAUNCHING: "launching",
         pb.TASK_STATE_RUNNING: "running", pb.TASK_STATE_SUCCEEDED: "succeeded", pb.TASK_STATE_FAILED: "failed",
         pb.TASK_STATE_CANCELLED: "cancelled", pb.TASK_STATE_SKIPPED: "skipped"}


class Refused(Exception):
    def __init__(self, code, message, problems=()):
        super().__init__(message)
        self.code, self.message, self.problems = code, message, problems


def invalid(*problems):
    text = "; ".join(f"{field} = {value}: {message}" for field, value, message in problems)
    return Refused(grpc.StatusCode.INVALID_ARGUMENT, text,
                   [pb.Problem(field=field, value=value, message=message) for field, value, message in problems])


class FakeTask:
    def __init__(self, graph, spec):
        self.graph, self.spec = graph, spec
        self.state, self.reason = pb.TASK_STATE_WAITING, ""
        self.attempts = []
        self.value = None
        self.log = {}
        self.process = None
        self.cancelled = threading.Event()
        self.retry_at = 0.0


class FakeGraph:
    def __init__(self, graph_id, spec):
        self.id, self.spec = graph_id, spec
        self.tasks = {}
        self.open = spec.open
        self.state = pb.GRAPH_STATE_RUNNING
        self.changed = 0  # grows with each change of a task
        self.log = []  # (number of the change, name) in order
        self.idle_since = time.monotonic()

    def message(self):
        counts = {}
        for task in self.tasks.values():
            counts[WORDS[task.state]] = counts.get(WORDS[task.state], 0) + 1
        return pb.Graph(graph_id=self.id, spec=self.spec, state=self.state,
                        counts=pb.TaskCounts(total=len(self.tasks), **counts))


class FakeService(task_executer_pb2_grpc.TaskExecuterServicer, page_pb2_grpc.StatusPageServicer):
    def __init__(self, folder, cpu=4.0, pools=None):
        self.folder = pathlib.Path(folder)
        (self.folder / "run").mkdir(parents=True)
        (self.folder / "blobs").mkdir()
        self.capacity = {"cpu": cpu, "ram": float(8 << 30), **(pools or {})}
        self.free = dict(self.capacity)
        self.changed = threading.Condition(threading.RLock())
        self.graphs, self.queues, self.answers = {}, {}, {}
        self.leases = {}  # delivery id: (end of the lease, consumer)
        self.numbers = itertools.count(1)
        self.deliveries = itertools.count(1)
        self.calls = []  # names of the calls that came, for tests
        self.server = None
        self.alive = 0  # grows with each start
        self.closing = False
        self.gives_inputs = True  # whether tasks find the values of those before them in files
        self.start()

    # --- Life ---------------------------------------------------------------------------------------------------

    @property
    def address(self):
        return f"unix:{self.folder}/run/grpc.sock"

    @property
    def page(self):
        return "http://127.0.0.1:1/"

    def start(self):
        # Each waiting call takes a thread.
        self.server = grpc.server(futures.ThreadPoolExecutor(64),
                                  options=[("grpc.max_receive_message_length", 64 << 20)])
        task_executer_pb2_grpc.add_TaskExecuterServicer_to_server(self, self.server)
        page_pb2_grpc.add_StatusPageServicer_to_server(self, self.server)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.address[len("unix:"):])
        self.server.add_insecure_port(self.address)
        self.alive += 1
        self.server.start()

    def kill(self):
        """As `kill -9` of the service: tasks run on."""
        with self.changed:
            self.alive += 1
            self.leases.clear()
            self.changed.notify_all()
        self.server.stop(0).wait()

    def close(self):
        self.closing = True
        self.kill()
        with self.changed:
            for graph in self.graphs.values():
                for task in graph.tasks.values():
                    task.cancelled.set()
                    if task.process is not None:
                        self._signal(task, signal.SIGKILL)

    # --- Calls ----------------------------------------------------------------------------------------------------

    def _answer(self, context, request, kind, act, request_id=None):
        """One call: errors as status, repetitions by their request id."""
        self.calls.append(kind)
        request_id = getattr(request, "request_id", "") if request_id is None else request_id
        try:
            with self.changed:
                if request_id:
                    content = (kind, request if isinstance(request, bytes) else request.SerializeToString(True))
                    known = self.answers.get(request_id)
                    if known is not None:
                        if known[0] != content:
                            raise invalid(("request_id", request_id, "was used for another request"))
                        return known[1]
                answer = act()
                if request_id:
                    self.answers[request_id] = (content, answer)
                return answer
        except Refused as refused:
            if refused.problems:
                problems = pb.Problems(problems=refused.problems, total=len(refused.problems))
                context.set_trailing_metadata([("kartograph-problems-bin", problems.SerializeToString())])
            context.abort(refused.code, refused.message)

    def SubmitGraph(self, request_iterator, context):
        messages = list(request_iterator)
        start = messages[0].graph
        tasks = [task for message in messages[1:] for task in message.tasks.tasks]

        def act():
            graph = FakeGraph(f"g{next(self.numbers)}", start.graph)
            self._check(graph, tasks)
            self.graphs[graph.id] = graph
            self._add(graph, tasks)
            return pb.SubmitGraphResponse(graph_id=graph.id, tasks=len(tasks))
        content = b"".join(message.SerializeToString(True) for message in messages)
        return self._answer(context, content, "SubmitGraph", act, start.request_id)

    def AddTasks(self, request, context):
        def act():
            graph = self._graph(request.graph_id)
            if not graph.open:
                raise Refused(grpc.StatusCode.FAILED_PRECONDITION, f"graph {graph.id} is closed")
            tasks = [pb.TaskSpec.FromString(task.SerializeToString()) for task in request.tasks]
            for task in tasks:
                task.name = task.name or f"task-{len(graph.tasks) + 1}"
            self._check(graph, tasks)
            self._add(graph, tasks)
            return pb.AddTasksResponse(task_names=[task.name for task in tasks])
        return self._answer(context, request, "AddTasks", act)

    def Execute(self, request, context):
        def act():
            if request.graph_id:
                graph = self._graph(request.graph_id)
            else:
                spec = pb.GraphSpec(name=request.task.name, client_queue=request.client_queue)
                graph = FakeGraph(f"g{next(self.numbers)}", spec)
            self._check(graph, [request.task])
            self.graphs[graph.id] = graph
            self._add(graph, [request.task])
            return pb.ExecuteResponse(graph_id=graph.id, task_name=request.task.name)
        return self._answer(context, request, "Execute", act)

    def _check(self, graph, tasks):
        problems, names = [], {task.name for task in tasks}
        for task in tasks:
            field = f'tasks["{task.name}"]'
            if task.name in graph.tasks:
                raise Refused(grpc.StatusCode.ALREADY_EXISTS, f"graph {graph.id} has a task {task.name!r}")
            if not NAME.fullmatch(task.name):
                problems.append((f"{field}.name", task.name, "contains an invalid character"))
            problems += [(f"{field}.after", name, "there is no such task") for name in task.after
                         if name not in names and name not in graph.tasks]
            problems += [(f"{field}.consumption[\"{name}\"]", str(quantity), "there is no such resource or pool")
                         for name, quantity in task.consumption.items() if name not in self.capacity]
            problems += [(f"{field}.blobs", blob, "is not kept: put it") for blob in
                         [*task.blobs, *filter(None, [task.input_blob])] if not (self.folder / "blobs" / blob).exists()]
            if len(task.input) > 1 << 20:
                problems.append((f"{field}.input", "", "is larger than 1 MiB: use input_blob"))
            if len(task.client_data) > 4096:
                problems.append((f"{field}.client_data", "", "is larger than 4 KiB"))
        if len(names) < len(tasks):
            problems.append(("tasks", "", "two have the same name"))
        if problems:
            raise invalid(*problems)

    def _add(self, graph, tasks):
        for spec in tasks:
            graph.tasks[spec.name] = FakeTask(graph, spec)
        self._schedule()

    def _graph(self, graph_id):
        if graph_id not in self.graphs:
            raise Refused(grpc.StatusCode.NOT_FOUND, f"there is no graph {graph_id!r}")
        return self.graphs[graph_id]

    def _task(self, graph_id, name):
        graph = self._graph(graph_id)
        if name not in graph.tasks:
            raise Refused(grpc.StatusCode.NOT_FOUND, f"graph {graph_id} has no task {name!r}")
        return graph.tasks[name]

    def FindMissingBlobs(self, request, context):
        return self._answer(context, request, "FindMissingBlobs", lambda: pb.FindMissingBlobsResponse(
            blob_ids=[blob for blob in request.blob_ids if not (self.folder / "blobs" / blob).exists()]))

    def PutBlob(self, request_iterator, context):
        start, data = None, b""
        for message in request_iterator:
            if message.WhichOneof("message") == "blob":
                start = message.blob
            else:
                data += message.data

        def act():
            if hashlib.sha256(data).hexdigest() != start.blob_id or len(data) != start.size:
                raise invalid(("blob_id", start.blob_id, "is not that of the content"))
            (self.folder / "blobs" / start.blob_id).write_bytes(data)
            return pb.PutBlobResponse()
        return self._answer(context, b"", "PutBlob", act, "")

    def CloseGraph(self, request, context):
        def act():
            graph = self._graph(request.graph_id)
            graph.open = False
            self._schedule()
            return pb.CloseGraphResponse()
        return self._answer(context, request, "CloseGraph", act)

    def Cancel(self, request, context):
        def act():
            graph = self._graph(request.graph_id)
            names = [*request.task_names, *filter(None, [request.task_name])] or list(graph.tasks)
            tasks = [task for task in (self._task(graph.id, name) for name in names) if task.state not in FINAL]
            for task in tasks:
                task.cancelled.set()
                if task.process is None:
                    self._end(task, pb.TASK_STATE_CANCELLED, "cancelled on request")
                else:
                    self._signal(task, signal.SIGTERM)
            if not request.task_name and not request.task_names:
                graph.open = False
            self._schedule()
            return pb.CancelResponse(tasks=len(tasks))
        return self._answer(context, request, "Cancel", act)

    def GetGraph(self, request, context):
        return self._answer(context, request, "GetGraph", lambda: self._graph(request.graph_id).message())

    def GetTask(self, request, context):
        def act():
            task = self._task(request.graph_id, request.task_name)
            message = self._message(task)
            message.spec.CopyFrom(task.spec)
            message.attempts.extend(task.attempts)
            if task.value is not None:
                message.has_return_value, message.return_value_bytes = True, len(task.value)
                if len(task.value) <= MAX_INLINE:
                    message.return_value = task.value
                else:
                    message.omitted.append("return_value")
            return message
        return self._answer(context, request, "GetTask", act)

    def ExplainTask(self, request, context):
        def act():
            task = self._task(request.graph_id, request.task_name)
            return pb.ExplainTaskResponse(graph_id=request.graph_id, task_name=request.task_name, state=task.state,
                                          summary=[task.reason or "has nothing to say"])
        return self._answer(context, request, "ExplainTask", act)

    def _message(self, task):
        return pb.Task(graph_id=task.graph.id, name=task.spec.name, state=task.state, reason=task.reason)

    def ListTasks(self, request, context):
        return self._answer(context, request, "ListTasks", lambda: pb.ListTasksResponse(
            tasks=[self._message(task) for task in self._graph(request.graph_id).tasks.values()
                   if not request.states or task.state in request.states][:100]))

    def GetCluster(self, request, context):
        return self._answer(context, request, "GetCluster", lambda: pb.Cluster(connected=True, agents=[
            pb.Agent(agent_id="a1", name="here", connected=True, capacity=self.capacity)]))

    def GetPageLink(self, request, context):
        return page_pb2.GetPageLinkResponse(url=self.page + "login?x")

    def ReadResult(self, request, context):
        self.calls.append("ReadResult")
        value = self._task(request.graph_id, request.task_name).value or b""
        for offset in range(request.offset, max(len(value), request.offset + 1), 1 << 20):
            yield pb.ReadResultResponse(size=len(value), data=value[offset:offset + (1 << 20)])

    def ReadLog(self, request, context):
        data = self._task(request.graph_id, request.task_name).log.get(request.stream or pb.LOG_STREAM_STDOUT)
        data = data.read_bytes() if data is not None else b""
        offset = max(len(data) + request.offset, 0) if request.offset < 0 else request.offset
        yield pb.ReadLogResponse(offset=offset, data=data[offset:][:64 << 10])

    def WatchGraph(self, request, context):
        alive, seen = self.alive, None
        while context.is_active():
            with self.changed:
                if request.graph_id not in self.graphs:
                    context.abort(grpc.StatusCode.NOT_FOUND, "there is no such graph")
                graph = self.graphs[request.graph_id]
                if seen is not None and seen == graph.changed:
                    self.changed.wait(0.5)
                if self.alive != alive:
                    context.abort(grpc.StatusCode.UNAVAILABLE, "the service is stopping")
                if seen == graph.changed:
                    continue
                names = {name for number, name in graph.log if seen is not None and number > seen}
                changes = [pb.WatchGraphResponse.Change(task_name=name, state=graph.tasks[name].state,
                                                        reason=graph.tasks[name].reason) for name in names]
                seen, answer = graph.changed, pb.WatchGraphResponse(graph=graph.message(), changes=changes)
            yield answer
            if answer.graph.state != pb.GRAPH_STATE_RUNNING:
                return

    def PopFinished(self, request, context):
        alive, deadline = self.alive, time.monotonic() + request.wait.ToNanoseconds() / 1e9
        self.calls.append("PopFinished")
        with self.changed:
            queue = self.queues.setdefault(request.client_queue, {})
            for key in request.acknowledge:
                queue.pop(key, None)
                self.leases.pop(key, None)
            for key in request.release:
                self.leases.pop(key, None)
            if request.resume:
                for key in [key for key, (_, who) in self.leases.items() if who == request.consumer]:
                    del self.leases[key]
            for key in request.renew:
                if key in self.leases:
                    self.leases[key] = (time.monotonic() + self._lease(request), request.consumer)
            self.changed.notify_all()
            if request.max_tasks < 0:
                return pb.PopFinishedResponse()
            while True:
                now = time.monotonic()
                if self.alive != alive or not context.is_active():
                    context.abort(grpc.StatusCode.UNAVAILABLE, "the service is stopping, or nobody waits any more")
                answer, size = pb.PopFinishedResponse(), 0
                for key, task in list(queue.items()):
                    if self.leases.get(key, (0, ""))[0] > now:
                        continue
                    size += task.ByteSize()
                    if len(answer.tasks) >= (request.max_tasks or 100) or (size > 4 << 20 and answer.tasks):
                        break
                    if self._lease(request):
                        self.leases[key] = (now + self._lease(request), request.consumer)
                    answer.tasks.append(task)
                if answer.tasks or now >= deadline:
                    return answer
                self.changed.wait(min(deadline - now, 0.2))

    @staticmethod
    def _lease(request):
        return request.lease.ToNanoseconds() / 1e9 if request.HasField("lease") else 30.0

    def ListQueues(self, request, context):
        return pb.ListQueuesResponse(queues=[pb.ClientQueue(name=name, size=len(queue))
                                             for name, queue in sorted(self.queues.items()) if queue])

    def DeleteQueue(self, request, context):
        return self._answer(context, request, "DeleteQueue", lambda: pb.DeleteQueueResponse(
            tasks=len(self.queues.pop(request.client_queue, {}))))

    # --- Scheduling -------------------------------------------------------------------------------------------------

    def _set(self, task, state, reason=""):
        task.state, task.reason = state, reason
        graph = task.graph
        graph.changed += 1
        graph.log.append((graph.changed, task.spec.name))
        self.changed.notify_all()

    def _schedule(self):
        for graph in self.graphs.values():
            if graph.state != pb.GRAPH_STATE_RUNNING:
                continue
            progress = True
            while progress:
                progress = False
                for task in graph.tasks.values():
                    if task.state != pb.TASK_STATE_WAITING:
                        continue
                    before = [graph.tasks[name] for name in task.spec.after]
                    bad = [one for one in before if one.state in BAD]
                    if bad:
                        self._end(task, pb.TASK_STATE_SKIPPED, f'"{bad[0].spec.name}" {WORDS[bad[0].state]}')
                        progress = True
                    elif all(one.state == pb.TASK_STATE_SUCCEEDED for one in before):
                        self._set(task, pb.TASK_STATE_READY, "waits for resources")
                        progress = True
                    else:
                        task.reason = "waits for " + ", ".join(f'"{one.spec.name}"' for one in before
                                                               if one.state not in FINAL)
            for task in list(graph.tasks.values()):
                if task.state == pb.TASK_STATE_READY and time.monotonic() >= task.retry_at:
                    self._launch(task)
            if not graph.open and all(task.state in FINAL for task in graph.tasks.values()):
                states = {task.state for task in graph.tasks.values()}
                graph.state = (pb.GRAPH_STATE_FAILED if pb.TASK_STATE_FAILED in states else
                               pb.GRAPH_STATE_CANCELLED if pb.TASK_STATE_CANCELLED in states else
                               pb.GRAPH_STATE_SUCCEEDED)
                graph.changed += 1
        self.changed.notify_all()

    def _launch(self, task):
        needs = {"cpu": 1.0, **task.spec.consumption}
        if self.closing or any(self.free[name] < quantity for name, quantity in needs.items()):
            return
        for name, quantity in needs.items():
            self.free[name] -= quantity
        number = len(task.attempts) + 1
        task.attempts.append(pb.Attempt(attempt_id=f"{task.graph.id}-{task.spec.name}-{number}", number=number,
                                        agent="here", state=pb.TASK_STATE_RUNNING))
        self._set(task, pb.TASK_STATE_RUNNING)
        task.process = self._spawn(task, number)
        threading.Thread(target=self._attend, args=(task, needs), daemon=True).start()

    def _spawn(self, task, number):
        spec = task.spec
        sandbox = self.folder / "sandboxes" / task.graph.id / f"{spec.name.replace('/', '%2F')}.{number}"
        for name in ("work", "blobs", "inputs"):
            (sandbox / name).mkdir(parents=True)
        if spec.input_blob:
            (sandbox / "input").symlink_to(self.folder / "blobs" / spec.input_blob)
        else:
            (sandbox / "input").write_bytes(spec.input)
        for blob in spec.blobs:
            (sandbox / "blobs" / blob).symlink_to(self.folder / "blobs" / blob)
        for name in spec.after:
            if task.graph.tasks[name].value is not None:
                (sandbox / "inputs" / _worker.file_of_value(name)).write_bytes(task.graph.tasks[name].value)
        environment = {**os.environ, **spec.command.environment, "KARTOGRAPH_GRAPH": task.graph.id,
                       "KARTOGRAPH_TASK": spec.name, "KARTOGRAPH_ATTEMPT": task.attempts[-1].attempt_id,
                       "KARTOGRAPH_INPUT": str(sandbox / "input"), "KARTOGRAPH_RESULT": str(sandbox / "result"),
                       "KARTOGRAPH_BLOBS": str(sandbox / "blobs"), "KARTOGRAPH_INPUTS": str(sandbox / "inputs")}
        if not self.gives_inputs:
            del environment["KARTOGRAPH_INPUTS"]
        words = list(spec.command.arguments) or ["/bin/sh", "-c", spec.command.shell]
        task.result = sandbox / "result"
        task.log = {pb.LOG_STREAM_STDOUT: sandbox / "stdout", pb.LOG_STREAM_STDERR: sandbox / "stderr"}
        try:
            with open(sandbox / "stdout", "wb") as out, open(sandbox / "stderr", "wb") as err:
                return subprocess.Popen(words, cwd=spec.command.directory or sandbox / "work", env=environment,
                                        stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True)
        except OSError as error:
            return error

    @staticmethod
    def _signal(task, number):
        with contextlib.suppress(OSError, AttributeError):
            os.killpg(task.process.pid, number)

    def _attend(self, task, needs):
        process, spec, attempt = task.process, task.spec, task.attempts[-1]
        timed_out = False
        if not isinstance(process, OSError):
            timeout = spec.timeout.ToNanoseconds() / 1e9 if spec.HasField("timeout") else None
            grace = spec.cancel_grace.ToNanoseconds() / 1e9 if spec.HasField("cancel_grace") else 10.0
            deadline = time.monotonic() + timeout if timeout else float("inf")
            stopping = float("inf")
            while process.poll() is None:
                if not timed_out and time.monotonic() > deadline:
                    timed_out = True
                    self._signal(task, signal.SIGTERM)
                if (timed_out or task.cancelled.is_set()) and stopping == float("inf"):
                    stopping = time.monotonic() + grace
                if time.monotonic() > stopping:
                    self._signal(task, signal.SIGKILL)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(0.02)
            self._signal(task, signal.SIGKILL)
        with self.changed:
            for name, quantity in needs.items():
                self.free[name] += quantity
            task.process = None
            self._finish(task, attempt, process, timed_out)
            self._schedule()

    def _finish(self, task, attempt, process, timed_out):
        task.value = None if isinstance(process, OSError) or not task.result.exists() else task.result.read_bytes()
        code = None if isinstance(process, OSError) else process.returncode
        if isinstance(process, OSError):
            attempt.outcome, attempt.message = pb.OUTCOME_NOT_STARTED, f"cannot start: {process}"
        elif timed_out:
            attempt.outcome, attempt.message = pb.OUTCOME_TIMED_OUT, "over its timeout"
        elif task.cancelled.is_set():
            attempt.outcome, attempt.message = pb.OUTCOME_CANCELLED, "cancelled on request"
        elif task.value is not None and len(task.value) > MAX_RESULT:
            attempt.outcome, attempt.message, task.value = pb.OUTCOME_RESULT_TOO_LARGE, "result too large", None
        elif code < 0:
            attempt.outcome, attempt.signal = pb.OUTCOME_SIGNALLED, -code
            attempt.message = f"ended by {signal.Signals(-code).name}"
        else:
            attempt.outcome = pb.OUTCOME_EXITED if code else pb.OUTCOME_SUCCEEDED
            attempt.exit_status, attempt.message = code, f"exited with status {code}"
        if attempt.outcome == pb.OUTCOME_SUCCEEDED:
            return self._end(task, pb.TASK_STATE_SUCCEEDED, "")
        if attempt.outcome == pb.OUTCOME_CANCELLED:
            return self._end(task, pb.TASK_STATE_CANCELLED, attempt.message)
        if len(task.attempts) < max(task.spec.max_attempts, 1):
            delay = task.spec.retry_delay.ToNanoseconds() / 1e9 if task.spec.HasField("retry_delay") else 0.05
            task.retry_at = time.monotonic() + delay
            self._set(task, pb.TASK_STATE_READY, "waits for its next attempt")
            timer = threading.Timer(delay + 0.01, self._again)
            timer.daemon = True
            timer.start()
            return None
        return self._end(task, pb.TASK_STATE_FAILED, f"{attempt.message} (attempt {len(task.attempts)})")

    def _again(self):
        with self.changed:
            self._schedule()

    def _end(self, task, state, reason):
        self._set(task, state, reason)
        if task.graph.spec.fail_fast and state == pb.TASK_STATE_FAILED:
            task.graph.open = False
            for other in task.graph.tasks.values():
                if other.state not in FINAL:
                    other.cancelled.set()
                    if other.process is not None:
                        self._signal(other, signal.SIGTERM)
                    else:
                        self._set(other, pb.TASK_STATE_CANCELLED, "another task failed")
        if not task.graph.spec.client_queue:
            return
        last = task.attempts[-1] if task.attempts else pb.Attempt()
        finished = pb.FinishedTask(
            delivery_id=next(self.deliveries), graph_id=task.graph.id, task_name=task.spec.name,
            attempts=len(task.attempts), attempt=last.number, attempt_id=last.attempt_id, agent=last.agent,
            client_data=task.spec.client_data, has_value=task.value is not None,
            value_bytes=len(task.value or b""))
        value = task.value if task.value is not None and len(task.value) <= MAX_INLINE else b""
        if state == pb.TASK_STATE_SUCCEEDED:
            finished.return_value = value
        else:
            finished.exception.CopyFrom(pb.TaskException(
                state=state, outcome=last.outcome, message=reason, exit_status=last.exit_status, signal=last.signal,
                value=value))
        self.queues.setdefault(task.graph.spec.client_queue, {})[finished.delivery_id] = finished
        self.changed.notify_all()
