"""Starts a stand-in Mesos cluster and does to it what a test wants; see controls.h for what there is."""

import json
import os
import pathlib
import re
import select
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
STAND_IN = os.environ.get("KARTOGRAPH_STAND_IN",
                          str(ROOT / "bazel-bin" / "tests" / "mesos" / "stand_in_main"))
SANITIZER = os.environ.get("KARTOGRAPH_SANITIZER")
PATIENCE = 180 if SANITIZER else 60


class StandIn:
    """A cluster whose sandboxes are in the test's folder. Flags are those of stand_in_main."""

    def __init__(self, folder, *flags):
        self.folder = pathlib.Path(folder)
        self.flags = [str(flag) for flag in flags]
        self.process = None
        self.master = self.control = None  # "host:port"

    def start(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log = self.folder / "stand_in.log"
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [STAND_IN, "--work-dir", str(self.folder / "agents"), "--exit-with-stdin",
                 *self.flags], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
        output, said = self.process.stdout, b""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if not select.select([output], [], [], 1)[0]:
                continue
            chunk = os.read(output.fileno(), 4096)
            said += chunk
            ready = re.search(rb"^ready master=(\S+) control=(\S+)$", said, re.MULTILINE)
            if ready:
                self.master, self.control = ready[1].decode(), ready[2].decode()
                return self
            if not chunk:
                break
        self.process.kill()
        code = self.process.wait()
        raise AssertionError(f"the stand-in is not ready, exit code {code}: "
                             f"{self.log.read_text(errors='replace')}")

    def close(self):
        """Ends it with all that it has started, and checks what the sanitizers said."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
        self.process = None
        text = self.log.read_text(errors="replace")
        found = re.search(r"(ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:).*", text)
        assert not found, text[found.start():found.start() + 6000]

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.close()

    def do(self, path, **query):
        """A control: do("/silence"), do("/agent/0/drain", in_ms=5000)."""
        target = f"http://{self.control}{path}?{urllib.parse.urlencode(query)}"
        request = urllib.request.Request(target, data=b"", method="POST")
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                answer.read()
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{path}: {error.read().decode()}") from error

    def state(self):
        """Frameworks, agents, tasks, offers and counters, as a dictionary."""
        with urllib.request.urlopen(f"http://{self.control}/state", timeout=PATIENCE) as answer:
            return json.load(answer)

    def calls(self, kind):
        """How many calls of a type ("ACCEPT") were accepted."""
        return self.state()["calls"].get(kind, 0)
