"""How a graph and a task look: a progress bar, and HTML for notebooks."""

from __future__ import annotations

import html
import importlib
import sys
import time
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from kartograph._graph import Progress

WIDTH = 30
# Lines a second, where the output is no terminal.
LINE_EVERY = 1.0
_COLOURS = {"succeeded": "#2e7d32", "running": "#1565c0", "failed": "#c62828", "cancelled": "#6d4c41",
            "skipped": "#9e9e9e", "ready": "#90caf9", "waiting": "#e0e0e0"}


class Bar:
    """A bar of a graph's progress: tqdm's where that is installed, a plain one otherwise. Not safe with threads."""

    def __init__(self, title: str, output: TextIO | None = None) -> None:
        self._title = title
        self._output = output or sys.stderr
        self._begin = time.monotonic()
        self._shown = 0.0
        self._last = ""
        self._ended = False  # whether the last state has been shown
        self._tqdm = self._make_tqdm() if output is None else None

    def _make_tqdm(self) -> Any:
        try:
            return importlib.import_module("tqdm.auto").tqdm(desc=self._title, unit="task")
        except ImportError:
            return None

    def show(self, progress: Progress) -> None:
        """Shows the state. A bar that is no terminal's changes at most once a second, and at the end."""
        if self._tqdm is not None:
            self._tqdm.total = progress.total
            self._tqdm.n = progress.ended
            self._tqdm.set_postfix(running=progress.running, failed=progress.failed, refresh=False)
            self._tqdm.refresh()
            return
        now = time.monotonic()
        line = self._line(progress, now - self._begin)
        if self._output.isatty():
            self._output.write("\r" + line.ljust(len(self._last)))
        elif not self._ended and (now >= self._shown + LINE_EVERY or progress.state != "running"):
            self._output.write(line + "\n")
            self._shown = now
            self._ended = progress.state != "running"
        self._last = line
        self._output.flush()

    def _line(self, progress: Progress, seconds: float) -> str:
        done = WIDTH * progress.ended // progress.total if progress.total else 0
        part = 100 * progress.ended // progress.total if progress.total else 100
        failed = f"  {progress.failed} failed" if progress.failed else ""
        return (f"{self._title} {'#' * done}{'.' * (WIDTH - done)} {part:3}%  {progress.ended}/{progress.total}  "
                f"{progress.running} running{failed}  {int(seconds) // 60}:{int(seconds) % 60:02}")

    def close(self) -> None:
        """Leaves the last state where it is."""
        if self._tqdm is not None:
            self._tqdm.close()
        elif self._output.isatty():
            self._output.write("\n")


def graph_html(title: str, graph_id: str, progress: Progress) -> str:
    """A bar of the states of all tasks, and their numbers."""
    counts = [(state, int(getattr(progress, state))) for state in _COLOURS if getattr(progress, state)]
    bar = "".join(f'<div title="{state}: {count}" style="flex:{count};background:{_COLOURS[state]}"></div>'
                  for state, count in counts)
    words = ", ".join(f"{count} {state}" for state, count in counts) or "no tasks"
    return (f"<div><b>{html.escape(title)}</b> ({html.escape(graph_id)}) {progress.state}: {words}"
            f'<div style="display:flex;height:10px;max-width:500px;margin-top:4px;background:#eee">{bar}</div></div>')


def task_html(name: str, state: str, reason: str, rows: list[tuple[str, str]]) -> str:
    """A task and its attempts: rows of headings and texts."""
    cells = "".join(f"<tr><th style='text-align:left'>{html.escape(heading)}</th><td>{html.escape(text)}</td></tr>"
                    for heading, text in rows)
    colour = _COLOURS.get(state, "#1565c0")
    return (f"<div><b>{html.escape(name)}</b> <span style='color:{colour}'>{html.escape(state)}</span> "
            f"{html.escape(reason)}<table>{cells}</table></div>")
