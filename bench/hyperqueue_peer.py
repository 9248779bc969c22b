"""Runs a graph of /bin/true on a HyperQueue cluster of this machine's cores; prints seconds from submission to end.

  PYTHON bench/hyperqueue_peer.py FOLDER < GRAPH

GRAPH is JSON: for each task the indexes of the tasks that it comes after. FOLDER is the server's. PYTHON has the
package hyperqueue; short_tasks.py makes such an environment. The cluster is up and the job's objects are made before
the clock starts. Tasks write no stdout and stderr.
"""

import json
import os
import pathlib
import sys
import time

from hyperqueue import Job, LocalCluster
from hyperqueue.cluster import WorkerConfig


def main():
    after = json.load(sys.stdin)
    cores = len(os.sched_getaffinity(0))
    folder = pathlib.Path(sys.argv[1])
    with LocalCluster(str(folder / "server"), WorkerConfig(cores=cores)) as cluster:
        client = cluster.client()
        job = Job(default_workdir=folder)
        tasks = []
        for before in after:
            tasks.append(job.program(["/bin/true"], stdout=None, stderr=None,
                                     deps=[tasks[index] for index in before]))
        start = time.monotonic()
        client.wait_for_jobs([client.submit(job)])
        print(time.monotonic() - start)


if __name__ == "__main__":
    main()
