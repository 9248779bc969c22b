"""load.py DATABASE [WORK COUNTRY]: makes the release's SQLite database, or loads one country into it.

With the database alone: recreates it, empty, with its tables. With a country: opens one connection,
writes the country, its borders and its parts (each as a polygon in well-known binary, OGC 06-103r4
8.2, with every point of the source) in one transaction, reads them back and measures the stored
polygons again. Loading a country twice leaves what loading it once leaves.
"""

import os
import sqlite3
import struct
import sys

import geometry
import topology as topo
from stage import give_back, read_json

BUSY_SECONDS = 60  # how long a connection waits for another one's transaction

SCHEMA = """
CREATE TABLE country (
  slug TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  iso_numeric TEXT NOT NULL,      -- ISO 3166-1, '' where there is none
  area_km2 REAL NOT NULL,
  coast_km REAL NOT NULL,
  border_km REAL NOT NULL,        -- with all neighbours
  longitude REAL NOT NULL,        -- centre of the largest part, degrees
  latitude REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE border (
  country TEXT NOT NULL REFERENCES country,
  neighbour TEXT NOT NULL,
  km REAL NOT NULL,
  PRIMARY KEY (country, neighbour)
) WITHOUT ROWID;
CREATE TABLE part (
  country TEXT NOT NULL REFERENCES country,
  number INTEGER NOT NULL,        -- from 1
  area_km2 REAL NOT NULL,
  outline BLOB NOT NULL,          -- well-known binary, degrees
  PRIMARY KEY (country, number)
);
"""


def polygon_to_wkb(rings):
    """A polygon of (longitude, latitude) rings as little-endian well-known binary."""
    pieces = [struct.pack("<BII", 1, 3, len(rings))]
    for ring in rings:
        flat = [value for point in ring for value in point]
        pieces.append(struct.pack(f"<I{len(flat)}d", len(ring), *flat))
    return b"".join(pieces)


def polygon_from_wkb(data):
    """The rings of what polygon_to_wkb made."""
    order, kind, count = struct.unpack_from("<BII", data)
    if (order, kind) != (1, 3):
        raise ValueError("not a little-endian polygon in well-known binary")
    offset, rings = 9, []
    for _ in range(count):
        (points,) = struct.unpack_from("<I", data, offset)
        flat = struct.unpack_from(f"<{2 * points}d", data, offset + 4)
        rings.append(list(zip(flat[::2], flat[1::2])))
        offset += 4 + 16 * points
    return rings


def create(path):
    """Recreates the database. WAL, so that a reader never waits for the writer."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    unfinished = f"{path}.{os.getpid()}.unfinished"
    connection = sqlite3.connect(unfinished)
    connection.executescript("PRAGMA journal_mode = WAL;" + SCHEMA)
    connection.close()
    for leftover in (path + "-wal", path + "-shm"):
        if os.path.exists(leftover):
            os.unlink(leftover)
    os.replace(unfinished, path)


def connect(path):
    """A connection to a database that is there already; transactions are begun by hand."""
    connection = sqlite3.connect(
        f"file:{path}?mode=rw", uri=True, timeout=BUSY_SECONDS, isolation_level=None
    )
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection


def load(connection, measured, polygons):
    """Stores a country: what measure.py found, and its polygons as rings of points."""
    slug = measured["slug"]
    parts = [
        (slug, number, area, polygon_to_wkb(rings))
        for number, (area, rings) in enumerate(zip(measured["parts_km2"], polygons), 1)
    ]
    borders = [(slug, other, border["km"]) for other, border in measured["borders"].items()]
    connection.execute("BEGIN IMMEDIATE")
    for table, column in (("border", "country"), ("part", "country"), ("country", "slug")):
        connection.execute(f"DELETE FROM {table} WHERE {column} = ?", (slug,))
    connection.execute(
        "INSERT INTO country VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            slug,
            measured["name"],
            measured["code"],
            measured["area_km2"],
            measured["coast_km"],
            sum(km for _, _, km in borders),
            *measured["centre"],
        ),
    )
    connection.executemany("INSERT INTO border VALUES (?, ?, ?)", borders)
    connection.executemany("INSERT INTO part VALUES (?, ?, ?, ?)", parts)
    connection.execute("COMMIT")


def verify(connection, slug):
    """Measures what is stored; returns the number of parts, or exits where it is not the same."""
    (expected,) = connection.execute(
        "SELECT area_km2 FROM country WHERE slug = ?", (slug,)
    ).fetchone()
    rows = connection.execute("SELECT outline FROM part WHERE country = ?", (slug,)).fetchall()
    stored = sum(geometry.polygon_area(polygon_from_wkb(outline)) for (outline,) in rows)
    if abs(stored - expected) > 1e-9 * expected:
        sys.exit(f"{slug}: the stored outline measures {stored} km², not {expected} km²")
    return len(rows)


def load_country(database, work, slug):
    country = read_json(f"{work}/countries/{slug}.json")
    arcs = {int(number): [tuple(p) for p in points] for number, points in country["arcs"].items()}
    polygons = [
        [topo.assemble_ring(ring, arcs) for ring in polygon] for polygon in country["polygons"]
    ]
    connection = connect(database)
    load(connection, read_json(f"{work}/measured/{slug}.json"), polygons)
    parts = verify(connection, slug)
    connection.close()
    return {"parts": parts}


def main():
    given = sys.argv[1:]
    if len(given) == 1:
        create(*given)
        give_back({"database": given[0]})
    elif len(given) == 3:
        give_back(load_country(*given))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
