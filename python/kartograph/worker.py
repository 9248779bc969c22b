"""The program that an agent starts for tasks.

    python -m kartograph.worker --session=ID [--path=FOLDER]... [--code=BLOB]...

It runs one task after another where the agent offers that, and one task otherwise. Its arguments are what distinguishes
the workers of one program from those of another.
"""

from __future__ import annotations

import os
import sys

from kartograph import _serve, _session, _worker
from kartograph.errors import NotReadable


def main() -> int:
    """Runs the tasks of this process; returns its exit status."""
    # Not by argparse, whose import takes a tenth of what a worker needs to start.
    given: dict[str, list[str]] = {"session": [], "path": [], "code": []}
    for argument in sys.argv[1:]:
        name, equals, value = argument.partition("=")
        if not equals or name[:2] != "--" or name[2:] not in given:
            print(f"kartograph.worker: {argument!r} is not an option: Kartograph's agents start this", file=sys.stderr)
            return 2
        given[name[2:]].append(value)
    setting = _session.Setting("".join(given["session"]), tuple(given["path"]), tuple(given["code"]))
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
