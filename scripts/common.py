"""What ./run and ./test share: where things are, Bazel, and the geography package. Standard library only."""

import os
import pathlib
import shutil
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache"
WORLD_ATLAS = "world-atlas@2"


class Failed(Exception):
    """Something did not work; the message says what, and what to do, for people."""


def bazel_cache():
    """The disk cache that all checkouts of this user share."""
    chosen = os.environ.get("KARTOGRAPH_BAZEL_CACHE")
    if chosen:
        return pathlib.Path(chosen).absolute()
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return pathlib.Path(home) / "kartograph" / "bazel"


def bazel(command, *arguments):
    """The words of a Bazel command; one that builds uses the shared cache.

    Where KARTOGRAPH_BAZEL_OUTPUT_BASE names another place for what is built, two builds of one
    checkout can go on at a time; the bazel-* links are then left as they are.
    """
    output_base = os.environ.get("KARTOGRAPH_BAZEL_OUTPUT_BASE")
    words = ["bazel"] + ([f"--output_base={output_base}"] if output_base else []) + [command]
    if command != "query":
        words.append(f"--disk_cache={bazel_cache()}")
        words += ["--symlink_prefix=/"] if output_base else []
    return words + list(map(str, arguments))


def built(mode=None):
    """Folder of what Bazel builds, plain or with a sanitizer."""
    words = bazel("info", *([f"--config={mode}"] if mode else []), "bazel-bin")
    out = subprocess.run(words, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                         check=False)
    if out.returncode:
        raise Failed("bazel does not work here:\n" + out.stderr[-2000:])
    return pathlib.Path(out.stdout.strip())


def run_logged(words, log, cwd=ROOT, **options):
    """Runs a command with its output in a file; returns its exit code."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "wb") as out:
        return subprocess.run(words, cwd=cwd, stdin=subprocess.DEVNULL, stdout=out,
                              stderr=subprocess.STDOUT, check=False, **options).returncode


def tail(path, lines=40):
    """The end of a text file."""
    try:
        text = pathlib.Path(path).read_text(errors="replace")
    except OSError as error:
        return f"({error})"
    return "\n".join(text.splitlines()[-lines:])


def trim_bazel_cache(days=30):
    """Removes what no build has touched for long; Bazel itself never removes anything."""
    bazel_cache().mkdir(parents=True, exist_ok=True)
    stamp = bazel_cache() / ".trimmed"
    now = time.time()
    if stamp.exists() and now - stamp.stat().st_mtime < 24 * 3600:
        return
    for folder, _, files in os.walk(bazel_cache()):
        for name in files:
            path = os.path.join(folder, name)
            try:
                stat = os.stat(path)
                if now - max(stat.st_atime, stat.st_mtime) > days * 24 * 3600:
                    os.unlink(path)
            except OSError:
                pass  # another build was faster
    stamp.touch()


def world_atlas():
    """Path of Natural Earth's countries as TopoJSON; fetched with npm where it is missing."""
    folder = CACHE / "npm"
    data = folder / "node_modules" / "world-atlas" / "countries-50m.json"
    if data.exists():
        return data
    if not shutil.which("npm"):
        raise Failed("npm is missing: install Debian's package npm")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "package.json").write_text('{"private": true}\n')
    log = CACHE / "npm.log"
    with open(log, "wb") as out:
        code = subprocess.run(
            ["npm", "install", "--no-audit", "--no-fund", "--no-save", WORLD_ATLAS], cwd=folder,
            stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, check=False).returncode
    if code or not data.exists():
        raise Failed(f"npm could not fetch {WORLD_ATLAS} (is the network there?):\n{tail(log, 15)}")
    return data


def style(code, text):
    """Colours a text where a person looks at it."""
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        return text
    return f"\033[{code}m{text}\033[0m"


def seconds(since):
    """Time since `since` as "4.2 s" or "3 min 12 s"."""
    took = time.monotonic() - since
    return f"{took:.1f} s" if took < 90 else f"{int(took // 60)} min {int(took % 60)} s"
