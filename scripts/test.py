"""Runs every test of Kartograph. Started by ./test, which installs what it needs.

usage: ./test [--asan | --tsan | --fuzz SECONDS | --vm] [--only PART]...

  --asan, --tsan   build with the address or the thread sanitizer (into folders of their own) and run
                   the unit and end-to-end tests with that
  --fuzz SECONDS   look for inputs that break their readers, this long with each fuzz target, and do
                   nothing else
  --vm             run the tests that need a kernel and a systemd of their own, in a virtual machine,
                   and nothing else; takes root, and no KVM
  --only PART      run only this part, can be given several times:
                   unit, lint, checks, fuzz, e2e, mesos, python, wheel, example, browser;
                   wheel takes root for the tests in a clean Debian, and skips them without

environment:
  KARTOGRAPH_DATA         folder of recorded workflows and scheduling problems; tests that read it
                          are skipped where it is absent (default: ../shared/data, if it is there)
  KARTOGRAPH_BAZEL_CACHE  Bazel's disk cache (default: ~/.cache/kartograph/bazel)

The last line counts test cases: N passed, M failed, K skipped. The exit code is 0 where none failed
and everything could run.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import urllib.parse
import xml.etree.ElementTree as ElementTree

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import checks  # noqa: E402
from common import (CACHE, ROOT, Failed, bazel, built, run_logged, seconds, style,  # noqa: E402
                    tail, trim_bazel_cache)

LOGS = CACHE / "test"
PARTS = ["unit", "lint", "checks", "fuzz", "e2e", "mesos", "python", "wheel", "example", "browser"]
BINARIES = ["//service:kartographd", "//cli:kartograph", "//executor/mesos/executor:kartograph-executor",
            "//tests/mesos:stand_in_main", "//examples/hello_mesos"]
# What Debian does not have, or not new enough.
REQUIREMENTS = ["playwright==1.*", "ruff==0.12.*", "auditwheel==6.*"]
FUZZ_SECONDS = 5  # for each target, by default
SUITE_LIMIT = 15 * 60  # seconds; a suite that takes longer hangs
VM_LIMIT = 60 * 60  # the same, where the machine is made first and emulated


class Tally:
    """Counts test cases and remembers what failed and what was skipped, to say it at the end."""

    def __init__(self):
        self.passed = 0
        self.failures = []
        self.skips = []

    def add(self, other):
        self.passed += other.passed
        self.failures += other.failures
        self.skips += other.skips

    def words(self):
        words = [f"{self.passed} passed"]
        if self.failures:
            words.append(style("31", f"{len(self.failures)} failed"))
        if self.skips:
            words.append(f"{len(self.skips)} skipped")
        return ", ".join(words)


def count_junit(path, tally, prefix):
    """Adds the cases of a JUnit file, as GoogleTest, Bazel and pytest write it; returns how many."""
    cases = 0
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        name = "::".join(filter(None, [prefix, case.get("classname"), case.get("name")]))
        if case.get("status") == "notrun":
            # A shard lists the cases of the others, too; a disabled one runs nowhere.
            if "DISABLED_" in name:
                tally.skips.append((name, "disabled"))
            continue
        cases += 1
        problem = case.find("failure")
        problem = case.find("error") if problem is None else problem
        skipped = case.find("skipped")
        if problem is not None:
            tally.failures.append(name)
        elif skipped is not None or case.get("result") == "skipped":
            reason = (skipped.get("message") or "") if skipped is not None else ""
            tally.skips.append((name, " ".join(reason.split())))
        else:
            tally.passed += 1
    return cases


def build_events(path):
    """What Bazel says of a build, as JSON objects."""
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.strip()]


def file_of(uri):
    return pathlib.Path(urllib.parse.unquote(urllib.parse.urlparse(uri).path))


def unit_tests(mode, environment):
    """Builds everything and runs all cc_tests; counts the cases of cached results as well."""
    tally = Tally()
    LOGS.mkdir(parents=True, exist_ok=True)
    events, log = LOGS / "unit.json", LOGS / "unit.log"
    events.unlink(missing_ok=True)
    flags = ["--keep_going", f"--build_event_json_file={events}"]
    flags += [f"--test_env={name}={value}" for name, value in environment.items()]
    if mode:
        # Benchmarks are not run so, and the programs are built where they are needed.
        flags += [f"--config={mode}", "--symlink_prefix=/", "--test_timeout=300,900,1800,3600",
                  "--build_tests_only"]
        if mode == "tsan" and needs_fixed_addresses():
            flags.append("--run_under=/usr/bin/setarch x86_64 -R")
    code = run_logged(bazel("test", *flags, "//..."), log)
    results, broken = {}, set()
    for event in build_events(events) if events.exists() else []:
        kind = event["id"]
        if "testResult" in kind:
            what = kind["testResult"]
            shard = (what["label"], what.get("run"), what.get("shard"))
            results.setdefault(shard, {})[what.get("attempt", 1)] = event.get("testResult", {})
        elif "targetCompleted" in kind and not event.get("completed", {}).get("success"):
            # A test that ran and failed completes all the same; this one could not be built.
            broken.add(kind["targetCompleted"]["label"])
        elif "testSummary" in kind:
            if event.get("testSummary", {}).get("overallStatus") == "FAILED_TO_BUILD":
                broken.add(kind["testSummary"]["label"])
    for (label, _, _), attempts in sorted(results.items(), key=lambda item: str(item[0])):
        count_test_result(label, attempts[max(attempts)], tally)
    tally.failures += [f"{label} (does not build)" for label in sorted(broken)]
    if code not in (0, 4) and not tally.failures:
        tally.failures.append(f"bazel test //... (exit code {code})")
    if tally.failures:
        print(tail(log, 120))
    return tally


def count_test_result(label, result, tally):
    outputs = {out["name"]: file_of(out["uri"]) for out in result.get("testActionOutput", [])
               if "uri" in out}
    failures_before = len(tally.failures)
    cases = 0
    try:
        cases = count_junit(outputs["test.xml"], tally, label)
    except (KeyError, OSError, ElementTree.ParseError):
        pass
    passed = result.get("status") == "PASSED"
    if not passed and len(tally.failures) == failures_before:
        # It crashed, hung or leaked after its last case.
        tally.failures.append(f"{label} ({result.get('status', 'NO_STATUS').lower()})")
    elif passed and not cases:
        tally.passed += 1


def needs_fixed_addresses():
    """Whether this kernel places programs where the thread sanitizer of GCC 12 cannot follow."""
    try:
        return int(pathlib.Path("/proc/sys/vm/mmap_rnd_bits").read_text()) > 28
    except (OSError, ValueError):
        return False


def lint():
    """clang-format and clang-tidy through third_party/lint.bzl; a case each."""
    tally = Tally()
    LOGS.mkdir(parents=True, exist_ok=True)
    events, log = LOGS / "lint.json", LOGS / "lint.log"
    events.unlink(missing_ok=True)
    code = run_logged(bazel("build", "--config=lint", "--output_groups=lint_reports",
                            f"--build_event_json_file={events}", "//..."), log)
    reports = set()
    for event in build_events(events) if events.exists() else []:
        for file in event.get("namedSetOfFiles", {}).get("files", []):
            reports.add(file_of(file["uri"]))
    for name, ours in (("clang-format", lambda path: path.name == "format"),
                       ("clang-tidy", lambda path: path.suffix == ".tidy")):
        found = sorted({path.read_text(errors="replace") for path in reports if ours(path)} - {""})
        if found:
            tally.failures.append(name)
            print("".join(found))
        elif any(map(ours, reports)):
            tally.passed += 1
        else:
            tally.failures.append(f"{name} (no reports)")
    if code and not tally.failures:
        tally.failures.append("lint (bazel failed)")
        print(tail(log))
    return tally


def structure():
    """The checks of scripts/checks.py; a case each."""
    tally = Tally()
    for name, problems in checks.run():
        if problems:
            tally.failures.append(name)
            print("\n".join(problems))
        else:
            tally.passed += 1
    return tally


def fuzz(limit):
    """Runs each target of tests/fuzz for `limit` seconds, from its corpus on; a case each.

    What leads further than the corpus is kept in .cache/fuzz, for the next run to start from.
    """
    tally = Tally()
    names = sorted(path.stem for path in (ROOT / "tests" / "fuzz").glob("*_fuzz.cc"))
    log = LOGS / "fuzz-build.log"
    if run_logged(bazel("build", "--config=fuzz", "--symlink_prefix=/",
                        *[f"//tests/fuzz:{name}" for name in names]), log):
        print(tail(log))
        tally.failures.append("tests/fuzz (does not build)")
        return tally
    folder = built("fuzz") / "tests" / "fuzz"
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(lambda name: fuzz_one(folder / name, name, limit), names))
    for name, problem in zip(names, results):
        if problem:
            tally.failures.append(f"tests/fuzz/{name}")
            print(problem)
        else:
            tally.passed += 1
    return tally


def fuzz_one(program, name, limit):
    """Runs one fuzz target; returns what is wrong, or None."""
    found, log = CACHE / "fuzz" / name, LOGS / f"{name}.log"
    corpus = ROOT / "tests" / "fuzz" / "corpus" / name
    found.mkdir(parents=True, exist_ok=True)
    code = run_logged(
        [str(program), f"-max_total_time={limit}", "-timeout=10", "-rss_limit_mb=2048",
         "-max_len=4096", "-print_final_stats=1", f"-artifact_prefix={LOGS}/{name}-",
         str(found), str(corpus)], log)
    if not code:
        return None
    return (f"{tail(log, 40)}\n{name} found an input; mend what it breaks, and keep it in "
            f"{corpus.relative_to(ROOT)}/. To run it again:\n  {program} {LOGS}/{name}-...")


def pytest_suite(name, folder, environment, python="/usr/bin/python3", limit=SUITE_LIMIT):
    """Runs the pytest files of a folder."""
    tally = Tally()
    if not any((ROOT / folder).glob("test_*.py")):
        tally.failures.append(f"{folder} (has no tests)")
        return tally
    LOGS.mkdir(parents=True, exist_ok=True)
    junit, log = LOGS / f"{name}.xml", LOGS / f"{name}.log"
    junit.unlink(missing_ok=True)
    words = [str(python), "-B", "-m", "pytest", "-q", "-ra", "-p", "no:cacheprovider",
             "--durations=10", f"--junitxml={junit}", folder]
    with open(log, "wb") as out:
        with subprocess.Popen(words, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out,
                              stderr=subprocess.STDOUT, env={**os.environ, **environment}) as suite:
            try:
                code = suite.wait(limit)
            except subprocess.TimeoutExpired:
                code = stop_hanging(suite, limit)
    if junit.exists():
        count_junit(junit, tally, folder)
    if code not in (0, 1) or not junit.exists():
        tally.failures.append(f"{folder} (pytest ended with {code}, see {log})")
    if tally.failures:
        print(tail(log, 150))
    return tally


def stop_hanging(suite, limit):
    """Interrupts a suite, so that it still ends what it started, and says so."""
    suite.send_signal(signal.SIGINT)
    try:
        suite.wait(60)
    except subprocess.TimeoutExpired:
        suite.kill()
        suite.wait()
    return f"nothing after {limit} s"


def venv_python():
    """The Python of a virtual environment that has REQUIREMENTS on top of Debian's packages."""
    folder = CACHE / "venv"
    python, mark, wanted = folder / "bin" / "python", folder / "requirements", "\n".join(REQUIREMENTS)
    if mark.exists() and mark.read_text() == wanted:
        return python
    log = LOGS / "venv.log"
    for words in (["/usr/bin/python3", "-m", "venv", "--clear", "--system-site-packages", folder],
                  [folder / "bin" / "pip", "install", "--disable-pip-version-check", *REQUIREMENTS]):
        if run_logged(list(map(str, words)), log):
            raise Failed(f"{', '.join(REQUIREMENTS)} could not be installed:\n{tail(log, 15)}")
    mark.write_text(wanted)
    return python


def browser(environment):
    tally = Tally()
    try:
        return pytest_suite("browser", "tests/browser", environment, venv_python())
    except Failed as error:
        print(error)
        tally.failures.append("tests/browser (could not run)")
    return tally


def python_package(environment):
    """The Python package: its types, its style, and its tests against the real service; what these
    leave to a service in Python runs with that."""
    tally = Tally()
    folder, log = ROOT / "python", LOGS / "python-checks.log"
    try:
        checkers = {"mypy": ["/usr/bin/python3", "-m", "mypy", "--cache-dir", str(CACHE / "mypy")],
                    "ruff": [str(venv_python()), "-m", "ruff", "check", "--no-cache"]}
    except Failed as error:
        print(error)
        tally.failures.append("python (could not run)")
        return tally
    run_logged(["/usr/bin/python3", "-B", str(folder / "generate.py")], log)
    for name, words in checkers.items():
        if run_logged(words, log, cwd=folder):
            print(tail(log, 60))
            tally.failures.append(f"python ({name})")
        else:
            tally.passed += 1
    tally.add(pytest_suite("python", "python/tests", environment))
    return tally


def wheel(environment):
    """Builds the wheel, and tests it where it is installed."""
    tally = Tally()
    folder, log = CACHE / "wheel" / "dist", LOGS / "wheel-build.log"
    try:
        python = venv_python()
    except Failed as error:
        print(error)
        tally.failures.append("tests/wheel (could not run)")
        return tally
    if run_logged([str(ROOT / "scripts" / "build_wheel.sh"), "--out", str(folder)], log):
        print(tail(log))
        tally.failures.append("tests/wheel (does not build)")
        return tally
    return pytest_suite("wheel", "tests/wheel", {**environment, "KARTOGRAPH_WHEEL": str(folder)}, python)


def on_binaries(name, mode, suite):
    """Runs a suite on the real binaries, built first: with --only nothing else has done it."""
    log = LOGS / f"{name}-build.log"
    flags = [f"--config={mode}", "--symlink_prefix=/"] if mode else []
    if run_logged(bazel("build", *flags, *BINARIES), log):
        print(tail(log))
        tally = Tally()
        tally.failures.append(f"tests/{name} (does not build)")
        return tally
    return suite()


def skip(what, why):
    tally = Tally()
    tally.skips.append((what, why))
    return tally


def binaries(mode):
    """What the end-to-end tests start."""
    folder = built(mode)
    return {"KARTOGRAPHD": str(folder / "service" / "kartographd"),
            "KARTOGRAPH": str(folder / "cli" / "kartograph"),
            "KARTOGRAPH_LOCAL_AGENT": str(folder / "executor" / "local" / "kartograph-local-agent"),
            "KARTOGRAPH_EXECUTOR": str(folder / "executor" / "mesos" / "executor" / "kartograph-executor"),
            "KARTOGRAPH_STAND_IN": str(folder / "tests" / "mesos" / "stand_in_main"),
            "KARTOGRAPH_HELLO_MESOS": str(folder / "examples" / "hello_mesos" / "hello_mesos")}


def data_folder():
    chosen = os.environ.get("KARTOGRAPH_DATA")
    folder = pathlib.Path(chosen) if chosen else ROOT.parent / "shared" / "data"
    return {"KARTOGRAPH_DATA": str(folder.resolve())} if folder.is_dir() else {}


def parse(arguments):
    parser = argparse.ArgumentParser(
        prog="./test", usage="./test [--asan | --tsan | --fuzz SECONDS | --vm] [--only PART]...")
    sanitizer = parser.add_mutually_exclusive_group()
    sanitizer.add_argument("--asan", dest="mode", action="store_const", const="asan")
    sanitizer.add_argument("--tsan", dest="mode", action="store_const", const="tsan")
    sanitizer.add_argument("--fuzz", type=int, metavar="SECONDS")
    sanitizer.add_argument("--vm", action="store_true")
    parser.add_argument("--only", action="append", choices=PARTS)
    options = parser.parse_args(arguments)
    if options.fuzz is not None:
        options.only = ["fuzz"]
    elif options.vm:
        options.only = ["vm"]
    elif not options.only:
        options.only = PARTS
    return options


def main(arguments):
    options = parse(arguments)
    mode, begin = options.mode, time.monotonic()
    environment = data_folder()
    with_binaries = {**environment, **binaries(mode)}
    if mode:
        with_binaries["KARTOGRAPH_SANITIZER"] = mode
    other_build = f"the same with --{mode}: ./test without it runs this"
    steps = {
        "unit": lambda: unit_tests(mode, environment),
        "lint": lambda: skip("lint", other_build) if mode else lint(),
        "checks": lambda: skip("checks", other_build) if mode else structure(),
        "fuzz": lambda: skip("fuzz", "has sanitizers of its own: ./test without one runs this")
        if mode else fuzz(options.fuzz or FUZZ_SECONDS),
        "e2e": lambda: on_binaries(
            "e2e", mode, lambda: pytest_suite("e2e", "tests/e2e", with_binaries)),
        "mesos": lambda: on_binaries(
            "mesos", mode, lambda: pytest_suite("mesos", "tests/mesos", with_binaries)),
        "python": lambda: skip("python", other_build) if mode else on_binaries(
            "python", mode, lambda: python_package(with_binaries)),
        "wheel": lambda: skip("wheel", other_build) if mode else wheel(environment),
        "example": lambda: skip("example", other_build) if mode else on_binaries(
            "example", mode, lambda: pytest_suite("example", "examples/map_release/tests", with_binaries)),
        "browser": lambda: skip("browser", other_build) if mode else on_binaries(
            "browser", mode, lambda: browser(environment)),
        "vm": lambda: on_binaries(
            "vm", mode, lambda: pytest_suite("vm", "tests/vm", with_binaries, limit=VM_LIMIT)),
    }
    total = Tally()
    for part, step in steps.items():
        if part not in options.only:
            continue
        since = time.monotonic()
        tally = step()
        print(f"{part:10} {seconds(since):>12}   {tally.words()}", flush=True)
        total.add(tally)
    trim_bazel_cache()
    for name, reason in total.skips:
        print(f"skipped: {name}" + (f": {reason}" if reason else ""))
    for name in total.failures:
        print(style("31", "failed: ") + name)
    print(f"in {seconds(begin)}; logs in {LOGS.relative_to(ROOT)}/")
    print(f"{total.passed} passed, {len(total.failures)} failed, {len(total.skips)} skipped",
          flush=True)
    return 1 if total.failures else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (KeyboardInterrupt, Failed) as error:
        print(str(error) or "interrupted")
        print("0 passed, 1 failed, 0 skipped")
        sys.exit(1)
