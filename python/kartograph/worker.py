"""The program that an agent starts for a task: `python -m kartograph.worker`."""

from __future__ import annotations

import os
import sys

from kartograph import _worker
from kartograph.errors import NotReadable


def main() -> int:
    """Runs the task of this process's environment; returns the exit status."""
    try:
        job = _worker.Job.of(os.environ)
    except NotReadable as error:
        print(error, file=sys.stderr)
        return 2
    return _worker.run(job)


if __name__ == "__main__":
    sys.exit(main())
