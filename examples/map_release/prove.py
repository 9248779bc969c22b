#!/usr/bin/python3
"""Proves from the run history how many units of a resource were ever in use at once.

    kartograph status GRAPH --json --tasks > tasks.json
    prove.py tasks.json [--resource db_connections] [--limit 4] [--must-reach 4]

Every attempt that ran holds its task's units from its start to its end. Sweeps those instants, in
whole nanoseconds; where one attempt ends at the very instant at which another starts, the end comes first.
Exit status 1 where the limit was exceeded, or where the most that was ever in use is below
--must-reach, so that the limit was never put to the test; 2 where the history is not complete.
"""

import argparse
import datetime
import decimal
import json
import re
import sys

_TIMESTAMP = re.compile(
    r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:Z|([+-])(\d\d):(\d\d))"
)
_EPOCH = datetime.datetime(1970, 1, 1)


class HistoryError(ValueError):
    """The history cannot prove anything; the message says why."""


def nanoseconds(text):
    """A protobuf JSON timestamp (RFC 3339, up to nine decimals) in nanoseconds since 1970, exactly."""
    match = _TIMESTAMP.fullmatch(text)
    if not match:
        raise HistoryError(f"not a timestamp: {text!r}")
    whole, fraction, sign, hours, minutes = match.groups()
    since = datetime.datetime.fromisoformat(whole) - _EPOCH
    seconds = since.days * 86400 + since.seconds
    if sign:
        seconds -= (1 if sign == "+" else -1) * (int(hours) * 3600 + int(minutes) * 60)
    return seconds * 10**9 + int((fraction or "").ljust(9, "0"))


def usage_spans(history, resource):
    """(start, end, units, task's name) of every attempt that ran and used the resource."""
    if history.get("nextPageToken"):
        raise HistoryError("this is one page of several; the whole list of tasks is needed")
    if not history.get("tasks"):
        raise HistoryError("there are no tasks in it")
    spans = []
    for task in history["tasks"]:
        units = decimal.Decimal(str(task.get("consumption", {}).get(resource, 0)))
        if not units:
            continue
        attempts = task.get("attempts", [])
        if not attempts and task.get("state") == "TASK_STATE_SUCCEEDED":
            raise HistoryError(f"task {task['name']} succeeded, but its attempts are not listed")
        for attempt in attempts:
            if "startTime" not in attempt:
                continue  # never ran, so it never opened a connection
            if "endTime" not in attempt:
                raise HistoryError(f"task {task['name']} is still running")
            start, end = nanoseconds(attempt["startTime"]), nanoseconds(attempt["endTime"])
            if end < start:
                raise HistoryError(f"an attempt of task {task['name']} ends before it starts")
            spans.append((start, end, units, task["name"]))
    return spans


def peak(spans):
    """(most units in use at once, the names of the tasks that then used them)."""
    changes = []
    for k, (start, end, units, _) in enumerate(spans):
        if start < end:  # what takes no time holds nothing
            changes.append((end, 0, k, -units))
            changes.append((start, 1, k, units))
    in_use, most = decimal.Decimal(0), decimal.Decimal(0)
    running, then = set(), []
    for _, _, k, units in sorted(changes):
        in_use += units
        if units < 0:
            running.remove(k)
        else:
            running.add(k)
            if in_use > most:
                most, then = in_use, sorted(spans[j][3] for j in running)
    return most, then


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tasks", help="the JSON list of tasks with attempts; - for standard input")
    parser.add_argument("--resource", default="db_connections")
    parser.add_argument("--limit", type=decimal.Decimal, default=decimal.Decimal(4))
    parser.add_argument("--must-reach", type=decimal.Decimal, default=decimal.Decimal(4))
    options = parser.parse_args(arguments)
    try:
        if options.tasks == "-":
            history = json.load(sys.stdin)
        else:
            with open(options.tasks, encoding="utf-8") as file:
                history = json.load(file)
        spans = usage_spans(history, options.resource)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        print(f"prove.py: {options.tasks}: {error}", file=sys.stderr)
        return 2
    most, tasks = peak(spans)
    print(
        f"{options.resource}: at most {most} in use at once, of {options.limit}; "
        f"{len(spans)} attempts used it"
    )
    if tasks:
        print("first at that height: " + ", ".join(tasks))
    if most > options.limit:
        print(f"prove.py: the limit of {options.limit} was passed", file=sys.stderr)
        return 1
    if most < options.must_reach:
        print(
            f"prove.py: {options.must_reach} were never in use at once, so this run does not show "
            "that the limit holds",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
