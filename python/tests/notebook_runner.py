"""Runs a notebook's cells of code in order, as a kernel does, and prints what comes of them.

    PYTHON notebook_runner.py NOTEBOOK [ADDRESS]

The names live in `__main__`, as in a kernel. The value of an expression that ends a cell is printed as a notebook
shows it. A cell with the tag `raises-exception` must raise one, whose traceback is printed. With an address, that
service stands in for what `kartograph.local` starts.
"""

import ast
import json
import pathlib
import sys
import traceback
import types

import kartograph


def run_cell(source, names):
    """What an expression at its end gives, or None."""
    body = ast.parse(source).body
    last = ast.Expression(body.pop().value) if isinstance(body[-1], ast.Expr) else None
    exec(compile(ast.Module(body, []), "<cell>", "exec"), names)
    return eval(compile(last, "<cell>", "eval"), names) if last else None


def show(value):
    if value is not None:
        print(value._repr_html_() if hasattr(value, "_repr_html_") else repr(value))


def main():
    path, *address = sys.argv[1:]
    if address:
        service = types.SimpleNamespace(address=address[0], close=lambda: None)
        kartograph.local = lambda **_: service
    names = vars(sys.modules["__main__"])
    for cell in json.loads(pathlib.Path(path).read_text())["cells"]:
        if cell["cell_type"] != "code":
            continue
        raises = "raises-exception" in cell["metadata"].get("tags", [])
        try:
            show(run_cell("".join(cell["source"]), names))
        except Exception:
            if not raises:
                raise
            print(traceback.format_exc())
        else:
            assert not raises, cell["source"]


if __name__ == "__main__":
    main()
