"""The notebook runs from its first cell to its last, and its cells give what they are there for.

It is stored without outputs: those have paths, hosts and addresses of the machine that made them, and nobody would
notice when they are not true any more.
"""

import json
import os
import pathlib
import subprocess
import sys

from conftest import REAL

HERE = pathlib.Path(__file__).resolve().parent
NOTEBOOK = HERE.parent.parent / "examples" / "notebook.ipynb"


def run(*more):
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent)}
    done = subprocess.run([sys.executable, HERE / "notebook_runner.py", NOTEBOOK, *more], capture_output=True,
                          text=True, timeout=120, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_cell_gives_what_it_should(service):
    # Where the service is real, the notebook starts its own.
    output = run() if REAL else run(service.address)
    lines = output.splitlines()
    assert lines[0] == "[2, 3, 5, 7, 11, 13, 17, 19]"
    assert sorted(lines[1:4]) == [f"{name} -> loaded {name}" for name in ("Denmark", "France", "Italy")]
    assert lines[4:6] == ["<b>words</b>, not submitted: 3 tasks", "extraordinary"]
    assert "succeeded: 3 succeeded" in lines[6]
    assert "longest-1" in lines[7]
    assert "direct cause" in output
    assert ", in ratio\nZeroDivisionError: division by zero" in output
    assert lines[-1] == "[144, 119025, 46090521]"


def test_it_is_stored_without_outputs():
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    assert [cell for cell in cells if cell.get("outputs") or cell.get("execution_count")] == []
