"""Code that goes along with the tasks."""

import sys
import textwrap
import zipfile

import pytest
from conftest import REAL

import kartograph
from kartograph import _code


@pytest.fixture()
def sources(folder, monkeypatch):
    """A folder with a package that only its own blob brings to the workers."""
    package = folder / "src" / "pipe"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "steps.py").write_text(textwrap.dedent('''
        import importlib.resources
        def version():
            return 1
        def where():
            return __file__
        def read():
            return importlib.resources.files("pipe").joinpath("table.txt").read_text()
        def more():
            import kartograph
            return kartograph.current().run(version).name
    '''))
    (package / "table.txt").write_text("rows")
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "old.pyc").write_text("x")
    monkeypatch.syspath_prepend(str(folder / "src"))
    for name in [name for name in sys.modules if name.split(".")[0] == "pipe"]:
        monkeypatch.delitem(sys.modules, name)
    return folder / "src"


def test_modules_come_from_the_archive(service, sources):
    from pipe import steps
    with kartograph.KartographExecutor(service, code=[sources], consumption={"cpu": 0.1}) as executor:
        assert executor.submit(steps.version).result(60) == 1
        assert str(sources) not in executor.submit(steps.where).result(60)
        assert executor.submit(steps.read).result(60) == "rows"


def test_changed_code_gets_a_new_worker(service, sources):
    from pipe import steps
    with kartograph.KartographExecutor(service, code=sources, consumption={"cpu": 0.1}) as executor:
        assert executor.submit(steps.version).result(60) == 1
        text = (sources / "pipe" / "steps.py").read_text()
        (sources / "pipe" / "steps.py").write_text(text.replace("return 1", "return 20"))
        _code._packed.clear()  # as if a moment had passed
        assert executor.submit(steps.version).result(60) == 20


def test_tasks_of_tasks_have_the_same_code(service, sources):
    from pipe import steps
    with kartograph.Graph("code", service, open=True, code=[sources], consumption={"cpu": 0.1}) as graph:
        graph.run(steps.more)
        graph.submit()
        assert graph.wait(check=True).total == 2


def test_an_archive_depends_on_contents_alone(sources):
    (first,) = _code.blobs_of([sources])
    (sources / "pipe" / "steps.py").touch()
    _code._packed.clear()
    (second,) = _code.blobs_of([str(sources)])
    assert first.id == second.id
    with zipfile.ZipFile(__import__("io").BytesIO(first.data)) as archive:
        assert sorted(archive.namelist()) == ["pipe/__init__.py", "pipe/steps.py", "pipe/table.txt"]


def test_a_wheel_goes_as_it_is(folder):
    wheel = folder / "pipe-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("pipe.py", "x = 1\n")
    assert _code.blobs_of([wheel])[0].data == wheel.read_bytes()


def test_what_is_no_code_is_refused_at_once(service, folder):
    (folder / "notes.txt").write_text("x")
    with kartograph.KartographExecutor(service) as executor:
        with pytest.raises(ValueError, match="neither a folder nor a wheel"):
            executor.options(code=[folder / "notes.txt"]).submit(int)
        with pytest.raises(FileNotFoundError):
            executor.options(code=[folder / "absent"]).submit(int)


@pytest.mark.skipif(not REAL, reason="the service in Python starts a process for each task")
def test_tasks_share_a_process_unless_they_are_isolated(service):
    import os
    with kartograph.KartographExecutor(service, consumption={"cpu": 4}) as executor:
        first = executor.submit(os.getpid).result(60)
        assert executor.submit(os.getpid).result(60) == first
        alone = executor.options(isolation="process")
        assert alone.submit(os.getpid).result(60) != alone.submit(os.getpid).result(60)
        assert executor.submit(os.getpid).result(60) == first
