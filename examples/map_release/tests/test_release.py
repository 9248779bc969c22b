"""The graph, and the whole release of a tiny world made from it, task after task."""

import csv
import json
import os
import re
import sqlite3
import subprocess
import sys
import xml.etree.ElementTree

import export
import load
import make_graph
import pytest
from conftest import run_all, run_task

NAME = re.compile(r"[A-Za-z0-9_./:+@=,\[\]][A-Za-z0-9_.\-/:+@=,\[\]]{0,255}")


def test_names_are_valid_and_every_task_is_known(made):
    tasks, _ = made
    assert all(NAME.fullmatch(name) for name in tasks)
    assert all(before in tasks for task in tasks.values() for before in task["after"])
    assert {"decode", "measure/Ile_dOr", "load/West", "neighbours/East", "tile/3/2/1"} <= set(tasks)
    assert {"render/world", "check/Dateline", "check/whole-land", "report"} <= set(tasks)
    assert "neighbours/Dateline" not in tasks


def test_the_graph_has_no_cycle_and_the_report_is_last(made):
    tasks, _ = made
    seen = set()
    for name, task in tasks.items():  # written in an order in which they can run
        assert set(task["after"]) <= seen
        seen.add(name)
    needed, waiting = set(), ["report"]
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting += tasks[name]["after"]
    assert needed == set(tasks)  # nothing may fail without the report noticing


def test_exactly_the_users_of_the_database_hold_a_connection(made):
    tasks, _ = made
    for name, task in tasks.items():
        uses = any(part.endswith("atlas.db") for part in task["command"])
        assert ("db_connections: 1" in task["consumption"]) == uses, name


def test_the_pool_and_not_the_processor_limits_the_loads(made):
    tasks, _ = made
    for name, task in tasks.items():
        if name.startswith("load/"):
            assert "cpu: 0.25" in task["consumption"]


def test_an_area_of_an_unknown_country_is_refused(tmp_path, topology, published):
    (tmp_path / "world.json").write_text(json.dumps(topology))
    published["areas"][0]["country"] = "Atlantis"
    (tmp_path / "published.json").write_text(json.dumps(published))
    with pytest.raises(SystemExit, match="Atlantis"):
        make_graph.main(
            ["--data", f"{tmp_path}/world.json", "--release", f"{tmp_path}/release"]
            + ["--out", f"{tmp_path}/graph.yaml", "--published", f"{tmp_path}/published.json"]
        )
    assert not (tmp_path / "graph.yaml").exists()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"objects": {"countries": 1}, "arcs": []}'])
def test_what_is_no_topology_is_refused(tmp_path, content):
    (tmp_path / "world.json").write_text(content)
    with pytest.raises(SystemExit, match="cannot be used"):
        make_graph.main(
            ["--data", f"{tmp_path}/world.json", "--release", f"{tmp_path}/r"]
            + ["--out", f"{tmp_path}/graph.yaml"]
        )


def test_the_published_areas_are_ten_countries_with_a_source():
    with open(os.path.join(os.path.dirname(make_graph.__file__), "published_areas.json")) as file:
        published = json.load(file)
    assert len({entry["country"] for entry in published["areas"]}) == 10
    assert "Factbook" in published["source"] and 0 < published["tolerance_percent"] <= 3


def test_scalars_are_quoted_where_yaml_would_mistake_them():
    assert make_graph.scalar("measure/Norway") == "measure/Norway"
    assert make_graph.scalar(0.25) == "0.25" and make_graph.scalar("128MiB") == "128MiB"
    for text in ("no", "1", "a b", "a: b", "-S", "[x]", "", "1e3", "é"):
        assert make_graph.scalar(text) == json.dumps(text, ensure_ascii=False)


def test_the_whole_release_of_a_tiny_world(made):
    tasks, release = made
    release.mkdir()
    (release / "world.svg.7.unfinished").write_text("<svg")  # as an attempt that was killed leaves it
    assert run_all(tasks, release.parent) is None
    with open(release / "countries.csv", encoding="utf-8", newline="") as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    assert set(rows) == {"West", "East", "Ringland", "Île d'Ôr", "Dateline", "South Cap"}
    assert rows["West"]["neighbours"] == "East" and rows["Dateline"]["neighbours"] == ""
    assert rows["South Cap"]["rank"] == "1" and float(rows["Île d'Ôr"]["coast_km"]) == 0

    sheet = xml.etree.ElementTree.parse(release / "world.svg")
    svg = "{http://www.w3.org/2000/svg}"
    words = {text.text for text in sheet.iter(f"{svg}text")}
    assert {"THE WORLD", "Made with Natural Earth", "Ringland", "Dateline"} <= words
    tips = [title.text for title in sheet.iter(f"{svg}title")]
    assert any(tip.startswith("Île d'Ôr\n") for tip in tips)

    tiles = [name for _, _, names in os.walk(release / "tiles") for name in names]
    assert len(tiles) == 85 and all(name.endswith(".png") for name in tiles)
    report = (release / "report.html").read_text(encoding="utf-8")
    assert "Dateline" in report and "less than a millimetre" in report

    assert sorted(os.listdir(release)) == [
        "atlas.db", "countries.csv", "report.html", "tiles", "work", "world.svg",
    ]  # fmt: skip
    with sqlite3.connect(release / "atlas.db") as database:
        assert database.execute("SELECT count(*) FROM country").fetchone() == (6,)
        assert database.execute("SELECT count(*) FROM border").fetchone() == (4,)
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_repeated_attempt_changes_nothing(made):
    tasks, release = made
    some = [name for name in tasks if name != "report" and not name.startswith(("tile/2", "tile/3"))]
    assert run_all({name: tasks[name] for name in some}, release.parent) is None

    def content():
        with sqlite3.connect(release / "atlas.db") as database:
            tables = [database.execute(f"SELECT * FROM {t}").fetchall() for t in ("country", "border")]
        return tables, (release / "world.svg").read_bytes(), (release / "tiles/1/0/0.png").read_bytes()

    first = content()
    for name in ("decode", "measure/West", "load/West", "load/West", "render/world", "tile/1/0/0"):
        assert run_task(tasks[name], release.parent).returncode == 0
    assert content() == first


def test_an_area_out_of_tolerance_fails_the_check(made):
    tasks, release = made
    path = release.parent / "published.json"
    published = json.loads(path.read_text())
    published["areas"][0]["km2"] = int(published["areas"][0]["km2"] * 1.01)
    path.write_text(json.dumps(published))
    needed = ("decode", "database", "measure/Dateline", "load/Dateline", "check/Dateline")
    name, said = run_all({name: tasks[name] for name in needed}, release.parent)
    assert name == "check/Dateline" and "more than 0.1 %" in said
    ended = run_task(tasks["report"], release.parent)
    assert ended.returncode != 0 and "was not checked" in ended.stderr


def test_land_that_no_country_has_fails_the_check(made):
    tasks, release = made
    needed = [name for name in tasks if name.split("/")[0] in ("decode", "database", "measure", "load")]
    assert run_all({name: tasks[name] for name in needed}, release.parent) is None
    with sqlite3.connect(release / "atlas.db") as database:
        database.execute("DELETE FROM country WHERE slug = 'Ile_dOr'")
    database.close()
    ended = run_task(tasks["check/whole-land"], release.parent)
    assert ended.returncode == 1 and "the land outline holds" in ended.stderr


def test_a_stored_outline_that_was_damaged_is_noticed(made):
    tasks, release = made
    for name in ("decode", "database", "measure/West", "load/West"):
        assert run_task(tasks[name], release.parent).returncode == 0
    connection = load.connect(str(release / "atlas.db"))
    assert load.verify(connection, "West") == 1
    connection.execute(
        "UPDATE part SET outline = ?",
        (load.polygon_to_wkb([[(0, 0), (1, 0), (1, 1), (0, 0)]]),),
    )
    with pytest.raises(SystemExit, match="measures"):
        load.verify(connection, "West")
    connection.close()


def test_binary_outlines_come_back_as_they_were():
    rings = [[(0.1, 2.0), (3.25, -4.5), (5.0, 6.0), (0.1, 2.0)], [(1.0, 1.0), (2.0, 2.0), (1.0, 1.0)]]
    data = load.polygon_to_wkb(rings)
    assert data[:9] == bytes([1, 3, 0, 0, 0, 2, 0, 0, 0])
    assert load.polygon_from_wkb(data) == rings
    with pytest.raises(ValueError):
        load.polygon_from_wkb(b"\0" + data[1:])


def test_names_with_commas_and_quotes_survive_csv():
    row = ('Land, "Great"', "001", 12.34, 2, 5.0, 0.0, None, 1.0, -2.0)
    lines = list(csv.reader(export.table([row]).splitlines()))
    assert lines[0] == list(export.COLUMNS)
    assert lines[1][:4] == ["1", 'Land, "Great"', "001", "12.3"] and lines[1][7] == ""


def test_wrong_arguments_are_answered_with_the_usage():
    program = os.path.join(os.path.dirname(make_graph.__file__), "measure.py")
    ended = subprocess.run([sys.executable, program], capture_output=True, text=True, timeout=60)
    assert ended.returncode != 0 and "measure.py WORK COUNTRY" in ended.stderr
