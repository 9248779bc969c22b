"""The release by the Python package, against a real service: what comes out is what the programs make."""

import json
import os
import pathlib
import sqlite3
import subprocess
import sys

import prove
import pytest
from conftest import run_all

HERE = pathlib.Path(__file__).resolve().parent
PACKAGE = HERE.parent.parent.parent / "python"
sys.path.insert(0, str(PACKAGE))

import generate  # noqa: E402

pytestmark = pytest.mark.skipif(
    not os.environ.get("KARTOGRAPHD"), reason="KARTOGRAPHD, the path of a service to start, is not set"
)


@pytest.fixture(scope="module")
def service():
    if not generate.is_current(PACKAGE):
        generate.generate(PACKAGE)
    import kartograph

    with kartograph.local(cpu=2, ram=2 << 30, pools={"db_connections": 4}) as local:
        yield local


def run_pipeline(service, folder):
    """Makes a release in folder/pipeline, of what the fixture `made` has put into the folder."""
    words = ["--data", folder / "world.json", "--published", folder / "published.json"]
    words += ["--release", folder / "pipeline", "--server", service.address]
    return subprocess.run(
        [sys.executable, HERE.parent / "pipeline.py", *words],
        env={**os.environ, "PYTHONPATH": str(PACKAGE)},
        capture_output=True,
        text=True,
        timeout=300,
    )


def content(release):
    """{path: what is in the file}; of the database its rows, as its pages depend on the order of the loads."""
    found = {}
    for folder, _, names in os.walk(release):
        for name in names:
            path = os.path.join(folder, name)
            if name == "atlas.db":
                with sqlite3.connect(path) as database:
                    for table in ("country", "border", "part"):
                        rows = database.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall()
                        found[f"{name}/{table}"] = rows
                database.close()
            else:
                found[os.path.relpath(path, release)] = pathlib.Path(path).read_bytes()
    return found


def history_of(service, graph_id):
    """The graph's tasks as the command line lists them."""
    words = [os.environ["KARTOGRAPH"], "--server", service.address, "status", graph_id, "--json", "--tasks"]
    return json.loads(subprocess.run(words, check=True, stdout=subprocess.PIPE, timeout=60).stdout)


def test_both_forms_make_the_same_release(made, service):
    tasks, release = made
    assert run_all(tasks, release.parent) is None
    done = run_pipeline(service, release.parent)
    assert done.returncode == 0, done.stderr
    assert "6 countries, 2 areas as published" in done.stdout
    ours, theirs = content(release.parent / "pipeline"), content(release)
    assert sorted(ours) == sorted(theirs)
    assert [name for name in ours if ours[name] != theirs[name]] == []

    history = history_of(service, done.stdout.split(":")[0])
    assert {task["name"]: sorted(task["spec"]["after"]) for task in history["tasks"]} == {
        name: sorted(task["after"]) for name, task in tasks.items()
    }
    for task in history["tasks"]:
        assert ("db_connections" in task["consumption"]) == (
            "db_connections" in tasks[task["name"]]["consumption"]
        )
    assert 0 < prove.peak(prove.usage_spans(history, "db_connections"))[0] <= 4


def test_a_failed_check_fails_the_pipeline_and_says_why(made, service):
    folder = made[1].parent
    published = json.loads((folder / "published.json").read_text())
    published["areas"][0]["km2"] *= 2
    (folder / "published.json").write_text(json.dumps(published))
    done = run_pipeline(service, folder)
    assert done.returncode == 1
    assert "check/Dateline" in done.stderr and "more than 0.1 %" in done.stderr
    assert not (folder / "pipeline" / "report.html").exists()


def test_what_is_no_topology_ends_the_pipeline_at_once(made, service):
    folder = made[1].parent
    (folder / "world.json").write_text("{}")
    done = run_pipeline(service, folder)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "pipeline.py: it is not a topology: it has no arcs"
