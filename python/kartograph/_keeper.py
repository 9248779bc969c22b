"""Runs a private service and ends it, with all its tasks, when its owner closes our standard input or dies.

A program of its own, started as `python -I -S _keeper.py FOLDER PROGRAM ARGUMENT...`, that needs nothing of the
package: the owner may be killed, and then nobody else is there to end the service and remove its folder.
"""

from __future__ import annotations

import ctypes
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

# How long the service may take to stop, and tasks to react to SIGTERM, in seconds.
PATIENCE = 10.0
TASK_PATIENCE = 2.0
PR_SET_PDEATHSIG = 1


def main(folder: str, command: list[str]) -> int:
    """Returns when the service has ended."""
    owner = os.getppid()
    with open(os.path.join(folder, "kartographd.log"), "wb") as log:
        # A keeper that is killed takes the service with it. This process has one thread, so preexec_fn is safe.
        service = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stderr=log,
                                   preexec_fn=_die_with_keeper)  # noqa: PLW1509
    try:
        while service.poll() is None and os.getppid() == owner:
            # Processes that the owner forked hold the pipe, too, so its death is looked for as well.
            readable, _, _ = select.select([sys.stdin.fileno()], [], [], 0.5)
            if readable and not os.read(sys.stdin.fileno(), 4096):
                break
        status = service.poll()
        if status is not None:
            _print_end(os.path.join(folder, "kartographd.log"))
    finally:
        _end(service, folder)
    return status or 0


def _print_end(path: str) -> None:
    """The end of a service's log, for an owner that waits for it to start."""
    with open(path, "rb") as log:
        log.seek(max(os.fstat(log.fileno()).st_size - 4096, 0))
        text = log.read()
    try:
        os.write(sys.stdout.fileno(), text)
    except OSError:  # the owner has gone
        return


def _die_with_keeper() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _end(service: subprocess.Popen[bytes], folder: str) -> None:
    if service.poll() is None:
        service.terminate()
        try:
            service.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            service.kill()
            service.wait()
    # Tasks and their agent outlive the service, by design. Here nobody comes back for them.
    for number, patience in ((signal.SIGTERM, TASK_PATIENCE), (signal.SIGKILL, PATIENCE)):
        for pid in _processes_of(folder):
            try:
                os.kill(pid, number)
            except OSError:
                continue
        deadline = time.monotonic() + patience
        while list(_processes_of(folder)) and time.monotonic() < deadline:
            time.sleep(0.02)
    shutil.rmtree(folder, ignore_errors=True)


def _processes_of(folder: str) -> Iterator[int]:
    """Those with the folder, which is ours alone, in their command line, environment or as working directory."""
    marker = os.fsencode(folder)
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        try:
            with open(f"/proc/{name}/cmdline", "rb") as words, open(f"/proc/{name}/environ", "rb") as environment:
                ours = marker in words.read() or marker in environment.read()
            if ours or os.fsencode(os.readlink(f"/proc/{name}/cwd")).startswith(marker):
                yield int(name)
        except OSError:  # it has ended, or belongs to somebody else
            continue


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
