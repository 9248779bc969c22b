#!/usr/bin/python3
"""Checks of how the sources are laid out. Each is a test case of ./test.

Run alone, `scripts/checks.py` prints what is wrong and exits with 1 if anything is.
"""

import ast
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from common import ROOT, bazel  # noqa: E402

MAX_LINES = 700
# Longer all the same: clients generate their code from the contract, which is easiest from one file.
LONG_FILES = {"api/kartograph/v1/task_executer.proto": 1250}

# Who may include whom (docs/architecture.md has the reasons). A file belongs to the longest entry that its
# folder is or lies in, and may include what belongs to the same entry. "base" stands for what belongs to that
# entry, "executor/" for all that lies below, "storage/history.h" for one file.
VALUES = {"planner/cap.h", "planner/constraints.h", "planner/ids.h", "planner/instances.h", "planner/labels.h", "planner/names.h",
          "planner/problems.h", "planner/resources.h", "planner/retry_rule.h", "planner/spread.h",
          "planner/states.h", "planner/task_policy.h"}
MAY_INCLUDE = {
    "base": set(),
    "api": set(),
    "yaml": set(),
    "planner": {"base/clock.h", "base/byte_size.h"},
    "storage": {"base"} | VALUES,
    "executor": {"base"} | VALUES,
    "executor/wire": {"base", "executor"} | VALUES,
    "executor/runner": {"base", "executor"} | VALUES,
    "executor/agent": {"base", "executor", "executor/runner", "executor/wire"} | VALUES,
    "executor/local": {"base", "executor", "executor/agent", "executor/runner", "executor/wire"} | VALUES,
    "executor/mesos": {"base", "executor", "executor/mesos/protocol"} | VALUES,
    "executor/mesos/protocol": set(),
    "executor/mesos/framework": {"base", "executor", "executor/mesos", "executor/mesos/protocol",
                                 "executor/wire"} | VALUES,
    "executor/mesos/executor": {"base", "executor", "executor/agent", "executor/mesos",
                                "executor/mesos/protocol", "executor/runner", "executor/wire"} | VALUES,
    "executor/simulated": {"base", "executor"} | VALUES,
    "scheduler": {"base", "planner", "storage/history.h", "storage/records.h", "executor/cluster.h",
                  "executor/reads_values.h", "executor/backlog.h"},
    "forecast": {"base", "planner", "storage/no_history.h", "executor/cluster.h", "executor/simulated",
                 "scheduler"},
    "service": {"base", "api", "yaml", "planner", "storage", "executor/", "scheduler"},
    "cli": {"base", "api", "yaml", "planner/eligibility.h", "planner/task_graph.h", "planner/task_kind.h",
            "forecast"} | VALUES,
    "third_party": set(),
    "tests": {""},
    "bench": {""},
    "examples": {""},
}
# What tests and test doubles may include besides. A scheduler's test runs against the simulated cluster and a
# real history, the framework's against the stand-in of a Mesos cluster.
TEST_MAY_INCLUDE = {"scheduler": {"executor/simulated", "storage"},
                    "executor/mesos/framework": {"executor/mesos/executor", "tests"}}
# Test doubles live in folders of this name, and only tests and benchmarks may include them.
DOUBLES = "/testing/"
TEST = re.compile(r"_test(_\w+)?\.(cc|h)$|_bench\.cc$|/testing/|^(tests|bench)/")
# Names of test doubles that stand beside what they double.
LOOSE_DOUBLE = re.compile(r"(^|/)(fake|mock)_[^/]*$|_(fake|mock|testing)\.(cc|h)$")

SKIPPED_FOLDERS = {".git", ".cache", "__pycache__", "generated", "node_modules"}
GENERATED = {"python/kartograph/v1"}
CODE = {".cc", ".h", ".py", ".proto", ".bzl", ".bazel", ".sh", ".js", ".css", ".html", ".sql"}
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)


def sources(*extensions):
    """Our files with these extensions, as paths from the root."""
    for folder, folders, files in os.walk(ROOT):
        relative = os.path.relpath(folder, ROOT)
        folders[:] = sorted(name for name in folders if name not in SKIPPED_FOLDERS
                            and not (relative == "." and name.startswith("bazel-"))
                            and os.path.join(relative, name) not in GENERATED)
        for name in sorted(files):
            if os.path.splitext(name)[1] in extensions:
                yield os.path.normpath(os.path.join(relative, name))


def read(path):
    return (ROOT / path).read_text(encoding="utf-8", errors="replace")


def entry_of(path):
    """The entry of the table that a file belongs to; None where there is none."""
    folder = os.path.dirname(path)
    while folder and folder not in MAY_INCLUDE:
        folder = os.path.dirname(folder)
    return folder or None


def include_problem(path, include):
    """What is wrong with this include in this file; None where nothing is."""
    owner, included = entry_of(path), entry_of(include)
    if included is None:
        return None  # none of ours
    if DOUBLES in include and not TEST.search(path):
        return f"{path}: must not include {include}, which is for tests"
    allowed = MAY_INCLUDE[owner] | (TEST_MAY_INCLUDE.get(owner, set()) if TEST.search(path) else set())
    if included in (owner, *allowed) or include in allowed:
        return None
    if any(include.startswith(folder) for folder in allowed if not folder or folder.endswith("/")):
        return None
    return (f"{path}: must not include {include}; "
            f"{owner}/ may include {', '.join(sorted(allowed)) or 'nothing'}")


def include_problems():
    """Includes that go against the table."""
    problems = []
    for path in sources(".cc", ".h"):
        if entry_of(path) is None:
            problems.append(f"{path}: its folder has no place in the table of scripts/checks.py")
            continue
        problems += filter(None, (include_problem(path, include)
                                  for include in INCLUDE.findall(read(path))))
    return problems


def double_problems():
    """Test doubles outside of a folder for them."""
    return [f"{path}: belongs in a folder testing/" for path in sources(".cc", ".h")
            if LOOSE_DOUBLE.search(path) and DOUBLES not in path and not path.startswith("tests/")]


def own_test_problems():
    """Failures of the checks' own tests."""
    words = [sys.executable, "-B", "-m", "unittest", "-q", "checks_test"]
    check = subprocess.run(words, cwd=ROOT / "scripts", stdin=subprocess.DEVNULL, capture_output=True,
                           text=True, check=False)
    return [check.stderr.strip()] if check.returncode else []


def length_problems():
    """Files too long to be about one thing."""
    return [f"{path}: {lines} lines, at most {most}: give it a second file"
            for path in sources(*CODE)
            if (lines := read(path).count("\n")) > (most := LONG_FILES.get(path, MAX_LINES))]


def orphan_problems():
    """C++ files that no target names: nothing would build, test or lint them."""
    words = bazel("query", "--keep_going", "labels(srcs, //...) union labels(hdrs, //...)")
    query = subprocess.run(words, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                           check=False)
    built = {label[2:].replace(":", "/").lstrip("/") for label in query.stdout.split()}
    if not built:
        return ["bazel query failed: " + query.stderr[-500:]]
    return [f"{path}: no target builds it" for path in sources(".cc", ".h") if path not in built]


def python_problems():
    """Python files that Debian's Python cannot read."""
    problems = []
    for path in sources(".py"):
        try:
            ast.parse(read(path), path)
        except SyntaxError as error:
            problems.append(f"{path}:{error.lineno}: {error.msg}")
    return problems


def shell_problems():
    """Shell scripts that bash cannot read."""
    problems = []
    for path in ["run", "test", ".ci/run", *sources(".sh")]:
        check = subprocess.run(["bash", "-n", path], cwd=ROOT, capture_output=True, text=True,
                               check=False)
        if check.returncode:
            problems.append(check.stderr.strip())
    return problems


def anchors_of(path):
    """The names of a document's sections, as a link may give them after the #."""
    headings = re.findall(r"^#+ (.*)$", read(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def link_problem(path, target):
    """What is wrong with this link of this document; None where nothing is."""
    if "://" in target or target.startswith("mailto:"):
        return None
    file, _, anchor = target.partition("#")
    named = os.path.normpath(os.path.join(os.path.dirname(path), file)) if file else path
    if not (ROOT / named).exists():
        return f"{path}: links to {target}, which is not there"
    if anchor and named.endswith(".md") and anchor not in anchors_of(named):
        return f"{path}: links to {target}, but {named} has no such section"
    return None


def link_problems():
    """Links between our documents that lead nowhere."""
    return [problem for path in sources(".md")
            for target in re.findall(r"\]\(([^)\s]+)", read(path))
            if (problem := link_problem(path, target))]


def version_problems():
    """Another version of the Python package than of the programs."""
    programs = re.search(r'kVersion\[\] = "([^"]+)"', read("base/version.h"))[1]
    package = re.search(r'^__version__ = "([^"]+)"', read("python/kartograph/__init__.py"), re.MULTILINE)[1]
    return [] if package == programs else [
        f"python/kartograph/__init__.py: is version {package}, but base/version.h says {programs}"]


def run():
    """Yields the name of each check and its problems."""
    yield "includes follow the table", include_problems()
    yield "test doubles live in testing/", double_problems()
    yield "the checks pass their own tests", own_test_problems()
    yield f"no file exceeds {MAX_LINES} lines", length_problems()
    yield "every C++ file belongs to a target", orphan_problems()
    yield "Python files parse", python_problems()
    yield "shell scripts parse", shell_problems()
    yield "links between documents lead somewhere", link_problems()
    yield "the Python package has the version of the programs", version_problems()


if __name__ == "__main__":
    wrong = [problem for _, problems in run() for problem in problems]
    print("\n".join(wrong) or "all checks passed")
    sys.exit(1 if wrong else 0)
