"""Builds Kartograph, starts it on this machine and makes a small map release. Started by ./run.

usage: ./run [--once]

  --once   end with the release (exit code 0 where it succeeded) instead of leaving the service up

What it makes is in release/, what it keeps in .cache/run/. Ctrl-C ends the service.
"""

import argparse
import contextlib
import json
import os
import pathlib
import re
import select
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from common import (CACHE, ROOT, Failed, bazel, built, run_logged, seconds, style,  # noqa: E402
                    tail, trim_bazel_cache, world_atlas)

RUN = CACHE / "run"
STATE = RUN / "state"
RELEASE = ROOT / "release"
TARGETS = ["//service:kartographd", "//cli:kartograph", "//executor/local:kartograph-local-agent",
           "//executor/mesos/executor:kartograph-executor"]
# The daemon's own defaults.
GRPC, HTTP = ("127.0.0.1", 50061), ("127.0.0.1", 50062)
STEPS = 6


class Stopped(Exception):
    """A signal asked us to end."""


class Steps:
    """Prints numbered steps, each with what came of it and how long it took."""

    def __init__(self):
        self.number = 0

    @contextlib.contextmanager
    def step(self, title):
        self.number += 1
        head = f"{style('2', f'[{self.number}/{STEPS}]')} {title:<22}"
        since, result = time.monotonic(), []
        if sys.stdout.isatty():
            print(head, end="", flush=True)
        try:
            yield result.append
        except BaseException:
            print("" if sys.stdout.isatty() else head)
            raise
        took = style("2", f"({seconds(since)})")
        print(("\r" if sys.stdout.isatty() else "") + head, *result, took, flush=True)


def build():
    log = CACHE / "run" / "build.log"
    if run_logged(bazel("build", *TARGETS), log):
        raise Failed(f"The build failed. The end of {log.relative_to(ROOT)}:\n{tail(log, 60)}")
    trim_bazel_cache()
    return built()


def address_or_free(address, what):
    """The address where it is free, otherwise one with a free port, and a note about it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError:
            return f"{address[0]}:0", f"Port {address[1]} is taken; {what} has another one."
    return f"{address[0]}:{address[1]}", None


class Service:
    """A kartographd of our own; stop() ends it and what it left running."""

    def __init__(self, binaries):
        grpc, grpc_note = address_or_free(GRPC, "gRPC")
        http, http_note = address_or_free(HTTP, "the page")
        self.notes = [note for note in (grpc_note, http_note) if note]
        self.log = RUN / "kartographd.log"
        STATE.mkdir(parents=True, exist_ok=True)
        words = [binaries / "service" / "kartographd", "--state", STATE, "--grpc", grpc,
                 "--http", http, "--pool", "db_connections=4"]
        with open(self.log, "ab") as log:
            # A session of its own: Ctrl-C is for us, and we end it in order.
            self.process = subprocess.Popen(list(map(str, words)), cwd=RUN, stdin=subprocess.DEVNULL,
                                            stdout=subprocess.PIPE, stderr=log,
                                            start_new_session=True)
        self.grpc, self.http = self._ready()

    def _ready(self):
        deadline, said = time.monotonic() + 60, b""
        while time.monotonic() < deadline:
            if not select.select([self.process.stdout], [], [], 1)[0]:
                continue
            chunk = os.read(self.process.stdout.fileno(), 4096)
            said += chunk
            ready = re.search(rb"^ready grpc=(\S+) http=(\S+)$", said, re.MULTILINE)
            if ready:
                return ready[1].decode(), ready[2].decode()
            if not chunk:
                break
        self.stop()
        raise Failed(f"The service did not start. The end of {self.log.relative_to(ROOT)}:\n"
                     f"{tail(self.log, 10)}")

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()
        end_agent()


def end_agent():
    """Ends the local agent, which outlives the service on purpose, and waits for its end."""
    try:
        pid = int((STATE / "agent.pid").read_text().split()[0])
        ours = str(STATE).encode() in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
        if not ours:
            return
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and pathlib.Path(f"/proc/{pid}").exists():
            time.sleep(0.05)
    except (OSError, ValueError, IndexError):
        pass  # it is not there


def command_line(binaries, *arguments, **options):
    words = [binaries / "cli" / "kartograph", "--state-folder", STATE, *arguments]
    return subprocess.run(list(map(str, words)), stdin=subprocess.DEVNULL, check=False, **options)


def make_graph(atlas):
    graph = RUN / "map_release.yaml"
    words = ["/usr/bin/python3", "-B", ROOT / "examples" / "map_release" / "make_graph.py",
             "--data", atlas, "--release", RELEASE, "--out", graph]
    log = RUN / "make_graph.log"
    if run_logged(list(map(str, words)), log):
        raise Failed(f"The example's graph could not be made:\n{tail(log, 15)}")
    return graph


def run_graph(binaries, graph):
    """Submits the graph and shows its progress; returns its id and whether it succeeded."""
    submit = command_line(binaries, "submit", graph, "--json", stdout=subprocess.PIPE)
    if submit.returncode:
        raise Failed("The graph was not accepted.")
    submitted = json.loads(submit.stdout)
    graph_id = submitted["graphId"]
    print(f"      graph {graph_id}: {submitted['tasks']} tasks", flush=True)
    try:
        return graph_id, not command_line(binaries, "watch", graph_id).returncode
    except Stopped:
        command_line(binaries, "cancel", graph_id, stdout=subprocess.DEVNULL)
        raise


def prove(binaries, graph_id):
    """Runs the example's own check of its history; returns what it says and whether it holds."""
    tasks = RUN / "tasks.json"
    with open(tasks, "wb") as out:
        command_line(binaries, "status", graph_id, "--json", "--tasks", stdout=out)
    proof = subprocess.run(
        ["/usr/bin/python3", "-B", str(ROOT / "examples" / "map_release" / "prove.py"), str(tasks)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        check=False)
    return proof.stdout.rstrip(), proof.returncode == 0


def version_of(atlas):
    return json.loads((atlas.parent / "package.json").read_text())["version"]


def show_release():
    print(f"\n{style('1', 'The release')}")
    for path in sorted(RELEASE.iterdir()) if RELEASE.is_dir() else []:
        if path.is_file():
            print(f"  {path.relative_to(ROOT)!s:<28} {path.stat().st_size / 1024:>8.0f} KiB")


def show_service(binaries, service, graph_id):
    tool = f"bazel-bin/cli/kartograph --state-folder {STATE.relative_to(ROOT)}"
    link = command_line(binaries, "page", stdout=subprocess.PIPE, text=True).stdout.strip()
    print(f"\n{style('1', 'The service')}")
    print(f"  page     {link}")
    print("           " + style("2", f"(logs one browser in, within five minutes; another one: {tool} page)"))
    print(f"  gRPC     {service.grpc}, with the token in {(STATE / 'token').relative_to(ROOT)}")
    print(f"  log      {service.log.relative_to(ROOT)}")
    print(f"\n{style('1', 'Try')}")
    print(f"  {tool} status {graph_id}")
    print(f"  {tool} submit {RUN.relative_to(ROOT)}/map_release.yaml --wait")


def wait_for_end(service):
    print("\nThe service stays up; Ctrl-C ends it.", flush=True)
    if service.process.wait():
        raise Failed(f"The service exited on its own. The end of its log:\n{tail(service.log, 10)}")


def work(once, steps):
    with steps.step("Build") as done:
        binaries = build()
        done("service, command line, local agent")
    with steps.step("Geography") as done:
        atlas = world_atlas()
        done(f"world-atlas {version_of(atlas)} (Natural Earth's countries)")
    with steps.step("Graph") as done:
        graph = make_graph(atlas)
        done(str(graph.relative_to(ROOT)))
    with steps.step("Service") as done:
        service = Service(binaries)
        done(f"page http://{service.http}/  gRPC {service.grpc}")
    try:
        print("\n".join(f"      {note}" for note in service.notes), end="\n" * bool(service.notes))
        return serve(once, steps, binaries, service, graph)
    finally:
        service.stop()


def serve(once, steps, binaries, service, graph):
    steps.number += 1
    print(f"{style('2', f'[{steps.number}/{STEPS}]')} Map release", flush=True)
    since = time.monotonic()
    graph_id, succeeded = run_graph(binaries, graph)
    print(f"      graph {graph_id} {'succeeded' if succeeded else 'did not succeed'} "
          + style("2", f"({seconds(since)})"))
    with steps.step("Proof") as done:
        said, holds = prove(binaries, graph_id)
        done("holds" if holds else "does not hold")
    print("\n".join(f"      {line}" for line in said.splitlines()))
    show_release()
    if once:
        print(f"\n./run without --once leaves the service up; its state is in {STATE.relative_to(ROOT)}/.")
    else:
        show_service(binaries, service, graph_id)
        wait_for_end(service)
    return 0 if succeeded and holds else 1


def stop_asked(_signal, _frame):
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # one is enough: what follows is the way out
    raise Stopped


def main(arguments):
    parser = argparse.ArgumentParser(prog="./run", usage="./run [--once]")
    parser.add_argument("--once", action="store_true")
    once = parser.parse_args(arguments).once
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop_asked)
    print(style("1", "Kartograph") + ": a map release, made on this machine\n", flush=True)
    try:
        return work(once, Steps())
    except Stopped:
        print("\nStopped.")
        return 1 if once else 0
    except Failed as error:
        print(f"\n{error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
