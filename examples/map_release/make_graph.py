#!/usr/bin/python3
"""Writes the graph of the map release for Kartograph, as a YAML file.

    make_graph.py --data countries-50m.json --release DIR --out graph.yaml

The topology is read only to learn which countries there are and which of them touch: the names and
the order of the tasks depend on it. Everything else happens in the tasks. All paths in the graph are
absolute, so it can be submitted from anywhere.
"""

import argparse
import dataclasses
import json
import os
import re
import sys

import stage
import topology as topo

ZOOMS = range(4)  # tiles of zoom 0 to 3: 1 + 4 + 16 + 64
DATABASE_CONNECTIONS = {"db_connections": 1}


@dataclasses.dataclass
class Task:
    name: str
    command: list
    after: list = dataclasses.field(default_factory=list)
    consumption: dict = dataclasses.field(default_factory=dict)  # beyond the defaults


DEFAULTS = {
    "consumption": {"cpu": 1, "ram": "128MiB"},
    "timeout": "5m",
    "max_attempts": 2,
    "environment": {"LC_ALL": "C.UTF-8"},
}


def tasks_of(topology, published, *, data, release, work, published_path, python):
    """The release's tasks; each comes behind those that it is after."""
    here = os.path.dirname(os.path.abspath(__file__))
    database = f"{release}/atlas.db"
    countries = topo.countries_of(topology, topo.decode_arcs(topology))
    neighbours = topo.neighbours_of(countries)
    slugs = [country.slug for country in countries]

    def program(name, *arguments):
        # -S and -E: no site packages and no PYTHON* variables, which halves the time to start.
        return [python, "-S", "-E", f"{here}/{name}.py", *map(str, arguments)]

    def with_database(cpu):
        return {"cpu": cpu, **DATABASE_CONNECTIONS}

    tasks = [
        Task("decode", program("decode", data, work), consumption={"ram": "256MiB"}),
        Task("database", program("load", database), consumption=with_database(0.25)),
    ]
    for slug in slugs:
        tasks.append(Task(f"measure/{slug}", program("measure", work, slug), ["decode"]))
    measured = [f"measure/{slug}" for slug in slugs]
    # A load waits for the disk and for other writers more than it computes: by cpu alone
    # many could run at once, and it is the pool of connections that holds them back.
    for slug in slugs:
        tasks.append(
            Task(
                f"load/{slug}",
                program("load", database, work, slug),
                ["database", f"measure/{slug}"],
                with_database(0.25),
            )
        )
    loaded = [f"load/{slug}" for slug in slugs]
    agreed = []
    for slug in slugs:
        if neighbours[slug]:
            name = f"neighbours/{slug}"
            after = [f"measure/{slug}"] + [f"measure/{other}" for other in neighbours[slug]]
            tasks.append(Task(name, program("neighbours", work, slug), after))
            agreed.append(name)
    tasks.append(Task("colours", program("colours", work), measured))

    drawn = []
    for zoom in ZOOMS:
        outlines = f"outlines/{zoom}"
        tasks.append(Task(outlines, program("outlines", work, zoom), ["colours"]))
        for x in range(2**zoom):
            for y in range(2**zoom):
                name = f"tile/{zoom}/{x}/{y}"
                tasks.append(Task(name, program("tiles", work, release, zoom, x, y), [outlines]))
                drawn.append(name)
    tasks.append(Task("render/world", program("render", work, release), ["colours"]))
    drawn.append("render/world")

    tasks.append(
        Task("export/countries", program("export", database, release), loaded, with_database(0.5))
    )
    checked = []
    for entry in published["areas"]:
        slug = topo.slug_of(entry["country"])
        if slug not in neighbours:
            raise topo.TopologyError(
                f"{published_path} has an area of {entry['country']}, which the topology has not"
            )
        checked.append(f"check/{slug}")
        command = program("checks", database, published_path, work, slug)
        tasks.append(Task(f"check/{slug}", command, [f"load/{slug}"], with_database(0.5)))
    if "land" in topology["objects"]:
        command = program("checks", database, work)
        tasks.append(Task("check/whole-land", command, loaded, with_database(1)))
        checked.append("check/whole-land")
    tasks.append(
        Task(
            "report",
            program("report", database, published_path, work, release),
            ["export/countries", *checked, *agreed, *drawn],
            with_database(1),
        )
    )
    return tasks


_PLAIN = re.compile(r"[A-Za-z/_.][A-Za-z0-9_./+=@-]*|\d+[KMGT]iB")
_RESERVED = {"y", "n", "yes", "no", "on", "off", "true", "false", "null", "none"}


def scalar(value):
    """A YAML scalar: plain where that is unmistakable, otherwise quoted as in JSON."""
    if isinstance(value, (int, float)):
        return str(value)
    if _PLAIN.fullmatch(value) and value.lower() not in _RESERVED:
        return value
    return json.dumps(value, ensure_ascii=False)


def flow_map(values):
    return "{" + ", ".join(f"{key}: {scalar(value)}" for key, value in values.items()) + "}"


def flow_list(values, indent, width=100):
    """A YAML list in brackets, wrapped with `indent` spaces where it would be wider than `width`."""
    text, lines = "[", []
    for k, value in enumerate(values):
        piece = scalar(value) + ("]" if k == len(values) - 1 else ",")
        if len(text) + 1 + len(piece) + indent > width and text.strip() not in ("", "["):
            lines.append(text)
            text = " " * indent + piece
        else:
            text += piece if text.endswith("[") else " " + piece
    return "\n".join(lines + [text])


def graph_yaml(tasks):
    """The graph file's text."""
    lines = [
        "# Made by make_graph.py; one task a country and stage. See README.md beside it.",
        "name: map_release",
        "defaults:",
        f"  consumption: {flow_map(DEFAULTS['consumption'])}",
        f"  timeout: {DEFAULTS['timeout']}",
        f"  max_attempts: {DEFAULTS['max_attempts']}",
        f"  environment: {flow_map(DEFAULTS['environment'])}",
        "tasks:",
    ]
    for task in tasks:
        lines.append(f"  - name: {scalar(task.name)}")
        lines.append(f"    command: {flow_list(task.command, 6)}")
        if task.consumption:
            consumption = {**DEFAULTS["consumption"], **task.consumption}
            lines.append(f"    consumption: {flow_map(consumption)}")
        if task.after:
            lines.append(f"    after: {flow_list(task.after, 6)}")
    return "\n".join(lines) + "\n"


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    here = os.path.dirname(os.path.abspath(__file__))
    parser.add_argument("--data", required=True, help="world-atlas' countries-50m.json")
    parser.add_argument("--release", required=True, help="folder for what is made")
    parser.add_argument("--out", required=True, help="the graph file to write")
    parser.add_argument("--work", help="folder for what stages hand on; default RELEASE/work")
    parser.add_argument(
        "--published",
        default=f"{here}/published_areas.json",
        help="areas to check against; default: published_areas.json beside this program",
    )
    parser.add_argument(
        "--python", default=sys.executable, help="Python that runs the tasks; default: this one"
    )
    options = parser.parse_args(arguments)
    data, release = os.path.abspath(options.data), os.path.abspath(options.release)
    published_path = os.path.abspath(options.published)
    try:
        tasks = tasks_of(
            stage.read_json(data),
            stage.read_json(published_path),
            data=data,
            release=release,
            work=os.path.abspath(options.work) if options.work else f"{release}/work",
            published_path=published_path,
            python=options.python,
        )
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        sys.exit(f"make_graph.py: {options.data} or {options.published} cannot be used: {error}")
    stage.write_whole(os.path.abspath(options.out), graph_yaml(tasks))


if __name__ == "__main__":
    main()
