"""The clients of examples/clients: built and run as their README says, they do what it shows."""

import os
import pathlib
import re
import shutil
import subprocess

import pytest

import documents
import harness
from harness import ROOT, eventually, pb, task

EXAMPLES = ROOT / "examples" / "clients"
# A copy of them, built in place; what does not change is not built again by the next run.
WORK = ROOT / ".cache" / "clients"
BUILD_PATIENCE = 10 * harness.PATIENCE  # seconds; the first run fetches modules and compiles them
LINES = ["broken: exited with status 3", "product: 42", "sleeper: cancelled on request"]

# By the section of the README: what must be in PATH, the program, and the command that starts it there.
PROGRAMS = {"C++": ("make", "cpp/client.cc", ["./client"]),
            "Node.js": ("npm", "node/client.js", ["node", "client.js"]),
            "Go": ("go", "go/client.go", ["./client"]),
            "Java": ("javac", "java/Client.java", ["make", "-s", "run"])}
# What npm and Go say where their registry cannot be reached.
AWAY = re.compile(r".*(ENOTFOUND|EAI_AGAIN|ETIMEDOUT|ECONNREFUSED|ECONNRESET|dial tcp|i/o timeout"
                  r"|TLS handshake timeout).*")


def section(title):
    """The part of the README about one language."""
    [text] = re.findall(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", (EXAMPLES / "README.md").read_text(),
                        re.MULTILINE | re.DOTALL)
    return text


def run_section(title, service):
    """Runs what the README shows of a language, which builds its client; fails where other things come."""
    built = [line.strip("/") for line in (EXAMPLES / ".gitignore").read_text().split()]
    shutil.copytree(EXAMPLES, WORK / "examples" / "clients", dirs_exist_ok=True,
                    ignore=shutil.ignore_patterns(*built, "*.bazel"))
    document = documents.Document(WORK, [])
    # At home are the caches of npm and Go.
    document.home, document.patience, document.service = pathlib.Path.home(), BUILD_PATIENCE, service
    wrong = document.run(section(title))
    away = AWAY.search("\n".join(document.printed))
    if wrong and away:
        pytest.skip(f"packages cannot be fetched: {away[0].strip()[:200]}")
    assert not wrong, "\n\n".join([*wrong, *document.printed])


class Client:
    """A client that is built, to be run as often as wanted."""

    def __init__(self, title):
        self.title = title
        _, source, self.command = PROGRAMS[title]
        self.folder = WORK / "examples" / "clients" / pathlib.Path(source).parent

    def start(self, server, token_file=None):
        environment = {name: value for name, value in os.environ.items()
                       if not name.startswith("KARTOGRAPH_")}
        environment["KARTOGRAPH_SERVER"] = server
        if token_file:
            environment["KARTOGRAPH_TOKEN_FILE"] = str(token_file)
        return subprocess.Popen(self.command, cwd=self.folder, env=environment, text=True,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def run(self, *where):
        """Its exit code, what it printed, and what it complained."""
        with self.start(*where) as process:
            out, err = process.communicate(timeout=harness.PATIENCE)
        return process.returncode, out, err


@pytest.fixture(scope="module", params=PROGRAMS)
def client(request, shared):
    needed = PROGRAMS[request.param][0]
    if not shutil.which(needed):
        pytest.skip(f"{needed} is not installed")
    with pytest.MonkeyPatch.context() as patch:
        # Nothing is optimized, two files are compiled at a time, and no other Go is fetched.
        for name, value in (("CXXFLAGS", "-O0"), ("MAKEFLAGS", "-j2"), ("GOTOOLCHAIN", "local")):
            patch.setenv(name, value)
        run_section(request.param, shared)
    return Client(request.param)


def test_a_client_does_over_tcp_what_it_does_through_a_socket(client, shared):
    code, out, err = client.run(shared.grpc, shared.token_file)
    assert (code, sorted(out.splitlines())) == (0, LINES), err
    # It has acknowledged everything, here and where its commands were run.
    queues = shared.call("ListQueues", pb.ListQueuesRequest()).queues
    assert not [queue.name for queue in queues if queue.name.startswith("client-")]


def test_a_client_without_the_token_fails_and_says_so(client, shared):
    code, out, err = client.run(shared.grpc)
    assert code != 0 and not out and "needs the service's token" in err, (code, out, err)


def test_a_client_goes_on_when_the_service_was_killed(client, start):
    service = start("--cpu", "1", "--ram", "1GiB")
    blocker = service.submit([task("blocker", "sleep", "600")], name="blocker")
    service.wait_for_task(blocker, "blocker", pb.TASK_STATE_RUNNING)
    service.listen_grpc = service.grpc  # when it is started again
    with client.start(service.grpc, service.token_file) as process:
        try:
            # What waits for the blocker's cpu can be cancelled, but nothing else can end.
            said = process.stdout.readline()
            assert said.strip() == LINES[-1]
            service.kill()
            service.start()
            service.cancel(blocker)
            out, err = process.communicate(timeout=harness.PATIENCE)
        finally:
            process.kill()
    assert (process.returncode, sorted((said + out).splitlines())) == (0, LINES), err
    graphs = service.call("ListGraphs", pb.ListGraphsRequest()).graphs
    assert sorted(graph.spec.name for graph in graphs) == ["blocker", *sorted(
        line.split(":")[0] for line in LINES)]


def test_the_graph_in_python_comes_out(shared):
    run_section("Python", shared)


@pytest.mark.parametrize("title", PROGRAMS)
def test_a_client_is_one_page(title):
    assert len((EXAMPLES / PROGRAMS[title][1]).read_text().splitlines()) < 100
