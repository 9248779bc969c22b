"""Commands that wait while the service goes away and comes back, and output that cannot be written."""

import os
import re
import select
import signal
import socket
import subprocess
import threading
import time

from harness import KARTOGRAPH, cli, eventually, pb, state_name, task

DONE, NOT_SUCCEEDED, WRONG, UNREACHABLE, OUTPUT_LOST = range(5)


class Proxy:
    """Passes bytes on between clients and a service; frozen, it drops them without a word."""

    def __init__(self, target):
        self.target = target
        self.frozen = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._pump, args=(client,), daemon=True).start()

    def _pump(self, client):
        host, port = self.target.rsplit(":", 1)
        # What was opened before the freeze stays dead after it, as behind a firewall that forgot it.
        with client, socket.create_connection((host, int(port))) as server:
            while True:
                for source, sink in ((client, server), (server, client)):
                    if not select.select([source], [], [], 0.01)[0]:
                        continue
                    data = source.recv(65536)
                    if not data:
                        return
                    if self.frozen.is_set():
                        time.sleep(120)
                        return
                    sink.sendall(data)

    def close(self):
        self.listener.close()


def follow(server, *words, token_file=""):
    return subprocess.Popen([KARTOGRAPH, *words], stdin=subprocess.DEVNULL, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            env={**os.environ, "KARTOGRAPH_SERVER": server,
                                 "KARTOGRAPH_TOKEN_FILE": str(token_file)})


def said(follower, patience=60):
    """The follower's exit code, output and errors at its end."""
    out, err = follower.communicate(timeout=patience)
    return follower.returncode, out, err


def gated(folder):
    """A task that writes a line, waits for a gate, and writes another."""
    return task("a", shell=f"echo first; while [ ! -e {folder}/gate ]; do sleep 0.02; done; "
                           "echo last")


def test_what_waits_goes_on_over_orderly_restarts(start, folder):
    service = start()
    graph = service.submit([gated(folder)])
    service.wait_for_task(graph, "a", pb.TASK_STATE_RUNNING)
    path = folder / "graph.yaml"
    path.write_text(f"name: other\ntasks:\n  - name: b\n    command: "
                    f"'while [ ! -e {folder}/gate ]; do sleep 0.02; done'\n")
    address = service.server
    followers = [follow(address, "watch", graph) for _ in range(3)]
    followers += [follow(address, "submit", str(path), "--wait") for _ in range(3)]
    logs = [follow(address, "logs", graph, "a", "--follow") for _ in range(3)]
    eventually(lambda: len(service.call("ListGraphs", pb.ListGraphsRequest()).graphs) == 4,
               "all are submitted")
    # All have found what they follow: until then a service that is away ends a command.
    for follower in followers[:3]:
        assert "running" in follower.stdout.readline()
    for follower in logs:
        assert follower.stdout.readline() == "first\n"
    for _ in range(4):
        service.terminate()
        service.start()
        eventually(lambda: service.call("GetGraph", pb.GetGraphRequest(graph_id=graph)),
                   "it is back")
    (folder / "gate").touch()
    for follower in followers:
        code, _, err = said(follower)
        assert code == DONE, err
    for follower in logs:
        code, out, err = said(follower)
        assert (code, out) == (DONE, "last\n"), err


def test_a_connection_that_dies_silently_is_noticed_and_made_again(shared, folder):
    proxy = Proxy(shared.grpc)
    graph = shared.submit([gated(folder)])
    shared.wait_for_task(graph, "a", pb.TASK_STATE_RUNNING)
    token = {"token_file": shared.token_file}
    watcher = follow(proxy.address, "watch", graph, **token)
    reader = follow(proxy.address, "logs", graph, "a", "--follow", **token)
    assert "running" in watcher.stdout.readline()
    assert reader.stdout.readline() == "first\n"
    proxy.frozen.set()
    assert "unavailable, trying again" in reader.stderr.readline()
    while "unavailable, trying again" not in watcher.stdout.readline():
        pass
    proxy.frozen.clear()
    (folder / "gate").touch()
    code, _, err = said(watcher)
    assert code == DONE, err
    code, out, err = said(reader)
    assert (code, out) == (DONE, "last\n"), err
    proxy.close()


def test_a_write_is_done_soon_after_the_service_is_back(start, folder):
    service = start()
    path = folder / "graph.yaml"
    path.write_text("tasks: [{name: a, command: 'true'}]\n")
    service.terminate()
    submitted = follow(service.server, "submit", str(path))
    time.sleep(2)  # away for longer than the first tries
    service.start()
    code, out, err = said(submitted)
    assert code == DONE, err
    assert service.wait_for_graph(out.strip()).state == pb.GRAPH_STATE_SUCCEEDED


def test_a_service_that_is_stopping_says_so(start, folder):
    service = start()
    graph = service.submit([gated(folder)])
    service.wait_for_task(graph, "a", pb.TASK_STATE_RUNNING)
    address = service.server
    service.terminate()
    refused = cli("status", graph, server=address)
    assert refused.returncode == UNREACHABLE and "CANCELLED" not in refused.stderr


def test_a_service_that_drains_says_so(start, folder):
    service = start("--drain")
    graph = service.submit([gated(folder)])
    service.wait_for_task(graph, "a", pb.TASK_STATE_RUNNING)
    service.process.send_signal(signal.SIGTERM)
    eventually(lambda: "stopping when running attempts have ended" in service.stderr(), "it drains")
    assert service.cli("status", graph).returncode == DONE  # it answers until then
    refused = service.cli("run", "true")
    assert refused.returncode == UNREACHABLE and "the service is stopping" in refused.stderr
    (folder / "gate").touch()
    assert service.process.wait(60) == 0


def test_logs_follow_a_task_over_its_attempts(shared, folder):
    graph = shared.submit([task("a", shell=f"echo try; [ -e {folder}/ok ]", max_attempts=3)])
    follower = follow(shared.server, "logs", graph, "a", "--follow")
    assert follower.stdout.readline() == "try\n"
    assert "attempt 2" in follower.stderr.readline()
    (folder / "ok").touch()
    code, out, _ = said(follower)
    assert code == DONE and "try\n" in out
    only = shared.cli("logs", graph, "a", "--follow", "--attempt", "1")
    assert (only.returncode, only.stdout, only.stderr) == (DONE, "try\n", "")


def test_output_that_cannot_be_written_is_an_error(shared, folder):
    graph = shared.submit([gated(folder)])
    shared.wait_for_task(graph, "a", pb.TASK_STATE_RUNNING)
    waiting = folder / "waiting.yaml"
    waiting.write_text("tasks: [{name: a, command: [sleep, '1000'], cancel_grace: 0.1}]\n")
    for words in (["status"], ["list", "--json"], ["status", graph], ["watch", graph],
                  ["logs", graph, "a", "--follow"], ["submit", waiting, "--wait"], ["retry", graph, "--wait"],
                  ["--help"], ["--version"], ["submit", "--help"], ["help"]):
        with open("/dev/full", "wb") as full:
            ended = subprocess.run([KARTOGRAPH, *words], stdin=subprocess.DEVNULL, stdout=full,
                                   stderr=subprocess.PIPE, text=True, timeout=60, check=False,
                                   env={**os.environ, "KARTOGRAPH_SERVER": shared.server})
        assert ended.returncode == OUTPUT_LOST, (words, ended.stderr)
        assert "kartograph: the output cannot be written" in ended.stderr
        if words[0] == "submit" and "--wait" in words:  # its id is not lost
            submitted = re.search(r"submitted as (g\d+)$", ended.stderr, re.MULTILINE)[1]
            assert state_name(shared.stub.GetTask(pb.GetTaskRequest(graph_id=submitted, task_name="a")).state)
            shared.cancel(submitted)
    # A reader that leaves while nothing is written.
    follower = follow(shared.server, "logs", graph, "a", "--follow")
    assert follower.stdout.readline() == "first\n"
    follower.stdout.close()
    assert follower.wait(60) in (OUTPUT_LOST, -signal.SIGPIPE)
    follower.stderr.close()
    assert state_name(shared.task(graph, "a").state) == "RUNNING"
    (folder / "gate").touch()
    shared.wait_for_graph(graph)
