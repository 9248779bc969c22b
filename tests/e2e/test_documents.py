"""The documents are true: what they show comes out, and they name what there is, all of it."""

import re
import subprocess

import pytest

import documents
import harness
from harness import ROOT, pb, task

CLIENTS = ROOT / "examples" / "clients" / "README.md"  # whose commands test_clients.py runs
DOCUMENTS = sorted(path for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"),
                                     *ROOT.glob("examples/*/*.md")]
                   if path != CLIENTS and documents.steps(path.read_text()))


def text_of(*names):
    return "\n".join((ROOT / name).read_text() for name in names)


def rows(text):
    """The code in the first cell of each row of a table."""
    return re.findall(r"^\| `([^`]+)`", text, re.MULTILINE)


@pytest.fixture
def document(folder):
    services = []
    yield documents.Document(folder, services)
    for service in services:
        service.close()


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_document_shows_comes_out(document, path):
    wrong = document.run(path.read_text())
    assert not wrong, f"{path.relative_to(ROOT)}\n" + "\n\n".join(wrong)


@pytest.mark.parametrize("name", ["README.md", "docs/clients.md", "docs/command_line.md",
                                  "docs/http_api.md", "docs/operations.md"])
def test_documents_show_what_is_run(name):
    assert [kind for kind, _, _ in documents.steps(text_of(name)) if kind == "console"], name


def test_a_document_that_lies_is_found(document):
    wrong = document.run("```console\n$ echo yes; echo 3.0 s\nyes\n4.5 s\n$ echo no\nyes\n```\n")
    assert len(wrong) == 1 and "$ echo no" in wrong[0]


@pytest.mark.parametrize("shown, real, equal", [
    ("a\n...\nz", "a\nb\nc\nz\n", True), ("a\n...\nz", "a\nz", True), ("a\n...\nz", "a\nb", False),
    ("took 1.5 s", "took  3 min 20 s", True), ("2 of 3 done", "1 of 3 done", False),
    ("at ... o'clock", "at five o'clock", True), ("", "", True), ("", "x", False),
    ('{"a": {...},\n "b": ["..."]}', '{"b":["x"],"a":{"c":1}}', True),
    ('{"a": 1, ...}', '{"b": 2, "a": 1}', True), ('{"a": 1}', '{"b": 2, "a": 1}', False),
    ('{"a": "2024-01-01T00:00:00Z"}', '{"a": "2025-02-02T01:02:03.5Z"}', True)])
def test_what_differs_from_run_to_run_is_equal(shown, real, equal):
    assert documents.same(shown, real) == equal


def test_graphs_in_documents_are_valid(folder):
    graphs = [block for path in ROOT.glob("docs/*.md")
              for block in re.findall(r"^```yaml\n(.*?)^```$", path.read_text(), re.MULTILINE | re.DOTALL)
              if re.search(r"^tasks:", block, re.MULTILINE)]
    assert len(graphs) >= 3
    for text in graphs:
        (folder / "graph.yaml").write_text(text)
        checked = harness.cli("validate", folder / "graph.yaml")
        assert checked.returncode == 0, text + checked.stderr


# --- Names ---------------------------------------------------------------------------------------


def test_every_path_of_the_http_api_is_described_with_its_parameters(shared):
    described = text_of("docs/http_api.md")
    sections = re.findall(r"^### `GET (/\S*)`\n(.*?)(?=^##|\Z)", described, re.MULTILINE | re.DOTALL)
    graph = shared.submit([task("a")])
    shared.wait_for_graph(graph)
    for path, section in sections:
        real = path.replace("GRAPH", graph)
        if real == "/":
            continue
        if not real.startswith("/api/"):
            assert shared.get(real)[0] == 200, path
            continue
        status, _, body = shared.get(f"{real}?surely_not=1")
        said = re.search(r"surely_not = 1: is not known(?:; there are ([\w, ]+))?", body.decode())
        assert status == 400 and said, (path, body)
        assert sorted(filter(None, (said[1] or "").split(", "))) == sorted(rows(section)), path
    # And whatever the service compares a part of a path with.
    source = text_of("service/http/http_api.cc")
    parts = set(re.findall(r'at\[\d\] [!=]= "(\w+)"', source))
    parts |= {path.lstrip("/") for path in re.findall(r'request\.path == "(/\w+)"', source)}
    named = {part for path, _ in sections for part in path.split("/") if part}
    assert parts and parts <= named, parts - named


def test_every_metric_is_described_with_its_type(shared):
    real = dict(re.findall(r"^# TYPE (\w+) (\w+)$", shared.get("/metrics")[2].decode(), re.MULTILINE))
    text = text_of("docs/metrics.md")
    described = dict(re.findall(r"^\| `(\w+)(?:\{[^`]*\})?` \| (\w+) \|", text, re.MULTILINE))
    assert described == real
    for query in re.findall(r"^```promql\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        for name in re.findall(r"\b(?:kartograph|process)_\w+", query):
            assert name in real, query


def test_labels_of_metrics_are_described(shared):
    real = set(re.findall(r'[{,](\w+)="', shared.get("/metrics")[2].decode()))
    described = set(re.findall(r"^\| `\w+\{(\w+)\}`", text_of("docs/metrics.md"), re.MULTILINE))
    assert described == real


def test_every_setting_is_described():
    said = subprocess.run([harness.KARTOGRAPHD, "--help"], capture_output=True, text=True, check=True)
    real = set(re.findall(r"^  (?:-h,)?(--[\w-]+)", said.stdout, re.MULTILINE))
    tables = rows(text_of("docs/operations.md", "docs/mesos.md"))
    described = {row.split()[0] for row in tables if row.startswith("--")}
    assert described == real - {"--help", "--version"}


def test_every_command_is_described():
    said = subprocess.run([harness.KARTOGRAPH, "--help"], capture_output=True, text=True, check=True)
    subcommands = re.findall(r"^  (\w+)  ", said.stdout.split("Subcommands:")[1], re.MULTILINE)
    assert "submit" in subcommands
    manual, readme = text_of("docs/command_line.md"), text_of("README.md")
    [listed] = re.findall(r"^\| command line `kartograph`: ([\w, ]+)", readme, re.MULTILINE)
    assert sorted(listed.strip().split(", ")) == sorted(subcommands)
    for subcommand in subcommands:
        assert re.search(rf"\b{subcommand}\b", manual), subcommand


def test_every_call_of_the_contract_is_described():
    described = re.findall(r"`(\w+)`", text_of("docs/clients.md").split("## The calls")[1])
    for method in pb.DESCRIPTOR.services_by_name["TaskExecuter"].methods:
        assert method.name in described, method.name
