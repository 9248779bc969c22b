"""Runs what the documents show and compares it with what really comes of it.

A fenced block of `console` is run. Its lines that begin with `$ ` are commands for bash, run in order
in one folder; what follows a command is what it prints (both streams). A command that starts
kartographd starts one with its flags, on free ports, for the commands after it. Comments prepare:

    <!-- service: FLAGS -->    starts a fresh kartographd with these flags
    <!-- run: COMMAND -->      runs a command whose output is not shown
    <!-- file: NAME -->        writes the fenced block that follows into a file
    <!-- not run: WHY -->      the fenced block that follows is not run

In what is shown, a line `...` stands for any lines, and `...` within a line for anything. Where it is
JSON, it may be laid out for reading, in any order; `{...}`, `[...]` and `"..."` stand for any value,
and `...` before a closing brace for further members. What differs from run to run (times, durations,
sizes, ids of graphs, addresses, the host's name) is made equal on both sides.
"""

import getpass
import json
import os
import pathlib
import re
import subprocess

import harness

GRPC, HTTP, HOST = "127.0.0.1:50061", "127.0.0.1:50062", "node1"  # as the documents call them

_STEP = re.compile(
    r"^<!-- (?P<kind>service|run|file|not run):(?P<what>.*?)-->$"
    r"|^```(?P<language>[\w-]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_DAEMON = re.compile(r"(?:\S*/)?kartographd (?P<flags>.*?)\s*&?")

_VARIABLE = [
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "TIME"),
    (r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT", "TIME"),
    (r"^\d+:\d\d ", "CLOCK "),
    (r"\b\d+(\.\d+)? ?(ms|s|min|h|d)\b( \d+ (s|min|h)\b)?", "SPAN"),
    (r"\b\d+(\.\d+)?([KMGT]i)?B\b", "SIZE"),
    (r"\bg\d+\b", "gN"),
    (r"(?<![\d.])\d+\.\d+\.\d+(?![\d.])", "VERSION"),
    (r"(Content-Length: )\d+", r"\1N"),
]


def steps(markdown):
    """What a document does: (kind, text, line), kinds are those of the comments and `console`."""
    found, file, skipped = [], None, False
    for match in _STEP.finditer(markdown):
        line = markdown.count("\n", 0, match.start()) + 1
        kind, language = match["kind"], match["language"]
        if kind == "file":
            file = match["what"].strip()
        elif kind == "not run":
            skipped = True
        elif kind:
            found.append((kind, match["what"].strip(), line))
        else:
            if file:
                found.append(("file", (file, match["text"]), line))
            elif language == "console" and not skipped:
                found.append(("console", match["text"], line))
            file, skipped = None, False
    return found


def commands(text):
    """The commands of a block of `console`, each with what is shown after it."""
    found = []
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append([line[2:], []])
        elif found and not found[-1][1] and found[-1][0].endswith("\\"):
            found[-1][0] += "\n" + line
        elif found:
            found[-1][1].append(line)
        else:
            raise ValueError(f"a block of console begins with a command, not with: {line}")
    return [(command, "\n".join(shown)) for command, shown in found]


# --- Comparing -----------------------------------------------------------------------------------


def _even(text):
    for pattern, word in _VARIABLE:
        text = re.sub(pattern, word, text, flags=re.MULTILINE)
    return re.sub(r"[ \t]+", " ", re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE)).strip("\n")


def _json(text, elided=False):
    if elided:
        text = re.sub(r"\{\s*\.\.\.\s*\}|\[\s*\.\.\.\s*\]", '"..."', text)
        text = re.sub(r",\s*\.\.\.\s*\}", ', "...": 0}', text)
    try:
        return json.loads(text)
    except ValueError:
        return None


def _same_json(shown, real):
    if shown == "...":
        return True
    if isinstance(shown, dict) and isinstance(real, dict):
        keys = set(shown) - {"..."}
        return ((keys == set(real) or ("..." in shown and keys <= set(real)))
                and all(_same_json(shown[key], real[key]) for key in keys))
    if isinstance(shown, list) and isinstance(real, list):
        return len(shown) == len(real) and all(map(_same_json, shown, real))
    if isinstance(shown, str) and isinstance(real, str):
        return _even(shown) == _even(real)
    return shown == real


def same(shown, real):
    """Whether what a document shows is what came, but for what differs from run to run."""
    parsed, came = _json(shown, elided=True), _json(real)
    if isinstance(parsed, (dict, list)) and came is not None:
        return _same_json(parsed, came)
    pattern = ""
    for line in _even(shown).splitlines():
        if line.strip() == "...":
            pattern += r"(?:.*\n)*?"
        else:
            pattern += ".*".join(map(re.escape, line.split("..."))) + r"\n"
    real = _even(real)
    return re.fullmatch(pattern, real + "\n" * bool(real)) is not None


# --- Running -------------------------------------------------------------------------------------


class Document:
    """Runs the steps of one document in a folder; `services` gets what it starts.

    `service` is the one that commands use; where it is not set, the first that needs one starts it.
    """

    def __init__(self, folder, services):
        self.folder, self.services, self.service = pathlib.Path(folder), services, None
        # Of the commands: their home, and how long those of a block may take, in seconds.
        self.home, self.patience = self.folder, harness.PATIENCE
        self.printed = []  # by each command that was run
        for name, target in (("bazel-bin/service/kartographd", harness.KARTOGRAPHD),
                             ("bazel-bin/cli/kartograph", harness.KARTOGRAPH),
                             ("api", harness.ROOT / "api"), ("examples", harness.ROOT / "examples")):
            link = self.folder / name
            link.parent.mkdir(parents=True, exist_ok=True)
            if not link.exists():
                link.symlink_to(target)

    def run(self, markdown):
        """Returns what is not as it is shown, as texts."""
        wrong = []
        for kind, what, line in steps(markdown):
            if kind == "service":
                self._start(what)
            elif kind == "file":
                (self.folder / what[0]).write_text(what[1])
            elif kind == "run":
                self._run([what], line)
            else:
                wrong += self._console(what, line)
        return wrong

    def _console(self, text, line):
        wrong, waiting = [], []

        def run_waiting():
            for (command, shown), real in zip(waiting, self._run([c for c, _ in waiting], line)):
                if not same(shown, real):
                    wrong.append(f"line {line}: $ {command}\n--- shown:\n{shown}\n--- came:\n{real}")
            waiting.clear()
        for command, shown in commands(text):
            daemon = _DAEMON.fullmatch(command)
            if not daemon or "--help" in command:
                waiting.append((command, shown))
                continue
            run_waiting()
            self._start(daemon["flags"])
            if not same(shown, f"ready grpc={GRPC} http={HTTP}"):
                wrong.append(f"line {line}: $ {command}\n--- shown:\n{shown}\n--- came: that it is ready")
        run_waiting()
        return wrong

    def _start(self, flags):
        """Starts a service; one on the same state folder is stopped before it."""
        flags = flags.split()
        state = None
        for flag in ("--state", "--grpc", "--http"):
            if flag in flags:
                at = flags.index(flag)
                if flag == "--state":
                    # Wherever the document has it, the test's is in its own folder.
                    state = self.folder / flags[at + 1].strip("~/").replace("/", "-")
                del flags[at:at + 2]
        if self.service and self.service.running():
            self.service.terminate()
        state = state or self.folder / f"state-{len(self.services)}"
        self.service = harness.Service(self.folder, *flags, state=state)
        self.service.starts = 100 * len(self.services)  # logs of its own
        self.services.append(self.service)
        self.service.start()
        self.service.wait_for_agent()
        # What docs/http_api.md says of curl; commands have this folder as their home.
        token = self.service.token_file.read_text().strip()
        (self.folder / ".curlrc").write_text(f'header = "Authorization: Bearer {token}"\n')

    def _run(self, texts, line):
        """What each of the commands prints; they share one bash."""
        if not self.service:
            self._start("--cpu 4 --ram 8GiB")
        script = "shown() { local s=$?; printf '\\0'; return $s; }\nexec 2>&1\n"
        script += "".join(f"{text}\nshown\n" for text in texts)
        for documents, ours in ((GRPC, self.service.grpc), (HTTP, self.service.http),
                                ("/var/lib/kartograph", str(self.service.state)),
                                (".cache/run/state", str(self.service.state))):
            script = script.replace(documents, ours)
        bins = [str(self.folder / "bazel-bin" / name) for name in ("cli", "service")]
        environment = {**os.environ, "KARTOGRAPH_SERVER": self.service.server, "LC_ALL": "C.UTF-8",
                       "PATH": ":".join([*bins, "/usr/bin", os.environ["PATH"]]),
                       "HOME": str(self.home)}
        done = subprocess.run(["bash", "-c", script], cwd=self.folder, env=environment, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False,
                              timeout=self.patience)
        parts = done.stdout.split("\0")
        if len(parts) != len(texts) + 1:
            raise AssertionError(f"line {line}: the commands ended early:\n{done.stdout}")
        self.printed += parts[:-1]
        return [self._as_documented(part) for part in parts[:-1]]

    def _as_documented(self, text):
        for ours, documents in ((self.service.grpc, GRPC), (self.service.http, HTTP),
                                (str(self.service.state), "/var/lib/kartograph"),
                                (str(self.home), "~"),
                                (f'"{getpass.getuser()}"', '"maps"')):
            text = text.replace(ours, documents)
        return re.sub(rf"\b{re.escape(os.uname().nodename)}\b", HOST, text)
