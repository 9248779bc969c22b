import json

import prove
import pytest


def task(name, *spans, units=1, state="TASK_STATE_SUCCEEDED"):
    attempts = []
    for number, (start, end) in enumerate(spans, 1):
        attempt = {"attemptId": f"{name}-{number}", "number": number}
        if start:
            attempt["startTime"] = start
        if end:
            attempt["endTime"] = end
        attempts.append(attempt)
    return {
        "name": name,
        "state": state,
        "consumption": {"cpu": 0.25, "db_connections": units},
        "attempts": attempts,
    }


def at(seconds):
    return f"2026-01-02T03:04:{seconds:012.9f}Z"


def run(tmp_path, tasks, *options, **fields):
    path = tmp_path / "tasks.json"
    path.write_text(json.dumps({"tasks": tasks, **fields}))
    return prove.main([str(path), *options])


def test_timestamps_are_exact():
    whole = prove.nanoseconds("2026-01-02T03:04:05Z")
    assert prove.nanoseconds("2026-01-02T03:04:05.000000001Z") == whole + 1
    assert prove.nanoseconds("2026-01-02T03:04:05.12Z") == whole + 120_000_000
    assert prove.nanoseconds("2026-01-02T04:04:05.5+01:00") == whole + 500_000_000
    assert prove.nanoseconds("1970-01-01T00:00:01Z") == 10**9
    with pytest.raises(prove.HistoryError):
        prove.nanoseconds("yesterday")


def test_four_at_once_are_the_proof(tmp_path, capsys):
    tasks = [task(f"load/{k}", (at(1 + k / 10), at(3))) for k in range(4)]
    tasks.append(task("load/late", (at(3), at(4))))  # starts at the instant at which the others end
    tasks.append({"name": "measure/a", "consumption": {"cpu": 1}, "attempts": []})
    assert run(tmp_path, tasks) == 0
    said = capsys.readouterr().out
    assert "at most 4 in use at once, of 4; 5 attempts" in said and "load/0, load/1" in said


def test_five_at_once_fail_even_for_a_nanosecond(tmp_path, capsys):
    tasks = [task(f"load/{k}", (at(1), at(3))) for k in range(4)]
    tasks.append(task("load/early", ("2026-01-02T03:04:02.999999999Z", at(4))))
    assert run(tmp_path, tasks) == 1
    assert "the limit of 4 was passed" in capsys.readouterr().err


def test_a_limit_that_was_never_reached_proves_nothing(tmp_path, capsys):
    tasks = [task("load/a", (at(1), at(2))), task("load/b", (at(2), at(3)))]
    assert run(tmp_path, tasks) == 1
    assert "never in use at once" in capsys.readouterr().err
    assert run(tmp_path, tasks, "--must-reach", "1") == 0


def test_every_attempt_counts(tmp_path):
    retried = task("load/a", (at(1), at(5)), (at(6), at(9)))
    others = [task(f"load/{k}", (at(7), at(8))) for k in range(4)]
    assert run(tmp_path, [retried, *others]) == 1


def test_an_attempt_that_never_started_held_nothing(tmp_path):
    tasks = [task(f"load/{k}", (at(1), at(3))) for k in range(4)]
    tasks.append(task("load/refused", (None, at(2)), (at(4), at(5))))
    assert run(tmp_path, tasks) == 0


def test_units_are_added_exactly(tmp_path, capsys):
    tasks = [task(f"load/{k}", (at(1), at(2)), units=0.1) for k in range(3)]
    assert run(tmp_path, tasks, "--limit", "0.3", "--must-reach", "0.3") == 0
    assert "at most 0.3 in use" in capsys.readouterr().out


@pytest.mark.parametrize(
    "tasks, fields",
    [
        ([], {}),
        ([task("a", (at(1), at(2)))], {"nextPageToken": "more"}),
        ([task("a", (at(1), None), state="TASK_STATE_RUNNING")], {}),
        ([task("a")], {}),
        ([task("a", (at(2), at(1)))], {}),
    ],
)
def test_an_incomplete_history_proves_nothing(tmp_path, tasks, fields):
    assert run(tmp_path, tasks, **fields) == 2


def test_what_is_no_history_is_refused(tmp_path):
    path = tmp_path / "tasks.json"
    path.write_text("[1, 2]")
    assert prove.main([str(path)]) == 2
    assert prove.main([str(tmp_path / "absent.json")]) == 2
