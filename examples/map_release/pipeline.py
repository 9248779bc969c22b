#!/usr/bin/python3
"""Makes the map release with Kartograph's Python package: the second form of what make_graph.py writes.

    pipeline.py --data countries-50m.json --release DIR [--server ADDRESS | --local]

Each stage is a class, a `kartograph.Task`, which says what it consumes and calls the stage's function;
`make_release` puts them in order. Which countries there are is what the first task returns, so the
graph is an open one that grows then. Without --server and --local it takes the service of yours that
runs here, as the command line does; it must have a pool `db_connections`.
"""

import argparse
import contextlib
import dataclasses
import os
import sys

import checks
import colours
import decode
import export
import kartograph
import load
import measure
import neighbours
import outlines
import render
import report
import tiles
from make_graph import ZOOMS
from stage import read_json
from topology import slug_of

MIB = 1 << 20


@dataclasses.dataclass
class Place:
    """Where everything is: absolute paths, the same on every agent."""

    data: str  # world-atlas' topology
    published: str
    release: str

    @property
    def work(self):
        return f"{self.release}/work"

    @property
    def database(self):
        return f"{self.release}/atlas.db"


@dataclasses.dataclass
class Stage(kartograph.Task):
    """A task of the release. What it makes is in files; what `run` returns is the figures of it."""

    place: Place

    def consumption(self):
        return {"cpu": 1, "ram": 128 * MIB}


@dataclasses.dataclass
class DatabaseStage(Stage):
    """Has one connection to the database open, and waits more for others than it computes."""

    def consumption(self):
        return {**super().consumption(), "cpu": 0.25, "db_connections": 1}


class Decode(Stage):
    def consumption(self):
        return {**super().consumption(), "ram": 256 * MIB}

    def run(self):
        """`countries`, each with `slug`, `name` and `neighbours` (slugs), and `land`: whether the topology has it."""
        decode.decode(self.place.data, self.place.work)
        land = "land" in read_json(self.place.data)["objects"]
        return {**read_json(f"{self.place.work}/index.json"), "land": land}


class CreateDatabase(DatabaseStage):
    def run(self):
        load.create(self.place.database)


@dataclasses.dataclass
class Measure(Stage):
    country: str

    def run(self):
        return measure.measure_country(self.place.work, self.country)


@dataclasses.dataclass
class Load(DatabaseStage):
    country: str

    def run(self):
        return load.load_country(self.place.database, self.place.work, self.country)


@dataclasses.dataclass
class CompareBorders(Stage):
    country: str

    def run(self):
        return neighbours.compare_borders(self.place.work, self.country)


class Colour(Stage):
    def run(self):
        return colours.colour_countries(self.place.work)


@dataclasses.dataclass
class PrepareLevel(Stage):
    zoom: int

    def run(self):
        return outlines.prepare_level(self.place.work, self.zoom)


@dataclasses.dataclass
class DrawTile(Stage):
    zoom: int
    x: int
    y: int

    def run(self):
        return tiles.draw_tile(self.place.work, self.place.release, self.zoom, self.x, self.y)


class DrawWorld(Stage):
    def run(self):
        return render.draw_world(self.place.work, self.place.release)


class Export(DatabaseStage):
    def consumption(self):
        return {**super().consumption(), "cpu": 0.5}

    def run(self):
        return export.export_countries(self.place.database, self.place.release)


@dataclasses.dataclass
class CheckCountry(DatabaseStage):
    country: str

    def consumption(self):
        return {**super().consumption(), "cpu": 0.5}

    def run(self):
        place = self.place
        return checks.check_country(place.database, place.published, place.work, self.country)


class CheckLand(DatabaseStage):
    def consumption(self):
        return {**super().consumption(), "cpu": 1}

    def run(self):
        return checks.check_land(self.place.database, self.place.work)


class WriteReport(DatabaseStage):
    def consumption(self):
        return {**super().consumption(), "cpu": 1}

    def run(self):
        place = self.place
        return report.write_report(place.database, place.published, place.work, place.release)


def add_stages(graph, place, decoded, database):
    """Waits for Decode, and adds what comes after the first two nodes to the graph; returns the last node."""
    world = decoded.result()
    countries = world["countries"]
    measured, loaded = {}, {}
    for country in countries:
        slug = country["slug"]
        measured[slug] = graph.add(Measure(place, slug), name=f"measure/{slug}", after=decoded)
    for slug, node in measured.items():
        loaded[slug] = graph.add(Load(place, slug), name=f"load/{slug}", after=[database, node])
    before_report = [
        graph.add(
            CompareBorders(place, country["slug"]),
            name=f"neighbours/{country['slug']}",
            after=[measured[slug] for slug in (country["slug"], *country["neighbours"])],
        )
        for country in countries
        if country["neighbours"]
    ]
    before_report += add_drawings(graph, place, measured.values())
    before_report += add_checks(graph, place, loaded)
    if world["land"]:
        before_report.append(
            graph.add(CheckLand(place), name="check/whole-land", after=loaded.values())
        )
    return graph.add(WriteReport(place), name="report", after=before_report)


def add_drawings(graph, place, measured):
    """Adds the map and the tiles; returns their nodes."""
    coloured = graph.add(Colour(place), name="colours", after=measured)
    drawn = [graph.add(DrawWorld(place), name="render/world", after=coloured)]
    for zoom in ZOOMS:
        level = graph.add(PrepareLevel(place, zoom), name=f"outlines/{zoom}", after=coloured)
        drawn += [
            graph.add(DrawTile(place, zoom, x, y), name=f"tile/{zoom}/{x}/{y}", after=level)
            for x in range(2**zoom)
            for y in range(2**zoom)
        ]
    return drawn


def add_checks(graph, place, loaded):
    """Adds the table and the checks of areas; returns their nodes. `loaded` are nodes by slug."""
    added = [graph.add(Export(place), name="export/countries", after=loaded.values())]
    for entry in read_json(place.published)["areas"]:
        slug = slug_of(entry["country"])
        if slug not in loaded:
            raise ValueError(f"{place.published} has an area of {entry['country']}, which the topology has not")
        added.append(graph.add(CheckCountry(place, slug), name=f"check/{slug}", after=loaded[slug]))
    return added


def make_release(place, service=None):
    """Makes the release; returns (the graph's id, what WriteReport returned).

    `service` is as for kartograph.Graph. What goes wrong here or in the first task cancels the graph.
    """
    graph = kartograph.Graph(
        "map_release",
        service,
        open=True,
        open_until_idle=600,  # should this program die
        retries=1,
        timeout=300,
        environment={"LC_ALL": "C.UTF-8"},
    )
    with graph:
        decoded = graph.add(Decode(place), name="decode")
        database = graph.add(CreateDatabase(place), name="database")
        graph.submit()
        try:
            last = add_stages(graph, place, decoded, database)
            graph.wait(check=True, progress=True)
        except BaseException:
            graph.cancel()
            raise
        return graph.id, last.result()


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    here = os.path.dirname(os.path.abspath(__file__))
    parser.add_argument("--data", required=True, help="world-atlas' countries-50m.json")
    parser.add_argument("--release", required=True, help="folder for what is made")
    parser.add_argument(
        "--published",
        default=f"{here}/published_areas.json",
        help="areas to check against; default: published_areas.json beside this program",
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--server", metavar="ADDRESS", help="HOST:PORT or unix:PATH of the service")
    where.add_argument(
        "--local", action="store_true", help="start a service for this, with four connections"
    )
    options = parser.parse_args(arguments)
    place = Place(*map(os.path.abspath, (options.data, options.published, options.release)))
    try:
        with contextlib.ExitStack() as stack:
            service = options.server
            if options.local:
                service = stack.enter_context(kartograph.local(pools={"db_connections": 4}))
            graph_id, figures = make_release(place, service)
    except (kartograph.KartographError, OSError, ValueError, KeyError) as error:
        sys.exit(f"pipeline.py: {error}")
    print(f"{graph_id}: {figures['countries']} countries, {figures['checks_passed']} areas as published")


if __name__ == "__main__":
    main()
