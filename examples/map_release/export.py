"""export.py DATABASE RELEASE: writes RELEASE/countries.csv from the database, largest country first.

UTF-8 with a header line; areas in km², lengths in km, the centre of the largest part in degrees.
"""

import csv
import io

import load
from stage import arguments, give_back, write_whole

COLUMNS = (
    "rank",
    "name",
    "iso_numeric",
    "area_km2",
    "parts",
    "coast_km",
    "border_km",
    "neighbours",
    "longitude",
    "latitude",
)

QUERY = """
SELECT name, iso_numeric, area_km2,
       (SELECT count(*) FROM part WHERE country = slug),
       coast_km, border_km,
       (SELECT group_concat(name, '; ') FROM (
          SELECT other.name FROM border JOIN country AS other ON other.slug = border.neighbour
          WHERE border.country = country.slug ORDER BY other.name)),
       longitude, latitude
FROM country ORDER BY area_km2 DESC, name
"""


def table(rows):
    """The CSV text (RFC 4180) of the query's rows."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for rank, row in enumerate(rows, 1):
        name, code, area, parts, coast, border, neighbours, longitude, latitude = row
        writer.writerow(
            (
                rank,
                name,
                code,
                f"{area:.1f}",
                parts,
                f"{coast:.1f}",
                f"{border:.1f}",
                neighbours or "",
                f"{longitude:.3f}",
                f"{latitude:.3f}",
            )
        )
    return text.getvalue()


def export_countries(database, release):
    connection = load.connect(database)
    rows = connection.execute(QUERY).fetchall()
    connection.close()
    write_whole(f"{release}/countries.csv", table(rows))
    return {"rows": len(rows)}


if __name__ == "__main__":
    give_back(export_countries(*arguments(__doc__, 2)))
