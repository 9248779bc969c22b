"""How graphs and tasks look."""

import io

from kartograph import _show
from kartograph._graph import Graph, Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


HALF = Progress("running", 4, 1, 0, 1, 1, 1, 0, 0)
ALL = Progress("failed", 4, 0, 0, 0, 3, 1, 0, 0)


def test_a_bar_on_a_terminal_is_one_line():
    output = Terminal()
    bar = _show.Bar("release", output)
    bar.show(HALF)
    bar.show(ALL)
    bar.close()
    first, second = output.getvalue().split("\r")[1:]
    assert first.startswith("release ###############...............  50%  2/4  1 running  1 failed  0:00")
    assert second.startswith("release ##############################")
    assert output.getvalue().endswith("\n")


def test_a_bar_elsewhere_is_few_lines():
    output = io.StringIO()
    bar = _show.Bar("release", output)
    for _ in range(100):
        bar.show(HALF)
    bar.show(ALL)
    bar.show(ALL)
    bar.close()
    assert 2 <= len(output.getvalue().splitlines()) <= 4
    assert output.getvalue().count("100%  4/4") == 1


def test_html_escapes_what_it_shows():
    page = _show.graph_html("<b>", "g1", ALL)
    assert "&lt;b&gt;" in page
    assert "3 succeeded, 1 failed" in page
    assert "<script>" not in _show.task_html("<script>", "failed", "<script>", [("<script>", "<script>")])


def test_notebooks_show_graphs_and_tasks(service):
    with Graph("shown", service, consumption={"cpu": 0.1}) as graph:
        node = graph.run(int, "x", title="Zahl & Wort")
        assert "not submitted: 1 tasks" in graph._repr_html_()
        assert "not submitted" in node._repr_html_()
        graph.submit()
        graph.wait(60, progress=True)
        assert "1 failed" in graph._repr_html_()
        assert "Zahl &amp; Wort" in node._repr_html_()
        assert "attempt 1" in node._repr_html_()
