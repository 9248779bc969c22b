"""The program that an agent starts for tasks.

    python -m kartograph.worker --session ID [--path FOLDER]... [--code BLOB]...

It runs one task after another where the agent offers that, and one task otherwise. Its arguments are what distinguishes
the workers of one program from those of another.
"""

from __future__ import annotations

import argparse
import os
import sys

from kartograph import _serve, _session, _worker
from kartograph.errors import NotReadable


def main() -> int:
    """Runs the tasks of this process; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m kartograph.worker", description=__doc__)
    parser.add_argument("--session", default="", help="whose tasks these are, and with which version of the code")
    parser.add_argument("--path", action="append", default=[], help="where modules are found as well, if it exists")
    parser.add_argument("--code", action="append", default=[], help="a blob with modules, searched first")
    arguments = parser.parse_args()
    setting = _session.Setting(arguments.session, tuple(arguments.path), tuple(arguments.code))
    _worker.begin(setting, os.environ.get("KARTOGRAPH_BLOBS", ""))
    descriptor = os.environ.get(_serve.VARIABLE, "")
    if descriptor:
        return _serve.serve(int(descriptor), run)
    done = run(_serve.Given())
    done.write()
    return done.status


def run(given: _serve.Given) -> _serve.Done:
    """Runs the task that the environment describes."""
    try:
        job = _worker.Job.of(os.environ, given)
    except NotReadable as error:
        print(error, file=sys.stderr)
        return _serve.Done(2)
    return _worker.run(job)


if __name__ == "__main__":
    sys.exit(main())
