"""Fixtures of the browser tests: a real service, a real Chromium, and pages that must stay clean.

A page is clean when its console has no errors and it asked only its own service for anything;
every test checks that at its end. Tests wait for conditions, and end only what they started.
"""

import contextlib
import http.client
import json
import os
import pathlib
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse

import pytest
from playwright.sync_api import expect, sync_playwright

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests"))  # for what several folders of tests use
KARTOGRAPHD = os.environ.get("KARTOGRAPHD", str(ROOT / "bazel-bin/service/kartographd"))
KARTOGRAPH = os.environ.get("KARTOGRAPH", str(ROOT / "bazel-bin/cli/kartograph"))
CHROMIUM = "/usr/bin/chromium"
CHROMIUM_FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                  "--disable-background-networking", "--disable-component-update",
                  "--disable-sync"]

# How long a condition may take to come true. Long, because a busy machine is slow.
PATIENCE = 60
expect.set_options(timeout=PATIENCE * 1000)


def pytest_configure(config):
    for program in (KARTOGRAPHD, KARTOGRAPH, CHROMIUM):
        if not os.access(program, os.X_OK):
            raise pytest.UsageError(f"{program} is not there: build or install it first")


def belongs_to(state):
    """Pids of the processes that have the state folder in their command line or environment."""
    marker, found = os.fsencode(state), []
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if marker in (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:
            pass  # It has ended.
    return found


class Service:
    """A kartographd with 2 cores, 1 GiB and a pool of two database connections, on paper."""

    def __init__(self, folder, state):
        self.folder = folder
        self.state = state
        self.process = None
        self.grpc = self.http = "127.0.0.1:0"

    @property
    def url(self):
        return f"http://{self.http}"

    def start(self):
        """Starts it; a second time on the ports of the first."""
        with open(self.folder / "kartographd.log", "ab") as log:
            self.process = subprocess.Popen(
                [KARTOGRAPHD, "--state", self.state, "--grpc", self.grpc, "--http", self.http,
                 "--cpu", "2", "--ram", "1GiB", "--pool", "db_connections=2"],
                cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)
        said, deadline = b"", time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if select.select([self.process.stdout], [], [], 1)[0]:
                piece = os.read(self.process.stdout.fileno(), 4096)
                said += piece
                ready = re.search(rb"^ready grpc=(\S+) http=(\S+)$", said, re.MULTILINE)
                if ready:
                    self.grpc, self.http = ready[1].decode(), ready[2].decode()
                    return self
                if not piece:
                    break
        self.stop()
        raise AssertionError(f"kartographd is not ready: {said!r}\n"
                             + (self.folder / "kartographd.log").read_text())

    def stop(self):
        """SIGTERM; what runs goes on under the local agent."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.process = None

    def close(self):
        """Ends everything that belongs to the state folder."""
        self.stop()
        deadline = time.monotonic() + PATIENCE
        while left := belongs_to(self.state):
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            assert time.monotonic() < deadline, f"still there: {left}"
            time.sleep(0.02)

    def log_in(self):
        """The cookie of a new session, as a browser keeps it."""
        link = urllib.parse.urlsplit(self.cli("page").stdout.strip())
        connection = http.client.HTTPConnection(link.netloc, timeout=PATIENCE)
        connection.request("GET", f"{link.path}?{link.query}")
        name, _, value = connection.getresponse().headers["Set-Cookie"].partition(";")[0].partition("=")
        connection.close()
        return {"name": name, "value": value, "url": self.url, "httpOnly": True, "sameSite": "Strict"}

    def cli(self, *words):
        environment = {**os.environ, "KARTOGRAPH_STATE_FOLDER": str(self.state)}
        environment.pop("KARTOGRAPH_SERVER", None)
        return subprocess.run([KARTOGRAPH, *words], cwd=self.folder, env=environment,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=PATIENCE, check=False)

    def try_submit(self, name, tasks, **more):
        """Submits {task name: what it needs}; returns what the command line said."""
        graph = {"name": name, "tasks": [{"name": key, **task} for key, task in tasks.items()]}
        file = self.folder / "graph.yaml"
        file.write_text(json.dumps({**graph, **more}))
        return self.cli("submit", str(file))

    def submit(self, name, tasks, **more):
        """The same for a graph that is right; returns its id."""
        done = self.try_submit(name, tasks, **more)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


class Gate:
    """What tasks wait for, so that a test decides when they end."""

    def __init__(self, path):
        self.path = path
        # A shell command for a task; put more after it.
        self.wait = f"while [ ! -e {path} ]; do sleep 0.05; done"

    def open(self):
        self.path.touch()


def mark(page):
    """Leaves a mark that a reload would wipe out."""
    page.evaluate("window.mark = 'still here'")


def assert_not_reloaded(page):
    assert page.evaluate("window.mark") == "still here"


# Texts whose contrast to what is behind them is below WCAG's 4.5 (3 for large ones).
CONTRAST = """() => {
  const parse = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
      .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
      .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (node) => {
    for (; node; node = node.parentElement) {
      const colour = parse(getComputedStyle(node).backgroundColor);
      if (colour.length < 4 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const bad = [];
  for (const node of document.body.querySelectorAll('*')) {
    const own = [...node.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    if (!own || !node.checkVisibility()) continue;
    const style = getComputedStyle(node);
    const [a, b] = [light(parse(style.color)), light(behind(node))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < (parseFloat(style.fontSize) >= 24 ? 3 : 4.5)) {
      bad.push(`${node.tagName} .${node.className} '${node.textContent}' ${ratio.toFixed(2)}`);
    }
  }
  return bad;
}"""


@contextlib.contextmanager
def fresh_folder():
    """A folder with a short path, as sockets need it."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="kg-web-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def running_service(folder, state):
    service = Service(folder, state)
    try:
        yield service.start()
    finally:
        service.close()


@pytest.fixture
def folder():
    with fresh_folder() as path:
        yield path


@pytest.fixture
def state(folder):
    return folder / "state"


@pytest.fixture
def service(folder, state):
    with running_service(folder, state) as running:
        yield running


@pytest.fixture
def gate(folder):
    return Gate(folder / "gate")


@pytest.fixture(scope="session")
def browser():
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        yield chromium
        chromium.close()


class Opener:
    """Opens pages of the service and remembers what they must not do."""

    def __init__(self, browser, service):
        self.browser = browser
        self.service = service
        self.contexts = []
        self.problems = []
        self.errors_expected = False  # while a service is away, the browser logs failed requests

    def __call__(self, address="/", width=1280, height=900, scheme="light", before=None):
        """A page at `address` that is live; `before(page)` is called before it loads."""
        context = self.browser.new_context(viewport={"width": width, "height": height},
                                           color_scheme=scheme)
        context.set_default_timeout(PATIENCE * 1000)
        context.add_cookies([self.service.log_in()])
        self.contexts.append(context)
        page = context.new_page()
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.problems.append(f"error: {error}"))
        page.on("dialog", self._on_dialog)
        page.on("request", self._on_request)
        if before:
            before(page)
        page.goto(self.service.url + address)
        expect(page.locator("#link-word")).to_have_text("live")
        return page

    def _on_console(self, message):
        if message.type in ("error", "warning"):
            if not (self.errors_expected and "Failed to load resource" in message.text):
                self.problems.append(f"console: {message.text}")

    def _on_dialog(self, dialog):
        self.problems.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _on_request(self, request):
        if not request.url.startswith(self.service.url + "/"):
            self.problems.append(f"request to another host: {request.url}")

    def close(self):
        for context in self.contexts:
            context.close()
        assert not self.problems, self.problems


@pytest.fixture
def open_page(browser, service):
    """A function that opens the status page; see Opener."""
    opener = Opener(browser, service)
    yield opener
    opener.close()


@pytest.fixture(scope="module")
def shared_page(browser):
    """One page of one service for all tests of a file that change neither."""
    with fresh_folder() as path, running_service(path, path / "state") as running:
        opener = Opener(browser, running)
        yield opener()
        opener.close()
