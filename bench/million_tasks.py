#!/usr/bin/python3
"""Writes a large graph file: layers of 1,000 tasks, each after tasks of the layer before.

  bench/million_tasks.py FILE [--tasks N] [--edges N]

With the defaults, 1,000,000 tasks with one edge each, the file has 57 MB. The same arguments write the same
file. write_graph() is for other benchmarks.
"""

import argparse
import os
import random

WIDTH = 1000


def write_graph(path, tasks=1000000, edges=1):
    """Writes the graph file and returns its size in bytes."""
    rng = random.Random(7)
    with open(path, "w", encoding="utf-8") as out:
        out.write("name: million-tasks\ntasks:\n")
        for i in range(tasks):
            first = i // WIDTH * WIDTH - WIDTH
            before = sorted(rng.sample(range(first, first + WIDTH), edges)) if first >= 0 else []
            after = f", after: [{', '.join(f't{b}' for b in before)}]" if before else ""
            out.write(f"- {{name: t{i}, command: [/bin/true]{after}}}\n")
    return os.path.getsize(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file")
    parser.add_argument("--tasks", type=int, default=1000000)
    parser.add_argument("--edges", type=int, default=1, help="of each task, at most 1000")
    options = parser.parse_args()
    size = write_graph(options.file, options.tasks, options.edges)
    print(f"{options.file}: {options.tasks} tasks, {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
