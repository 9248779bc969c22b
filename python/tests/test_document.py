"""Every block of Python in docs/python.md runs."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

import kartograph

# What a block prints must be what the comment behind its `print` says, where that is a list or a word.

ROOT = pathlib.Path(kartograph.__file__).resolve().parent.parent.parent
DOCUMENT = ROOT / "docs" / "python.md"
BLOCKS = re.findall(r"^### \.\.\. (.+?)$(?:(?!^###).)*?^```python\n(.*?)^```$", DOCUMENT.read_text(),
                    re.MULTILINE | re.DOTALL)
# The service is the test's: starting one takes the real program.
LOCAL = '''
import contextlib, kartograph
kartograph.local = lambda **_: contextlib.nullcontext(service)
'''


def test_there_are_blocks():
    assert len(BLOCKS) >= 9


@pytest.mark.parametrize(("title", "block"), BLOCKS, ids=[title for title, _ in BLOCKS])
def test_a_block_runs(service, title, block, tmp_path):
    if "joblib" in title:
        pytest.importorskip("joblib", minversion="1.3")
    script = f"service = {service.address!r}\n{LOCAL}\n{block}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "python")}
    done = subprocess.run([sys.executable, "-"], input=script, capture_output=True, text=True, timeout=120,
                          env=environment, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    printed = re.findall(r"print\(.*#\s*([\[\w].*)$", block, re.MULTILINE)
    for text in printed:
        if re.fullmatch(r"\[.*\]|\w+", text):
            assert text in done.stdout.splitlines()
