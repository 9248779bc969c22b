"""What every stage's program shares: arguments, files that appear whole, and the return value.

A stage may be tried again, or be ended in the middle. So each writes its files under another name
first and renames them when they are complete: a reader sees the whole file or none, and a second
attempt leaves what the first would have left.
"""

import json
import os
import sys


def arguments(usage, count):
    """The program's `count` arguments, or an exit with status 2 and the usage (the module's docstring)."""
    given = sys.argv[1:]
    if len(given) != count:
        sys.exit(f"{sys.argv[0]}: {count} arguments are needed, {len(given)} were given\n\n{usage}")
    return given


def write_whole(path, content):
    """Writes text or bytes to `path` so that it appears at once; makes the folder if needed."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    unfinished = f"{path}.{os.getpid()}.unfinished"
    data = content.encode() if isinstance(content, str) else content
    try:
        with open(unfinished, "wb") as file:
            file.write(data)
        os.replace(unfinished, path)
    except BaseException:
        if os.path.exists(unfinished):
            os.unlink(unfinished)
        raise


def write_json(path, value):
    """Writes `value` as compact JSON, whole."""
    write_whole(path, json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def read_json(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def read_measured(work):
    """What `measure.py` found for every country, in the order of the topology."""
    index = read_json(f"{work}/index.json")
    return [read_json(f"{work}/measured/{country['slug']}.json") for country in index["countries"]]


def give_back(value):
    """Makes `value` the task's return value; prints it where none was asked for."""
    text = json.dumps(value, ensure_ascii=False)
    path = os.environ.get("KARTOGRAPH_RESULT")
    if path:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    else:
        print(text)
