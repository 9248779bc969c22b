"""A tiny world, made by hand, its graph, and the programs' folder on the path."""

import json
import math
import os
import re
import subprocess
import sys

import pytest

PROGRAMS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, PROGRAMS)

import make_graph  # noqa: E402

# Half degrees from the south-west corner of the world.
TRANSFORM = {"scale": [0.5, 0.5], "translate": [-180, -90]}

ARCS = {
    # West and East share arc 0, which wiggles.
    0: [(10, 0), (10.5, 2), (9.5, 4), (10.5, 5), (9, 7), (10, 10)],
    1: [(10, 10), (0, 10), (0, 0), (10, 0)],
    2: [(10, 0), (20, 0), (20, 10), (10, 10)],
    # Ringland has a hole, which is Île d'Ôr: arc 4.
    3: [(30, 30), (30, 50), (50, 50), (50, 30), (30, 30)],
    4: [(38, 38), (42, 38), (42, 42), (38, 42), (38, 38)],
    # Dateline lies on both sides of the antimeridian.
    5: [(170, -10), (170, 0), (-170, 0), (-170, -10), (170, -10)],
    # South Cap lies around the pole; arc 7 is the seam that some sources leave there.
    6: [(lon, -70) for lon in range(-180, 180, 30)] + [(-180, -70)],
    7: [(-180, -90), (90, -90), (0, -90), (-90, -90), (-180, -90)],
}

COUNTRIES = [
    {"type": "Polygon", "id": "001", "properties": {"name": "West"}, "arcs": [[0, 1]]},
    {"type": "Polygon", "id": "002", "properties": {"name": "East"}, "arcs": [[2, ~0]]},
    {"type": "Polygon", "properties": {"name": "Ringland"}, "arcs": [[3], [4]]},
    {"type": "Polygon", "id": "004", "properties": {"name": "Île d'Ôr"}, "arcs": [[~4]]},
    {"type": "MultiPolygon", "id": "005", "properties": {"name": "Dateline"}, "arcs": [[[5]]]},
    {"type": "Polygon", "id": "006", "properties": {"name": "South Cap"}, "arcs": [[7], [6]]},
]

LAND = {
    "type": "GeometryCollection",
    "geometries": [
        {"type": "MultiPolygon", "arcs": [[[2, 1]], [[3]], [[5]], [[7], [6]]]},
    ],
}


def encoded(points):
    """An arc as TopoJSON stores it: integers, each after the first as a difference."""
    stored, before = [], (0, 0)
    for longitude, latitude in points:
        x, y = round((longitude + 180) * 2), round((latitude + 90) * 2)
        stored.append([x - before[0], y - before[1]])
        before = (x, y)
    return stored


def quadrangle_km2(west, east, south, north):
    """Area between two meridians and two parallels of WGS84, by the closed formula."""
    e2 = 0.0066943799901413165
    e = math.sqrt(e2)
    b2 = 6378.137**2 * (1 - e2)

    def to_equator(latitude):
        s = math.sin(math.radians(latitude))
        return b2 / 2 * (s / (1 - e2 * s * s) + math.log((1 + e * s) / (1 - e * s)) / (2 * e))

    return math.radians(east - west) * (to_equator(north) - to_equator(south))


@pytest.fixture
def topology():
    return json.loads(
        json.dumps(
            {
                "type": "Topology",
                "transform": TRANSFORM,
                "objects": {
                    "countries": {"type": "GeometryCollection", "geometries": COUNTRIES},
                    "land": LAND,
                },
                "arcs": [encoded(ARCS[number]) for number in sorted(ARCS)],
            }
        )
    )


@pytest.fixture
def published():
    return {
        "source": "the closed formula",
        "tolerance_percent": 0.1,
        "areas": [
            {
                "country": "Dateline",
                "km2": round(quadrangle_km2(-10, 10, -10, 0)),
                "kind": "total",
                "shows": "crosses the antimeridian",
            },
            {
                "country": "Ringland",
                "km2": round(quadrangle_km2(30, 50, 30, 50) - quadrangle_km2(38, 42, 38, 42)),
                "kind": "total",
                "shows": "has a hole",
            },
        ],
    }


def read_graph(text):
    """The tasks of a graph file, by name. Knows as much of YAML as make_graph.py writes."""

    def values(field):
        tokens = re.findall(r'"(?:[^"\\]|\\.)*"|[^\s,\[\]]+', field)
        return [json.loads(token) if token.startswith('"') else token for token in tokens]

    tasks = {}
    head, *blocks = re.split(r"^  - name: ", text, flags=re.MULTILINE)
    assert head.startswith("#") and "\nname: map_release\n" in head and "\ndefaults:\n" in head
    for block in blocks:
        name, _, rest = block.partition("\n")
        (name,) = values(name)
        fields = dict(re.findall(r"^    (\w+): (.*(?:\n      .*)*)", rest, re.MULTILINE))
        assert name not in tasks, name
        tasks[name] = {key: values(fields.get(key, "")) for key in ("command", "after")}
        tasks[name]["consumption"] = fields.get("consumption", "")
    return tasks


@pytest.fixture
def made(tmp_path, topology, published):
    """(the tasks, the folder of the release) for the tiny world; its folder has a space in it."""
    folder = tmp_path / "a folder"
    folder.mkdir()
    (folder / "world.json").write_text(json.dumps(topology))
    (folder / "published.json").write_text(json.dumps(published))
    graph = folder / "graph.yaml"
    make_graph.main(
        ["--data", str(folder / "world.json"), "--release", str(folder / "release")]
        + ["--out", str(graph), "--published", str(folder / "published.json")]
    )
    return read_graph(graph.read_text()), folder / "release"


def run_task(task, folder):
    result = folder / "result.json"
    return subprocess.run(
        task["command"],
        env={**os.environ, "LC_ALL": "C.UTF-8", "KARTOGRAPH_RESULT": str(result)},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )


def run_all(tasks, folder):
    """Runs the tasks one by one, each after those it is after; returns what failed, or None."""
    done = set()
    for name, task in tasks.items():
        assert set(task["after"]) <= done, name
        ended = run_task(task, folder)
        if ended.returncode:
            return name, ended.stderr
        json.loads((folder / "result.json").read_text())
        (folder / "result.json").unlink()
        done.add(name)
    return None
