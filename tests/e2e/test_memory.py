"""What a task uses of memory: what is shown is what its declared `ram` is held against."""

from harness import outcome_name, pb, task

MIB = 1 << 20

# Each takes what it is told for so long, and gives it back before it ends.
TAKES = """
import mmap, sys, time
taken = mmap.mmap(-1, int(sys.argv[1]), mmap.MAP_PRIVATE)
for at in range(0, len(taken), 4096): taken[at] = 1
time.sleep(float(sys.argv[2]))
taken.close()
"""
READS_A_FILE = """
import mmap
size = 300 << 20
with open("file", "w+b") as file:
    file.truncate(size)
    data = mmap.mmap(file.fileno(), size, mmap.MAP_SHARED, mmap.PROT_READ)
    sum(data[at] for at in range(0, size, 4096))
"""
# A Python with many threads: each maps 8 MiB for its stack, and uses hardly any of it.
HAS_THREADS = """
import threading
done = threading.Event()
threads = [threading.Thread(target=done.wait, daemon=True) for _ in range(200)]
for thread in threads: thread.start()
done.set()
"""
# As a program that was built with a sanitizer does.
MAPS_A_TERABYTE = """
import mmap
MAP_NORESERVE = 0x4000
mmap.mmap(-1, 1 << 40, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_NORESERVE)
"""
FORKS = """
import os, time
shared = b"x" * (80 << 20)
children = []
while len(children) < 4 and 0 not in children: children.append(os.fork())
time.sleep(1)
if 0 not in children:
    for child in children: os.waitpid(child, 0)
"""


def attempts_of(service, programs, ram):
    """Runs programs of Python with their arguments; returns the attempt of each."""
    tasks = [task(f"t{i}", "/usr/bin/python3", "-SEc", *words, consumption={"ram": ram, "cpu": 1})
             for i, words in enumerate(programs)]
    graph = service.submit(tasks)
    service.wait_for_graph(graph)
    attempts = [service.task(graph, f"t{i}").attempts for i in range(len(tasks))]
    assert all(len(found) == 1 for found in attempts)
    return [found[0] for found in attempts]


def test_more_than_declared_is_never_shown_of_a_task_that_succeeded(shared):
    for attempt in attempts_of(shared, [(TAKES, str(150 * MIB), "0.03")] * 8, 100 * MIB):
        over = attempt.usage.peak_ram_bytes > 100 * MIB
        assert outcome_name(attempt.outcome) in (["OUT_OF_MEMORY"] if over else ["SUCCEEDED", "OUT_OF_MEMORY"])


def test_more_than_declared_ends_a_task_that_holds_it(shared):
    (attempt,) = attempts_of(shared, [(TAKES, str(150 * MIB), "600")], 100 * MIB)
    assert outcome_name(attempt.outcome) == "OUT_OF_MEMORY"
    assert "declared ram=100MiB" in attempt.message


def test_a_large_file_that_is_read_and_pages_that_forks_share_are_not_held_against_a_task(shared):
    for attempt in attempts_of(shared, [(READS_A_FILE,), (FORKS,)], 150 * MIB):
        assert attempt.outcome == pb.OUTCOME_SUCCEEDED, attempt.message
        assert attempt.usage.peak_ram_bytes <= 150 * MIB


def test_what_is_mapped_and_not_used_is_not_held_against_a_task(shared):
    (attempt,) = attempts_of(shared, [(HAS_THREADS,)], 100 * MIB)
    assert attempt.outcome == pb.OUTCOME_SUCCEEDED, attempt.message
    (attempt,) = attempts_of(shared, [(MAPS_A_TERABYTE,)], 100 * MIB)
    assert attempt.outcome == pb.OUTCOME_EXITED


def test_how_much_can_be_mapped_is_a_setting(start):
    service = start("--ram-headroom", "none")
    (attempt,) = attempts_of(service, [(MAPS_A_TERABYTE,)], 100 * MIB)
    assert attempt.outcome == pb.OUTCOME_SUCCEEDED, attempt.message
    (attempt,) = attempts_of(service, [(TAKES, str(150 * MIB), "600")], 100 * MIB)
    assert outcome_name(attempt.outcome) == "OUT_OF_MEMORY"
